//! The record of all snapshots and their rows.

use std::fmt::{Debug, Display};
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};

use crate::{
    BytesColumn, ChangeCounts, JobId, KeyRange, Location, RequestCounts, Result, RowBatch, SnapshotId, Tally, Timestamp,
};

/// The snapshots of a vault, each a sorted table of rows.
///
/// # Contract
/// An implementation promises:
/// - **Atomic.** A snapshot appears whole, when [`SnapshotWriter::commit`] succeeds, or not at all.
/// - **Stable.** A committed snapshot's rows never change, whatever is committed or expired beside it.
/// - **Independent.** Jobs may run at once, from several machines, also of one plan.
/// - **Cheap.** A commit costs in proportion to what changed; a look-up reads a few blobs.
///
/// # Cancel safety
/// A dropped future of `commit` leaves it open whether the snapshot is
/// committed, and one of `expire` whether it is expired; listing the snapshots tells. One of `begin`, or a
/// writer, leaves at most a flag and blobs that nothing refers to. Dropping anything else changes nothing.
///
/// # Implementing
/// Run `catalog_conformance!` of `stocktake-testkit`, which the repository holds, against it.
#[async_trait]
pub trait Catalog: Debug + Display + Send + Sync + 'static {
    /// The committed snapshots that are not expired, oldest first by id.
    async fn snapshots(&self) -> Result<Vec<SnapshotRecord>>;

    /// Opens a snapshot for reading.
    ///
    /// # Errors
    /// [`SnapshotNotFound`](crate::Error::SnapshotNotFound), [`BlobDamaged`](crate::Error::BlobDamaged).
    async fn open(&self, snapshot: SnapshotId) -> Result<Arc<dyn Snapshot>>;

    /// Begins a job that will commit one snapshot. Raises the job's flag, so that nothing it builds on is collected.
    ///
    /// # Errors
    /// - [`SnapshotNotFound`](crate::Error::SnapshotNotFound): the parent is not there.
    /// - [`NameTaken`](crate::Error::NameTaken): a snapshot has the name.
    async fn begin(&self, job: JobSpec) -> Result<Box<dyn SnapshotWriter>>;

    /// Checks all that the rows of some snapshots rest on, of all when none is named, and recomputes what says which
    /// rows are there. Yields what is damaged or missing, snapshot after snapshot; nothing for a sound catalog.
    ///
    /// A snapshot whose record can't be read is in no list; where all are checked, it is named all the same.
    ///
    /// What snapshots share is read once. Only what the catalog itself keeps is looked into, not where the rows point to.
    ///
    /// # Errors
    /// The stream ends in [`SnapshotNotFound`](crate::Error::SnapshotNotFound), or in what keeps the check from going
    /// on: the store does not answer, or refuses.
    fn check(&self, snapshots: Vec<SnapshotId>) -> BoxStream<'static, Result<CatalogDamage>>;

    /// Marks a snapshot as no longer wanted: it leaves the list, and what only it needs may be collected later.
    ///
    /// # Errors
    /// [`SnapshotNotFound`](crate::Error::SnapshotNotFound).
    async fn expire(&self, snapshot: SnapshotId) -> Result<()>;
}

/// Something wrong with what a catalog keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogDamage {
    /// The snapshot that rests on it.
    pub snapshot: SnapshotId,
    /// The blob that is damaged or missing.
    pub blob: String,
    /// What is wrong with it.
    pub problem: String,
    /// The keys whose rows in the snapshot can't be relied on. Empty when all rows can be read all the same.
    pub keys: Vec<KeyRange>,
}

/// One snapshot, open for reading: rows in strictly ascending key order.
#[async_trait]
pub trait Snapshot: Debug + Send + Sync + 'static {
    /// The snapshot's record.
    fn record(&self) -> &SnapshotRecord;

    /// Streams the rows in a range of keys, ascending.
    fn rows(&self, range: KeyRange) -> BoxStream<'static, Result<RowBatch>>;

    /// Streams the entries of all rows, ascending, without their contents: what a
    /// comparison needs, at about half the reading.
    fn entries(&self) -> BoxStream<'static, Result<crate::EntryBatch>>;

    /// The rows of those of `keys` that exist, ascending. `keys` ascend strictly.
    ///
    /// Meant for batches: neighbouring keys share what is read.
    async fn lookup(&self, keys: &BytesColumn) -> Result<RowBatch>;
}

/// Writes the one snapshot of a job.
///
/// The new snapshot is the parent's rows with the applied deltas; without a
/// parent, the puts alone.
#[async_trait]
pub trait SnapshotWriter: Debug + Send {
    /// The job.
    fn job(&self) -> JobId;

    /// Takes the next rows that differ from the parent. The blobs they point to are durable already.
    ///
    /// # Errors
    /// - [`InvalidInput`](crate::Error::InvalidInput): keys don't ascend strictly, within the delta or from the last one on.
    /// - What the store says. After any error the writer is of no more use.
    async fn apply(&mut self, delta: RowDelta) -> Result<()>;

    /// Makes the snapshot visible. The only moment at which it comes to be.
    ///
    /// # Errors
    /// - [`JobAborted`](crate::Error::JobAborted): the job lost its slot. Nothing was committed.
    /// - [`NameTaken`](crate::Error::NameTaken): a snapshot committed meanwhile has the name.
    /// - [`BlobDamaged`](crate::Error::BlobDamaged): what was written does not add up. Nothing was committed.
    async fn commit(self: Box<Self>, summary: JobSummary) -> Result<SnapshotRecord>;
}

