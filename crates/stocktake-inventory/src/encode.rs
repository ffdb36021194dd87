//! Data files of an inventory, as Amazon S3 writes them.

use std::io::Write;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use flate2::Compression as GzipLevel;
use flate2::write::GzEncoder;
use parquet::basic::Compression;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::parser::parse_message_type;
use stocktake_core::{EntryBatch, EntryFlags, EntryRef, Error, InventoryFormat, Result};

use crate::text::encode_key;

/// The schema of the CSV files, in S3's order.
pub(crate) const CSV_SCHEMA: &str =
    "Bucket, Key, Size, LastModifiedDate, ETag, StorageClass, IsMultipartUploaded, EncryptionStatus";

/// The schema of the Parquet files (AWS, "Locating your inventory list").
pub(crate) const PARQUET_SCHEMA: &str = "message s3.inventory { required binary bucket (UTF8); \
    required binary key (UTF8); optional int64 size; optional int64 last_modified_date (TIMESTAMP_MILLIS); \
    optional binary e_tag (UTF8); optional binary storage_class (UTF8); optional boolean is_multipart_uploaded; \
    optional binary encryption_status (UTF8); }";

/// Rows of a row group.
const GROUP_ROWS: usize = 1 << 17;

/// Said of an object whose ETag is the MD5 of its content; of others it is not known how they are encrypted.
const NOT_ENCRYPTED: &str = "NOT-SSE";

/// One data file being written, in memory.
pub(crate) enum FileEncoder {
    Csv(CsvEncoder),
    Parquet(ParquetEncoder),
}

impl FileEncoder {
    /// Begins a file.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for a format that is not written.
    pub(crate) fn new(format: InventoryFormat, bucket: &str) -> Result<Self> {
        match format {
            InventoryFormat::Csv => Ok(Self::Csv(CsvEncoder::new(bucket))),
            InventoryFormat::Parquet => ParquetEncoder::new(bucket).map(Self::Parquet).map_err(unwritable),
            other => Err(Error::invalid(format!("inventories are not written as {other}"))),
        }
    }

    /// Appends some rows of a batch.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for a size that the formats can't hold.
    pub(crate) fn push(&mut self, batch: &EntryBatch, rows: Range<usize>) -> Result<()> {
        if let Some(size) = batch.columns().sizes[rows.clone()].iter().find(|size| i64::try_from(**size).is_err()) {
            return Err(Error::invalid(format!("no inventory can hold an object of {size} bytes")));
        }
        match self {
            Self::Csv(encoder) => rows.map(|row| batch.get(row)).try_for_each(|entry| encoder.push(&entry)),
            Self::Parquet(encoder) => encoder.push(batch, rows).map_err(unwritable),
        }
    }

    /// The file's bytes.
    pub(crate) fn finish(self) -> Result<Vec<u8>> {
        match self {
            Self::Csv(encoder) => encoder.file.finish().map_err(unwritable),
            Self::Parquet(encoder) => encoder.finish().map_err(unwritable),
        }
    }
}

/// A file in memory can't fail to be written but by a contradiction in what is asked.
fn unwritable(error: impl std::fmt::Display) -> Error {
    Error::invalid(format!("a data file can't be encoded: {error}"))
}

/// Rows with every field quoted, in gzip.
pub(crate) struct CsvEncoder {
    bucket: String,
    row: Vec<u8>,
    file: GzEncoder<Vec<u8>>,
}

impl CsvEncoder {
    fn new(bucket: &str) -> Self {
        let file = GzEncoder::new(Vec::new(), GzipLevel::default());
        Self { bucket: bucket.to_owned(), row: Vec::new(), file }
    }

    fn push(&mut self, entry: &EntryRef<'_>) -> Result<()> {
        let row = &mut self.row;
        row.clear();
        row.push(b'"');
        push_text(self.bucket.as_bytes(), row);
        row.extend_from_slice(b"\",\"");
        encode_key(entry.key, row);
        write!(row, "\",\"{}\",\"{}\",\"", entry.size, entry.last_modified).map_err(unwritable)?;
        if let Some(etag) = entry.etag.to_etag() {
            push_text(etag.as_str().as_bytes(), row);
        }
        row.extend_from_slice(b"\",\"");
        push_text(entry.class.as_bytes(), row);
        let multipart = entry.flags.has(EntryFlags::MULTIPART);
        let encryption = if entry.flags.has(EntryFlags::ETAG_IS_MD5) { NOT_ENCRYPTED } else { "" };
        writeln!(row, "\",\"{multipart}\",\"{encryption}\"").map_err(unwritable)?;
        self.file.write_all(row).map_err(unwritable)
    }
}

