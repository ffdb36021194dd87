//! The names that an inventory's parts have in their bucket.
//!
//! The layout is that of AWS, "Locating your inventory list", which OSS follows:
//! `[prefix/]source-bucket/config-id/2026-03-01T01-00Z/manifest.json`, beside it
//! `manifest.checksum`, and on S3 `hive/dt=2026-03-01-01-00/symlink.txt` in the
//! configuration's folder.

use chrono::{DateTime, NaiveDateTime, Utc};
use stocktake_core::Timestamp;

pub(crate) const MANIFEST: &str = "manifest.json";
pub(crate) const CHECKSUM: &str = "manifest.checksum";

const FOLDER_FORMAT: &str = "%Y-%m-%dT%H-%MZ";
const SYMLINK_FORMAT: &str = "hive/dt=%Y-%m-%d-%H-%M/symlink.txt";

/// The folder of a name, without the slash at its end; empty at the root.
pub(crate) fn folder(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// A name in a folder, which may be the root.
pub(crate) fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// The folder of a configuration, which holds the dated folder of this manifest.
pub(crate) fn configuration(manifest: &str) -> &str {
    folder(folder(manifest))
}

/// The checksum that belongs to a manifest.
pub(crate) fn checksum_of(manifest: &str) -> String {
    join(folder(manifest), CHECKSUM)
}

/// The symlink file that belongs to a manifest in a dated folder.
pub(crate) fn symlink_of(manifest: &str) -> Option<String> {
    let created = folder_time(last_segment(folder(manifest)))?;
    Some(join(configuration(manifest), &utc(created)?.format(SYMLINK_FORMAT).to_string()))
}

/// The time in the name of a dated folder, to the minute.
pub(crate) fn folder_time(segment: &str) -> Option<Timestamp> {
    let time = NaiveDateTime::parse_from_str(segment, FOLDER_FORMAT).ok()?;
    // The format is looser than the names are.
    let exact = time.format(FOLDER_FORMAT).to_string() == segment;
    exact.then(|| Timestamp::from_millis(time.and_utc().timestamp_millis()))
}

/// The name of the dated folder of a scan that began then.
pub(crate) fn dated_folder(created: Timestamp) -> Option<String> {
    Some(utc(created)?.format(FOLDER_FORMAT).to_string())
}

/// The last part of a name.
pub(crate) fn last_segment(name: &str) -> &str {
    name.rsplit_once('/').map_or(name, |(_, last)| last)
}

fn utc(time: Timestamp) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(time.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_from_the_manifest() {
        let manifest = "inv/photos/daily/2026-03-01T01-00Z/manifest.json";
        assert_eq!(configuration(manifest), "inv/photos/daily");
        assert_eq!(checksum_of(manifest), "inv/photos/daily/2026-03-01T01-00Z/manifest.checksum");
        let symlink = "inv/photos/daily/hive/dt=2026-03-01-01-00/symlink.txt";
        assert_eq!(symlink_of(manifest).as_deref(), Some(symlink));
        assert_eq!(symlink_of("elsewhere/manifest.json"), None);
        assert_eq!(checksum_of(MANIFEST), CHECKSUM);
    }

    #[test]
    fn dated_folders_are_told_from_others() {
        let created = folder_time("2026-03-01T01-00Z").unwrap();
        assert_eq!(dated_folder(created).as_deref(), Some("2026-03-01T01-00Z"));
        for other in ["data", "2026-03-01", "2026-3-1T1-0Z", "2026-13-01T01-00Z", "2026-03-01T01-00-00Z"] {
            assert_eq!(folder_time(other), None, "{other}");
        }
    }
}
