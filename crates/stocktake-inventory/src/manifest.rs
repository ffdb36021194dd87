//! The manifest of an inventory: the report's own statement of what it consists of.
//!
//! Amazon S3 ("Locating your inventory list") and Alibaba Cloud OSS ("Use bucket
//! inventory") write nearly the same JSON and differ in small, treacherous ways:
//! the unit of the creation time, the form of the destination bucket, the case of
//! checksums.

use std::collections::HashMap;

use serde::Deserialize;
use stocktake_core::{InventoryFormat, Timestamp};

use crate::fault::{Fault, Result};
use crate::schema::Schema;

/// The largest manifest that is read, in bytes: enough for some 400,000 data files.
pub const MAX_MANIFEST_BYTES: u64 = 64 << 20;

/// What is earlier can't be an inventory; what is later was read in the wrong unit.
const YEARS: [&str; 2] = ["2006-01-01T00:00:00Z", "2101-01-01T00:00:00Z"];

/// Whose conventions an inventory follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Amazon S3, and stores that imitate it.
    S3,
    /// Alibaba Cloud OSS.
    Oss,
}

/// A manifest, decoded and checked in itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InventoryManifest {
    /// Whose conventions it follows.
    pub dialect: Dialect,
    /// The bucket that was listed.
    pub source_bucket: String,
    /// The bucket that the inventory was delivered to, as a bare name.
    pub destination_bucket: String,
    /// When the scan began.
    pub created: Timestamp,
    /// How data files are written.
    pub format: InventoryFormat,
    /// The columns, as the manifest states them. In columnar formats the files' own statement wins.
    pub schema: Schema,
    /// The data files, in order, none twice.
    pub files: Vec<DataFile>,
}

/// A data file of an inventory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataFile {
    /// Its key in the destination bucket. Not URL-encoded, and never a path on a disk.
    pub key: String,
    /// Its size in bytes, as stored.
    pub size: u64,
    /// The MD5 of its bytes, as stored.
    pub md5: [u8; 16],
}

impl InventoryManifest {
    /// Decodes the bytes of a `manifest.json`.
    ///
    /// An unknown `version` is accepted, and so are members that are not known.
    ///
    /// # Errors
    /// [`Fault::Corrupt`] when a member is missing or impossible, or a file is
    /// named twice with different facts. [`Fault::Unsupported`] for a format that no version knows.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let json: Json = serde_json::from_slice(bytes)
            .map_err(|error| Fault::corrupt(format!("its manifest can't be read: {error}")))?;
        let format = format_of(&json.file_format)?;
        let digits = match &json.creation_timestamp {
            NumberOrText::Number(number) => number.to_string(),
            NumberOrText::Text(text) => text.trim().to_owned(),
        };
        let dialect = dialect_of(&json, &digits);
        Ok(Self {
            dialect,
            destination_bucket: bare_bucket(&json.destination_bucket).to_owned(),
            source_bucket: json.source_bucket,
            created: created(&digits)?,
            format,
            schema: Schema::parse(&json.file_schema, format)?,
            files: files(json.files)?,
        })
    }

    /// Bytes of all data files.
    pub fn data_bytes(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.size))
    }
}

/// The members as they are written. Numbers of 64 bits: the documented example
/// already shows a file of 2,147,483,647 bytes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Json {
    source_bucket: String,
    destination_bucket: String,
    #[serde(default)]
    version: String,
    creation_timestamp: NumberOrText,
    file_format: String,
    file_schema: String,
    files: Vec<JsonFile>,
}

#[derive(Deserialize)]
struct JsonFile {
    key: String,
    size: u64,
    #[serde(rename = "MD5checksum", alias = "md5Checksum")]
    md5: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum NumberOrText {
    Number(u64),
    Text(String),
}

fn format_of(name: &str) -> Result<InventoryFormat> {
    let formats = [InventoryFormat::Csv, InventoryFormat::Parquet, InventoryFormat::Orc];
    let found = formats.into_iter().find(|format| format.to_string().eq_ignore_ascii_case(name));
    found.ok_or_else(|| Fault::Unsupported(format!("its files are in the format {name:?}")))
}

/// S3 names the destination by ARN; OSS has versions of its own, and counts seconds.
fn dialect_of(json: &Json, digits: &str) -> Dialect {
    const S3: [&str; 2] = ["2016-11-30", "2021-11-30"];
    const OSS: [&str; 2] = ["2019-09-01", "2025-09-30"];
    let version = json.version.as_str();
    if !S3.contains(&version) && !OSS.contains(&version) {
        tracing::warn!(version, "the inventory's manifest is of an unknown version; reading it all the same");
    }
    let is_s3 = json.destination_bucket.starts_with("arn:")
        || (!OSS.contains(&version) && (S3.contains(&version) || digits.len() > 10));
    if is_s3 { Dialect::S3 } else { Dialect::Oss }
}

/// The bucket's name in `arn:aws:s3:::name`, of whatever partition, or the bare name itself.
fn bare_bucket(text: &str) -> &str {
    text.rsplit_once(":::").map_or(text, |(_, name)| name)
}

/// S3 counts milliseconds, OSS seconds; the number of digits tells them apart for a long time to come.
fn created(digits: &str) -> Result<Timestamp> {
    let impossible = || Fault::corrupt(format!("its creation time is impossible: {:.40}", digits));
    let number: i64 = digits.parse().map_err(|_| impossible())?;
    let time = Timestamp::from_millis(match digits.len() {
        13 => number,
        10 => number * 1000,
        _ => return Err(impossible()),
    });
    let [first, last] = YEARS.map(Timestamp::parse_rfc3339);
    if Some(time) >= first && Some(time) < last { Ok(time) } else { Err(impossible()) }
}

/// A file may be named twice if both mentions agree.
fn files(listed: Vec<JsonFile>) -> Result<Vec<DataFile>> {
    let mut seen: HashMap<String, usize> = HashMap::with_capacity(listed.len());
    let mut files: Vec<DataFile> = Vec::with_capacity(listed.len());
    for JsonFile { key, size, md5 } in listed {
        let file = DataFile { md5: parse_md5(&md5).map_err(|fault| fault.within(&key))?, key, size };
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
        .map_err(|_| Fault::corrupt(format!("not an MD5 in hexadecimal: {:.40}", text)))?;
    Ok(digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
        InventoryManifest::parse(json.to_string().as_bytes())
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
        assert!(InventoryManifest::parse(&marked).is_ok());
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
    fn nested_and_cut_json_is_refused() {
        let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(InventoryManifest::parse(nested.as_bytes()).is_err());
        let whole = s3().to_string();
        for end in 0..whole.len() {
            assert!(InventoryManifest::parse(&whole.as_bytes()[..end]).is_err());
        }
    }
}
