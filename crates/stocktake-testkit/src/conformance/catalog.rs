//! The promises of [`Catalog`], its snapshots and its writers.
//! What jobs apply are differences of made-up [`states`](crate::states).

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::TryStreamExt;
use stocktake_core::{
    BytesColumn, Catalog, Content, Error, JobSpec, KeyRange, Result, RowDelta, Snapshot, SnapshotId, SnapshotMode,
    SnapshotRecord, Tally,
};

use super::keys;
use crate::states::{State, batch, difference, job, odd_rows, pack, read, row, state, summary};

/// Makes a test of each promise of a catalog.
///
/// Takes an expression that gives an empty [`Catalog`](stocktake_core::Catalog), or a
/// [`CatalogUnderTest`](crate::conformance::CatalogUnderTest).
#[macro_export]
macro_rules! catalog_conformance {
    ($factory:expr) => {
        $crate::conformance_tests! { catalog, CatalogUnderTest, $factory, [
            an_empty_catalog_has_no_snapshot,
            a_snapshot_reads_back,
            a_record_says_what_the_job_said,
            an_empty_snapshot_is_a_snapshot,
            every_kind_of_row_reads_back,
            nothing_is_visible_before_the_commit,
            a_dropped_writer_leaves_nothing,
            deltas_are_applied_to_the_parent,
            a_delta_may_come_in_pieces,
            an_unchanged_snapshot_equals_its_parent,
            earlier_snapshots_never_change,
            the_state_sum_knows_rows_and_not_history,
            moved_bytes_leave_the_state_sum,
            a_range_yields_exactly_its_rows,
            a_lookup_yields_the_keys_that_exist,
            snapshots_are_listed_oldest_first,
            jobs_on_one_parent_are_independent,
            an_expired_snapshot_is_gone_and_others_stay,
            a_sound_catalog_finds_no_damage,
            a_missing_snapshot_is_not_found,
            a_parent_must_be_there,
            a_name_is_taken_once,
            a_job_commits_once,
            keys_must_ascend,
        ] }
    };
}

/// A catalog, and what must live as long as it does.
pub struct CatalogUnderTest {
    /// The catalog.
    pub catalog: Arc<dyn Catalog>,
    jobs: AtomicU64,
    guard: Vec<Box<dyn Any + Send + Sync>>,
}

impl CatalogUnderTest {
    /// An empty catalog.
    pub fn new(catalog: impl Catalog) -> Self {
        Self { catalog: Arc::new(catalog), jobs: AtomicU64::new(0), guard: Vec::new() }
    }

    /// The same catalog; `guard`, such as a temporary folder, is dropped after it.
    #[must_use]
    pub fn holding(mut self, guard: impl Any + Send + Sync) -> Self {
        self.guard.push(Box::new(guard));
        self
    }

    /// A job that begins a minute after the one before, named by its number.
    pub fn next_job(&self, parent: Option<SnapshotId>) -> JobSpec {
        job(self.jobs.fetch_add(1, Ordering::Relaxed), parent)
    }

    /// Commits `after`, built on `parent`, whose rows are `before`.
    async fn commit(&self, parent: Option<SnapshotId>, before: &str, after: &str) -> SnapshotRecord {
        self.commit_rows(parent, &state(before), &state(after)).await
    }

    async fn commit_rows(&self, parent: Option<SnapshotId>, before: &State, after: &State) -> SnapshotRecord {
        let mut writer = self.catalog.begin(self.next_job(parent)).await.unwrap();
        writer.apply(difference(before, after)).await.unwrap();
        writer.commit(summary()).await.unwrap()
    }

    async fn state_of(&self, snapshot: SnapshotId) -> State {
        let snapshot = self.catalog.open(snapshot).await.unwrap();
        read(&*snapshot, KeyRange::all()).await.unwrap()
    }

    async fn assert_state(&self, snapshot: SnapshotId, expected: &str) {
        assert_eq!(self.state_of(snapshot).await, state(expected));
    }

    async fn listed(&self) -> Vec<SnapshotId> {
        self.catalog.snapshots().await.unwrap().iter().map(|record| record.id).collect()
    }
}

impl<C: Catalog> From<C> for CatalogUnderTest {
    fn from(catalog: C) -> Self {
        Self::new(catalog)
    }
}

impl fmt::Debug for CatalogUnderTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CatalogUnderTest").field("catalog", &self.catalog).finish_non_exhaustive()
    }
}

