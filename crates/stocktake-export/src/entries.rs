//! Entries as Arrow record batches, and back.
//!
//! This is the edge: inside, batches are [`EntryBatch`]es; engines and files
//! outside speak Arrow. Keys are binary columns, since keys are bytes.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, RecordBatch, StringArray, TimestampMillisecondArray, UInt64Array,
};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use stocktake_core::{ETag, ETagCode, ETagRef, EntryBatch, EntryFlags, EntryRef, Error, Result, Timestamp};

/// The type of a column of times.
pub(crate) fn time_type() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
}

/// The columns of entries: `key` (binary), `version_id`, `size`, `last_modified`
/// (milliseconds, UTC), `etag`, `storage_class`, `is_multipart`, `etag_is_md5`, `is_latest`,
/// `is_delete_marker`.
pub fn entry_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("key", DataType::Binary, false),
        Field::new("version_id", DataType::Utf8, true),
        Field::new("size", DataType::UInt64, false),
        Field::new("last_modified", time_type(), false),
        Field::new("etag", DataType::Utf8, true),
        Field::new("storage_class", DataType::Utf8, false),
        Field::new("is_multipart", DataType::Boolean, false),
        Field::new("etag_is_md5", DataType::Boolean, false),
        Field::new("is_latest", DataType::Boolean, false),
        Field::new("is_delete_marker", DataType::Boolean, false),
    ]))
}

/// Entries as a record batch with the columns of [`entry_schema`].
///
/// # Errors
/// [`Error::InvalidInput`] when keys take more than 2 GiB together.
pub fn entries_to_record_batch(batch: &EntryBatch) -> Result<RecordBatch> {
    let columns = batch.columns();
    let flag = |flag: EntryFlags| -> ArrayRef {
        Arc::new(columns.flags.iter().map(|flags| Some(flags.has(flag))).collect::<BooleanArray>())
    };
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(binary(columns.keys.data(), columns.keys.ends())?),
        Arc::new(batch.iter().map(|entry| entry.version).collect::<StringArray>()),
        Arc::new(UInt64Array::from(columns.sizes.clone())),
        Arc::new(TimestampMillisecondArray::from(columns.last_modified.clone()).with_timezone("UTC")),
        Arc::new(batch.iter().map(|entry| entry.etag.to_etag()).map(text).collect::<StringArray>()),
        Arc::new(batch.iter().map(|entry| Some(entry.class)).collect::<StringArray>()),
        flag(EntryFlags::MULTIPART),
        flag(EntryFlags::ETAG_IS_MD5),
        Arc::new(columns.flags.iter().map(|flags| Some(flags.is_latest())).collect::<BooleanArray>()),
        flag(EntryFlags::DELETE_MARKER),
    ];
    RecordBatch::try_new(entry_schema(), arrays).map_err(unfit)
}

/// The entries of a record batch with the columns of [`entry_schema`], found by name.
///
/// # Errors
/// [`Error::InvalidInput`] when a column is missing or of another type, or holds a null where it must not.
pub fn entries_from_record_batch(batch: &RecordBatch) -> Result<EntryBatch> {
    let keys: &BinaryArray = column(batch, "key")?;
    let versions: &StringArray = column(batch, "version_id")?;
    let sizes: &UInt64Array = column(batch, "size")?;
    let times: &TimestampMillisecondArray = column(batch, "last_modified")?;
    let etags: &StringArray = column(batch, "etag")?;
    let classes: &StringArray = column(batch, "storage_class")?;
    let multipart: &BooleanArray = column(batch, "is_multipart")?;
    let md5: &BooleanArray = column(batch, "etag_is_md5")?;
    let latest: &BooleanArray = column(batch, "is_latest")?;
    let markers: &BooleanArray = column(batch, "is_delete_marker")?;
    let required: [&dyn Array; 8] = [keys, sizes, times, classes, multipart, md5, latest, markers];
    if required.iter().any(|array| array.null_count() > 0) {
        return Err(Error::invalid("a record batch of entries has a null where none may be"));
    }
    let mut entries = EntryBatch::default();
    for row in 0..batch.num_rows() {
        let etag = if etags.is_null(row) { "" } else { etags.value(row) };
        let code = ETagCode::of(etag);
        let flag = |array: &BooleanArray, flag| if array.value(row) { flag } else { EntryFlags::NONE };
        let past = if latest.value(row) { EntryFlags::NONE } else { EntryFlags::NONCURRENT };
        let version = past.with(flag(markers, EntryFlags::DELETE_MARKER));
        entries.push(&EntryRef {
            key: keys.value(row),
            version: (!versions.is_null(row)).then(|| versions.value(row)),
            size: sizes.value(row),
            last_modified: Timestamp::from_millis(times.value(row)),
            etag: ETagRef { code, text: if code.is_text() { etag } else { "" } },
            class: classes.value(row),
            flags: flag(multipart, EntryFlags::MULTIPART).with(flag(md5, EntryFlags::ETAG_IS_MD5)).with(version),
        })?;
    }
    Ok(entries)
}

