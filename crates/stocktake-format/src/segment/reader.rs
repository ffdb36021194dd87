//! Reads a segment from its tail and the parts that its owner fetched.
//!
//! There is no I/O here: the caller has the tail, asks which row groups may hold
//! what it wants, fetches one part of each, and has it decoded.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use parquet::encryption::decrypt::FileDecryptionProperties;
use stocktake_core::{BATCH_ROWS, BytesColumn, ContentHash, EntryBatch, KeyRange, RowBatch};
use stocktake_parquet::{ColumnId, FileMeta, FileOptions, FlatReader, ParsedTail, Selection, SparseBytes};

use super::decode;
use super::parts::{PROPERTY, Part, SegmentHeader};
use super::schema::KEY;
use super::writer::keyed_hash;
use super::{SegmentBatch, SegmentKind};
use crate::{FormatError, Result, VaultKey, content_hash};

/// Which rows of a segment are wanted.
#[derive(Clone, Copy, Debug)]
pub enum Wanted<'a> {
    /// All.
    All,
    /// Those whose keys lie in a range.
    Range(&'a KeyRange),
    /// Those with one of these keys, which ascend strictly.
    Keys(&'a BytesColumn),
}

/// A segment whose tail has been read. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SegmentReader {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    meta: FileMeta,
    header: SegmentHeader,
    key_column: ColumnId,
    file_bytes: u64,
}

impl SegmentReader {
    /// Opens a segment of `file_bytes` bytes by its last bytes, of which the referrer knows number and hash.
    ///
    /// # Errors
    /// [`FormatError::Damaged`] when `tail` does not have that hash, or is not the tail of a segment.
    pub fn open(key: &VaultKey, key_name: &str, file_bytes: u64, tail: &Bytes, tail_hash: ContentHash) -> Result<Self> {
        if content_hash(&keyed_hash(key.content_hasher(), tail)) != tail_hash {
            return Err(FormatError::damaged("the hash of the tail differs"));
        }
        let decryption = key.segment_key(key_name).map(|secret| {
            FileDecryptionProperties::builder(secret.to_vec()).build().expect("one key for all is complete")
        });
        let options = FileOptions { decryption, page_index: false };
        let ParsedTail::Ready(meta) = FileMeta::parse_tail(tail, file_bytes, &options).map_err(damaged)? else {
            return Err(FormatError::damaged("the tail is not whole"));
        };
        let body_end = file_bytes.saturating_sub(tail.len() as u64);
        let header = SegmentHeader::decode(meta.property(PROPERTY), meta.row_groups().len(), body_end)?;
        let key_column = meta.column(KEY).ok_or_else(|| FormatError::damaged("there is no key column"))?.id;
        Ok(Self { inner: Arc::new(Inner { meta, header, key_column, file_bytes }) })
    }

    /// What the segment is.
    pub fn kind(&self) -> SegmentKind {
        self.inner.header.kind()
    }

    /// Number of rows.
    pub fn rows(&self) -> u64 {
        self.inner.meta.num_rows()
    }

    /// The row groups that may hold wanted rows, ascending.
    ///
    /// # Errors
    /// [`FormatError::Damaged`] when a row group does not state its bounds.
    pub fn groups(&self, wanted: Wanted<'_>) -> Result<Vec<usize>> {
        let groups = (0..self.inner.meta.row_groups().len()).map(|group| {
            let (low, high) = self.bounds(group)?;
            Ok(wanted.overlaps(low, high).then_some(group))
        });
        groups.filter_map(Result::transpose).collect()
    }

    /// The first and the last key of a row group.
    ///
    /// # Errors
    /// [`FormatError::Damaged`] when there is no such group, or it does not say.
    pub fn bounds(&self, group: usize) -> Result<(&[u8], &[u8])> {
        let bounds = self.inner.meta.bounds(group, self.inner.key_column);
        bounds.ok_or_else(|| FormatError::damaged("a row group does not state its first and last key"))
    }

    /// Where a part of a row group lies in the file.
    ///
    /// # Errors
    /// [`FormatError::Damaged`] when there is no such group.
    pub fn part(&self, group: usize, part: Part) -> Result<Range<u64>> {
        let parts = self.inner.header.group(group).ok_or_else(|| FormatError::damaged("there is no such row group"))?;
        Ok(parts.range(part))
    }

