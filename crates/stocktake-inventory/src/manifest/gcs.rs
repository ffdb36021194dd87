//! Manifests of Google Cloud Storage (Google, "Storage Insights inventory
//! reports", and the definition of its interface, `ReportDetail`).
//!
//! One is called `<configuration's UUID>_<YYYY-MM-DDTHH:MM>_manifest.json` and
//! names its shards in `report_shards_file_names`, which lie beside it, or as
//! `gs://` URLs in `reportNames`. It states neither sizes nor checksums, neither
//! the bucket nor the columns: those are in the shards. Members that only other
//! programs are known to read (`records_processed`, `shard_count`,
//! `snapshot_time`) are used where they are found.
//!
//! There is no sign of completion but the manifest itself, which names what is
//! there.

use serde::Deserialize;
use serde_json::Value;
use stocktake_core::{Coverage, InventoryFormat, Timestamp};

use super::json::{self, Number};
use super::report::lacks;
use super::{DataFile, Dialect, InventoryManifest, distinct, plausible};
use crate::fault::{Fault, Result};
use crate::names;

#[derive(Deserialize)]
struct Json {
    #[serde(alias = "reportShardsFileNames")]
    report_shards_file_names: Option<Vec<String>>,
    #[serde(alias = "reportNames")]
    report_names: Option<Vec<String>>,
    #[serde(alias = "snapshotTime")]
    snapshot_time: Option<Value>,
    #[serde(alias = "recordsProcessed", alias = "processed_records_count", alias = "processedRecordsCount")]
    records_processed: Option<Number>,
    #[serde(alias = "shardCount", alias = "shards_count", alias = "shardsCount")]
    shard_count: Option<Number>,
}

pub(super) fn read(name: &str, text: &[u8]) -> Result<InventoryManifest> {
    let json: Json = json::decode(text)?;
    let stated =
        json.report_shards_file_names.or(json.report_names).ok_or_else(|| lacks("report_shards_file_names"))?;
    if let Some(count) = json.shard_count.as_ref().map(|count| count.value("shard_count")).transpose()?
        && count != stated.len() as u64
    {
        return Err(Fault::corrupt(format!("it names {} shards, and says there are {count}", stated.len())));
    }
    let destination = stated.first().and_then(|shard| bucket_and_key(shard)).map_or("", |(bucket, _)| bucket);
    let format = format(&stated)?;
    let files = stated.iter().map(|shard| file(names::folder(name), destination, shard)).collect::<Result<_>>()?;
    Ok(InventoryManifest {
        dialect: Dialect::Gcs,
        source_bucket: String::new(),
        destination_bucket: destination.to_owned(),
        created: created(name, json.snapshot_time.as_ref())?,
        format,
        schema: None,
        files: distinct(files)?,
        rows: json.records_processed.map(|rows| rows.value("records_processed")).transpose()?,
        not_ready: None,
        coverage: Coverage::default(),
    })
}

/// When the snapshot was taken, which all of a report is of; else what the name says.
fn created(name: &str, stated: Option<&Value>) -> Result<Timestamp> {
    let stated = stated.and_then(Value::as_str).and_then(Timestamp::parse_rfc3339);
    let named = || names::report_time(names::last_segment(name));
    let time = stated.or_else(named).and_then(plausible);
    time.ok_or_else(|| Fault::corrupt("neither its snapshot_time nor its name is a time"))
}

/// Only the names of shards tell how they are written.
fn format(shards: &[String]) -> Result<InventoryFormat> {
    let all_end = |ending: &str| shards.iter().all(|shard| shard.to_ascii_lowercase().ends_with(ending));
    if shards.is_empty() || all_end(".csv") || all_end(".csv.gz") {
        Ok(InventoryFormat::Csv)
    } else if all_end(".parquet") {
        Ok(InventoryFormat::Parquet)
    } else {
        Err(Fault::Unsupported("its shards are named neither .csv nor .parquet".into()))
    }
}

fn file(folder: &str, destination: &str, shard: &str) -> Result<DataFile> {
    let key = match bucket_and_key(shard) {
        Some((bucket, key)) if bucket == destination => key.to_owned(),
        Some(_) => return Err(Fault::corrupt(format!("{shard}: not in the bucket of the other shards"))),
        None if shard.is_empty() => return Err(Fault::corrupt("a shard has no name")),
        None => names::join(folder, shard),
    };
    Ok(DataFile { key, other_key: None, size: None, md5: None, rows: None })
}

/// The parts of `gs://bucket/key`.
fn bucket_and_key(url: &str) -> Option<(&str, &str)> {
    url.strip_prefix("gs://")?.split_once('/')
}
