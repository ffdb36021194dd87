//! Inventories as clouds deliver them, made from entries.
//!
//! [`write()`] puts one into a vault, laid out as the cloud does: data files,
//! manifest, and the checksum last where there is one. Its shapes are independent of the
//! library's own writer, so that reader and writer can't share a mistake.
//! [`Synthetic`] makes the entries of a large bucket on two days, in any order.
//! [`History`] is a bucket in which things happen, from which full inventories of any
//! moment are written, and incremental ones of what happened between two.
//!
//! ```
//! use stocktake_core::memory::MemoryVault;
//! use stocktake_testkit::conformance::run;
//! use stocktake_testkit::inventories::{InventorySpec, Shape, Synthetic, write};
//!
//! let vault = MemoryVault::new();
//! let spec = InventorySpec { rows_per_file: 100, ..InventorySpec::new(Shape::S3Parquet) };
//! let written = run(write(&vault, &spec, Synthetic::new(250).before()));
//! assert_eq!((written.rows, written.files.len()), (250, 3));
//! assert!(vault.names().contains(&written.manifest));
//! ```

mod clouds;
mod csv;
mod headed;
mod headed_parquet;
mod history;
mod increments;
mod orc;
mod parquet;
mod synthetic;

use bytes::Bytes;
use md5::{Digest, Md5};
use serde_json::json;
use stocktake_core::{Entry, EntryBatch, EntryFlags, EntryRef, InventoryVersions, Timestamp, Vault};

pub use history::{Action, Event, EventKind, History, Version};
pub use increments::{WrittenDelta, write_delta, write_history};
pub use synthetic::{Fate, Order, Rates, Synthetic};

/// How an inventory is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Amazon S3: CSV in gzip, every field quoted, `/` in keys left as it is.
    S3Csv,
    /// Amazon S3: Parquet with Snappy, plain keys.
    S3Parquet,
    /// Amazon S3: ORC with ZLIB, plain keys, which must be UTF-8. In no list of shapes: few can read it.
    S3Orc,
    /// Alibaba Cloud OSS: CSV in gzip, bucket unquoted, `/` encoded, dashes in times, upper-case checksums.
    OssCsv,
    /// Huawei Cloud OBS: plain CSV in the dated folder, encoded keys of files, counts of rows, no checksum.
    ObsCsv,
    /// Tencent Cloud COS: CSV in gzip, the account's id in the first column, numbers in quotes, no time of day.
    CosCsv,
    /// Google Cloud Storage: plain CSV with a header row, parted by semicolons, plain keys, no checksum.
    GcsCsv,
    /// Google Cloud Storage: Parquet, generations as numbers.
    GcsParquet,
    /// Azure Blob Storage: plain CSV with a header row, the container before every key.
    AzureCsv,
    /// Azure Blob Storage: Parquet.
    AzureParquet,
}

impl Shape {
    /// The shapes with a manifest as S3 writes it: dated folder, checksum, MD5 and size of every file.
    pub const ALL: [Self; 3] = [Self::S3Csv, Self::S3Parquet, Self::OssCsv];

    /// All shapes.
    pub const EVERY: [Self; 9] = [
        Self::S3Csv,
        Self::S3Parquet,
        Self::OssCsv,
        Self::ObsCsv,
        Self::CosCsv,
        Self::GcsCsv,
        Self::GcsParquet,
        Self::AzureCsv,
        Self::AzureParquet,
    ];

    /// Whether the manifest is written as S3 writes it.
    fn has_manifest_of_s3(self) -> bool {
        Self::ALL.contains(&self) || self == Self::S3Orc
    }

    /// Whether a checksum of the manifest is written.
    pub fn has_checksum(self) -> bool {
        !matches!(self, Self::ObsCsv | Self::GcsCsv | Self::GcsParquet)
    }
}

