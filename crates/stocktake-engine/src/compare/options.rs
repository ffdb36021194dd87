//! What a comparison is told, and how its memory is shared out.

use std::path::PathBuf;

use bytes::Bytes;
use stocktake_core::{BATCH_ROWS, InventoryVersions};

use super::partition::{DIGEST_BYTES, PartitionLimits};
use super::recent::RecentLimits;
use super::sort::SortLimits;
use super::spool::SpoolLimits;
use crate::filter::Filter;

/// Settings of a comparison.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CompareOptions {
    /// Ceiling of the memory for sorting and matching, in bytes; default 512 MiB, at
    /// least 16 MiB is used. What does not fit goes to temporary files. Batches on
    /// their way and the readers' own buffers come on top: some mebibytes for each
    /// part that is open, of which there are few.
    pub memory_bytes: usize,
    /// Folder for temporary files; default: where the system keeps them. They have
    /// no name and are gone with the process.
    pub temp_folder: Option<PathBuf>,
    /// The source path: rows of an inventory whose key does not begin with it are
    /// left out and counted. Default: all take part.
    pub path: Bytes,
    /// What every key of an inventory begins with, as its owner states it. A key
    /// that does not is an [`InventoryScopeMismatch`](stocktake_core::Error::InventoryScopeMismatch). Default: nothing.
    pub inventory_prefix: Bytes,
    /// Rows of an inventory that it refuses are left out and counted. Default: none is. Where versions are
    /// compared, each of them is judged by its own facts.
    pub filter: Option<Filter>,
    /// What is compared. Default: current objects. All versions are compared only where both sides are
    /// inventories that list them, or nothing; else current objects are, as [`ChangeSet::versions`](super::ChangeSet::versions) tells.
    pub versions: InventoryVersions,
}

impl Default for CompareOptions {
    fn default() -> Self {
        Self {
            memory_bytes: 512 << 20,
            temp_folder: None,
            path: Bytes::new(),
            inventory_prefix: Bytes::new(),
            filter: None,
            versions: InventoryVersions::Current,
        }
    }
}

impl CompareOptions {
    /// The same options with another ceiling of memory, in bytes.
    #[must_use]
    pub fn with_memory_bytes(mut self, bytes: usize) -> Self {
        self.memory_bytes = bytes;
        self
    }

    /// The same options with another folder for temporary files.
    #[must_use]
    pub fn with_temp_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.temp_folder = Some(folder.into());
        self
    }

    /// The same options with another source path.
    #[must_use]
    pub fn with_path(mut self, path: impl Into<Bytes>) -> Self {
        self.path = path.into();
        self
    }

    /// The same options with another stated prefix of the inventories.
    #[must_use]
    pub fn with_inventory_prefix(mut self, prefix: impl Into<Bytes>) -> Self {
        self.inventory_prefix = prefix.into();
        self
    }

    /// The same options with a filter.
    #[must_use]
    pub fn with_filter(mut self, filter: Filter) -> Self {
        self.filter = Some(filter);
        self
    }

    /// The same options for all versions, or for current objects.
    #[must_use]
    pub fn with_versions(mut self, versions: InventoryVersions) -> Self {
        self.versions = versions;
        self
    }
}

/// The bounds of each stage. Tests make them tiny.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Parts of one side that are open at once, before their order is held for useless.
    pub(super) open_parts: usize,
    /// The sort of one side.
    pub(super) sort: SortLimits,
    /// Bytes of the digests of one side that are held in memory.
    pub(super) held_bytes: usize,
    /// The partitions of one side whose digests are not.
    pub(super) partitions: PartitionLimits,
    /// Bytes for matching one partition; two are matched at once.
    pub(super) matcher_bytes: usize,
    /// Bytes of the sieve at most.
    pub(super) sieve_bytes: usize,
    /// Which bits of the hash of a key are used.
    pub(super) key_hash_mask: u64,
    /// And which of the hash of a row that is held.
    pub(super) held_row_mask: u32,
    /// The changes.
    pub(super) changes: SpoolLimits,
    pub(super) recent: RecentLimits,
}

const LEAST_MEMORY_BYTES: usize = 16 << 20;
/// A batch of a reader takes about a mebibyte, and an open part holds a few.
const OPEN_PARTS: usize = 16;
const RUNS_MERGED: usize = 64;
const RUN_FRAME_BYTES: usize = 64 << 10;
const CHANGE_FRAME_BYTES: usize = 1 << 20;
/// 512 partitions match in the processor's cache up to some tens of millions of rows,
/// and in the default memory up to a billion.
const PARTITION_BITS: u32 = 9;

/// Rows after which it can be said whether times tell anything.
const ROWS_TO_JUDGE: u64 = 1 << 18;

impl Limits {
    /// Shares out `memory_bytes`: each side sorts in an eighth, and its last run may
    /// take another; the sieve takes a sixteenth, and a thirty-second each
    /// holds changes and rows put aside, of which half as much as all may go to a temporary file.
    /// While there is no more than one side to sort, digests take a half, or each of two
    /// matchers an eighth, and the buffers of the partitions of a side a sixty-fourth. What
    /// a matcher leaves behind, the hashes that differ, takes at most an eighth again.
    pub(super) fn of(memory_bytes: usize) -> Self {
        // An arena counts in 32 bits.
        let memory_bytes = memory_bytes.clamp(LEAST_MEMORY_BYTES, 16 << 30);
        let spool = SpoolLimits {
            memory_bytes: memory_bytes / 32,
            frame_bytes: CHANGE_FRAME_BYTES,
            frame_rows: BATCH_ROWS as u32,
        };
        Self {
            open_parts: OPEN_PARTS,
            sort: SortLimits {
                memory_bytes: memory_bytes / 8,
                fan_in: RUNS_MERGED,
                frame_bytes: RUN_FRAME_BYTES.min(memory_bytes / (16 * RUNS_MERGED)),
            },
            held_bytes: memory_bytes / 2,
            partitions: PartitionLimits {
                bits: PARTITION_BITS,
                buffer_bytes: ((memory_bytes / 64) >> PARTITION_BITS).next_multiple_of(DIGEST_BYTES),
            },
            matcher_bytes: memory_bytes / 8,
            sieve_bytes: memory_bytes / 16,
            key_hash_mask: u64::MAX,
            held_row_mask: u32::MAX,
            changes: spool,
            recent: RecentLimits { spool, most_bytes: memory_bytes as u64 / 2, rows_to_judge: ROWS_TO_JUDGE },
        }
    }
}
