//! Rows of incremental inventories: events.
//!
//! Alibaba Cloud, "Use bucket inventory" (Chinese edition): fixed columns, then
//! those that were ticked, then `SequenceNumber`, `RecordType` and
//! `RecordTimestamp`; they are found by name. What the document does not say is
//! taken to be as in full inventories: keys are encoded, times are written with
//! dashes, there is no row that names the columns. One that repeats the schema's
//! names as the first row of a file is passed over all the same.
//!
//! A delete marker is an event whose `IsDeleteMarker` is true, whether it is
//! recorded as created or as a deletion. Any other deletion is for good, and has
//! no facts but its version: the rest is `null`, or empty.

use std::io::Read;

use crate::columns;
use crate::csv::{Fields, Window};
use crate::fault::{Fault, Result};
use crate::manifest::Dialect;
use crate::rows::flags;
use crate::rules::{RowRules, impossible};
use crate::schema::{Field, Schema};
use crate::text::{parse_bool, parse_record_time, parse_size};

use super::record::{Facts, Kind, MAX_SEQUENCE_BYTES, Record};

/// Where the columns are.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    names: Vec<String>,
    object: columns::Columns,
    /// Sequence number, type and time.
    event: [usize; 3],
}

impl Columns {
    /// The columns of rows that have this schema.
    ///
    /// # Errors
    /// [`Fault::MissingField`].
    pub(super) fn new(schema: &Schema) -> Result<Self> {
        let [sequence, kind, time] =
            [Field::Sequence, Field::RecordType, Field::RecordTime].map(|field| schema.required(field));
        Ok(Self {
            names: schema.columns().to_vec(),
            object: columns::Columns::of_rows(schema, Dialect::Oss)?,
            event: [sequence?, kind?, time?],
        })
    }
}

/// Reads the rows of a file, one after the other.
pub(super) struct RecordReader<R> {
    window: Window<R>,
    columns: Columns,
    rules: RowRules,
    fields: Fields,
    row: u64,
}

impl<R: Read> RecordReader<R> {
    pub(super) fn new(input: R, columns: Columns, rules: RowRules) -> Self {
        Self { window: Window::new(input), columns, rules, fields: Fields::default(), row: 0 }
    }

    /// The next row; `None` at the end of the file.
    pub(super) fn next_record(&mut self) -> Result<Option<Record>> {
        loop {
            let place = self.row + 1;
            let in_row = |fault: Fault| fault.within(format_args!("row {place}"));
            let Some(row) = self.window.next_row(b',', &mut self.fields).map_err(in_row)? else { return Ok(None) };
            self.row += 1;
            let row = Row { row, fields: &self.fields, columns: &self.columns, rules: &self.rules };
            if place > 1 || !row.names_columns() {
                return row.record().map(Some).map_err(in_row);
            }
        }
    }
}

/// One row and what its fields mean.
struct Row<'a> {
    row: &'a [u8],
    fields: &'a Fields,
    columns: &'a Columns,
    rules: &'a RowRules,
}

impl Row<'_> {
    fn field(&self, column: usize) -> &[u8] {
        self.fields.get(self.row, column)
    }

    fn names_columns(&self) -> bool {
        let names = &self.columns.names;
        let named = |(column, name): (usize, &String)| self.field(column).eq_ignore_ascii_case(name.as_bytes());
        self.fields.count() == names.len() && names.iter().enumerate().all(named)
    }

    fn record(&self) -> Result<Record> {
        let (columns, count) = (self.columns, self.fields.count());
        if count != columns.names.len() {
            return Err(Fault::corrupt(format!("it has {count} fields, the schema {}", columns.names.len())));
        }
        if let Some(bucket) = columns.object.bucket {
            self.rules.check_bucket(self.field(bucket))?;
        }
        let mut key = Vec::new();
        self.rules.take_key(self.field(columns.object.key), &mut key)?;
        if key.is_empty() || key.len() > stocktake_core::MAX_KEY_BYTES {
            return Err(Fault::corrupt(format!("its key has {} bytes", key.len())));
        }
        let (kind, sequence, time) = self.event(columns.event)?;
        let facts = match kind {
            Kind::Removed | Kind::Marked => None,
            _ => Some(self.facts()?),
        };
        let version = columns.object.version.map_or(&b""[..], |column| self.field(column));
        let version = std::str::from_utf8(version).map_err(|_| Fault::corrupt("its version id is not text"))?;
        Ok(Record { key, sequence: sequence.to_vec(), time, kind, version: version.to_owned(), facts })
    }

    /// What happened, its place, and its time.
    fn event(&self, [sequence, kind, time]: [usize; 3]) -> Result<(Kind, &[u8], i64)> {
        let text = self.field(kind);
        let kind = match (text.to_ascii_uppercase().as_slice(), self.is_marker()?) {
            (b"CREATE" | b"DELETE", true) => Kind::Marked,
            (b"CREATE", false) => Kind::Created,
            (b"DELETE", false) => Kind::Removed,
            (b"UPDATE_METADATA", false) => Kind::Updated,
            _ => return Err(impossible("RecordType", text)),
        };
        let sequence = self.field(sequence);
        if sequence.is_empty() || sequence.len() > MAX_SEQUENCE_BYTES || !sequence.iter().all(u8::is_ascii_alphanumeric)
        {
            return Err(impossible("SequenceNumber", sequence));
        }
        let time = self.field(time);
        let millis = parse_record_time(time).ok_or_else(|| impossible("RecordTimestamp", time))?;
        Ok((kind, sequence, millis))
    }

    fn is_marker(&self) -> Result<bool> {
        self.truth(self.columns.object.delete_marker)
    }

    /// A truth, which is false where there is none.
    fn truth(&self, column: Option<usize>) -> Result<bool> {
        match column.map(|column| (column, self.field(column))) {
            None | Some((_, b"" | b"null")) => Ok(false),
            Some((column, text)) => parse_bool(text).ok_or_else(|| impossible(&self.columns.names[column], text)),
        }
    }

    fn last_modified(&self) -> Result<i64> {
        let text = self.field(self.columns.object.last_modified);
        self.rules.time(text).ok_or_else(|| impossible("LastModifiedDate", text))
    }

    /// What the row says of an object, as a full inventory does.
    fn facts(&self) -> Result<Facts> {
        let text = |column: usize, name: &str| {
            let text = self.field(column);
            std::str::from_utf8(text).map(str::to_owned).map_err(|_| impossible(name, text))
        };
        let columns = &self.columns.object;
        let size = self.field(columns.size);
        let is_md5 = columns.encryption.is_some_and(|column| self.rules.etag_is_md5(self.field(column)));
        Ok(Facts {
            size: parse_size(size).ok_or_else(|| impossible("Size", size))?,
            last_modified: self.last_modified()?,
            etag: text(columns.etag, "ETag")?,
            class: text(columns.class, "StorageClass")?,
            flags: flags(self.truth(columns.multipart)?, is_md5),
        })
    }
}

