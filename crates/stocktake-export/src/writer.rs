//! Change sets as files: Parquet, JSON Lines, CSV.
//!
//! One row a change, with the columns of both sides; where there is no such
//! side, they are null. A key is raw bytes in Parquet. JSON holds text only, so a
//! key that is no text stands in `key_base64` there; CSV has it percent-encoded.

use std::io::{self, Write};
use std::path::Path;

use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use stocktake_core::{Change, Error, Result};

use crate::changes::{ChangeColumns, as_refs};

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

/// Writes a change set to a file, some changes at a time.
///
/// Holds what was given to one call, and for Parquet a row group of at most
/// 131,072 rows in its encoded form. Blocks while it writes.
pub struct ChangeWriter<W: Write + Send> {
    columns: ChangeColumns,
    sink: Sink<W>,
}

enum Sink<W: Write + Send> {
    Parquet(Box<ArrowWriter<W>>),
    JsonLines(W),
    Csv(Box<csv::Writer<W>>),
}

const GROUP_ROWS: usize = 1 << 17;

impl<W: Write + Send> ChangeWriter<W> {
    /// Begins a set of changes of objects; wrap `out` in a `BufWriter` if it is a file.
    ///
    /// # Errors
    /// [`Error::LocalStorage`] when `out` fails, as for all methods.
    pub fn new(format: ExportFormat, out: W) -> Result<Self> {
        Self::with_columns(format, ChangeColumns::Objects, out)
    }

    /// Begins a change set with these columns.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_columns(format: ExportFormat, columns: ChangeColumns, out: W) -> Result<Self> {
        let sink = match format {
            ExportFormat::Parquet => {
                let properties = WriterProperties::builder()
                    .set_compression(Compression::ZSTD(ZstdLevel::default()))
                    .set_max_row_group_row_count(Some(GROUP_ROWS));
                let writer = ArrowWriter::try_new(out, columns.schema(), Some(properties.build()));
                Sink::Parquet(Box::new(writer.map_err(io::Error::other).map_err(failed)?))
            }
            ExportFormat::JsonLines => Sink::JsonLines(out),
            ExportFormat::Csv => {
                let mut writer = csv::Writer::from_writer(out);
                writer.write_record(columns.names()).map_err(io::Error::other).map_err(failed)?;
                Sink::Csv(Box::new(writer))
            }
        };
        Ok(Self { columns, sink })
    }

    /// Appends changes.
    ///
    /// # Errors
    /// As [`new`](Self::new); [`Error::InvalidInput`] for a size of more than 63 bits in Parquet.
    pub fn write(&mut self, changes: &[Change]) -> Result<()> {
        let columns = self.columns;
        match &mut self.sink {
            Sink::Parquet(writer) => {
                let batch = columns.record_batch(changes.iter().map(as_refs))?;
                writer.write(&batch).map_err(io::Error::other)
            }
            Sink::JsonLines(out) => changes.iter().try_for_each(|change| {
                serde_json::to_writer(&mut *out, &columns.json(change)).map_err(io::Error::other)?;
                out.write_all(b"\n")
            }),
            Sink::Csv(writer) => {
                changes.iter().try_for_each(|change| writer.write_record(columns.csv(change))).map_err(io::Error::other)
            }
        }
        .map_err(failed)
    }

    /// Ends the change set, and gives back what it was written to, flushed.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn finish(self) -> Result<W> {
        let mut out = match self.sink {
            Sink::Parquet(writer) => writer.into_inner().map_err(io::Error::other).map_err(failed)?,
            Sink::JsonLines(out) => out,
            Sink::Csv(writer) => writer.into_inner().map_err(|error| failed(error.into_error()))?,
        };
        out.flush().map_err(failed)?;
        Ok(out)
    }
}

fn failed(error: io::Error) -> Error {
    Error::local("write", "the change set")(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::changes::{change_schema, changes_to_record_batch};
    use stocktake_core::{ChangeClass, Entry, EntryFlags, Timestamp};

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
    fn changes_of_versions_tell_ids_and_standings_in_every_format() {
        use arrow::array::AsArray;
        let time = Timestamp::from_millis(1_772_326_800_000);
        let past = Entry::new("a", 3, time).with_version("null").with_flags(EntryFlags::NONCURRENT);
        let marker = Entry::new("a", 0, time).with_version("v/2").with_flags(EntryFlags::DELETE_MARKER);
        let changes = [
            Change { class: ChangeClass::DeleteMarker, current: Some(marker), previous: None },
            Change { class: ChangeClass::Deleted, current: None, previous: Some(past) },
        ];
        let written = |format| {
            let mut writer = ChangeWriter::with_columns(format, ChangeColumns::Versions, Vec::new()).unwrap();
            writer.write(&changes).unwrap();
            writer.finish().unwrap()
        };
        let text = String::from_utf8(written(ExportFormat::Csv)).unwrap();
        let (header, rows) = text.split_once('\n').unwrap();
        assert_eq!(header, ChangeColumns::Versions.names().join(","));
        let expected = "a,v/2,delete_marker,0,,2026-03-01T01:00:00.000Z,,true,true,,,,,,\n\
            a,null,deleted,,,,,,,3,,2026-03-01T01:00:00.000Z,,false,false\n";
        assert_eq!(rows, expected);

        let text = String::from_utf8(written(ExportFormat::JsonLines)).unwrap();
        let rows: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((&rows[0]["version_id"], &rows[0]["is_delete_marker"]), (&"v/2".into(), &true.into()));
        assert_eq!((&rows[1]["is_latest"], &rows[1]["previous_is_latest"]), (&serde_json::Value::Null, &false.into()));

        let file = bytes::Bytes::from(written(ExportFormat::Parquet));
        let mut reader = parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(file, 100).unwrap();
        let read = reader.next().unwrap().unwrap();
        assert_eq!(read, ChangeColumns::Versions.record_batch(changes.iter().map(as_refs)).unwrap());
        assert!(read.column_by_name("is_delete_marker").unwrap().as_boolean().value(0));
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
}
