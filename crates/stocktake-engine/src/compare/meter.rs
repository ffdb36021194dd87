//! Counting the rows of a side, wherever they are seen.

use std::sync::{Arc, Mutex, PoisonError};

use stocktake_core::Tally;
use tokio::sync::watch;

/// What was seen of one side.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SideTally {
    /// Rows in scope, duplicates among them.
    pub(super) rows: Tally,
    /// Rows outside the source path.
    pub(super) outside: u64,
    /// Rows that a filter left out.
    pub(super) filtered: u64,
    /// Rows left out because their key came twice.
    pub(super) duplicates: Tally,
}

/// Counts for one side; shared by all that read it.
#[derive(Clone, Debug, Default)]
pub(super) struct SideMeter {
    tally: Arc<Mutex<SideTally>>,
    progress: Option<watch::Sender<u64>>,
}

impl SideMeter {
    /// A meter that also tells how many rows have been read.
    pub(super) fn reporting(progress: watch::Sender<u64>) -> Self {
        Self { progress: Some(progress), ..Self::default() }
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
    pub(super) fn duplicate(&self, size: u64) {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).duplicates.add(size);
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
