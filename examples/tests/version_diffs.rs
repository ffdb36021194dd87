//! Inventories of all versions, in every format and in any order, compared by the program: its
//! rows are those that the history of each key has by itself.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use serde_json::{Value, json};
use stocktake::{Entry, EntryFlags, InventoryVersions, ObjectKey, Timestamp};
use stocktake_testkit::conformance::keys::hostile;
use stocktake_testkit::inventories::{InventorySpec, Shape, write_versions};
use support::folder::{World, block_on};

const SHAPES: [Shape; 4] = [Shape::S3Csv, Shape::S3Parquet, Shape::S3Orc, Shape::OssCsv];
const ROWS_A_FILE: usize = 3_000;

/// A bucket with versions, as a bucket keeps them: the oldest first.
#[derive(Clone, Default)]
struct Bucket(BTreeMap<ObjectKey, Vec<Entry>>);

impl Bucket {
    /// Puts an object with a new version.
    fn put(&mut self, key: &ObjectKey, id: &str, second: u64) {
        self.push(object(key, id, second));
    }

    /// Deletes an object: a delete marker becomes its latest version.
    fn delete(&mut self, key: &ObjectKey, id: &str, second: u64) {
        let marker = Entry::new(key.clone(), 0, at(second)).with_version(id).with_flags(EntryFlags::DELETE_MARKER);
        self.push(marker);
    }

    /// Puts a version on top. What had the same id, as only null versions do, is replaced.
    fn push(&mut self, entry: Entry) {
        let versions = self.0.entry(entry.key.clone()).or_default();
        versions.retain(|version| version.version != entry.version);
        versions.push(entry);
    }

    /// Removes a version for good.
    fn remove(&mut self, key: &ObjectKey, id: &str) {
        self.0.get_mut(key).unwrap().retain(|version| version.version.as_deref() != Some(id));
    }

    /// What a list of all versions has.
    fn entries(&self) -> Vec<Entry> {
        let of_key = |versions: &Vec<Entry>| {
            let latest = versions.len().saturating_sub(1);
            let past = |(place, entry): (usize, &Entry)| {
                let flags = if place == latest { EntryFlags::NONE } else { EntryFlags::NONCURRENT };
                entry.clone().with_flags(entry.flags.with(flags))
            };
            versions.iter().enumerate().map(past).collect::<Vec<_>>()
        };
        self.0.values().flat_map(of_key).collect()
    }
}

fn at(second: u64) -> Timestamp {
    Timestamp::from_millis(1_770_000_000_000 + 1000 * i64::try_from(second).unwrap())
}

fn object(key: &ObjectKey, id: &str, second: u64) -> Entry {
    let entry = Entry::new(key.clone(), second % 1000 + 1, at(second)).with_version(id).with_class("STANDARD");
    // Digits only, which are the same in upper case.
    entry.with_etag(&*format!("{second:032}"))
}

/// What came about, as a class and the id of a version, in the order of rows.
type Expected = Vec<(ObjectKey, &'static str, &'static str)>;

/// Two days of a bucket whose keys each have one of some histories, and what differs.
fn two_days() -> (Bucket, Bucket, Expected) {
    let ordinary = (0..6_000).map(|n| ObjectKey::from(format!("{:02}/photos/IMG {n}.jpg", n % 30).as_str()));
    let odd = hostile().into_iter().filter(|key| key.as_str().is_some());
    // Every history meets keys of all kinds.
    let keys: Vec<ObjectKey> = odd.chain(ordinary).collect();
    let (mut before, mut after) = (Bucket::default(), Bucket::default());
    let mut expected = Expected::new();
    for (n, key) in (0_u64..).zip(&keys) {
        let second = 10 * n;
        let first: &[&str] = match n % 15 {
            0 => &[],
            1 | 2 | 9 | 10 | 13 => &["null"],
            _ => &["v1"],
        };
        for id in first {
            before.put(key, id, second);
        }
        match n % 15 {
            3..=5 => before.delete(key, "m1", second + 1),
            6..=8 => before.put(key, "v2", second + 1),
            10 => before.delete(key, "null", second + 1),
            _ => {}
        }
        after.0.extend(before.0.get(key).map(|versions| (key.clone(), versions.clone())));
        let changes: &[(&str, &str)] = match n % 15 {
            // A new key with two versions.
            0 => {
                after.put(key, "v1", second + 2);
                after.put(key, "v2", second + 3);
                &[("added", "v2"), ("added", "v1")]
            }
            // The null version overwritten once there are versions.
            1 => {
                after.put(key, "v1", second + 2);
                &[("version_added", "v1")]
            }
            // The null version overwritten while versioning is suspended.
            2 => {
                after.put(key, "null", second + 2);
                &[("changed", "null")]
            }
            // Deleted on both days.
            3 => &[],
            4 => {
                after.put(key, "v3", second + 2);
                &[("recreated", "v3")]
            }
            // The delete marker removed.
            5 => {
                after.remove(key, "m1");
                &[("deleted", "m1"), ("recreated", "v1")]
            }
            6 => {
                after.delete(key, "m1", second + 2);
                &[("delete_marker", "m1")]
            }
            7 => {
                after.remove(key, "v2");
                &[("deleted", "v2")]
            }
            8 => {
                after.remove(key, "v1");
                &[("deleted", "v1")]
            }
            9 => {
                after.delete(key, "null", second + 2);
                &[("delete_marker", "null")]
            }
            10 => {
                after.put(key, "null", second + 2);
                &[("recreated", "null")]
            }
            11 => {
                after.0.get_mut(key).unwrap()[0].class = "STANDARD_IA".into();
                &[("class_changed", "v1")]
            }
            // Deleted and put again between the days: it was live before.
            12 => {
                after.delete(key, "m1", second + 2);
                after.put(key, "v2", second + 3);
                &[("version_added", "v2"), ("delete_marker", "m1")]
            }
            _ => &[],
        };
        expected.extend(changes.iter().map(|(class, id)| (key.clone(), *class, *id)));
    }
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    (before, after, expected)
}

