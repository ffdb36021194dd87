//! What a backup tells at its end.

use serde::{Deserialize, Serialize};
use stocktake_core::{ChangeCounts, RequestCounts, SnapshotRecord, Tally};

use crate::cleanup::InventoryRemoval;
use crate::view::ViewChoice;

/// What a backup did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BackupReport {
    /// The snapshot, with its counters as of the moment before the commit.
    pub snapshot: SnapshotRecord,
    /// Blobs and bytes written to the vault, the commit's included.
    pub written: Tally,
    /// Requests sent, the commit's included.
    pub requests: RequestCounts,
    /// Why the source was seen as it was; `None` where there was nothing to decide.
    pub view: Option<ViewChoice>,
    /// What became of the inventories that were to be removed, oldest first.
    pub removals: Vec<InventoryRemoval>,
}

impl BackupReport {
    /// How the job ended.
    pub fn status(&self) -> JobStatus {
        let all_removed = self.removals.iter().all(|removal| removal.problem.is_none());
        if self.snapshot.summary.counters.failed.objects == 0 && all_removed {
            JobStatus::Completed
        } else {
            JobStatus::CompletedWithIssues
        }
    }

    /// What the comparison found.
    pub fn changes(&self) -> &ChangeCounts {
        &self.snapshot.summary.counters.changes
    }
}

/// How a job ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobStatus {
    /// All was done.
    Completed,
    /// Some objects could not be copied, or inventories not be removed; each was told to the observer.
    CompletedWithIssues,
}
