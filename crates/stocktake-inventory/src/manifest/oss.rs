//! Manifests of Alibaba Cloud OSS (Alibaba Cloud, "Use bucket inventory").
//!
//! As S3 writes them, but the destination is a bare name, the scan's start counts
//! seconds, and checksums are in upper case.

use super::report::Report;
use super::{Dialect, InventoryManifest};
use crate::fault::{Fault, Result};

/// The version of full inventories, and that of incremental ones.
pub(super) const VERSIONS: [&str; 2] = ["2019-09-01", "2025-09-30"];

pub(super) fn read(report: Report) -> Result<InventoryManifest> {
    if report.version == VERSIONS[1] && report.creation_timestamp.is_none() {
        let problem = "it is an incremental inventory, which is read only in a folder named incremental_inventory";
        return Err(Fault::Unsupported(problem.into()));
    }
    let created = report.stated_time()?;
    report.with_checksums(Dialect::Oss, created)
}
