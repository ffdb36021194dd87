//! Which rows of a file are read, and which bytes that takes.

use std::ops::Range;

use parquet::file::page_index::column_index::ColumnIndexMetaData;

use crate::meta::{ColumnId, FileMeta};
use crate::{Error, Result};

/// Rows of a file: for some row groups, ascending ranges of rows in them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    // INVARIANT: row groups ascend; in each, ranges ascend, are apart, and not empty.
    groups: Vec<(usize, Vec<Range<u64>>)>,
}

impl Selection {
    /// All rows.
    pub fn all(meta: &FileMeta) -> Self {
        Self::row_groups(meta, 0..meta.row_groups().len())
    }

    /// All rows of some row groups. Numbers that the file doesn't have are left out.
    pub fn row_groups(meta: &FileMeta, groups: Range<usize>) -> Self {
        let mut selection = Self::default();
        let end = groups.end.min(meta.row_groups().len());
        for group in groups.start.min(end)..end {
            selection.push(group, 0..meta.row_groups()[group]);
        }
        selection
    }

    /// Adds rows of a row group; they must come after all that are selected.
    ///
    /// # Panics
    /// When they don't.
    pub fn push(&mut self, row_group: usize, rows: Range<u64>) {
        if rows.is_empty() {
            return;
        }
        match self.groups.last_mut() {
            Some((last, ranges)) if *last == row_group => {
                let end = &mut ranges.last_mut().expect("a selected group has rows").end;
                assert!(*end <= rows.start, "rows are selected in ascending order");
                if *end == rows.start {
                    *end = rows.end;
                } else {
                    ranges.push(rows);
                }
            }
            last => {
                assert!(last.is_none_or(|(last, _)| *last < row_group), "row groups are selected in ascending order");
                self.groups.push((row_group, vec![rows]));
            }
        }
    }

    /// Number of rows.
    pub fn num_rows(&self) -> u64 {
        self.iter().map(|(_, rows)| rows.end - rows.start).sum()
    }

    /// Whether no row is selected.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// The ranges selected in the `index`-th of the row groups that have any.
    pub(crate) fn group(&self, index: usize) -> Option<(usize, &[Range<u64>])> {
        self.groups.get(index).map(|(group, ranges)| (*group, &ranges[..]))
    }

    /// The ranges of rows, each with its row group.
    pub fn iter(&self) -> impl Iterator<Item = (usize, Range<u64>)> + '_ {
        self.groups.iter().flat_map(|(group, ranges)| ranges.iter().map(|range| (*group, range.clone())))
    }
}

impl FileMeta {
    /// The rows that may hold a wanted value in a column of byte strings.
    ///
    /// `wanted` is asked with bounds, both included, of all values of a row
    /// group, and then of each page of it, as far as the file states bounds;
    /// where it does not, the rows are selected. Pages of nulls are left out.
    ///
    /// # Errors
    /// [`Error::Damaged`] when the page index contradicts the footer.
    pub fn select(&self, column: ColumnId, mut wanted: impl FnMut(&[u8], &[u8]) -> bool) -> Result<Selection> {
        let mut selection = Selection::default();
        for (group, rows) in self.row_groups().iter().enumerate() {
            if self.bounds(group, column).is_none_or(|(low, high)| wanted(low, high)) {
                self.select_pages(group, *rows, column, &mut selection, &mut wanted)?;
            }
        }
        Ok(selection)
    }

    fn select_pages(
        &self,
        group: usize,
        rows: u64,
        column: ColumnId,
        selection: &mut Selection,
        wanted: &mut impl FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<()> {
        let bounds = self.inner.parquet.column_index().and_then(|groups| groups.get(group)?.get(column.0));
        let (Some(ColumnIndexMetaData::BYTE_ARRAY(bounds)), Some(pages)) = (bounds, self.locations(group, column)?)
        else {
            selection.push(group, 0..rows);
            return Ok(());
        };
        if bounds.num_pages() != pages.len() as u64 {
            return Err(Error::damaged("two page indexes have different numbers of pages"));
        }
        for (index, page) in pages.iter().enumerate() {
            let end = pages.get(index + 1).map_or(rows, |next| next.first_row_index.cast_unsigned());
            let hit = !bounds.is_null_page(index)
                && match (bounds.min_value(index), bounds.max_value(index)) {
                    (Some(low), Some(high)) => wanted(low, high),
                    _ => true,
                };
            if hit {
                selection.push(group, page.first_row_index.cast_unsigned()..end);
            }
        }
        Ok(())
    }

    /// The bytes of the file that reading some columns of the selected rows
    /// takes: ascending, apart from each other. Those nearer than `gap` bytes are joined.
    ///
    /// # Errors
    /// [`Error::Damaged`] when the page index contradicts the footer.
    pub fn byte_ranges(&self, selection: &Selection, columns: &[ColumnId], gap: u64) -> Result<Vec<Range<u64>>> {
        let mut ranges = Vec::new();
        for (group, rows) in &selection.groups {
            for column in columns {
                self.info(*column)?;
                self.chunk_byte_ranges(*group, rows, *column, &mut ranges)?;
            }
        }
        ranges.sort_unstable_by_key(|range| range.start);
        ranges.dedup_by(|next, range| {
            let joined = next.start <= range.end.saturating_add(gap);
            if joined {
                range.end = range.end.max(next.end);
            }
            joined
        });
        Ok(ranges)
    }

    fn chunk_byte_ranges(
        &self,
        group: usize,
        rows: &[Range<u64>],
        column: ColumnId,
        ranges: &mut Vec<Range<u64>>,
    ) -> Result<()> {
        let chunk = self.chunk_range(group, column)?;
        let Some(pages) = self.locations(group, column)? else {
            ranges.push(chunk);
            return Ok(());
        };
        let first_page = pages[0].offset.cast_unsigned();
        if chunk.start < first_page {
            ranges.push(chunk.start..first_page);
        }
        for wanted in rows {
            let first = pages.partition_point(|page| page.first_row_index.cast_unsigned() <= wanted.start) - 1;
            let pages = pages[first..].iter().take_while(|page| page.first_row_index.cast_unsigned() < wanted.end);
            ranges.extend(pages.map(|page| {
                let start = page.offset.cast_unsigned();
                start..start + u64::from(page.compressed_page_size.cast_unsigned())
            }));
        }
        Ok(())
    }
}
