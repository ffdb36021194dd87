//! The names that an inventory's parts have in their bucket.
//!
//! Most follow AWS, "Locating your inventory list":
//! `[prefix/]source-bucket/config-id/2026-03-01T01-00Z/manifest.json`, beside it
//! `manifest.checksum`, and on S3 `hive/dt=2026-03-01-01-00/symlink.txt` in the
//! configuration's folder. The others:
//!
//! - Huawei OBS, "Bucket Inventory Overview": no checksum; the symlink's folder ends in `-00-00`.
//! - Tencent COS, "Inventory Overview": the dated folder is `20260301`.
//! - Google, "Storage Insights inventory reports": `<uuid>_2026-03-01T07:00_manifest.json`
//!   in one folder with all shards, no checksum.
//! - Microsoft, "Azure Storage blob inventory":
//!   `2026/03/01/13-25-36/<rule>/<rule>-manifest.json` with `<rule>-manifest.checksum`.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use stocktake_core::Timestamp;

use crate::manifest::Dialect;

/// What the names of all manifests, and of their checksums, end in.
pub(crate) const MANIFEST: &str = "manifest.json";
pub(crate) const CHECKSUM: &str = "manifest.checksum";

/// The folder, beside the dated ones of a configuration, that OSS puts incremental inventories into.
pub(crate) const INCREMENTAL: &str = "incremental_inventory";

const FOLDER_FORMAT: &str = "%Y-%m-%dT%H-%MZ";
const DELTA_FORMAT: &str = "%Y-%m-%dT%H-%M%SZ";
const DAY_FORMAT: &str = "%Y%m%d";
const REPORT_FORMATS: [&str; 2] = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H-%M"];
const RUN_FORMAT: &str = "%Y/%m/%d/%H-%M-%S";
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

/// The folder that other inventories can be in which name files of this one. A run
/// of Azure has a folder of its own, and so have its files.
pub(crate) fn sharing_folder(manifest: &str, dialect: Dialect) -> &str {
    match dialect {
        Dialect::Gcs | Dialect::Azure => folder(manifest),
        _ => configuration(manifest),
    }
}

