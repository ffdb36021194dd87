//! The manifest of an inventory: the report's own statement of what it consists of.
//!
//! Every cloud writes JSON, and each its own. Which one it is, the members tell;
//! [`report`] reads those of the four clouds that follow Amazon S3, the others
//! stand alone. What a manifest leaves out is taken from its name where that says
//! it, and else found in the data files.

mod azure;
pub(crate) mod cos;
mod delta;
mod gcs;
mod json;
mod obs;
mod oss;
mod report;
mod s3;

use std::collections::HashMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use stocktake_core::{Coverage, InventoryFormat, Timestamp};

use crate::fault::{Fault, Result};
use crate::schema::Schema;
pub use delta::DeltaManifest;
use report::Report;

/// The largest manifest that is read, in bytes: enough for some 400,000 data files.
pub const MAX_MANIFEST_BYTES: u64 = 64 << 20;

/// What is earlier can't be an inventory; what is later was read in the wrong unit.
const YEARS: [&str; 2] = ["2006-01-01T00:00:00Z", "2101-01-01T00:00:00Z"];

/// Whose conventions an inventory follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dialect {
    /// Amazon S3, and stores that imitate it.
    S3,
    /// Alibaba Cloud OSS.
    Oss,
    /// Huawei Cloud OBS.
    Obs,
    /// Tencent Cloud COS.
    Cos,
    /// Google Cloud Storage: the inventory reports of Storage Insights.
    Gcs,
    /// Azure Blob Storage.
    Azure,
}

impl Dialect {
    /// Whether a checksum of the manifest is delivered last, and says that all is there.
    pub(crate) fn has_checksum(self) -> bool {
        !matches!(self, Self::Obs | Self::Gcs)
    }

    /// Whether CSV files may name their columns in their first row, instead of the manifest.
    pub(crate) fn has_header(self) -> bool {
        matches!(self, Self::Gcs | Self::Azure)
    }
}

/// A manifest, decoded and checked in itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InventoryManifest {
    /// Whose conventions it follows.
    pub dialect: Dialect,
    /// The bucket that was listed. Empty where only rows name it.
    pub source_bucket: String,
    /// The bucket that the inventory was delivered to, as a bare name. Empty where that is not stated.
    pub destination_bucket: String,
    /// When the scan began.
    pub created: Timestamp,
    /// How data files are written.
    pub format: InventoryFormat,
    /// The columns, as the manifest states them; `None` where only data files do.
    /// What columnar files and header rows say of themselves wins.
    pub schema: Option<Schema>,
    /// The data files, in order, none twice.
    pub files: Vec<DataFile>,
    /// The rows of all files together, if they are stated.
    pub rows: Option<u64>,
    /// What the configuration confines it to, if that is stated: by Azure for all of an account, so that prefixes
    /// begin with the container.
    pub coverage: Coverage,
    /// Why it is not to be read, if it says itself that it is not complete.
    pub not_ready: Option<String>,
}

/// A data file of an inventory, and what the manifest states of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DataFile {
    /// Its key in the destination bucket. Never a path on a disk.
    pub key: String,
    /// The key that is meant if there is no file of the other: where a cloud may have encoded it.
    pub other_key: Option<String>,
    /// Its size in bytes, as stored.
    pub size: Option<u64>,
    /// The MD5 of its bytes, as stored.
    pub md5: Option<[u8; 16]>,
    /// Its rows, of whatever they are.
    pub rows: Option<u64>,
}

impl DataFile {
    /// The keys that it may have, the likelier first.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        [Some(&self.key), self.other_key.as_ref()].into_iter().flatten().map(String::as_str)
    }
}

impl InventoryManifest {
    /// The rows of all files, stated for all together or for each.
    pub fn stated_rows(&self) -> Option<u64> {
        self.rows
            .or_else(|| self.files.iter().map(|file| file.rows).sum::<Option<u64>>().filter(|_| !self.files.is_empty()))
    }

