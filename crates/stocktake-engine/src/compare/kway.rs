//! Several sorted cursors as one.
//!
//! Cursors stand in a list by the key at hand, the least last. A cursor that has
//! stepped on is put back by [offset-value codes](super::offset_code): each key in
//! the list has its code relative to the next smaller one, so that nearly every
//! comparison is one of two numbers. Where a whole stretch of the least cursor
//! lies below all others, it is walked without looking at them: files that follow
//! each other cost no comparison at all.
//!
//! Cursors may be waiting: known by their first key, opened when it is reached.

use std::cmp::Ordering;

use stocktake_core::{EntryRef, Result};

use super::cursor::{CodedCursor, Cursor, Stop, Stretch, precedence};
use super::meter::SideMeter;
use super::offset_code::{OffsetCode, compare, compare_tied};

/// A cursor that is not open yet, and at or before whose first row this key is.
pub(super) struct Waiting<S> {
    pub(super) first_key: Vec<u8>,
    pub(super) open: Box<dyn FnOnce() -> Result<S, Stop> + Send>,
}

/// The merge of several cursors. Of rows of one key, one is kept.
pub(super) struct KWay<S> {
    // INVARIANT: each is at a row; keys do not ascend, and unless `clear`, the code of each is relative
    // to the key behind it in the list. After `settle` the last key is less than all others.
    open: Vec<Open<S>>,
    // First keys do not ascend.
    waiting: Vec<Waiting<S>>,
    // How many may be open at once.
    fan_in: usize,
    meter: SideMeter,
    // The batch of the last cursor whose rows are known to lie below all others.
    clear: Option<u64>,
}

struct Open<S> {
    code: OffsetCode,
    cursor: Box<S>,
}

impl<S: CodedCursor> Open<S> {
    fn key(&self) -> &[u8] {
        self.cursor.key().expect("a cursor in the list is at a row")
    }
}

impl<S: CodedCursor> KWay<S> {
    /// Stands at the least row of all.
    ///
    /// # Errors
    /// [`Stop::Disorder`] once more than `fan_in` cursors would have to be open.
    pub(super) fn open(mut waiting: Vec<Waiting<S>>, fan_in: usize, meter: SideMeter) -> Result<Self, Stop> {
        waiting.sort_unstable_by(|a, b| b.first_key.cmp(&a.first_key));
        let mut merge = Self { open: Vec::new(), waiting, fan_in, meter, clear: None };
        merge.settle()?;
        merge.clear = merge.clear_batch();
        Ok(merge)
    }

    /// Opens what has to be open, and keeps one row of each key.
    fn settle(&mut self) -> Result<(), Stop> {
        loop {
            while self.waiting_is_due() {
                self.open_next()?;
            }
            match &self.open[..] {
                [.., second, _] if second.code == OffsetCode::EQUAL => self.settle_duplicate()?,
                _ => return Ok(()),
            }
        }
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
        self.place(Box::new(cursor));
        Ok(())
    }

    /// Passes over the worse of the two least rows, which have the same key.
    fn settle_duplicate(&mut self) -> Result<(), Stop> {
        let (Some(a), Some(b)) = (self.open.pop(), self.open.pop()) else { return Ok(()) };
        let (row_a, row_b) = (a.cursor.entry()?, b.cursor.entry()?);
        let a_stays = precedence(&row_a, &row_b) != Ordering::Less;
        self.meter.duplicate(if a_stays { &row_b } else { &row_a });
        let (stays, mut goes) = if a_stays { (a, b) } else { (b, a) };
        goes.cursor.advance()?;
        // Its new code is relative to the key of both.
        self.put_back(goes.cursor);
        self.open.push(stays);
        Ok(())
    }

