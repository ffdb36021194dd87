//! Inventories that are written here are read as any other, and appear whole or not at all.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, LazyLock};

use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use stocktake_core::memory::{MemoryBucket, MemoryVault};
use stocktake_core::{
    ETagCode, Entry, EntryBatch, EntryRef, Error, Inventory, InventoryFormat, InventoryInfo, InventoryReader,
    InventoryVersions, KeyFilter, Location, Result, SeededEntropy, Timestamp, Vault, keep_wanted,
};
use stocktake_inventory::{CreateOptions, ManifestReader, create_inventory};
use stocktake_testkit::conformance::InventoryUnderTest;
use stocktake_testkit::conformance::inventory::read_all;
use stocktake_testkit::conformance::keys::hostile;
use stocktake_testkit::inventories::{InventorySpec, Shape, Synthetic, write};
use stocktake_testkit::wrappers::FaultyVault;

const BASE: &str = "s3://inventories";

/// An inventory of some thousand objects from elsewhere.
async fn original() -> Arc<dyn Inventory> {
    let vault = MemoryVault::new();
    let spec = InventorySpec { rows_per_file: 900, ..InventorySpec::new(Shape::S3Csv) };
    write(&vault, &spec, Synthetic::new(2_000).before()).await;
    let reader = ManifestReader::new(Arc::new(vault), "", "s3://elsewhere");
    reader.open(&reader.inventories().await.unwrap()[0]).await.unwrap()
}

fn options(format: InventoryFormat) -> CreateOptions {
    CreateOptions::new("photos", "inventories").with_prefix("inv/").with_format(format).with_rows_per_file(700)
}

async fn written(format: InventoryFormat) -> InventoryUnderTest {
    let original = original().await;
    let vault = Arc::new(MemoryVault::new());
    let created = create_inventory(&*original, &*vault, &options(format), &SeededEntropy::new(7)).await.unwrap();
    assert_eq!((created.total.objects, created.files.objects), (2_000, 3));
    InventoryUnderTest::new(ManifestReader::new(vault, "inv", BASE), read_all(&*original).await.unwrap())
}

mod csv {
    use super::*;
    stocktake_testkit::inventory_conformance!(written(InventoryFormat::Csv).await);
}

mod parquet {
    use super::*;
    stocktake_testkit::inventory_conformance!(written(InventoryFormat::Parquet).await);
}

#[tokio::test]
async fn odd_keys_and_absent_tags_survive() {
    let bucket = MemoryBucket::new("photos");
    for key in hostile() {
        bucket.put(key, "bytes");
    }
    let listing = bucket.open(&bucket.inventories().await.unwrap()[0]).await.unwrap();
    let strip = |entries: Vec<Entry>| -> Vec<Entry> {
        entries.into_iter().map(|entry| Entry { version: None, ..entry }).collect()
    };
    for format in [InventoryFormat::Csv, InventoryFormat::Parquet] {
        let vault = Arc::new(MemoryVault::new());
        create_inventory(&*listing, &*vault, &options(format), &SeededEntropy::new(7)).await.unwrap();
        let reader = ManifestReader::new(vault, "inv", BASE);
        let info = reader.inventories().await.unwrap().remove(0);
        assert_eq!((info.versions, info.bucket.as_str()), (InventoryVersions::Current, "photos"));
        let read = read_all(&*reader.open(&info).await.unwrap()).await.unwrap();
        assert_eq!(strip(read), strip(read_all(&*listing).await.unwrap()));
    }
}

#[tokio::test]
async fn the_layout_is_that_of_s3_and_the_checksum_comes_last() {
    let vault = MemoryVault::new();
    let created = create_inventory(&*original().await, &vault, &options(InventoryFormat::Csv), &SeededEntropy::new(7))
        .await
        .unwrap();
    assert_eq!(created.manifest, "inv/photos/stocktake/2026-03-01T01-00Z/manifest.json");
    let names = vault.names();
    assert!(names.contains(&"inv/photos/stocktake/hive/dt=2026-03-01-01-00/symlink.txt".to_owned()), "{names:?}");
    let symlink = vault.read("inv/photos/stocktake/hive/dt=2026-03-01-01-00/symlink.txt", None).await.unwrap();
    assert_eq!(symlink.split(|byte| *byte == b'\n').count(), 4);
    assert!(symlink.starts_with(b"s3://inventories/inv/photos/stocktake/data/"));
    // The store counts its writes in the times it gives.
    let mut times = Vec::new();
    for name in &names {
        times.push((vault.stat(name).await.unwrap().last_modified, name));
    }
    assert!(times.iter().max().unwrap().1.ends_with("manifest.checksum"), "{times:?}");
}

