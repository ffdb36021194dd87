//! Decoding a data file, in whatever format it is written.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;

use stocktake_core::{EntryBatch, InventoryFormat, InventoryVersions, KeyFilter, Result};

use crate::blocking::Sender;
use crate::columnar::ColumnarReader;
use crate::csv::CsvReader;
use crate::fault::Fault;
use crate::gzip::{MAGIC, Members};
use crate::parquet::ParquetReader;
use crate::part::{Part, Parts};
use crate::rows::BatchBuilder;

/// Bytes of a local file read at once when it is decompressed.
const BUFFER_BYTES: usize = 256 << 10;

/// Which entries of a data file are read.
#[derive(Clone)]
pub(crate) struct Choice {
    /// Of these versions.
    pub(crate) versions: InventoryVersions,
    /// And of those whose keys are wanted, if not of all.
    pub(crate) wanted: Option<KeyFilter>,
}

/// Decodes one data file, a batch at a time.
pub(crate) struct Decoder {
    parts: Arc<Parts>,
    part: Arc<Part>,
    wanted: Option<KeyFilter>,
    rows: Rows,
    builder: BatchBuilder,
}

enum Rows {
    Csv(Box<CsvReader<Box<dyn Read + Send>>>),
    Parquet(Box<ParquetReader<File>>),
    Other(ColumnarReader),
}

impl Decoder {
    /// Opens a data file. Of its entries, the chosen ones are given.
    pub(crate) fn open(parts: Arc<Parts>, part: Arc<Part>, file: File, choice: Choice) -> Result<Self> {
        let Choice { versions, wanted } = choice;
        let rules = parts.rules.clone().with_versions(versions);
        let rows = match parts.format {
            InventoryFormat::Csv => csv_text(&part.name, file)
                .and_then(|text| CsvReader::new(text, &parts.schema, rules))
                .map(|reader| Rows::Csv(Box::new(reader))),
            InventoryFormat::Parquet => ParquetReader::new(file, rules)
                .map(|reader| Rows::Parquet(Box::new(reader.with_wanted(wanted.clone())))),
            other => match parts.formats.iter().find(|format| format.format() == other) {
                Some(format) => format
                    .open(file)
                    .map_err(|error| Fault::corrupt(error.to_string()))
                    .and_then(|file| ColumnarReader::new(file, rules))
                    .map(Rows::Other),
                None => Err(Fault::Unsupported(format!("{other} is not read"))),
            },
        };
        match rows {
            Ok(rows) => Ok(Self { parts, part, wanted, rows, builder: BatchBuilder::default() }),
            Err(fault) => Err(fault.within(&part.name).of(&parts.inventory)),
        }
    }

    /// Hands over all batches that have entries.
    pub(crate) fn send_all(mut self, sender: &Sender<EntryBatch>) -> Result<()> {
        while let Some(batch) = self.next_batch()? {
            sender.send(batch)?;
        }
        Ok(())
    }

    fn next_batch(&mut self) -> Result<Option<EntryBatch>> {
        loop {
            let (batch, sifted) = match &mut self.rows {
                Rows::Csv(reader) => (reader.next_batch(&mut self.builder), false),
                Rows::Parquet(reader) => (reader.next_batch(&mut self.builder), true),
                Rows::Other(reader) => (reader.next_batch(&mut self.builder), false),
            };
            let batch = batch.map_err(|fault| fault.within(&self.part.name).of(&self.parts.inventory))?;
            let Some(batch) = batch else {
                self.check_rows().map_err(|fault| fault.within(&self.part.name).of(&self.parts.inventory))?;
                return Ok(None);
            };
            let Some(wanted) = self.wanted.as_ref().filter(|_| !sifted) else { return Ok(Some(batch)) };
            let kept = batch.filter(&wanted(&batch.columns().keys));
            if !kept.is_empty() {
                return Ok(Some(kept));
            }
        }
    }
}

impl Decoder {
    /// Sees that the file had as many rows as the manifest says, alone and with the others.
    fn check_rows(&self) -> Result<(), Fault> {
        let (rows, folders) = match &self.rows {
            Rows::Csv(reader) => reader.rows(),
            Rows::Parquet(reader) => reader.rows(),
            Rows::Other(reader) => reader.rows(),
        };
        if let Some(stated) = self.part.file.rows
            && stated != rows
        {
            return Err(Fault::corrupt(format!("it has {rows} rows, the manifest says {stated}")));
        }
        self.parts.total.as_ref().map_or(Ok(()), |total| total.take(self.part.index, (rows, folders)))
    }
}

/// The text of a CSV file: decompressed if it begins as gzip does, whatever its name. A name that says gzip is believed.
pub(crate) fn csv_text(name: &str, file: File) -> Result<Box<dyn Read + Send>, Fault> {
    let mut file = BufReader::with_capacity(BUFFER_BYTES, file);
    let begin = file.fill_buf().map_err(|error| Fault::corrupt(format!("the file can't be read: {error}")))?;
    Ok(if begin.starts_with(&MAGIC) || name.ends_with(".gz") { Box::new(Members::new(file)) } else { Box::new(file) })
}