    /// Decodes the bytes of the manifest with this name.
    ///
    /// Unknown versions and members are accepted. From the name comes the time
    /// that the scan began, on clouds whose manifests don't state it, and the
    /// folder of files that are named without one.
    ///
    /// # Errors
    /// [`Fault::Corrupt`] when a member is missing or impossible, or a file is
    /// named twice with different facts. [`Fault::Unsupported`] for a format that no version knows.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let text = json::without_last_commas(bytes);
        let signs: Signs = json::decode(&text)?;
        if signs.is_gcs() {
            return gcs::read(name, &text);
        }
        if signs.is_azure() {
            return azure::read(&text);
        }
        let report: Report = json::decode(&text)?;
        match dialect_of(&report) {
            Dialect::Obs => obs::read(name, report),
            Dialect::Cos => cos::read(name, report),
            Dialect::Oss => oss::read(report),
            _ => s3::read(report),
        }
    }

    /// Bytes of all data files whose sizes are stated.
    pub fn data_bytes(&self) -> u64 {
        self.files.iter().filter_map(|file| file.size).fold(0, u64::saturating_add)
    }
}

/// Members that tell clouds apart.
#[derive(Deserialize)]
struct Signs {
    #[serde(alias = "reportShardsFileNames")]
    report_shards_file_names: Option<IgnoredAny>,
    #[serde(alias = "reportNames")]
    report_names: Option<IgnoredAny>,
    #[serde(rename = "ruleDefinition")]
    rule_definition: Option<IgnoredAny>,
    #[serde(rename = "destinationContainer")]
    destination_container: Option<IgnoredAny>,
}

impl Signs {
    fn is_gcs(&self) -> bool {
        self.report_shards_file_names.is_some() || self.report_names.is_some()
    }

    fn is_azure(&self) -> bool {
        self.rule_definition.is_some() || self.destination_container.is_some()
    }
}

/// S3 names the destination by ARN; the others have versions or members of their own.
fn dialect_of(report: &Report) -> Dialect {
    let version = report.version.as_str();
    if report.destination_bucket.starts_with(s3::ARN) {
        warn_of_version(version, &s3::VERSIONS);
        return Dialect::S3;
    }
    if oss::VERSIONS.contains(&version) {
        return Dialect::Oss;
    }
    if cos::wrote(report) {
        return Dialect::Cos;
    }
    let counts_rows = |file: &report::ReportFile| file.md5.is_none() && file.rows.is_some();
    if version == obs::VERSION || (report.creation_timestamp.is_none() && report.files.iter().any(counts_rows)) {
        warn_of_version(version, &[obs::VERSION]);
        return Dialect::Obs;
    }
    warn_of_version(version, &s3::VERSIONS);
    // Imitators of S3 may write a bare name. They count milliseconds.
    let millis = report.digits().is_none_or(|digits| digits.len() > 10);
    if s3::VERSIONS.contains(&version) || millis { Dialect::S3 } else { Dialect::Oss }
}

fn warn_of_version(version: &str, known: &[&str]) {
    if !known.contains(&version) {
        tracing::warn!(version, "the inventory's manifest is of an unknown version; reading it all the same");
    }
}

fn format_of(name: &str) -> Result<InventoryFormat> {
    let formats = [InventoryFormat::Csv, InventoryFormat::Parquet, InventoryFormat::Orc];
    let found = formats.into_iter().find(|format| format.to_string().eq_ignore_ascii_case(name));
    found.ok_or_else(|| Fault::Unsupported(format!("its files are in the format {name:?}")))
}

/// A time at which an inventory can have been made.
fn plausible(time: Timestamp) -> Option<Timestamp> {
    let [first, last] = YEARS.map(Timestamp::parse_rfc3339);
    (Some(time) >= first && Some(time) < last).then_some(time)
}

/// A file may be named twice if both mentions agree.
fn distinct(listed: Vec<DataFile>) -> Result<Vec<DataFile>> {
    let mut seen: HashMap<String, usize> = HashMap::with_capacity(listed.len());
    let mut files: Vec<DataFile> = Vec::with_capacity(listed.len());
    for file in listed {
        match seen.get(&file.key) {
            None => {
                seen.insert(file.key.clone(), files.len());
                files.push(file);
            }
            Some(known) if files[*known] == file => {
                tracing::warn!(file = file.key, "the inventory names a file twice; reading it once");
            }
            Some(_) => return Err(Fault::corrupt(format!("{}: named twice, with different facts", file.key))),
        }
    }
    Ok(files)
}

