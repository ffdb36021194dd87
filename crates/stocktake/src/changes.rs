//! A change set as a stream for engines that speak Arrow.

use futures::stream::{BoxStream, StreamExt};
use stocktake_core::Result;
use stocktake_engine::compare::ChangeSet;
use stocktake_export::{RecordBatch, change_refs_to_record_batch};

/// Streams a change set, in ascending key order, as record batches with the columns
/// of [`change_schema`](crate::export::change_schema).
///
/// A batch is made when it is asked for. May be called any number of times. Needs a
/// tokio runtime.
///
/// # Errors
/// In the stream: those of [`ChangeSet::changes`] and [`change_refs_to_record_batch`]. It then ends.
pub fn change_record_batches(changes: &ChangeSet) -> BoxStream<'static, Result<RecordBatch>> {
    let batches = changes.changes().map(|batch| {
        let batch = batch?;
        change_refs_to_record_batch(batch.iter().map(|change| (change.class, change.current, change.previous)))
    });
    batches.boxed()
}
