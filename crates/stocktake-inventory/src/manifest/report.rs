//! The members that the manifests of Amazon S3, OSS, OBS and COS have in common.
//!
//! They write nearly the same JSON and differ in small, treacherous ways: the unit
//! of the creation time, the form of the destination bucket, the case of
//! checksums. What is a cloud's own stands in its file.

use serde::Deserialize;
use serde::de::IgnoredAny;
use stocktake_core::{Coverage, Timestamp};

use super::json::Number;
use super::{DataFile, Dialect, InventoryManifest, distinct, format_of, parse_md5, plausible};
use crate::fault::{Fault, Result};
use crate::schema::Schema;

/// A manifest as it is written.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    pub(super) source_bucket: String,
    pub(super) destination_bucket: String,
    #[serde(default)]
    pub(super) version: String,
    pub(super) creation_timestamp: Option<Number>,
    pub(super) file_format: String,
    pub(super) file_schema: String,
    pub(super) files: Vec<ReportFile>,
    pub(super) source_appid: Option<Number>,
    pub(super) destination_appid: Option<IgnoredAny>,
}

/// A data file as it is written. Sizes take 64 bits: the documented example of S3
/// already shows one of 2,147,483,647 bytes.
#[derive(Deserialize)]
pub(super) struct ReportFile {
    pub(super) key: String,
    pub(super) size: Number,
    #[serde(rename = "MD5checksum", alias = "md5Checksum")]
    pub(super) md5: Option<String>,
    #[serde(rename = "inventoriedRecord")]
    pub(super) rows: Option<Number>,
}

impl Report {
    /// The digits of the creation time, if it is stated.
    pub(super) fn digits(&self) -> Option<String> {
        self.creation_timestamp.as_ref().map(Number::text)
    }

    /// The start of the scan, where the manifest has to state it.
    pub(super) fn stated_time(&self) -> Result<Timestamp> {
        let digits = self.digits().ok_or_else(|| lacks("creationTimestamp"))?;
        scan_start(&digits)
    }

    /// The manifest, of a cloud that states an MD5 of every file.
    pub(super) fn with_checksums(self, dialect: Dialect, created: Timestamp) -> Result<InventoryManifest> {
        self.into_manifest(dialect, created, |file| match file.md5 {
            Some(_) => Ok(()),
            None => Err(lacks("MD5checksum")),
        })
    }

    /// The manifest. `check` says whether a file is stated as this cloud does it.
    pub(super) fn into_manifest(
        self,
        dialect: Dialect,
        created: Timestamp,
        check: impl Fn(&ReportFile) -> Result<()>,
    ) -> Result<InventoryManifest> {
        let format = format_of(&self.file_format)?;
        let files = self
            .files
            .into_iter()
            .map(|file| check(&file).and_then(|()| file.data_file()).map_err(|fault| fault.within(&file.key)));
        Ok(InventoryManifest {
            dialect,
            destination_bucket: bare_bucket(&self.destination_bucket).to_owned(),
            source_bucket: self.source_bucket,
            created,
            format,
            schema: Some(Schema::parse(&self.file_schema, format)?),
            files: distinct(files.collect::<Result<_>>()?)?,
            rows: None,
            not_ready: None,
            coverage: Coverage::default(),
        })
    }
}

impl ReportFile {
    fn data_file(&self) -> Result<DataFile> {
        Ok(DataFile {
            key: self.key.clone(),
            other_key: None,
            size: Some(self.size.value("size")?),
            md5: self.md5.as_deref().map(parse_md5).transpose()?,
            rows: self.rows.as_ref().map(|rows| rows.value("inventoriedRecord")).transpose()?,
        })
    }
}

pub(super) fn lacks(member: &str) -> Fault {
    Fault::corrupt(format!("its manifest has no {member}"))
}

/// The bucket's name in `arn:aws:s3:::name`, of whatever partition, or the bare name itself.
fn bare_bucket(text: &str) -> &str {
    text.rsplit_once(":::").map_or(text, |(_, name)| name)
}

/// S3 counts milliseconds, OSS seconds; the number of digits tells them apart for a long time to come.
pub(super) fn scan_start(digits: &str) -> Result<Timestamp> {
    let impossible = || Fault::corrupt(format!("its creation time is impossible: {digits:.40}"));
    let number: i64 = digits.parse().map_err(|_| impossible())?;
    let time = Timestamp::from_millis(match digits.len() {
        13 => number,
        10 => number * 1000,
        _ => return Err(impossible()),
    });
    plausible(time).ok_or_else(impossible)
}
