//! Decoders as plain functions of bytes, for fuzzing and tests.

use std::io::Read;

use bytes::Bytes;
use stocktake_core::EntryBatch;

use crate::csv::CsvReader;
use crate::fault::{Fault, Result};
use crate::gzip::Members;
use crate::manifest::Dialect;
use crate::parquet::ParquetReader;
use crate::rows::BatchBuilder;
use crate::rules::RowRules;
use crate::schema::Schema;

/// Decodes plain CSV rows of the bucket `b`. Of a cloud whose files name their columns, `schema` is not looked at.
///
/// # Errors
/// As reading a data file.
pub fn decode_csv(schema: &Schema, dialect: Dialect, text: &[u8]) -> Result<Vec<EntryBatch>> {
    read_csv(schema, dialect, text)
}

/// Decodes CSV rows of the bucket `b` in gzip.
///
/// # Errors
/// As reading a data file.
pub fn decode_csv_gzip(schema: &Schema, dialect: Dialect, bytes: &[u8]) -> Result<Vec<EntryBatch>> {
    read_csv(schema, dialect, Members::new(bytes))
}

/// Decodes a Parquet data file of the bucket `b`.
///
/// # Errors
/// As reading a data file.
pub fn decode_parquet(dialect: Dialect, bytes: &[u8]) -> Result<Vec<EntryBatch>> {
    let mut reader = ParquetReader::new(Bytes::copy_from_slice(bytes), rules(dialect))?;
    collect(|builder| reader.next_batch(builder))
}

fn read_csv(schema: &Schema, dialect: Dialect, text: impl Read) -> Result<Vec<EntryBatch>> {
    let mut reader = CsvReader::new(text, schema, rules(dialect))?;
    collect(|builder| reader.next_batch(builder))
}

fn rules(dialect: Dialect) -> RowRules {
    RowRules::new(dialect, "b")
}

fn collect(mut next: impl FnMut(&mut BatchBuilder) -> Result<Option<EntryBatch>, Fault>) -> Result<Vec<EntryBatch>> {
    let mut builder = BatchBuilder::default();
    std::iter::from_fn(|| next(&mut builder).transpose()).collect()
}
