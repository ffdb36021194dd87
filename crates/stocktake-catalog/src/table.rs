//! Rows and entries alike: what a scan yields, and how it is put together.
//!
//! A merge copies ranges of rows, not rows: where nothing changed, thousands
//! are taken over by a few copies of memory.

use std::ops::Range;

use bytes::Bytes;
use stocktake_core::{
    BytesColumn, ClassColumn, Content, ETagCode, EntryBatch, EntryColumns, EntryFlags, Provenance, Result, RowBatch,
};
use stocktake_format::segment::{Part, SegmentBatch, SegmentReader, Wanted};

/// A batch of rows or of entries.
pub(crate) trait Table: Default + Send + Sync + 'static {
    /// What puts such batches together.
    type Builder: Builder<Self>;

    /// The part of a row group that it is decoded from.
    const PART: Part;

    /// Decodes the wanted rows of a row group.
    fn decode(
        segment: &SegmentReader,
        group: usize,
        bytes: Bytes,
        wanted: Wanted<'_>,
    ) -> stocktake_format::Result<Vec<SegmentBatch<Self>>>;

    /// Number of rows.
    fn len(&self) -> usize;

    /// The key at `index`.
    fn key(&self, index: usize) -> &[u8];

    /// How many rows from `start` on have keys less than `key`.
    fn count_below(&self, start: usize, key: &[u8]) -> usize {
        // Gallops: the next change is usually near, or beyond the batch.
        let below = |index: usize| index < self.len() && self.key(index) < key;
        let mut step = 1;
        while below(start + step - 1) {
            step *= 2;
        }
        let (mut low, mut high) = (start + step / 2, (start + step).min(self.len()));
        while low < high {
            let middle = low + (high - low) / 2;
            if below(middle) { low = middle + 1 } else { high = middle }
        }
        low - start
    }
}

/// Puts a batch together from ranges of others.
pub(crate) trait Builder<B>: Default + Send {
    /// Rows so far.
    fn len(&self) -> usize;

    /// Appends some rows of a batch.
    fn append(&mut self, from: &B, rows: Range<usize>) -> Result<()>;

    /// The batch, and an empty builder in its place.
    fn take(&mut self) -> Result<B>;
}

/// The given rows of a batch, as a batch of their own.
pub(crate) fn slice<B: Table>(batch: &B, rows: Range<usize>) -> Result<B> {
    let mut builder = B::Builder::default();
    builder.append(batch, rows)?;
    builder.take()
}

impl Table for EntryBatch {
    type Builder = EntryBuilder;

    const PART: Part = Part::Entries;

    fn decode(
        segment: &SegmentReader,
        group: usize,
        bytes: Bytes,
        wanted: Wanted<'_>,
    ) -> stocktake_format::Result<Vec<SegmentBatch<Self>>> {
        segment.entries(group, bytes, wanted)
    }

    fn len(&self) -> usize {
        self.len()
    }

    fn key(&self, index: usize) -> &[u8] {
        self.key(index)
    }
}

impl Table for RowBatch {
    type Builder = RowBuilder;

    const PART: Part = Part::Rows;

    fn decode(
        segment: &SegmentReader,
        group: usize,
        bytes: Bytes,
        wanted: Wanted<'_>,
    ) -> stocktake_format::Result<Vec<SegmentBatch<Self>>> {
        segment.rows_of(group, bytes, wanted)
    }

    fn len(&self) -> usize {
        self.len()
    }

    fn key(&self, index: usize) -> &[u8] {
        self.key(index)
    }
}

/// Puts batches of entries together.
#[derive(Default)]
pub(crate) struct EntryBuilder {
    keys: Strings,
    sizes: Vec<u64>,
    last_modified: Vec<i64>,
    etags: Vec<ETagCode>,
    etag_texts: RareStrings,
    classes: ClassColumn,
    flags: Vec<EntryFlags>,
    versions: RareStrings,
}

impl Builder<EntryBatch> for EntryBuilder {
    fn len(&self) -> usize {
        self.sizes.len()
    }

    fn append(&mut self, from: &EntryBatch, rows: Range<usize>) -> Result<()> {
        let before = self.len();
        let EntryColumns { keys, sizes, last_modified, etags, etag_texts, classes, flags, versions } = from.columns();
        self.keys.append(keys, rows.clone());
        self.sizes.extend_from_slice(&sizes[rows.clone()]);
        self.last_modified.extend_from_slice(&last_modified[rows.clone()]);
        self.etags.extend_from_slice(&etags[rows.clone()]);
        self.flags.extend_from_slice(&flags[rows.clone()]);
        self.etag_texts.append(before, etag_texts, rows.clone());
        self.versions.append(before, versions, rows.clone());
        let codes = classes.names().iter().map(|name| self.classes.intern(name)).collect::<Result<Vec<_>>>()?;
        rows.for_each(|row| self.classes.push_code(codes[usize::from(classes.code(row))]));
        Ok(())
    }