/// Reads an MD5 in hexadecimal: lower case on S3, upper case on OSS.
pub(crate) fn parse_md5(text: &str) -> Result<[u8; 16]> {
    let mut digest = [0; 16];
    hex::decode_to_slice(text.trim(), &mut digest)
        .map_err(|_| Fault::corrupt(format!("not an MD5 in hexadecimal: {text:.40}")))?;
    Ok(digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NAME: &str = "inv/2026-03-01T12-28Z/manifest.json";

    fn s3() -> serde_json::Value {
        json!({
            "sourceBucket": "photo-store",
            "destinationBucket": "arn:aws:s3:::ops-inventories",
            "version": "2016-11-30",
            "creationTimestamp": "1772326800000",
            "fileFormat": "CSV",
            "fileSchema": "Bucket, Key, Size, LastModifiedDate, ETag, StorageClass",
            "files": [{
                "key": "inv/photo-store/daily/data/3b0d9f6e.csv.gz",
                "size": 4_294_967_296_u64,
                "MD5checksum": "9e107d9d372bb6826bd81d3542a419d6"
            }]
        })
    }

    fn oss() -> serde_json::Value {
        json!({
            "creationTimestamp": "1772380800",
            "destinationBucket": "ops-inventories",
            "fileFormat": "CSV",
            "fileSchema": "Bucket, Key, Size, StorageClass, LastModifiedDate, ETag",
            "files": [{
                "MD5checksum": "9E107D9D372BB6826BD81D3542A419D6",
                "key": "inv/media-store/all/data/7a1c2b5e.csv.gz",
                "size": 12586
            }],
            "sourceBucket": "media-store",
            "version": "2019-09-01"
        })
    }

    fn parse(json: &serde_json::Value) -> Result<InventoryManifest> {
        InventoryManifest::parse(NAME, json.to_string().as_bytes())
    }

    /// The manifest with one member replaced, or removed by a null.
    fn with(mut json: serde_json::Value, member: &str, value: serde_json::Value) -> serde_json::Value {
        match value {
            serde_json::Value::Null => json.as_object_mut().unwrap().remove(member),
            value => json.as_object_mut().unwrap().insert(member.into(), value),
        };
        json
    }

    #[test]
    fn both_clouds_are_understood() {
        let manifest = parse(&s3()).unwrap();
        assert_eq!((manifest.dialect, manifest.destination_bucket.as_str()), (Dialect::S3, "ops-inventories"));
        assert_eq!(manifest.created.to_string(), "2026-03-01T01:00:00.000Z");
        assert_eq!(manifest.data_bytes(), 1 << 32);
        let other = parse(&oss()).unwrap();
        assert_eq!((other.dialect, other.destination_bucket.as_str()), (Dialect::Oss, "ops-inventories"));
        assert_eq!(other.created.to_string(), "2026-03-01T16:00:00.000Z");
        assert_eq!(other.files[0].md5, manifest.files[0].md5);
    }

    #[test]
    fn other_partitions_and_unknown_versions_are_accepted() {
        let china = with(s3(), "destinationBucket", json!("arn:aws-cn:s3:::ops"));
        assert_eq!(parse(&china).unwrap().destination_bucket, "ops");
        let newer = with(s3(), "version", json!("2031-01-01"));
        assert_eq!(parse(&newer).unwrap().dialect, Dialect::S3);
        assert!(parse(&with(s3(), "somethingNew", json!([[1]]))).is_ok());
    }

    #[test]
    fn a_byte_order_mark_is_dropped() {
        let marked = [b"\xef\xbb\xbf", s3().to_string().as_bytes()].concat();
        assert!(InventoryManifest::parse(NAME, &marked).is_ok());
    }

    #[test]
    fn creation_times_outside_of_this_century_are_refused() {
        for impossible in
            [json!("177232680000"), json!("0"), json!("9999999999999"), json!("soon"), json!("-177232680000")]
        {
            let fault = parse(&with(s3(), "creationTimestamp", impossible)).unwrap_err();
            assert!(fault.to_string().contains("creation time"), "{fault}");
        }
        assert!(parse(&with(s3(), "creationTimestamp", json!(1_772_326_800_000_u64))).is_ok());
    }

    #[test]
    fn a_missing_member_is_refused() {
        for member in ["sourceBucket", "destinationBucket", "creationTimestamp", "fileFormat", "fileSchema", "files"] {
            assert!(matches!(parse(&with(s3(), member, json!(null))), Err(Fault::Corrupt(_))), "{member}");
        }
    }

    #[test]
    fn a_file_named_twice_is_read_once_if_both_agree() {
        let file = s3()["files"][0].clone();
        let twice = with(s3(), "files", json!([file, file]));
        assert_eq!(parse(&twice).unwrap().files.len(), 1);
        let mut other = file.clone();
        other["size"] = json!(7);
        assert!(matches!(parse(&with(s3(), "files", json!([file, other]))), Err(Fault::Corrupt(_))));
    }

    #[test]
    fn obs_takes_its_time_from_the_folder_and_both_readings_of_a_key() {
        let text = r#"{ "sourceBucket": "media-store", "destinationBucket": "ops", "version": "2019-01-03",
            "fileFormat": "CSV", "fileSchema": "Bucket,Key,Size,LastModifiedDate,ETag,StorageClass",
            "files": [ { "key": "inv%2Fa+b_1.csv", "size": 10485760, "inventoriedRecord": 110376, } ] }"#;
        let manifest = InventoryManifest::parse(NAME, text.as_bytes()).unwrap();
        assert_eq!(
            (manifest.dialect, manifest.created.to_string().as_str()),
            (Dialect::Obs, "2026-03-01T12:28:00.000Z")
        );
        let file = &manifest.files[0];
        assert_eq!((file.rows, file.md5, file.size), (Some(110_376), None, Some(10_485_760)));
        assert_eq!(file.keys().collect::<Vec<_>>(), ["inv%2Fa+b_1.csv", "inv/a b_1.csv"]);
        assert!(InventoryManifest::parse("inv/elsewhere/manifest.json", text.as_bytes()).is_err());
        let uncounted = text.replace("inventoriedRecord", "records");
        assert!(InventoryManifest::parse(NAME, uncounted.as_bytes()).is_err());
    }

    #[test]
    fn both_editions_of_cos_are_read() {
        let current = json!({
            "sourceAppid": "1250000000", "sourceBucket": "photos",
            "destinationAppid": "1250000000", "destinationBucket": "ops",
            "fileFormat": "CSV", "listObjectCount": "3", "listStorageSize": "30",
            "fileSchema": "Appid, Bucket, Key, Size, LastModifiedDate, ETag, StorageClass",
            "files": [{ "key": "inv/1250000000/photos/daily/ab.csv.gz", "size": "12586",
                "md5Checksum": "9e107d9d372bb6826bd81d3542a419d6" }]
        });
        let name = "inv/1250000000/photos/daily/20260301/manifest.json";
        let manifest = InventoryManifest::parse(name, current.to_string().as_bytes()).unwrap();
        assert_eq!((manifest.dialect, manifest.source_bucket.as_str()), (Dialect::Cos, "photos-1250000000"));
        assert_eq!(manifest.created.to_string(), "2026-03-01T00:00:00.000Z");
        assert_eq!(manifest.files[0].size, Some(12586));
        let mut older = with(s3(), "destinationBucket", json!("ops"));
        older["files"][0]["inventoriedRecord"] = json!("7");
        let manifest = parse(&older).unwrap();
        assert_eq!((manifest.dialect, manifest.files[0].rows), (Dialect::Cos, Some(7)));
        assert_eq!(manifest.created.to_string(), "2026-03-01T01:00:00.000Z");
    }

    #[test]
    fn shards_of_gcs_lie_beside_the_manifest_or_where_a_url_says() {
        let name = "reports/f0e1_2026-03-01T07:00_manifest.json";
        let parse = |json: serde_json::Value| InventoryManifest::parse(name, json.to_string().as_bytes());
        let shards = ["f0e1_2026-03-01T07:00_0.csv", "f0e1_2026-03-01T07:00_1.csv"];
        let manifest = parse(json!({ "report_shards_file_names": shards, "records_processed": "12" })).unwrap();
        assert_eq!((manifest.dialect, manifest.format, manifest.rows), (Dialect::Gcs, InventoryFormat::Csv, Some(12)));
        assert_eq!(manifest.created.to_string(), "2026-03-01T07:00:00.000Z");
        assert_eq!(manifest.files[1].key, "reports/f0e1_2026-03-01T07:00_1.csv");
        let urls = ["gs://ops/reports/x_0.parquet", "gs://ops/reports/x_1.parquet"];
        let manifest = parse(json!({ "reportNames": urls, "snapshot_time": "2026-03-01T06:59:58.5Z" })).unwrap();
        assert_eq!((manifest.format, manifest.destination_bucket.as_str()), (InventoryFormat::Parquet, "ops"));
        assert_eq!(manifest.files[0].key, "reports/x_0.parquet");
        assert_eq!(manifest.created.to_string(), "2026-03-01T06:59:58.500Z");
        for wrong in [
            json!({ "report_shards_file_names": shards, "shard_count": 3 }),
            json!({ "report_shards_file_names": ["a.csv", "b.parquet"] }),
            json!({ "reportNames": ["gs://ops/a.csv", "gs://other/b.csv"] }),
            json!({ "report_shards_file_names": [""] }),
        ] {
            assert!(parse(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn azure_says_itself_whether_it_is_complete() {
        let json = json!({
            "destinationContainer": "ops",
            "endpoint": "https://account.blob.core.windows.net",
            "files": [{ "blob": "2026/03/01/13-25-36/daily/daily.csv", "size": 12710092 }],
            "inventoryStartTime": "2026-03-01T13:25:36Z",
            "ruleDefinition": {
                "filters": {
                    "blobTypes": ["blockBlob"], "prefixMatch": ["photos/a", "photos/b"],
                    "excludePrefix": ["photos/a/tmp", "films/x"]
                },
                "format": "csv", "objectType": "blob", "schedule": "daily",
                "schemaFields": ["Name", "Content-Length", "Last-Modified", "Etag", "AccessTier"]
            },
            "ruleName": "daily", "status": "Succeeded",
            "summary": { "objectCount": 110000, "totalObjectSize": 23789775 }, "version": "1.0"
        });
        let manifest = parse(&json).unwrap();
        assert_eq!((manifest.dialect, manifest.source_bucket.as_str()), (Dialect::Azure, "photos"));
        assert_eq!((manifest.rows, &manifest.not_ready), (Some(110_000), &None));
        let coverage = Coverage {
            prefixes: vec!["a".into(), "b".into()],
            excluded: vec!["a/tmp".into()],
            kinds: vec!["blockblob".into()],
        };
        assert_eq!(manifest.coverage.within(Some("photos")), coverage);
        for status in ["Pending", "Failed", "PartiallySucceeded", "Dreaming"] {
            let other = parse(&with(json.clone(), "status", json!(status))).unwrap();
            assert!(other.not_ready.unwrap().contains(status));
        }
        let pending = with(with(json.clone(), "status", json!("Pending")), "files", json!(null));
        assert_eq!(parse(&pending).unwrap().files, []);
        assert!(parse(&with(json.clone(), "files", json!(null))).is_err());
        let mut other = json.clone();
        other["ruleDefinition"]["filters"]["prefixMatch"] = json!(["photos/a", "other"]);
        assert_eq!(parse(&other).unwrap().source_bucket, "");
        for all in [json!(["photos/a", "photos/"]), json!(["photos/a", "pho"]), json!(null)] {
            other["ruleDefinition"]["filters"]["prefixMatch"] = all;
            let coverage = parse(&other).unwrap().coverage.within(Some("photos"));
            assert_eq!((coverage.prefixes, coverage.excluded), (vec![], vec!["a/tmp".to_owned()]));
        }
        other["ruleDefinition"]["filters"]["prefixMatch"] = json!(["photos/a", "films/b"]);
        let unknown = parse(&other).unwrap().coverage.within(None);
        assert_eq!(unknown.prefixes, ["photos/a", "films/b"]);
        assert_eq!(unknown.excluded, ["a/tmp", "x"]);
        for (prefixes, confined) in [(json!(["photos/", "films/"]), false), (json!(["pho", "films/a"]), true)] {
            other["ruleDefinition"]["filters"]["prefixMatch"] = prefixes;
            assert_eq!(!parse(&other).unwrap().coverage.within(None).prefixes.is_empty(), confined);
        }
        other["ruleDefinition"]["filters"]["blobTypes"] = json!(["pageBlob", "appendBlob", "blockBlob"]);
        assert_eq!(parse(&other).unwrap().coverage.kinds, [""; 0]);
        other["ruleDefinition"]["filters"]["creationTime"] = json!({ "lastNDays": 30 });
        assert!(matches!(parse(&other), Err(Fault::Unsupported(_))));
        other["ruleDefinition"]["filters"]["creationTime"] = json!(null);
        other["ruleDefinition"]["objectType"] = json!("container");
        assert!(matches!(parse(&other), Err(Fault::Unsupported(_))));
    }

    #[test]
    fn nested_and_cut_json_is_refused() {
        let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(InventoryManifest::parse(NAME, nested.as_bytes()).is_err());
        let whole = s3().to_string();
        for end in 0..whole.len() {
            assert!(InventoryManifest::parse(NAME, &whole.as_bytes()[..end]).is_err());
        }
    }
}
