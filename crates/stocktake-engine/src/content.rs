//! Reads the bytes of rows back out of the vault.
//!
//! Every byte is verified twice: the block it comes in authenticates, and the
//! object, or the chunk, has the hash its row names.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use stocktake_core::{Content, ContentHash, Error, Extent, Location, PackId, Result, Row, Vault};
use stocktake_format::{Chunk, ChunkList, FormatError, PackReader, VaultKey, content_hash, names};

use crate::open::damaged;

/// Reads contents from the packs of a vault. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ContentReader {
    vault: Arc<dyn Vault>,
    key: Arc<VaultKey>,
}

/// Chunks of one object that are read ahead: at most 64 MiB of the longest.
const CHUNKS_AHEAD: usize = 4;

impl ContentReader {
    /// A reader of the packs in `vault`.
    pub fn new(vault: Arc<dyn Vault>, key: Arc<VaultKey>) -> Self {
        Self { vault, key }
    }

    /// Streams the bytes of a row's object, or a range of them.
    ///
    /// The stream yields exactly the range, or ends in an error. Of a large object
    /// only the chunks that touch the range are read.
    ///
    /// # Errors
    /// - [`Error::InvalidInput`]: the range does not lie within the object.
    /// - [`Error::ObjectArchived`]: the snapshot has no bytes of the object.
    /// - [`Error::BlobNotFound`], [`Error::BlobDamaged`]: a pack is gone or altered.
    pub fn read(&self, row: &Row, range: Option<Range<u64>>) -> BoxStream<'static, Result<Bytes>> {
        let (reader, row) = (self.clone(), row.clone());
        stream::once(async move { reader.open(row, range).await }).try_flatten().boxed()
    }

    async fn open(self, row: Row, range: Option<Range<u64>>) -> Result<BoxStream<'static, Result<Bytes>>> {
        let size = row.entry.size;
        let range = range.unwrap_or(0..size);
        if range.start > range.end || range.end > size {
            let problem = format!("bytes {range:?} are not within object {} of {size} bytes", row.entry.key);
            return Err(Error::invalid(problem));
        }
        match &row.content {
            Content::Absent => {
                let location = Location::new(self.vault.to_string());
                Err(Error::ObjectArchived { key: row.entry.key.clone(), location })
            }
            Content::Empty => Ok(stream::empty().boxed()),
            Content::Whole { hash, extent } => {
                let bytes = self.whole(extent, size, *hash).await?;
                let slice = bytes.slice(to_usize(range.start)..to_usize(range.end));
                Ok(stream::iter([Ok(slice)]).boxed())
            }
            Content::Chunked { hash, list, .. } => self.chunked(list, *hash, size, range).await,
        }
    }

    /// The bytes of an object that lies in one block.
    async fn whole(&self, extent: &Extent, size: u64, hash: ContentHash) -> Result<Bytes> {
        let block = self.block(extent).await?;
        self.slice(&block, extent, size, hash)
    }

    /// The object's bytes in its decoded block, with their hash checked.
    pub(crate) fn slice(&self, block: &Bytes, extent: &Extent, size: u64, hash: ContentHash) -> Result<Bytes> {
        let (start, end) = (u64::from(extent.offset), u64::from(extent.offset).saturating_add(size));
        let fault = |problem: &str| self.fault(extent.pack, FormatError::Damaged(problem.to_owned()));
        if end > block.len() as u64 {
            return Err(fault("an object lies outside of its block"));
        }
        let bytes = block.slice(to_usize(start)..to_usize(end));
        let mut hasher = self.key.content_hasher();
        hasher.update(&bytes);
        if hasher.finish() == hash { Ok(bytes) } else { Err(fault("an object has other bytes than its row says")) }
    }

    async fn chunked(
        self,
        list: &Extent,
        hash: ContentHash,
        size: u64,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, Result<Bytes>>> {
        let list = self.chunk_list_of(list, size, hash).await?;
        let chunks = chunks_within(list.chunks, range);
        let read = stream::iter(chunks).map(move |(chunk, part)| {
            let reader = self.clone();
            async move {
                let bytes = reader.whole(&chunk.extent, u64::from(chunk.length), chunk.hash).await?;
                Ok(bytes.slice(part))
            }
        });
        Ok(read.buffered(CHUNKS_AHEAD).boxed())
    }

    /// Reads the chunk list of a row, which says how long its object is and what hash it has.
    pub(crate) async fn chunk_list_of(&self, list: &Extent, size: u64, hash: ContentHash) -> Result<ChunkList> {
        let pack = list.pack;
        let list = self.chunk_list(list).await?;
        if list.size == size && content_hash(&list.hash) == hash {
            return Ok(list);
        }
        Err(self.fault(pack, FormatError::Damaged("a chunk list is not that of its row".into())))
    }

    /// Reads a chunk list.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub async fn chunk_list(&self, list: &Extent) -> Result<ChunkList> {
        let block = self.block(list).await?;
        ChunkList::decode(&block).map_err(|error| self.fault(list.pack, error))
    }

    /// Reads and decodes one block.
    async fn block(&self, extent: &Extent) -> Result<Bytes> {
        let start = u64::from(extent.block_offset);
        let range = start..start + u64::from(extent.block_length);
        let stored = self.vault.read(&names::pack(extent.pack), Some(range)).await?;
        let (reader, extent) = (self.clone(), *extent);
        tokio::task::spawn_blocking(move || reader.decode(&extent, &stored)).await.expect("decoding does not panic")
    }

    /// Decodes the block of `extent` from its stored bytes.
    pub(crate) fn decode(&self, extent: &Extent, stored: &[u8]) -> Result<Bytes> {
        let block = PackReader::new(&self.key, extent.pack).block(extent.block_offset, stored.to_vec());
        block.map(Bytes::from).map_err(|error| self.fault(extent.pack, error))
    }

    pub(crate) fn fault(&self, pack: PackId, error: FormatError) -> Error {
        damaged(&*self.vault, &names::pack(pack), error)
    }

    pub(crate) fn vault(&self) -> &Arc<dyn Vault> {
        &self.vault
    }

    pub(crate) fn key(&self) -> &Arc<VaultKey> {
        &self.key
    }
}

