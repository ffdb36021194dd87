//! Bytes of a stream, decompressed as they are asked for.
//!
//! A compressed stream is a row of chunks, each after three bytes that tell its length and whether it was
//! worth compressing. None decompresses to more than the block size that the file states.
//! (ORC specification v1, "Compression".)

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use flate2::{Decompress, FlushDecompress, Status};

use crate::error::{damaged, unsupported};

/// The largest block that is read: what three bytes can tell the length of. Writers cut at 256 KiB or less.
const MAX_BLOCK_BYTES: u64 = 1 << 23;

/// The block size of files that state none.
const DEFAULT_BLOCK_BYTES: u64 = 256 << 10;

/// How much of a stream that is not compressed is read at a time, and by how much a block grows.
const STEP_BYTES: usize = 64 << 10;

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Compression {
    kind: Kind,
    block_bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    None,
    Zlib,
    Snappy,
    Zstd,
}

impl Compression {
    /// Of a postscript's numbers.
    pub(crate) fn new(kind: u64, block_bytes: Option<u64>) -> io::Result<Self> {
        let kind = match kind {
            0 => Kind::None,
            1 => Kind::Zlib,
            2 => Kind::Snappy,
            3 => return Err(unsupported("it is compressed with LZO")),
            4 => return Err(unsupported("it is compressed with LZ4")),
            5 => Kind::Zstd,
            other => return Err(unsupported(format!("it is compressed in the unknown way {other}"))),
        };
        let block_bytes = block_bytes.unwrap_or(DEFAULT_BLOCK_BYTES);
        if block_bytes > MAX_BLOCK_BYTES {
            return Err(damaged(format!("its blocks are of {block_bytes} bytes, more than {MAX_BLOCK_BYTES}")));
        }
        Ok(Self { kind, block_bytes: usize::try_from(block_bytes).map_err(|_| damaged("its blocks are too large"))? })
    }
}

/// Where a stream lies in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) start: u64,
    pub(crate) length: u64,
}

/// Reads a stream from its start to its end. It holds one block as it is stored and one decompressed.
pub(crate) struct Stream {
    file: Arc<File>,
    compression: Compression,
    inflate: Option<Decompress>,
    at: u64,
    end: u64,
    stored: Vec<u8>,
    block: Vec<u8>,
    /// How much of the block was taken.
    taken: usize,
}

impl Stream {
    /// The place was checked to lie in the file.
    pub(crate) fn new(file: &Arc<File>, compression: Compression, place: Place) -> Self {
        Self {
            file: Arc::clone(file),
            compression,
            inflate: None,
            at: place.start,
            end: place.start + place.length,
            stored: Vec::new(),
            block: Vec::new(),
            taken: 0,
        }
    }

    pub(crate) fn byte(&mut self) -> io::Result<u8> {
        let byte = *self.rest()?.first().ok_or_else(ended)?;
        self.taken += 1;
        Ok(byte)
    }

    /// Fills `to`.
    pub(crate) fn fill(&mut self, mut to: &mut [u8]) -> io::Result<()> {
        while !to.is_empty() {
            let rest = self.rest()?;
            let length = rest.len().min(to.len());
            if length == 0 {
                return Err(ended());
            }
            let (now, later) = to.split_at_mut(length);
            now.copy_from_slice(&rest[..length]);
            self.taken += length;
            to = later;
        }
        Ok(())
    }

    /// Appends the next `count` bytes to `to`, which grows only by what is there.
    pub(crate) fn append(&mut self, mut count: usize, to: &mut Vec<u8>) -> io::Result<()> {
        while count > 0 {
            let rest = self.rest()?;
            let length = rest.len().min(count);
            if length == 0 {
                return Err(ended());
            }
            to.extend_from_slice(&rest[..length]);
            self.taken += length;
            count -= length;
        }
        Ok(())
    }

