//! Inventories made for stores that have none.
//!
//! A listing, a folder walk, or any other inventory is written in the layout of
//! Amazon S3. The order of writing is the point: data files, manifest, symlink
//! file, and the checksum last, since it is what makes an inventory ready.
//! Interrupted at any moment, nothing is left that looks complete. What is left are
//! data files that no manifest names; they are told of by the next inventory that is made.
//!
//! Rows are gathered as they come, and a data file is encoded and written while those
//! of the next ones are gathered.

use std::collections::HashSet;
use std::ops::Range;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
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
    /// The most rows of a data file. Default: 250,000, some 20 MiB.
    pub rows_per_file: usize,
    /// Data files that are encoded and written at once; at least 1. Default: 2.
    pub files_at_once: usize,
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
            rows_per_file: 250_000,
            files_at_once: 2,
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

    /// Encodes and writes so many data files at once.
    #[must_use]
    pub fn with_files_at_once(mut self, files: usize) -> Self {
        self.files_at_once = files;
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
    /// Data files of the same configuration whose minute has no complete inventory, and their bytes: an attempt
    /// that was interrupted has left them, unless it is still under way. No manifest names them.
    pub leftovers: Tally,
}

/// Writes what `inventory` holds as an inventory into `vault`, the bucket or folder of inventories.
///
/// Its dated folder is the minute in which the scan of `inventory` began, or, where
/// that has a complete inventory already, the next minute that has none; the
/// manifest tells the exact time. What an interrupted attempt has left there is replaced.
///
/// Memory is that of the rows of one data file more than are written at once, and of
/// those files; see [`CreateOptions::rows_per_file`]. With the defaults and keys of
/// ordinary length that is some 150 MiB.
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
    let writer = DataWriter { vault, options, created, entropy, location: Location::new(vault.to_string()) };
    let batches = stream::iter(0..inventory.parts()).map(|part| inventory.read(part)).flatten();
    let files = gather(batches.boxed(), options.rows_per_file.max(1)).map_ok(|rows| writer.write(rows));
    // In the order of the rows, so that what comes sorted stays so from file to file.
    let files: Vec<WrittenFile> = files.try_buffered(options.files_at_once.max(1)).try_collect().await?;
    write_manifest(vault, options, created, &manifest, &files).await?;
    let leftovers = leftovers(vault, &options.folder(), created, &manifest).await?;
    let total = files.iter().map(|file| file.total).sum();
    let files = files.iter().map(|file| Tally::one(file.size)).sum();
    Ok(CreatedInventory { manifest, created, total, files, leftovers })
}

/// The rows of one data file.
type Rows = Vec<(EntryBatch, Range<usize>)>;

/// Gathers the rows of each data file.
fn gather(batches: BoxStream<'_, Result<EntryBatch>>, rows_per_file: usize) -> BoxStream<'_, Result<Rows>> {
    // What is left of the batch at hand, from a row on.
    let state = (batches, None::<(EntryBatch, usize)>);
    stream::try_unfold(state, move |(mut batches, mut rest)| async move {
        let (mut rows, mut gathered) = (Rows::new(), 0);
        while gathered < rows_per_file {
            let next = match rest.take() {
                Some(next) => Some(next),
                None => batches.try_next().await?.map(|batch| (batch, 0)),
            };
            let Some((batch, start)) = next else { break };
            let end = batch.len().min(start + rows_per_file - gathered);
            gathered += end - start;
            rest = (end < batch.len()).then(|| (batch.clone(), end));
            rows.push((batch, start..end));
        }
        Ok((gathered > 0).then_some((rows, (batches, rest))))
    })
    .boxed()
}

/// The data files of a configuration that belong to no complete inventory, nor to the one
/// with this manifest, which was just made.
async fn leftovers(vault: &dyn Vault, folder: &str, created: Timestamp, manifest: &str) -> Result<Tally> {
    let (mut complete, mut left) = (HashSet::new(), Tally::default());
    let own = names::last_segment(names::folder(manifest));
    let data = format!("{folder}/data/");
    let mut blobs = vault.list(&format!("{folder}/"), None);
    while let Some(blob) = blobs.try_next().await? {
        // Names ascend: those of dated folders come before those of data, and others after them.
        if let Some(name) = blob.name.strip_prefix(&data) {
            let Some(begun) = name.split('.').next().and_then(time_of) else { continue };
            let dated = names::dated_folder(begun).unwrap_or_default();
            if !complete.contains(&dated) || (dated == own && begun != created) {
                left.add(blob.size);
            }
        } else if blob.name > data {
            break;
        } else if blob.name.ends_with(CHECKSUM) {
            complete.insert(names::last_segment(names::folder(&blob.name)).to_owned());
        }
    }
    Ok(left)
}

/// When the scan began that a data file is of, if it was written here.
fn time_of(id: &str) -> Option<Timestamp> {
    let id = id.parse::<JobId>().ok()?;
    let millis = id.as_bytes()[..6].iter().fold(0_i64, |millis, byte| millis << 8 | i64::from(*byte));
    Some(Timestamp::from_millis(millis))
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
    total: Tally,
}

/// Encodes and writes data files.
struct DataWriter<'a> {
    vault: &'a dyn Vault,
    options: &'a CreateOptions,
    created: Timestamp,
    entropy: &'a dyn Entropy,
    location: Location,
}

impl DataWriter<'_> {
    async fn write(&self, rows: Rows) -> Result<WrittenFile> {
        let (format, bucket) = (self.options.format, self.options.source_bucket.clone());
        let work = move || {
            let (mut encoder, mut total) = (FileEncoder::new(format, &bucket)?, Tally::default());
            for (batch, rows) in rows {
                batch.columns().sizes[rows.clone()].iter().for_each(|size| total.add(*size));
                encoder.push(&batch, rows)?;
            }
            let bytes = encoder.finish()?;
            let md5 = hex::encode(Md5::digest(&bytes));
            Ok((Bytes::from(bytes), md5, total))
        };
        let (bytes, md5, total) = blocking::run(&self.location, work).await?;
        let ending = if format == InventoryFormat::Csv { "csv.gz" } else { "parquet" };
        // A name is used once, also by attempts at the same minute.
        let id = JobId::generate(self.created, self.entropy);
        let name = format!("{}/data/{id}.{ending}", self.options.folder());
        let size = bytes.len() as u64;
        self.vault.create(&name, bytes).await?;
        Ok(WrittenFile { name, size, md5, total })
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
        .map(|WrittenFile { name, size, md5, .. }| json!({ "key": name, "size": size, "MD5checksum": md5 }))
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
