//! Parquet data files of GCS and Azure, with the names that their CSV files have.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Int64Builder, RecordBatch, StringArray, StringBuilder,
    TimestampMillisecondBuilder,
};
use arrow::datatypes::Schema;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use super::clouds::headed_columns;
use super::headed::{content_md5, generation, is_past};
use super::{FileEncoder, InventorySpec, ReportRow};

pub(super) struct ParquetEncoder {
    bucket: String,
    columns: Vec<(&'static str, Column)>,
}

/// The values of a column so far.
enum Column {
    Keys(BinaryBuilder, bool),
    Text(StringBuilder),
    Number(Int64Builder),
    Time(TimestampMillisecondBuilder),
    Truth(BooleanBuilder),
}

impl ParquetEncoder {
    pub(super) fn new(spec: &InventorySpec) -> Self {
        let column = |name: &'static str| match name {
            "name" | "Name" => Column::Keys(BinaryBuilder::new(), spec.utf8_keys),
            "size" | "Content-Length" | "generation" => Column::Number(Int64Builder::new()),
            "updated" | "Last-Modified" | "timeDeleted" => Column::Time(TimestampMillisecondBuilder::new()),
            "IsCurrentVersion" | "Deleted" | "hdi_isfolder" => Column::Truth(BooleanBuilder::new()),
            _ => Column::Text(StringBuilder::new()),
        };
        let columns = headed_columns(spec).into_iter().map(|(name, _)| (name, column(name))).collect();
        Self { bucket: spec.source_bucket.clone(), columns }
    }
}

impl FileEncoder for ParquetEncoder {
    fn push(&mut self, row: &ReportRow<'_>) {
        let entry = &row.entry;
        for (name, column) in &mut self.columns {
            match column {
                Column::Keys(keys, _) if *name == "Name" => {
                    keys.append_value([self.bucket.as_bytes(), b"/", entry.key].concat());
                }
                Column::Keys(keys, _) => keys.append_value(entry.key),
                Column::Number(numbers) if *name == "generation" => numbers.append_value(generation(row)),
                Column::Number(numbers) => numbers.append_value(entry.size as i64),
                Column::Time(times) if *name == "timeDeleted" => times.append_option(is_past(row).then_some(1)),
                Column::Time(times) => times.append_value(entry.last_modified.as_millis()),
                Column::Truth(truths) => truths.append_option(match *name {
                    "IsCurrentVersion" => Some(row.is_latest),
                    "Deleted" => row.is_delete_marker.then_some(true),
                    _ => None,
                }),
                Column::Text(texts) => texts.append_option(match *name {
                    "bucket" => Some(self.bucket.clone()),
                    "etag" | "Etag" => entry.etag.to_etag().map(|tag| tag.to_string()),
                    "storageClass" | "AccessTier" => Some(entry.class.to_owned()),
                    "VersionId" => Some(row.version.to_owned()),
                    "md5Hash" | "Content-MD5" => Some(content_md5(row)),
                    _ => None,
                }),
            }
        }
    }

    fn finish(&mut self) -> Vec<u8> {
        let columns = std::mem::take(&mut self.columns).into_iter();
        let columns = columns.map(|(name, column)| (name, column.finish(), true));
        let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let schema: Arc<Schema> = batch.schema();
        let mut writer = ArrowWriter::try_new(Vec::new(), schema, Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.into_inner().unwrap()
    }
}

impl Column {
    fn finish(self) -> ArrayRef {
        match self {
            Self::Keys(mut keys, true) => Arc::new(StringArray::try_from_binary(keys.finish()).unwrap()),
            Self::Keys(mut keys, false) => Arc::new(keys.finish()),
            Self::Text(mut texts) => Arc::new(texts.finish()),
            Self::Number(mut numbers) => Arc::new(numbers.finish()),
            Self::Time(mut times) => Arc::new(times.finish().with_timezone("UTC")),
            Self::Truth(mut truths) => Arc::new(truths.finish()),
        }
    }
}
