//! Broken, contradictory and hostile inventories: none of them ever reads as fewer objects.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use md5::{Digest, Md5};
use serde_json::{Value, json};
use stocktake_core::memory::MemoryVault;
use stocktake_core::{Entry, Error, InventoryInfo, InventoryReader, InventoryVersions, Result, Vault};
use stocktake_inventory::{InventoryRoot, ManifestReader};
use stocktake_testkit::conformance::inventory::read_all;
use stocktake_testkit::inventories::{InventorySpec, Shape, Synthetic, WrittenInventory, reseal, write};

const BASE: &str = "s3://ops-inventories";

/// An inventory of 250 objects in three files, and a reader of it.
struct Fixture {
    vault: MemoryVault,
    written: WrittenInventory,
    reader: ManifestReader,
}

async fn fixture(shape: Shape) -> Fixture {
    let spec = InventorySpec { rows_per_file: 100, ..InventorySpec::new(shape) };
    fixture_of(spec).await
}

async fn fixture_of(spec: InventorySpec) -> Fixture {
    let vault = MemoryVault::new();
    let written = write(&vault, &spec, Synthetic::new(250).before()).await;
    let reader = ManifestReader::new(Arc::new(vault.clone()), "inv", BASE);
    Fixture { vault, written, reader }
}

impl Fixture {
    async fn newest(&self) -> InventoryInfo {
        self.reader.inventories().await.unwrap().remove(0)
    }

    async fn read(&self) -> Result<Vec<Entry>> {
        read_all(&*self.reader.open(&self.newest().await).await?).await
    }

    async fn corrupt(&self) -> String {
        match self.read().await {
            Err(Error::InventoryCorrupt { problem, inventory }) => {
                assert_eq!(inventory.as_str(), format!("{BASE}/{}", self.written.manifest));
                problem
            }
            other => panic!("not found corrupt: {other:?}"),
        }
    }

    /// Changes the manifest, and its checksum with it.
    async fn edit(&self, change: impl FnOnce(&mut Value)) {
        let bytes = self.vault.read(&self.written.manifest, None).await.unwrap();
        let mut manifest = serde_json::from_slice(&bytes).unwrap();
        change(&mut manifest);
        self.vault.tamper(&self.written.manifest, serde_json::to_vec(&manifest).unwrap());
        reseal(&self.vault, &self.written.manifest).await;
    }

    /// Replaces a data file, and what the manifest says of it.
    async fn replace(&self, file: usize, bytes: Vec<u8>) {
        self.edit(|manifest| {
            manifest["files"][file]["size"] = json!(bytes.len());
            manifest["files"][file]["MD5checksum"] = json!(hex::encode(Md5::digest(&bytes)));
        })
        .await;
        self.vault.tamper(&self.written.files[file], bytes);
    }

