//! What rows add up to: objects, bytes and the state sum.

use stocktake_core::{RowBatch, RowRef, Tally};
use stocktake_format::{StateSum, VaultKey};

/// Number, bytes and state sum of some rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RowSum {
    pub(crate) tally: Tally,
    pub(crate) sum: StateSum,
}

impl RowSum {
    /// The sum of the rows of a batch that don't stand for deleted keys.
    pub(crate) fn add_batch(&mut self, key: &VaultKey, rows: &RowBatch, deleted: &[bool]) {
        for (index, row) in rows.iter().enumerate() {
            if deleted.get(index) != Some(&true) {
                self.add(key, &row);
            }
        }
    }

    pub(crate) fn add(&mut self, key: &VaultKey, row: &RowRef<'_>) {
        self.tally.add(row.entry.size);
        self.sum.add(key, row);
    }

    /// Takes a row away; `None` when it can't have been there.
    pub(crate) fn remove(&mut self, key: &VaultKey, row: &RowRef<'_>) -> Option<()> {
        self.tally.objects = self.tally.objects.checked_sub(1)?;
        self.tally.bytes = self.tally.bytes.checked_sub(u128::from(row.entry.size))?;
        self.sum.remove(key, row);
        Some(())
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.tally += other.tally;
        self.sum.merge(other.sum);
    }
}
