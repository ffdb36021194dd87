//! Walking through sorted rows, wherever they are.
//!
//! A merge needs to see one row of each side and to step on. Batches from a
//! reader, runs in a temporary file and merges of either are all cursors.

use std::cmp::Ordering;
use std::ops::Range;

use stocktake_core::{EntryBatch, EntryRef, Error, Result};

use super::offset_code::OffsetCode;

/// Why a walk ends early.
#[derive(Debug)]
pub(super) enum Stop {
    /// The rows do not ascend. What was concluded so far is void; another road must be taken.
    Disorder,
    /// It failed for good.
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// A place in rows whose keys ascend strictly.
pub(super) trait Cursor {
    /// The key of the row at hand; `None` after the last.
    fn key(&self) -> Option<&[u8]>;

    /// The row at hand. Only to be called while there is one.
    fn entry(&self) -> Result<EntryRef<'_>>;

    /// Steps to the next row.
    fn advance(&mut self) -> Result<(), Stop>;

    /// The row at hand and those behind it that are in memory; `None` where looking
    /// ahead is not free, or where other rows may come between.
    fn stretch(&self) -> Option<Stretch<'_>> {
        None
    }

    /// Steps `rows` further within the [stretch](Self::stretch), whose keys the caller has found to
    /// ascend strictly that far.
    fn jump(&mut self, rows: usize) -> Result<(), Stop> {
        (0..rows).try_for_each(|_| self.advance())
    }
}

/// A cursor that knows where each key parts from the one before it, so that several can be merged.
pub(super) trait CodedCursor: Cursor {
    /// The code of the key at hand relative to that of the row before it; before the first there is
    /// something smaller than all keys. Only to be called while there is a row.
    fn code(&self) -> OffsetCode;
}

/// Consecutive rows of a cursor, as they stand in a batch.
#[derive(Clone, Debug)]
pub(super) struct Stretch<'a> {
    /// Where the rows are.
    pub(super) batch: &'a EntryBatch,
    /// Which they are, the first being the one at hand.
    pub(super) rows: Range<usize>,
    /// Tells the batch from the others of the same cursor.
    pub(super) batch_number: u64,
}

/// Which of two rows of one key is kept: the one modified later, among equals the one
/// with the greater version id, then one that is said to be the latest, and then the one that
/// is greater in any other fact, so that the choice does not depend on the order in
/// which they were read.
pub(super) fn precedence(a: &EntryRef<'_>, b: &EntryRef<'_>) -> Ordering {
    let etag = |entry: &EntryRef<'_>| entry.etag.code.identity();
    (a.last_modified, a.version, a.flags.is_latest(), a.etag.text, etag(a), a.size)
        .cmp(&(b.last_modified, b.version, b.flags.is_latest(), b.etag.text, etag(b), b.size))
        .then_with(|| a.etag.code.into_parts().cmp(&b.etag.code.into_parts()))
        .then_with(|| (a.class, a.flags.bits()).cmp(&(b.class, b.flags.bits())))
}
