//! Segments: sorted tables of catalog rows, as Parquet files.
//!
//! A *base* segment holds the rows of a range of keys. A *delta* segment holds
//! what differs in a range: rows put, and keys deleted. Both are plain Parquet
//! for any reader; in an encrypted vault they are under Parquet modular
//! encryption with one key for footer and all columns.
//!
//! # The file
//!
//! ```text
//! "PAR1" or "PARE"
//! row group 0: chunks of the entry columns, then of the content columns
//! row group 1 ...                            up to 16,384 rows each, in a delta 8,192
//! footer                                    ┐ the tail
//! length of the footer, "PAR1" or "PARE"    ┘
//! ```
//!
//! Rows ascend strictly by `key`, compared as bytes. Columns stand in this
//! order, and a reader finds them by name; those it does not know are for it to
//! ignore. `?` marks those that may be null.
//!
//! | column | type | meaning |
//! |---|---|---|
//! | `key` | bytes | the object's key |
//! | `size` | uint64 | length of the object in bytes |
//! | `last_modified` | timestamp, milliseconds, UTC | as the store says |
//! | `etag` ? | 16 bytes | of a tag of 32 hex digits their value; of any other the first 16 bytes of its BLAKE3; null without a tag |
//! | `etag_kind` | uint16 | 0: no tag; n + 1: hex digits, and `-n` behind them unless n is 0; 0x7fff: a text; 0x8000 added: the digits are upper case |
//! | `etag_text` ? | text | the tag, where the kind is a text |
//! | `class` | text | storage class, empty where unknown |
//! | `flags` | uint8 | 1: uploaded in parts; 2: a tag without a dash is the MD5 of the content |
//! | `version` ? | text | version id |
//! | `op` | uint8 | delta segments only. 0: the row is put; 1: the key is deleted, and nothing else in the row counts |
//! | `provenance` | uint8 | 0: exactly what the inventory listed; 1: newer; 2: archived, not copied; 3: unreadable |
//! | `content` | uint8 | 0: not in the vault; 1: no bytes; 2: in one block; 3: in chunks |
//! | `hash` ? | 16 bytes | identity of the bytes; null for contents 0 and 1, as are the next four |
//! | `pack` ? | text | the pack, as `<job>/<own>.<worker>-<seq>` |
//! | `block_offset` ? | uint32 | where in the pack the block begins |
//! | `block_length` ? | uint32 | how many bytes of the pack it takes |
//! | `offset` ? | uint32 | where the bytes, or the chunk list, begin in the decoded block |
//! | `chunk_packs` ? | text | for content 3: the packs of the chunks, apart from `pack`, ascending, with commas between |
//! | `attributes` ? | text | JSON of what the store keeps beside the bytes |
//!
//! The first nine columns, and `op`, are the *entry columns*: all that a
//! comparison with an inventory needs.
//!
//! # How it is written
//!
//! Row groups are small, so that one key costs one read of about a mebibyte
//! and a merge of many segments little memory. Statistics are exact and
//! whole for `key` in each row group; they are the index. There is no page
//! index, since a column chunk has one page (of version 1) unless its values
//! take more than 16 MiB: some readers, DuckDB 2.0 among them, decrypt no further
//! page. Nor is there a Bloom filter: it would take as long to read as a row group.
//!
//! `key` is encoded as `DELTA_BYTE_ARRAY`, numbers that vary as
//! `DELTA_BINARY_PACKED`, what repeats by dictionary, and `etag` and `hash` plain
//! and uncompressed, since they are random; the rest is compressed with
//! Zstandard, level 3. So a row takes 46 to 60 bytes, 32 of them random.
//!
//! # Integrity
//!
//! The footer's own metadata has an entry `stocktake.segment`: JSON with
//! `version` (1), `kind` (`base` or `delta`), and for each row group in `parts`
//! an array of five numbers: where it begins, where its content columns begin,
//! where it ends, the CRC-32 of the bytes of its entry columns, and that of its
//! content columns. Row groups follow each other from byte 4 to the tail. Who
//! refers to a segment holds the keyed hash of the whole file, and the length and
//! the keyed hash of its tail. So the reader of the tail and of one part of a row
//! group knows that both are what was written, with or without encryption.
//!
//! # Keys
//!
//! The key of an encrypted segment is derived from the vault's key and the text
//! `<job>/<seq>` ([`key_name`]), as the hash in a segment's name is not known
//! while it is written. There is no AAD prefix: the key alone binds the file to its name.
//!
//! # Read by others
//!
//! With DuckDB, for one:
//!
//! ```sql
//! SELECT key, size, last_modified, hex(etag) FROM 'jobs/.../c/000000-0123456789abcdef.base';
//! PRAGMA add_parquet_key('segment', '<the key, in base64>');
//! SELECT count(*) FROM read_parquet('...', encryption_config = {footer_key: 'segment'});
//! ```

mod columns;
mod decode;
mod parts;
mod reader;
mod refs;
mod schema;
mod writer;

use stocktake_core::JobId;

use crate::names;

pub use parts::Part;
pub use reader::{SegmentReader, Wanted};
pub use refs::{PackUse, RefsCollector, SegmentRefs};
pub use writer::{EncodedSegment, SegmentWriter};

/// What a segment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SegmentKind {
    /// The rows of a range of keys.
    Base,
    /// Rows put and keys deleted in a range of keys.
    Delta,
}

impl SegmentKind {
    /// How many rows a row group has, unless a writer knows better: what a look-up reads, and a scan holds.
    ///
    /// Deltas have smaller ones, since a look-up may have to read one of every run.
    pub fn row_group_rows(self) -> usize {
        match self {
            Self::Base => 16_384,
            Self::Delta => 8192,
        }
    }
}

/// A batch read from a segment: rows or entries, and which of them stand for deleted keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SegmentBatch<B> {
    /// The rows or entries; of one that stands for a deleted key, only the key counts.
    pub rows: B,
    /// Whether the row at an index stands for a deleted key. Empty when none does.
    pub deleted: Vec<bool>,
}

impl<B> SegmentBatch<B> {
    /// Whether the row at `index` stands for a deleted key.
    pub fn is_deleted(&self, index: usize) -> bool {
        self.deleted.get(index) == Some(&true)
    }
}

/// The text that the key of a job's `seq`-th segment is derived from.
pub fn key_name(job: JobId, seq: u32) -> String {
    format!("{job}/{seq}")
}

/// The same text, from the name of the segment's blob. `None` when that is not the name of a segment.
pub fn key_name_of_blob(name: &str) -> Option<String> {
    let (job, rest) = name.strip_prefix(names::JOBS)?.split_once("/c/")?;
    let (seq, _) = rest.split_once('-')?;
    Some(key_name(job.parse().ok()?, seq.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_blob_tells_what_its_key_is_derived_from() {
        let job = JobId::from_bytes([7; 16]);
        for name in [names::base_segment(job, 12, "abcd"), names::delta_run(job, 12, "abcd")] {
            assert_eq!(key_name_of_blob(&name), Some(key_name(job, 12)));
        }
        assert_eq!(key_name_of_blob(&names::root(job, "abcd")), None);
    }
}
