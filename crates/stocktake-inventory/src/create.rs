//! Inventories made for stores that have none.
//!
//! A listing, a folder walk, or any other inventory is written in the layout of
//! Amazon S3. The order of writing is the point: data files, manifest, symlink
//! file, and the checksum last, since it is what makes an inventory ready.
//! Interrupted at any moment, nothing is left that looks complete.

use bytes::Bytes;
use futures::TryStreamExt;
use md5::{Digest, Md5};
use serde_json::json;
use stocktake_core::{
    Entropy, EntryBatch, Error, Inventory, InventoryFormat, JobId, Location, Result, Tally, Timestamp, Vault,
};

use crate::blocking;
use crate::encode::{CSV_SCHEMA, FileEncoder, PARQUET_SCHEMA};
use crate::manifest::Dialect;
use crate::names::{self, CHECKSUM, MANIFEST};

/// How an inventory is written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CreateOptions {
    /// How data files are written: CSV or Parquet. Default: Parquet.
    pub format: InventoryFormat,
    /// The bucket that is listed, named in every row and in the path.
    pub source_bucket: String,
    /// The bucket that the inventory is written to, named in the manifest.
    pub destination_bucket: String,
    /// The folder that it is written to. Default: the root.
    pub prefix: String,
    /// The id of the configuration, a folder of its own. Default: `stocktake`.
    pub config: String,
    /// The most rows of a data file. Default: 500,000, some 40 MiB. One file is in memory at a time.
    pub rows_per_file: usize,
}

impl CreateOptions {
    /// Writes an inventory of `source_bucket` into `destination_bucket`, with the defaults of each field.
    pub fn new(source_bucket: impl Into<String>, destination_bucket: impl Into<String>) -> Self {
        Self {
            format: InventoryFormat::Parquet,
            source_bucket: source_bucket.into(),
            destination_bucket: destination_bucket.into(),
            prefix: String::new(),
            config: "stocktake".into(),
            rows_per_file: 500_000,
        }
    }

    /// Writes data files in this format.
    #[must_use]
    pub fn with_format(mut self, format: InventoryFormat) -> Self {
        self.format = format;
        self
    }

    /// Writes into this folder.
    #[must_use]
    pub fn with_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Names the configuration.
    #[must_use]
    pub fn with_config(mut self, config: impl Into<String>) -> Self {
        self.config = config.into();
        self
    }

    /// Limits the rows of a data file.
    #[must_use]
    pub fn with_rows_per_file(mut self, rows: usize) -> Self {
        self.rows_per_file = rows;
        self
    }

    /// The folder of the configuration.
    fn folder(&self) -> String {
        let prefix = self.prefix.trim_matches('/');
        names::join(prefix, &format!("{}/{}", self.source_bucket, self.config))
    }
}

/// An inventory that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedInventory {
    /// The name of its `manifest.json`.
    pub manifest: String,
    /// When its scan began.
    pub created: Timestamp,
    /// Everything in it.
    pub total: Tally,
    /// Data files, and their bytes.
    pub files: Tally,
}

/// Writes what `inventory` holds as an inventory into `vault`, the bucket or folder of inventories.
///
/// Its dated folder is the minute in which the scan of `inventory` began, or, where
/// that has a complete inventory already, the next minute that has none; the
/// manifest tells the exact time. What an interrupted attempt has left there is replaced.
///
/// Memory is that of one data file; see [`CreateOptions::rows_per_file`].
///
/// # Errors
/// [`Error::BlobExists`] when the hour after is full of complete inventories;
/// [`Error::InvalidInput`] for names that the vault refuses, or a format that is
/// not written; and what `inventory` and `vault` say.
pub async fn create_inventory(
    inventory: &dyn Inventory,
    vault: &dyn Vault,
    options: &CreateOptions,
    entropy: &dyn Entropy,
) -> Result<CreatedInventory> {
    let created = inventory.info().created;
    let manifest = free_manifest(vault, options, created).await?;
    clear_attempt(vault, &manifest).await?;
    let mut writer = DataWriter::new(vault, options, created, entropy);
    for part in 0..inventory.parts() {
        let mut batches = inventory.read(part);
        while let Some(batch) = batches.try_next().await? {
            writer.push(batch).await?;
        }
    }
    let (files, total) = writer.finish().await?;
    write_manifest(vault, options, created, &manifest, &files).await?;
    Ok(CreatedInventory { manifest, created, total, files: files.iter().map(|file| Tally::one(file.size)).sum() })
}

/// Minutes after the scan's own in which a folder is looked for.
const MINUTES: i64 = 60;

/// The name of the manifest, in the first dated folder from `created` on that holds no complete inventory.
async fn free_manifest(vault: &dyn Vault, options: &CreateOptions, created: Timestamp) -> Result<String> {
    let mut taken = String::new();
    for minute in 0..=MINUTES {
        let time = Timestamp::from_millis(created.as_millis().saturating_add(minute * 60_000));
        let dated = names::dated_folder(time).ok_or_else(|| Error::invalid(format!("no folder for {created}")))?;
        let manifest = format!("{}/{dated}/{MANIFEST}", options.folder());
        taken = names::checksum_of(&manifest);
        match vault.stat(&taken).await {
            Ok(_) => {}
            Err(Error::BlobNotFound { .. }) => return Ok(manifest),
            Err(error) => return Err(error),
        }
    }
    Err(Error::BlobExists { name: taken, location: Location::new(vault.to_string()) })
}