    /// All that is left, which is no more than `limit` bytes.
    pub(crate) fn whole(mut self, limit: usize) -> io::Result<Vec<u8>> {
        let mut whole = Vec::new();
        loop {
            let rest = self.rest()?;
            if rest.is_empty() {
                return Ok(whole);
            }
            if whole.len() + rest.len() > limit {
                return Err(damaged(format!("a footer has more than {limit} bytes")));
            }
            whole.extend_from_slice(rest);
            self.taken = self.block.len();
        }
    }

    /// What is at hand, read if need be; empty at the end of the stream.
    #[inline]
    fn rest(&mut self) -> io::Result<&[u8]> {
        while self.taken == self.block.len() && self.at < self.end {
            self.next_block()?;
        }
        Ok(&self.block[self.taken..])
    }

    fn next_block(&mut self) -> io::Result<()> {
        self.taken = 0;
        self.block.clear();
        if self.compression.kind == Kind::None {
            let length = (self.end - self.at).min(STEP_BYTES as u64);
            return read(&self.file, &mut self.at, self.end, length, &mut self.block);
        }
        self.stored.clear();
        read(&self.file, &mut self.at, self.end, 3, &mut self.stored)?;
        let header = u32::from_le_bytes([self.stored[0], self.stored[1], self.stored[2], 0]);
        let (length, is_original) = (u64::from(header >> 1), header & 1 == 1);
        if is_original {
            if length > self.compression.block_bytes as u64 {
                return Err(too_long());
            }
            return read(&self.file, &mut self.at, self.end, length, &mut self.block);
        }
        self.stored.clear();
        read(&self.file, &mut self.at, self.end, length, &mut self.stored)?;
        if self.stored.is_empty() {
            return Err(damaged("a compressed block is empty"));
        }
        self.decompress()
    }

    fn decompress(&mut self) -> io::Result<()> {
        let block_bytes = self.compression.block_bytes;
        match self.compression.kind {
            Kind::None => {}
            Kind::Zlib => {
                let inflate = self.inflate.get_or_insert_with(|| Decompress::new(false));
                inflate_block(inflate, &self.stored, &mut self.block, block_bytes)?;
            }
            Kind::Snappy => {
                let length = snap::raw::decompress_len(&self.stored).map_err(corrupt)?;
                if length > block_bytes {
                    return Err(too_long());
                }
                self.block.resize(length, 0);
                snap::raw::Decoder::new().decompress(&self.stored, &mut self.block).map_err(corrupt)?;
            }
            Kind::Zstd => {
                self.block.reserve(block_bytes);
                let mut decompressor = zstd::bulk::Decompressor::new()?;
                decompressor.decompress_to_buffer(&self.stored, &mut self.block).map_err(corrupt)?;
            }
        }
        if self.block.len() > block_bytes { Err(too_long()) } else { Ok(()) }
    }
}

/// Inflates a block, which grows as there is something to put into it.
fn inflate_block(inflate: &mut Decompress, stored: &[u8], block: &mut Vec<u8>, limit: usize) -> io::Result<()> {
    inflate.reset(false);
    loop {
        block.reserve(STEP_BYTES);
        let (from, before) = (inflate.total_in() as usize, block.len());
        let status = inflate.decompress_vec(&stored[from..], block, FlushDecompress::None).map_err(corrupt)?;
        if block.len() > limit {
            return Err(too_long());
        }
        match status {
            Status::StreamEnd => return Ok(()),
            _ if inflate.total_in() as usize == from && block.len() == before => {
                return Err(damaged("a compressed block is cut short"));
            }
            _ => {}
        }
    }
}

/// Appends `length` bytes of the file from `at` on, which must lie before `end`.
fn read(mut file: &File, at: &mut u64, end: u64, length: u64, to: &mut Vec<u8>) -> io::Result<()> {
    if end - *at < length {
        return Err(ended());
    }
    file.seek(SeekFrom::Start(*at))?;
    let came = file.take(length).read_to_end(to)?;
    *at += length;
    if came as u64 == length { Ok(()) } else { Err(ended()) }
}