    /// Decodes the wanted entries of a row group from its [`Part::Entries`], in batches of at most
    /// [`BATCH_ROWS`](stocktake_core::BATCH_ROWS).
    ///
    /// # Errors
    /// [`FormatError`] when `bytes` are not what was written, or what was written can't be understood.
    pub fn entries(&self, group: usize, bytes: Bytes, wanted: Wanted<'_>) -> Result<Vec<SegmentBatch<EntryBatch>>> {
        let file = self.file(group, Part::Entries, bytes)?;
        let selection = self.select(group, &file, wanted)?;
        decode::entries(&self.inner.meta, self.kind(), file, selection)
    }

    /// Decodes the wanted rows of a row group from its [`Part::Rows`], as [`entries`](Self::entries) does.
    ///
    /// # Errors
    /// As for `entries`.
    pub fn rows_of(&self, group: usize, bytes: Bytes, wanted: Wanted<'_>) -> Result<Vec<SegmentBatch<RowBatch>>> {
        let file = self.file(group, Part::Rows, bytes)?;
        let selection = self.select(group, &file, wanted)?;
        decode::rows(&self.inner.meta, self.kind(), file, selection)
    }

    /// The checked bytes of a part, in their place in the file.
    fn file(&self, group: usize, part: Part, bytes: Bytes) -> Result<Arc<SparseBytes>> {
        let parts = self.inner.header.group(group).ok_or_else(|| FormatError::damaged("there is no such row group"))?;
        parts.check(part, &bytes)?;
        let mut file = SparseBytes::new(self.inner.file_bytes);
        file.insert(parts.range(part).start, bytes);
        Ok(Arc::new(file))
    }

    /// Exactly the wanted rows of a row group, by their keys.
    fn select(&self, group: usize, file: &Arc<SparseBytes>, wanted: Wanted<'_>) -> Result<Selection> {
        let Inner { meta, key_column, .. } = &*self.inner;
        let all = Selection::row_groups(meta, group..group + 1);
        let (low, high) = self.bounds(group)?;
        if wanted.includes(low, high) {
            return Ok(all);
        }
        let mut reader = FlatReader::new(Arc::clone(file), meta, &[*key_column], all, BATCH_ROWS).map_err(damaged)?;
        let (mut exact, mut row) = (Selection::default(), 0);
        let mut look = |key: Option<&[u8]>| {
            if key.is_some_and(|key| wanted.contains(key)) {
                exact.push(group, row..row + 1);
            }
            row += 1;
            Ok::<_, stocktake_parquet::Error>(())
        };
        while reader.advance().is_some() {
            reader.visit(0, &mut look).map_err(damaged)?;
        }
        Ok(exact)
    }
}

impl Wanted<'_> {
    /// Whether any key between two, both included, may be wanted.
    pub fn overlaps(&self, low: &[u8], high: &[u8]) -> bool {
        match self {
            Self::All => true,
            Self::Range(range) => range.overlaps(low, high),
            Self::Keys(keys) => {
                let next = first_at_or_after(keys, low);
                next < keys.len() && keys.get(next) <= high
            }
        }
    }

    /// Whether every key between two, both included, is wanted.
    fn includes(&self, low: &[u8], high: &[u8]) -> bool {
        match self {
            Self::All => true,
            Self::Range(range) => range.contains(low) && range.contains(high),
            Self::Keys(_) => false,
        }
    }

    fn contains(&self, key: &[u8]) -> bool {
        match self {
            Self::All => true,
            Self::Range(range) => range.contains(key),
            Self::Keys(keys) => {
                let next = first_at_or_after(keys, key);
                next < keys.len() && keys.get(next) == key
            }
        }
    }
}

/// The place of the first of ascending keys that is not less than `key`.
fn first_at_or_after(keys: &BytesColumn, key: &[u8]) -> usize {
    let (mut low, mut high) = (0, keys.len());
    while low < high {
        let middle = low + (high - low) / 2;
        if keys.get(middle) < key {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

/// What a reader of Parquet found wrong, with its cause in one line.
pub(super) fn damaged(error: stocktake_parquet::Error) -> FormatError {
    use std::error::Error;
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    FormatError::damaged(format!("{error}{cause}"))
}
