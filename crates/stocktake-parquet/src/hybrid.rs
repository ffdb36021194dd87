//! The mixture of repeated and bit-packed runs that Parquet calls RLE.
//!
//! Definition levels, dictionary indices and booleans use it. A run is decoded
//! only as far as values are asked for, so a run that claims billions of values
//! costs nothing.

use std::ops::Range;

use crate::bits::unpack_u32;
use crate::thrift::read_varint;
use crate::{Error, Result};

/// A position in a page's sequence of runs.
#[derive(Clone, Debug)]
pub(crate) struct Hybrid {
    /// The bytes of the page that hold runs not begun yet.
    rest: Range<usize>,
    width: u32,
    run: Run,
}

#[derive(Clone, Debug)]
enum Run {
    Repeated {
        value: u32,
        left: usize,
    },
    /// `at` is a bit of the page.
    Packed {
        at: usize,
        left: usize,
    },
}

impl Hybrid {
    /// Runs of integers of `width` bits in `range` of a page.
    pub(crate) fn new(range: Range<usize>, width: u8) -> Result<Self> {
        if width > 32 {
            return Err(Error::damaged(format!("integers of {width} bits")));
        }
        Ok(Self { rest: range, width: u32::from(width), run: Run::Repeated { value: 0, left: 0 } })
    }

    /// Appends the next `count` values.
    pub(crate) fn fill(&mut self, page: &[u8], count: usize, out: &mut Vec<u32>) -> Result<()> {
        let mut wanted = count;
        while wanted > 0 {
            wanted -= match &mut self.run {
                Run::Repeated { left: 0, .. } | Run::Packed { left: 0, .. } => self.begin_run(page)?,
                Run::Repeated { value, left } => {
                    let taken = wanted.min(*left);
                    out.resize(out.len() + taken, *value);
                    *left -= taken;
                    taken
                }
                Run::Packed { at, left } => {
                    let taken = wanted.min(*left);
                    unpack_u32(&page[..self.rest.end], *at, self.width, taken, out)?;
                    *at += taken * self.width as usize;
                    *left -= taken;
                    taken
                }
            };
        }
        Ok(())
    }

    /// Passes over the next `count` values if they all equal `value` in one run.
    pub(crate) fn skip_run_of(&mut self, page: &[u8], value: u32, count: usize) -> Result<bool> {
        if let Run::Repeated { left: 0, .. } | Run::Packed { left: 0, .. } = self.run {
            self.begin_run(page)?;
        }
        match &mut self.run {
            Run::Repeated { value: repeated, left } if *repeated == value && *left >= count => {
                *left -= count;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Begins the next run; it yields no value yet.
    fn begin_run(&mut self, page: &[u8]) -> Result<usize> {
        let ended = || Error::damaged("a page ends within a run");
        let rest = page.get(self.rest.clone()).ok_or_else(ended)?;
        let (head, head_len) = read_varint(rest).ok_or_else(ended)?;
        let count = usize::try_from(head >> 1).map_err(|_| ended())?;
        let start = self.rest.start + head_len;
        if head & 1 == 0 {
            let value_len = self.width.div_ceil(8) as usize;
            let stored = rest[head_len..].get(..value_len).ok_or_else(ended)?;
            let mut value = [0; 4];
            value[..value_len].copy_from_slice(stored);
            self.rest.start = start + value_len;
            self.run = Run::Repeated { value: u32::from_le_bytes(value), left: count };
        } else {
            // Groups of eight values; the last group of a page may be cut off where nobody needs it.
            let bytes = count.checked_mul(self.width as usize).ok_or_else(ended)?;
            let left = count.checked_mul(8).ok_or_else(ended)?;
            self.rest.start = start.saturating_add(bytes).min(self.rest.end);
            self.run = Run::Packed { at: start * 8, left };
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(page: &[u8], width: u8, count: usize) -> Result<Vec<u32>> {
        let mut values = Vec::new();
        Hybrid::new(0..page.len(), width)?.fill(page, count, &mut values)?;
        Ok(values)
    }

    #[test]
    fn repeated_and_packed_runs_follow_each_other() {
        // Five times 4, then eight values of three bits.
        let page = [5 << 1, 4, (1 << 1) | 1, 0b1000_1000, 0b1100_0110, 0b1111_1010];
        assert_eq!(decode(&page, 3, 13).unwrap(), [4, 4, 4, 4, 4, 0, 1, 2, 3, 4, 5, 6, 7]);
        assert!(decode(&page, 3, 14).is_err());
    }

    #[test]
    fn runs_of_no_values_do_not_loop_for_ever() {
        assert!(decode(&[0, 0, 0, 0], 3, 1).is_err());
        assert!(decode(&[1, 1, 1], 3, 1).is_err());
    }
}