/// Nothing was committed, so there is nothing.
pub async fn an_empty_catalog_has_no_snapshot(under_test: &CatalogUnderTest) {
    assert_eq!(under_test.catalog.snapshots().await.unwrap(), []);
}

/// Rows and entries of a full snapshot are what was applied.
pub async fn a_snapshot_reads_back(under_test: &CatalogUnderTest) {
    let rows: State =
        (0..1000).map(|n| row(format!("{n:04}").as_str(), n)).map(|row| (row.entry.key.clone(), row)).collect();
    let record = under_test.commit_rows(None, &State::new(), &rows).await;
    let snapshot = under_test.catalog.open(record.id).await.unwrap();
    assert_eq!(snapshot.record(), &record);
    assert!(read(&*snapshot, KeyRange::all()).await.unwrap() == rows);
    let batches: Vec<_> = snapshot.entries().try_collect().await.unwrap();
    let entries: Vec<_> = batches.iter().flat_map(|batch| batch.iter()).map(|entry| entry.to_entry()).collect();
    assert!(entries.iter().eq(rows.values().map(|row| &row.entry)));
}

/// The record holds what the job was and did, and what the rows add up to.
pub async fn a_record_says_what_the_job_said(under_test: &CatalogUnderTest) {
    let full = under_test.commit(None, "", "a=1 b=2").await;
    let next = under_test.commit(Some(full.id), "a=1 b=2", "a=1 c=4").await;
    let expected = job(1, Some(full.id));
    let SnapshotRecord { id, name, plan, trigger, parent, started, total, summary: done, .. } = next.clone();
    assert_eq!((id, name, plan, trigger), (expected.id, expected.name, expected.plan, expected.trigger));
    assert_eq!((parent, started), (Some(full.id), expected.started));
    assert_eq!((total, done), (Tally { objects: 2, bytes: 5 }, summary()));
    assert_eq!((full.mode(), next.mode()), (SnapshotMode::Full, SnapshotMode::Incremental));
    assert_eq!(under_test.catalog.snapshots().await.unwrap(), [full, next]);
}

/// A source may be empty.
pub async fn an_empty_snapshot_is_a_snapshot(under_test: &CatalogUnderTest) {
    let empty = under_test.commit(None, "", "").await;
    assert_eq!(empty.total, Tally::default());
    under_test.assert_state(empty.id, "").await;
    let filled = under_test.commit(Some(empty.id), "", "a=1").await;
    let emptied = under_test.commit(Some(filled.id), "a=1", "").await;
    under_test.assert_state(emptied.id, "").await;
    assert_eq!(emptied.state_sum, empty.state_sum);
}

/// Every value that a row can have comes back exactly.
pub async fn every_kind_of_row_reads_back(under_test: &CatalogUnderTest) {
    let mut rows: State = keys::hostile().into_iter().map(|key| (key.clone(), row(key, 1))).collect();
    for odd in odd_rows() {
        rows.insert(odd.entry.key.clone(), odd);
    }
    let full = under_test.commit_rows(None, &State::new(), &rows).await;
    assert_eq!(under_test.state_of(full.id).await, rows);
    let other = state("~~=1");
    let swapped = under_test.commit_rows(Some(full.id), &rows, &other).await;
    let back = under_test.commit_rows(Some(swapped.id), &other, &rows).await;
    assert_eq!(under_test.state_of(back.id).await, rows);
    assert_eq!(back.state_sum, full.state_sum);
}

/// Neither a begun nor an applied job shows.
pub async fn nothing_is_visible_before_the_commit(under_test: &CatalogUnderTest) {
    let job = under_test.next_job(None);
    let mut writer = under_test.catalog.begin(job.clone()).await.unwrap();
    assert_eq!(writer.job(), job.id);
    writer.apply(difference(&State::new(), &state("a=1"))).await.unwrap();
    assert_eq!(under_test.listed().await, []);
    assert_not_found(under_test.catalog.open(job.id).await);
    writer.commit(summary()).await.unwrap();
    assert_eq!(under_test.listed().await, [job.id]);
}

/// A job that stops before its commit might never have been.
pub async fn a_dropped_writer_leaves_nothing(under_test: &CatalogUnderTest) {
    let full = under_test.commit(None, "", "a=1").await;
    let mut writer = under_test.catalog.begin(under_test.next_job(Some(full.id))).await.unwrap();
    writer.apply(difference(&state("a=1"), &state("a=2"))).await.unwrap();
    drop(writer);
    assert_eq!(under_test.listed().await, [full.id]);
    under_test.assert_state(full.id, "a=1").await;
    let next = under_test.commit(Some(full.id), "a=1", "a=3").await;
    under_test.assert_state(next.id, "a=3").await;
}

