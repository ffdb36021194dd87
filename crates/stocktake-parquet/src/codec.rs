//! Decompression of pages into buffers that are used again.

use std::cell::RefCell;
use std::fmt;
use std::io::Read;

use parquet::basic::Compression;
use zstd::bulk::Decompressor;

use crate::{Error, Result};

/// The largest page that is read, in bytes after decompression. Writers cut pages at about one mebibyte.
pub const MAX_PAGE_BYTES: usize = 64 << 20;

/// A decompressor for one column chunk.
pub(crate) enum Codec {
    None,
    Snappy(snap::raw::Decoder),
    Zstd,
    Gzip,
}

impl fmt::Debug for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Snappy(_) => "Snappy",
            Self::Zstd => "Zstd",
            Self::Gzip => "Gzip",
        })
    }
}

impl Codec {
    pub(crate) fn new(compression: Compression) -> Result<Self> {
        Ok(match compression {
            Compression::UNCOMPRESSED => Self::None,
            Compression::SNAPPY => Self::Snappy(snap::raw::Decoder::new()),
            Compression::ZSTD(_) => Self::Zstd,
            Compression::GZIP(_) => Self::Gzip,
            other => return Err(Error::unsupported(format!("compression {other}"))),
        })
    }

    pub(crate) fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Fills `out` with what `stored` holds; its length is what the page header announced.
    pub(crate) fn decompress(&mut self, stored: &[u8], out: &mut [u8]) -> Result<()> {
        if out.is_empty() {
            return Ok(());
        }
        let written = match self {
            Self::None if stored.len() == out.len() => {
                out.copy_from_slice(stored);
                Some(out.len())
            }
            Self::None => None,
            Self::Snappy(decoder) => decoder.decompress(stored, out).ok(),
            Self::Zstd => unzstd(stored, out).ok(),
            Self::Gzip => gunzip(stored, out).ok(),
        };
        if written == Some(out.len()) { Ok(()) } else { Err(Error::damaged("a page does not decompress")) }
    }
}

/// Decompresses with a context that the thread keeps: making one costs as much as a small page.
fn unzstd(stored: &[u8], out: &mut [u8]) -> std::io::Result<usize> {
    thread_local! {
        static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
    }
    DECOMPRESSOR.with_borrow_mut(|kept| {
        let decompressor = match kept.take() {
            Some(decompressor) => decompressor,
            None => Decompressor::new()?,
        };
        kept.insert(decompressor).decompress_to_buffer(stored, out)
    })
}

/// Fills `out`, and tells how many bytes there were: one more than it holds if there were more.
fn gunzip(stored: &[u8], out: &mut [u8]) -> std::io::Result<usize> {
    let mut decoder = flate2::read::MultiGzDecoder::new(stored);
    decoder.read_exact(out)?;
    let more = decoder.read(&mut [0])?;
    Ok(out.len() + more)
}
