//! Reports of clouds: manifests, schemas, data files.
//!
//! Data files are read as a backup reads them, by a manifest that is true to them.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::sync::{Arc, LazyLock};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use futures::StreamExt;
use md5::{Digest, Md5};
use serde_json::json;
use stocktake_core::memory::MemoryVault;
use stocktake_core::{EntryBatch, Error, Inventory, InventoryFormat, InventoryReader, MAX_KEY_BYTES, Result};
use stocktake_inventory::{Dialect, InventoryManifest, ManifestReader, Schema};
use stocktake_orc::OrcFormat;
use tokio::runtime::{Builder, Runtime};

/// Batches that are read of a data file; a small one can hold many.
const MAX_BATCHES: usize = 4;

/// The bucket that rows of seeds are of.
pub const BUCKET: &str = "photo-store";

/// Names of manifests that time and folder are taken from, where a manifest states none.
const NAMES: [&str; 2] = ["inv/2026-03-01T12-28Z/manifest.json", "inv/f0e1_2026-03-01T07:00_manifest.json"];

/// The manifest of an inventory.
pub fn manifest(data: &[u8]) -> bool {
    NAMES.map(|name| manifest_named(name, data)).contains(&true)
}

fn manifest_named(name: &str, data: &[u8]) -> bool {
    let Ok(manifest) = InventoryManifest::parse(name, data) else { return false };
    let keys: HashSet<_> = manifest.files.iter().map(|file| &file.key).collect();
    assert_eq!(keys.len(), manifest.files.len());
    assert!(manifest.files.iter().all(|file| file.size.is_none_or(|size| size <= manifest.data_bytes())));
    assert!(manifest.created.to_string().starts_with("20"), "{}", manifest.created);
    true
}

/// The schema of an inventory, in the words of each format.
pub fn schema(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let mut accepted = false;
    for format in [InventoryFormat::Csv, InventoryFormat::Parquet, InventoryFormat::Orc] {
        let Ok(schema) = Schema::parse(text, format) else { continue };
        accepted |= schema.check_required().is_ok();
        let plain = Schema::parse(&schema.columns().join(","), InventoryFormat::Csv);
        assert!(format != InventoryFormat::Csv || plain == Ok(schema));
    }
    let names: Vec<_> = text.split(',').map(str::to_owned).collect();
    for dialect in [Dialect::Gcs, Dialect::Azure] {
        let Ok(schema) = Schema::of_names(names.clone(), dialect) else { continue };
        assert_eq!(schema.columns(), names);
        accepted |= schema.check_required().is_ok();
    }
    accepted
}

/// A CSV data file, compressed or not. Bits of the first byte say what its manifest says.
pub fn csv_file(data: &[u8]) -> bool {
    let Some((choice, file)) = data.split_first() else { return false };
    let cloud = match choice & 73 {
        0 => Cloud::S3,
        1 => Cloud::Oss,
        8 => Cloud::Azure,
        9 => Cloud::Gcs,
        64 => Cloud::Obs,
        _ => Cloud::Cos,
    };
    let report = Report { cloud, versions: choice & 2 != 0, format: Format::Csv };
    let read = report.read(if choice & 4 != 0 { "data/a.csv.gz" } else { "data/a.csv" }, file);
    if choice & 4 == 0 && !file.starts_with(b"\x1f\x8b") {
        // Compression changes nothing.
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(file).expect("writing to memory cannot fail");
        let compressed = encoder.finish().expect("writing to memory cannot fail");
        assert_eq!(report.read("data/a.csv.gz", &compressed).ok(), read.as_ref().ok().cloned());
    }
    read.is_ok()
}

/// A Parquet data file, in the words of each cloud that writes some.
pub fn parquet_file(data: &[u8]) -> bool {
    let read = |cloud| Report { cloud, versions: false, format: Format::Parquet }.read("data/a.parquet", data).is_ok();
    [Cloud::S3, Cloud::Gcs, Cloud::Azure].map(read).contains(&true)
}

/// An ORC data file, which only Amazon S3 writes.
pub fn orc_file(data: &[u8]) -> bool {
    Report { cloud: Cloud::S3, versions: false, format: Format::Orc }.read("data/a.orc", data).is_ok()
}

/// Whose inventory a data file is of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cloud {
    S3,
    Oss,
    Obs,
    Cos,
    Gcs,
    Azure,
}

impl Cloud {
    /// The names of the manifest and of its checksum.
    fn names(self) -> [&'static str; 2] {
        match self {
            Self::S3 | Self::Oss | Self::Obs | Self::Cos => {
                ["2026-03-01T01-00Z/manifest.json", "2026-03-01T01-00Z/manifest.checksum"]
            }
            Self::Gcs => ["f0e1_2026-03-01T01:00_manifest.json", "unused"],
            Self::Azure => {
                ["2026/03/01/01-00-00/all/all-manifest.json", "2026/03/01/01-00-00/all/all-manifest.checksum"]
            }
        }
    }
}

/// What the manifest of a data file says.
struct Report {
    cloud: Cloud,
    versions: bool,
    format: Format,
}

/// What data files are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Csv,
    Parquet,
    Orc,
}

pub(crate) static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().build().expect("a runtime without I/O needs nothing"));

impl Report {
    /// Writes an inventory of one data file, and reads it.
    fn read(&self, name: &str, file: &[u8]) -> Result<Vec<EntryBatch>> {
        let vault = MemoryVault::new();
        let manifest = self.manifest(name, file);
        let checksum = hex::encode(Md5::digest(&manifest));
        let [manifest_name, checksum_name] = self.cloud.names();
        vault.tamper(manifest_name, manifest);
        vault.tamper(checksum_name, checksum);
        vault.tamper(name, file.to_vec());
        let reader = ManifestReader::new(Arc::new(vault), "", "memory:").with_format(Arc::new(OrcFormat));
        let read = RUNTIME.block_on(read(&reader));
        // What becomes of a thread that panicked, and nothing else here.
        assert!(!matches!(read, Err(Error::Unavailable { .. })), "{read:?}");
        read
    }

