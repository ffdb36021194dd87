//! Rows behind the last key of the parent.
//!
//! Where keys grow with time, nearly all new rows come there. No layer of the
//! parent has anything to say about them, so they need no delta: once there are
//! enough of them they become base segments, written once. Too few for a
//! segment of their own are a delta like any other.

use stocktake_core::{ObjectKey, Result, RowBatch};
use stocktake_format::{Fence, Root};

use crate::bases::BaseBuilder;
use crate::upload::Uploads;

/// Collects the rows of the tail. Memory: fewer rows than the smallest base
/// segment as batches, or one segment, encoded.
pub(crate) struct Tail {
    after: Option<ObjectKey>,
    /// Whether the parent has no base at all; then the tail becomes one however small it is.
    alone: bool,
    waiting: Vec<RowBatch>,
    rows: u64,
    builder: Option<BaseBuilder>,
}

/// What becomes of a tail.
pub(crate) enum TailEnd {
    /// Bases of its own.
    Bases(Vec<Fence>),
    /// Too few rows for that.
    Few(Vec<RowBatch>),
}

impl Tail {
    /// The tail behind everything that `parent` has.
    pub(crate) fn of(parent: &Root) -> Self {
        let after = parent.segments().map(|segment| &segment.high).max().cloned();
        let alone = parent.fences.iter().all(|fence| fence.base.is_none());
        Self { after, alone, waiting: Vec::new(), rows: 0, builder: None }
    }

    /// Whether a key lies in the tail.
    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        self.after.as_ref().is_none_or(|after| after.as_bytes() < key)
    }

    /// Takes the next rows.
    pub(crate) async fn push(&mut self, uploads: &mut Uploads, rows: RowBatch) -> Result<()> {
        self.rows += rows.len() as u64;
        if let Some(builder) = &mut self.builder {
            return builder.push(uploads, rows).await;
        }
        self.waiting.push(rows);
        if self.rows >= uploads.options().min_segment_rows {
            self.build(uploads).await?;
        }
        Ok(())
    }

    /// Ends the tail; its bases are folded up to run `folded`.
    pub(crate) async fn finish(mut self, uploads: &mut Uploads, folded: u64) -> Result<TailEnd> {
        if self.alone && self.rows > 0 && self.builder.is_none() {
            self.build(uploads).await?;
        }
        match self.builder {
            Some(builder) => Ok(TailEnd::Bases(builder.finish(uploads, folded).await?)),
            None => Ok(TailEnd::Few(self.waiting)),
        }
    }

    async fn build(&mut self, uploads: &mut Uploads) -> Result<()> {
        let builder = self.builder.insert(BaseBuilder::new(uploads, None));
        for rows in std::mem::take(&mut self.waiting) {
            builder.push(uploads, rows).await?;
        }
        Ok(())
    }
}