/// Appends a text with its quotes doubled.
pub(crate) fn push_text(text: &[u8], row: &mut Vec<u8>) {
    for byte in text {
        row.extend(std::iter::repeat_n(*byte, 1 + usize::from(*byte == b'"')));
    }
}

/// Row groups of plain columns, in Snappy.
pub(crate) struct ParquetEncoder {
    bucket: ByteArray,
    writer: SerializedFileWriter<Vec<u8>>,
    /// Rows of the group being gathered.
    pending: Vec<(EntryBatch, Range<usize>)>,
    pending_rows: usize,
}

type Parquet<T> = std::result::Result<T, ParquetError>;

impl ParquetEncoder {
    fn new(bucket: &str) -> Parquet<Self> {
        let schema = Arc::new(parse_message_type(PARQUET_SCHEMA)?);
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties))?;
        Ok(Self { bucket: bucket.into(), writer, pending: Vec::new(), pending_rows: 0 })
    }

    fn push(&mut self, batch: &EntryBatch, rows: Range<usize>) -> Parquet<()> {
        self.pending_rows += rows.len();
        self.pending.push((batch.clone(), rows));
        if self.pending_rows >= GROUP_ROWS { self.write_group() } else { Ok(()) }
    }

    fn finish(mut self) -> Parquet<Vec<u8>> {
        if self.pending_rows > 0 {
            self.write_group()?;
        }
        self.writer.into_inner()
    }

    fn write_group(&mut self) -> Parquet<()> {
        let pending = std::mem::take(&mut self.pending);
        self.pending_rows = 0;
        let mut group = self.writer.next_row_group()?;
        let mut index = 0;
        while let Some(mut column) = group.next_column()? {
            for (batch, rows) in &pending {
                write_column(index, &mut column, batch, rows.clone(), &self.bucket)?;
            }
            column.close()?;
            index += 1;
        }
        group.close()?;
        Ok(())
    }
}

/// Writes rows of the column at `index` of the schema.
fn write_column(
    index: usize,
    column: &mut SerializedColumnWriter<'_>,
    batch: &EntryBatch,
    rows: Range<usize>,
    bucket: &ByteArray,
) -> Parquet<()> {
    let entries = rows.clone().map(|row| batch.get(row));
    let columns = batch.columns();
    match index {
        0 => write_required(column, vec![bucket.clone(); rows.len()]),
        1 => {
            let arena = Bytes::copy_from_slice(columns.keys.data());
            let ends = columns.keys.ends();
            let start = |row: usize| if row == 0 { 0 } else { ends[row - 1] as usize };
            write_required(
                column,
                rows.map(|row| ByteArray::from(arena.slice(start(row)..ends[row] as usize))).collect(),
            )
        }
        2 => {
            // `FileEncoder::push` has refused sizes beyond 63 bits.
            let sizes: Vec<_> = columns.sizes[rows].iter().map(|size| size.cast_signed()).collect();
            column.typed::<Int64Type>().write_batch(&sizes, Some(&vec![1; sizes.len()]), None).map(drop)
        }
        3 => {
            let times = &columns.last_modified[rows];
            column.typed::<Int64Type>().write_batch(times, Some(&vec![1; times.len()]), None).map(drop)
        }
        4 => write_optional(column, entries.map(|entry| entry.etag.to_etag().map(|etag| etag.as_str().into()))),
        5 => write_optional(column, entries.map(|entry| (!entry.class.is_empty()).then(|| entry.class.into()))),
        6 => {
            let multipart: Vec<_> = entries.map(|entry| entry.flags.has(EntryFlags::MULTIPART)).collect();
            column.typed::<BoolType>().write_batch(&multipart, Some(&vec![1; multipart.len()]), None).map(drop)
        }
        _ => write_optional(
            column,
            entries.map(|entry| entry.flags.has(EntryFlags::ETAG_IS_MD5).then(|| NOT_ENCRYPTED.into())),
        ),
    }
}

fn write_required(column: &mut SerializedColumnWriter<'_>, values: Vec<ByteArray>) -> Parquet<()> {
    column.typed::<ByteArrayType>().write_batch(&values, None, None).map(drop)
}

fn write_optional(
    column: &mut SerializedColumnWriter<'_>,
    values: impl Iterator<Item = Option<ByteArray>>,
) -> Parquet<()> {
    let values: Vec<_> = values.collect();
    let levels: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
    let present: Vec<_> = values.into_iter().flatten().collect();
    column.typed::<ByteArrayType>().write_batch(&present, Some(&levels), None).map(drop)
}