#[cfg(test)]
mod tests {
    use stocktake_core::InventoryFormat;

    use super::*;

    const SCHEMA: &str = "Bucket, Key, VersionId, IsDeleteMarker, Size, StorageClass, LastModifiedDate, ETag, \
        SequenceNumber, RecordType, RecordTimestamp, Requester";

    fn read(text: &str) -> Result<Vec<Record>> {
        let columns = Columns::new(&Schema::parse(SCHEMA, InventoryFormat::Csv)?)?;
        let mut reader = RecordReader::new(text.as_bytes(), columns, RowRules::new(Dialect::Oss, "b"));
        std::iter::from_fn(|| reader.next_record().transpose()).collect()
    }

    /// A row with these fields between the key and the requester.
    fn row(middle: &str) -> String {
        format!("b,\"a%2F+b\",{middle},\"1234\"\n")
    }

    const CREATED: &str =
        r#""v1","false","3","IA","2026-03-01T16-05-59Z","ABC","17","CREATE","2026-03-01 16:05:59.120""#;

    #[test]
    fn an_object_is_told_as_in_a_full_inventory() {
        let records = read(&row(CREATED)).unwrap();
        assert_eq!((records[0].kind, &records[0].key[..]), (Kind::Created, &b"a/ b"[..]));
        assert_eq!(records[0].time, records[0].facts.as_ref().unwrap().last_modified + 120);
        let entry = records[0].clone().entry().unwrap();
        assert_eq!((entry.version.as_deref(), entry.size, entry.class.as_str()), (Some("v1"), 3, "IA"));
    }

    #[test]
    fn deletions_may_leave_the_rest_null() {
        for nothing in ["null,null,null,null,null", "\"\",\"\",,,", "\"false\",,,,"] {
            let middle = format!("v1,{nothing},18,DELETE,2026-03-01 16:06:00.000");
            let records = read(&row(&middle)).unwrap();
            assert_eq!((records[0].kind, &records[0].facts), (Kind::Removed, &None), "{nothing}");
        }
        for kind in ["CREATE", "DELETE", "delete"] {
            let middle = format!("v2,true,,,,,18,{kind},2026-03-01 16:06:00.000");
            assert_eq!(read(&row(&middle)).unwrap()[0].kind, Kind::Marked, "{kind}");
        }
    }

    #[test]
    fn names_of_columns_may_stand_first_and_nowhere_else() {
        let names = SCHEMA.replace(", ", ",") + "\n";
        assert_eq!(read(&(names.clone() + &row(CREATED))).unwrap().len(), 1);
        assert!(read(&(row(CREATED) + &names)).unwrap_err().to_string().starts_with("row 2: "));
        assert_eq!(read(&names).unwrap(), []);
    }

    #[test]
    fn what_cannot_be_read_is_refused_by_row() {
        for (from, to, problem) in [
            ("CREATE", "RENAME", "its RecordType is \"RENAME\""),
            ("\"17\"", "\"\"", "its SequenceNumber is \"\""),
            ("\"17\"", "\"1.7\"", "its SequenceNumber is \"1.7\""),
            ("2026-03-01 16:05:59.120", "yesterday", "its RecordTimestamp is \"yesterday\""),
            ("\"false\"", "\"maybe\"", "its IsDeleteMarker is \"maybe\""),
            ("\"3\"", "null", "its Size is \"null\""),
            ("\"3\",", "", "it has 11 fields, the schema 12"),
        ] {
            let fault = read(&row(&CREATED.replacen(from, to, 1))).unwrap_err();
            assert_eq!(fault.to_string(), format!("row 1: {problem}"));
        }
        for field in ["SequenceNumber", "RecordType", "RecordTimestamp", "ETag"] {
            let schema = SCHEMA.replace(field, "Other");
            let schema = Schema::parse(&schema, InventoryFormat::Csv).unwrap();
            assert!(matches!(Columns::new(&schema), Err(Fault::MissingField(named)) if named == field));
        }
    }
}
