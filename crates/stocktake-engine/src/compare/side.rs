//! The two states that are compared.

use std::sync::Arc;

use futures::stream::BoxStream;
use stocktake_core::{EntryBatch, Inventory, InventoryVersions, KeyFilter, Result, Snapshot, Timestamp, keep_wanted};

/// One of the two states of a comparison.
#[derive(Clone, Debug, Default)]
pub enum Side {
    /// No state: every object of the other side is added, or deleted.
    #[default]
    Nothing,
    /// What an inventory or a listing says. The options decide which of its rows take part.
    Inventory(Arc<dyn Inventory>),
    /// The rows of a snapshot. All of them take part, whatever the options say:
    /// what was backed up and is out of scope now is a deletion.
    Snapshot(Arc<dyn Snapshot>),
}

impl Side {
    /// Number of parts that can be read on their own.
    pub(super) fn parts(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Inventory(inventory) => inventory.parts(),
            Self::Snapshot(_) => 1,
        }
    }

    /// Whether the parts can be read again with the same result.
    pub(super) fn is_repeatable(&self) -> bool {
        match self {
            Self::Inventory(inventory) => inventory.info().repeatable,
            Self::Nothing | Self::Snapshot(_) => true,
        }
    }

    /// When the state was seen, more or less.
    pub(super) fn as_of(&self) -> Timestamp {
        match self {
            Self::Nothing => Timestamp::default(),
            Self::Inventory(inventory) => inventory.info().created,
            Self::Snapshot(snapshot) => snapshot.record().summary.as_of_start,
        }
    }

    /// How many rows there are, in the order of magnitude.
    pub(super) fn rows_about(&self) -> u64 {
        /// Of a data file that is compressed.
        const BYTES_A_ROW: u64 = 64;
        match self {
            Self::Nothing => 0,
            Self::Inventory(inventory) => inventory.info().bytes / BYTES_A_ROW,
            Self::Snapshot(snapshot) => snapshot.record().total.objects,
        }
    }

    /// Streams the entries of a part.
    pub(super) fn read(&self, part: usize) -> BoxStream<'static, Result<EntryBatch>> {
        match self {
            Self::Nothing => Box::pin(futures::stream::empty()),
            Self::Inventory(inventory) => inventory.read(part),
            Self::Snapshot(snapshot) => snapshot.entries(),
        }
    }

    /// Streams all versions in a part.
    pub(super) fn read_versions(&self, part: usize) -> BoxStream<'static, Result<EntryBatch>> {
        match self {
            Self::Inventory(inventory) => inventory.read_versions(part),
            Self::Snapshot(_) | Self::Nothing => self.read(part),
        }
    }

    /// Whether all versions are told of: in that no state has no versions, too.
    pub(super) fn tells_versions(&self) -> bool {
        match self {
            Self::Nothing => true,
            Self::Inventory(inventory) => inventory.info().versions == InventoryVersions::All,
            Self::Snapshot(_) => false,
        }
    }

    /// Streams the entries of a part whose keys are wanted.
    pub(super) fn read_wanted(&self, part: usize, wanted: KeyFilter) -> BoxStream<'static, Result<EntryBatch>> {
        match self {
            Self::Inventory(inventory) => inventory.read_wanted(part, wanted),
            Self::Snapshot(_) | Self::Nothing => keep_wanted(self.read(part), wanted),
        }
    }
}

impl From<Arc<dyn Inventory>> for Side {
    fn from(inventory: Arc<dyn Inventory>) -> Self {
        Self::Inventory(inventory)
    }
}

impl From<Arc<dyn Snapshot>> for Side {
    fn from(snapshot: Arc<dyn Snapshot>) -> Self {
        Self::Snapshot(snapshot)
    }
}
