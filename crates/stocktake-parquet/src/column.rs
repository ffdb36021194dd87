//! One column, read row by row across pages.

use std::sync::Arc;

use parquet::file::reader::ChunkReader;

use crate::buffer::{BytesBuffer, Nulls, spread};
use crate::decode::{Values, prefixed_runs};
use crate::hybrid::Hybrid;
use crate::meta::{ColumnInfo, ColumnKind, FileMeta};
use crate::names::Names;
use crate::pages::{PageBuffer, Pages};
use crate::{Error, Result};

/// Rows are decoded in pieces of this many at most, since a page may claim any number.
const MAX_SPAN_ROWS: usize = 1 << 16;

/// A column being read.
#[derive(Debug)]
pub(crate) struct ColumnReader<R> {
    file: Arc<R>,
    meta: FileMeta,
    pub(crate) info: ColumnInfo,
    chunk: Option<Chunk<R>>,
    buffer: PageBuffer,
    page: Option<Page>,
    /// Whether each row of the last span has a value; meaningful if that was not all of them.
    present: Vec<bool>,
    scratch: Vec<u32>,
    pub(crate) names: Names,
}

#[derive(Debug)]
struct Chunk<R> {
    row_group: usize,
    pages: Pages<R>,
    /// The next row to be read.
    row: u64,
}

/// The rest of a page.
#[derive(Debug)]
struct Page {
    values: Values,
    levels: Option<Hybrid>,
    rows: u64,
}

/// Rows that lie next to each other in one page.
#[derive(Clone, Copy)]
struct Span {
    rows: usize,
    values: usize,
}

/// Takes a span of values from the current page: the page's bytes, the chunk it is of, and how many.
macro_rules! with_page {
    ($self:ident, |$page:ident, $bytes:ident, $dictionary:ident| $body:expr) => {{
        let $page = $self.page.as_mut().expect("a span lies in a page");
        let $bytes = $self.buffer.bytes();
        let $dictionary = &$self.chunk.as_ref().expect("a page lies in a chunk").pages.dictionary;
        $body
    }};
}

impl<R: ChunkReader> ColumnReader<R> {
    pub(crate) fn new(file: Arc<R>, meta: FileMeta, info: ColumnInfo) -> Self {
        Self {
            file,
            meta,
            info,
            chunk: None,
            buffer: PageBuffer::default(),
            page: None,
            present: Vec::new(),
            scratch: Vec::new(),
            names: Names::default(),
        }
    }

    /// Makes `row` of `row_group` the next one. Goes forward only within a row group.
    pub(crate) fn seek(&mut self, row_group: usize, row: u64) -> Result<()> {
        if self.chunk.as_ref().is_none_or(|chunk| chunk.row_group != row_group) {
            // A chunk whose dictionary is missing must not be read with that of the one before.
            let serial = self.chunk.as_ref().map_or(0, |chunk| chunk.pages.dictionary_serial) + 1;
            let pages = Pages::open(Arc::clone(&self.file), self.meta.clone(), row_group, &self.info, serial)?;
            self.chunk = Some(Chunk { row_group, pages, row: 0 });
            self.page = None;
        }
        let chunk = self.chunk.as_mut().expect("opened above");
        let ahead = row.checked_sub(chunk.row).ok_or_else(|| Error::damaged("rows are read in descending order"))?;
        match &self.page {
            Some(page) if ahead < page.rows => self.discard(ahead),
            _ if ahead == 0 => Ok(()),
            _ => {
                chunk.row = row;
                self.page = None;
                Ok(())
            }
        }
    }

    /// Appends `rows` byte strings.
    pub(crate) fn bytes(&mut self, rows: usize, out: &mut BytesBuffer, nulls: &mut Nulls) -> Result<()> {
        self.spans(rows, |reader, span| {
            let first = out.len();
            let kind = reader.info.kind;
            with_page!(reader, |page, bytes, dictionary| {
                page.values.append_strings(bytes, dictionary, kind, span.values, &mut reader.scratch, out)
            })?;
            let present = reader.present_of(span);
            nulls.append(first, span.rows, present);
            if let Some(present) = present {
                out.spread(first, present);
            }
            Ok(())
        })
    }

