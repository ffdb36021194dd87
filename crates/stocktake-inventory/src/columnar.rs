//! Rows of a data file whose format another crate decodes.
//!
//! A decoder hands over columns as they stand in the file. Which of them are
//! read, which rows are current objects and what a row must satisfy is decided
//! here, as for every format.

use std::fmt::Debug;
use std::fs::File;
use std::io;

use stocktake_core::{BytesColumn, EntryBatch, InventoryFormat};

use crate::fault::{Fault, Result};
use crate::rows::{BatchBuilder, flags};
use crate::rules::{Claims, RowRules, Standing};
use crate::schema::{Field, Schema};

/// A format of data files that [`ManifestReader`](crate::ManifestReader) does not decode by itself.
pub trait ColumnarFormat: Debug + Send + Sync + 'static {
    /// The format, as manifests name it.
    fn format(&self) -> InventoryFormat;

    /// Opens a data file, whose MD5 has been found right where the manifest states one.
    ///
    /// # Errors
    /// When the file can't be read or does not decode.
    fn open(&self, file: File) -> io::Result<Box<dyn ColumnarFile>>;
}

/// A data file that is being decoded.
pub trait ColumnarFile: Send {
    /// The names of its columns, in order.
    fn columns(&self) -> Vec<String>;

    /// Chooses the columns that are decoded, by their places in [`columns`](Self::columns). Called once, before the rows.
    ///
    /// # Errors
    /// When one of them is of a type that no [`RawColumn`] holds.
    fn choose(&mut self, places: &[usize]) -> io::Result<()>;

    /// The next rows, some thousands: the chosen columns in the order in which they were chosen, all of one
    /// length, at least 1. `None` at the end of the file.
    ///
    /// # Errors
    /// When the file can't be read or does not decode. What is cut short must not look like the end.
    fn next(&mut self) -> io::Result<Option<Vec<RawColumn>>>;
}

/// Values of one column, as they stand in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RawColumn {
    /// Texts or bytes. A null is an empty one.
    Bytes(BytesColumn),
    /// Integers.
    Integers(Vec<Option<i64>>),
    /// Times, in milliseconds since 1970 in UTC.
    Millis(Vec<Option<i64>>),
    /// Yes or no.
    Bools(Vec<Option<bool>>),
}

impl RawColumn {
    fn len(&self) -> usize {
        match self {
            Self::Bytes(column) => column.len(),
            Self::Integers(column) | Self::Millis(column) => column.len(),
            Self::Bools(column) => column.len(),
        }
    }
}

/// The fields that are read, where they are there.
const FIELDS: [Field; 11] = [
    Field::Bucket,
    Field::Key,
    Field::VersionId,
    Field::IsLatest,
    Field::IsDeleteMarker,
    Field::Size,
    Field::LastModified,
    Field::ETag,
    Field::Class,
    Field::IsMultipart,
    Field::Encryption,
];

/// Reads batches of objects from a data file.
pub(crate) struct ColumnarReader {
    file: Box<dyn ColumnarFile>,
    rules: RowRules,
    /// The fields that were chosen, in order.
    fields: Vec<Field>,
    /// Rows in the batches before, for messages.
    row: u64,
}

impl ColumnarReader {
    /// Finds the columns of a file.
    ///
    /// # Errors
    /// [`Fault::MissingField`] when the file lacks a column, [`Fault::Corrupt`] when one is of a type it can't have.
    pub(crate) fn new(mut file: Box<dyn ColumnarFile>, rules: RowRules) -> Result<Self> {
        let schema = Schema::of_names(file.columns(), rules.dialect)?;
        schema.check_required()?;
        let (fields, places): (Vec<_>, Vec<_>) =
            FIELDS.into_iter().filter_map(|field| Some((field, schema.place(field)?))).unzip();
        file.choose(&places).map_err(corrupt)?;
        Ok(Self { file, rules, fields, row: 0 })
    }

    /// Rows read so far, and how many of them were folders.
    pub(crate) fn rows(&self) -> (u64, u64) {
        (self.row, 0)
    }

