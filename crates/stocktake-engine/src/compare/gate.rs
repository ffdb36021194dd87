//! Which rows of an inventory take part.
//!
//! A gate stands where batches come in, so all that follows sees rows in scope
//! only, whichever way they take.

use bytes::Bytes;
use stocktake_core::{EntryBatch, EntryRef, Error, Location, ObjectKey, Result};

use super::meter::SideMeter;
use super::options::CompareOptions;
use super::side::Side;
use crate::filter::Filter;

/// The rules of one inventory.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    /// The inventory, for messages.
    pub(super) inventory: Location,
    /// Every key begins with this, or the inventory is not the one it is said to be.
    pub(super) inventory_prefix: Bytes,
    /// Keys that do not begin with this are left out and counted.
    pub(super) path: Bytes,
    /// Rows it refuses are left out and counted.
    pub(super) filter: Option<Filter>,
}

/// The rows of `batch` that take part: those that pass `gate`, all where there is none. Every row is counted in `meter`.
///
/// # Errors
/// [`InventoryScopeMismatch`](Error::InventoryScopeMismatch) for a key that can't be in the inventory.
pub(super) fn admit(gate: Option<&Gate>, batch: EntryBatch, meter: &SideMeter) -> Result<EntryBatch> {
    let batch = match gate {
        Some(gate) if !gate.is_open() => gate.sift(batch, meter)?,
        _ => batch,
    };
    count_rows(&batch, meter);
    Ok(batch)
}

enum Verdict {
    Admitted,
    Outside,
    Filtered,
}

impl Gate {
    /// The gate before `side`; none before a side whose rows all take part.
    pub(super) fn for_side(side: &Side, options: &CompareOptions) -> Option<Self> {
        let Side::Inventory(inventory) = side else { return None };
        Some(Self {
            inventory: inventory.info().location.clone(),
            inventory_prefix: options.inventory_prefix.clone(),
            path: options.path.clone(),
            filter: options.filter.clone(),
        })
    }

    /// Whether every row passes.
    pub(super) fn is_open(&self) -> bool {
        self.inventory_prefix.is_empty() && self.path.is_empty() && self.filter.is_none()
    }

    fn sift(&self, batch: EntryBatch, meter: &SideMeter) -> Result<EntryBatch> {
        let (mut outside, mut filtered) = (0, 0);
        let mut admitted = vec![false; batch.len()];
        for (entry, admitted) in batch.iter().zip(&mut admitted) {
            match self.verdict(&entry)? {
                Verdict::Admitted => *admitted = true,
                Verdict::Outside => outside += 1,
                Verdict::Filtered => filtered += 1,
            }
        }
        if outside + filtered == 0 {
            return Ok(batch);
        }
        meter.count(|tally| {
            tally.outside += outside;
            tally.filtered += filtered;
        });
        Ok(batch.filter(&admitted))
    }

    fn verdict(&self, entry: &EntryRef<'_>) -> Result<Verdict> {
        if !entry.key.starts_with(&self.inventory_prefix) {
            return Err(self.misfit(entry.key));
        }
        if !entry.key.starts_with(&self.path) {
            return Ok(Verdict::Outside);
        }
        let passes = self.filter.as_ref().is_none_or(|filter| filter.passes(entry));
        Ok(if passes { Verdict::Admitted } else { Verdict::Filtered })
    }

    fn misfit(&self, key: &[u8]) -> Error {
        let prefix = ObjectKey::from(&self.inventory_prefix[..]);
        Error::InventoryScopeMismatch {
            inventory: self.inventory.clone(),
            problem: format!("key {} lies outside its stated prefix {prefix}", ObjectKey::from(key)),
        }
    }
}

/// Counts all rows of a batch that take part.
fn count_rows(batch: &EntryBatch, meter: &SideMeter) {
    let bytes = batch.columns().sizes.iter().map(|size| u128::from(*size)).sum::<u128>();
    meter.count(|tally| {
        tally.rows.objects += batch.len() as u64;
        tally.rows.bytes += bytes;
    });
}