    /// Appends `rows` byte strings of `N` bytes, which is the width of the column; a null is all zero.
    pub(crate) fn arrays<const N: usize>(
        &mut self,
        rows: usize,
        out: &mut Vec<[u8; N]>,
        nulls: &mut Nulls,
    ) -> Result<()> {
        self.spans(rows, |reader, span| {
            let first = out.len();
            with_page!(reader, |page, bytes, dictionary| {
                page.values.arrays(bytes, dictionary, span.values, &mut reader.scratch, out)
            })?;
            let present = reader.present_of(span);
            nulls.append(first, span.rows, present);
            if let Some(present) = present {
                spread(out, first, present, [0; N]);
            }
            Ok(())
        })
    }

    /// Calls `value` with each of `rows` byte strings, `None` for a null.
    pub(crate) fn visit<E: From<Error>>(
        &mut self,
        rows: usize,
        value: &mut impl FnMut(Option<&[u8]>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.spans(rows, |reader, span| {
            if span.rows == span.values {
                return reader.strings(span.values, |string| value(Some(string)));
            }
            let present = std::mem::take(&mut reader.present);
            let mut next = 0;
            reader.strings(span.values, |string| {
                while !present[next] {
                    value(None)?;
                    next += 1;
                }
                next += 1;
                value(Some(string))
            })?;
            let result = present[next..].iter().try_for_each(|_| value(None));
            reader.present = present;
            result
        })
    }

    /// Appends `rows` integers.
    pub(crate) fn integers(&mut self, rows: usize, out: &mut Vec<i64>, nulls: &mut Nulls) -> Result<()> {
        self.spans(rows, |reader, span| {
            let first = out.len();
            let kind = reader.info.kind;
            with_page!(reader, |page, bytes, dictionary| {
                page.values.integers(bytes, dictionary, kind, span.values, &mut reader.scratch, out)
            })?;
            let present = reader.present_of(span);
            nulls.append(first, span.rows, present);
            if let Some(present) = present {
                spread(out, first, present, 0);
            }
            Ok(())
        })
    }

    /// Appends `rows` booleans.
    pub(crate) fn bits(&mut self, rows: usize, out: &mut Vec<bool>, nulls: &mut Nulls) -> Result<()> {
        self.spans(rows, |reader, span| {
            let first = out.len();
            with_page!(reader, |page, bytes, _dictionary| page.values.bits(
                bytes,
                span.values,
                &mut reader.scratch,
                out
            ))?;
            let present = reader.present_of(span);
            nulls.append(first, span.rows, present);
            if let Some(present) = present {
                spread(out, first, present, false);
            }
            Ok(())
        })
    }

    /// Appends the codes of `rows` byte strings in [`names`](Self::names); of a null, that of the empty string.
    pub(crate) fn codes(&mut self, rows: usize, out: &mut Vec<u32>, nulls: &mut Nulls) -> Result<()> {
        self.spans(rows, |reader, span| {
            let first = out.len();
            reader.codes_in_page(span.values, out)?;
            let filler = if span.values < span.rows { reader.names.code(b"")? } else { 0 };
            let present = reader.present_of(span);
            nulls.append(first, span.rows, present);
            if let Some(present) = present {
                spread(out, first, present, filler);
            }
            Ok(())
        })
    }

    fn codes_in_page(&mut self, count: usize, out: &mut Vec<u32>) -> Result<()> {
        let first = out.len();
        let indexed = with_page!(self, |page, bytes, _dictionary| page.values.indices(bytes, count, out))?;
        if indexed {
            let pages = &self.chunk.as_ref().expect("a page lies in a chunk").pages;
            self.names.learn(&pages.dictionary, pages.dictionary_serial)?;
            return out[first..].iter_mut().try_for_each(|code| {
                *code = self.names.code_of_index(*code)?;
                Ok(())
            });
        }
        let mut names = std::mem::take(&mut self.names);
        let result = self.strings(count, |string| {
            out.push(names.code(string)?);
            Ok(())
        });
        self.names = names;
        result
    }

    fn strings<E: From<Error>>(&mut self, count: usize, value: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let kind = self.info.kind;
        with_page!(self, |page, bytes, dictionary| {
            page.values.strings(bytes, dictionary, kind, count, &mut self.scratch, value)
        })
    }

    /// Passes over rows of the current page.
    fn discard(&mut self, rows: u64) -> Result<()> {
        let (mut left, mut nulls) = (rows, Nulls::default());
        let (mut integers, mut bits) = (Vec::new(), Vec::new());
        while left > 0 {
            let piece = left.min(MAX_SPAN_ROWS as u64) as usize;
            left -= piece as u64;
            match self.info.kind {
                ColumnKind::Bytes | ColumnKind::Fixed(_) => {
                    self.spans(piece, |reader, span| reader.strings(span.values, |_| Ok::<_, Error>(())))?;
                }
                ColumnKind::I64 | ColumnKind::I32 => {
                    integers.clear();
                    self.integers(piece, &mut integers, &mut nulls)?;
                }
                ColumnKind::Bool => {
                    bits.clear();
                    self.bits(piece, &mut bits, &mut nulls)?;
                }
            }
        }
        Ok(())
    }

    /// Calls `each` with the next `rows` rows, in pieces that lie in one page.
    fn spans<E: From<Error>>(
        &mut self,
        rows: usize,
        mut each: impl FnMut(&mut Self, Span) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut left = rows;
        while left > 0 {
            let span = self.next_span(left)?;
            each(self, span)?;
            left -= span.rows;
        }
        Ok(())
    }

    fn next_span(&mut self, wanted: usize) -> Result<Span> {
        if self.page.as_ref().is_none_or(|page| page.rows == 0) {
            self.load_page()?;
        }
        let chunk = self.chunk.as_mut().expect("seek opens a chunk");
        let page = self.page.as_mut().expect("loaded above");
        let rows = page.rows.min(wanted.min(MAX_SPAN_ROWS) as u64) as usize;
        page.rows -= rows as u64;
        chunk.row += rows as u64;
        self.present.clear();
        let Some(levels) = &mut page.levels else { return Ok(Span { rows, values: rows }) };
        let bytes = self.buffer.bytes();
        if levels.skip_run_of(bytes, 1, rows)? {
            return Ok(Span { rows, values: rows });
        }
        self.scratch.clear();
        levels.fill(bytes, rows, &mut self.scratch)?;
        self.present.extend(self.scratch.iter().map(|level| *level == 1));
        let values = self.present.iter().filter(|present| **present).count();
        Ok(Span { rows, values })
    }

    fn present_of(&self, span: Span) -> Option<&[bool]> {
        (span.values < span.rows).then_some(&self.present[..])
    }

    /// Loads the page of the next row, and passes over its rows before that.
    fn load_page(&mut self) -> Result<()> {
        let chunk = self.chunk.as_mut().expect("seek opens a chunk");
        let wanted = chunk.row;
        let loaded = chunk.pages.load(wanted, &mut self.buffer)?;
        let bytes = self.buffer.bytes();
        let (levels, start) = match (self.info.optional, loaded.levels_len) {
            (true, Some(length)) => (Some(Hybrid::new(0..length, 1)?), length),
            (true, None) => {
                let (levels, end) = prefixed_runs(bytes, 0..bytes.len(), 1)?;
                (Some(levels), end)
            }
            (false, length) => (None, length.unwrap_or(0)),
        };
        let values = Values::new(bytes, start..bytes.len(), loaded.encoding, self.info.kind)?;
        self.page = Some(Page { values, levels, rows: loaded.rows });
        chunk.row = loaded.first_row;
        let ahead = wanted - loaded.first_row;
        if ahead >= loaded.rows {
            return Err(Error::damaged("a page has fewer rows than its place says"));
        }
        self.discard(ahead)
    }
}