fn column<'a, T: Array + 'static>(batch: &'a RecordBatch, name: &str) -> Result<&'a T> {
    let found = batch.column_by_name(name).and_then(|array| array.as_any().downcast_ref());
    found.ok_or_else(|| Error::invalid(format!("a record batch of entries has no column {name} of the right type")))
}

/// A binary array of an arena of strings.
pub(crate) fn binary(data: &[u8], ends: &[u32]) -> Result<BinaryArray> {
    let too_long = |_| Error::invalid("the keys of a batch are too long for one Arrow array");
    let ends = ends.iter().map(|end| i32::try_from(*end).map_err(too_long));
    let offsets = std::iter::once(Ok(0)).chain(ends).collect::<Result<Vec<i32>>>()?;
    BinaryArray::try_new(OffsetBuffer::new(ScalarBuffer::from(offsets)), data.to_vec().into(), None).map_err(unfit)
}

pub(crate) fn text(etag: Option<ETag>) -> Option<String> {
    etag.map(|etag| etag.as_str().to_owned())
}

pub(crate) fn unfit(error: arrow::error::ArrowError) -> Error {
    Error::invalid(format!("a record batch can't be made: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use stocktake_core::Entry;

    #[test]
    fn entries_go_to_arrow_and_back() {
        let time = Timestamp::from_millis(1_772_326_800_000);
        let mut multipart =
            Entry::new(&b"latin/\xff"[..], u64::MAX, time).with_etag("0cc175b9c0f1b6a831c399e269772661-3");
        multipart.flags = EntryFlags::MULTIPART.with(EntryFlags::ETAG_IS_MD5);
        multipart.version = Some("v1".into());
        let marker = Entry::new("d", 0, time).with_flags(EntryFlags::DELETE_MARKER.with(EntryFlags::NONCURRENT));
        let odd = Entry::new("c", 7, time).with_etag("odd").with_class("IA");
        let entries = [Entry::new("a", 0, time), multipart, odd, marker];
        let batch = EntryBatch::try_from(&entries[..]).unwrap();
        let back = entries_from_record_batch(&entries_to_record_batch(&batch).unwrap()).unwrap();
        let back: Vec<_> = back.iter().map(|entry| entry.to_entry()).collect();
        assert_eq!(back, entries);
        let empty = entries_to_record_batch(&EntryBatch::default()).unwrap();
        assert_eq!(entries_from_record_batch(&empty).unwrap(), EntryBatch::default());
    }

    #[test]
    fn a_batch_of_another_schema_is_refused() {
        let batch = EntryBatch::try_from(&[Entry::new("a", 0, Timestamp::default())][..]).unwrap();
        let batch = entries_to_record_batch(&batch).unwrap();
        let without_key = batch.project(&[1, 2, 3, 4, 5, 6, 7, 8, 9]).unwrap();
        assert!(entries_from_record_batch(&without_key).unwrap_err().to_string().contains("no column key"));
    }
}