/// Makes way for a new attempt at the same minute. Data files of the former one stay; no manifest names them.
async fn clear_attempt(vault: &dyn Vault, manifest: &str) -> Result<()> {
    if let Some(symlink) = names::symlink_of(manifest, Dialect::S3) {
        vault.delete(&symlink).await?;
    }
    vault.delete(manifest).await
}

/// A data file that was written.
struct WrittenFile {
    name: String,
    size: u64,
    md5: String,
}

/// Gathers rows into data files.
struct DataWriter<'a> {
    vault: &'a dyn Vault,
    options: &'a CreateOptions,
    created: Timestamp,
    entropy: &'a dyn Entropy,
    location: Location,
    encoder: Option<FileEncoder>,
    rows_in_file: usize,
    files: Vec<WrittenFile>,
    total: Tally,
}

impl<'a> DataWriter<'a> {
    fn new(vault: &'a dyn Vault, options: &'a CreateOptions, created: Timestamp, entropy: &'a dyn Entropy) -> Self {
        Self {
            vault,
            options,
            created,
            entropy,
            location: Location::new(vault.to_string()),
            encoder: None,
            rows_in_file: 0,
            files: Vec::new(),
            total: Tally::default(),
        }
    }

    async fn push(&mut self, batch: EntryBatch) -> Result<()> {
        self.total += batch.columns().sizes.iter().map(|size| Tally::one(*size)).sum::<Tally>();
        let mut batch = batch;
        let mut start = 0;
        while start < batch.len() {
            let end = batch.len().min(start + self.options.rows_per_file.max(1) - self.rows_in_file);
            let mut encoder = match self.encoder.take() {
                Some(encoder) => encoder,
                None => FileEncoder::new(self.options.format, &self.options.source_bucket)?,
            };
            let work = move || encoder.push(&batch, start..end).map(|()| (encoder, batch));
            let (encoder, rest) = blocking::run(&self.location, work).await?;
            batch = rest;
            self.encoder = Some(encoder);
            self.rows_in_file += end - start;
            if self.rows_in_file >= self.options.rows_per_file.max(1) {
                self.finish_file().await?;
            }
            start = end;
        }
        Ok(())
    }

    async fn finish_file(&mut self) -> Result<()> {
        let Some(encoder) = self.encoder.take() else { return Ok(()) };
        let work = move || {
            let bytes = encoder.finish()?;
            let md5 = hex::encode(Md5::digest(&bytes));
            Ok((Bytes::from(bytes), md5))
        };
        let (bytes, md5) = blocking::run(&self.location, work).await?;
        let ending = if self.options.format == InventoryFormat::Csv { "csv.gz" } else { "parquet" };
        // A name is used once, also by attempts at the same minute.
        let id = JobId::generate(self.created, self.entropy);
        let name = format!("{}/data/{id}.{ending}", self.options.folder());
        let size = bytes.len() as u64;
        self.vault.create(&name, bytes).await?;
        self.files.push(WrittenFile { name, size, md5 });
        self.rows_in_file = 0;
        Ok(())
    }

    async fn finish(mut self) -> Result<(Vec<WrittenFile>, Tally)> {
        self.finish_file().await?;
        Ok((self.files, self.total))
    }
}

async fn write_manifest(
    vault: &dyn Vault,
    options: &CreateOptions,
    created: Timestamp,
    name: &str,
    files: &[WrittenFile],
) -> Result<()> {
    let listed: Vec<_> = files
        .iter()
        .map(|WrittenFile { name, size, md5 }| json!({ "key": name, "size": size, "MD5checksum": md5 }))
        .collect();
    let (format, schema) = match options.format {
        InventoryFormat::Csv => ("CSV", CSV_SCHEMA),
        _ => ("Parquet", PARQUET_SCHEMA),
    };
    let manifest = json!({
        "sourceBucket": options.source_bucket,
        "destinationBucket": format!("arn:aws:s3:::{}", options.destination_bucket),
        "version": "2016-11-30",
        "creationTimestamp": created.as_millis().to_string(),
        "fileFormat": format,
        "fileSchema": schema,
        "files": listed,
    });
    let bytes = Bytes::from(format!("{manifest:#}\n"));
    let checksum = hex::encode(Md5::digest(&bytes));
    vault.create(name, bytes).await?;
    if let Some(symlink) = names::symlink_of(name, Dialect::S3) {
        let lines: String =
            files.iter().map(|file| format!("s3://{}/{}\n", options.destination_bucket, file.name)).collect();
        vault.create(&symlink, lines.into()).await?;
    }
    vault.create(&names::join(names::folder(name), CHECKSUM), checksum.into()).await
}
