//! Values of a page, decoded straight from its bytes.
//!
//! A decoder is a position in a page and gives out as many values as are asked
//! for. What a file claims is believed only as far as its bytes reach.

use std::ops::Range;

use crate::buffer::BytesBuffer;
use crate::delta::Delta;
use crate::dictionary::Dictionary;
use crate::header::PageEncoding;
use crate::hybrid::Hybrid;
use crate::meta::ColumnKind;
use crate::prefixed::Prefixed;
use crate::{Error, Result};

/// A position among the values of a page.
#[derive(Debug)]
pub(crate) enum Values {
    Plain {
        rest: Range<usize>,
    },
    /// One bit a value, from this bit on.
    PlainBits {
        at: usize,
        end: usize,
    },
    Indices(Hybrid),
    RleBits(Hybrid),
    Delta(Delta),
    Lengths {
        lengths: Delta,
        rest: Range<usize>,
    },
    Prefixed(Box<Prefixed>),
}

impl Values {
    /// The values in `range` of a page.
    pub(crate) fn new(page: &[u8], range: Range<usize>, encoding: PageEncoding, kind: ColumnKind) -> Result<Self> {
        use PageEncoding as E;
        Ok(match (encoding, kind) {
            (E::Plain, ColumnKind::Bool) => Self::PlainBits { at: range.start * 8, end: range.end * 8 },
            (E::Plain, _) => Self::Plain { rest: range },
            (E::Dictionary, _) => match page.get(range.clone()).and_then(<[u8]>::first) {
                Some(width) => Self::Indices(Hybrid::new(range.start + 1..range.end, *width)?),
                // A page of nulls only.
                None => Self::Indices(Hybrid::new(range, 0)?),
            },
            (E::Rle, ColumnKind::Bool) => Self::RleBits(prefixed_runs(page, range, 1)?.0),
            (E::DeltaBinaryPacked, ColumnKind::I32 | ColumnKind::I64) => match range.is_empty() {
                true => Self::Plain { rest: range },
                false => Self::Delta(Delta::new(page, range)?),
            },
            (E::DeltaLengthByteArray, ColumnKind::Bytes) if !range.is_empty() => {
                let lengths = Delta::new(page, range.clone())?;
                let rest = lengths.end(page)?..range.end;
                Self::Lengths { lengths, rest }
            }
            (E::DeltaByteArray, ColumnKind::Bytes | ColumnKind::Fixed(_)) if !range.is_empty() => {
                Self::Prefixed(Box::new(Prefixed::new(page, range)?))
            }
            (E::DeltaLengthByteArray | E::DeltaByteArray, _) if range.is_empty() => Self::Plain { rest: range },
            _ => return Err(Error::unsupported(format!("encoding {encoding:?} of {kind:?} values"))),
        })
    }

    /// Calls `value` with the next `count` byte strings.
    #[inline]
    pub(crate) fn strings<E: From<Error>>(
        &mut self,
        page: &[u8],
        dictionary: &Dictionary,
        kind: ColumnKind,
        count: usize,
        scratch: &mut Vec<u32>,
        mut value: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        match self {
            Self::Plain { rest } => {
                let bytes = &page[..rest.end];
                match kind {
                    ColumnKind::Fixed(width) => (0..count).try_for_each(|_| {
                        let fixed = fixed_at(bytes, rest.start, width)?;
                        rest.start += width;
                        value(fixed)
                    }),
                    _ => (0..count).try_for_each(|_| value(plain_string(bytes, &mut rest.start)?)),
                }
            }
            Self::Indices(indices) => {
                scratch.clear();
                indices.fill(page, count, scratch)?;
                scratch.iter().try_for_each(|index| value(dictionary.bytes(*index)?))
            }
            Self::Lengths { lengths, rest } => (0..count).try_for_each(|_| {
                let length = length_of(lengths.next(page)?)?;
                value(take(page, rest, length)?)
            }),
            Self::Prefixed(strings) => strings.visit(page, count, |string| match kind {
                ColumnKind::Fixed(width) if string.len() != width => {
                    Err(Error::damaged("a string has not the length of its column").into())
                }
                _ => value(string),
            }),
            _ => Err(Error::damaged("a page holds no byte strings").into()),
        }
    }

    /// Appends the next `count` byte strings.
    #[inline]
    pub(crate) fn append_strings(
        &mut self,
        page: &[u8],
        dictionary: &Dictionary,
        kind: ColumnKind,
        count: usize,
        scratch: &mut Vec<u32>,
        out: &mut BytesBuffer,
    ) -> Result<()> {
        match self {
            Self::Prefixed(strings) if kind == ColumnKind::Bytes => strings.append(page, count, out),
            _ => self.strings(page, dictionary, kind, count, scratch, |string| out.push(string)),
        }
    }

