//! Whether it was delivered completely: the checksum of the manifest.

use std::sync::Arc;

use md5::{Digest, Md5};
use stocktake_core::memory::MemoryVault;
use stocktake_core::{Error, InventoryReader, Vault};
use stocktake_inventory::ManifestReader;
use stocktake_testkit::conformance::inventory::read_all;
use stocktake_testkit::inventories::{InventorySpec, Shape, Synthetic, reseal, write};

use crate::support::{BASE, fixture};

#[tokio::test]
async fn a_sound_inventory_is_read() {
    for shape in Shape::ALL {
        let fixture = fixture(shape).await;
        assert_eq!(fixture.read().await.unwrap().len(), 250);
        let info = fixture.newest().await;
        assert_eq!((info.files, info.bucket.as_str(), info.not_ready), (3, "photo-store", None));
    }
}

#[tokio::test]
async fn a_file_of_several_batches_is_read_whole() {
    for shape in Shape::ALL {
        let vault = MemoryVault::new();
        let written = write(&vault, &InventorySpec::new(shape), Synthetic::new(20_000).before()).await;
        let reader = ManifestReader::new(Arc::new(vault), written.manifest, BASE);
        let opened = reader.open(&reader.inventories().await.unwrap()[0]).await.unwrap();
        let entries = read_all(&*opened).await.unwrap();
        let expected = Synthetic::new(20_000).before().map(|batch| batch.len()).sum::<usize>();
        assert_eq!((entries.len(), opened.parts()), (expected, 1));
    }
}

#[tokio::test]
async fn without_its_checksum_it_is_listed_but_not_opened() {
    let fixture = fixture(Shape::S3Csv).await;
    fixture.vault.delete(&fixture.written.manifest.replace(".json", ".checksum")).await.unwrap();
    let info = fixture.newest().await;
    assert_eq!(info.not_ready.as_deref(), Some("manifest.checksum is missing"));
    assert!(matches!(fixture.reader.open(&info).await, Err(Error::InventoryIncomplete { .. })));
}

#[tokio::test]
async fn a_checksum_that_differs_is_corruption() {
    let fixture = fixture(Shape::S3Csv).await;
    let checksum = fixture.written.manifest.replace(".json", ".checksum");
    for wrong in ["0cc175b9c0f1b6a831c399e269772661", "", "none", "0cc175b9c0f1b6a831c399e26977266"] {
        fixture.vault.tamper(&checksum, wrong);
        assert!(fixture.corrupt().await.contains("manifest.checksum"));
    }
    // White space and case are a writer's habit.
    let right = fixture.vault.read(&fixture.written.manifest, None).await.unwrap();
    fixture.vault.tamper(&checksum, format!(" {}\r\n", hex::encode_upper(Md5::digest(&right))));
    assert_eq!(fixture.read().await.unwrap().len(), 250);
}

#[tokio::test]
async fn a_half_written_manifest_is_listed_and_not_read() {
    let fixture = fixture(Shape::S3Csv).await;
    let half = fixture.vault.read(&fixture.written.manifest, Some(0..100)).await.unwrap();
    fixture.vault.tamper(&fixture.written.manifest, half);
    let info = fixture.newest().await;
    assert_eq!(info.created.to_string(), "2026-03-01T01:00:00.000Z");
    assert!(fixture.corrupt().await.contains("manifest.checksum"));
    reseal(&fixture.vault, &fixture.written.manifest).await;
    assert!(fixture.corrupt().await.contains("manifest can't be read"));
}
