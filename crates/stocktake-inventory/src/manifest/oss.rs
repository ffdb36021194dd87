//! Manifests of Alibaba Cloud OSS (Alibaba Cloud, "Use bucket inventory").
//!
//! As S3 writes them, but the destination is a bare name, the scan's start counts
//! seconds, and checksums are in upper case.

use super::report::Report;
use super::{Dialect, InventoryManifest};
use crate::fault::Result;

/// The version of full inventories, and that of incremental ones.
pub(super) const VERSIONS: [&str; 2] = ["2019-09-01", "2025-09-30"];

pub(super) fn read(report: Report) -> Result<InventoryManifest> {
    let created = report.stated_time()?;
    report.with_checksums(Dialect::Oss, created)
}
