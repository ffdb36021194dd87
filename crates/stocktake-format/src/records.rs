//! The small documents by which jobs and collectors reach agreement.
//!
//! All are documents ([`encode_document`](crate::encode_document)), written once
//! under a name that carries a job's id. In JSON, with times as RFC 3339 in UTC:
//!
//! - `open/<job>`, the flag of a job, raised before it relies on anything:
//!   `{"job", "kind", "name", "plan", "trigger", "parent", "started", "software"}`.
//!   `kind` is `backup`; `parent` the id of a snapshot or null.
//! - `slots/<job>`, the decision about it. Whoever creates it decides:
//!   `{"commit": {"record": {...}}}` with the snapshot's record, or
//!   `{"abort": {"by": "...", "reason": "..."}}`. There is no other commit point.
//!   A record has the fields of [`SnapshotRecord`], its job's summary in a field `summary`.
//! - `expire/<job>`, the mark that the snapshot of that job is no longer wanted:
//!   `{"expired": "<time>"}`.

use serde::{Deserialize, Serialize};
use stocktake_core::{JobId, JobSpec, JobSummary, RootRef, SnapshotId, SnapshotRecord, Tally, Timestamp, Trigger};

/// The flag of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenFlag {
    /// The job.
    pub job: JobId,
    /// What it does.
    pub kind: JobKind,
    /// The name its snapshot gets.
    pub name: String,
    /// The plan it runs.
    pub plan: String,
    /// What caused it.
    pub trigger: Trigger,
    /// The snapshot it builds on.
    pub parent: Option<SnapshotId>,
    /// When it began.
    pub started: Timestamp,
    /// The version of the software that runs it.
    pub software: String,
}

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum JobKind {
    /// It commits a snapshot of a source.
    Backup,
}

/// The decision about a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "a slot is read, looked at and let go; few are held at a time")]
pub enum Slot {
    /// Its snapshot is committed.
    Commit {
        /// The snapshot.
        #[serde(with = "stored_record")]
        record: SnapshotRecord,
    },
    /// It can't commit any more.
    Abort {
        /// Who decided.
        by: String,
        /// Why.
        reason: String,
    },
}

/// The mark that a snapshot is no longer wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expiry {
    /// When it was marked.
    pub expired: Timestamp,
}

impl OpenFlag {
    /// The flag of a backup job.
    pub fn backup(job: &JobSpec, software: &str) -> Self {
        let JobSpec { id, name, plan, trigger, parent, started } = job.clone();
        Self { job: id, kind: JobKind::Backup, name, plan, trigger, parent, started, software: software.to_owned() }
    }
}

/// The stored form of a record. The summary is a field of its own: numbers of
/// more than 64 bits, as byte totals may be, do not survive serde's flattening.
mod stored_record {
    use super::*;

    #[derive(Serialize, Deserialize)]
    struct StoredRecord {
        id: SnapshotId,
        name: String,
        plan: String,
        trigger: Trigger,
        parent: Option<SnapshotId>,
        started: Timestamp,
        committed: Timestamp,
        total: Tally,
        state_sum: String,
        root: RootRef,
        software: String,
        summary: JobSummary,
    }

    pub(super) fn serialize<S: serde::Serializer>(record: &SnapshotRecord, serializer: S) -> Result<S::Ok, S::Error> {
        let record = record.clone();
        let SnapshotRecord {
            id,
            name,
            plan,
            trigger,
            parent,
            started,
            committed,
            total,
            state_sum,
            root,
            software,
            summary,
        } = record;
        let stored = StoredRecord {
            id,
            name,
            plan,
            trigger,
            parent,
            started,
            committed,
            total,
            state_sum,
            root,
            software,
            summary,
        };
        stored.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<SnapshotRecord, D::Error> {
        let stored = StoredRecord::deserialize(deserializer)?;
        let StoredRecord {
            id,
            name,
            plan,
            trigger,
            parent,
            started,
            committed,
            total,
            state_sum,
            root,
            software,
            summary,
        } = stored;
        Ok(SnapshotRecord {
            id,
            name,
            plan,
            trigger,
            parent,
            started,
            committed,
            total,
            state_sum,
            root,
            software,
            summary,
        })
    }
}
