//! A snapshot seen through a list of keys.

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};
use stocktake_core::{
    BATCH_ROWS, BytesColumn, EntryBatch, KeyRange, ObjectKey, Result, RowBatch, Snapshot, SnapshotRecord,
};

/// Those rows of a snapshot whose keys are in a list, for a restore of just these.
///
/// They are looked up in batches, so what is read of the snapshot grows with the
/// list and not with the snapshot. The [record](Snapshot::record) is the whole
/// snapshot's.
#[derive(Clone, Debug)]
pub struct OnlyKeys {
    snapshot: Arc<dyn Snapshot>,
    // INVARIANT: strictly ascending.
    keys: Arc<Vec<ObjectKey>>,
}

impl OnlyKeys {
    /// The rows of `snapshot` with one of `keys`, which come in any order; one that the snapshot lacks is passed over.
    pub fn new(snapshot: Arc<dyn Snapshot>, mut keys: Vec<ObjectKey>) -> Self {
        keys.sort_unstable();
        keys.dedup();
        Self { snapshot, keys: Arc::new(keys) }
    }

    /// The keys that the snapshot does not have, ascending.
    ///
    /// # Errors
    /// Those of [`Snapshot::lookup`].
    pub async fn missing(&self) -> Result<Vec<ObjectKey>> {
        let mut missing = Vec::new();
        for keys in self.keys.chunks(BATCH_ROWS) {
            let found = self.snapshot.lookup(&column(keys)).await?;
            let mut found = (0..found.len()).map(|row| found.key(row)).peekable();
            missing.extend(keys.iter().filter(|key| found.next_if(|row| *row == key.as_bytes()).is_none()).cloned());
        }
        Ok(missing)
    }
}

#[async_trait]
impl Snapshot for OnlyKeys {
    fn record(&self) -> &SnapshotRecord {
        self.snapshot.record()
    }

    fn rows(&self, range: KeyRange) -> BoxStream<'static, Result<RowBatch>> {
        let start = self.keys.partition_point(|key| key.as_bytes() < range.start());
        let end = self.keys.partition_point(|key| !range.ends_before(key.as_bytes())).max(start);
        let (snapshot, keys) = (self.snapshot.clone(), self.keys.clone());
        let batches = (start..end).step_by(BATCH_ROWS).map(move |at| column(&keys[at..end.min(at + BATCH_ROWS)]));
        let rows = stream::iter(batches.collect::<Vec<_>>()).then(move |keys| {
            let snapshot = snapshot.clone();
            async move { snapshot.lookup(&keys).await }
        });
        rows.boxed()
    }

    fn entries(&self) -> BoxStream<'static, Result<EntryBatch>> {
        self.rows(KeyRange::all()).map(|batch| batch.map(|batch| batch.entries().clone())).boxed()
    }

    async fn lookup(&self, keys: &BytesColumn) -> Result<RowBatch> {
        let listed = keys.iter().filter(|key| self.keys.binary_search_by(|known| known.as_bytes().cmp(key)).is_ok());
        self.snapshot.lookup(&listed.collect()).await
    }
}

fn column(keys: &[ObjectKey]) -> BytesColumn {
    keys.iter().map(ObjectKey::as_bytes).collect()
}
