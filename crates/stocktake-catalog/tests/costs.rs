//! What the catalog writes and reads is in proportion to what was asked.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Mode, WatchedVault, commit, open, rows, tiny};
use futures::TryStreamExt;
use stocktake_catalog::{CatalogOptions, Listed, VaultCatalog, browse};
use stocktake_core::{BytesColumn, Catalog, SnapshotRecord};
use stocktake_testkit::conformance::run;
use stocktake_testkit::states::{self, State};

async fn full(vault: &WatchedVault, options: CatalogOptions, state: &State) -> (VaultCatalog, SnapshotRecord) {
    let catalog = open(vault.clone(), Mode::Plain, options);
    let record = commit(&catalog, 0, None, &State::new(), state).await.unwrap();
    *vault.watch() = Default::default();
    (catalog, record)
}

#[test]
fn an_unchanged_job_creates_three_blobs() {
    run(async {
        let (vault, state) = (WatchedVault::default(), rows(0..500, 0));
        let (catalog, parent) = full(&vault, tiny(), &state).await;
        commit(&catalog, 1, Some(parent.id), &state, &state).await.unwrap();
        let watch = vault.watch();
        assert_eq!(watch.created.len(), 3, "{:?}", watch.created);
        // Flags and marks are listed at the begin and before the commit; of blobs only the root is read.
        assert_eq!((watch.lists, watch.reads.len()), (4, 1), "{:?}", watch.reads);
    });
}

#[test]
fn a_job_with_one_change_creates_few_blobs() {
    run(async {
        let (vault, state) = (WatchedVault::default(), rows(0..500, 0));
        let (catalog, parent) = full(&vault, CatalogOptions::default(), &state).await;
        let mut after = state.clone();
        after.extend(rows([250], 9));
        commit(&catalog, 1, Some(parent.id), &state, &after).await.unwrap();
        assert!(vault.watch().created.len() <= 5, "{:?}", vault.watch().created);
    });
}

#[test]
fn a_cold_look_up_reads_slot_root_tail_and_one_row_group() {
    run(async {
        let (vault, state) = (WatchedVault::default(), rows(0..5000, 0));
        let options = CatalogOptions::default().with_segment_rows(100, 500, 1000).with_group_rows(64, 64);
        let (_, record) = full(&vault, options, &state).await;
        let cold = open(vault.clone(), Mode::Plain, CatalogOptions::default());
        let snapshot = cold.open(record.id).await.unwrap();
        let found = snapshot.lookup(&[&b"key/02500"[..]].into_iter().collect::<BytesColumn>()).await.unwrap();
        assert_eq!(found.len(), 1);
        let reads = vault.watch().reads.clone();
        assert_eq!(reads.len(), 4, "{reads:?}");
        assert!(reads.iter().map(|(_, bytes)| bytes).sum::<usize>() < 40_000, "{reads:?}");
    });
}

#[test]
fn a_scan_from_a_key_reads_from_there() {
    run(async {
        let (vault, state) = (WatchedVault::default(), rows(0..5000, 0));
        let options = CatalogOptions::default().with_segment_rows(100, 500, 1000).with_group_rows(64, 64);
        let (catalog, record) = full(&vault, options, &state).await;
        let snapshot = catalog.open(record.id).await.unwrap();
        let mut rows = snapshot.rows(stocktake_core::KeyRange::new("key/02500", None));
        assert_eq!(rows.try_next().await.unwrap().unwrap().key(0), b"key/02500");
        drop(rows);
        assert!(vault.watch().reads.len() <= 8, "{:?}", vault.watch().reads);
    });
}

#[test]
fn a_listing_of_folders_does_not_read_what_is_in_them() {
    run(async {
        let (vault, mut state) = (WatchedVault::default(), State::new());
        for folder in ["a", "b", "c"] {
            for n in 0..2000_u64 {
                let row = states::row(format!("{folder}/{n:05}").as_str(), n);
                state.insert(row.entry.key.clone(), row);
            }
        }
        let object = states::row("b.txt", 1);
        state.insert(object.entry.key.clone(), object.clone());
        let options = CatalogOptions::default().with_segment_rows(100, 500, 1000).with_group_rows(64, 64);
        let (catalog, record) = full(&vault, options, &state).await;
        let snapshot = catalog.open(record.id).await.unwrap();
        let listed: Vec<_> = browse(snapshot.clone(), b"", b'/').try_collect().await.unwrap();
        let folder = |name: &'static str| Listed::Folder(name.into());
        assert_eq!(listed, [folder("a/"), Listed::Object(Box::new(object)), folder("b/"), folder("c/")]);
        assert!(vault.watch().reads.len() <= 30, "{}", vault.watch().reads.len());
        let inside: Vec<_> = browse(snapshot, b"b/", b'/').try_collect().await.unwrap();
        assert_eq!(inside.len(), 2000);
    });
}

#[test]
fn a_look_up_of_distant_keys_does_not_open_what_is_between_them() {
    run(async {
        let (vault, state) = (WatchedVault::default(), rows(0..5000, 0));
        let options = CatalogOptions::default().with_segment_rows(100, 500, 1000).with_group_rows(64, 64);
        let (_, record) = full(&vault, options, &state).await;
        let cold = open(vault.clone(), Mode::Plain, CatalogOptions::default());
        let snapshot = cold.open(record.id).await.unwrap();
        let keys: BytesColumn = [&b"key/00001"[..], b"key/04999"].into_iter().collect();
        assert_eq!(snapshot.lookup(&keys).await.unwrap().len(), 2);
        assert_eq!(vault.watch().reads.len(), 6, "{:?}", vault.watch().reads);
    });
}

#[test]
fn rows_behind_the_last_key_become_bases_at_once() {
    run(async {
        let (vault, state) = (WatchedVault::default(), rows(0..500, 0));
        let (catalog, parent) = full(&vault, tiny(), &state).await;
        let mut after = state.clone();
        after.extend(rows(500..600, 0));
        let next = commit(&catalog, 1, Some(parent.id), &state, &after).await.unwrap();
        let (before, after) = (catalog.root(parent.id).await.unwrap(), catalog.root(next.id).await.unwrap());
        assert!(after.runs.is_empty() && after.fences.len() > before.fences.len());
        assert_eq!(after.fences[..before.fences.len()], before.fences);
    });
}

#[test]
fn upkeep_stays_within_its_budget() {
    run(async {
        let (vault, mut state) = (WatchedVault::default(), rows(0..2000, 0));
        let (catalog, mut parent) = full(&vault, tiny(), &state).await;
        let (mut written, changes) = (0, 20);
        for day in 1..30 {
            let mut after = state.clone();
            after.extend(rows((0..changes).map(|n| (n * 97 + day * 31) % 2000), day));
            *vault.watch() = Default::default();
            let next = commit(&catalog, day, Some(parent.id), &state, &after).await.unwrap();
            let root = catalog.root(next.id).await.unwrap();
            let new = |name: &str| vault.watch().created.iter().any(|created| created == name);
            let bases = root.fences.iter().filter_map(|fence| fence.base.as_ref()).filter(|base| new(&base.name));
            written += bases.map(|base| base.rows).sum::<u64>();
            assert!(written <= tiny().rewrite_factor * changes * day, "day {day}: {written} rows");
            (parent, state) = (next, after);
        }
        assert!(written > 0);
    });
}
