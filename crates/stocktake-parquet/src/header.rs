//! Page headers.

use crate::thrift::{ThriftReader, kind};
use crate::{Error, Result};

/// How the values of a page are laid out, as far as they are read here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageEncoding {
    Plain,
    Dictionary,
    Rle,
    DeltaBinaryPacked,
    DeltaLengthByteArray,
    DeltaByteArray,
    ByteStreamSplit,
}

/// What a page header says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PageHeader {
    pub(crate) kind: PageKind,
    /// Bytes of the page once decompressed.
    pub(crate) plain_len: usize,
    /// Bytes of the page as stored.
    pub(crate) stored_len: usize,
    /// CRC-32 of the stored bytes.
    pub(crate) crc: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageKind {
    Dictionary {
        values: usize,
    },
    V1 {
        rows: usize,
        encoding: PageEncoding,
        levels_are_rle: bool,
    },
    V2 {
        rows: usize,
        encoding: PageEncoding,
        levels_len: usize,
        compressed: bool,
    },
    /// A kind of page that holds no values.
    Other,
}

/// The fields of the inner header, of whichever kind it is.
#[derive(Default)]
struct Inner {
    values: i32,
    encoding: i32,
    /// Encoding of the levels in version 1, their length in version 2.
    levels: i32,
    repetition_levels_len: i32,
    compressed: Option<bool>,
}

impl PageHeader {
    /// Decodes the header at the start of `bytes`, and tells its length.
    pub(crate) fn decode(bytes: &[u8]) -> Result<(Self, usize)> {
        let (mut page_type, mut plain, mut stored, mut crc) = (-1, -1, -1, None);
        let mut inner = Inner::default();
        let mut reader = ThriftReader::new(bytes);
        reader.structure(|reader, id, value| {
            match (id, value) {
                (1, kind::I32) => page_type = reader.i32()?,
                (2, kind::I32) => plain = reader.i32()?,
                (3, kind::I32) => stored = reader.i32()?,
                (4, kind::I32) => crc = Some(reader.i32()?.cast_unsigned()),
                (5, kind::STRUCT) => inner.read(reader, [1, 2, 3, -1, -1])?,
                (7, kind::STRUCT) => inner.read(reader, [1, 2, -1, -1, -1])?,
                (8, kind::STRUCT) => inner.read(reader, [1, 4, 5, 6, 7])?,
                _ => reader.skip(value)?,
            }
            Ok(())
        })?;
        let header = Self { kind: inner.kind(page_type)?, plain_len: length(plain)?, stored_len: length(stored)?, crc };
        Ok((header, reader.position()))
    }
}

impl Inner {
    /// Reads the fields with the given ids: values, encoding, levels, repetition levels, compressed.
    fn read(&mut self, reader: &mut ThriftReader<'_>, ids: [i16; 5]) -> Result<()> {
        reader.structure(|reader, id, value| {
            match (ids.iter().position(|wanted| *wanted == id), value) {
                (Some(0), kind::I32) => self.values = reader.i32()?,
                (Some(1), kind::I32) => self.encoding = reader.i32()?,
                (Some(2), kind::I32) => self.levels = reader.i32()?,
                (Some(3), kind::I32) => self.repetition_levels_len = reader.i32()?,
                (Some(4), kind::TRUE | kind::FALSE) => self.compressed = Some(value == kind::TRUE),
                _ => reader.skip(value)?,
            }
            Ok(())
        })
    }

    fn kind(&self, page_type: i32) -> Result<PageKind> {
        const RLE: i32 = 3;
        let rows = length(self.values)?;
        Ok(match page_type {
            0 => PageKind::V1 { rows, encoding: encoding(self.encoding)?, levels_are_rle: self.levels == RLE },
            2 => PageKind::Dictionary { values: rows },
            3 if self.repetition_levels_len != 0 => {
                return Err(Error::damaged("a flat column has repetition levels"));
            }
            3 => PageKind::V2 {
                rows,
                encoding: encoding(self.encoding)?,
                levels_len: length(self.levels)?,
                compressed: self.compressed.unwrap_or(true),
            },
            _ => PageKind::Other,
        })
    }
}

/// The codes are those of `Encoding` in parquet.thrift.
fn encoding(code: i32) -> Result<PageEncoding> {
    Ok(match code {
        0 => PageEncoding::Plain,
        2 | 8 => PageEncoding::Dictionary,
        3 => PageEncoding::Rle,
        5 => PageEncoding::DeltaBinaryPacked,
        6 => PageEncoding::DeltaLengthByteArray,
        7 => PageEncoding::DeltaByteArray,
        9 => PageEncoding::ByteStreamSplit,
        _ => return Err(Error::unsupported(format!("encoding {code}"))),
    })
}

fn length(value: i32) -> Result<usize> {
    usize::try_from(value).map_err(|_| Error::damaged("a page header has a negative length"))
}