/// Rows are added, replaced and taken away; all others stay.
pub async fn deltas_are_applied_to_the_parent(under_test: &CatalogUnderTest) {
    let days = ["", "b=1 d=2 f=3", "a=9 b=1 d=4 f=3", "a=9 c=1 d=4", "a=9 c=1 d=4 e=5 f=6", "f=6", "a=1 f=7"];
    let mut parent = None;
    for (before, after) in days.iter().zip(&days[1..]) {
        let record = under_test.commit(parent, before, after).await;
        under_test.assert_state(record.id, after).await;
        parent = Some(record.id);
    }
}

/// However a delta is cut, the snapshot is the same; an empty piece does nothing.
pub async fn a_delta_may_come_in_pieces(under_test: &CatalogUnderTest) {
    let (before, after) = ("b=1 d=1 f=1 h=1", "a=1 b=1 d=2 g=1 h=1 i=1");
    let full = under_test.commit(None, "", before).await;
    let whole = under_test.commit(Some(full.id), before, after).await;
    let mut writer = under_test.catalog.begin(under_test.next_job(Some(full.id))).await.unwrap();
    for key in ["a", "b", "c", "d", "f", "g", "i"] {
        let only = |text| state(text).into_iter().filter(|(name, _)| name.as_bytes() == key.as_bytes()).collect();
        writer.apply(difference(&only(before), &only(after))).await.unwrap();
    }
    let pieces = writer.commit(summary()).await.unwrap();
    under_test.assert_state(pieces.id, after).await;
    assert_eq!((pieces.state_sum, pieces.total), (whole.state_sum, whole.total));
}

/// A job that found nothing changed commits a snapshot with its parent's rows.
pub async fn an_unchanged_snapshot_equals_its_parent(under_test: &CatalogUnderTest) {
    let full = under_test.commit(None, "", "a=1 b=2").await;
    let writer = under_test.catalog.begin(under_test.next_job(Some(full.id))).await.unwrap();
    let next = writer.commit(summary()).await.unwrap();
    under_test.assert_state(next.id, "a=1 b=2").await;
    assert_eq!((next.state_sum, next.total), (full.state_sum, full.total));
}

/// Whatever is committed or expired later, a snapshot's rows stay; also for one who opened it before.
pub async fn earlier_snapshots_never_change(under_test: &CatalogUnderTest) {
    let days = ["", "a=1 b=1", "a=2 b=1", "b=1 c=1", "c=2", "a=3 c=2"];
    let mut records: Vec<(SnapshotRecord, Arc<dyn Snapshot>, &str)> = Vec::new();
    for (before, after) in days.iter().zip(&days[1..]) {
        let parent = records.last().map(|(record, _, _)| record.id);
        let record = under_test.commit(parent, before, after).await;
        let opened = under_test.catalog.open(record.id).await.unwrap();
        records.push((record, opened, after));
        for (record, opened, rows) in &records {
            assert_eq!(read(&**opened, KeyRange::all()).await.unwrap(), state(rows));
            under_test.assert_state(record.id, rows).await;
        }
    }
}

/// Equal rows give equal sums by whatever way they came; other rows give other sums.
pub async fn the_state_sum_knows_rows_and_not_history(under_test: &CatalogUnderTest) {
    let full = under_test.commit(None, "", "a=1 b=2 c=3").await;
    let start = under_test.commit(None, "", "b=7 d=1").await;
    let line = under_test.commit(Some(start.id), "b=7 d=1", "a=1 b=2 c=3").await;
    assert_eq!(line.state_sum, full.state_sum);
    for other in ["a=1 b=2", "a=1 b=2 c=4", "a=1 b=3 c=2", "a=1 b=2 d=3", "a=1 b=2 c=3 d=4"] {
        let record = under_test.commit(None, "", other).await;
        assert_ne!(record.state_sum, full.state_sum, "{other}");
    }
}

/// The sum is over what the rows say, not over where their bytes lie.
pub async fn moved_bytes_leave_the_state_sum(under_test: &CatalogUnderTest) {
    let before = state("a=1 b=2");
    let mut after = before.clone();
    let moved = after.get_mut(&b"a"[..]).unwrap();
    let Content::Whole { extent, .. } = &mut moved.content else { panic!("rows are whole") };
    extent.pack = pack(17);
    let full = under_test.commit_rows(None, &State::new(), &before).await;
    let next = under_test.commit_rows(Some(full.id), &before, &after).await;
    assert_eq!(next.state_sum, full.state_sum);
    assert_eq!(under_test.state_of(next.id).await, after);
}

