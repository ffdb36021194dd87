//! Walking through one part of a side, as long as it ascends.
//!
//! The key at hand is compared with the one after it, once a row: a smaller one
//! is disorder, an equal one a duplicate that is settled on the spot. To look
//! over the end of a batch, the next one is fetched.

use std::cmp::Ordering;

use stocktake_core::{EntryBatch, EntryRef, Result};

use super::cursor::{CodedCursor, Cursor, Stop, Stretch, precedence};
use super::feed::Feed;
use super::gate::{Gate, admit};
use super::meter::SideMeter;
use super::offset_code::{OffsetCode, compare};

/// A cursor over the batches of a [`Feed`].
#[derive(Debug)]
pub(super) struct PartCursor {
    feed: Feed,
    gate: Option<Gate>,
    meter: SideMeter,
    // INVARIANT: `at` is a row of `batch`, or `batch` is empty and all rows are passed.
    // The row after it is `after` of `batch` or, where that is its length, `next_at` of `next`.
    batch: EntryBatch,
    at: usize,
    after: usize,
    batch_number: u64,
    // Of the row at hand, and of the one after it.
    code: OffsetCode,
    next_code: OffsetCode,
    next: Option<EntryBatch>,
    next_at: usize,
}

impl PartCursor {
    /// Stands at the first row that takes part.
    pub(super) fn open(feed: Feed, gate: Option<Gate>, meter: SideMeter) -> Result<Self, Stop> {
        let mut cursor = Self {
            feed,
            gate,
            meter,
            batch: EntryBatch::default(),
            at: 0,
            after: 0,
            batch_number: 0,
            code: OffsetCode::EQUAL,
            next_code: OffsetCode::EQUAL,
            next: None,
            next_at: 0,
        };
        cursor.look_over_the_end()?;
        cursor.turn_over();
        cursor.code = cursor.key().map_or(OffsetCode::EQUAL, OffsetCode::first);
        cursor.settle()?;
        Ok(cursor)
    }

    /// Makes sure that the row at hand is the one kept for its key, and that a greater key follows.
    fn settle(&mut self) -> Result<(), Stop> {
        while !self.batch.is_empty() {
            if self.after == self.batch.len() {
                self.look_over_the_end()?;
            }
            let Some(following) = self.following_key() else { break };
            let (order, code) = compare(self.batch.key(self.at), following);
            match order {
                Ordering::Less => {
                    self.next_code = code;
                    break;
                }
                Ordering::Equal => self.settle_duplicate(),
                Ordering::Greater => return Err(Stop::Disorder),
            }
        }
        Ok(())
    }

    #[inline]
    fn following_key(&self) -> Option<&[u8]> {
        if self.after < self.batch.len() {
            return Some(self.batch.key(self.after));
        }
        self.next.as_ref().map(|next| next.key(self.next_at))
    }

    fn following(&self) -> Option<EntryRef<'_>> {
        if self.after < self.batch.len() {
            return Some(self.batch.get(self.after));
        }
        self.next.as_ref().map(|next| next.get(self.next_at))
    }

    /// Passes over the worse of the row at hand and the one after it, which has the same key.
    fn settle_duplicate(&mut self) {
        let Some(following) = self.following() else { return };
        let at_hand = self.batch.get(self.at);
        let keep = precedence(&at_hand, &following) != Ordering::Less;
        self.meter.duplicate(if keep { &following } else { &at_hand });
        match (keep, self.after < self.batch.len()) {
            (true, true) => self.after += 1,
            (true, false) => self.skip_next(),
            (false, true) => (self.at, self.after) = (self.after, self.after + 1),
            (false, false) => self.turn_over(),
        }
    }

    fn skip_next(&mut self) {
        self.next_at += 1;
        if self.next.as_ref().is_some_and(|next| next.len() == self.next_at) {
            self.next = None;
        }
    }

    /// Fetches the next batch that has rows, unless it is there or there is none.
    fn look_over_the_end(&mut self) -> Result<()> {
        while self.next.is_none() {
            let Some(batch) = self.feed.next()? else { break };
            let batch = admit(self.gate.as_ref(), batch, &self.meter)?;
            self.next = (!batch.is_empty()).then_some(batch);
            self.next_at = 0;
        }
        Ok(())
    }

    /// Goes on in the next batch; at the end, to no row.
    fn turn_over(&mut self) {
        self.batch = self.next.take().unwrap_or_default();
        self.batch_number += 1;
        (self.at, self.after) = (self.next_at, self.next_at + 1);
    }
}

impl Cursor for PartCursor {
    #[inline]
    fn key(&self) -> Option<&[u8]> {
        (!self.batch.is_empty()).then(|| self.batch.key(self.at))
    }

    #[inline]
    fn entry(&self) -> Result<EntryRef<'_>> {
        Ok(self.batch.get(self.at))
    }

    #[inline]
    fn advance(&mut self) -> Result<(), Stop> {
        self.code = self.next_code;
        if self.after < self.batch.len() {
            (self.at, self.after) = (self.after, self.after + 1);
        } else {
            self.turn_over();
        }
        self.settle()
    }

    #[inline]
    fn stretch(&self) -> Option<Stretch<'_>> {
        // Where a worse row of the same key comes next, the rows in between do not count.
        let adjacent = self.after == self.at + 1 && !self.batch.is_empty();
        let rows = self.at..self.batch.len();
        adjacent.then_some(Stretch { batch: &self.batch, rows, batch_number: self.batch_number })
    }

    fn jump(&mut self, rows: usize) -> Result<(), Stop> {
        if rows > 0 {
            (self.at, self.after) = (self.at + rows, self.after + rows);
            self.code = compare(self.batch.key(self.at - 1), self.batch.key(self.at)).1;
        }
        self.settle()
    }
}

impl CodedCursor for PartCursor {
    #[inline]
    fn code(&self) -> OffsetCode {
        self.code
    }
}