fn ended() -> io::Error {
    damaged("a stream ends too early")
}

fn too_long() -> io::Error {
    damaged("a block is longer than the file says that blocks are")
}

fn corrupt(error: impl std::error::Error) -> io::Error {
    damaged(format!("a block does not decompress: {error}"))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Write;

    use super::*;

    const BLOCK: u64 = 1000;

    /// A stream of these bytes as they stand in a file.
    pub(crate) fn stream(kind: u64, bytes: &[u8]) -> Stream {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let place = Place { start: 0, length: bytes.len() as u64 };
        Stream::new(&Arc::new(file), Compression::new(kind, Some(BLOCK)).unwrap(), place)
    }

    fn chunk(bytes: &[u8], original: bool) -> Vec<u8> {
        let header = ((bytes.len() as u32) << 1) | u32::from(original);
        [&header.to_le_bytes()[..3], bytes].concat()
    }

    fn deflate(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// As many bytes as a block holds, in every way of compression.
    fn packed(kind: u64, bytes: &[u8]) -> Vec<u8> {
        match kind {
            1 => deflate(bytes),
            2 => snap::raw::Encoder::new().compress_vec(bytes).unwrap(),
            _ => zstd::bulk::compress(bytes, 3).unwrap(),
        }
    }

    #[test]
    fn blocks_of_every_kind_follow_each_other() {
        let bytes: Vec<u8> = (0..BLOCK as u32 * 2 + 7).map(|n| (n / 5) as u8).collect();
        let blocks: Vec<&[u8]> = bytes.chunks(BLOCK as usize).collect();
        for kind in [1, 2, 5] {
            let stored = [
                chunk(&packed(kind, blocks[0]), false),
                chunk(&[], true),
                chunk(blocks[1], true),
                chunk(&packed(kind, blocks[2]), false),
            ];
            assert_eq!(stream(kind, &stored.concat()).whole(1 << 20).unwrap(), bytes);
            let mut cut = stored.concat();
            cut.pop();
            assert!(stream(kind, &cut).whole(1 << 20).is_err());
        }
        assert_eq!(stream(0, &bytes).whole(1 << 20).unwrap(), bytes);
        assert!(stream(0, &bytes).whole(BLOCK as usize).is_err());
    }

    #[test]
    fn a_block_longer_than_stated_is_an_error() {
        let long = vec![0; 50 << 20];
        for kind in [1, 2, 5] {
            let mut stream = stream(kind, &chunk(&packed(kind, &long), false));
            assert!(stream.byte().is_err());
            assert!(stream.block.capacity() < 1 << 20);
        }
        assert!(stream(1, &chunk(&long[..1001], true)).byte().is_err());
        assert!(Compression::new(1, Some(1 << 40)).is_err());
    }

    #[test]
    fn a_block_cut_within_is_an_error() {
        let bytes: Vec<u8> = (0..900_u32).map(|n| (n * n / 7) as u8).collect();
        for kind in [1, 2, 5] {
            let packed = packed(kind, &bytes);
            for length in [0, 1, packed.len() / 2, packed.len() - 1] {
                assert!(stream(kind, &chunk(&packed[..length], false)).whole(1 << 20).is_err(), "{kind} {length}");
            }
        }
    }

    #[test]
    fn asking_for_more_than_there_is_ends_in_an_error() {
        let mut all = Vec::new();
        assert!(stream(0, b"abc").append(usize::MAX, &mut all).is_err());
        assert!(stream(0, b"abc").fill(&mut [0; 4]).is_err());
        let mut stream = stream(0, b"abc");
        let mut two = [0; 2];
        stream.fill(&mut two).unwrap();
        assert_eq!((two, stream.byte().unwrap()), (*b"ab", b'c'));
        assert!(stream.byte().is_err());
    }
}
