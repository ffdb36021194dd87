//! The distinct values of a column chunk.

use bytes::Bytes;

use crate::decode::{fixed_at, plain_string};
use crate::meta::ColumnKind;
use crate::{Error, Result};

/// A dictionary page, decoded.
#[derive(Debug, Default)]
pub(crate) enum Dictionary {
    /// No dictionary was read yet.
    #[default]
    None,
    Bytes {
        data: Bytes,
        /// Where each string begins and ends.
        bounds: Vec<(u32, u32)>,
    },
    Fixed {
        data: Bytes,
        width: usize,
    },
    Integers(Vec<i64>),
}

impl Dictionary {
    /// Decodes a page of `count` plain values.
    pub(crate) fn decode(page: &Bytes, count: usize, kind: ColumnKind) -> Result<Self> {
        // Every value takes some bytes, so a count can't make the loops below reserve more than the page has.
        Ok(match kind {
            ColumnKind::Bytes => {
                let mut bounds = Vec::new();
                let mut at = 0;
                for _ in 0..count {
                    let string = plain_string(page, &mut at)?;
                    bounds.push(((at - string.len()) as u32, at as u32));
                }
                Self::Bytes { data: page.clone(), bounds }
            }
            ColumnKind::Fixed(width) => Self::Fixed { data: page.slice_ref(whole(page, count, width)?), width },
            ColumnKind::I64 => {
                Self::Integers(whole(page, count, 8)?.as_chunks().0.iter().map(|v| i64::from_le_bytes(*v)).collect())
            }
            ColumnKind::I32 => Self::Integers(
                whole(page, count, 4)?.as_chunks().0.iter().map(|v| i64::from(i32::from_le_bytes(*v))).collect(),
            ),
            ColumnKind::Bool => return Err(Error::unsupported("a dictionary of booleans")),
        })
    }

    /// Whether no dictionary was read. One that was may be empty.
    pub(crate) fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Number of values.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Bytes { bounds, .. } => bounds.len(),
            Self::Fixed { data, width } => data.len().checked_div(*width).unwrap_or(0),
            Self::Integers(values) => values.len(),
        }
    }

    /// The byte string of an index.
    #[inline]
    pub(crate) fn bytes(&self, index: u32) -> Result<&[u8]> {
        match self {
            Self::Bytes { data, bounds } => {
                let (start, end) = *bounds.get(index as usize).ok_or_else(outside)?;
                Ok(&data[start as usize..end as usize])
            }
            Self::Fixed { data, width } => fixed_at(data, (index as usize).saturating_mul(*width), *width),
            _ => Err(outside()),
        }
    }

    /// The integer of an index.
    #[inline]
    pub(crate) fn integer(&self, index: u32) -> Result<i64> {
        match self {
            Self::Integers(values) => values.get(index as usize).copied().ok_or_else(outside),
            _ => Err(outside()),
        }
    }
}

fn whole(page: &[u8], count: usize, width: usize) -> Result<&[u8]> {
    let length = count.checked_mul(width).filter(|length| *length > 0 || count == 0);
    length.and_then(|length| page.get(..length)).ok_or_else(|| Error::damaged("a dictionary is cut short"))
}

fn outside() -> Error {
    Error::damaged("an index lies outside of the dictionary")
}
