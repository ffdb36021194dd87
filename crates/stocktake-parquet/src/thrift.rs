//! The part of Thrift's compact protocol that Parquet structures use.
//!
//! A reader walks over a slice and keeps nothing. It serves two ends: page
//! headers are decoded with it, and footers are walked with it once before the
//! parquet crate decodes them, since that crate reserves memory for as many
//! list elements as the file claims.

use crate::{Error, Result};

/// Deeper nesting than any Parquet structure has.
const MAX_DEPTH: usize = 16;

/// More structures than any footer that is read has: four or five for each of a hundred thousand column chunks.
const MAX_STRUCTURES: usize = 500_000;

/// The type of a field or list element, as its code in the protocol.
pub(crate) mod kind {
    pub(crate) const TRUE: u8 = 1;
    pub(crate) const FALSE: u8 = 2;
    pub(crate) const I8: u8 = 3;
    pub(crate) const I16: u8 = 4;
    pub(crate) const I32: u8 = 5;
    pub(crate) const I64: u8 = 6;
    pub(crate) const DOUBLE: u8 = 7;
    pub(crate) const BINARY: u8 = 8;
    pub(crate) const LIST: u8 = 9;
    pub(crate) const SET: u8 = 10;
    pub(crate) const MAP: u8 = 11;
    pub(crate) const STRUCT: u8 = 12;
}

/// A position in a slice that holds a Thrift structure.
#[derive(Clone, Debug)]
pub(crate) struct ThriftReader<'a> {
    bytes: &'a [u8],
    position: usize,
    /// How many structures may still be read.
    structures: usize,
    /// Whether a collection may hold booleans.
    boolean_elements: bool,
}

impl<'a> ThriftReader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0, structures: MAX_STRUCTURES, boolean_elements: true }
    }

    /// The same reader, to which a collection of booleans is malformed. Writers of Thrift don't agree on whether one
    /// takes a byte, and neither do readers.
    pub(crate) fn without_boolean_elements(self) -> Self {
        Self { boolean_elements: false, ..self }
    }

    /// How many bytes were read.
    pub(crate) fn position(&self) -> usize {
        self.position
    }

    /// Calls `field` with the id and type of each field of a structure; it must consume the value.
    pub(crate) fn structure(&mut self, mut field: impl FnMut(&mut Self, i16, u8) -> Result<()>) -> Result<()> {
        self.structures = self.structures.checked_sub(1).ok_or_else(malformed)?;
        let mut id = 0_i16;
        loop {
            let head = self.byte()?;
            if head == 0 {
                return Ok(());
            }
            id = match head >> 4 {
                0 => i16::try_from(self.zigzag()?).map_err(|_| malformed())?,
                delta => id.checked_add(i16::from(delta)).ok_or_else(malformed)?,
            };
            field(self, id, head & 0x0f)?;
        }
    }

    /// An integer of any length.
    pub(crate) fn integer(&mut self) -> Result<i64> {
        self.zigzag()
    }

    /// A 32-bit integer.
    pub(crate) fn i32(&mut self) -> Result<i32> {
        i32::try_from(self.zigzag()?).map_err(|_| malformed())
    }

    /// The head of a list: the type of its elements, and how many there are, none of which was read.
    pub(crate) fn list(&mut self) -> Result<(u8, u64)> {
        let head = self.byte()?;
        let length = match head >> 4 {
            15 => self.varint()?,
            short => u64::from(short),
        };
        self.check_count(length)?;
        Ok((head & 0x0f, length))
    }

    /// A byte string.
    pub(crate) fn binary(&mut self) -> Result<&'a [u8]> {
        let length = usize::try_from(self.varint()?).map_err(|_| malformed())?;
        self.take(length)
    }

    /// Passes over a value, and sees that every list in it may fit in the bytes that are there.
    pub(crate) fn skip(&mut self, kind: u8) -> Result<()> {
        self.skip_nested(kind, MAX_DEPTH)
    }

    fn skip_nested(&mut self, value: u8, depth: usize) -> Result<()> {
        let depth = depth.checked_sub(1).ok_or_else(malformed)?;
        match value {
            kind::TRUE | kind::FALSE => Ok(()),
            kind::I8 => self.byte().map(drop),
            kind::I16 | kind::I32 | kind::I64 => self.varint().map(drop),
            kind::DOUBLE => self.take(8).map(drop),
            kind::BINARY => self.binary().map(drop),
            kind::STRUCT => self.structure(|reader, _, kind| reader.skip_nested(kind, depth)),
            kind::LIST | kind::SET => self.skip_list(depth),
            kind::MAP => self.skip_map(depth),
            _ => Err(malformed()),
        }
    }

    fn skip_list(&mut self, depth: usize) -> Result<()> {
        let (kind, length) = self.list()?;
        (0..length).try_for_each(|_| self.skip_element(kind, depth))
    }

    fn skip_map(&mut self, depth: usize) -> Result<()> {
        let length = self.varint()?;
        if length == 0 {
            return Ok(());
        }
        self.check_count(length)?;
        let kinds = self.byte()?;
        (0..length).try_for_each(|_| {
            self.skip_element(kinds >> 4, depth)?;
            self.skip_element(kinds & 0x0f, depth)
        })
    }

    /// A boolean inside a collection takes a byte; inside a structure it takes none.
    fn skip_element(&mut self, value: u8, depth: usize) -> Result<()> {
        match value {
            kind::TRUE | kind::FALSE if !self.boolean_elements => Err(malformed()),
            kind::TRUE | kind::FALSE => self.byte().map(drop),
            other => self.skip_nested(other, depth),
        }
    }

    /// Every element takes at least one byte.
    fn check_count(&self, count: u64) -> Result<()> {
        let left = (self.bytes.len() - self.position) as u64;
        if count <= left { Ok(()) } else { Err(malformed()) }
    }

    fn zigzag(&mut self) -> Result<i64> {
        let raw = self.varint()?;
        Ok((raw >> 1).cast_signed() ^ -((raw & 1).cast_signed()))
    }

    fn varint(&mut self) -> Result<u64> {
        let (value, length) = read_varint(&self.bytes[self.position..]).ok_or_else(malformed)?;
        self.position += length;
        Ok(value)
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let taken = self.bytes[self.position..].get(..length).ok_or_else(malformed)?;
        self.position += length;
        Ok(taken)
    }
}

/// A little-endian base-128 number at the start of `bytes`, and how many bytes it takes.
pub(crate) fn read_varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f).checked_shl(7 * index as u32)?;
        if byte & 0x80 == 0 {
            return Some((value, index + 1));
        }
    }
    None
}

fn malformed() -> Error {
    Error::damaged("malformed metadata")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_claims_more_elements_than_bytes_is_refused() {
        // Field 1, a list of 2^28 structures, in 6 bytes.
        let bytes = [0x19, 0xfc, 0x80, 0x80, 0x80, 0x80, 0x01, 0x00];
        assert!(ThriftReader::new(&bytes).skip(kind::STRUCT).is_err());
    }

    #[test]
    fn nesting_has_an_end() {
        assert!(ThriftReader::new(&[0x1c; 4096]).skip(kind::STRUCT).is_err());
    }

    #[test]
    fn varints_end() {
        assert_eq!(read_varint(&[0xac, 0x02, 7]), Some((300, 2)));
        assert_eq!(read_varint(&[0x80; 12]), None);
        assert_eq!(read_varint(&[]), None);
    }
}
