//! Change sets as files: Parquet, JSON Lines, CSV.
//!
//! One row a change, with the columns of both sides; where there is no such
//! side, they are null. A key is raw bytes in Parquet. JSON holds text only, so a
//! key that is no text stands in `key_base64` there; CSV has it percent-encoded.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use stocktake_core::{Change, ETag, Entry, Error, Result};

use crate::arrow::{text, time_type, unfit};
use crate::encode::push_text;
use crate::text::percent_encode;

/// How a change set is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// Apache Parquet.
    Parquet,
    /// One JSON object a line.
    JsonLines,
    /// CSV with a header row.
    Csv,
}

impl ExportFormat {
    /// The format that a file's name asks for: `.parquet`, `.jsonl` or `.csv`.
    pub fn of_path(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "parquet" => Some(Self::Parquet),
            "jsonl" => Some(Self::JsonLines),
            "csv" => Some(Self::Csv),
            _ => None,
        }
    }
}

const COLUMNS: [&str; 10] = [
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
fn class(entry: &Entry) -> Option<&str> {
    Some(entry.class.as_str()).filter(|class| !class.is_empty())
}

/// Writes a change set to a file, some changes at a time.
///
/// Holds what was given to one call, and for Parquet a row group of at most
/// 131,072 rows in its encoded form. Blocks while it writes.
pub struct ChangeWriter<W: Write + Send> {
    sink: Sink<W>,
}

enum Sink<W: Write + Send> {
    Parquet(Box<ArrowWriter<W>>),
    JsonLines(W, Vec<u8>),
    Csv(W, Vec<u8>),
}

const GROUP_ROWS: usize = 1 << 17;

impl<W: Write + Send> ChangeWriter<W> {
    /// Begins a change set; wrap `out` in a `BufWriter` if it is a file.
    ///
    /// # Errors
    /// [`Error::LocalStorage`] when `out` fails, as for all methods.
    pub fn new(format: ExportFormat, out: W) -> Result<Self> {
        let mut out = out;
        let sink = match format {
            ExportFormat::Parquet => {
                let properties = WriterProperties::builder()
                    .set_compression(Compression::ZSTD(ZstdLevel::default()))
                    .set_max_row_group_row_count(Some(GROUP_ROWS));
                let writer = ArrowWriter::try_new(out, change_schema(), Some(properties.build()));
                Sink::Parquet(Box::new(writer.map_err(io::Error::other).map_err(failed)?))
            }
            ExportFormat::JsonLines => Sink::JsonLines(out, Vec::new()),
            ExportFormat::Csv => {
                writeln!(out, "{}", COLUMNS.join(",")).map_err(failed)?;
                Sink::Csv(out, Vec::new())
            }
        };
        Ok(Self { sink })
    }

    /// Appends changes.
    ///
    /// # Errors
    /// As [`new`](Self::new); [`Error::InvalidInput`] for a size of more than 63 bits in Parquet.
    pub fn write(&mut self, changes: &[Change]) -> Result<()> {
        match &mut self.sink {
            Sink::Parquet(writer) => {
                let batch = changes_to_record_batch(changes)?;
                writer.write(&batch).map_err(io::Error::other).map_err(failed)
            }
            Sink::JsonLines(out, text) => {
                text.clear();
                changes.iter().for_each(|change| push_json(change, text));
                out.write_all(text).map_err(failed)
            }
            Sink::Csv(out, text) => {
                text.clear();
                changes.iter().for_each(|change| push_csv(change, text));
                out.write_all(text).map_err(failed)
            }
        }
    }

    /// Ends the change set, and gives back what it was written to, flushed.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn finish(self) -> Result<W> {
        let mut out = match self.sink {
            Sink::Parquet(writer) => writer.into_inner().map_err(io::Error::other).map_err(failed)?,
            Sink::JsonLines(out, _) | Sink::Csv(out, _) => out,
        };
        out.flush().map_err(failed)?;
        Ok(out)
    }
}

fn failed(error: io::Error) -> Error {
    Error::local("write", "the change set")(error)
}

/// The members of a change in JSON, in the order of the columns.
///
/// `key` where it is UTF-8, otherwise `key_base64`; null where there is no such side.
pub fn change_to_json(change: &Change) -> serde_json::Map<String, serde_json::Value> {
    let mut row = serde_json::Map::new();
    let key = &change.entry().key;
    match key.as_str() {
        Some(text) => row.insert("key".into(), text.into()),
        None => row.insert("key_base64".into(), base64(key.as_bytes()).into()),
    };
    row.insert("change".into(), change.class.as_str().into());
    for (prefix, side) in [("", &change.current), ("previous_", &change.previous)] {
        let side = side.as_ref();
        let mut put = |name: &str, value: serde_json::Value| row.insert(format!("{prefix}{name}"), value);
        put("size", side.map(|entry| entry.size).into());
        put("etag", side.and_then(|entry| entry.etag.as_ref()).map(ETag::as_str).into());
        put("last_modified", side.map(|entry| entry.last_modified.to_string()).into());
        put("storage_class", side.and_then(class).into());
    }
    row
}

fn push_json(change: &Change, out: &mut Vec<u8>) {
    serde_json::to_writer(&mut *out, &change_to_json(change)).expect("a map of texts and numbers is valid JSON");
    out.push(b'\n');
}

