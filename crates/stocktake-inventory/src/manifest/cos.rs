//! Manifests of Tencent Cloud COS (Tencent COS, "Inventory Overview").
//!
//! The current edition writes account ids (`sourceAppid`, `destinationAppid`), all
//! numbers in quotes, `md5Checksum` with a small m, and no creation time: only the
//! folder tells the day. An older edition has the members of S3, and rows in
//! `inventoriedRecord`; that is how it is told from S3. Either has `Appid` for its
//! first column.
//!
//! A bucket's name ends in the account's id on COS, as in `photos-1250000000`; in
//! manifests and rows the id may be left out.

use super::json::Number;
use super::report::Report;
use super::{Dialect, InventoryManifest};
use crate::fault::{Fault, Result};
use crate::names;

/// Whether a manifest whose destination is no ARN is one of COS.
pub(super) fn wrote(report: &Report) -> bool {
    let has_ids = report.source_appid.is_some() || report.destination_appid.is_some();
    let has_column = report.file_schema.split(',').any(|column| column.trim().eq_ignore_ascii_case("appid"));
    has_ids || has_column || report.files.iter().any(|file| file.md5.is_some() && file.rows.is_some())
}

pub(super) fn read(name: &str, mut report: Report) -> Result<InventoryManifest> {
    let created = match report.creation_timestamp {
        Some(_) => report.stated_time()?,
        None => names::named_time(name)
            .ok_or_else(|| Fault::corrupt("it has no creation time, and its folder is named for no day"))?,
    };
    if let Some(id) = report.source_appid.as_ref().map(Number::text)
        && !id.is_empty()
        && !report.source_bucket.ends_with(&format!("-{id}"))
    {
        report.source_bucket = format!("{}-{id}", report.source_bucket);
    }
    report.with_checksums(Dialect::Cos, created)
}

/// Whether two names are of one bucket: the same, but for an account's id.
pub(crate) fn same_bucket(one: &[u8], other: &[u8]) -> bool {
    let adds_id = |long: &[u8], short: &[u8]| match long.strip_prefix(short).and_then(|rest| rest.strip_prefix(b"-")) {
        Some(id) => !id.is_empty() && id.iter().all(u8::is_ascii_digit),
        None => false,
    };
    one == other || adds_id(one, other) || adds_id(other, one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_the_same_with_its_accounts_id() {
        assert!(same_bucket(b"photos", b"photos-125") && same_bucket(b"photos-125", b"photos"));
        for other in [&b"photos-"[..], b"photos-raw", b"photo", b"photos125", b""] {
            assert!(!same_bucket(b"photos", other));
        }
    }
}