/// A range yields the rows whose keys lie in it, of parent and deltas alike.
pub async fn a_range_yields_exactly_its_rows(under_test: &CatalogUnderTest) {
    let (before, after) = ("a=1 a/=1 a/b=1 a/c=1 a0=1 b=1", "a=1 a/b=2 a/c=1 a/d=1 a0=1 b=1 c=1");
    let full = under_test.commit(None, "", before).await;
    let next = under_test.commit(Some(full.id), before, after).await;
    let snapshot = under_test.catalog.open(next.id).await.unwrap();
    let range = |start: &'static str, end: Option<&'static str>| KeyRange::new(start, end.map(Bytes::from));
    let ranges = [
        KeyRange::all(),
        KeyRange::prefix(b"a/"),
        KeyRange::prefix(b"zz"),
        KeyRange::key(b"a"),
        KeyRange::key(b"a/"),
        range("a/b", Some("a/d")),
        range("a/bb", None),
        range("c\0", None),
        range("b", Some("b")),
        range("c", Some("a")),
    ];
    for range in ranges {
        let expected = state(after).into_iter().filter(|(key, _)| range.contains(key.as_bytes())).collect::<State>();
        assert_eq!(read(&*snapshot, range.clone()).await.unwrap(), expected, "{range:?}");
    }
}

/// A look-up finds what is there and passes over what is not.
pub async fn a_lookup_yields_the_keys_that_exist(under_test: &CatalogUnderTest) {
    let (before, after) = ("a=1 b=1 c=1 e=1", "a=1 b=2 d=1 e=1");
    let full = under_test.commit(None, "", before).await;
    let next = under_test.commit(Some(full.id), before, after).await;
    let snapshot = under_test.catalog.open(next.id).await.unwrap();
    for wanted in ["", "a", "c", "a b c d e", "A a0 b c d dd f", "zz"] {
        let keys: BytesColumn = wanted.split_whitespace().map(str::as_bytes).collect();
        let found = snapshot.lookup(&keys).await.unwrap();
        let expected = state(after).into_iter().filter(|(key, _)| keys.iter().any(|wanted| wanted == key.as_bytes()));
        assert_eq!(found, batch(expected.collect()), "{wanted}");
    }
}

/// The order of the list is that of the jobs' ids, which is that of their begin.
pub async fn snapshots_are_listed_oldest_first(under_test: &CatalogUnderTest) {
    let early = under_test.catalog.begin(under_test.next_job(None)).await.unwrap();
    let late = under_test.catalog.begin(under_test.next_job(None)).await.unwrap();
    let late = late.commit(summary()).await.unwrap();
    assert_eq!(under_test.listed().await, [late.id]);
    let early = early.commit(summary()).await.unwrap();
    assert_eq!(under_test.listed().await, [early.id, late.id]);
}

/// Two jobs may build on one parent at the same time; each sees its own rows.
pub async fn jobs_on_one_parent_are_independent(under_test: &CatalogUnderTest) {
    let full = under_test.commit(None, "", "a=1 b=1").await;
    let mut one = under_test.catalog.begin(under_test.next_job(Some(full.id))).await.unwrap();
    let mut two = under_test.catalog.begin(under_test.next_job(Some(full.id))).await.unwrap();
    one.apply(difference(&state("a=1 b=1"), &state("a=2 b=1"))).await.unwrap();
    two.apply(difference(&state("a=1 b=1"), &state("a=1 c=1"))).await.unwrap();
    let (one, two) = futures::join!(one.commit(summary()), two.commit(summary()));
    under_test.assert_state(one.unwrap().id, "a=2 b=1").await;
    under_test.assert_state(two.unwrap().id, "a=1 c=1").await;
    under_test.assert_state(full.id, "a=1 b=1").await;
}

/// An expired snapshot can't be found any more; those built on it keep all their rows.
pub async fn an_expired_snapshot_is_gone_and_others_stay(under_test: &CatalogUnderTest) {
    let full = under_test.commit(None, "", "a=1 b=1").await;
    let next = under_test.commit(Some(full.id), "a=1 b=1", "b=1 c=1").await;
    let last = under_test.commit(Some(next.id), "b=1 c=1", "b=2 c=1").await;
    for expired in [full.id, next.id] {
        under_test.catalog.expire(expired).await.unwrap();
        assert_not_found(under_test.catalog.open(expired).await);
        assert_not_found(under_test.catalog.expire(expired).await);
    }
    assert_eq!(under_test.listed().await, [last.id]);
    under_test.assert_state(last.id, "b=2 c=1").await;
}

