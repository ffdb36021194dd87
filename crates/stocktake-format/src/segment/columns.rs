//! Writes the columns of a row group.
//!
//! Values go to the writer as they are in the batch, or as slices of one copy of
//! an arena; a text that repeats is made once and shared.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use parquet::data_type::{ByteArray, ByteArrayType, FixedLenByteArray, FixedLenByteArrayType, Int32Type, Int64Type};
use parquet::errors::Result;
use parquet::file::writer::SerializedColumnWriter;
use stocktake_core::{BytesColumn, Content, Extent, PackId, RowBatch};

use super::schema;

/// Some rows of a batch. Of a delta, `deleted` says of each row of the batch whether its key is deleted; empty for none.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) batch: Arc<RowBatch>,
    pub(super) deleted: Arc<[bool]>,
    pub(super) range: Range<usize>,
}

type Column<'a> = SerializedColumnWriter<'a>;

/// Writes the values that `rows` have in the column called `name`.
pub(super) fn write(name: &str, column: &mut Column<'_>, rows: &Rows, packs: &mut PackNames) -> Result<()> {
    let Rows { batch, deleted, range } = rows;
    let range = range.clone();
    let (entries, contents) = (batch.entries().columns(), &batch.contents()[range.clone()]);
    let etags = entries.etags[range.clone()].iter();
    match name {
        schema::KEY => texts(column, slices(&entries.keys, range)),
        schema::SIZE => longs(column, entries.sizes[range].iter().map(|size| size.cast_signed())),
        schema::LAST_MODIFIED => longs(column, entries.last_modified[range].iter().copied()),
        schema::ETAG => hashes(column, etags.map(|tag| (!tag.is_absent()).then(|| tag.into_parts().0))),
        schema::ETAG_KIND => codes(column, etags.map(|tag| i32::from(tag.into_parts().1))),
        schema::ETAG_TEXT => rare_texts(column, entries.etag_texts.as_ref(), range),
        schema::CLASS => {
            let names: Vec<ByteArray> = entries.classes.names().iter().map(|name| (&**name).into()).collect();
            texts(column, range.map(|row| names[usize::from(entries.classes.code(row))].clone()))
        }
        schema::FLAGS => codes(column, entries.flags[range].iter().map(|flags| i32::from(flags.bits()))),
        schema::VERSION => rare_texts(column, entries.versions.as_ref(), range),
        schema::OP => codes(column, range.map(|row| i32::from(deleted.get(row) == Some(&true)))),
        schema::PROVENANCE => codes(column, range.map(|row| i32::from(batch.get(row).provenance.code()))),
        schema::CONTENT => codes(column, contents.iter().map(content_code)),
        schema::HASH => hashes(column, contents.iter().map(hash)),
        schema::PACK => {
            optional_texts(column, contents.iter().map(|content| extent(content).map(|extent| packs.name(extent.pack))))
        }
        schema::BLOCK_OFFSET => places(column, contents, |extent| extent.block_offset),
        schema::BLOCK_LENGTH => places(column, contents, |extent| extent.block_length),
        schema::OFFSET => places(column, contents, |extent| extent.offset),
        schema::CHUNK_PACKS => optional_texts(column, contents.iter().map(chunk_packs)),
        schema::ATTRIBUTES => rare_texts(column, batch.attributes(), range),
        unknown => unreachable!("the schema has no column {unknown}"),
    }
}

fn content_code(content: &Content) -> i32 {
    match content {
        Content::Absent => 0,
        Content::Empty => 1,
        Content::Whole { .. } => 2,
        Content::Chunked { .. } => 3,
    }
}

fn hash(content: &Content) -> Option<[u8; 16]> {
    match content {
        Content::Absent | Content::Empty => None,
        Content::Whole { hash, .. } | Content::Chunked { hash, .. } => Some(hash.0),
    }
}

fn chunk_packs(content: &Content) -> Option<ByteArray> {
    let Content::Chunked { packs, .. } = content else { return None };
    let names: Vec<String> = packs.iter().map(PackId::to_string).collect();
    Some(names.join(",").into_bytes().into())
}

