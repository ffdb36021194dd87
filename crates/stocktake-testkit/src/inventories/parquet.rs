//! Rows of Parquet data files, shaped as Amazon S3 does.

use std::sync::Arc;

use arrow::array::TimestampMillisecondBuilder;
use arrow::array::{ArrayRef, BinaryBuilder, BooleanBuilder, Int64Builder, RecordBatch, StringArray, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use stocktake_core::EntryFlags;

use super::csv::encryption;
use super::{FileEncoder, InventorySpec, ReportRow};

const BATCH_ROWS: usize = 8192;

/// The names that columns have in Parquet, and how the manifest spells their types: as delivered, not as documented.
pub(super) const COLUMNS: [(&str, &str, &str); 11] = [
    ("Bucket", "bucket", "required binary bucket (STRING)"),
    ("Key", "key", "required binary key (STRING)"),
    ("VersionId", "version_id", "optional binary version_id (STRING)"),
    ("IsLatest", "is_latest", "optional boolean is_latest"),
    ("IsDeleteMarker", "is_delete_marker", "optional boolean is_delete_marker"),
    ("Size", "size", "optional int64 size"),
    ("LastModifiedDate", "last_modified_date", "optional int64 last_modified_date (TIMESTAMP(MILLIS,true))"),
    ("ETag", "e_tag", "optional binary e_tag (STRING)"),
    ("StorageClass", "storage_class", "optional binary storage_class (STRING)"),
    ("IsMultipartUploaded", "is_multipart_uploaded", "optional boolean is_multipart_uploaded"),
    ("EncryptionStatus", "encryption_status", "optional binary encryption_status (STRING)"),
];

/// The `fileSchema` of a manifest.
pub(super) fn message_type(spec: &InventorySpec) -> String {
    let columns = spec.columns();
    let fields: String =
        COLUMNS.iter().filter(|(name, ..)| columns.contains(name)).map(|(.., text)| format!("  {text};")).collect();
    format!("message s3.inventory {{{fields}}}")
}

pub(super) struct ParquetEncoder {
    bucket: String,
    columns: Vec<&'static str>,
    utf8_keys: bool,
    schema: Arc<Schema>,
    rows: Rows,
    writer: Option<ArrowWriter<Vec<u8>>>,
}

#[derive(Default)]
pub(super) struct Rows {
    pub(super) count: usize,
    bucket: StringBuilder,
    key: BinaryBuilder,
    version: StringBuilder,
    is_latest: BooleanBuilder,
    is_delete_marker: BooleanBuilder,
    size: Int64Builder,
    last_modified: TimestampMillisecondBuilder,
    etag: StringBuilder,
    class: StringBuilder,
    multipart: BooleanBuilder,
    encryption: StringBuilder,
}

impl ParquetEncoder {
    pub(super) fn new(spec: &InventorySpec) -> Self {
        let columns = spec.columns();
        let fields: Vec<_> = COLUMNS
            .iter()
            .filter(|(name, ..)| columns.contains(name))
            .map(|(name, column, text)| {
                Field::new(*column, data_type(name, spec.utf8_keys), !text.starts_with("required"))
            })
            .collect();
        let schema = Arc::new(Schema::new(fields));
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&schema), Some(properties)).unwrap();
        Self {
            bucket: spec.source_bucket.clone(),
            columns,
            utf8_keys: spec.utf8_keys,
            schema,
            rows: Rows::default(),
            writer: Some(writer),
        }
    }

    fn flush(&mut self) {
        let rows = std::mem::take(&mut self.rows);
        let columns = rows.into_columns(self.utf8_keys);
        let wanted: Vec<ArrayRef> = COLUMNS
            .iter()
            .zip(columns)
            .filter_map(|((name, ..), column)| self.columns.contains(name).then_some(column))
            .collect();
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), wanted).unwrap();
        self.writer.as_mut().unwrap().write(&batch).unwrap();
    }
}

fn data_type(column: &str, utf8_keys: bool) -> DataType {
    match column {
        "Key" if !utf8_keys => DataType::Binary,
        "IsLatest" | "IsDeleteMarker" | "IsMultipartUploaded" => DataType::Boolean,
        "Size" => DataType::Int64,
        "LastModifiedDate" => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
        _ => DataType::Utf8,
    }
}

impl Rows {
    pub(super) fn push(&mut self, row: &ReportRow<'_>, bucket: &str) {
        let entry = &row.entry;
        let live = !row.is_delete_marker;
        let etag = entry.etag.to_etag();
        self.count += 1;
        self.bucket.append_value(bucket);
        self.key.append_value(entry.key);
        // Nulls, not empty texts, mark what is missing in columnar formats.
        self.version.append_option((!row.version.is_empty()).then_some(row.version));
        self.is_latest.append_value(row.is_latest);
        self.is_delete_marker.append_value(row.is_delete_marker);
        self.size.append_option(live.then_some(entry.size as i64));
        self.last_modified.append_value(entry.last_modified.as_millis());
        self.etag.append_option(etag.as_ref().filter(|_| live).map(|etag| etag.as_str()));
        self.class.append_option((live && !entry.class.is_empty()).then_some(entry.class));
        self.multipart.append_option(live.then_some(entry.flags.has(EntryFlags::MULTIPART)));
        self.encryption.append_option(live.then(|| encryption(entry.flags.has(EntryFlags::ETAG_IS_MD5), false)));
    }

    /// The columns in the order of [`COLUMNS`].
    pub(super) fn into_columns(mut self, utf8_keys: bool) -> [ArrayRef; 11] {
        let keys = self.key.finish();
        [
            Arc::new(self.bucket.finish()),
            if utf8_keys { Arc::new(StringArray::try_from_binary(keys).unwrap()) } else { Arc::new(keys) },
            Arc::new(self.version.finish()),
            Arc::new(self.is_latest.finish()),
            Arc::new(self.is_delete_marker.finish()),
            Arc::new(self.size.finish()),
            Arc::new(self.last_modified.finish().with_timezone("UTC")),
            Arc::new(self.etag.finish()),
            Arc::new(self.class.finish()),
            Arc::new(self.multipart.finish()),
            Arc::new(self.encryption.finish()),
        ]
    }
}

impl FileEncoder for ParquetEncoder {
    fn push(&mut self, row: &ReportRow<'_>) {
        self.rows.push(row, &self.bucket);
        if self.rows.count == BATCH_ROWS {
            self.flush();
        }
    }

    fn finish(&mut self) -> Vec<u8> {
        self.flush();
        self.writer.take().unwrap().into_inner().unwrap()
    }
}
