//! Manifests of Amazon S3 (AWS, "Locating your inventory list").
//!
//! The destination is an ARN, the scan's start counts milliseconds, checksums are
//! in lower case. A `manifest.checksum` beside it says that delivery is complete.

use super::report::Report;
use super::{Dialect, InventoryManifest};
use crate::fault::Result;

/// The versions of the documentation, and of manifests that Batch Operations make.
pub(super) const VERSIONS: [&str; 2] = ["2016-11-30", "2021-11-30"];

/// What the destination of an S3 manifest begins with, in whatever partition.
pub(super) const ARN: &str = "arn:";

pub(super) fn read(report: Report) -> Result<InventoryManifest> {
    let created = report.stated_time()?;
    report.with_checksums(Dialect::S3, created)
}