/// What an inventory is to look like.
#[derive(Clone, Debug)]
pub struct InventorySpec {
    /// How it is written.
    pub shape: Shape,
    /// Whether it tells versions apart. [`write()`] then puts older versions and delete markers between the entries.
    pub versions: InventoryVersions,
    /// The bucket that it lists. Default `photo-store`.
    pub source_bucket: String,
    /// The bucket that it is delivered to. Default `ops-inventories`.
    pub destination_bucket: String,
    /// The folder that it is delivered to. Default `inv`.
    pub prefix: String,
    /// The configuration's id. Default `daily`.
    pub config: String,
    /// When its scan began. Default 2026-03-01T01:00:00Z.
    pub created: Timestamp,
    /// The most rows of a data file. A file is made in memory. Default 1,000,000.
    pub rows_per_file: usize,
    /// Columns left out, by their names in a CSV schema.
    pub without: Vec<&'static str>,
    /// Whether Parquet keys are marked as text, as S3 marks them. They must be UTF-8 then. Default `true`.
    pub utf8_keys: bool,
}

impl InventorySpec {
    /// An inventory of current objects with the defaults of each field.
    pub fn new(shape: Shape) -> Self {
        Self {
            shape,
            versions: InventoryVersions::Current,
            source_bucket: "photo-store".into(),
            destination_bucket: "ops-inventories".into(),
            prefix: "inv".into(),
            config: "daily".into(),
            created: Synthetic::FIRST_DAY,
            rows_per_file: 1_000_000,
            without: Vec::new(),
            utf8_keys: true,
        }
    }

    /// The configuration's folder.
    pub fn folder(&self) -> String {
        [&*self.prefix, &self.source_bucket, &self.config].iter().filter(|part| !part.is_empty()).fold(
            String::new(),
            |folder, part| if folder.is_empty() { (*part).to_owned() } else { format!("{folder}/{part}") },
        )
    }

    /// The columns, by their names in a CSV schema of S3.
    fn columns(&self) -> Vec<&'static str> {
        let versions: &[_] = match self.versions {
            InventoryVersions::All => &["VersionId", "IsLatest", "IsDeleteMarker"],
            InventoryVersions::Current => &[],
        };
        // OSS writes columns in the order in which they were ticked.
        let others = match self.shape {
            Shape::OssCsv => ["Size", "StorageClass", "LastModifiedDate", "ETag"],
            _ => ["Size", "LastModifiedDate", "ETag", "StorageClass"],
        };
        let all =
            ["Bucket", "Key"].iter().chain(versions).chain(&others).chain(&["IsMultipartUploaded", "EncryptionStatus"]);
        all.copied().filter(|column| !self.without.contains(column)).collect()
    }
}

/// An inventory that was written.
#[derive(Clone, Debug)]
pub struct WrittenInventory {
    /// The name of its `manifest.json`.
    pub manifest: String,
    /// The names of its data files.
    pub files: Vec<String>,
    /// Entries that were given to be written.
    pub rows: u64,
}

/// A row of a report.
pub(crate) struct ReportRow<'a> {
    entry: EntryRef<'a>,
    version: &'a str,
    is_latest: bool,
    is_delete_marker: bool,
}

impl<'a> From<EntryRef<'a>> for ReportRow<'a> {
    fn from(entry: EntryRef<'a>) -> Self {
        // The null version is written as nothing.
        let version = entry.version.filter(|version| *version != "null").unwrap_or("");
        let (is_latest, is_delete_marker) = (entry.flags.is_latest(), entry.flags.is_delete_marker());
        Self { entry, version, is_latest, is_delete_marker }
    }
}

