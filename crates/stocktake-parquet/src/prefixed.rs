//! Byte strings stored as what they share with the one before: `DELTA_BYTE_ARRAY`.
//!
//! Sorted keys shrink to a few bytes each. Strings that are to stand in a buffer are
//! put together right there, from the one before and what is new.

use std::ops::Range;

use crate::buffer::BytesBuffer;
use crate::decode::{length_of, take};
use crate::delta::Delta;
use crate::{Error, Result};

/// A position among such strings.
#[derive(Debug)]
pub(crate) struct Prefixed {
    prefixes: Delta,
    suffixes: Delta,
    /// The bytes of the suffixes not taken yet.
    rest: Range<usize>,
    /// The string before.
    last: Vec<u8>,
    // The lengths of what is being decoded, to be used again.
    prefix_lens: Vec<i64>,
    suffix_lens: Vec<i64>,
}

impl Prefixed {
    /// The strings in `range` of a page.
    pub(crate) fn new(page: &[u8], range: Range<usize>) -> Result<Self> {
        let prefixes = Delta::new(page, range.clone())?;
        let suffixes = Delta::new(page, prefixes.end(page)?..range.end)?;
        let rest = suffixes.end(page)?..range.end;
        Ok(Self { prefixes, suffixes, rest, last: Vec::new(), prefix_lens: Vec::new(), suffix_lens: Vec::new() })
    }

    /// Calls `value` with the next `count` strings.
    pub(crate) fn visit<E: From<Error>>(
        &mut self,
        page: &[u8],
        count: usize,
        mut value: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.take_lengths(page, count)?;
        let Self { rest, last, prefix_lens, suffix_lens, .. } = self;
        for (prefix, suffix) in prefix_lens.iter().zip(suffix_lens) {
            let suffix = take(page, rest, length_of(*suffix)?)?;
            last.truncate(shared_with(last, *prefix)?);
            last.extend_from_slice(suffix);
            value(last)?;
        }
        Ok(())
    }

    /// Appends the next `count` strings.
    pub(crate) fn append(&mut self, page: &[u8], count: usize, out: &mut BytesBuffer) -> Result<()> {
        self.take_lengths(page, count)?;
        let Self { rest, last, prefix_lens, suffix_lens, .. } = self;
        let mut lengths = prefix_lens.iter().zip(suffix_lens);
        let Some((prefix, suffix)) = lengths.next() else { return Ok(()) };
        last.truncate(shared_with(last, *prefix)?);
        last.extend_from_slice(take(page, rest, length_of(*suffix)?)?);
        out.push(last)?;
        for (prefix, suffix) in lengths {
            out.push_like_last(length_of(*prefix)?, take(page, rest, length_of(*suffix)?)?)?;
        }
        last.clear();
        last.extend_from_slice(out.get(out.len() - 1));
        Ok(())
    }

    fn take_lengths(&mut self, page: &[u8], count: usize) -> Result<()> {
        self.prefix_lens.clear();
        self.suffix_lens.clear();
        self.prefixes.fill(page, count, &mut self.prefix_lens)?;
        self.suffixes.fill(page, count, &mut self.suffix_lens)
    }
}

/// The number of bytes that a string has in common with `last`, the one before.
fn shared_with(last: &[u8], prefix: i64) -> Result<usize> {
    let prefix = length_of(prefix)?;
    if prefix <= last.len() { Ok(prefix) } else { Err(shares_too_much()) }
}

pub(crate) fn shares_too_much() -> Error {
    Error::damaged("a string shares more with the one before than that has")
}
