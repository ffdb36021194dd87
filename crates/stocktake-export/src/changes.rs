//! Changes as Arrow record batches.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Int64Builder, RecordBatch, StringBuilder, TimestampMillisecondArray,
    TimestampMillisecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use stocktake_core::{Change, ChangeClass, Entry, EntryRef, Error, InventoryVersions, Result};

use crate::entries::{text, time_type, unfit};

/// Which columns changes have.
///
/// | Column | Objects | Versions |
/// | --- | --- | --- |
/// | `key` (binary) | yes | yes |
/// | `version_id` | | yes; null where none is known, `null` for the null version |
/// | `change` | yes | yes |
/// | `size`, `etag`, `last_modified` (milliseconds, UTC), `storage_class` as they are now | yes | yes |
/// | `is_latest`, `is_delete_marker` as they are now | | yes |
/// | the last six with `previous_`, as they were | yes | yes |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChangeColumns {
    /// Those of a comparison of objects.
    #[default]
    Objects,
    /// Those of a comparison of versions.
    Versions,
}

impl From<InventoryVersions> for ChangeColumns {
    /// The columns for what was compared.
    fn from(compared: InventoryVersions) -> Self {
        match compared {
            InventoryVersions::Current => Self::Objects,
            InventoryVersions::All => Self::Versions,
        }
    }
}

/// The names of the columns of versions, in their order. Those of objects stand in the same.
const NAMES: [&str; 15] = [
    "key",
    "version_id",
    "change",
    "size",
    "etag",
    "last_modified",
    "storage_class",
    "is_latest",
    "is_delete_marker",
    "previous_size",
    "previous_etag",
    "previous_last_modified",
    "previous_storage_class",
    "previous_is_latest",
    "previous_is_delete_marker",
];

/// The name of a column without telling its side.
fn bare(name: &str) -> &str {
    name.strip_prefix("previous_").unwrap_or(name)
}

impl ChangeColumns {
    /// Their names, in their order.
    pub fn names(self) -> Vec<&'static str> {
        let only_versions = |name: &str| matches!(bare(name), "version_id" | "is_latest" | "is_delete_marker");
        NAMES.into_iter().filter(|name| self == Self::Versions || !only_versions(name)).collect()
    }

    /// Their types.
    pub fn schema(self) -> SchemaRef {
        let field = |name: &'static str| match bare(name) {
            "key" => Field::new(name, DataType::Binary, false),
            "change" => Field::new(name, DataType::Utf8, false),
            "size" => Field::new(name, DataType::Int64, true),
            "last_modified" => Field::new(name, time_type(), true),
            "is_latest" | "is_delete_marker" => Field::new(name, DataType::Boolean, true),
            _ => Field::new(name, DataType::Utf8, true),
        };
        Arc::new(Schema::new(self.names().into_iter().map(field).collect::<Vec<_>>()))
    }

    /// Changes that own nothing as a record batch: of each its class, the entry as it is
    /// now, and the entry as it was.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for a change without an entry on either side, and for a
    /// size of more than 63 bits.
    pub fn record_batch<'a>(
        self,
        changes: impl IntoIterator<Item = (ChangeClass, Option<EntryRef<'a>>, Option<EntryRef<'a>>)>,
    ) -> Result<RecordBatch> {
        let (mut keys, mut versions, mut classes) = (BinaryBuilder::new(), StringBuilder::new(), StringBuilder::new());
        let (mut current, mut previous) = (SideColumns::default(), SideColumns::default());
        for (class, now, before) in changes {
            let entry = now.or(before).ok_or_else(|| Error::invalid("a change without an entry on either side"))?;
            keys.append_value(entry.key);
            versions.append_option(entry.version);
            classes.append_value(class.as_str());
            current.push(now.as_ref())?;
            previous.push(before.as_ref())?;
        }
        let mut arrays: Vec<ArrayRef> =
            vec![Arc::new(keys.finish()), Arc::new(versions.finish()), Arc::new(classes.finish())];
        arrays.extend(current.finish());
        arrays.extend(previous.finish());
        let names = self.names();
        let chosen = NAMES.into_iter().zip(arrays).filter(|(name, _)| names.contains(name));
        RecordBatch::try_new(self.schema(), chosen.map(|(_, array)| array).collect()).map_err(unfit)
    }
}

/// The [columns of objects](ChangeColumns::Objects).
pub fn change_schema() -> SchemaRef {
    ChangeColumns::Objects.schema()
}

/// Changes as a record batch with the columns of [`change_schema`].
///
/// # Errors
/// As [`change_refs_to_record_batch`].
pub fn changes_to_record_batch(changes: &[Change]) -> Result<RecordBatch> {
    change_refs_to_record_batch(changes.iter().map(as_refs))
}

/// Changes that own nothing as a record batch with the columns of [`change_schema`].
///
/// # Errors
/// As [`ChangeColumns::record_batch`].
pub fn change_refs_to_record_batch<'a>(
    changes: impl IntoIterator<Item = (ChangeClass, Option<EntryRef<'a>>, Option<EntryRef<'a>>)>,
) -> Result<RecordBatch> {
    ChangeColumns::Objects.record_batch(changes)
}

/// A change without what it owns.
pub(crate) fn as_refs(change: &Change) -> (ChangeClass, Option<EntryRef<'_>>, Option<EntryRef<'_>>) {
    let Change { class, current, previous } = change;
    (*class, current.as_ref().map(Entry::as_ref), previous.as_ref().map(Entry::as_ref))
}

/// The columns of one side of changes.
#[derive(Default)]
struct SideColumns {
    sizes: Int64Builder,
    etags: StringBuilder,
    times: TimestampMillisecondBuilder,
    classes: StringBuilder,
    latest: BooleanBuilder,
    delete_markers: BooleanBuilder,
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
        self.latest.append_option(entry.map(|entry| entry.flags.is_latest()));
        self.delete_markers.append_option(entry.map(|entry| entry.flags.is_delete_marker()));
        Ok(())
    }

    fn finish(mut self) -> [ArrayRef; 6] {
        let times: TimestampMillisecondArray = self.times.finish();
        [
            Arc::new(self.sizes.finish()),
            Arc::new(self.etags.finish()),
            Arc::new(times.with_timezone("UTC")),
            Arc::new(self.classes.finish()),
            Arc::new(self.latest.finish()),
            Arc::new(self.delete_markers.finish()),
        ]
    }
}

/// The storage class, where it is known.
pub(crate) fn class(entry: &Entry) -> Option<&str> {
    Some(entry.class.as_str()).filter(|class| !class.is_empty())
}