pub(super) fn extent(content: &Content) -> Option<&Extent> {
    match content {
        Content::Absent | Content::Empty => None,
        Content::Whole { extent, .. } | Content::Chunked { list: extent, .. } => Some(extent),
    }
}

/// The names of packs, each made once. Neighbouring rows mostly lie in one pack.
#[derive(Debug, Default)]
pub(super) struct PackNames {
    names: HashMap<PackId, ByteArray>,
    last: Option<(PackId, ByteArray)>,
}

impl PackNames {
    fn name(&mut self, pack: PackId) -> ByteArray {
        match &self.last {
            Some((known, name)) if *known == pack => name.clone(),
            _ => {
                let name = self.names.entry(pack).or_insert_with(|| pack.to_string().into_bytes().into()).clone();
                self.last = Some((pack, name.clone()));
                name
            }
        }
    }
}

/// Values of an arena, as slices of one copy of it.
fn slices(column: &BytesColumn, range: Range<usize>) -> impl Iterator<Item = ByteArray> {
    let end = |row: usize| column.ends()[row] as usize;
    let first = if range.start == 0 { 0 } else { end(range.start - 1) };
    let last = if range.is_empty() { first } else { end(range.end - 1) };
    let arena = Bytes::copy_from_slice(&column.data()[first..last]);
    let mut start = 0;
    range.map(move |row| {
        let end = end(row) - first;
        let value = ByteArray::from(arena.slice(start..end));
        start = end;
        value
    })
}

fn longs(column: &mut Column<'_>, values: impl Iterator<Item = i64>) -> Result<()> {
    column.typed::<Int64Type>().write_batch(&values.collect::<Vec<_>>(), None, None).map(drop)
}

fn codes(column: &mut Column<'_>, values: impl Iterator<Item = i32>) -> Result<()> {
    column.typed::<Int32Type>().write_batch(&values.collect::<Vec<_>>(), None, None).map(drop)
}

fn places(column: &mut Column<'_>, contents: &[Content], part: fn(&Extent) -> u32) -> Result<()> {
    let parts = contents.iter().map(|content| extent(content).map(|extent| part(extent).cast_signed()));
    let (values, levels) = present(parts);
    column.typed::<Int32Type>().write_batch(&values, Some(&levels), None).map(drop)
}

fn texts(column: &mut Column<'_>, values: impl Iterator<Item = ByteArray>) -> Result<()> {
    column.typed::<ByteArrayType>().write_batch(&values.collect::<Vec<_>>(), None, None).map(drop)
}

fn optional_texts(column: &mut Column<'_>, values: impl Iterator<Item = Option<ByteArray>>) -> Result<()> {
    let (values, levels) = present(values);
    column.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None).map(drop)
}

/// A column in which an empty text stands for none.
fn rare_texts(column: &mut Column<'_>, texts: Option<&BytesColumn>, range: Range<usize>) -> Result<()> {
    match texts {
        Some(texts) => {
            optional_texts(column, slices(texts, range).map(|text| Some(text).filter(|text| !text.is_empty())))
        }
        None => optional_texts(column, range.map(|_| None)),
    }
}

fn hashes(column: &mut Column<'_>, values: impl Iterator<Item = Option<[u8; 16]>>) -> Result<()> {
    let (values, levels) = present(values);
    let arena = Bytes::from(values.concat());
    let value = |at: usize| FixedLenByteArray::from(ByteArray::from(arena.slice(16 * at..16 * at + 16)));
    let values: Vec<_> = (0..values.len()).map(value).collect();
    column.typed::<FixedLenByteArrayType>().write_batch(&values, Some(&levels), None).map(drop)
}

/// The values that are there, and for each row whether it has one.
fn present<T>(values: impl Iterator<Item = Option<T>>) -> (Vec<T>, Vec<i16>) {
    let (mut present, mut levels) = (Vec::new(), Vec::new());
    for value in values {
        levels.push(i16::from(value.is_some()));
        present.extend(value);
    }
    (present, levels)
}