/// Encodes the rows of one data file.
trait FileEncoder {
    fn push(&mut self, row: &ReportRow<'_>);
    fn finish(&mut self) -> Vec<u8>;
}

/// Writes an inventory of `entries`, which are current objects, into `vault`. One of all versions has
/// [others](with_past) between them.
///
/// # Panics
/// When the vault fails, or a field holds what the shape can't say.
pub async fn write(
    vault: &dyn Vault,
    spec: &InventorySpec,
    entries: impl IntoIterator<Item = EntryBatch>,
) -> WrittenInventory {
    let mut writer = Writer { spec, vault, encoder: None, rows_in_file: 0, files: Vec::new() };
    let mut rows = 0;
    for batch in entries {
        for entry in batch.iter() {
            if spec.versions == InventoryVersions::Current {
                writer.push(&entry.into()).await;
            } else {
                for version in with_past(&entry.to_entry(), rows) {
                    writer.push(&version.as_ref().into()).await;
                }
            }
            rows += 1;
        }
    }
    writer.finish(rows).await
}

/// Writes an inventory with a row for each entry, which is a version or a delete marker as its flags say.
///
/// # Panics
/// As [`write()`].
pub async fn write_versions(vault: &dyn Vault, spec: &InventorySpec, entries: &[Entry]) -> WrittenInventory {
    let mut writer = Writer { spec, vault, encoder: None, rows_in_file: 0, files: Vec::new() };
    for entry in entries {
        writer.push(&entry.as_ref().into()).await;
    }
    writer.finish(entries.len() as u64).await
}

/// What a list of all versions has of the `number`th current object: the object itself, beside
/// every third an older version, and beside every fifth a key that was deleted.
pub fn with_past(entry: &Entry, number: u64) -> Vec<Entry> {
    let version = |entry: &Entry, version: &str, flags: EntryFlags| {
        entry.clone().with_version(version).with_flags(entry.flags.with(flags))
    };
    let mut rows = Vec::new();
    if number.is_multiple_of(3) {
        let older = Entry { size: entry.size / 2 + 1, ..entry.clone() };
        rows.push(version(&older, PAST_VERSIONS[0], EntryFlags::NONCURRENT));
    }
    rows.push(entry.clone());
    let key = [entry.key.as_bytes(), b".deleted"].concat();
    let gone = Entry { key: key[..key.len().min(1024)].into(), size: 7, ..entry.clone() };
    if number.is_multiple_of(5) && gone.key != entry.key {
        rows.push(version(&gone, PAST_VERSIONS[1], EntryFlags::NONCURRENT));
        rows.push(version(&gone, PAST_VERSIONS[2], EntryFlags::DELETE_MARKER));
    }
    rows
}

/// Batches of single entries.
pub fn batches(entries: &[Entry]) -> Vec<EntryBatch> {
    entries.chunks(stocktake_core::BATCH_ROWS).map(|chunk| EntryBatch::try_from(chunk).unwrap()).collect()
}

struct WrittenFile {
    name: String,
    size: usize,
    md5: String,
    rows: usize,
}

struct Writer<'a> {
    spec: &'a InventorySpec,
    vault: &'a dyn Vault,
    encoder: Option<Box<dyn FileEncoder + Send>>,
    rows_in_file: usize,
    files: Vec<WrittenFile>,
}

/// What versions before the latest are called.
const PAST_VERSIONS: [&str; 3] = ["older.Version_1", "gone.Version_1", "gone.Version_2"];

