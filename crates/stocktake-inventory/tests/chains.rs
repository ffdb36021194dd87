//! A full inventory and incremental ones, read as one: the same as a full inventory of that instant, or an error.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use futures::TryStreamExt;
use proptest::prelude::*;
use proptest::sample::select;
use stocktake_core::memory::MemoryVault;
use stocktake_core::{Entry, EntryBatch, InventoryReader, InventoryVersions, Timestamp};
use stocktake_inventory::ManifestReader;
use stocktake_testkit::conformance::run;
use stocktake_testkit::inventories::{Action, History, InventorySpec, Shape, write_delta, write_history};

const BASE: &str = "oss://ops-inventories";
const START: i64 = 1_772_380_800_000;

/// When the base was scanned, and where incremental inventories meet, in seconds after the history's start.
#[derive(Clone, Debug)]
struct Cuts {
    scan: (i64, i64),
    deltas: Vec<i64>,
    /// By how much a delta begins before the one before it ends.
    overlap: i64,
}

fn spec(versions: InventoryVersions, config: &str, at: i64) -> InventorySpec {
    let created = Timestamp::from_millis(START + at * 1000);
    InventorySpec { versions, config: config.into(), created, rows_per_file: 7, ..InventorySpec::new(Shape::OssCsv) }
}

fn history(versioned: bool, steps: Vec<(i64, u8, Action)>) -> History {
    let mut time = START;
    let actions = steps.into_iter().map(|(gap, key, action)| {
        time += gap;
        (time, format!("a/{key} +"), action)
    });
    History::new(versioned, actions.collect())
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        4 => (0..1000_u64).prop_map(Action::Put),
        1 => (0..3_usize).prop_map(Action::Touch),
        2 => Just(Action::Delete),
        2 => (0..3_usize).prop_map(Action::Remove),
    ]
}

fn steps() -> impl Strategy<Value = Vec<(i64, u8, Action)>> {
    proptest::collection::vec((1000..20_000_i64, 0..12_u8, action()), 0..120)
}

fn cuts() -> impl Strategy<Value = Cuts> {
    let lengths = proptest::collection::vec(1..400_i64, 1..5);
    (0..600_i64, select(vec![0, 1, 30, 200]), 0..100_i64, lengths, select(vec![0, 0, 7, 100])).prop_map(
        |(begun, took, before, lengths, overlap)| {
            let mut deltas = vec![begun - before];
            // The first instant that is exact is the end of the scan.
            deltas.push((begun + took).max(begun + 1));
            lengths.into_iter().for_each(|length| deltas.push(deltas[deltas.len() - 1] + length));
            Cuts { scan: (begun, begun + took), deltas, overlap }
        },
    )
}

/// Writes the base and the deltas, and a full inventory of the last instant into a configuration of its own.
async fn write_all(vault: &MemoryVault, history: &History, versions: InventoryVersions, cuts: &Cuts) {
    let at = |second: i64| START + second * 1000;
    let (begun, done) = cuts.scan;
    write_history(vault, &spec(versions, "all", begun), &history.scan(at(begun), at(done))).await;
    for pair in cuts.deltas.windows(2) {
        let start = pair[0] - cuts.overlap;
        let events = history.events(at(start), at(pair[1]));
        write_delta(vault, &spec(versions, "all", begun), at(start), at(pair[1]), &events).await;
    }
    let end = cuts.deltas[cuts.deltas.len() - 1];
    write_history(vault, &spec(versions, "exact", end), &history.versions(at(end))).await;
}

fn reader(vault: &MemoryVault, path: &str) -> ManifestReader {
    ManifestReader::new(Arc::new(vault.clone()), format!("inv/photo-store/{path}"), BASE)
}

/// The newest that is ready, by key.
async fn newest(vault: &MemoryVault, path: &str) -> stocktake_core::Result<(Timestamp, Vec<Entry>)> {
    let reader = reader(vault, path);
    let info = reader.inventories().await?.into_iter().find(|info| info.not_ready.is_none()).unwrap();
    let opened = reader.open(&info).await?;
    assert_eq!(opened.info(), &info);
    let mut entries = Vec::new();
    for part in 0..opened.parts() {
        let batches: Vec<EntryBatch> = opened.read(part).try_collect().await?;
        entries.extend(batches.iter().flat_map(|batch| batch.iter().map(|entry| entry.to_entry()).collect::<Vec<_>>()));
    }
    entries.sort_by(|a, b| a.key.cmp(&b.key));
    Ok((info.created, entries))
}

fn equal_to_a_full_one(history: &History, versions: InventoryVersions, cuts: &Cuts) {
    run(async {
        let vault = MemoryVault::new();
        write_all(&vault, history, versions, cuts).await;
        let chain = newest(&vault, "all/incremental_inventory").await.unwrap();
        assert_eq!(chain, newest(&vault, "exact").await.unwrap());
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_chain_is_what_a_full_inventory_would_be(steps in steps(), cuts in cuts()) {
        equal_to_a_full_one(&history(false, steps), InventoryVersions::Current, &cuts);
    }

    #[test]
    fn a_chain_is_what_a_full_inventory_of_all_versions_would_be(steps in steps(), cuts in cuts()) {
        equal_to_a_full_one(&history(true, steps), InventoryVersions::All, &cuts);
    }

    #[test]
    fn a_bucket_that_never_had_versions_may_be_listed_with_them(steps in steps(), cuts in cuts()) {
        equal_to_a_full_one(&history(false, steps), InventoryVersions::All, &cuts);
    }
}