/// Whether a name lies in a folder, which is empty for the root, or in one below it.
pub(crate) fn is_below(name: &str, folder: &str) -> bool {
    folder.is_empty() || name.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

/// What all manifests of a configuration have in common, and no others.
///
/// Most clouds give a configuration a folder. Google puts the reports of several
/// into one and tells them apart by the id before the date; Azure has a folder for
/// each run, and in it one for each rule.
pub(crate) fn configuration_id(manifest: &str) -> String {
    const DATE_BYTES: usize = "2026-03-01T00:00".len();
    let before = manifest.strip_suffix(MANIFEST).unwrap_or(manifest);
    if before.ends_with('_') {
        let id = before.len().saturating_sub(DATE_BYTES + 2);
        return before.get(..id).unwrap_or(before).to_owned();
    }
    if before.ends_with('-') {
        let rule = folder(manifest);
        let container = (0..5).fold(rule, |below, _| folder(below));
        return join(container, last_segment(rule));
    }
    configuration(manifest).to_owned()
}

/// Whether a name is one that manifests have, wherever they are.
pub(crate) fn is_manifest(name: &str) -> bool {
    let before = last_segment(name).strip_suffix(MANIFEST);
    before.is_some_and(|before| before.is_empty() || before.ends_with(['-', '_']))
}

/// The checksum that belongs to a manifest.
pub(crate) fn checksum_of(manifest: &str) -> String {
    format!("{}{CHECKSUM}", manifest.strip_suffix(MANIFEST).unwrap_or(manifest))
}

/// The symlink file that belongs to a manifest in a dated folder.
pub(crate) fn symlink_of(manifest: &str, dialect: Dialect) -> Option<String> {
    let created = utc(folder_time(last_segment(folder(manifest)))?)?;
    let named = match dialect {
        Dialect::S3 | Dialect::Oss => created,
        Dialect::Obs => created.date_naive().and_time(NaiveTime::MIN).and_utc(),
        _ => return None,
    };
    Some(join(configuration(manifest), &named.format(SYMLINK_FORMAT).to_string()))
}

/// The time that is in the name of a manifest or of its folder; `None` where it
/// has none, so that it is not where a cloud would put it.
pub(crate) fn named_time(manifest: &str) -> Option<Timestamp> {
    let (above, own) = (folder(manifest), last_segment(manifest));
    match own.strip_suffix(MANIFEST)? {
        "" => folder_time(last_segment(above)).or_else(|| day(last_segment(above))),
        before => {
            let rule = before.strip_suffix('-').filter(|rule| *rule == last_segment(above));
            report_time(own).or_else(|| rule.and_then(|_| run_time(folder(above))))
        }
    }
}

/// The time in the name of a dated folder, to the minute.
pub(crate) fn folder_time(segment: &str) -> Option<Timestamp> {
    parse(segment, FOLDER_FORMAT)
}

/// The time in the name of an incremental inventory's folder.
pub(crate) fn delta_time(segment: &str) -> Option<Timestamp> {
    parse(segment, DELTA_FORMAT)
}

/// The folder of incremental inventories that a path is, or is in.
pub(crate) fn incremental_folder(path: &str) -> Option<&str> {
    let mut end = 0;
    path.split('/').find_map(|segment| {
        end += segment.len() + 1;
        (segment == INCREMENTAL).then(|| &path[..end - 1])
    })
}

/// The day that a folder of COS is named for.
fn day(segment: &str) -> Option<Timestamp> {
    let day = NaiveDate::parse_from_str(segment, DAY_FORMAT).ok()?;
    let exact = day.format(DAY_FORMAT).to_string() == segment;
    exact.then(|| timestamp(day.and_time(NaiveTime::MIN)))
}

/// The time in `<uuid>_2026-03-01T07:00_manifest.json`. Where it was copied to, a
/// colon may not have been possible.
pub(crate) fn report_time(segment: &str) -> Option<Timestamp> {
    let time = segment.strip_suffix(MANIFEST)?.strip_suffix('_')?.rsplit_once('_')?.1;
    REPORT_FORMATS.into_iter().find_map(|format| parse(time, format))
}

/// The time in the last folders of `container/2026/03/01/13-25-36`.
fn run_time(folder: &str) -> Option<Timestamp> {
    let start = folder.rmatch_indices('/').nth(3).map_or(0, |(slash, _)| slash + 1);
    parse(&folder[start..], RUN_FORMAT)
}

fn parse(text: &str, format: &str) -> Option<Timestamp> {
    let time = NaiveDateTime::parse_from_str(text, format);
    // Formats are looser than names are.
    time.ok().filter(|time| time.format(format).to_string() == text).map(timestamp)
}

fn timestamp(time: NaiveDateTime) -> Timestamp {
    Timestamp::from_millis(time.and_utc().timestamp_millis())
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
    fn deliveries_of_a_configuration_have_one_id() {
        let same = [
            ["inv/photos/daily/2026-03-01T01-00Z/manifest.json", "inv/photos/daily/2026-03-02T01-00Z/manifest.json"],
            ["r/1f2e_2026-03-01T07:00_manifest.json", "r/1f2e_2026-03-02T07:00_manifest.json"],
            ["inv/2026/03/01/13-25-36/all/all-manifest.json", "inv/2026/03/02/13-25-36/all/all-manifest.json"],
        ];
        let other = [
            "inv/photos/weekly/2026-03-01T01-00Z/manifest.json",
            "r/77aa_2026-03-01T07:00_manifest.json",
            "inv/2026/03/01/13-25-36/logs/logs-manifest.json",
        ];
        for ([one, two], other) in same.into_iter().zip(other) {
            assert_eq!(configuration_id(one), configuration_id(two));
            assert_ne!(configuration_id(one), configuration_id(other));
        }
    }

    #[test]
    fn names_follow_from_the_manifest() {
        let manifest = "inv/photos/daily/2026-03-01T01-00Z/manifest.json";
        assert_eq!(configuration(manifest), "inv/photos/daily");
        assert_eq!(checksum_of(manifest), "inv/photos/daily/2026-03-01T01-00Z/manifest.checksum");
        let symlink = "inv/photos/daily/hive/dt=2026-03-01-01-00/symlink.txt";
        assert_eq!(symlink_of(manifest, Dialect::S3).as_deref(), Some(symlink));
        let midnight = "inv/photos/daily/hive/dt=2026-03-01-00-00/symlink.txt";
        assert_eq!(symlink_of(manifest, Dialect::Obs).as_deref(), Some(midnight));
        assert_eq!(symlink_of("elsewhere/manifest.json", Dialect::S3), None);
        assert_eq!(checksum_of(MANIFEST), CHECKSUM);
        assert_eq!(checksum_of("a/daily/daily-manifest.json"), "a/daily/daily-manifest.checksum");
    }

    #[test]
    fn every_clouds_manifests_are_told_by_their_names() {
        let cases = [
            ("inv/photos/daily/2026-03-01T01-00Z/manifest.json", "2026-03-01T01:00:00.000Z"),
            ("inv/125/photos/daily/20260301/manifest.json", "2026-03-01T00:00:00.000Z"),
            ("fc95c52f-157a_2026-03-01T07:00_manifest.json", "2026-03-01T07:00:00.000Z"),
            ("copy/fc95c52f-157a_2026-03-01T07-00_manifest.json", "2026-03-01T07:00:00.000Z"),
            ("2026/03/01/13-25-36/daily/daily-manifest.json", "2026-03-01T13:25:36.000Z"),
            ("copy/2026/03/01/13-25-36/daily/daily-manifest.json", "2026-03-01T13:25:36.000Z"),
        ];
        for (name, time) in cases {
            assert_eq!(named_time(name).map(|time| time.to_string()).as_deref(), Some(time), "{name}");
            assert!(is_manifest(name));
        }
        for name in [
            "manifest.json",
            "inv/2026031/manifest.json",
            "inv/20261301/manifest.json",
            "inv/notes/manifest.json",
            "a_2026-03-01_manifest.json",
            "2026-03-01T07:00_manifest.json",
            "2026/03/01/13-25-36/daily/weekly-manifest.json",
            "03/01/13-25-36/daily/daily-manifest.json",
            "26/03/01/13-25-36/daily/daily-manifest.json",
        ] {
            assert_eq!(named_time(name), None, "{name}");
        }
        assert!(!is_manifest("inv/mymanifest.json") && !is_manifest("inv/manifest.jsonl"));
    }

    #[test]
    fn incremental_inventories_are_found_in_their_folder() {
        assert_eq!(incremental_folder("inv/a/incremental_inventory"), Some("inv/a/incremental_inventory"));
        let manifest = "inv/a/incremental_inventory/2026-03-01T16-1000Z/manifest.json";
        assert_eq!(incremental_folder(manifest), Some("inv/a/incremental_inventory"));
        assert_eq!(incremental_folder("incremental_inventory/x"), Some("incremental_inventory"));
        assert_eq!(incremental_folder("inv/incremental_inventory2/x"), None);
        assert_eq!(delta_time("2026-03-01T16-1000Z").unwrap().to_string(), "2026-03-01T16:10:00.000Z");
        assert_eq!(delta_time("2026-03-01T16-10Z"), None);
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