impl Writer<'_> {
    async fn push(&mut self, row: &ReportRow<'_>) {
        let encoder = self.encoder.get_or_insert_with(|| match self.spec.shape {
            Shape::S3Csv | Shape::OssCsv | Shape::ObsCsv | Shape::CosCsv => Box::new(csv::CsvEncoder::new(self.spec)),
            Shape::S3Parquet => Box::new(parquet::ParquetEncoder::new(self.spec)),
            Shape::S3Orc => Box::new(orc::OrcEncoder::new(self.spec)),
            Shape::GcsCsv | Shape::AzureCsv => Box::new(headed::CsvEncoder::new(self.spec)),
            Shape::GcsParquet | Shape::AzureParquet => Box::new(headed_parquet::ParquetEncoder::new(self.spec)),
        });
        encoder.push(row);
        self.rows_in_file += 1;
        if self.rows_in_file == self.spec.rows_per_file {
            self.finish_file().await;
        }
    }

    /// Writes what is left, and the manifest.
    async fn finish(mut self, rows: u64) -> WrittenInventory {
        self.finish_file().await;
        let manifest = write_manifest(self.vault, self.spec, &self.files).await;
        WrittenInventory { manifest, files: self.files.into_iter().map(|file| file.name).collect(), rows }
    }

    async fn finish_file(&mut self) {
        let Some(mut encoder) = self.encoder.take() else { return };
        let bytes = Bytes::from(encoder.finish());
        let seed = format!("{}/{}/{}", self.spec.folder(), self.spec.created, self.files.len());
        let id = &blake3::hash(seed.as_bytes()).to_hex()[..32];
        let name = clouds::file_name(self.spec, self.files.len(), id);
        let md5 = md5_hex(&bytes, self.spec.shape);
        self.vault.create(&name, bytes.clone()).await.unwrap();
        self.files.push(WrittenFile { name, size: bytes.len(), md5, rows: self.rows_in_file });
        self.rows_in_file = 0;
    }
}

/// The MD5 of some bytes as this cloud writes it: S3 in lower case, OSS in upper case.
pub fn md5_hex(bytes: &[u8], shape: Shape) -> String {
    let hex = hex::encode(Md5::digest(bytes));
    if shape == Shape::OssCsv { hex.to_uppercase() } else { hex }
}

async fn write_manifest(vault: &dyn Vault, spec: &InventorySpec, files: &[WrittenFile]) -> String {
    if !spec.shape.has_manifest_of_s3() {
        return clouds::write_manifest(vault, spec, files).await;
    }
    let files: Vec<_> =
        files.iter().map(|file| json!({ "key": file.name, "size": file.size, "MD5checksum": file.md5 })).collect();
    let millis = spec.created.as_millis();
    let (file_format, file_schema) = match spec.shape {
        Shape::S3Parquet => ("Parquet", parquet::message_type(spec)),
        Shape::S3Orc => ("ORC", orc::struct_type(spec)),
        _ => ("CSV", spec.columns().join(", ")),
    };
    let manifest = match spec.shape {
        Shape::OssCsv => json!({
            "creationTimestamp": (millis / 1000).to_string(),
            "destinationBucket": spec.destination_bucket,
            "fileFormat": file_format,
            "fileSchema": file_schema,
            "files": files,
            "sourceBucket": spec.source_bucket,
            "version": "2019-09-01",
        }),
        _ => json!({
            "sourceBucket": spec.source_bucket,
            "destinationBucket": format!("arn:aws:s3:::{}", spec.destination_bucket),
            "version": "2016-11-30",
            "creationTimestamp": millis.to_string(),
            "fileFormat": file_format,
            "fileSchema": file_schema,
            "files": files,
        }),
    };
    let minute = spec.created.to_string()[..16].replace(':', "-");
    put_manifest(vault, spec.shape, format!("{}/{minute}Z/manifest.json", spec.folder()), &manifest).await
}

/// Puts a manifest into the vault, and its checksum behind it where there is one.
async fn put_manifest(vault: &dyn Vault, shape: Shape, name: String, manifest: &serde_json::Value) -> String {
    let bytes = Bytes::from(serde_json::to_vec_pretty(manifest).unwrap());
    vault.create(&name, bytes.clone()).await.unwrap();
    if shape.has_checksum() {
        let checksum = format!("{}\n", md5_hex(&bytes, shape));
        vault.create(&name.replace("manifest.json", "manifest.checksum"), checksum.into()).await.unwrap();
    }
    name
}

/// Writes the checksum of a manifest anew, as a test does that has altered one. There need not have been any.
pub async fn reseal(vault: &stocktake_core::memory::MemoryVault, manifest: &str) {
    let bytes = vault.read(manifest, None).await.unwrap();
    vault.tamper(&manifest.replace(".json", ".checksum"), md5_hex(&bytes, Shape::S3Csv));
}
