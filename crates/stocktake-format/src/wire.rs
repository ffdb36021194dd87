//! Little-endian fields of the binary parts of the format.
//!
//! Reading checks every length against what is left, so a damaged count can
//! neither panic nor allocate.

use crate::{FormatError, Result};

/// Reads fields one after the other.
#[derive(Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next `length` bytes.
    pub(crate) fn bytes(&mut self, length: usize) -> Result<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length).ok_or_else(|| FormatError::damaged("ends too early"))?;
        self.0 = rest;
        Ok(bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        Ok(self.bytes(N)?.try_into().expect("N bytes were taken"))
    }

    pub(crate) fn u8(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn i64(&mut self) -> Result<i64> {
        self.array().map(i64::from_le_bytes)
    }

    /// Bytes with their length in 32 bits before them.
    pub(crate) fn prefixed(&mut self) -> Result<&'a [u8]> {
        let length = self.u32()? as usize;
        self.bytes(length)
    }

    /// UTF-8 with its length in 32 bits before it.
    pub(crate) fn text(&mut self) -> Result<&'a str> {
        std::str::from_utf8(self.prefixed()?).map_err(|_| FormatError::damaged("a text is not UTF-8"))
    }

    /// A count of items of at least `least_bytes` each, which must fit in what is left.
    pub(crate) fn count(&mut self, least_bytes: usize) -> Result<usize> {
        let count = self.u32()? as usize;
        if count > self.0.len() / least_bytes {
            return Err(FormatError::damaged("a count exceeds the bytes that are there"));
        }
        Ok(count)
    }

    /// Nothing may be left.
    pub(crate) fn end(self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(FormatError::damaged("has bytes after its end")) }
    }
}

/// Appends `bytes` with their length in 32 bits before them.
pub(crate) fn put_prefixed(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&length(bytes.len()).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// A length or count as 32 bits.
pub(crate) fn length(length: usize) -> u32 {
    u32::try_from(length).expect("parts of a pack stay below 4 GiB")
}
