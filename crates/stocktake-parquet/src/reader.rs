//! Batches of rows, column by column.

use std::ops::Range;
use std::sync::Arc;

use parquet::file::reader::ChunkReader;

use crate::buffer::{BytesBuffer, Nulls};
use crate::column::ColumnReader;
use crate::meta::{ColumnId, ColumnInfo, ColumnKind, FileMeta, FileOptions};
use crate::select::Selection;
use crate::{Error, Result};

/// Reads some columns of selected rows, a batch of rows at a time.
///
/// [`advance`](Self::advance) goes on to the next batch; then each column is
/// taken, or not: one that is not taken is passed over without being decoded.
/// A column is taken at most once a batch. All work happens in the calls, on
/// the calling thread.
///
/// Columns are named by their place in the list given to [`new`](Self::new).
#[derive(Debug)]
pub struct FlatReader<R> {
    columns: Vec<ColumnReader<R>>,
    selection: Selection,
    /// What comes next: a group of the selection, a range of that, and its first row not read yet.
    next: (usize, usize, u64),
    batch_rows: usize,
    batch: Batch,
}

/// The rows of the current batch.
#[derive(Debug, Default)]
struct Batch {
    row_group: usize,
    ranges: Vec<Range<u64>>,
}

impl<R: ChunkReader> FlatReader<R> {
    /// Reads `columns` of the rows in `selection`, at most `batch_rows` at a time.
    ///
    /// `file` need only hold the bytes that [`FileMeta::byte_ranges`] names.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when a column can't be read.
    pub fn new(
        file: Arc<R>,
        meta: &FileMeta,
        columns: &[ColumnId],
        selection: Selection,
        batch_rows: usize,
    ) -> Result<Self> {
        let readers = columns.iter().map(|column| {
            let info = meta.info(*column)?.clone();
            Ok(ColumnReader::new(Arc::clone(&file), meta.clone(), info))
        });
        Ok(Self {
            columns: readers.collect::<Result<_>>()?,
            selection,
            next: (0, 0, 0),
            batch_rows: batch_rows.max(1),
            batch: Batch::default(),
        })
    }