#[tokio::test]
async fn a_complete_inventory_is_not_replaced_and_an_attempt_is() {
    let (vault, original) = (MemoryVault::new(), original().await);
    let options = options(InventoryFormat::Parquet);
    let create = |seed| {
        let (vault, original, options) = (vault.clone(), Arc::clone(&original), options.clone());
        async move { create_inventory(&*original, &vault, &options, &SeededEntropy::new(seed)).await }
    };
    let first = create(1).await.unwrap();
    let second = create(2).await.unwrap();
    assert!(second.manifest.contains("/2026-03-01T01-01Z/"), "a minute that is taken is left to its owner: {second:?}");
    vault.delete(&first.manifest.replace(".json", ".checksum")).await.unwrap();
    assert_eq!(create(3).await.unwrap().manifest, first.manifest);
    let reader = ManifestReader::new(Arc::new(vault), "", BASE);
    for info in reader.inventories().await.unwrap() {
        assert_eq!(info.not_ready, None);
        assert_eq!(read_all(&*reader.open(&info).await.unwrap()).await.unwrap().len(), 2_000);
    }
}

#[tokio::test]
async fn an_inventory_that_fails_to_be_read_leaves_nothing_that_looks_ready() {
    let source = MemoryVault::new();
    let spec = InventorySpec { rows_per_file: 900, ..InventorySpec::new(Shape::S3Csv) };
    let files = write(&source, &spec, Synthetic::new(2_000).before()).await.files;
    let reader = ManifestReader::new(Arc::new(source.clone()), "", "s3://elsewhere");
    let opened = reader.open(&reader.inventories().await.unwrap()[0]).await.unwrap();
    source.tamper(&files[2], "no longer gzip");
    let vault = MemoryVault::new();
    let outcome = create_inventory(&*opened, &vault, &options(InventoryFormat::Csv), &SeededEntropy::new(1)).await;
    assert!(matches!(outcome, Err(Error::InventoryCorrupt { .. })), "{outcome:?}");
    let reader = ManifestReader::new(Arc::new(vault), "", BASE);
    assert_eq!(reader.inventories().await.unwrap(), []);
}

#[tokio::test]
async fn stopped_at_any_call_nothing_looks_ready_and_the_next_attempt_is_whole() {
    let original = original().await;
    for stop in 0.. {
        let store = MemoryVault::new();
        let vault = FaultyVault::new(store.clone());
        vault.plan().stop_at(stop);
        let outcome =
            create_inventory(&*original, &vault, &options(InventoryFormat::Csv), &SeededEntropy::new(1)).await;
        let reader = ManifestReader::new(Arc::new(store.clone()), "", BASE);
        let ready = reader.inventories().await.unwrap().into_iter().filter(|info| info.not_ready.is_none()).count();
        // The checksum is the last that is written; telling of leftovers comes after it.
        let has_checksum = store.names().iter().any(|name| name.ends_with("manifest.checksum"));
        assert_eq!(ready, usize::from(has_checksum), "stopped at call {stop}");
        if let Ok(created) = outcome {
            assert_eq!((created.total.objects, created.leftovers.objects), (2_000, 0));
            return assert!(stop > 6, "{stop}");
        }
        if ready == 0 {
            let again =
                create_inventory(&*original, &store, &options(InventoryFormat::Csv), &SeededEntropy::new(2)).await;
            let again = again.unwrap();
            assert_eq!(again.total.objects, 2_000);
            let info = reader.inventories().await.unwrap().remove(0);
            assert_eq!(read_all(&*reader.open(&info).await.unwrap()).await.unwrap().len(), 2_000);
        }
    }
}