    /// The next batch that has a row; `None` at the end of the file.
    pub(crate) fn next_batch(&mut self, batch: &mut BatchBuilder) -> Result<Option<EntryBatch>> {
        while let Some(columns) = self.file.next().map_err(corrupt)? {
            let rows = columns.first().map_or(0, RawColumn::len);
            if columns.len() != self.fields.len() || columns.iter().any(|column| column.len() != rows) {
                return Err(Fault::corrupt("its columns differ in length"));
            }
            let rows_at_hand = Rows { fields: &self.fields, columns: &columns, rules: &self.rules };
            for row in 0..rows {
                let place = |fault: Fault| fault.within(format!("row {}", self.row + row as u64 + 1));
                rows_at_hand.push(row, batch).map_err(place)?;
            }
            self.row += rows as u64;
            if batch.len() > 0 {
                return batch.take().map(Some);
            }
        }
        Ok(None)
    }
}

fn corrupt(error: io::Error) -> Fault {
    Fault::corrupt(error.to_string())
}

/// Columns with the names of their fields.
struct Rows<'a> {
    fields: &'a [Field],
    columns: &'a [RawColumn],
    rules: &'a RowRules,
}

impl Rows<'_> {
    fn column(&self, field: Field) -> Option<&RawColumn> {
        self.fields.iter().position(|known| *known == field).map(|place| &self.columns[place])
    }

    fn bytes(&self, field: Field, row: usize) -> Result<Option<&[u8]>> {
        match self.column(field) {
            None => Ok(None),
            Some(RawColumn::Bytes(column)) => Ok(Some(column.get(row))),
            Some(_) => Err(self.other_type(field)),
        }
    }

    fn bool(&self, field: Field, row: usize) -> Result<Option<bool>> {
        match self.column(field) {
            None => Ok(None),
            Some(RawColumn::Bools(column)) => Ok(column[row]),
            Some(_) => Err(self.other_type(field)),
        }
    }

    fn number(&self, field: Field, row: usize) -> Result<i64> {
        let value = match (field, self.column(field)) {
            (Field::Size, Some(RawColumn::Integers(column))) => column[row],
            // The AWS sample declares times as integers of milliseconds in one place and as timestamps in another.
            (Field::LastModified, Some(RawColumn::Millis(column) | RawColumn::Integers(column))) => column[row],
            _ => return Err(self.other_type(field)),
        };
        value.ok_or_else(|| Fault::corrupt(format!("its {} is null", field.name(self.rules.dialect))))
    }

    /// Appends a row if it is one that is read.
    fn push(&self, row: usize, batch: &mut BatchBuilder) -> Result<()> {
        if let Some(bucket) = self.bytes(Field::Bucket, row)? {
            self.rules.check_bucket(bucket)?;
        }
        let required = |field: Field| match (self.column(field), self.bool(field, row)?) {
            (Some(_), None) => Err(Fault::corrupt(format!("its {} is null", field.name(self.rules.dialect)))),
            (_, value) => Ok(value),
        };
        let claims = Claims {
            latest: required(Field::IsLatest)?,
            delete_marker: required(Field::IsDeleteMarker)? == Some(true),
            ..Claims::default()
        };
        let Standing::Taken(marks) = self.rules.standing(&claims) else { return Ok(()) };
        let text = |field| self.bytes(field, row).map(Option::unwrap_or_default);
        batch.key_data.extend_from_slice(self.rules.plain_key(text(Field::Key)?)?);
        batch.end_key()?;
        let size = if marks.is_delete_marker() { 0 } else { self.number(Field::Size, row)? };
        batch.push_size(u64::try_from(size).map_err(|_| Fault::corrupt("its Size is negative"))?);
        batch.push_last_modified(self.number(Field::LastModified, row)?);
        batch.push_etag(if marks.is_delete_marker() { b"" } else { text(Field::ETag)? })?;
        let class = batch.class_code(text(Field::Class)?)?;
        batch.push_class_code(class);
        let is_md5 = self.rules.etag_is_md5(text(Field::Encryption)?);
        batch.push_flags(flags(self.bool(Field::IsMultipart, row)? == Some(true), is_md5).with(marks));
        if let Some(version) = self.bytes(Field::VersionId, row)? {
            batch.push_version(batch.len() - 1, self.rules.version_id(version))?;
        }
        Ok(())
    }

    fn other_type(&self, field: Field) -> Fault {
        Fault::corrupt(format!("its column {} is of another type", field.name(self.rules.dialect)))
    }
}
