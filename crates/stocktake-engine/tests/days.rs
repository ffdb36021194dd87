//! A bucket lives for some days and is backed up each day; every snapshot
//! restores to what the bucket was.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use proptest::prelude::*;
use stocktake_core::{Attributes, ObjectKey, Provenance};
use stocktake_engine::Backup;
use support::{State, World, noise};

/// What happens to the bucket in one step.
#[derive(Clone, Debug)]
enum Step {
    Put { key: Vec<u8>, seed: u64, length: usize, kind: Option<String> },
    Again { key: Vec<u8>, kind: Option<String> },
    Remove { key: Vec<u8> },
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[ab]/[a-d]{1,2}".prop_map(String::into_bytes),
        prop::sample::select(vec![
            b"a/".to_vec(),
            b"a//b".to_vec(),
            b"/a".to_vec(),
            b"../a".to_vec(),
            b"a b+c%2F".to_vec(),
            b"a\nb".to_vec(),
            "日/.".as_bytes().to_vec(),
            vec![b'x'; 1024],
            vec![0xff, 0xfe],
            b"a/./b".to_vec(),
        ]),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let length = prop_oneof![6 => 0_usize..2000, 1 => 200_000_usize..400_000];
    let kind = prop::option::of("text/[a-c]");
    prop_oneof![
        5 => (key(), 0..20_u64, length, kind.clone())
            .prop_map(|(key, seed, length, kind)| Step::Put { key, seed, length, kind }),
        1 => (key(), kind).prop_map(|(key, kind)| Step::Again { key, kind }),
        2 => key().prop_map(|key| Step::Remove { key }),
    ]
}

fn live(world: &World, step: Step) {
    let attributes = |kind| Attributes { content_type: kind, ..Attributes::default() };
    match step {
        Step::Put { key, seed, length, kind } => {
            world.bucket.put_with(ObjectKey::new(key), noise(seed, length), attributes(kind));
        }
        Step::Again { key, kind } => {
            let key = ObjectKey::new(key);
            if let Some(bytes) = world.bucket.get(key.clone()) {
                world.bucket.put_with(key, bytes, attributes(kind));
            }
        }
        Step::Remove { key } => {
            world.bucket.remove(ObjectKey::new(key));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_snapshot_restores_to_the_bucket_of_its_day(
        days in prop::collection::vec(prop::collection::vec(step(), 0..12), 1..6),
        encrypted: bool,
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::with_key(encrypted.then_some([7; 32])).await;
            let mut expected: Vec<(_, State)> = Vec::new();
            for day in days {
                day.into_iter().for_each(|step| live(&world, step));
                let mut options = world.options();
                options.guards.allow_mass_change = true;
                let report = world.backup_with(options).await.unwrap();
                expected.push((report.snapshot.id, world.state()));
            }
            for (snapshot, state) in &expected {
                assert!(&world.restored(*snapshot).await.unwrap() == state);
            }
            assert_eq!(world.verify().await.damage, []);
        });
    }
}

#[tokio::test]
async fn a_day_without_changes_asks_nothing_of_the_source_and_writes_little() {
    let world = World::new().await;
    for n in 0..50 {
        world.bucket.put(format!("k{n}").as_str(), noise(n, 100));
    }
    let first = world.backup().await.unwrap();
    assert_eq!(first.snapshot.summary.counters.copied.objects, 50);
    let before = world.store.names().len();
    let second = world.backup().await.unwrap();
    assert_eq!(second.requests.source_get, 0);
    assert_eq!(second.snapshot.parent, Some(first.snapshot.id));
    assert_eq!(second.changes().unchanged.objects, 50);
    assert!(world.store.names().len() - before <= 8);
    assert_eq!(second.snapshot.state_sum, first.snapshot.state_sum);
}

#[tokio::test]
async fn a_snapshot_tells_what_its_own_job_cost() {
    let world = World::new().await;
    let meter = world.vault.meter.clone();
    for day in 0..3 {
        world.bucket.put(format!("{day}").as_str(), noise(day, 100));
        let (source, inventories) = (world.source.clone(), world.inventories.clone());
        let catalog = world.catalog.clone();
        let (vault, entropy) = (world.vault.clone(), world.entropy.clone());
        let backup = Backup::new(source, inventories, vault, catalog, support::clock(), entropy);
        let report = backup.plan(world.options()).await.unwrap().run().await.unwrap();
        // The flag and the pack before the commit; a segment, its sidecar, the root and the slot with it.
        assert_eq!((report.requests.source_get, report.requests.vault_put), (1, 6), "{day}");
        let counters = report.snapshot.summary.counters;
        assert_eq!((counters.requests.source_get, counters.written.objects), (1, 2));
        assert!(counters.written.bytes < 1500);
    }
    assert_eq!(meter.requests().source_get, 3);
}

#[tokio::test]
async fn an_edited_large_object_stores_only_the_chunks_that_changed() {
    let world = World::new().await;
    let mut bytes = noise(1, 40 << 20).to_vec();
    world.bucket.put("large", bytes.clone());
    let stored = |world: &World| -> usize { world.store.names().len() };
    world.backup().await.unwrap();
    bytes.splice(20 << 20..20 << 20, *b"inserted in the middle");
    world.bucket.put("large", bytes.clone());
    let before = stored(&world);
    let report = world.backup().await.unwrap();
    assert!(report.snapshot.summary.counters.deduplicated.bytes > 24 << 20, "{report:?}");
    assert!(stored(&world) > before);
    assert!(world.restored(report.snapshot.id).await.unwrap() == world.state());
}

#[tokio::test]
async fn equal_objects_are_stored_once() {
    let world = World::new().await;
    for n in 0..20 {
        world.bucket.put(format!("copy{n}").as_str(), noise(1, 300_000));
    }
    let report = world.backup().await.unwrap();
    assert!(report.written.bytes < 500_000, "{:?}", report.written);
    assert_eq!(report.snapshot.summary.counters.deduplicated.objects, 19);
    assert!(world.restored(report.snapshot.id).await.unwrap() == world.state());
}

#[tokio::test]
async fn a_rewrite_of_equal_bytes_copies_none_and_keeps_the_new_metadata() {
    let world = World::new().await;
    world.bucket.put("a", noise(1, 5000));
    world.backup().await.unwrap();
    let attributes = Attributes { content_type: Some("text/plain".into()), ..Attributes::default() };
    world.bucket.put_with("a", noise(1, 5000), attributes.clone());
    let report = world.backup().await.unwrap();
    assert_eq!(report.changes().metadata_changed.objects, 1);
    assert_eq!(report.snapshot.summary.counters.copied.bytes, 0);
    assert_eq!(report.requests.source_get, 1);
    assert_eq!(world.restored(report.snapshot.id).await.unwrap()[&b"a"[..]].1, attributes);
    let rows = world.catalog.open(report.snapshot.id).await.unwrap();
    let row = rows.lookup(&[&b"a"[..]].into_iter().collect()).await.unwrap();
    assert_eq!(row.get(0).provenance, Provenance::Exact);
}