    fn manifest(&self, name: &str, file: &[u8]) -> Vec<u8> {
        let (created, destination, version) = match self.cloud {
            Cloud::S3 => ("1772326800000", "arn:aws:s3:::ops", "2016-11-30"),
            Cloud::Oss => ("1772326800", "ops", "2019-09-01"),
            Cloud::Obs => return self.obs_manifest(name, file),
            Cloud::Cos => ("1772326800000", "ops", "2016-11-30"),
            Cloud::Gcs => return json!({ "report_shards_file_names": [name] }).to_string().into_bytes(),
            Cloud::Azure => return azure_manifest(name, file, self.format),
        };
        let manifest = json!({
            "sourceBucket": BUCKET,
            "destinationBucket": destination,
            "version": version,
            "creationTimestamp": created,
            "fileFormat": match self.format {
                Format::Csv => "CSV",
                Format::Parquet => "Parquet",
                Format::Orc => "ORC",
            },
            "fileSchema": self.schema(),
            "files": [{ "key": name, "size": file.len(), "MD5checksum": hex::encode(Md5::digest(file)) }],
        });
        manifest.to_string().into_bytes()
    }

    fn obs_manifest(&self, name: &str, file: &[u8]) -> Vec<u8> {
        let rows = rows_of(file);
        let manifest = json!({
            "sourceBucket": BUCKET,
            "destinationBucket": "ops",
            "version": "2019-01-03",
            "fileFormat": "CSV",
            "fileSchema": self.schema(),
            "files": [{ "key": name, "size": file.len(), "inventoriedRecord": rows }],
        });
        manifest.to_string().into_bytes()
    }

    fn schema(&self) -> String {
        match self.format {
            Format::Csv => {}
            Format::Parquet => return "message s3.inventory { required binary key (STRING); }".to_owned(),
            Format::Orc => {
                let facts = "size:bigint,last_modified_date:timestamp,e_tag:string,storage_class:string";
                return format!("struct<bucket:string,key:string,{facts}>");
            }
        }
        let versions = if self.versions { "VersionId, IsLatest, IsDeleteMarker, " } else { "" };
        let facts = match self.cloud {
            Cloud::Oss => "Size, StorageClass, LastModifiedDate, ETag",
            _ => "Size, LastModifiedDate, ETag, StorageClass",
        };
        let account = if self.cloud == Cloud::Cos { "Appid, " } else { "" };
        format!("{account}Bucket, Key, {versions}{facts}, IsMultipartUploaded, EncryptionStatus")
    }
}

/// As many rows as there are lines, which is right for most files.
fn rows_of(file: &[u8]) -> usize {
    let mut text = Vec::new();
    if file.starts_with(b"\x1f\x8b") {
        // What can't be decompressed is refused, whatever its rows.
        let _ = MultiGzDecoder::new(file).take(1 << 20).read_to_end(&mut text);
    } else {
        text.extend_from_slice(file);
    }
    text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count()
}

fn azure_manifest(name: &str, file: &[u8], format: Format) -> Vec<u8> {
    let format = if format == Format::Parquet { "parquet" } else { "csv" };
    let manifest = json!({
        "destinationContainer": "ops",
        "files": [{ "blob": name, "size": file.len() }],
        "inventoryStartTime": "2026-03-01T01:00:00Z",
        "ruleDefinition": { "format": format, "objectType": "blob", "schemaFields": ["Name"] },
        "status": "Succeeded",
    });
    manifest.to_string().into_bytes()
}

async fn read(reader: &ManifestReader) -> Result<Vec<EntryBatch>> {
    let infos = reader.inventories().await?;
    let inventory = reader.open(&infos[0]).await?;
    read_part(&*inventory, 0).await
}

/// The first batches of a part, all of them sound.
pub(crate) async fn read_part(inventory: &dyn Inventory, part: usize) -> Result<Vec<EntryBatch>> {
    let mut entries = inventory.read(part).take(MAX_BATCHES);
    let mut batches = Vec::new();
    while let Some(batch) = entries.next().await {
        let batch = batch?;
        assert!(!batch.is_empty());
        assert!(batch.iter().all(|entry| (1..=MAX_KEY_BYTES).contains(&entry.key.len())));
        assert!(batch.iter().all(|entry| i64::try_from(entry.size).is_ok()));
        assert!(batch.iter().all(|entry| entry.etag.to_etag().is_some() != entry.etag.code.is_absent()));
        batches.push(batch);
    }
    read_versions(inventory, part, &batches).await;
    Ok(batches)
}

/// Reads all versions. If they can be read, the current objects are those among them.
async fn read_versions(inventory: &dyn Inventory, part: usize, current: &[EntryBatch]) {
    let versions: Vec<_> = inventory.read_versions(part).take(MAX_BATCHES).collect().await;
    let Ok(versions) = versions.into_iter().collect::<Result<Vec<_>>>() else { return };
    let entries = versions.iter().flat_map(EntryBatch::iter);
    let live = entries.filter(|entry| entry.flags.is_latest() && !entry.flags.is_delete_marker());
    if current.len() < MAX_BATCHES && versions.len() < MAX_BATCHES {
        assert!(live.eq(current.iter().flat_map(EntryBatch::iter)));
    }
}
