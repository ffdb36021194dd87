//! Changes as Arrow record batches.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, Int64Builder, RecordBatch, StringBuilder, TimestampMillisecondArray,
    TimestampMillisecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use stocktake_core::{Change, ChangeClass, Entry, EntryRef, Error, Result};

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
/// As [`change_refs_to_record_batch`].
pub fn changes_to_record_batch(changes: &[Change]) -> Result<RecordBatch> {
    change_refs_to_record_batch(changes.iter().map(|change| {
        let Change { class, current, previous } = change;
        (*class, current.as_ref().map(Entry::as_ref), previous.as_ref().map(Entry::as_ref))
    }))
}

/// Changes that own nothing as a record batch with the columns of [`change_schema`]:
/// of each its class, the entry as it is now, and the entry as it was.
///
/// # Errors
/// [`Error::InvalidInput`] for a change without an entry on either side, and for a
/// size of more than 63 bits.
pub fn change_refs_to_record_batch<'a>(
    changes: impl IntoIterator<Item = (ChangeClass, Option<EntryRef<'a>>, Option<EntryRef<'a>>)>,
) -> Result<RecordBatch> {
    let (mut keys, mut classes) = (BinaryBuilder::new(), StringBuilder::new());
    let (mut current, mut previous) = (SideColumns::default(), SideColumns::default());
    for (class, now, before) in changes {
        let entry = now.or(before).ok_or_else(|| Error::invalid("a change without an entry on either side"))?;
        keys.append_value(entry.key);
        classes.append_value(class.as_str());
        current.push(now.as_ref())?;
        previous.push(before.as_ref())?;
    }
    let mut arrays: Vec<ArrayRef> = vec![Arc::new(keys.finish()), Arc::new(classes.finish())];
    arrays.extend(current.finish());
    arrays.extend(previous.finish());
    RecordBatch::try_new(change_schema(), arrays).map_err(unfit)
}

/// The columns of one side of changes.
#[derive(Default)]
struct SideColumns {
    sizes: Int64Builder,
    etags: StringBuilder,
    times: TimestampMillisecondBuilder,
    classes: StringBuilder,
}

impl SideColumns {
    fn push(&mut self, entry: Option<&EntryRef<'_>>) -> Result<()> {
        let size = |size: u64| {
            i64::try_from(size).map_err(|_| Error::invalid(format!("a size of {size} bytes can't be exported")))
        };
        self.sizes.append_option(entry.map(|entry| size(entry.size)).transpose()?);
        self.etags.append_option(entry.and_then(|entry| text(entry.etag.to_etag())));
        self.times.append_option(entry.map(|entry| entry.last_modified.as_millis()));
        self.classes.append_option(entry.map(|entry| entry.class).filter(|class| !class.is_empty()));
        Ok(())
    }

    fn finish(mut self) -> [ArrayRef; 4] {
        let times: TimestampMillisecondArray = self.times.finish();
        [
            Arc::new(self.sizes.finish()),
            Arc::new(self.etags.finish()),
            Arc::new(times.with_timezone("UTC")),
            Arc::new(self.classes.finish()),
        ]
    }
}

/// The storage class, where it is known.
pub(crate) fn class(entry: &Entry) -> Option<&str> {
    Some(entry.class.as_str()).filter(|class| !class.is_empty())
}
