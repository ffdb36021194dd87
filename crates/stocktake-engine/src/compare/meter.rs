//! Counting the rows of a side, wherever they are seen.

use std::sync::{Arc, Mutex, PoisonError};

use stocktake_core::{EntryRef, Tally};
use tokio::sync::watch;

use super::identity::{Kind, take_apart};

/// What was seen of one side.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SideTally {
    /// Rows in scope, duplicates among them.
    pub(super) rows: Tally,
    /// Rows outside the source path.
    pub(super) outside: u64,
    /// Rows that a filter left out.
    pub(super) filtered: u64,
    /// Rows left out because another of their key was kept.
    pub(super) duplicates: Duplicates,
}

/// Rows left out because another of their key was kept.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Duplicates {
    /// Rows of the inventory.
    pub(super) rows: Tally,
    /// Those of them that were said to be the latest version.
    latest: u64,
    /// Heads.
    heads: u64,
}

impl Duplicates {
    /// Versions that were said to be the latest, beside the one that is. A row that came twice has two heads.
    pub(super) fn latest_conflicts(&self) -> u64 {
        self.heads.saturating_sub(self.latest)
    }
}

/// Counts for one side; shared by all that read it.
#[derive(Clone, Debug, Default)]
pub(super) struct SideMeter {
    tally: Arc<Mutex<SideTally>>,
    progress: Option<watch::Sender<u64>>,
    /// Whether keys are identities of versions.
    versions: bool,
}

impl SideMeter {
    /// A meter that also tells how many rows have been read.
    pub(super) fn reporting(progress: watch::Sender<u64>) -> Self {
        Self { progress: Some(progress), ..Self::default() }
    }

    /// The same meter, for rows whose keys are identities of versions, or are not.
    pub(super) fn with_versions(self, versions: bool) -> Self {
        Self { versions, ..self }
    }

    /// Counts what `count` adds.
    pub(super) fn count(&self, count: impl FnOnce(&mut SideTally)) {
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        count(&mut tally);
        let rows = tally.rows.objects + tally.outside + tally.filtered;
        if let Some(progress) = &self.progress {
            // After a restart the count begins anew; what is shown never goes back.
            progress.send_if_modified(|shown| std::mem::replace(shown, rows.max(*shown)) < rows);
        }
    }

    /// Counts a row left out because another of its key is kept.
    pub(super) fn duplicate(&self, row: &EntryRef<'_>) {
        let is_head = self.versions && take_apart(row.key, &mut Vec::new()) == Kind::Head;
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        let Duplicates { rows, latest, heads } = &mut tally.duplicates;
        if is_head {
            *heads += 1;
        } else {
            rows.add(row.size);
            *latest += u64::from(row.flags.is_latest());
        }
    }

    /// The counts so far.
    pub(super) fn tally(&self) -> SideTally {
        *self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes back to earlier counts, for a reading that starts over.
    pub(super) fn restore(&self, tally: SideTally) {
        *self.tally.lock().unwrap_or_else(PoisonError::into_inner) = tally;
    }
}