#[tokio::test]
async fn data_that_an_earlier_scan_has_left_is_told_of() {
    let bucket = MemoryBucket::new("photos");
    bucket.put("a", "bytes");
    let vault = MemoryVault::new();
    let listed = async || bucket.open(&bucket.inventories().await.unwrap()[0]).await.unwrap();
    let options = options(InventoryFormat::Csv);
    // The bucket's clock goes on with each object, so that the scans begin at times of their own.
    let first = create_inventory(&*listed().await, &vault, &options, &SeededEntropy::new(1)).await.unwrap();
    vault.delete(&first.manifest.replace(".json", ".checksum")).await.unwrap();
    bucket.put("b", "bytes");
    let second = create_inventory(&*listed().await, &vault, &options, &SeededEntropy::new(2)).await.unwrap();
    assert!(second.created > first.created);
    assert_eq!(second.leftovers, first.files);
    let reader = ManifestReader::new(Arc::new(vault), "", BASE);
    assert_eq!(reader.inventories().await.unwrap().iter().filter(|info| info.not_ready.is_none()).count(), 1);
}

#[tokio::test]
async fn a_million_rows_come_back_as_they_were() {
    const ROWS: u64 = 1_000_000;
    let vault = Arc::new(MemoryVault::new());
    let options = CreateOptions::new("photos", "inventories").with_format(InventoryFormat::Parquet);
    let created = create_inventory(&Made(ROWS), &*vault, &options, &SeededEntropy::new(7)).await.unwrap();
    assert_eq!((created.total.objects, created.files.objects), (ROWS, 4));
    let reader = ManifestReader::new(vault, "", BASE);
    let opened = reader.open(&reader.inventories().await.unwrap()[0]).await.unwrap();
    let mut expected = Synthetic::new(ROWS).before().flat_map(|batch| rows_of(&batch)).peekable();
    for part in 0..opened.parts() {
        let mut batches = opened.read(part);
        while let Some(batch) = batches.try_next().await.unwrap() {
            assert!(rows_of(&batch).into_iter().eq(expected.by_ref().take(batch.len())), "in the order of the rows");
        }
    }
    assert_eq!(expected.peek(), None);
}

/// What a comparison rests on, of each row.
fn rows_of(batch: &EntryBatch) -> Vec<(Vec<u8>, u64, i64, ETagCode, String)> {
    let row = |entry: EntryRef<'_>| {
        let EntryRef { key, size, last_modified, etag, class, .. } = entry;
        (key.to_vec(), size, last_modified.as_millis(), etag.code, class.to_owned())
    };
    batch.iter().map(row).collect()
}

/// A listing of so many entries that nobody holds.
#[derive(Debug)]
struct Made(u64);

impl Inventory for Made {
    fn info(&self) -> &InventoryInfo {
        static INFO: LazyLock<InventoryInfo> = LazyLock::new(|| InventoryInfo {
            bucket: "photos".into(),
            ..InventoryInfo::new(
                Location::new("made:"),
                InventoryFormat::Listing,
                Timestamp::from_millis(1_772_326_800_000),
            )
        });
        &INFO
    }

    fn parts(&self) -> usize {
        1
    }

    fn read(&self, _: usize) -> BoxStream<'static, Result<EntryBatch>> {
        stream::iter(Synthetic::new(self.0).before().map(Ok)).boxed()
    }

    fn read_wanted(&self, part: usize, wanted: KeyFilter) -> BoxStream<'static, Result<EntryBatch>> {
        keep_wanted(self.read(part), wanted)
    }

    fn read_versions(&self, part: usize) -> BoxStream<'static, Result<EntryBatch>> {
        self.read(part)
    }

    fn source_lists(&self) -> u64 {
        0
    }
}

#[tokio::test]
async fn an_empty_source_gives_an_inventory_without_files() {
    let bucket = MemoryBucket::new("photos");
    let listing = bucket.open(&bucket.inventories().await.unwrap()[0]).await.unwrap();
    let vault = MemoryVault::new();
    let created =
        create_inventory(&*listing, &vault, &options(InventoryFormat::Csv), &SeededEntropy::new(1)).await.unwrap();
    assert_eq!(created.files.objects, 0);
    let reader = ManifestReader::new(Arc::new(vault), created.manifest, BASE);
    let info = reader.inventories().await.unwrap().remove(0);
    assert_eq!(reader.open(&info).await.unwrap().parts(), 0);
}
