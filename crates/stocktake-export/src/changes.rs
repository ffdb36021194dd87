//! Changes as Arrow record batches.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use stocktake_core::{Change, Entry, Error, Result};

use crate::entries::{text, time_type, unfit};

/// The names of the columns, in their order.
pub(crate) const COLUMNS: [&str; 10] = [
    "key",
    "change",
    "size",
    "etag",
    "last_modified",
    "storage_class",
    "previous_size",
    "previous_etag",
    "previous_last_modified",
    "previous_storage_class",
];

/// The columns of a change set: `key` (binary), `change`, then `size`, `etag`,
/// `last_modified` (milliseconds, UTC) and `storage_class` as they are now, and with `previous_` as they were.
pub fn change_schema() -> SchemaRef {
    let fields = COLUMNS.map(|name| match name.strip_prefix("previous_").unwrap_or(name) {
        "key" => Field::new(name, DataType::Binary, false),
        "change" => Field::new(name, DataType::Utf8, false),
        "size" => Field::new(name, DataType::Int64, true),
        "last_modified" => Field::new(name, time_type(), true),
        _ => Field::new(name, DataType::Utf8, true),
    });
    Arc::new(Schema::new(fields.to_vec()))
}

/// Changes as a record batch with the columns of [`change_schema`].
///
/// # Errors
/// [`Error::InvalidInput`] for a size of more than 63 bits.
pub fn changes_to_record_batch(changes: &[Change]) -> Result<RecordBatch> {
    let keys = changes.iter().map(|change| Some(change.entry().key.as_bytes()));
    let mut arrays: Vec<ArrayRef> = vec![
        Arc::new(keys.collect::<BinaryArray>()),
        Arc::new(changes.iter().map(|change| Some(change.class.as_str())).collect::<StringArray>()),
    ];
    let current: Vec<_> = changes.iter().map(|change| change.current.as_ref()).collect();
    let previous: Vec<_> = changes.iter().map(|change| change.previous.as_ref()).collect();
    for side in [current, previous] {
        arrays.extend(side_columns(&side)?);
    }
    RecordBatch::try_new(change_schema(), arrays).map_err(unfit)
}

fn side_columns(side: &[Option<&Entry>]) -> Result<[ArrayRef; 4]> {
    let size = |entry: &Entry| {
        i64::try_from(entry.size)
            .map_err(|_| Error::invalid(format!("a size of {} bytes can't be exported", entry.size)))
    };
    let sizes: Vec<_> = side.iter().map(|entry| entry.map(size).transpose()).collect::<Result<_>>()?;
    let times = side.iter().map(|entry| entry.map(|entry| entry.last_modified.as_millis()));
    Ok([
        Arc::new(Int64Array::from(sizes)),
        Arc::new(side.iter().map(|entry| text(entry.and_then(|entry| entry.etag.clone()))).collect::<StringArray>()),
        Arc::new(times.collect::<TimestampMillisecondArray>().with_timezone("UTC")),
        Arc::new(side.iter().map(|entry| entry.and_then(class)).collect::<StringArray>()),
    ])
}

/// The storage class, where it is known.
pub(crate) fn class(entry: &Entry) -> Option<&str> {
    Some(entry.class.as_str()).filter(|class| !class.is_empty())
}
