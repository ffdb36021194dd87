//! A committed snapshot, open for reading.

use async_trait::async_trait;
use futures::stream::BoxStream;
use stocktake_core::{BytesColumn, EntryBatch, Error, KeyRange, Result, RowBatch, Snapshot, SnapshotRecord};

use crate::layers::Layers;

/// A snapshot of a [`VaultCatalog`](crate::VaultCatalog).
#[derive(Debug)]
pub(crate) struct VaultSnapshot {
    record: SnapshotRecord,
    layers: Layers,
}

impl VaultSnapshot {
    pub(crate) fn new(record: SnapshotRecord, layers: Layers) -> Self {
        Self { record, layers }
    }
}

#[async_trait]
impl Snapshot for VaultSnapshot {
    fn record(&self) -> &SnapshotRecord {
        &self.record
    }

    fn rows(&self, range: KeyRange) -> BoxStream<'static, Result<RowBatch>> {
        self.layers.scan(range)
    }

    fn entries(&self) -> BoxStream<'static, Result<EntryBatch>> {
        self.layers.scan(KeyRange::all())
    }

    async fn lookup(&self, keys: &BytesColumn) -> Result<RowBatch> {
        if !keys.iter().is_sorted_by(|a, b| a < b) {
            return Err(Error::invalid("the keys of a look-up do not ascend strictly"));
        }
        self.layers.look_up(keys).await
    }
}
