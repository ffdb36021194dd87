//! A file of which some byte ranges are at hand.

use bytes::{Buf, Bytes};
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

/// Pieces of a file in memory, readable where they are.
///
/// For callers that fetch ranges on their own, asynchronously: ask
/// [`FileMeta::byte_ranges`](crate::FileMeta::byte_ranges) what is needed, fetch
/// it, put it in here, read. A read elsewhere is an error.
#[derive(Clone, Debug, Default)]
pub struct SparseBytes {
    file_len: u64,
    /// Ascending by their place in the file, which comes first.
    pieces: Vec<(u64, Bytes)>,
}

impl SparseBytes {
    /// Nothing yet of a file of `file_len` bytes.
    pub fn new(file_len: u64) -> Self {
        Self { file_len, pieces: Vec::new() }
    }

    /// Adds the bytes of the file that begin at `start`.
    pub fn insert(&mut self, start: u64, bytes: Bytes) {
        let at = self.pieces.partition_point(|(piece, _)| *piece <= start);
        self.pieces.insert(at, (start, bytes));
    }

    /// Bytes held.
    pub fn memory_bytes(&self) -> usize {
        self.pieces.iter().map(|(_, bytes)| bytes.len()).sum()
    }

    /// What is at hand from `start` on.
    fn from(&self, start: u64) -> Result<Bytes> {
        let before = self.pieces.partition_point(|(piece, _)| *piece <= start);
        let covering = self.pieces[..before].iter().rev().find_map(|(piece, bytes)| {
            let skipped = usize::try_from(start - piece).ok()?;
            (skipped < bytes.len()).then(|| bytes.slice(skipped..))
        });
        covering.ok_or_else(|| ParquetError::EOF(format!("byte {start} of the file was not fetched")))
    }
}

impl Length for SparseBytes {
    fn len(&self) -> u64 {
        self.file_len
    }
}

impl ChunkReader for SparseBytes {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(self.from(start)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        if length == 0 {
            return Ok(Bytes::new());
        }
        let bytes = self.from(start)?;
        if bytes.len() < length {
            return Err(ParquetError::EOF(format!("{length} bytes from byte {start} were not all fetched")));
        }
        Ok(bytes.slice(..length))
    }
}