/// Rows that differ from the parent, all within one range of keys.
#[derive(Clone, Debug, Default)]
pub struct RowDelta {
    /// Rows that are new or replaced, ascending by key.
    pub puts: RowBatch,
    /// Keys that are gone, ascending. None of them is in `puts`.
    pub deletes: BytesColumn,
    /// The parent's row for every key of `deletes` and for every key of `puts` that the parent has, ascending.
    pub previous: RowBatch,
}

/// What a job is, known when it begins.
#[derive(Clone, Debug)]
pub struct JobSpec {
    /// The job's id, and its snapshot's.
    pub id: JobId,
    /// The name its snapshot gets. No other snapshot may have it when the job begins and when it commits; of two jobs
    /// that commit at the same moment, both may.
    pub name: String,
    /// The plan it runs; the snapshots of a plan form a line.
    pub plan: String,
    /// What caused it.
    pub trigger: Trigger,
    /// The snapshot it builds on; `None` for a full one.
    pub parent: Option<SnapshotId>,
    /// When it began.
    pub started: Timestamp,
}

/// What a job did, known when it commits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSummary {
    /// What was backed up.
    pub scope: Scope,
    /// Begin of the scan that the snapshot rests on.
    pub as_of_start: Timestamp,
    /// When the last object was copied. Within the two, each object is as it was at some moment.
    pub as_of_end: Timestamp,
    /// What told which objects exist.
    pub inventory: InventoryUse,
    /// How all rows relate to the inventory.
    pub counters: JobCounters,
}

/// What a snapshot covers. A change of it makes the next comparison a full one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// The source as people write it, without credentials.
    pub source: Location,
    /// Only keys with this prefix were in scope; empty for all. Bytes that are not printable ASCII
    /// stand as `\xNN`, and quotes and backslashes behind a backslash.
    pub path: String,
    /// Filters in force, as the caller wrote them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<String>,
}

/// The inventory or listing that a snapshot rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryUse {
    /// Where it is, or what was listed.
    pub location: Location,
    /// When its scan began.
    pub created: Timestamp,
    /// How it is written.
    pub format: crate::InventoryFormat,
    /// Which versions it lists.
    pub versions: crate::InventoryVersions,
    /// Its fields.
    pub fields: Vec<String>,
    /// What it was confined to, where it said so.
    #[serde(default, skip_serializing_if = "crate::Coverage::is_unconfined")]
    pub coverage: crate::Coverage,
}

/// What a job counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct JobCounters {
    /// What the comparison found.
    pub changes: ChangeCounts,
    /// Objects read from the source, and the bytes read.
    pub copied: Tally,
    /// Of those copied: objects whose bytes are not the version the inventory listed.
    pub newer: Tally,
    /// Changed since they were listed, and left as the parent has them because that was asked for.
    pub skipped: Tally,
    /// Listed, but gone when they were to be copied.
    pub vanished: Tally,
    /// In an archive class, so listed without bytes.
    pub archived: Tally,
    /// Could not be copied.
    pub failed: Tally,
    /// Blobs written to the vault, and their bytes.
    pub written: Tally,
    /// Objects or chunks whose bytes were in the vault already.
    pub deduplicated: Tally,
    /// Requests sent.
    pub requests: RequestCounts,
    /// Repeated calls.
    pub retries: u64,
}

/// What caused a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// Somebody asked for it.
    Manual,
    /// A schedule did.
    Scheduled,
}

/// How a snapshot came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SnapshotMode {
    /// From the inventory alone.
    Full,
    /// From the parent and what changed.
    Incremental,
}

/// The record of a committed snapshot. Consoles call it a backup, backup point or recovery point.
#[doc(alias = "backup")]
#[doc(alias = "backup point")]
#[doc(alias = "recovery point")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotRecord {
    /// Its identity.
    pub id: SnapshotId,
    /// Its name, for people. Unique in the vault, but for jobs that committed at the same moment.
    pub name: String,
    /// The plan whose line it belongs to.
    pub plan: String,
    /// What caused it.
    pub trigger: Trigger,
    /// The snapshot it builds on.
    pub parent: Option<SnapshotId>,
    /// When its job began.
    pub started: Timestamp,
    /// When it was committed.
    pub committed: Timestamp,
    /// Everything in it.
    pub total: Tally,
    /// The sum over all its rows: equal for equal rows, whatever blobs hold them. Hexadecimal.
    pub state_sum: String,
    /// The root blob, and its hash in hexadecimal.
    pub root: RootRef,
    /// The version of the software that wrote it.
    pub software: String,
    /// What its job did.
    pub summary: JobSummary,
}

impl SnapshotRecord {
    /// Whether it was made from the inventory alone or builds on a parent.
    pub fn mode(&self) -> SnapshotMode {
        if self.parent.is_none() { SnapshotMode::Full } else { SnapshotMode::Incremental }
    }
}

/// Which blob is the root of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootRef {
    /// Name of the blob.
    pub name: String,
    /// BLAKE3 of its stored bytes, in hexadecimal.
    pub hash: String,
}