fn shuffled(mut entries: Vec<Entry>) -> Vec<Entry> {
    let lots = BuildHasherDefault::<DefaultHasher>::new();
    entries.sort_by_cached_key(|entry| lots.hash_one((entry.key.as_bytes(), &entry.version)));
    entries
}

/// The newest version first, as S3 lists them.
fn newest_first(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.sort_by(|a, b| a.key.cmp(&b.key).then_with(|| a.as_ref().version_order(&b.as_ref())));
    entries
}

fn deliver(world: &World, shape: Shape, config: &str, entries: &[Entry]) -> String {
    let config = format!("{shape:?}-{config}");
    let versions = InventoryVersions::All;
    let spec = InventorySpec { config, versions, rows_per_file: ROWS_A_FILE, ..world.spec(shape, 1) };
    let written = block_on(write_versions(&world.store(), &spec, entries));
    format!("inventory:{}/{}", world.inventories(), written.manifest)
}

fn side(entry: Option<&Entry>, prefix: &str, row: &mut Value) {
    let text = |value: &str| Some(value.to_owned()).filter(|value| !value.is_empty());
    row[format!("{prefix}size")] = json!(entry.map(|entry| entry.size));
    row[format!("{prefix}etag")] = json!(entry.and_then(|entry| text(entry.etag.as_ref()?.as_str())));
    row[format!("{prefix}last_modified")] = json!(entry.map(|entry| entry.last_modified.to_string()));
    row[format!("{prefix}storage_class")] = json!(entry.and_then(|entry| text(&entry.class)));
    row[format!("{prefix}is_latest")] = json!(entry.map(|entry| entry.flags.is_latest()));
    row[format!("{prefix}is_delete_marker")] = json!(entry.map(|entry| entry.flags.is_delete_marker()));
}

/// The rows that the program is to write. OSS tells no id of a null version.
fn rows(before: &[Entry], after: &[Entry], expected: &Expected, shape: Shape) -> Vec<Value> {
    let by_version = |entries: &[Entry]| -> BTreeMap<(ObjectKey, String), Entry> {
        entries.iter().map(|entry| ((entry.key.clone(), entry.version.clone().unwrap()), entry.clone())).collect()
    };
    let (before, after) = (by_version(before), by_version(after));
    let row = |(key, class, id): &(ObjectKey, &str, &str)| {
        let place = (key.clone(), (*id).to_owned());
        let id = Some(*id).filter(|id| shape != Shape::OssCsv || *id != "null");
        let mut row = json!({ "key": key.as_str().unwrap(), "version_id": id, "change": class });
        side(after.get(&place), "", &mut row);
        side(before.get(&place), "previous_", &mut row);
        row
    };
    expected.iter().map(row).collect()
}

#[test]
fn every_format_and_order_gives_what_the_histories_have() {
    let (world, (before, after, expected)) = (World::new(), two_days());
    let (before, after) = (before.entries(), after.entries());
    for shape in SHAPES {
        for (order, arrange) in [("shuffled", shuffled as fn(_) -> _), ("sorted", newest_first)] {
            let a = deliver(&world, shape, &format!("{order}-before"), &arrange(before.clone()));
            let b = deliver(&world, shape, &format!("{order}-after"), &arrange(after.clone()));
            let run = world.program.json(&["diff", &a, &b, "--versions", "all"]).exits(0);
            let (found, expected) = (run.rows(), rows(&before, &after, &expected, shape));
            assert_eq!(found.len(), expected.len(), "{shape:?} {order}");
            for (found, expected) in found.iter().zip(&expected) {
                assert_eq!(found, expected, "{shape:?} {order}");
            }
            let summary = run.summary();
            assert_eq!(summary["versions"], "all");
            for class in ["added", "version_added", "recreated", "delete_marker", "deleted", "changed", "class_changed"]
            {
                let rows: Vec<_> = expected.iter().filter(|row| row["change"] == class).collect();
                assert!(!rows.is_empty());
                assert_eq!(summary[class]["objects"], rows.len(), "{class}");
                let size = |row: &&Value| row["size"].as_u64().or(row["previous_size"].as_u64()).unwrap();
                assert_eq!(summary[class]["bytes"], rows.iter().map(size).sum::<u64>(), "{class}");
            }
            let changed: u64 = expected.iter().filter(|row| row["change"] != "deleted").count() as u64;
            assert_eq!(summary["unchanged"]["objects"], after.len() as u64 - changed);
        }
    }
}