fn push_csv(change: &Change, out: &mut Vec<u8>) {
    percent_encode(change.entry().key.as_bytes(), out);
    out.push(b',');
    out.extend_from_slice(change.class.as_str().as_bytes());
    for side in [&change.current, &change.previous] {
        let side = side.as_ref();
        push_field(side.map(|entry| entry.size.to_string()).as_deref(), out);
        push_field(side.and_then(|entry| entry.etag.as_ref()).map(ETag::as_str), out);
        push_field(side.map(|entry| entry.last_modified.to_string()).as_deref(), out);
        push_field(side.and_then(class), out);
    }
    out.push(b'\n');
}

/// Appends a field, quoted if it must be; nothing for a null.
fn push_field(text: Option<&str>, out: &mut Vec<u8>) {
    out.push(b',');
    let Some(text) = text else { return };
    if text.contains(['"', ',', '\n', '\r']) {
        out.push(b'"');
        push_text(text.as_bytes(), out);
        out.push(b'"');
    } else {
        out.extend_from_slice(text.as_bytes());
    }
}

/// Base64 with padding (RFC 4648).
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place)) as usize & 63];
            text.push(if place <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use stocktake_core::{ChangeClass, Timestamp};

    fn changes() -> Vec<Change> {
        let time = Timestamp::from_millis(1_772_326_800_000);
        let entry = |key: &[u8], size| Entry::new(key, size, time);
        let tagged = entry(b"b c", 4).with_etag("odd,\"tag\"").with_class("STANDARD");
        vec![
            Change { class: ChangeClass::Added, current: Some(entry("é".as_bytes(), 3)), previous: None },
            Change { class: ChangeClass::Changed, current: Some(tagged.clone()), previous: Some(entry(b"b c", 3)) },
            Change {
                class: ChangeClass::Deleted,
                current: None,
                previous: Some(Entry { key: b"\xff"[..].into(), ..tagged }),
            },
        ]
    }

    fn written(format: ExportFormat) -> Vec<u8> {
        let mut writer = ChangeWriter::new(format, Vec::new()).unwrap();
        changes().chunks(2).for_each(|some| writer.write(some).unwrap());
        writer.finish().unwrap()
    }

    #[test]
    fn json_lines_have_the_documented_members() {
        let text = String::from_utf8(written(ExportFormat::JsonLines)).unwrap();
        let rows: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((&rows[0]["key"], &rows[0]["change"]), (&"é".into(), &"added".into()));
        assert_eq!((rows[0]["size"].as_u64(), rows[0]["previous_size"].as_u64()), (Some(3), None));
        assert!(rows[0].as_object().unwrap().contains_key("previous_etag"));
        assert_eq!(rows[1]["last_modified"], "2026-03-01T01:00:00.000Z");
        assert_eq!((&rows[1]["etag"], &rows[1]["previous_etag"]), (&"odd,\"tag\"".into(), &serde_json::Value::Null));
        assert_eq!((rows[2].get("key"), &rows[2]["key_base64"]), (None, &"/w==".into()));
        assert_eq!(
            (&rows[2]["size"], &rows[2]["previous_storage_class"]),
            (&serde_json::Value::Null, &"STANDARD".into())
        );
    }

    #[test]
    fn csv_has_a_header_and_encoded_keys() {
        let text = String::from_utf8(written(ExportFormat::Csv)).unwrap();
        let expected = "key,change,size,etag,last_modified,storage_class,previous_size,previous_etag,previous_last_modified,previous_storage_class\n\
            %C3%A9,added,3,,2026-03-01T01:00:00.000Z,,,,,\n\
            b%20c,changed,4,\"odd,\"\"tag\"\"\",2026-03-01T01:00:00.000Z,STANDARD,3,,2026-03-01T01:00:00.000Z,\n\
            %FF,deleted,,,,,4,\"odd,\"\"tag\"\"\",2026-03-01T01:00:00.000Z,STANDARD\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn parquet_holds_keys_as_bytes_and_nulls_for_missing_sides() {
        use arrow::array::{Array, AsArray};
        let file = bytes::Bytes::from(written(ExportFormat::Parquet));
        let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(file, 100).unwrap();
        let batches: Vec<_> = reader.map(|batch| batch.unwrap()).collect();
        let read = arrow::compute::concat_batches(&change_schema(), &batches).unwrap();
        assert_eq!(read, changes_to_record_batch(&changes()).unwrap());
        assert_eq!(read.column(0).as_binary::<i32>().value(2), b"\xff");
        assert!(read.column(2).is_null(2) && read.column(6).is_null(0) && !read.column(6).is_null(2));
    }

    #[test]
    fn an_empty_change_set_is_a_file_all_the_same() {
        for format in [ExportFormat::Parquet, ExportFormat::JsonLines, ExportFormat::Csv] {
            let bytes = ChangeWriter::new(format, Vec::new()).unwrap().finish().unwrap();
            assert_eq!(bytes.is_empty(), format == ExportFormat::JsonLines);
        }
    }

    #[test]
    fn formats_are_told_by_the_ending() {
        assert_eq!(ExportFormat::of_path(Path::new("a/b.parquet")), Some(ExportFormat::Parquet));
        assert_eq!(ExportFormat::of_path(Path::new("b.jsonl")), Some(ExportFormat::JsonLines));
        assert_eq!(ExportFormat::of_path(Path::new("b.csv")), Some(ExportFormat::Csv));
        assert_eq!(ExportFormat::of_path(Path::new("csv")), None);
    }

    #[test]
    fn base64_is_padded() {
        let cases = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")];
        for (plain, encoded) in cases {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }
}
