//! Compressed files that are cut short, go on, or grow.

use std::io::Write;

use stocktake_testkit::inventories::Shape;

use crate::support::{fixture, gzip, row};

#[tokio::test]
async fn a_truncated_gzip_is_never_the_end_of_the_file() {
    let fixture = fixture(Shape::S3Csv).await;
    let whole = fixture.file(2).await;
    for length in [0, 1, 5, 10, 18, whole.len() / 2, whole.len() - 9, whole.len() - 8, whole.len() - 1] {
        fixture.replace(2, whole[..length].to_vec()).await;
        let problem = fixture.corrupt().await;
        assert!(problem.contains(&fixture.written.files[2]), "{length}: {problem}");
    }
}

#[tokio::test]
async fn all_gzip_members_are_read_and_garbage_is_refused() {
    let fixture = fixture(Shape::S3Csv).await;
    let members = [gzip(&row("a")), gzip(&row("b"))].concat();
    fixture.replace(2, members.clone()).await;
    assert_eq!(fixture.read().await.unwrap().len(), 202);
    fixture.replace(2, [members.clone(), vec![0; 100]].concat()).await;
    assert_eq!(fixture.read().await.unwrap().len(), 202);
    fixture.replace(2, [&members[..], b"garbage"].concat()).await;
    fixture.corrupt().await;
    fixture.replace(2, row("a").into_bytes()).await;
    fixture.corrupt().await;
}

#[tokio::test]
async fn a_bomb_is_decompressed_piece_by_piece() {
    let fixture = fixture(Shape::S3Csv).await;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(b"\"photo-store\",\"").unwrap();
    for _ in 0..64 {
        encoder.write_all(&vec![b'x'; 1 << 20]).unwrap();
    }
    fixture.replace(2, encoder.finish().unwrap()).await;
    assert!(fixture.corrupt().await.contains("more than"));
}