    fn take(&mut self) -> Result<EntryBatch> {
        let Self { keys, sizes, last_modified, etags, etag_texts, classes, flags, versions } = std::mem::take(self);
        let (etag_texts, versions) = (etag_texts.finish(sizes.len()), versions.finish(sizes.len()));
        let keys = keys.finish()?;
        EntryBatch::from_columns(EntryColumns {
            keys,
            sizes,
            last_modified,
            etags,
            etag_texts,
            classes,
            flags,
            versions,
        })
    }
}

/// Puts batches of rows together.
#[derive(Default)]
pub(crate) struct RowBuilder {
    entries: EntryBuilder,
    contents: Vec<Content>,
    provenances: Vec<Provenance>,
    attributes: RareStrings,
}

impl Builder<RowBatch> for RowBuilder {
    fn len(&self) -> usize {
        self.contents.len()
    }

    fn append(&mut self, from: &RowBatch, rows: Range<usize>) -> Result<()> {
        self.entries.append(from.entries(), rows.clone())?;
        self.contents.extend_from_slice(&from.contents()[rows.clone()]);
        for row in rows {
            let row = from.get(row);
            self.provenances.push(row.provenance);
            self.attributes.push(self.provenances.len() - 1, row.attributes);
        }
        Ok(())
    }

    fn take(&mut self) -> Result<RowBatch> {
        let Self { mut entries, contents, provenances, attributes } = std::mem::take(self);
        let attributes = attributes.finish(contents.len());
        RowBatch::from_columns(entries.take()?, contents, provenances, attributes)
    }
}

/// A column of strings that grows by ranges of others.
#[derive(Default)]
struct Strings {
    data: Vec<u8>,
    ends: Vec<u32>,
}

impl Strings {
    fn append(&mut self, from: &BytesColumn, rows: Range<usize>) {
        let Some(last) = rows.clone().last() else { return };
        let start = if rows.start == 0 { 0 } else { from.ends()[rows.start - 1] };
        let base = u32::try_from(self.data.len()).expect("a batch stays far below 4 GiB");
        self.data.extend_from_slice(&from.data()[start as usize..from.ends()[last] as usize]);
        self.ends.extend(from.ends()[rows].iter().map(|end| base + (end - start)));
    }

    fn finish(self) -> Result<BytesColumn> {
        BytesColumn::from_parts(self.data, self.ends)
    }
}

/// A column that exists only once a string is not empty.
#[derive(Default)]
struct RareStrings(Option<BytesColumn>);

impl RareStrings {
    /// Appends rows `rows` of another such column to the `before` rows there are.
    fn append(&mut self, before: usize, from: &Option<BytesColumn>, rows: Range<usize>) {
        if from.is_none() && self.0.is_none() {
            return;
        }
        for (index, row) in rows.enumerate() {
            self.push(before + index, from.as_ref().map_or(&[], |column| column.get(row)));
        }
    }

    /// Sets the string of row `row`. Rows up to it that were left out are empty.
    fn push(&mut self, row: usize, value: &[u8]) {
        if self.0.is_none() && value.is_empty() {
            return;
        }
        let column = self.0.get_or_insert_default();
        (column.len()..row).for_each(|_| column.push(b""));
        column.push(value);
    }

    /// The column of `rows` rows, if there is one.
    fn finish(self, rows: usize) -> Option<BytesColumn> {
        let mut column = self.0?;
        (column.len()..rows).for_each(|_| column.push(b""));
        Some(column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stocktake_testkit::states;

    fn odd_batch() -> RowBatch {
        let rows = states::odd_rows().into_iter().map(|row| (row.entry.key.clone(), row));
        states::batch(rows.collect())
    }

    #[test]
    fn pieces_of_a_batch_make_the_batch_again() {
        let batch = odd_batch();
        for size in 1..=batch.len() {
            let (mut rows, mut entries) = (RowBuilder::default(), EntryBuilder::default());
            for start in (0..batch.len()).step_by(size) {
                let piece = slice(&batch, start..(start + size).min(batch.len())).unwrap();
                rows.append(&piece, 0..piece.len()).unwrap();
                entries.append(piece.entries(), 0..piece.len()).unwrap();
            }
            assert!(rows.take().unwrap().iter().eq(batch.iter()), "{size}");
            assert!(entries.take().unwrap().iter().eq(batch.entries().iter()), "{size}");
        }
    }

    #[test]
    fn rows_below_a_key_are_counted_from_any_start() {
        let batch = states::batch(states::state("b=1 d=1 f=1 h=1 j=1 l=1 n=1"));
        for (start, key) in (0..=batch.len()).flat_map(|start| ('a'..='o').map(move |key| (start, key.to_string()))) {
            let below = (start..batch.len()).filter(|row| batch.key(*row) < key.as_bytes()).count();
            assert_eq!(batch.count_below(start, key.as_bytes()), below, "{key} from {start}");
        }
    }
}
