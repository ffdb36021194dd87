//! Buffers that a batch of values is decoded into, made to be used again.

use crate::prefixed::shares_too_much;
use crate::{Error, Result};

/// The most bytes that the strings of one batch may take. With 8,192 rows a batch, 32 KiB each.
pub const MAX_BATCH_BYTES: usize = 256 << 20;

/// Byte strings: one arena, and where each string ends in it. A null is an empty string.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BytesBuffer {
    data: Vec<u8>,
    ends: Vec<u32>,
}

impl BytesBuffer {
    /// An empty buffer with room for `strings` strings of `bytes` bytes in all.
    pub fn with_capacity(strings: usize, bytes: usize) -> Self {
        Self { data: Vec::with_capacity(bytes), ends: Vec::with_capacity(strings) }
    }

    /// Number of strings.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no string.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The string at `index`.
    ///
    /// # Panics
    /// When `index` is out of range.
    #[inline]
    pub fn get(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] as usize };
        &self.data[start..self.ends[index] as usize]
    }

    /// All strings in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> + Clone {
        (0..self.len()).map(|index| self.get(index))
    }

    /// The arena, and where each string ends in it: ascending, the last being the arena's length.
    pub fn into_parts(self) -> (Vec<u8>, Vec<u32>) {
        (self.data, self.ends)
    }

    /// Empties the buffer and keeps its memory.
    pub fn clear(&mut self) {
        self.data.clear();
        self.ends.clear();
    }

    /// Appends a string that has its first `shared` bytes in common with the last one, of which there is one.
    #[inline]
    pub(crate) fn push_like_last(&mut self, shared: usize, rest: &[u8]) -> Result<()> {
        let start = self.ends.len().checked_sub(2).map_or(0, |before| self.ends[before] as usize);
        if shared > self.data.len() - start {
            return Err(shares_too_much());
        }
        self.data.extend_from_within(start..start + shared);
        self.push(rest)
    }

    #[inline]
    pub(crate) fn push(&mut self, string: &[u8]) -> Result<()> {
        self.data.extend_from_slice(string);
        if self.data.len() > MAX_BATCH_BYTES {
            return Err(Error::unsupported("strings too long to be read in batches"));
        }
        self.ends.push(self.data.len() as u32);
        Ok(())
    }

    /// Makes room for nulls: `present` says of each row from `first` on whether it has one of the strings there.
    pub(crate) fn spread(&mut self, first: usize, present: &[bool]) {
        let start = if first == 0 { 0 } else { self.ends[first - 1] };
        spread(&mut self.ends, first, present, 0);
        let mut end = start;
        for (slot, present) in self.ends[first..].iter_mut().zip(present) {
            end = if *present { *slot } else { end };
            *slot = end;
        }
    }
}

/// Which rows of a batch are null.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nulls {
    /// Empty when there is none.
    present: Vec<bool>,
}

impl Nulls {
    /// Whether any row is null.
    pub fn any(&self) -> bool {
        !self.present.is_empty()
    }

    /// Whether the row at `index` is null.
    #[inline]
    pub fn is_null(&self, index: usize) -> bool {
        self.present.get(index) == Some(&false)
    }

    /// The rows that are null, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.present.iter().enumerate().filter_map(|(row, present)| (!present).then_some(row))
    }

    pub(crate) fn clear(&mut self) {
        self.present.clear();
    }

    /// Takes note of the rows from `first` on: `None` means that all have values.
    pub(crate) fn append(&mut self, first: usize, rows: usize, present: Option<&[bool]>) {
        match present {
            Some(present) => {
                self.present.resize(first, true);
                self.present.extend_from_slice(present);
            }
            None if self.any() => self.present.resize(first + rows, true),
            None => {}
        }
    }
}

/// Moves the values from `first` on to the rows that have one; the others get `filler`.
pub(crate) fn spread<T: Copy>(values: &mut Vec<T>, first: usize, present: &[bool], filler: T) {
    let mut next = values.len();
    values.resize(first + present.len(), filler);
    for (row, present) in present.iter().enumerate().rev() {
        values[first + row] = if *present {
            next -= 1;
            values[next]
        } else {
            filler
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nulls_are_empty_strings_between_the_others() {
        let mut buffer = BytesBuffer::default();
        for string in ["kept", "a", "bc"] {
            buffer.push(string.as_bytes()).unwrap();
        }
        buffer.spread(1, &[false, true, false, true, false]);
        let strings: Vec<_> = buffer.iter().collect();
        assert_eq!(strings, [&b"kept"[..], b"", b"a", b"", b"bc", b""]);
    }

    #[test]
    fn nulls_are_known_by_row() {
        let mut nulls = Nulls::default();
        nulls.append(0, 2, None);
        assert!(!nulls.any());
        nulls.append(2, 2, Some(&[true, false]));
        nulls.append(4, 1, None);
        assert_eq!(nulls.iter().collect::<Vec<_>>(), [3]);
        assert!(!nulls.is_null(0) && nulls.is_null(3) && !nulls.is_null(4));
    }
}
