//! A model of a bucket lives for some days; every snapshot equals the model of its day, for ever.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Mode, commit, empty};
use futures::TryStreamExt;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use stocktake_catalog::VaultCatalog;
use stocktake_core::{BytesColumn, Catalog, KeyRange, RowBatch, SnapshotRecord, Tally};
use stocktake_testkit::states::{self, State};

/// What happens on a day: keys put, with a number that stands for the rest of the row, or deleted.
type Day = std::collections::BTreeMap<u16, Option<u64>>;

fn days() -> impl Strategy<Value = Vec<Day>> {
    let scattered = btree_map(0..200_u16, proptest::option::weighted(0.7, 0..1000_u64), 0..40);
    let cluster = (0..190_u16, vec(proptest::option::weighted(0.4, 0..1000_u64), 1..60))
        .prop_map(|(start, rows)| (start..).zip(rows).collect::<Day>());
    let tail = (150..230_u16, vec(0..1000_u64, 1..60))
        .prop_map(|(start, rows)| (start..).zip(rows.into_iter().map(Some)).collect::<Day>());
    let quiet = Just(Day::new());
    let wiped =
        (0..150_u16, 1..100_u16).prop_map(|(start, keys)| (start..start + keys).map(|key| (key, None)).collect());
    vec(prop_oneof![4 => scattered, 3 => cluster, 2 => tail, 1 => quiet, 1 => wiped], 1..16)
}

fn key(n: u16) -> String {
    format!("{}/{n:04}", ["a", "b", "c", "d"][usize::from(n) / 80])
}

fn live(state: &State, day: &Day) -> State {
    let mut after = state.clone();
    for (n, version) in day {
        match version {
            Some(version) => _ = after.insert(key(*n).as_str().into(), states::row(key(*n).as_str(), *version)),
            None => _ = after.remove(key(*n).as_bytes()),
        }
    }
    after
}

async fn check(catalog: &VaultCatalog, record: &SnapshotRecord, state: &State) {
    let snapshot = catalog.open(record.id).await.unwrap();
    assert_eq!(states::read(&*snapshot, KeyRange::all()).await.unwrap(), *state);
    assert_eq!(record.total, state.values().map(|row| Tally::one(row.entry.size)).sum());
    for range in
        [KeyRange::prefix(b"b/"), KeyRange::new("a/0033", Some("b/0101".into())), KeyRange::new("b/0150", None)]
    {
        let expected = state.iter().filter(|(key, _)| range.contains(key.as_bytes()));
        let expected: State = expected.map(|(key, row)| (key.clone(), row.clone())).collect();
        assert_eq!(states::read(&*snapshot, range).await.unwrap(), expected);
    }
    let wanted: Vec<String> = (0..240).step_by(3).map(key).collect();
    let keys: BytesColumn = wanted.iter().map(|key| key.as_bytes()).collect();
    let found: RowBatch = snapshot.lookup(&keys).await.unwrap();
    let expected = wanted.iter().filter_map(|key| state.get(key.as_bytes()));
    assert!(found.iter().map(|row| row.to_row()).eq(expected.cloned()), "look-up");
}

async fn check_shape(catalog: &VaultCatalog, record: &SnapshotRecord) {
    let options = common::tiny();
    let root = catalog.root(record.id).await.unwrap();
    assert!(root.runs.len() <= options.max_runs, "{} runs", root.runs.len());
    assert!(root.runs.is_sorted_by(|a, b| a.level >= b.level), "levels rise");
    let bases = root.fences.iter().filter_map(|fence| fence.base.as_ref());
    assert!(bases.clone().all(|base| base.rows <= options.max_segment_rows), "a base is too large");
    let empty = root.fences.iter().filter(|fence| fence.base.is_none() && fence.live.objects == 0).count();
    assert!(empty <= bases.count() + 1, "empty fences pile up");
}

async fn live_through(mode: Mode, days: Vec<Day>) {
    let catalog = empty(mode);
    let mut history: Vec<(SnapshotRecord, State)> = Vec::new();
    for (n, day) in (0..).zip(&days) {
        let (parent, before) =
            history.last().map_or((None, State::new()), |(last, state)| (Some(last.id), state.clone()));
        let after = live(&before, day);
        let record = commit(&catalog, n, parent, &before, &after).await.unwrap();
        check_shape(&catalog, &record).await;
        history.push((record, after));
    }
    for (record, state) in &history {
        check(&catalog, record, state).await;
    }
    let ids = history.iter().map(|(record, _)| record.id).collect();
    assert_eq!(catalog.check(ids).try_collect::<Vec<_>>().await.unwrap(), []);
    let (last, state) = history.last().unwrap();
    let scratch = commit(&empty(mode), 0, None, &State::new(), state).await.unwrap();
    assert_eq!(scratch.state_sum, last.state_sum);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_snapshot_is_the_state_of_its_day(days in days(), sealed: bool) {
        let mode = if sealed { Mode::Sealed } else { Mode::Plain };
        stocktake_testkit::conformance::run(live_through(mode, days));
    }
}

#[test]
fn a_long_line_of_small_changes_stays_in_shape() {
    let change = |n: u16| -> Day { (0..4).map(|k| ((n * 37 + k * 53) % 220, Some(u64::from(n)))).collect() };
    let days: Vec<Day> = std::iter::once((0..200).map(|n| (n, Some(0))).collect()).chain((0..40).map(change)).collect();
    stocktake_testkit::conformance::run(live_through(Mode::Plain, days));
}

#[test]
fn new_keys_before_a_place_that_was_emptied_become_a_base() {
    let range = |keys: std::ops::Range<u16>, version: Option<u64>| -> Day { keys.map(|key| (key, version)).collect() };
    // The third letter comes, stands in a base of its own, goes again; then the second letter comes.
    let days = vec![range(0..30, Some(0)), range(160..200, Some(1)), range(160..200, None), range(80..130, Some(2))];
    stocktake_testkit::conformance::run(live_through(Mode::Plain, days));
}
