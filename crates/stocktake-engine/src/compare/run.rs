//! Sorted runs, in memory or in a temporary file.
//!
//! A row is its key, leaning on the one before, and its tail with its length, so
//! that walking and merging decode no more than keys.

use std::ops::Range;
use std::sync::Arc;

use stocktake_core::{EntryRef, Result};

use super::codec::{Taker, put_bytes, put_key};
use super::cursor::{CodedCursor, Cursor, Stop};
use super::offset_code::{OffsetCode, compare};
use super::spool::{Spool, SpoolWriter};

/// Rows with strictly ascending keys, put down.
pub(super) type Run = Arc<Spool>;

/// Writes one run: keys that lean on each other, tails with their length.
#[derive(Debug)]
pub(super) struct RunWriter {
    spool: SpoolWriter,
    last_key: Vec<u8>,
}

impl RunWriter {
    pub(super) fn new(spool: SpoolWriter) -> Self {
        Self { spool, last_key: Vec::new() }
    }

    /// Takes a row whose key is greater than the last one.
    pub(super) fn push(&mut self, key: &[u8], tail: &[u8]) -> Result<()> {
        if self.spool.at_frame_start() {
            self.last_key.clear();
        }
        let frame = self.spool.frame();
        put_key(frame, &self.last_key, key);
        put_bytes(frame, tail);
        self.last_key.clear();
        self.last_key.extend_from_slice(key);
        self.spool.row_done()
    }

    /// The key of the last row; empty before the first.
    pub(super) fn last_key(&self) -> &[u8] {
        &self.last_key
    }

    /// Whether the next row begins a frame.
    pub(super) fn at_frame_start(&self) -> bool {
        self.spool.at_frame_start()
    }

    /// All rows, ready to be read.
    pub(super) fn finish(self) -> Result<Run> {
        Ok(Arc::new(self.spool.finish()?))
    }
}

/// A cursor over one run.
#[derive(Debug)]
pub(super) struct RunCursor {
    run: Run,
    offset: u64,
    frame: Vec<u8>,
    at: usize,
    key: Vec<u8>,
    previous_key: Vec<u8>,
    code: OffsetCode,
    tail: Range<usize>,
    ended: bool,
}

impl RunCursor {
    /// Stands at the first row.
    pub(super) fn open(run: Run) -> Result<Self> {
        let (frame, key, previous_key) = (Vec::new(), Vec::new(), Vec::new());
        let code = OffsetCode::EQUAL;
        let mut cursor = Self { run, offset: 0, frame, at: 0, key, previous_key, code, tail: 0..0, ended: false };
        cursor.step()?;
        cursor.code = OffsetCode::first(&cursor.key);
        Ok(cursor)
    }

    fn step(&mut self) -> Result<()> {
        self.previous_key.clone_from(&self.key);
        if self.at == self.frame.len() {
            self.at = 0;
            self.key.clear();
            if self.run.read_frame(&mut self.offset, &mut self.frame)?.is_none() {
                self.ended = true;
                return Ok(());
            }
        }
        let mut taker = Taker(&self.frame[self.at..]);
        let tail = taker.key(&mut self.key).and_then(|()| taker.bytes());
        let length = tail.ok_or_else(|| self.run.undecodable())?.len();
        self.at = self.frame.len() - taker.0.len();
        self.tail = self.at - length..self.at;
        self.code = compare(&self.previous_key, &self.key).1;
        Ok(())
    }
}

impl Cursor for RunCursor {
    fn key(&self) -> Option<&[u8]> {
        (!self.ended).then_some(self.key.as_slice())
    }

    fn entry(&self) -> Result<EntryRef<'_>> {
        Taker(&self.frame[self.tail.clone()]).tail(&self.key).ok_or_else(|| self.run.undecodable())
    }

    fn advance(&mut self) -> Result<(), Stop> {
        Ok(self.step()?)
    }
}

impl CodedCursor for RunCursor {
    fn code(&self) -> OffsetCode {
        self.code
    }
}
