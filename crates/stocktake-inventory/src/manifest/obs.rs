//! Manifests of Huawei Cloud OBS (Huawei OBS, "Bucket Inventory Overview").
//!
//! There is no checksum, neither of files nor of the manifest, and no creation
//! time: the dated folder is named for it. Instead, every file states its number
//! of rows. Keys of files are URL-encoded in the documented sample, so that both
//! readings of one are kept. The sample also ends a file with a comma.

use stocktake_core::Timestamp;

use super::report::{Report, lacks};
use super::{Dialect, InventoryManifest};
use crate::fault::{Fault, Result};
use crate::names;
use crate::text::decode_key;

/// The version of the documented sample.
pub(super) const VERSION: &str = "2019-01-03";

pub(super) fn read(name: &str, report: Report) -> Result<InventoryManifest> {
    let created = match report.creation_timestamp {
        Some(_) => report.stated_time()?,
        None => named_time(name)?,
    };
    let mut manifest = report.into_manifest(Dialect::Obs, created, |file| match file.rows {
        Some(_) => Ok(()),
        // Without it, nothing would show that rows are missing.
        None => Err(lacks("inventoriedRecord")),
    })?;
    for file in &mut manifest.files {
        file.other_key = decoded(&file.key);
    }
    Ok(manifest)
}

fn named_time(name: &str) -> Result<Timestamp> {
    let folder = names::last_segment(names::folder(name));
    names::folder_time(folder)
        .ok_or_else(|| Fault::corrupt(format!("it has no creationTimestamp, and its folder {folder:?} is no time")))
}

/// The key that a text encodes, if that is another.
fn decoded(text: &str) -> Option<String> {
    let mut key = Vec::new();
    decode_key(text.as_bytes(), &mut key).ok()?;
    String::from_utf8(key).ok().filter(|key| key != text)
}