    /// Opens a file and reads all rows of the columns with these names.
    ///
    /// # Errors
    /// As [`FileMeta::read`]; [`Error::Unsupported`] when a column is missing or can't be read.
    pub fn open(file: R, options: &FileOptions, columns: &[&str], batch_rows: usize) -> Result<Self> {
        let meta = FileMeta::read(&file, options)?;
        let columns = columns.iter().map(|name| {
            let found = meta.column(name).map(|column| column.id);
            found.ok_or_else(|| Error::unsupported(format!("no flat column named {name}")))
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        Self::new(Arc::new(file), &meta, &columns, Selection::all(&meta), batch_rows)
    }

    /// What is known of a column.
    ///
    /// # Panics
    /// When there is no such column, as all methods that take one.
    pub fn column(&self, column: usize) -> &ColumnInfo {
        &self.columns[column].info
    }

    /// Goes on to the next batch, and tells its number of rows; `None` after the last.
    ///
    /// A batch lies in one row group, but not always in one piece.
    pub fn advance(&mut self) -> Option<usize> {
        let (group, mut at, mut from) = self.next;
        let mut batch = std::mem::take(&mut self.batch);
        batch.ranges.clear();
        let (row_group, ranges) = self.selection.group(group)?;
        batch.row_group = row_group;
        let mut rows = 0;
        while let Some(selected) = ranges.get(at).filter(|_| rows < self.batch_rows) {
            let start = selected.start.max(from);
            let end = selected.end.min(start + (self.batch_rows - rows) as u64);
            rows += (end - start) as usize;
            batch.ranges.push(start..end);
            from = end;
            at += usize::from(end == selected.end);
        }
        self.next = if at == ranges.len() { (group + 1, 0, 0) } else { (group, at, from) };
        self.batch = batch;
        Some(rows)
    }

    /// Where the rows of the current batch lie: the row group, and ranges of rows in it.
    pub fn position(&self) -> (usize, &[Range<u64>]) {
        (self.batch.row_group, &self.batch.ranges)
    }

    /// Replaces what is in `out` by the batch's byte strings of a column.
    ///
    /// # Errors
    /// [`Error::Damaged`]; [`Error::Unsupported`] for a column of another kind, as for all such methods.
    pub fn bytes(&mut self, column: usize, out: &mut BytesBuffer, nulls: &mut Nulls) -> Result<()> {
        out.clear();
        nulls.clear();
        self.each_range(column, |reader, rows| match reader.info.kind {
            ColumnKind::Bytes | ColumnKind::Fixed(_) => reader.bytes(rows, out, nulls),
            kind => Err(wrong_kind(reader, kind)),
        })
    }

    /// Calls `value` with each of the batch's byte strings of a column, straight from its page.
    ///
    /// # Errors
    /// As [`bytes`](Self::bytes), and what `value` returns.
    pub fn visit<E: From<Error>>(
        &mut self,
        column: usize,
        mut value: impl FnMut(Option<&[u8]>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.each_range(column, |reader, rows| match reader.info.kind {
            ColumnKind::Bytes | ColumnKind::Fixed(_) => reader.visit(rows, &mut value),
            kind => Err(wrong_kind(reader, kind).into()),
        })
    }

    /// Replaces what is in `out` by the batch's byte strings of a column of `N` bytes each. A null is all zero.
    ///
    /// # Errors
    /// As [`bytes`](Self::bytes).
    pub fn arrays<const N: usize>(&mut self, column: usize, out: &mut Vec<[u8; N]>, nulls: &mut Nulls) -> Result<()> {
        out.clear();
        nulls.clear();
        self.each_range(column, |reader, rows| match reader.info.kind {
            ColumnKind::Fixed(width) if width == N => reader.arrays(rows, out, nulls),
            kind => Err(wrong_kind(reader, kind)),
        })
    }

    /// Replaces what is in `out` by the batch's integers of a column, of 32 or 64 bits. A null is 0.
    ///
    /// # Errors
    /// As [`bytes`](Self::bytes).
    pub fn integers(&mut self, column: usize, out: &mut Vec<i64>, nulls: &mut Nulls) -> Result<()> {
        out.clear();
        nulls.clear();
        self.each_range(column, |reader, rows| match reader.info.kind {
            ColumnKind::I64 | ColumnKind::I32 => reader.integers(rows, out, nulls),
            kind => Err(wrong_kind(reader, kind)),
        })
    }

    /// Replaces what is in `out` by the batch's booleans of a column. A null is `false`.
    ///
    /// # Errors
    /// As [`bytes`](Self::bytes).
    pub fn bools(&mut self, column: usize, out: &mut Vec<bool>, nulls: &mut Nulls) -> Result<()> {
        out.clear();
        nulls.clear();
        self.each_range(column, |reader, rows| match reader.info.kind {
            ColumnKind::Bool => reader.bits(rows, out, nulls),
            kind => Err(wrong_kind(reader, kind)),
        })
    }

    /// Replaces what is in `out` by a code for each of the batch's byte strings of a column; see
    /// [`names`](Self::names). A null has the code of the empty string.
    ///
    /// Where the file has a dictionary this costs no look at the strings at all.
    ///
    /// # Errors
    /// As [`bytes`](Self::bytes); also for more than [`MAX_NAMES`](crate::MAX_NAMES) distinct values.
    pub fn codes(&mut self, column: usize, out: &mut Vec<u32>, nulls: &mut Nulls) -> Result<()> {
        out.clear();
        nulls.clear();
        self.each_range(column, |reader, rows| match reader.info.kind {
            ColumnKind::Bytes | ColumnKind::Fixed(_) => reader.codes(rows, out, nulls),
            kind => Err(wrong_kind(reader, kind)),
        })
    }

    /// The byte strings behind the codes of a column. Codes stay what they are from batch to batch.
    pub fn names(&self, column: usize) -> &BytesBuffer {
        self.columns[column].names.texts()
    }

    fn each_range<E: From<Error>>(
        &mut self,
        column: usize,
        mut read: impl FnMut(&mut ColumnReader<R>, usize) -> Result<(), E>,
    ) -> Result<(), E> {
        let reader = &mut self.columns[column];
        for range in &self.batch.ranges {
            reader.seek(self.batch.row_group, range.start)?;
            read(reader, (range.end - range.start) as usize)?;
        }
        Ok(())
    }
}

fn wrong_kind<R>(reader: &ColumnReader<R>, kind: ColumnKind) -> Error {
    Error::unsupported(format!("column {} holds {kind:?} values", reader.info.name))
}
