//! Makes packs durable, and hands their rows to the catalog.

use std::sync::Arc;

use bytes::Bytes;
use stocktake_core::{BytesColumn, Error, PackId, Result, RowBatch, RowDelta, SnapshotWriter};
use stocktake_format::PackReader;
use tokio::sync::mpsc::Receiver;
use tokio_util::task::AbortOnDropHandle;

use super::{CopyJob, RowOp};
use crate::open::damaged;

/// A pack on its way, and the rows that wait for it.
pub(crate) struct Upload {
    pub durable: Option<AbortOnDropHandle<Result<()>>>,
    pub rows: Vec<RowOp>,
}

/// Rows handed to the catalog at once.
const DELTA_ROWS: usize = 8192;

pub(crate) async fn run(mut packs: Receiver<Upload>, writer: &mut dyn SnapshotWriter) -> Result<()> {
    while let Some(Upload { durable, rows }) = packs.recv().await {
        if let Some(durable) = durable {
            durable.await.expect("an upload does not panic")?;
        }
        for rows in rows.chunks(DELTA_ROWS) {
            writer.apply(delta(rows)?).await?;
        }
    }
    Ok(())
}

fn delta(rows: &[RowOp]) -> Result<RowDelta> {
    let (mut puts, mut previous, mut deletes) = (RowBatch::default(), RowBatch::default(), BytesColumn::default());
    for RowOp { previous: before, put } in rows {
        match (before, put) {
            (Some(before), None) => deletes.push(before.entry.key.as_bytes()),
            (_, Some(row)) => puts.push(&row.as_ref())?,
            (None, None) => {}
        }
        if let Some(before) = before {
            previous.push(&before.as_ref())?;
        }
    }
    Ok(RowDelta { puts, deletes, previous })
}

/// Verifies a pack as a reader would, then creates it.
///
/// What goes out is decoded and hashed once more, so that a bit that flipped in
/// memory while it was made ends the job here rather than a restore years later.
pub(crate) async fn publish(job: &Arc<CopyJob>, id: PackId, name: &str, bytes: Bytes) -> Result<()> {
    let (key, pack) = (job.key.clone(), bytes.clone());
    let verified = tokio::task::spawn_blocking(move || PackReader::new(&key, id).verify(&key, &pack).map(drop));
    verified.await.expect("verifying does not panic").map_err(|error| damaged(&*job.vault, name, error))?;
    match job.vault.create(name, bytes.clone()).await {
        // A repetition within the store's client may have met its own first attempt. The name is this job's alone.
        Err(taken @ Error::BlobExists { .. }) => {
            if job.vault.read(name, None).await? == bytes {
                Ok(())
            } else {
                Err(taken)
            }
        }
        created => created,
    }
}