/// The chunks that touch `range` of their object, and which of their bytes do.
fn chunks_within(chunks: Vec<Chunk>, range: Range<u64>) -> impl Iterator<Item = (Chunk, Range<usize>)> {
    let mut at = 0;
    chunks.into_iter().filter_map(move |chunk| {
        let (start, end) = (at, at + u64::from(chunk.length));
        at = end;
        let part = range.start.max(start)..range.end.min(end);
        (part.start < part.end).then(|| (chunk, to_usize(part.start - start)..to_usize(part.end - start)))
    })
}

/// An offset within something that is in memory.
fn to_usize(offset: u64) -> usize {
    usize::try_from(offset).expect("what is in memory has an offset that fits")
}

#[cfg(test)]
mod tests {
    use super::*;
    use stocktake_core::JobId;

    #[test]
    fn only_chunks_that_touch_the_range_are_read() {
        let pack = PackId { job: JobId::from_bytes([0; 16]), own: 0, worker: 0, seq: 0 };
        let extent = Extent { pack, block_offset: 0, block_length: 0, offset: 0 };
        let chunk = |length| Chunk { extent, length, hash: ContentHash::default() };
        let parts = |range| -> Vec<_> {
            chunks_within(vec![chunk(10), chunk(5), chunk(10)], range).map(|(_, part)| part).collect()
        };
        assert_eq!(parts(0..25), [0..10, 0..5, 0..10]);
        assert_eq!(parts(9..16), [9..10, 0..5, 0..1]);
        assert_eq!(parts(12..13).first(), Some(&(2..3)));
        assert!(parts(5..5).is_empty());
    }
}
