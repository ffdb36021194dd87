//! Rows of ORC data files, shaped as Amazon S3 does.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use orc_rust::ArrowWriterBuilder;
use orc_rust::compression::CompressionType;

use super::parquet::{COLUMNS, Rows};
use super::{FileEncoder, InventorySpec, ReportRow};

/// The `fileSchema` of a manifest.
pub(super) fn struct_type(spec: &InventorySpec) -> String {
    let columns = spec.columns();
    let kind = |column: &str| match column {
        "Size" => "bigint",
        "LastModifiedDate" => "timestamp",
        "IsLatest" | "IsDeleteMarker" | "IsMultipartUploaded" => "boolean",
        _ => "string",
    };
    let fields = COLUMNS.iter().filter(|(name, ..)| columns.contains(name));
    let fields: Vec<_> = fields.map(|(name, column, _)| format!("{column}:{}", kind(name))).collect();
    format!("struct<{}>", fields.join(","))
}

/// Holds all rows of a file.
pub(super) struct OrcEncoder {
    bucket: String,
    columns: Vec<&'static str>,
    rows: Rows,
}

impl OrcEncoder {
    pub(super) fn new(spec: &InventorySpec) -> Self {
        Self { bucket: spec.source_bucket.clone(), columns: spec.columns(), rows: Rows::default() }
    }
}

impl FileEncoder for OrcEncoder {
    fn push(&mut self, row: &ReportRow<'_>) {
        self.rows.push(row, &self.bucket);
    }

    fn finish(&mut self) -> Vec<u8> {
        let columns = COLUMNS.iter().zip(std::mem::take(&mut self.rows).into_columns(true));
        let chosen = columns.filter(|((name, ..), _)| self.columns.contains(name));
        let (fields, arrays): (Vec<_>, Vec<_>) = chosen
            .map(|((_, column, _), array)| {
                let array = without_zone(array);
                (Field::new(*column, array.data_type().clone(), true), array)
            })
            .unzip();
        let schema = Arc::new(Schema::new(fields));
        let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).unwrap();
        let mut bytes = Vec::new();
        let writer = ArrowWriterBuilder::new(&mut bytes, schema).with_compression(CompressionType::Zlib);
        let mut writer = writer.try_build().unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        bytes
    }
}

/// A timestamp of ORC has no zone, and none is in milliseconds.
fn without_zone(array: ArrayRef) -> ArrayRef {
    match array.data_type() {
        DataType::Timestamp(..) => cast(&array, &DataType::Timestamp(TimeUnit::Microsecond, None)).unwrap(),
        _ => array,
    }
}
