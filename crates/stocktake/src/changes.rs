//! A change set as a stream for engines that speak Arrow.

use futures::stream::{BoxStream, StreamExt};
use stocktake_core::Result;
use stocktake_engine::compare::ChangeSet;
use stocktake_export::{ChangeColumns, RecordBatch};

/// Streams a change set, in ascending key order, as record batches with the
/// [columns](crate::export::ChangeColumns) for what was compared: objects, or versions.
///
/// A batch is made when it is asked for. May be called any number of times. Needs a
/// tokio runtime.
///
/// # Errors
/// In the stream: those of [`ChangeSet::changes`] and [`ChangeColumns::record_batch`]. It then ends.
pub fn change_record_batches(changes: &ChangeSet) -> BoxStream<'static, Result<RecordBatch>> {
    let columns = ChangeColumns::from(changes.versions());
    let batches = changes.changes().map(move |batch| {
        let batch = batch?;
        columns.record_batch(batch.iter().map(|change| (change.class, change.current, change.previous)))
    });
    batches.boxed()
}
