//! Digests put down by hash, so that both sides can be matched piece by piece.
//!
//! A partition holds the digests whose key hash begins with the same bits: equal
//! keys of both sides meet in it. Each has a small buffer; a full one is written
//! to the end of one file, and where it went is remembered. What never filled a
//! buffer is never written.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::{Mutex, PoisonError};

use stocktake_core::Result;
use twox_hash::XxHash3_64;

use super::digest::{RowDigest, Seen};
use super::scratch::Scratch;

/// Bytes of a digest in a partition.
pub(super) const DIGEST_BYTES: usize = 16;

/// Sizes of the partitions of a side.
#[derive(Clone, Copy, Debug)]
pub(super) struct PartitionLimits {
    /// There are two to the power of this many.
    pub(super) bits: u32,
    /// Bytes of the buffer of each; a multiple of [`DIGEST_BYTES`].
    pub(super) buffer_bytes: usize,
}

/// The digests of one side.
#[derive(Debug)]
pub(super) struct Partitions {
    scratch: Scratch,
    limits: PartitionLimits,
    partitions: Vec<Partition>,
    // Behind a lock because a file has one position.
    file: Option<Mutex<File>>,
    end: u64,
    seen: Seen,
}

#[derive(Debug, Default)]
struct Partition {
    buffer: Vec<u8>,
    // A hundredth of what is in the file.
    written: Vec<Block>,
}

/// A full buffer in the file.
#[derive(Debug)]
struct Block {
    offset: u64,
    checksum: u64,
}

impl Partitions {
    pub(super) fn new(scratch: Scratch, limits: PartitionLimits) -> Self {
        let partitions = (0..1_usize << limits.bits).map(|_| Partition::default()).collect();
        Self { scratch, limits, partitions, file: None, end: 0, seen: Seen::default() }
    }

    /// Takes a digest.
    ///
    /// # Errors
    /// [`LocalStorage`](stocktake_core::Error::LocalStorage) when the file can't be written.
    #[inline]
    pub(super) fn push(&mut self, digest: RowDigest) -> Result<()> {
        self.seen.add(digest.key);
        let partition = &mut self.partitions[partition_of(digest.key, self.limits.bits)];
        partition.buffer.extend_from_slice(&digest.key.to_le_bytes());
        partition.buffer.extend_from_slice(&digest.row.to_le_bytes());
        if partition.buffer.len() < self.limits.buffer_bytes {
            return Ok(());
        }
        self.write_buffer(partition_of(digest.key, self.limits.bits))
    }

    /// What was pushed.
    pub(super) fn seen(&self) -> Seen {
        self.seen
    }

    /// Digests in a partition.
    pub(super) fn rows_in(&self, partition: usize) -> usize {
        let Partition { buffer, written } = &self.partitions[partition];
        (buffer.len() + written.len() * self.limits.buffer_bytes) / DIGEST_BYTES
    }

    /// Replaces `digests` by those of a partition whose key hash is wanted; `false` when
    /// they are more than `most`.
    ///
    /// # Errors
    /// [`LocalStorage`](stocktake_core::Error::LocalStorage) when the file can't be read or was altered.
    pub(super) fn read(
        &self,
        partition: usize,
        wanted: impl Fn(u64) -> bool,
        most: usize,
        digests: &mut Vec<RowDigest>,
    ) -> Result<bool> {
        digests.clear();
        let Partition { buffer, written } = &self.partitions[partition];
        let mut block = vec![0; self.limits.buffer_bytes];
        for Block { offset, checksum } in written {
            self.read_block(*offset, *checksum, &mut block)
                .map_err(self.scratch.error("read back a temporary file in"))?;
            decode(&block, &wanted, digests);
            if digests.len() > most {
                return Ok(false);
            }
        }
        decode(buffer, &wanted, digests);
        Ok(digests.len() <= most)
    }

    fn read_block(&self, offset: u64, checksum: u64, block: &mut [u8]) -> std::io::Result<()> {
        let altered = || std::io::Error::new(std::io::ErrorKind::InvalidData, "it does not hold what was written");
        let mut file = self.file.as_ref().ok_or_else(altered)?.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(block)?;
        drop(file);
        if XxHash3_64::oneshot(block) == checksum { Ok(()) } else { Err(altered()) }
    }

    #[cold]
    fn write_buffer(&mut self, partition: usize) -> Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(Mutex::new(self.scratch.file()?)),
        };
        let file = file.get_mut().unwrap_or_else(PoisonError::into_inner);
        let Partition { buffer, written } = &mut self.partitions[partition];
        file.write_all(buffer).map_err(self.scratch.error("write a temporary file in"))?;
        self.scratch.wrote(buffer.len());
        written.push(Block { offset: self.end, checksum: XxHash3_64::oneshot(buffer) });
        self.end += buffer.len() as u64;
        buffer.clear();
        Ok(())
    }
}

/// Which partition a key hash belongs to: its highest bits.
pub(super) fn partition_of(key_hash: u64, bits: u32) -> usize {
    key_hash.checked_shr(u64::BITS - bits).unwrap_or(0) as usize
}

fn decode(bytes: &[u8], wanted: impl Fn(u64) -> bool, digests: &mut Vec<RowDigest>) {
    let (blocks, rest) = bytes.as_chunks::<DIGEST_BYTES>();
    debug_assert!(rest.is_empty(), "buffers hold whole digests");
    let all = blocks.iter().map(|block| {
        let (key, row) = block.split_at(8);
        let number = |eight: &[u8]| u64::from_le_bytes(eight.try_into().expect("half of 16 bytes"));
        RowDigest { key: number(key), row: number(row) }
    });
    digests.extend(all.filter(|digest| wanted(digest.key)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_come_back_by_their_highest_bits() {
        let mut partitions =
            Partitions::new(Scratch::new(None), PartitionLimits { bits: 2, buffer_bytes: 4 * DIGEST_BYTES });
        let digest = |n: u64| RowDigest { key: n << 58, row: n };
        (0..64).for_each(|n| partitions.push(digest(n)).unwrap());
        partitions.push(digest(63)).unwrap();
        let mut back = Vec::new();
        for partition in 0..4_u64 {
            assert!(partitions.read(partition as usize, |_| true, 17, &mut back).unwrap());
            let mut expected: Vec<_> = (16 * partition..16 * (partition + 1)).map(digest).collect();
            expected.extend((partition == 3).then(|| digest(63)));
            assert_eq!(back, expected);
            assert_eq!(partitions.rows_in(partition as usize), back.len());
        }
        assert_eq!(partitions.seen().rows, 65);
        assert!(!partitions.read(3, |_| true, 16, &mut back).unwrap());
        assert!(partitions.read(3, |key| key == digest(63).key, 2, &mut back).unwrap());
        assert_eq!(back, [digest(63), digest(63)]);
    }
}