    /// Puts back a cursor that stood below all in the list and has stepped on, unless it is at its end.
    fn put_back(&mut self, cursor: Box<S>) {
        let Some(key) = cursor.key() else { return };
        // Relative to the old key at first, as the last in the list; then to each that it passes.
        let mut code = cursor.code();
        let mut place = self.open.len();
        while let Some(other) = place.checked_sub(1).map(|above| &mut self.open[above]) {
            match code.cmp(&other.code) {
                Ordering::Less => break,
                Ordering::Greater => {}
                Ordering::Equal => {
                    let (order, code_of_greater) = compare_tied(code, key, other.key());
                    if order == Ordering::Greater {
                        code = code_of_greater;
                    } else {
                        other.code = code_of_greater;
                        break;
                    }
                }
            }
            place -= 1;
        }
        self.open.insert(place, Open { code, cursor });
    }

    /// Puts a cursor where its key belongs, whatever the codes, and mends them.
    fn place(&mut self, cursor: Box<S>) {
        let Some(key) = cursor.key() else { return };
        let place = self.open.partition_point(|other| other.key() > key);
        let code = self.open.get(place).map_or(OffsetCode::first(key), |below| compare(below.key(), key).1);
        self.open.insert(place, Open { code, cursor });
        self.mend_code_above(place);
    }

    /// Makes the code of the cursor above this place relative to the one here.
    fn mend_code_above(&mut self, place: usize) {
        if let Some(above) = place.checked_sub(1) {
            self.open[above].code = compare(self.open[place].key(), self.open[above].key()).1;
        }
    }

    /// The batch of the least cursor, if its rows lie below everything else, open or waiting.
    fn clear_batch(&self) -> Option<u64> {
        let (least, others) = self.open.split_last()?;
        let Stretch { batch, rows, batch_number } = least.cursor.stretch()?;
        let last_key = batch.key(rows.end - 1);
        let clear = others.last().is_none_or(|other| last_key < other.key())
            && self.waiting.last().is_none_or(|next| last_key < next.first_key.as_slice());
        clear.then_some(batch_number)
    }

    fn advance_among_others(&mut self) -> Result<(), Stop> {
        let Some(Open { mut cursor, .. }) = self.open.pop() else { return Ok(()) };
        let before = batch_number(&*cursor);
        cursor.advance()?;
        let same_batch = batch_number(&*cursor) == before;
        self.put_back(cursor);
        self.settle()?;
        // Looking over a whole batch costs comparisons, so it is done once for each.
        self.clear = if same_batch { None } else { self.clear_batch() };
        Ok(())
    }

    /// The least cursor has stepped out of its clear batch, perhaps beyond others.
    fn leave_batch(&mut self) -> Result<(), Stop> {
        if let Some(Open { cursor, .. }) = self.open.pop() {
            self.place(cursor);
        }
        self.settle()?;
        self.clear = self.clear_batch();
        Ok(())
    }
}

fn batch_number(cursor: &impl Cursor) -> Option<u64> {
    cursor.stretch().map(|stretch| stretch.batch_number)
}

impl<S: CodedCursor> Cursor for KWay<S> {
    #[inline]
    fn key(&self) -> Option<&[u8]> {
        self.open.last().and_then(|least| least.cursor.key())
    }

    #[inline]
    fn entry(&self) -> Result<EntryRef<'_>> {
        self.open.last().expect("only called while at a row").cursor.entry()
    }

    #[inline]
    fn advance(&mut self) -> Result<(), Stop> {
        if let (Some(clear), Some(least)) = (self.clear, self.open.last_mut()) {
            least.cursor.advance()?;
            if batch_number(&*least.cursor) == Some(clear) {
                return Ok(());
            }
            return self.leave_batch();
        }
        self.advance_among_others()
    }

    #[inline]
    fn stretch(&self) -> Option<Stretch<'_>> {
        let clear = self.clear?;
        self.open.last()?.cursor.stretch().filter(|stretch| stretch.batch_number == clear)
    }

    fn jump(&mut self, rows: usize) -> Result<(), Stop> {
        let least = self.open.last_mut().expect("only called while at a row");
        least.cursor.jump(rows)?;
        // Settling a duplicate at the end of the batch may have turned it over.
        if batch_number(&*least.cursor) == self.clear { Ok(()) } else { self.leave_batch() }
    }
}
