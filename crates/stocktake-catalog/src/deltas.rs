//! Turns changes into delta segments.

use stocktake_core::{
    BATCH_ROWS, Content, ETagCode, ETagRef, EntryFlags, EntryRef, Provenance, Result, RowBatch, RowRef, Timestamp,
};
use stocktake_format::SegmentRef;
use stocktake_format::segment::{SegmentBatch, SegmentKind};

use crate::ledger::Change;
use crate::upload::{SegmentSink, Uploads};

/// What becomes of the first segment that is finished. All others are stored at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum First {
    /// It is stored.
    Stored,
    /// It stays in memory: often it is folded into bases before it was ever needed.
    Staged,
}

/// Writes changes, ascending by key, as delta segments. Memory: a batch, and at
/// most two segments, encoded.
pub(crate) struct DeltaBuilder {
    first: First,
    batch: SegmentBatch<RowBatch>,
    sink: Option<SegmentSink>,
    written: Vec<SegmentRef>,
}

impl DeltaBuilder {
    pub(crate) fn new(first: First) -> Self {
        Self { first, batch: SegmentBatch::default(), sink: None, written: Vec::new() }
    }

    /// Appends a change.
    pub(crate) async fn push(&mut self, uploads: &mut Uploads, change: Change<'_>) -> Result<()> {
        match change {
            Change::Put(row) => self.batch.rows.push(&row)?,
            Change::Delete(key) => self.batch.rows.push(&tombstone(key))?,
        }
        self.batch.deleted.push(matches!(change, Change::Delete(_)));
        if self.batch.rows.len() < BATCH_ROWS {
            return Ok(());
        }
        let batch = std::mem::take(&mut self.batch);
        self.push_batch(uploads, batch).await
    }

    /// Appends a batch of changes; none may have been pushed one by one.
    pub(crate) async fn push_batch(&mut self, uploads: &mut Uploads, batch: SegmentBatch<RowBatch>) -> Result<()> {
        if batch.rows.is_empty() {
            return Ok(());
        }
        let key = std::sync::Arc::clone(uploads.store().key());
        let sink = self.sink.get_or_insert_with(|| uploads.begin(SegmentKind::Delta));
        sink.write(&key, batch.rows, batch.deleted)?;
        if sink.rows() >= uploads.options().target_segment_rows || sink.is_full() {
            self.cut(uploads).await?;
        }
        Ok(())
    }

    /// The segments, ascending.
    pub(crate) async fn finish(mut self, uploads: &mut Uploads) -> Result<Vec<SegmentRef>> {
        let batch = std::mem::take(&mut self.batch);
        self.push_batch(uploads, batch).await?;
        self.cut(uploads).await?;
        Ok(self.written)
    }

    async fn cut(&mut self, uploads: &mut Uploads) -> Result<()> {
        let Some(sink) = self.sink.take() else { return Ok(()) };
        let stage = self.first == First::Staged && self.written.is_empty();
        let written = if stage { uploads.stage(sink).await? } else { uploads.upload(sink).await? };
        self.written.push(written.segment);
        Ok(())
    }
}

/// The row that stands for a deleted key.
fn tombstone(key: &[u8]) -> RowRef<'_> {
    RowRef {
        entry: EntryRef {
            key,
            version: None,
            size: 0,
            last_modified: Timestamp::default(),
            etag: ETagRef { code: ETagCode::ABSENT, text: "" },
            class: "",
            flags: EntryFlags::NONE,
        },
        content: &Content::Absent,
        provenance: Provenance::Exact,
        attributes: &[],
    }
}
