//! Rows as Arrow columns, for the writer.
//!
//! Byte arenas are copied whole; only rare columns are built value by value.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, DictionaryArray, FixedSizeBinaryArray, RecordBatch, StringArray, StringBuilder,
    TimestampMillisecondArray, UInt8Array, UInt16Array, UInt32Array, UInt64Array,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::UInt32Type;
use stocktake_core::{BytesColumn, Content, EntryBatch, Error, Extent, PackId, Result, RowBatch};

use super::{SegmentKind, schema};

/// The columns of `rows`. `deleted` says of each row of a delta whether its key is deleted; empty for none.
pub(super) fn record_batch(kind: SegmentKind, rows: &RowBatch, deleted: &[bool]) -> Result<RecordBatch> {
    let mut columns = entry_columns(rows.entries())?;
    if kind == SegmentKind::Delta {
        let ops = (0..rows.len()).map(|index| u8::from(deleted.get(index) == Some(&true)));
        columns.push(Arc::new(ops.collect::<UInt8Array>()));
    }
    columns.extend(content_columns(rows)?);
    Ok(RecordBatch::try_new(schema::schema(kind), columns).expect("the columns are those of the schema"))
}

fn entry_columns(entries: &EntryBatch) -> Result<Vec<ArrayRef>> {
    let columns = entries.columns();
    let tags = columns.etags.iter().map(|tag| tag.into_parts());
    let digests: Vec<u8> = tags.clone().flat_map(|(digest, _)| digest).collect();
    let tagged: Vec<bool> = columns.etags.iter().map(|tag| !tag.is_absent()).collect();
    let classes: Vec<u32> = (0..entries.len()).map(|index| u32::from(columns.classes.code(index))).collect();
    let names = columns.classes.names().iter().map(|name| Some(&**name));
    Ok(vec![
        Arc::new(binary(&columns.keys)?),
        Arc::new(UInt64Array::from(columns.sizes.clone())),
        Arc::new(TimestampMillisecondArray::from(columns.last_modified.clone()).with_timezone("UTC")),
        fixed(digests, tagged),
        Arc::new(tags.map(|(_, kind)| kind).collect::<UInt16Array>()),
        rare_text(&columns.etag_texts, entries.len()),
        dictionary(classes.into(), names.collect()),
        Arc::new(columns.flags.iter().map(|flags| flags.bits()).collect::<UInt8Array>()),
        rare_text(&columns.versions, entries.len()),
    ])
}

fn content_columns(rows: &RowBatch) -> Result<[ArrayRef; 9]> {
    let contents = rows.contents();
    let place = |part: fn(&Extent) -> u32| -> ArrayRef {
        Arc::new(contents.iter().map(|content| extent(content).map(part)).collect::<UInt32Array>())
    };
    let stored: Vec<bool> = contents.iter().map(|content| extent(content).is_some()).collect();
    let hashes = contents.iter().flat_map(|content| match content {
        Content::Whole { hash, .. } | Content::Chunked { hash, .. } => hash.0,
        Content::Absent | Content::Empty => [0; 16],
    });
    Ok([
        Arc::new(rows.iter().map(|row| row.provenance.code()).collect::<UInt8Array>()),
        Arc::new(contents.iter().map(content_code).collect::<UInt8Array>()),
        fixed(hashes.collect(), stored),
        packs(contents),
        place(|extent| extent.block_offset),
        place(|extent| extent.block_length),
        place(|extent| extent.offset),
        chunk_packs(contents),
        attributes(rows)?,
    ])
}

fn content_code(content: &Content) -> u8 {
    match content {
        Content::Absent => 0,
        Content::Empty => 1,
        Content::Whole { .. } => 2,
        Content::Chunked { .. } => 3,
    }
}

pub(super) fn extent(content: &Content) -> Option<&Extent> {
    match content {
        Content::Absent | Content::Empty => None,
        Content::Whole { extent, .. } | Content::Chunked { list: extent, .. } => Some(extent),
    }
}

/// The pack of each row: a code for each of the few packs there are.
fn packs(contents: &[Content]) -> ArrayRef {
    let mut names = Vec::new();
    let mut codes: HashMap<PackId, u32> = HashMap::new();
    let mut last = None;
    let mut code_of = |pack: PackId| match last {
        Some((known, code)) if known == pack => code,
        _ => {
            let next = u32::try_from(names.len()).expect("a batch has fewer rows");
            let code = *codes.entry(pack).or_insert_with(|| {
                names.push(pack.to_string());
                next
            });
            last = Some((pack, code));
            code
        }
    };
    let keys = contents.iter().map(|content| extent(content).map(|extent| code_of(extent.pack)));
    let keys = keys.collect::<UInt32Array>();
    dictionary(keys, names.iter().map(|name| Some(name.as_str())).collect())
}

fn dictionary(keys: UInt32Array, names: StringArray) -> ArrayRef {
    let array = DictionaryArray::<UInt32Type>::try_new(keys, Arc::new(names));
    Arc::new(array.expect("codes are places in the dictionary"))
}

fn chunk_packs(contents: &[Content]) -> ArrayRef {
    let mut column = StringBuilder::new();
    for content in contents {
        match content {
            Content::Chunked { packs, .. } => {
                let names: Vec<String> = packs.iter().map(PackId::to_string).collect();
                column.append_value(names.join(","));
            }
            _ => column.append_null(),
        }
    }
    Arc::new(column.finish())
}

fn attributes(rows: &RowBatch) -> Result<ArrayRef> {
    let mut column = StringBuilder::new();
    for row in rows.iter() {
        match std::str::from_utf8(row.attributes) {
            Ok("") => column.append_null(),
            Ok(text) => column.append_value(text),
            Err(_) => return Err(Error::invalid("the attributes of a row are not text")),
        }
    }
    Ok(Arc::new(column.finish()))
}

fn fixed(bytes: Vec<u8>, present: Vec<bool>) -> ArrayRef {
    let array = FixedSizeBinaryArray::try_new(16, Buffer::from_vec(bytes), nulls(present));
    Arc::new(array.expect("16 bytes for each row"))
}

fn nulls(present: Vec<bool>) -> Option<NullBuffer> {
    Some(NullBuffer::from(present)).filter(|nulls| nulls.null_count() > 0)
}

fn binary(column: &BytesColumn) -> Result<BinaryArray> {
    let ends = column.ends();
    if i32::try_from(column.data().len()).is_err() {
        return Err(Error::invalid("a batch of rows has more than 2 GiB of keys"));
    }
    let offsets: Vec<i32> = std::iter::once(0).chain(ends.iter().map(|end| end.cast_signed())).collect();
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    Ok(BinaryArray::new(offsets, Buffer::from(column.data()), None))
}

fn rare_text(column: &Option<BytesColumn>, rows: usize) -> ArrayRef {
    let Some(column) = column else { return Arc::new(StringArray::new_null(rows)) };
    let texts = column.iter().map(|text| {
        let text = std::str::from_utf8(text).expect("an entry batch has checked its texts");
        Some(text).filter(|text| !text.is_empty())
    });
    Arc::new(texts.collect::<StringArray>())
}
