//! Several sorted cursors as one.
//!
//! Cursors stand in a list by the key at hand, the least last. After a step the
//! least one usually stays where it is, so it is compared with its neighbour
//! first. Where a whole stretch of it lies below all others, it is walked
//! without looking at them: files that follow each other cost no comparison.
//!
//! Cursors may be waiting: known by their first key, opened when it is reached.

use std::cmp::Ordering;

use stocktake_core::{EntryRef, Result};

use super::cursor::{Cursor, Stop, Stretch, precedence};
use super::meter::SideMeter;

/// A cursor that is not open yet, and at or before whose first row this key is.
pub(super) struct Waiting<S> {
    pub(super) first_key: Vec<u8>,
    pub(super) open: Box<dyn FnOnce() -> Result<S, Stop> + Send>,
}

/// The merge of several cursors. Of rows of one key, one is kept.
pub(super) struct KWay<S> {
    // INVARIANT: each is at a row; keys do not ascend; after `settle` the last key is less than all others.
    open: Vec<Box<S>>,
    // First keys do not ascend.
    waiting: Vec<Waiting<S>>,
    // How many may be open at once.
    fan_in: usize,
    meter: SideMeter,
    // The stretch of the last cursor that is known to lie below all others.
    clear: Option<u64>,
}

impl<S: Cursor> KWay<S> {
    /// Stands at the least row of all.
    ///
    /// # Errors
    /// [`Stop::Disorder`] once more than `fan_in` cursors would have to be open.
    pub(super) fn open(mut waiting: Vec<Waiting<S>>, fan_in: usize, meter: SideMeter) -> Result<Self, Stop> {
        waiting.sort_unstable_by(|a, b| b.first_key.cmp(&a.first_key));
        let mut merge = Self { open: Vec::new(), waiting, fan_in, meter, clear: None };
        merge.settle()?;
        merge.clear = merge.clear_stretch();
        Ok(merge)
    }

    /// Opens what has to be open, and keeps one row of each key.
    fn settle(&mut self) -> Result<(), Stop> {
        loop {
            while self.waiting_is_due() {
                self.open_next()?;
            }
            let [.., second, least] = &self.open[..] else { break };
            let (Some(key), Some(second_key)) = (least.key(), second.key()) else { break };
            if key.cmp(second_key) == Ordering::Less {
                break;
            }
            self.settle_duplicate()?;
        }
        Ok(())
    }

    fn waiting_is_due(&self) -> bool {
        let Some(next) = self.waiting.last() else { return false };
        self.key().is_none_or(|key| next.first_key.as_slice() <= key)
    }

    fn open_next(&mut self) -> Result<(), Stop> {
        let Some(next) = self.waiting.pop() else { return Ok(()) };
        if self.open.len() == self.fan_in {
            return Err(Stop::Disorder);
        }
        let cursor = (next.open)()?;
        self.put_back(Box::new(cursor));
        Ok(())
    }

    /// Passes over the worse of the two least rows, which have the same key.
    fn settle_duplicate(&mut self) -> Result<(), Stop> {
        let (Some(mut a), Some(mut b)) = (self.open.pop(), self.open.pop()) else { return Ok(()) };
        let (row_a, row_b) = (a.entry()?, b.entry()?);
        let a_stays = precedence(&row_a, &row_b) != Ordering::Less;
        self.meter.duplicate(if a_stays { row_b.size } else { row_a.size });
        if a_stays { b.advance() } else { a.advance() }?;
        self.put_back(b);
        self.put_back(a);
        Ok(())
    }

    /// Puts a cursor where its key belongs, unless it is at its end.
    fn put_back(&mut self, cursor: Box<S>) {
        let Some(key) = cursor.key() else { return };
        let place = self.open.partition_point(|other| other.key().is_some_and(|other| other > key));
        self.open.insert(place, cursor);
    }

    /// Whether the stretch of the least cursor lies below everything else, open or waiting.
    fn clear_stretch(&self) -> Option<u64> {
        let (least, others) = self.open.split_last()?;
        let Stretch { batch, rows, batch_number } = least.stretch()?;
        let last_key = batch.key(rows.end - 1);
        let below = |key: Option<&[u8]>| key.is_none_or(|key| last_key < key);
        let clear = below(others.last().and_then(|other| other.key()))
            && below(self.waiting.last().map(|next| next.first_key.as_slice()));
        clear.then_some(batch_number)
    }

    fn advance_among_others(&mut self) -> Result<(), Stop> {
        let Some(mut least) = self.open.pop() else { return Ok(()) };
        let before = batch_number(&*least);
        least.advance()?;
        let same_stretch = batch_number(&*least) == before;
        self.put_back(least);
        self.settle()?;
        // Looking over a whole stretch costs comparisons, so it is done once for each.
        self.clear = if same_stretch { None } else { self.clear_stretch() };
        Ok(())
    }

    /// The least cursor has stepped out of its clear stretch, perhaps beyond others.
    fn leave_stretch(&mut self) -> Result<(), Stop> {
        if let Some(least) = self.open.pop() {
            self.put_back(least);
        }
        self.settle()?;
        self.clear = self.clear_stretch();
        Ok(())
    }
}

fn batch_number(cursor: &impl Cursor) -> Option<u64> {
    cursor.stretch().map(|stretch| stretch.batch_number)
}

impl<S: Cursor> Cursor for KWay<S> {
    #[inline]
    fn key(&self) -> Option<&[u8]> {
        self.open.last().and_then(|least| least.key())
    }

    #[inline]
    fn entry(&self) -> Result<EntryRef<'_>> {
        self.open.last().expect("only called while at a row").entry()
    }

    #[inline]
    fn advance(&mut self) -> Result<(), Stop> {
        if let (Some(clear), Some(least)) = (self.clear, self.open.last_mut()) {
            least.advance()?;
            if batch_number(&**least) == Some(clear) {
                return Ok(());
            }
            return self.leave_stretch();
        }
        self.advance_among_others()
    }

    #[inline]
    fn stretch(&self) -> Option<Stretch<'_>> {
        let clear = self.clear?;
        self.open.last()?.stretch().filter(|stretch| stretch.batch_number == clear)
    }

    fn jump(&mut self, rows: usize) -> Result<(), Stop> {
        let least = self.open.last_mut().expect("only called while at a row");
        least.jump(rows)?;
        // Settling a duplicate at the end of the batch may have turned it over.
        if batch_number(&**least) == self.clear { Ok(()) } else { self.leave_stretch() }
    }
}