    async fn file(&self, file: usize) -> Vec<u8> {
        self.vault.read(&self.written.files[file], None).await.unwrap().to_vec()
    }
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn row(key: &str) -> String {
    format!(
        "\"photo-store\",\"{key}\",\"3\",\"2026-01-05T09:30:02.000Z\",\"0cc175b9c0f1b6a831c399e269772661\",\"STANDARD\",\"false\",\"SSE-S3\"\n"
    )
}

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

#[tokio::test]
async fn a_missing_data_file_is_never_an_empty_one() {
    for shape in Shape::ALL {
        let fixture = fixture(shape).await;
        fixture.vault.delete(&fixture.written.files[1]).await.unwrap();
        let info = fixture.newest().await;
        match fixture.reader.open(&info).await {
            Err(Error::InventoryIncomplete { problem, .. }) => assert!(problem.contains(&fixture.written.files[1])),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_data_file_that_vanishes_after_opening_is_an_error() {
    let fixture = fixture(Shape::S3Csv).await;
    let opened = fixture.reader.open(&fixture.newest().await).await.unwrap();
    fixture.vault.delete(&fixture.written.files[2]).await.unwrap();
    assert!(matches!(read_all(&*opened).await, Err(Error::InventoryIncomplete { .. })));
}

#[tokio::test]
async fn a_size_or_checksum_that_differs_names_the_file() {
    for shape in Shape::ALL {
        let altered = fixture(shape).await;
        let mut bytes = altered.file(1).await;
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        altered.vault.tamper(&altered.written.files[1], bytes.clone());
        assert!(altered.corrupt().await.contains(&altered.written.files[1]));

        let longer = fixture(shape).await;
        bytes.push(0);
        longer.vault.tamper(&longer.written.files[1], bytes);
        let problem = longer.corrupt().await;
        assert!(
            problem.contains(&longer.written.files[1]) && problem.contains("bytes, the manifest says"),
            "{problem}"
        );
    }
}

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
async fn a_file_named_twice_is_read_once_or_refused() {
    let fixture = fixture(Shape::S3Csv).await;
    let twice = |manifest: &mut Value| {
        let file = manifest["files"][0].clone();
        manifest["files"].as_array_mut().unwrap().push(file);
    };
    fixture.edit(twice).await;
    assert_eq!(fixture.read().await.unwrap().len(), 250);
    fixture.edit(|manifest| manifest["files"][3]["size"] = json!(1)).await;
    assert!(fixture.corrupt().await.contains("named twice"));
}

#[tokio::test]
async fn columns_may_come_in_any_order_with_unknown_ones_between() {
    let fixture = fixture(Shape::S3Csv).await;
    fixture
        .edit(|manifest| {
            manifest["fileSchema"] = json!("etag, NewThing ,SIZE,Key,StorageClass,LastModifiedDate");
            manifest["files"].as_array_mut().unwrap().truncate(1);
        })
        .await;
    fixture.replace(0, gzip("abc,x,7,a+b,IA,2026-01-05T09:30:02Z\n")).await;
    let entries = fixture.read().await.unwrap();
    assert_eq!((entries[0].key.as_str(), entries[0].size, entries[0].class.as_str()), (Some("a b"), 7, "IA"));
}

#[tokio::test]
async fn a_missing_field_is_named_before_anything_is_read() {
    for shape in Shape::ALL {
        for field in ["Key", "Size", "LastModifiedDate", "ETag", "StorageClass"] {
            let spec = InventorySpec { without: vec![field], ..InventorySpec::new(shape) };
            let fixture = fixture_of(spec).await;
            let info = fixture.newest().await;
            match fixture.reader.open(&info).await {
                Err(Error::InventoryMissingField { field: named, .. }) => assert_eq!(named, field),
                other => panic!("{shape:?} without {field}: {other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_bad_row_is_named_by_file_and_number() {
    let fixture = fixture(Shape::S3Csv).await;
    let cases = [
        (row("ok") + "\"photo-store\",\"short\"\n", "row 2: it has 2 fields"),
        (row("ok") + &row("bad%ZZ"), "row 2: a key has a %"),
        (row(""), "row 1: its key is empty"),
        (row(&"k".repeat(1025)), "row 1: its key has 1025 bytes"),
        (row("a").replace("\"3\"", "\"-3\""), "row 1: its Size is"),
        (row("a").replace("2026-01-05", "2026-02-30"), "row 1: its LastModifiedDate is"),
        (row("a").replace("photo-store", "other-store"), "row 1: it is of the bucket \"other-store\""),
    ];
    for (text, problem) in cases {
        fixture.replace(2, gzip(&text)).await;
        let found = fixture.corrupt().await;
        assert!(found.starts_with(&format!("{}: {problem}", fixture.written.files[2])), "{found}");
    }
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

#[tokio::test]
async fn a_mark_of_byte_order_is_dropped_in_json_and_csv() {
    let fixture = fixture(Shape::S3Csv).await;
    fixture.replace(2, gzip(&format!("\u{feff}{}", row("a")))).await;
    let manifest = fixture.vault.read(&fixture.written.manifest, None).await.unwrap();
    fixture.vault.tamper(&fixture.written.manifest, [b"\xef\xbb\xbf", &manifest[..]].concat());
    reseal(&fixture.vault, &fixture.written.manifest).await;
    assert_eq!(fixture.read().await.unwrap().len(), 201);
}

#[tokio::test]
async fn a_file_key_is_never_a_path() {
    let fixture = fixture(Shape::S3Csv).await;
    for key in ["../../etc/passwd", "/etc/passwd", "inv//x", "inv/./x"] {
        fixture.edit(|manifest| manifest["files"][0]["key"] = json!(key)).await;
        let outcome = fixture.read().await;
        assert!(matches!(outcome, Err(Error::InventoryCorrupt { .. } | Error::InventoryIncomplete { .. })), "{key}");
    }
}

#[tokio::test]
async fn creation_times_in_a_wrong_unit_are_refused_and_odd_folders_are_not() {
    let fixture = fixture(Shape::S3Csv).await;
    fixture.edit(|manifest| manifest["creationTimestamp"] = json!("1772326800000000")).await;
    assert!(fixture.corrupt().await.contains("creation time"));
    fixture.edit(|manifest| manifest["creationTimestamp"] = json!("1772326860000")).await;
    assert_eq!(fixture.read().await.unwrap().len(), 250);
}

#[tokio::test]
async fn an_empty_list_of_files_is_legal() {
    for shape in Shape::ALL {
        let vault = MemoryVault::new();
        let written = write(&vault, &InventorySpec::new(shape), []).await;
        let reader = ManifestReader::new(Arc::new(vault), written.manifest, BASE);
        let opened = reader.open(&reader.inventories().await.unwrap()[0]).await.unwrap();
        assert_eq!(opened.parts(), 0);
    }
}

#[tokio::test]
async fn the_footer_of_parquet_files_wins_over_the_manifest() {
    let fixture = fixture(Shape::S3Parquet).await;
    let other = "message s3.inventory { required binary bucket (UTF8); required binary key (UTF8); }";
    fixture.edit(|manifest| manifest["fileSchema"] = json!(other)).await;
    assert_eq!(fixture.read().await.unwrap().len(), 250);
    assert!(fixture.newest().await.fields.len() == 2);
    let whole = fixture.file(1).await;
    for length in [0, 3, 12, whole.len() / 2, whole.len() - 1] {
        fixture.replace(1, whole[..length].to_vec()).await;
        let problem = fixture.corrupt().await;
        assert!(problem.contains(&fixture.written.files[1]), "{problem}");
    }
}

#[tokio::test]
async fn orc_and_unknown_formats_are_refused_by_name() {
    let fixture = fixture(Shape::S3Csv).await;
    fixture
        .edit(|manifest| {
            manifest["fileFormat"] = json!("ORC");
            manifest["fileSchema"] = json!("struct<bucket:string,key:string>");
        })
        .await;
    assert!(matches!(fixture.read().await, Err(Error::InventoryNotFound { problem, .. }) if problem.contains("ORC")));
    fixture.edit(|manifest| manifest["fileFormat"] = json!("Avro")).await;
    assert!(matches!(fixture.read().await, Err(Error::InventoryNotFound { problem, .. }) if problem.contains("Avro")));
}

#[tokio::test]
async fn versions_are_reduced_to_current_objects() {
    for shape in Shape::ALL {
        let all = fixture_of(InventorySpec { versions: InventoryVersions::All, ..InventorySpec::new(shape) }).await;
        let current = fixture(shape).await;
        assert_eq!(all.newest().await.versions, InventoryVersions::All);
        let strip = |entries: Vec<Entry>| -> Vec<Entry> {
            entries.into_iter().map(|entry| Entry { version: None, ..entry }).collect()
        };
        assert_eq!(strip(all.read().await.unwrap()), strip(current.read().await.unwrap()));
    }
}

#[tokio::test]
async fn removal_spares_what_lies_outside_of_the_configurations_folder() {
    let fixture = fixture(Shape::S3Csv).await;
    let elsewhere = "precious/only-copy.csv.gz";
    let bytes = Bytes::from(fixture.file(0).await);
    fixture.vault.create(elsewhere, bytes).await.unwrap();
    fixture.edit(|manifest| manifest["files"][0]["key"] = json!(elsewhere)).await;
    fixture.reader.discard(&fixture.newest().await).await.unwrap();
    assert_eq!(fixture.vault.names(), [fixture.written.files[0].as_str(), elsewhere]);
}

#[tokio::test]
async fn removal_spares_what_another_inventory_names() {
    let fixture = fixture(Shape::S3Csv).await;
    // The next day's inventory still names the first file.
    let manifest = fixture.vault.read(&fixture.written.manifest, None).await.unwrap();
    let mut next: Value = serde_json::from_slice(&manifest).unwrap();
    next["files"].as_array_mut().unwrap().truncate(1);
    next["creationTimestamp"] = json!("1772413200000");
    let day = "inv/photo-store/daily/2026-03-02T01-00Z";
    let create = |name: String, bytes: Vec<u8>| {
        let vault = fixture.vault.clone();
        async move { vault.create(&name, Bytes::from(bytes)).await.unwrap() }
    };
    create(format!("{day}/manifest.json"), serde_json::to_vec(&next).unwrap()).await;
    create("inv/photo-store/daily/hive/dt=2026-03-01-01-00/symlink.txt".into(), vec![]).await;
    create("inv/photo-store/daily/data/stranger.csv.gz".into(), vec![]).await;

    let infos = fixture.reader.inventories().await.unwrap();
    fixture.reader.discard(&infos[1]).await.unwrap();
    let mut left = vec![
        format!("{day}/manifest.json"),
        fixture.written.files[0].clone(),
        "inv/photo-store/daily/data/stranger.csv.gz".to_owned(),
    ];
    left.sort();
    assert_eq!(fixture.vault.names(), left);
}

#[tokio::test]
async fn nothing_is_removed_while_another_manifest_cannot_be_read() {
    let fixture = fixture(Shape::S3Csv).await;
    fixture.vault.create("inv/photo-store/daily/2026-03-02T01-00Z/manifest.json", "{".into()).await.unwrap();
    let before = fixture.vault.names();
    let mine = fixture.reader.inventories().await.unwrap().remove(1);
    assert!(matches!(fixture.reader.discard(&mine).await, Err(Error::InventoryCorrupt { .. })));
    assert_eq!(fixture.vault.names(), before);
}

#[tokio::test]
async fn a_copied_inventory_is_found_under_its_nearest_ancestor() {
    let spec = InventorySpec { rows_per_file: 100, ..InventorySpec::new(Shape::S3Csv) };
    let (vault, source) = (MemoryVault::new(), MemoryVault::new());
    let written = write(&source, &spec, Synthetic::new(250).before()).await;
    for name in source.names() {
        let bytes = source.read(&name, None).await.unwrap();
        vault.create(&format!("home/me/copy/{name}"), bytes).await.unwrap();
    }
    let path = format!("home/me/copy/{}", written.manifest);
    let reader = |root| ManifestReader::new(Arc::new(vault.clone()), &*path, "file://").with_root(root);
    let near = reader(InventoryRoot::NearestAncestor);
    let info = near.inventories().await.unwrap().remove(0);
    assert_eq!(info.location.as_str(), format!("file:///{path}"));
    assert_eq!(read_all(&*near.open(&info).await.unwrap()).await.unwrap().len(), 250);
    let bucket = reader(InventoryRoot::BucketRoot);
    assert!(matches!(bucket.open(&info).await, Err(Error::InventoryIncomplete { .. })));
    near.discard(&info).await.unwrap();
    assert_eq!(vault.names(), Vec::<String>::new());
}
