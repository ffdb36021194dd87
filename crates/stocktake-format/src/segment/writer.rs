//! Writes a segment into memory.

use std::sync::Arc;

use bytes::Bytes;
use parquet::encryption::encrypt::FileEncryptionProperties;
use parquet::file::metadata::{KeyValue, RowGroupMetaData};
use parquet::file::writer::SerializedFileWriter;
use stocktake_core::{ContentHash, Error, ObjectKey, Result, RowBatch};

use super::columns::{self, PackNames, Rows};
use super::parts::{GroupParts, PROPERTY, SegmentHeader};
use super::refs::{RefsCollector, SegmentRefs};
use super::{SegmentKind, schema};
use crate::{ContentHasher, VaultKey};

/// Writes one segment into memory: about 55 bytes a row, and up to a row group of values beside it.
///
/// The caller bounds the rows.
pub struct SegmentWriter {
    hasher: ContentHasher,
    kind: SegmentKind,
    writer: SerializedFileWriter<Vec<u8>>,
    group_rows: usize,
    /// Rows of the row group being gathered.
    pending: Vec<Rows>,
    pending_rows: usize,
    refs: RefsCollector,
    rows: u64,
    deletes: u64,
    low: ObjectKey,
    high: ObjectKey,
}

/// A finished segment.
#[derive(Clone, Debug)]
pub struct EncodedSegment {
    /// The file.
    pub bytes: Bytes,
    /// What it is.
    pub kind: SegmentKind,
    /// Its keyed hash.
    pub hash: [u8; 32],
    /// How many of the last bytes are its tail: footer and page index.
    pub tail_bytes: u64,
    /// The keyed hash of the tail.
    pub tail_hash: ContentHash,
    /// Rows, those that stand for deleted keys included.
    pub rows: u64,
    /// Rows that stand for deleted keys.
    pub deletes: u64,
    /// The first key.
    pub low: ObjectKey,
    /// The last key.
    pub high: ObjectKey,
    /// What its rows refer to.
    pub refs: SegmentRefs,
}

impl SegmentWriter {
    /// Begins a segment. `key_name` is what its key is derived from: see [`key_name`](super::key_name).
    /// It is cut into row groups of `row_group_rows` rows, at least 1; see [`SegmentKind::row_group_rows`].
    pub fn new(key: &VaultKey, kind: SegmentKind, key_name: &str, row_group_rows: usize) -> Self {
        let mut properties = schema::properties(row_group_rows.max(1));
        if let Some(secret) = key.segment_key(key_name) {
            let encryption = FileEncryptionProperties::builder(secret.to_vec()).build();
            properties = properties.with_file_encryption_properties(encryption.expect("one key for all is complete"));
        }
        let writer = SerializedFileWriter::new(Vec::new(), schema::schema(kind), Arc::new(properties.build()));
        Self {
            hasher: key.content_hasher(),
            kind,
            writer: writer.expect("writing to memory cannot fail"),
            group_rows: row_group_rows.max(1),
            pending: Vec::new(),
            pending_rows: 0,
            refs: RefsCollector::default(),
            rows: 0,
            deletes: 0,
            low: ObjectKey::default(),
            high: ObjectKey::default(),
        }
    }

    /// Rows written so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Packs that the rows so far refer to: each takes about 80 bytes of the sidecar.
    pub fn packs(&self) -> usize {
        self.refs.packs()
    }

