//! Manifests of the incremental inventories of Alibaba Cloud OSS (Alibaba Cloud,
//! "Use bucket inventory", Chinese edition).
//!
//! Like those of full inventories, of version `2025-09-30`, but instead of one time
//! they state a span: `startTimestamp` and `endTimestamp`, in seconds. Data files
//! hold the events of that span, in plain CSV inside the dated folder.

use serde::Deserialize;
use stocktake_core::{InventoryFormat, Timestamp};

use super::json::{self, Number};
use super::report::{Report, scan_start};
use super::{Dialect, InventoryManifest};
use crate::fault::{Fault, Result};

/// The manifest of an incremental inventory, decoded and checked in itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeltaManifest {
    /// Where its span begins.
    pub start: Timestamp,
    /// Where its span ends, which is not before `start`. Events at this very time may be in the next one.
    pub end: Timestamp,
    /// All that it states as full inventories do. Its `created` is `end`.
    pub manifest: InventoryManifest,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Span {
    start_timestamp: Number,
    end_timestamp: Number,
}

impl DeltaManifest {
    /// Decodes the bytes of a manifest.
    ///
    /// # Errors
    /// As [`InventoryManifest::parse`]; also when the span is missing or ends before it begins.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let text = json::without_last_commas(bytes);
        let span: Span = json::decode(&text)?;
        let (start, end) = (scan_start(&span.start_timestamp.text())?, scan_start(&span.end_timestamp.text())?);
        if end < start {
            return Err(Fault::corrupt(format!("its span ends at {end}, before it begins at {start}")));
        }
        let report: Report = json::decode(&text)?;
        let manifest = report.with_checksums(Dialect::Oss, end)?;
        if manifest.format != InventoryFormat::Csv {
            return Err(Fault::Unsupported(format!("its events are written in {}", manifest.format)));
        }
        Ok(Self { start, end, manifest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn delta() -> Value {
        json!({
            "startTimestamp": "1772380800", "endTimestamp": 1_772_381_400,
            "sourceBucket": "media-store", "destinationBucket": "ops-inventories", "version": "2025-09-30",
            "fileFormat": "CSV", "fileSchema": "Bucket, Key, SequenceNumber, RecordType, RecordTimestamp, Size",
            "files": [{ "key": "inv/media-store/all/incremental_inventory/2026-03-01T16-0000Z/data/7a1c_0.csv",
                "size": 12586, "MD5checksum": "9E107D9D372BB6826BD81D3542A419D6" }]
        })
    }

    #[test]
    fn a_span_stands_for_the_time() {
        let read = DeltaManifest::parse(delta().to_string().as_bytes()).unwrap();
        assert_eq!((read.start.to_string(), read.end.to_string()).0, "2026-03-01T16:00:00.000Z");
        assert_eq!((read.end, read.manifest.created), (read.start.max(read.end), read.end));
        assert_eq!((read.manifest.dialect, read.manifest.files.len()), (Dialect::Oss, 1));
    }

    #[test]
    fn a_span_that_cannot_be_is_refused() {
        for (member, value) in [
            ("startTimestamp", json!("1772381401")),
            ("endTimestamp", json!("soon")),
            ("endTimestamp", json!("17723814")),
            ("fileFormat", json!("ORC")),
        ] {
            let mut wrong = delta();
            wrong[member] = value;
            assert!(DeltaManifest::parse(wrong.to_string().as_bytes()).is_err(), "{wrong}");
        }
        let full = json!({ "creationTimestamp": "1772380800" });
        assert!(DeltaManifest::parse(full.to_string().as_bytes()).is_err());
    }

    #[test]
    fn a_list_of_events_is_no_list_of_objects() {
        let fault = InventoryManifest::parse("a/manifest.json", delta().to_string().as_bytes()).unwrap_err();
        assert!(fault.to_string().contains("incremental"), "{fault}");
    }
}