    /// Appends the next `count` byte strings of `N` bytes each, which is the width of the column.
    pub(crate) fn arrays<const N: usize>(
        &mut self,
        page: &[u8],
        dictionary: &Dictionary,
        count: usize,
        scratch: &mut Vec<u32>,
        out: &mut Vec<[u8; N]>,
    ) -> Result<()> {
        if let Self::Plain { rest } = self {
            out.extend_from_slice(take(page, rest, count.saturating_mul(N))?.as_chunks().0);
            return Ok(());
        }
        self.strings(page, dictionary, ColumnKind::Fixed(N), count, scratch, |string| {
            out.push(string.try_into().expect("strings of another length are refused"));
            Ok(())
        })
    }

    /// Appends the next `count` integers, of 32 or 64 bits as `kind` says.
    pub(crate) fn integers(
        &mut self,
        page: &[u8],
        dictionary: &Dictionary,
        kind: ColumnKind,
        count: usize,
        scratch: &mut Vec<u32>,
        out: &mut Vec<i64>,
    ) -> Result<()> {
        match self {
            Self::Plain { rest } => {
                let width = if kind == ColumnKind::I64 { 8 } else { 4 };
                let bytes = take(page, rest, count.saturating_mul(width))?;
                if kind == ColumnKind::I64 {
                    out.extend(bytes.as_chunks().0.iter().map(|value| i64::from_le_bytes(*value)));
                } else {
                    out.extend(bytes.as_chunks().0.iter().map(|value| i64::from(i32::from_le_bytes(*value))));
                }
                Ok(())
            }
            Self::Indices(indices) => {
                scratch.clear();
                indices.fill(page, count, scratch)?;
                scratch.iter().try_for_each(|index| {
                    out.push(dictionary.integer(*index)?);
                    Ok(())
                })
            }
            Self::Delta(delta) => {
                let first = out.len();
                delta.fill(page, count, out)?;
                if kind == ColumnKind::I32 {
                    // 32-bit differences wrap around at 32 bits.
                    out[first..].iter_mut().for_each(|value| *value = i64::from(*value as i32));
                }
                Ok(())
            }
            _ => Err(Error::damaged("a page holds no integers")),
        }
    }

    /// Appends the next `count` booleans.
    pub(crate) fn bits(
        &mut self,
        page: &[u8],
        count: usize,
        scratch: &mut Vec<u32>,
        out: &mut Vec<bool>,
    ) -> Result<()> {
        match self {
            Self::PlainBits { at, end } => {
                if end.saturating_sub(*at) < count {
                    return Err(Error::damaged("a page has fewer values than announced"));
                }
                out.extend((*at..*at + count).map(|bit| page[bit / 8] >> (bit % 8) & 1 == 1));
                *at += count;
                Ok(())
            }
            Self::RleBits(runs) => {
                scratch.clear();
                runs.fill(page, count, scratch)?;
                out.extend(scratch.iter().map(|bit| *bit == 1));
                Ok(())
            }
            _ => Err(Error::damaged("a page holds no booleans")),
        }
    }

    /// Appends the next `count` indices into the dictionary; `false` when the page has none.
    pub(crate) fn indices(&mut self, page: &[u8], count: usize, out: &mut Vec<u32>) -> Result<bool> {
        match self {
            Self::Indices(indices) => indices.fill(page, count, out).map(|()| true),
            _ => Ok(false),
        }
    }
}

/// Runs behind their length in four bytes, and where they end.
pub(crate) fn prefixed_runs(page: &[u8], range: Range<usize>, width: u8) -> Result<(Hybrid, usize)> {
    let short = || Error::damaged("a page ends within its levels");
    let mut rest = range;
    let length = take(page, &mut rest, 4)?.first_chunk().ok_or_else(short)?;
    let end = (u32::from_le_bytes(*length) as usize).checked_add(rest.start).filter(|end| *end <= rest.end);
    let end = end.ok_or_else(short)?;
    Ok((Hybrid::new(rest.start..end, width)?, end))
}

/// The byte string at `at` behind its length in four bytes; moves `at` behind it.
#[inline]
pub(crate) fn plain_string<'a>(bytes: &'a [u8], at: &mut usize) -> Result<&'a [u8]> {
    let string = bytes.get(*at..).and_then(|rest| {
        let (length, rest) = rest.split_first_chunk()?;
        rest.get(..u32::from_le_bytes(*length) as usize)
    });
    let string = string.ok_or_else(short)?;
    *at += 4 + string.len();
    Ok(string)
}

/// The `width` bytes at `at`.
#[inline]
pub(crate) fn fixed_at(bytes: &[u8], at: usize, width: usize) -> Result<&[u8]> {
    bytes.get(at..).and_then(|rest| rest.get(..width)).ok_or_else(short)
}

pub(crate) fn take<'a>(page: &'a [u8], rest: &mut Range<usize>, length: usize) -> Result<&'a [u8]> {
    let bytes = page.get(rest.clone()).and_then(|rest| rest.get(..length)).ok_or_else(short)?;
    rest.start += length;
    Ok(bytes)
}

pub(crate) fn length_of(value: i64) -> Result<usize> {
    usize::try_from(value).map_err(|_| Error::damaged("a string has a negative length"))
}

fn short() -> Error {
    Error::damaged("a page ends within its values")
}
