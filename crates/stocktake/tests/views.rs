//! What the umbrella adds to snapshots: levels, lists of keys, and finding the one that is meant.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use futures::TryStreamExt;
use proptest::prelude::*;
use stocktake::memory::{MemoryBucket, MemoryCatalog, MemoryVault};
use stocktake::{
    Backup, BackupOptions, Catalog, Error, KeyRange, Listed, Location, ManualClock, ObjectKey, OnlyKeys, OsEntropy,
    Protection, Snapshot, Timestamp, browse, find_snapshot, init_vault,
};

/// A bucket and the catalog of its backups.
struct World {
    bucket: Arc<MemoryBucket>,
    catalog: Arc<MemoryCatalog>,
    backup: Backup,
}

impl World {
    async fn new() -> Self {
        // A bucket in memory has a clock of its own, which began on the first of January.
        let now = Timestamp::parse_rfc3339("2026-01-02T00:00:00Z").unwrap();
        let (clock, entropy) = (Arc::new(ManualClock::new(now)), Arc::new(OsEntropy));
        let bucket = Arc::new(MemoryBucket::new("photos"));
        let store = Arc::new(MemoryVault::new());
        let vault = init_vault(store, Protection::Unencrypted, &*clock, &*entropy).await.unwrap();
        let catalog = Arc::new(MemoryCatalog::new());
        let backup = Backup::new(bucket.clone(), bucket.clone(), vault, catalog.clone(), clock, entropy);
        Self { bucket, catalog, backup }
    }

    async fn back_up(&self, name: &str) -> Arc<dyn Snapshot> {
        let mut options = BackupOptions::new(Location::new("memory:photos"));
        options.name = Some(name.to_owned());
        let report = self.backup.clone().plan(options).await.unwrap().run().await.unwrap();
        self.catalog.open(report.snapshot.id).await.unwrap()
    }

    /// A snapshot with these keys.
    async fn snapshot(keys: &[&str]) -> Arc<dyn Snapshot> {
        let world = Self::new().await;
        keys.iter().for_each(|key| drop(world.bucket.put(*key, "bytes")));
        world.back_up("one").await
    }
}

/// The items of a level as text; a prefix ends in its delimiter and a star.
async fn items(snapshot: &Arc<dyn Snapshot>, prefix: &str) -> Vec<String> {
    let items = browse(snapshot.clone(), prefix.as_bytes(), b'/');
    let texts = items.map_ok(|item| match item {
        Listed::Object(row) => row.entry.key.to_string(),
        Listed::Folder(prefix) => format!("{}*", ObjectKey::new(prefix)),
    });
    texts.try_collect().await.unwrap()
}

#[tokio::test]
async fn a_level_shows_its_objects_and_folders_each_once() {
    let snapshot = World::snapshot(&["a", "a/", "a/1", "a/2/x", "a/2/y", "a/3", "a0", "b//c", "z/z"]).await;
    assert_eq!(items(&snapshot, "").await, ["a", "a/*", "a0", "b/*", "z/*"]);
    assert_eq!(items(&snapshot, "a/").await, ["a/", "a/1", "a/2/*", "a/3"]);
    assert_eq!(items(&snapshot, "b/").await, ["b//*"]);
    assert_eq!(items(&snapshot, "a").await, ["a", "a/*", "a0"]);
    assert!(items(&snapshot, "nothing").await.is_empty());
}

#[tokio::test]
async fn a_folder_that_goes_on_over_many_batches_is_passed_over() {
    let world = World::new().await;
    for number in 0..20_000 {
        world.bucket.put(format!("big/{number:05}").as_str(), "");
    }
    world.bucket.put("after", "");
    world.bucket.put("bigger", "");
    let snapshot = world.back_up("one").await;
    assert_eq!(items(&snapshot, "").await, ["after", "big/*", "bigger"]);
    assert_eq!(items(&snapshot, "big/").await.len(), 20_000);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn a_level_is_what_a_plain_grouping_gives(
        keys in proptest::collection::btree_set("[a/b]{1,5}", 1..30),
        prefix in "[a/b]{0,2}",
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let keys: Vec<_> = keys.iter().map(String::as_str).collect();
            let snapshot = World::snapshot(&keys).await;
            let below = keys.iter().filter_map(|key| key.strip_prefix(&prefix));
            let mut expected: Vec<_> = below
                .map(|rest| match rest.split_once('/') {
                    Some((folder, _)) => format!("{prefix}{folder}/*"),
                    None => format!("{prefix}{rest}"),
                })
                .collect();
            expected.dedup();
            assert_eq!(items(&snapshot, &prefix).await, expected);
        });
    }
}

#[tokio::test]
async fn a_list_of_keys_narrows_a_snapshot() {
    let snapshot = World::snapshot(&["a", "b", "c", "d"]).await;
    let keys = ["d", "b", "x", "b"].map(ObjectKey::from).to_vec();
    let only = OnlyKeys::new(snapshot, keys);
    let keys_in = async |range: KeyRange| {
        let batches: Vec<_> = only.rows(range).try_collect().await.unwrap();
        let keys = batches.iter().flat_map(|batch| (0..batch.len()).map(|row| ObjectKey::from(batch.key(row))));
        keys.map(|key| key.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(keys_in(KeyRange::all()).await, ["b", "d"]);
    assert_eq!(keys_in(KeyRange::prefix(b"d")).await, ["d"]);
    assert!(keys_in(KeyRange::prefix(b"c")).await.is_empty());
    assert_eq!(only.missing().await.unwrap(), [ObjectKey::from("x")]);
    let asked = [&b"a"[..], b"b"].into_iter().collect();
    assert_eq!(only.lookup(&asked).await.unwrap().len(), 1);
    let entries: Vec<_> = only.entries().try_collect().await.unwrap();
    assert_eq!(entries.iter().map(|batch| batch.len()).sum::<usize>(), 2);
}

#[tokio::test]
async fn a_snapshot_is_found_by_id_part_of_it_name_and_age() {
    let world = World::new().await;
    world.bucket.put("a", "1");
    let first = world.back_up("first").await;
    world.bucket.put("a", "2");
    let second = world.back_up("second").await;
    let find = async |text: &str| find_snapshot(&*world.catalog, text).await.map(|record| record.name);
    let (id, id_of_second) = (first.record().id, second.record().id);
    for text in [id.to_string(), id.short(), "first".to_owned()] {
        assert_eq!(find(&text).await.unwrap(), "first", "{text}");
    }
    assert_eq!(find("latest").await.unwrap(), "second");
    assert_eq!(find(&id_of_second.short()).await.unwrap(), "second");
    assert!(matches!(find("third").await, Err(Error::SnapshotNotFound { .. })));
    assert!(matches!(find("").await, Err(Error::SnapshotNotFound { .. })));
    // Both ids begin with the time at which their jobs began, which is nearly the same.
    let shared = &id.to_string()[..6];
    assert!(matches!(find(shared).await, Err(Error::InvalidInput { .. })));
}
