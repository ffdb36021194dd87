//! Chunk lists: where the pieces of a large object are.
//!
//! ```text
//! version u8 = 1   full hash of the object [32]   length of the object u64
//! pack count u32, then each: job [16]   own u16   worker u16   seq u32
//! chunk count u32, then each: pack index u32   block offset u32   block length u32   offset u32   length u32   hash [16]
//! ```
//! Chunks follow each other in the object. A list takes 36 bytes a chunk: 18 bytes
//! for each mebibyte of the object, 9 for one of more than half a tebibyte.

use stocktake_core::{ContentHash, Extent, JobId, PackId};

use crate::wire::{Reader, length};
use crate::{FormatError, Result};

/// The largest object whose list of chunks surely fits a block, in bytes: 20 TiB.
pub const MAX_OBJECT_BYTES: u64 = 20 << 40;

/// Objects larger than this, in bytes, are cut into larger chunks, to keep their lists short.
const LARGE_OBJECT_BYTES: u64 = 512 << 30;

const VERSION: u8 = 1;
const PACK_BYTES: usize = 24;
const CHUNK_BYTES: usize = 36;

/// How an object is cut: content-defined, between a least and a greatest length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkSizes {
    /// No chunk but the last is shorter, in bytes.
    pub min: usize,
    /// The usual length, in bytes; a power of two.
    pub average: usize,
    /// No chunk is longer, in bytes.
    pub max: usize,
}

impl ChunkSizes {
    /// The sizes for an object of `size` bytes: 2 MiB on average, 4 MiB above half a tebibyte.
    ///
    /// They do not depend on the size otherwise, so an object that grows or
    /// shrinks is cut at the same places.
    pub fn for_object(size: u64) -> Self {
        let average: usize = if size > LARGE_OBJECT_BYTES { 4 << 20 } else { 2 << 20 };
        Self { min: average / 4, average, max: average * 4 }
    }
}

/// One piece of a large object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Where it is.
    pub extent: Extent,
    /// How many bytes it has.
    pub length: u32,
    /// Identity of its bytes.
    pub hash: ContentHash,
}

/// The pieces of one large object, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkList {
    /// The full keyed hash of the whole object.
    pub hash: [u8; 32],
    /// The object's length in bytes.
    pub size: u64,
    /// Its pieces.
    pub chunks: Vec<Chunk>,
}

impl ChunkList {
    /// All packs that hold a piece, ascending, each once.
    pub fn packs(&self) -> Vec<PackId> {
        let mut packs: Vec<_> = self.chunks.iter().map(|chunk| chunk.extent.pack).collect();
        packs.sort_unstable();
        packs.dedup();
        packs
    }

    /// The stored form.
    pub fn encode(&self) -> Vec<u8> {
        let packs = self.packs();
        let mut out = Vec::with_capacity(64 + PACK_BYTES * packs.len() + CHUNK_BYTES * self.chunks.len());
        out.push(VERSION);
        out.extend_from_slice(&self.hash);
        out.extend_from_slice(&self.size.to_le_bytes());
        out.extend_from_slice(&length(packs.len()).to_le_bytes());
        for pack in &packs {
            out.extend_from_slice(pack.job.as_bytes());
            out.extend_from_slice(&pack.own.to_le_bytes());
            out.extend_from_slice(&pack.worker.to_le_bytes());
            out.extend_from_slice(&pack.seq.to_le_bytes());
        }
        out.extend_from_slice(&length(self.chunks.len()).to_le_bytes());
        for Chunk { extent, length: bytes, hash } in &self.chunks {
            let pack = packs.binary_search(&extent.pack).expect("the table holds every pack");
            for field in [length(pack), extent.block_offset, extent.block_length, extent.offset, *bytes] {
                out.extend_from_slice(&field.to_le_bytes());
            }
            out.extend_from_slice(&hash.0);
        }
        out
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// [`FormatError`] when it is none, or its chunks don't add up to the object's length.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes);
        let version = reader.u8()?;
        if version != VERSION {
            return Err(FormatError::Unsupported(format!("chunk list version {version}")));
        }
        let (hash, size) = (reader.array()?, reader.u64()?);
        let packs: Vec<_> = (0..reader.count(PACK_BYTES)?).map(|_| decode_pack(&mut reader)).collect::<Result<_>>()?;
        let chunks: Vec<_> =
            (0..reader.count(CHUNK_BYTES)?).map(|_| decode_chunk(&mut reader, &packs)).collect::<Result<_>>()?;
        reader.end()?;
        if chunks.iter().map(|chunk| u64::from(chunk.length)).sum::<u64>() != size {
            return Err(FormatError::damaged("the chunks do not add up to the object"));
        }
        Ok(Self { hash, size, chunks })
    }
}

fn decode_pack(reader: &mut Reader<'_>) -> Result<PackId> {
    let job = JobId::from_bytes(reader.array()?);
    Ok(PackId { job, own: reader.u16()?, worker: reader.u16()?, seq: reader.u32()? })
}

fn decode_chunk(reader: &mut Reader<'_>, packs: &[PackId]) -> Result<Chunk> {
    let pack = reader.u32()? as usize;
    let pack = *packs.get(pack).ok_or_else(|| FormatError::damaged("a chunk names a pack that is not in the list"))?;
    let (block_offset, block_length, offset) = (reader.u32()?, reader.u32()?, reader.u32()?);
    let extent = Extent { pack, block_offset, block_length, offset };
    Ok(Chunk { extent, length: reader.u32()?, hash: ContentHash(reader.array()?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_reads_back_and_its_sum_is_checked() {
        let pack = |seq| PackId { job: JobId::from_bytes([1; 16]), own: 0, worker: 0, seq };
        let chunk = |seq, length| Chunk {
            extent: Extent { pack: pack(seq), block_offset: 8, block_length: 100, offset: 0 },
            length,
            hash: ContentHash([3; 16]),
        };
        let list = ChunkList { hash: [2; 32], size: 30, chunks: vec![chunk(4, 10), chunk(1, 15), chunk(4, 5)] };
        assert_eq!(list.packs(), [pack(1), pack(4)]);
        assert_eq!(ChunkList::decode(&list.encode()).unwrap(), list);
        assert!(ChunkList::decode(&ChunkList { size: 31, ..list.clone() }.encode()).is_err());
        let bytes = list.encode();
        assert!((0..bytes.len()).all(|cut| ChunkList::decode(&bytes[..cut]).is_err()));
    }

    #[test]
    fn the_list_of_the_largest_object_fits_a_block() {
        let sizes = ChunkSizes::for_object(MAX_OBJECT_BYTES);
        // Each chunk, were they only three quarters as long as usual, and a pack for every 64 MiB.
        let chunks = MAX_OBJECT_BYTES / (sizes.average as u64 * 3 / 4) * CHUNK_BYTES as u64;
        let list_bytes = chunks + (MAX_OBJECT_BYTES >> 26) * PACK_BYTES as u64;
        assert!(list_bytes < crate::MAX_BLOCK_BYTES as u64 && sizes.max < crate::MAX_BLOCK_BYTES);
    }
}