    /// Appends rows. In a delta, `deleted` says of each row whether its key is
    /// deleted; empty for none.
    ///
    /// # Errors
    /// [`InvalidInput`](Error::InvalidInput) when the keys don't ascend strictly, or attributes are not text.
    pub fn write(&mut self, rows: RowBatch, deleted: Vec<bool>) -> Result<()> {
        let Some(last) = rows.len().checked_sub(1) else { return Ok(()) };
        let ascending = self.rows == 0 || self.high.as_bytes() < rows.key(0);
        if !ascending || !rows.entries().is_strictly_ascending() {
            return Err(Error::invalid("the rows of a segment do not ascend strictly by key"));
        }
        if rows.attributes().is_some_and(|texts| texts.iter().any(|text| std::str::from_utf8(text).is_err())) {
            return Err(Error::invalid("the attributes of a row are not text"));
        }
        self.refs.add(&rows);
        if self.rows == 0 {
            self.low = rows.key(0).into();
        }
        self.high = rows.key(last).into();
        self.rows += rows.len() as u64;
        self.deletes += deleted.iter().filter(|deleted| **deleted).count() as u64;
        self.gather(Arc::new(rows), deleted.into());
        Ok(())
    }

    /// Cuts rows into row groups.
    fn gather(&mut self, batch: Arc<RowBatch>, deleted: Arc<[bool]>) {
        let mut start = 0;
        while start < batch.len() {
            let end = batch.len().min(start + self.group_rows - self.pending_rows);
            self.pending_rows += end - start;
            self.pending.push(Rows { batch: Arc::clone(&batch), deleted: Arc::clone(&deleted), range: start..end });
            if self.pending_rows == self.group_rows {
                self.write_group();
            }
            start = end;
        }
    }

    fn write_group(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        self.pending_rows = 0;
        let schema = schema::schema(self.kind);
        let mut write = || {
            let (mut group, mut packs) = (self.writer.next_row_group()?, PackNames::default());
            for field in schema.get_fields() {
                let mut column = group.next_column()?.expect("the schema has this column");
                pending.iter().try_for_each(|rows| columns::write(field.name(), &mut column, rows, &mut packs))?;
                column.close()?;
            }
            group.close().map(drop)
        };
        write().expect("writing to memory cannot fail");
    }

    /// Ends the segment. One without rows is a file all the same, but nobody should refer to it.
    pub fn finish(mut self) -> EncodedSegment {
        if self.pending_rows > 0 {
            self.write_group();
        }
        let Self { hasher, kind, mut writer, refs, rows, deletes, low, high, .. } = self;
        // Otherwise the last bytes are in a buffer, where their checksum can't be taken.
        writer.flush().expect("writing to memory cannot fail");
        let body_end = writer.bytes_written() as u64;
        let header = SegmentHeader::new(kind, parts(kind, writer.flushed_row_groups(), writer.inner()));
        writer.append_key_value_metadata(KeyValue::new(PROPERTY.to_owned(), header.encode()));
        let bytes = Bytes::from(writer.into_inner().expect("writing to memory cannot fail"));
        let hash = keyed_hash(hasher.clone(), &bytes);
        let tail_bytes = bytes.len() as u64 - body_end;
        let tail_hash = crate::content_hash(&keyed_hash(hasher, &bytes[body_end as usize..]));
        EncodedSegment { bytes, kind, hash, tail_bytes, tail_hash, rows, deletes, low, high, refs: refs.finish() }
    }
}

impl std::fmt::Debug for SegmentWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SegmentWriter").field("kind", &self.kind).field("rows", &self.rows).finish_non_exhaustive()
    }
}

/// Where the parts of each row group lie. Chunks are written one after the other, in the order of the columns.
fn parts(kind: SegmentKind, groups: &[RowGroupMetaData], file: &[u8]) -> Vec<GroupParts> {
    let first_content = schema::entry_columns(kind);
    let group_parts = groups.iter().map(|group| {
        let columns = group.columns();
        let (start, _) = columns[0].byte_range();
        let (split, _) = columns[first_content].byte_range();
        let (last, length) = columns[columns.len() - 1].byte_range();
        GroupParts::of(file, start, split, last + length)
    });
    group_parts.collect()
}

pub(super) fn keyed_hash(mut hasher: ContentHasher, bytes: &[u8]) -> [u8; 32] {
    hasher.update(bytes);
    hasher.finish_full()
}
