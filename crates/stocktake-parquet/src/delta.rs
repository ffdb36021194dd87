//! Integers stored as differences: `DELTA_BINARY_PACKED`.
//!
//! Blocks of a fixed number of values, each with a least difference and a few
//! miniblocks of packed rests. Values are decoded as they are asked for; only
//! where the stream ends must be found beforehand, since other encodings put
//! their bytes behind it.

use std::ops::Range;

use crate::bits::{check, unpack, unpack_all};
use crate::thrift::read_varint;
use crate::{Error, Result};

/// More values to a block than any writer puts.
const MAX_BLOCK_VALUES: u64 = 1 << 20;

/// A position in a stream of differences.
#[derive(Clone, Debug)]
pub(crate) struct Delta {
    /// Bytes of the page not looked at yet.
    rest: Range<usize>,
    /// Values not given out yet.
    left: u64,
    /// The value to be given out next, if any is left.
    next: i64,
    miniblocks: usize,
    miniblock_values: usize,
    least: i64,
    /// Bit widths of this block's miniblocks not begun yet.
    widths: Range<usize>,
    /// The current miniblock: first bit of the next difference, bit width, differences left.
    at: usize,
    width: u32,
    packed_left: usize,
}

impl Delta {
    /// Reads the head of the stream that begins where `range` does.
    pub(crate) fn new(page: &[u8], range: Range<usize>) -> Result<Self> {
        let mut rest = range;
        let block_values = varint(page, &mut rest)?;
        let miniblocks = varint(page, &mut rest)?;
        let left = varint(page, &mut rest)?;
        let next = zigzag(varint(page, &mut rest)?);
        let fits = (1..=MAX_BLOCK_VALUES).contains(&block_values)
            && miniblocks > 0
            && block_values.is_multiple_of(miniblocks)
            && (block_values / miniblocks).is_multiple_of(8);
        if !fits {
            return Err(Error::damaged("blocks of differences have an impossible size"));
        }
        Ok(Self {
            widths: rest.start..rest.start,
            rest,
            left,
            next,
            miniblocks: miniblocks as usize,
            miniblock_values: (block_values / miniblocks) as usize,
            least: 0,
            at: 0,
            width: 0,
            packed_left: 0,
        })
    }

    /// The next value.
    #[inline]
    pub(crate) fn next(&mut self, page: &[u8]) -> Result<i64> {
        if self.left == 0 {
            return Err(Error::damaged("a page has fewer values than announced"));
        }
        self.left -= 1;
        let value = self.next;
        if self.left > 0 {
            if self.packed_left == 0 {
                self.begin_miniblock(page)?;
            }
            let difference = unpack(page, self.at, self.width);
            self.at += self.width as usize;
            self.packed_left -= 1;
            self.next = value.wrapping_add(self.least).wrapping_add(difference.cast_signed());
        }
        Ok(value)
    }

    /// Appends the next `count` values.
    pub(crate) fn fill(&mut self, page: &[u8], count: usize, out: &mut Vec<i64>) -> Result<()> {
        out.reserve(count);
        let mut wanted = count;
        while wanted > 0 {
            // Every value but the last of the stream is given out along with the difference behind it.
            let at_hand = self.packed_left.min(self.left.saturating_sub(1) as usize).min(wanted);
            if at_hand == 0 {
                out.push(self.next(page)?);
                wanted -= 1;
                continue;
            }
            let (mut value, least) = (self.next, self.least);
            let differences = unpack_all(page, self.at, self.width, at_hand);
            out.extend(differences.map(|difference| {
                let next = value.wrapping_add(least).wrapping_add(difference.cast_signed());
                std::mem::replace(&mut value, next)
            }));
            self.next = value;
            self.at += at_hand * self.width as usize;
            self.packed_left -= at_hand;
            self.left -= at_hand as u64;
            wanted -= at_hand;
        }
        Ok(())
    }

    /// Where the stream ends in the page. Of no use once values were taken.
    pub(crate) fn end(&self, page: &[u8]) -> Result<usize> {
        let mut walker = self.clone();
        let mut differences = walker.left.saturating_sub(1);
        while differences > 0 {
            walker.left = differences;
            walker.begin_miniblock(page)?;
            differences -= (walker.miniblock_values as u64).min(differences);
        }
        Ok(walker.rest.start)
    }

    /// Makes the next miniblock the current one.
    fn begin_miniblock(&mut self, page: &[u8]) -> Result<()> {
        let ended = || Error::damaged("a page ends within differences");
        if self.widths.is_empty() {
            self.least = zigzag(varint(page, &mut self.rest)?);
            let end = self.rest.start.checked_add(self.miniblocks).filter(|end| *end <= self.rest.end);
            self.widths = self.rest.start..end.ok_or_else(ended)?;
            self.rest.start = self.widths.end;
        }
        self.width = u32::from(*page.get(self.widths.start).ok_or_else(ended)?);
        self.widths.start += 1;
        if self.width > 64 {
            return Err(Error::damaged("a difference of more than 64 bits"));
        }
        self.at = self.rest.start * 8;
        self.packed_left = self.miniblock_values;
        // The padding of the last miniblock may be missing.
        let needed = self.left.min(self.miniblock_values as u64) as usize;
        check(&page[..self.rest.end], self.at, self.width, needed)?;
        let bytes = self.miniblock_values / 8 * self.width as usize;
        self.rest.start = self.rest.start.saturating_add(bytes).min(self.rest.end);
        Ok(())
    }
}

fn varint(page: &[u8], rest: &mut Range<usize>) -> Result<u64> {
    let read = page.get(rest.clone()).and_then(read_varint);
    let (value, length) = read.ok_or_else(|| Error::damaged("a page ends within differences"))?;
    rest.start += length;
    Ok(value)
}

fn zigzag(raw: u64) -> i64 {
    (raw >> 1).cast_signed() ^ -((raw & 1).cast_signed())
}