#[test]
fn live_views_are_the_default_and_all_that_a_list_of_current_objects_allows() {
    let (world, (before, after, _)) = (World::new(), two_days());
    let live = |bucket: &Bucket| -> Vec<Entry> {
        let mut entries = bucket.entries();
        entries.retain(|entry| entry.flags.is_latest() && !entry.flags.is_delete_marker());
        entries
    };
    let a = deliver(&world, Shape::S3Csv, "before", &shuffled(before.entries()));
    let b = deliver(&world, Shape::S3Parquet, "after", &after.entries());
    let spec = InventorySpec { config: "live".into(), ..world.spec(Shape::S3Csv, 1) };
    let written = world.write(&spec, &live(&after));
    let current = format!("inventory:{}/{}", world.inventories(), written.manifest);

    let by_default = world.program.json(&["diff", &a, &b]).exits(0);
    let asked_for_all = world.program.json(&["diff", &a, &current, "--versions", "all"]).exits(0);
    assert_eq!(by_default.rows(), asked_for_all.rows());
    for summary in [by_default.summary(), asked_for_all.summary()] {
        assert_eq!(summary["versions"], "current");
        let (now, was) = (live(&after), live(&before));
        assert_eq!(summary["scanned"]["objects"], now.len());
        let keys = |entries: &[Entry]| entries.iter().map(|entry| entry.key.clone()).collect::<Vec<_>>();
        let (now, was) = (keys(&now), keys(&was));
        assert_eq!(summary["added"]["objects"], now.iter().filter(|key| was.binary_search(key).is_err()).count());
        assert_eq!(summary["deleted"]["objects"], was.iter().filter(|key| now.binary_search(key).is_err()).count());
    }
    let told = world.program.run(&["diff", &a, &current, "--versions", "all"]).exits(0);
    assert!(told.stderr.contains("current objects are compared"), "{}", told.stderr);
}

#[test]
fn doubled_rows_and_several_latest_versions_are_settled_and_counted() {
    let world = World::new();
    let key = ObjectKey::from("a");
    let past = |entry: Entry| entry.with_flags(EntryFlags::NONCURRENT);
    let (old, new) = (object(&key, "v1", 1), object(&key, "v2", 2));
    // Both are said to be the latest, one is there twice, and one as it was and as it is.
    let current =
        [old.clone(), new.clone(), new.clone(), Entry { size: 5, ..object(&key, "v0", 0) }, object(&key, "v0", 3)];
    let current: Vec<_> = current
        .into_iter()
        .map(|entry| if entry.version.as_deref() == Some("v0") { past(entry) } else { entry })
        .collect();
    let a = deliver(&world, Shape::S3Csv, "before", &[old]);
    let b = deliver(&world, Shape::S3Csv, "after", &current);
    let run = world.program.json(&["diff", &a, &b, "--versions", "all"]).exits(0);
    let rows: Vec<_> = run
        .rows()
        .into_iter()
        .map(|row| (row["version_id"].clone(), row["is_latest"].clone(), row["size"].clone()))
        .collect();
    assert_eq!(rows, [(json!("v2"), json!(true), json!(3)), (json!("v0"), json!(false), json!(4))]);
    let summary = run.summary();
    assert_eq!((&summary["duplicate_rows"], &summary["latest_conflicts"]), (&json!(2), &json!(1)));
}

#[test]
fn versions_are_exported_and_listed_in_manifests() {
    let (world, (before, after, expected)) = (World::new(), two_days());
    let a = deliver(&world, Shape::S3Csv, "before", &before.entries());
    let b = deliver(&world, Shape::S3Csv, "after", &after.entries());
    let lines = world.at("changes.jsonl");
    world.program.json(&["diff", &a, &b, "--versions", "all", "--out", &lines]).exits(0);
    let written = std::fs::read_to_string(lines).unwrap();
    let written: Vec<Value> = written.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(written, rows(&before.entries(), &after.entries(), &expected, Shape::S3Csv));

    let manifest = world.at("new.manifest.csv");
    let options = ["--out", &manifest, "--bucket", "photos", "--version-ids"];
    world.program.json(&[&["diff", &a, &b, "--versions", "all"], &options[..]].concat()).exits(0);
    let listed = std::fs::read_to_string(manifest).unwrap().lines().count();
    let new = ["added", "changed", "version_added", "recreated"];
    assert_eq!(listed, expected.iter().filter(|(_, class, _)| new.contains(class)).count());
}
