//! Restores of parts, under each conflict policy, and single objects.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;

use futures::TryStreamExt;
use stocktake_core::memory::MemoryBucket;
use stocktake_core::{ObjectKey, SnapshotId};
use stocktake_engine::filter::FilterRules;
use stocktake_engine::{ConflictPolicy, ContentReader, Restore, RestoreOptions, RestoreReport};
use support::{World, noise};

async fn world() -> (World, SnapshotId) {
    let world = World::new().await;
    for n in 0..300 {
        world.bucket.put(format!("a/{n:03}.txt").as_str(), noise(n, 700 * n as usize % 9000));
    }
    world.bucket.put("b/large", noise(1000, 30 << 20));
    world.bucket.put("b/middle", noise(1001, 3 << 20));
    let snapshot = world.backup().await.unwrap().snapshot.id;
    (world, snapshot)
}

async fn restore(
    world: &World,
    snapshot: SnapshotId,
    to: &Arc<MemoryBucket>,
    options: RestoreOptions,
) -> RestoreReport {
    let snapshot = world.catalog.open(snapshot).await.unwrap();
    Restore::new(&world.vault, snapshot, to.clone()).observer(world.observer.clone()).run(options).await.unwrap()
}

#[tokio::test]
async fn prefixes_globs_and_renaming_select_and_place() {
    let (world, snapshot) = world().await;
    let to = Arc::new(MemoryBucket::new("to"));
    let mut rules = FilterRules::default();
    rules.include = vec!["a/00*".into()];
    let mut options = RestoreOptions::default();
    options.prefixes = vec![b"a/".to_vec()];
    options.filter = Some(rules.compile(stocktake_core::Timestamp::default()).unwrap());
    options.strip_prefix = b"a/".to_vec();
    options.add_prefix = b"//new/".to_vec();
    let report = restore(&world, snapshot, &to, options).await;
    assert_eq!(report.restored.objects, 10);
    assert_eq!(to.get("//new/007.txt"), world.bucket.get("a/007.txt"));
}

#[tokio::test]
async fn no_two_keys_become_one_where_a_prefix_is_stripped() {
    let (world, _) = world().await;
    world.bucket.put("007.txt", "another");
    let snapshot = world.backup().await.unwrap().snapshot.id;
    let to = Arc::new(MemoryBucket::new("to"));
    let mut options = RestoreOptions::default();
    options.strip_prefix = b"a/".to_vec();
    options.conflict = ConflictPolicy::Overwrite;
    let report = restore(&world, snapshot, &to, options).await;
    assert_eq!(to.get("007.txt"), world.bucket.get("a/007.txt"));
    assert!(report.failed.objects > 0);
    assert_eq!(report.restored.objects as usize, to.entries().len());
}

#[tokio::test]
async fn each_policy_does_what_it_says_about_what_is_there() {
    let (world, snapshot) = world().await;
    let cases = [
        (ConflictPolicy::Skip, "mine", 1),
        (ConflictPolicy::Overwrite, "theirs", 0),
        (ConflictPolicy::OverwriteIfDifferent, "theirs", 0),
        (ConflictPolicy::OverwriteIfOlder, "theirs", 0),
        (ConflictPolicy::KeepBoth, "mine", 0),
    ];
    for (policy, winner, skipped) in cases {
        let to = Arc::new(MemoryBucket::new("to"));
        to.put("a/001.txt", "mine");
        let mut options = RestoreOptions::default();
        options.prefixes = vec![b"a/001".to_vec()];
        options.conflict = policy;
        let report = restore(&world, snapshot, &to, options).await;
        assert_eq!(report.skipped.objects, skipped, "{policy:?}");
        let is_mine = to.get("a/001.txt").unwrap() == "mine";
        assert_eq!(is_mine, winner == "mine", "{policy:?}");
        let beside = ObjectKey::from(format!("a/001.txt.restored-{}", snapshot.short()).as_str());
        assert_eq!(to.get(beside).is_some(), policy == ConflictPolicy::KeepBoth);
    }
}

#[tokio::test]
async fn a_dry_run_counts_and_writes_nothing_and_a_second_run_goes_on() {
    let (world, snapshot) = world().await;
    let to = Arc::new(MemoryBucket::new("to"));
    let mut options = RestoreOptions::default();
    options.dry_run = true;
    assert_eq!(restore(&world, snapshot, &to, options).await.restored.objects, 302);
    assert_eq!(to.entries(), []);
    restore(&world, snapshot, &to, RestoreOptions::default()).await;
    to.remove("a/005.txt");
    let again = restore(&world, snapshot, &to, RestoreOptions::default()).await;
    assert_eq!((again.restored.objects, again.skipped.objects), (1, 301));
}

#[tokio::test]
async fn ranges_of_small_and_large_objects_are_exact() {
    let (world, snapshot) = world().await;
    let snapshot = world.catalog.open(snapshot).await.unwrap();
    let reader = ContentReader::new(world.vault.vault.clone(), world.vault.key.clone());
    for key in ["a/010.txt", "b/middle", "b/large"] {
        let rows = snapshot.lookup(&[key.as_bytes()].into_iter().collect()).await.unwrap();
        let row = rows.get(0).to_row();
        let whole = world.bucket.get(key).unwrap();
        let size = whole.len() as u64;
        for range in [0..size, 0..1, size - 1..size, size / 3..size / 2, 5..5] {
            let pieces: Vec<_> = reader.read(&row, Some(range.clone())).try_collect().await.unwrap();
            assert!(pieces.concat() == whole[range.start as usize..range.end as usize], "{key} {range:?}");
        }
        assert!(reader.read(&row, Some(0..size + 1)).try_collect::<Vec<_>>().await.is_err());
    }
}
