//! A catalog in memory: a whole map of rows for every snapshot.
//!
//! A snapshot owns its rows, shares nothing and is never changed, so it is
//! stable and independent by construction. One lock makes a commit atomic.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};

use super::Ticker;
use crate::{
    BATCH_ROWS, BytesColumn, Catalog, CatalogDamage, Content, EntryBatch, Error, JobId, JobSpec, JobSummary, KeyRange,
    Location, ObjectKey, Result, RootRef, Row, RowBatch, RowDelta, Snapshot, SnapshotId, SnapshotRecord,
    SnapshotWriter, Tally,
};

/// A [`Catalog`] in memory. Clones share what they hold.
#[derive(Clone, Default)]
pub struct MemoryCatalog {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    snapshots: BTreeMap<SnapshotId, Arc<MemorySnapshot>>,
    expired: BTreeMap<SnapshotId, Arc<MemorySnapshot>>,
    ticker: Ticker,
}

type Rows = BTreeMap<ObjectKey, Row>;

struct MemorySnapshot {
    record: SnapshotRecord,
    rows: Rows,
}

struct MemoryWriter {
    catalog: MemoryCatalog,
    job: JobSpec,
    rows: Rows,
    last_key: Option<ObjectKey>,
}

impl MemoryCatalog {
    /// An empty catalog.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, id: SnapshotId) -> Result<Arc<MemorySnapshot>> {
        self.state().snapshots.get(&id).cloned().ok_or_else(|| Error::SnapshotNotFound {
            snapshot: id.to_string(),
            location: Location::new(self.to_string()),
        })
    }
}

impl State {
    fn check_name(&self, name: &str) -> Result<()> {
        match self.snapshots.values().find(|snapshot| snapshot.record.name == name) {
            Some(taken) => Err(Error::NameTaken { name: name.to_owned(), snapshot: taken.record.id }),
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Catalog for MemoryCatalog {
    async fn snapshots(&self) -> Result<Vec<SnapshotRecord>> {
        Ok(self.state().snapshots.values().map(|snapshot| snapshot.record.clone()).collect())
    }

    async fn open(&self, snapshot: SnapshotId) -> Result<Arc<dyn Snapshot>> {
        Ok(self.find(snapshot)?)
    }

    async fn begin(&self, job: JobSpec) -> Result<Box<dyn SnapshotWriter>> {
        let rows = job.parent.map_or_else(|| Ok(Rows::new()), |parent| Ok(self.find(parent)?.rows.clone()))?;
        self.state().check_name(&job.name)?;
        Ok(Box::new(MemoryWriter { catalog: self.clone(), job, rows, last_key: None }))
    }

    fn check(&self, snapshots: Vec<SnapshotId>) -> BoxStream<'static, Result<CatalogDamage>> {
        let missing = snapshots.into_iter().find_map(|snapshot| self.find(snapshot).err());
        stream::iter(missing.map(Err)).boxed()
    }

    async fn expire(&self, snapshot: SnapshotId) -> Result<()> {
        let expired = self.find(snapshot)?;
        let mut state = self.state();
        state.snapshots.remove(&snapshot);
        state.expired.insert(snapshot, expired);
        Ok(())
    }
}

#[async_trait]
impl Snapshot for MemorySnapshot {
    fn record(&self) -> &SnapshotRecord {
        &self.record
    }

    fn rows(&self, range: KeyRange) -> BoxStream<'static, Result<RowBatch>> {
        if range.end().is_some_and(|end| end <= range.start()) {
            return stream::empty().boxed();
        }
        let rows: Vec<_> = self.rows.range::<[u8], _>(range.bounds()).map(|(_, row)| row).collect();
        let batches = rows.chunks(BATCH_ROWS).map(|rows| batch(rows.iter().copied()));
        stream::iter(batches.collect::<Vec<_>>()).boxed()
    }

    fn entries(&self) -> BoxStream<'static, Result<EntryBatch>> {
        self.rows(KeyRange::all()).map(|batch| Ok(batch?.entries().clone())).boxed()
    }

    async fn lookup(&self, keys: &BytesColumn) -> Result<RowBatch> {
        batch(keys.iter().filter_map(|key| self.rows.get(key)))
    }
}

#[async_trait]
impl SnapshotWriter for MemoryWriter {
    fn job(&self) -> JobId {
        self.job.id
    }

    async fn apply(&mut self, delta: RowDelta) -> Result<()> {
        let puts = delta.puts.entries().columns();
        for keys in [&puts.keys, &delta.deletes] {
            let after_last = keys
                .iter()
                .next()
                .is_none_or(|first| self.last_key.as_ref().is_none_or(|last| last.as_bytes() < first));
            if !after_last || !keys.iter().is_sorted_by(|a, b| a < b) {
                return Err(Error::invalid("the keys of deltas do not ascend"));
            }
        }
        let last = puts.keys.iter().last().max(delta.deletes.iter().last());
        self.last_key = last.map(ObjectKey::from).or(self.last_key.take());
        for row in delta.puts.iter() {
            self.rows.insert(ObjectKey::from(row.entry.key), row.to_row());
        }
        for key in delta.deletes.iter() {
            self.rows.remove(key);
        }
        Ok(())
    }

    async fn commit(self: Box<Self>, summary: JobSummary) -> Result<SnapshotRecord> {
        let Self { catalog, job, rows, .. } = *self;
        let mut state = catalog.state();
        let decided = state.snapshots.contains_key(&job.id) || state.expired.contains_key(&job.id);
        if decided {
            return Err(Error::JobAborted { job: job.id, reason: "it has committed already".to_owned() });
        }
        state.check_name(&job.name)?;
        let record = SnapshotRecord {
            id: job.id,
            name: job.name,
            plan: job.plan,
            trigger: job.trigger,
            parent: job.parent,
            started: job.started,
            committed: state.ticker.tick(),
            total: rows.values().map(|row| Tally::one(row.entry.size)).sum(),
            state_sum: state_sum(&rows),
            root: RootRef { name: "memory".to_owned(), hash: String::new() },
            software: env!("CARGO_PKG_VERSION").to_owned(),
            summary,
        };
        state.snapshots.insert(job.id, Arc::new(MemorySnapshot { record: record.clone(), rows }));
        Ok(record)
    }
}

fn batch<'a>(rows: impl Iterator<Item = &'a Row>) -> Result<RowBatch> {
    rows.map(Row::as_ref).try_fold(RowBatch::default(), |mut batch, row| {
        batch.push(&row)?;
        Ok(batch)
    })
}

/// A hash over everything about the rows but where their bytes are.
fn state_sum(rows: &Rows) -> String {
    let mut hasher = blake3::Hasher::new();
    for Row { entry, content, provenance, attributes } in rows.values() {
        let hash = match content {
            Content::Absent => "absent".to_owned(),
            Content::Empty => "empty".to_owned(),
            Content::Whole { hash, .. } | Content::Chunked { hash, .. } => hash.to_string(),
        };
        hasher.update(format!("{entry:?} {hash} {provenance:?} {attributes:?}\n").as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

impl fmt::Display for MemoryCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("memory:")
    }
}

impl fmt::Debug for MemoryCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryCatalog").field("snapshots", &self.state().snapshots.len()).finish()
    }
}

impl fmt::Debug for MemorySnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemorySnapshot").field("record", &self.record).finish_non_exhaustive()
    }
}

impl fmt::Debug for MemoryWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryWriter").field("job", &self.job).finish_non_exhaustive()
    }
}