/// [`Catalog::check`] yields nothing where nothing is wrong.
pub async fn a_sound_catalog_finds_no_damage(under_test: &CatalogUnderTest) {
    let one = under_test.commit(None, "", "a=1 b=1").await;
    let two = under_test.commit(Some(one.id), "a=1 b=1", "b=2 c=1").await;
    let all: Vec<_> = under_test.catalog.check(Vec::new()).try_collect().await.unwrap();
    assert!(all.is_empty(), "of all: {all:?}");
    let damage: Vec<_> = under_test.catalog.check(vec![one.id, two.id]).try_collect().await.unwrap();
    assert_eq!(damage, []);
}

/// An id that nobody committed is told as such.
pub async fn a_missing_snapshot_is_not_found(under_test: &CatalogUnderTest) {
    let id = under_test.next_job(None).id;
    assert_not_found(under_test.catalog.open(id).await);
    assert_not_found(under_test.catalog.expire(id).await);
    assert_not_found(under_test.catalog.check(vec![id]).try_next().await);
}

/// A job can't build on a snapshot that is not there, or not any more.
pub async fn a_parent_must_be_there(under_test: &CatalogUnderTest) {
    let nobody = under_test.next_job(None).id;
    assert_not_found(under_test.catalog.begin(under_test.next_job(Some(nobody))).await);
    let full = under_test.commit(None, "", "a=1").await;
    under_test.catalog.expire(full.id).await.unwrap();
    assert_not_found(under_test.catalog.begin(under_test.next_job(Some(full.id))).await);
}

/// A name that a snapshot has is refused, at the begin and again at the commit.
pub async fn a_name_is_taken_once(under_test: &CatalogUnderTest) {
    let named = |name: &str| JobSpec { name: name.to_owned(), ..under_test.next_job(None) };
    let late = under_test.catalog.begin(named("x")).await.unwrap();
    let first = under_test.catalog.begin(named("x")).await.unwrap().commit(summary()).await.unwrap();
    assert_name_taken(under_test.catalog.begin(named("x")).await, first.id);
    assert_name_taken(late.commit(summary()).await, first.id);
    assert_eq!(under_test.listed().await, [first.id]);
}

/// The decision about a job is made once.
pub async fn a_job_commits_once(under_test: &CatalogUnderTest) {
    let spec = under_test.next_job(None);
    let commit = |rows: &'static str, name: &str| {
        let spec = JobSpec { name: name.to_owned(), ..spec.clone() };
        async move {
            let mut writer = under_test.catalog.begin(spec).await?;
            writer.apply(difference(&State::new(), &state(rows))).await?;
            writer.commit(summary()).await
        }
    };
    let first = commit("a=1", "first").await.unwrap();
    assert!(commit("a=2", "second").await.is_err());
    assert_eq!(under_test.listed().await, [first.id]);
    under_test.assert_state(first.id, "a=1").await;
}

/// Keys that do not ascend strictly are refused, within a delta and from one to the next.
pub async fn keys_must_ascend(under_test: &CatalogUnderTest) {
    let put = |keys: &[&str]| {
        let mut delta = RowDelta::default();
        keys.iter().for_each(|key| delta.puts.push(&row(*key, 1).as_ref()).unwrap());
        delta
    };
    let pairs = [
        (put(&["b"]), put(&["a"])),
        (put(&["b"]), put(&["b"])),
        (put(&[]), put(&["b", "a"])),
        (put(&[]), put(&["b", "b"])),
    ];
    for (first, second) in pairs {
        let mut writer = under_test.catalog.begin(under_test.next_job(None)).await.unwrap();
        writer.apply(first).await.unwrap();
        let refused = writer.apply(second).await;
        assert!(matches!(refused, Err(Error::InvalidInput { .. })), "{refused:?}");
    }
}

#[track_caller]
fn assert_not_found<T: fmt::Debug>(result: Result<T>) {
    assert!(matches!(result, Err(Error::SnapshotNotFound { .. })), "{result:?}");
}

#[track_caller]
fn assert_name_taken<T: fmt::Debug>(result: Result<T>, by: SnapshotId) {
    assert!(matches!(&result, Err(Error::NameTaken { snapshot, .. }) if *snapshot == by), "{result:?}");
}
