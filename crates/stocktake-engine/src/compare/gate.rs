//! Which rows of an inventory take part.
//!
//! A gate stands where batches come in, so all that follows sees rows in scope
//! only, whichever way they take. Where versions are compared, they get their
//! [identities](super::identity) here.

use bytes::Bytes;
use stocktake_core::{EntryBatch, EntryRef, Error, Location, ObjectKey, Result};

use super::identity::{Part, with_identities};
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
    /// Whether rows are versions, and get identities.
    pub(super) versions: bool,
}

/// The rows of `batch` that take part: those that pass `gate`, all where there is none. Every row is counted in `meter`.
///
/// # Errors
/// [`InventoryScopeMismatch`](Error::InventoryScopeMismatch) for a key that can't be in the inventory.
pub(super) fn admit(gate: Option<&Gate>, batch: EntryBatch, meter: &SideMeter) -> Result<EntryBatch> {
    let batch = match gate {
        Some(gate) if gate.versions => return gate.identify(&batch, meter),
        Some(gate) if !gate.is_open() => gate.sift(batch, meter)?,
        _ => batch,
    };
    count_rows(batch.columns().sizes.iter(), meter);
    Ok(batch)
}

#[derive(Clone, Copy)]
enum Verdict {
    Admitted,
    Outside,
    Filtered,
}

impl Gate {
    /// The gate before `side`; none before a side whose rows all take part.
    pub(super) fn for_side(side: &Side, options: &CompareOptions, versions: bool) -> Option<Self> {
        let Side::Inventory(inventory) = side else { return None };
        Some(Self {
            inventory: inventory.info().location.clone(),
            inventory_prefix: options.inventory_prefix.clone(),
            path: options.path.clone(),
            filter: options.filter.clone(),
            versions,
        })
    }

    /// Whether every row passes as it is.
    pub(super) fn is_open(&self) -> bool {
        !self.versions && self.inventory_prefix.is_empty() && self.path.is_empty() && self.filter.is_none()
    }

    /// The rows of versions, by their identities. What the latest version of a key is does not depend on the filter.
    fn identify(&self, batch: &EntryBatch, meter: &SideMeter) -> Result<EntryBatch> {
        let verdicts = batch.iter().map(|entry| self.verdict(&entry)).collect::<Result<Vec<_>>>()?;
        let part = |row: usize| match verdicts[row] {
            Verdict::Admitted => Part::Both,
            Verdict::Filtered => Part::Head,
            Verdict::Outside => Part::None,
        };
        let of = |verdict| (0..batch.len()).filter(move |row| part(*row) == verdict);
        meter.count(|tally| {
            tally.outside += of(Part::None).count() as u64;
            tally.filtered += of(Part::Head).count() as u64;
        });
        count_rows(of(Part::Both).map(|row| &batch.columns().sizes[row]), meter);
        with_identities(batch, part)
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

/// Counts rows that take part, by their sizes.
fn count_rows<'a>(sizes: impl Iterator<Item = &'a u64>, meter: &SideMeter) {
    let (objects, bytes) = sizes.fold((0, 0), |(objects, bytes), size| (objects + 1, bytes + u128::from(*size)));
    meter.count(|tally| {
        tally.rows.objects += objects;
        tally.rows.bytes += bytes;
    });
}
