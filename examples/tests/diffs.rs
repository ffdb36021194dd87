//! Inventories of twenty thousand objects, in every shape and order, compared by the program:
//! its rows are those of a comparison that knows nothing of it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use serde_json::{Value, json};
use stocktake::{ETag, Entry, InventoryVersions, ObjectKey, Timestamp};
use stocktake_testkit::conformance::keys::hostile;
use stocktake_testkit::inventories::{InventorySpec, Shape};
use support::folder::World;

const ROWS: u64 = 20_000;
const ROWS_A_FILE: usize = 3_000;

/// In which order the rows of an inventory stand.
#[derive(Clone, Copy, Debug)]
enum Order {
    Sorted,
    SortedInEachFile,
    Shuffled,
}

impl Order {
    const ALL: [Self; 3] = [Self::Sorted, Self::SortedInEachFile, Self::Shuffled];

    fn arrange(self, mut entries: Vec<Entry>) -> Vec<Entry> {
        entries.sort_by(|a, b| a.key.cmp(&b.key));
        match self {
            Self::Sorted => {}
            Self::SortedInEachFile => {
                let files = entries.len().div_ceil(ROWS_A_FILE);
                let dealt = (0..files).flat_map(|file| entries.iter().skip(file).step_by(files).cloned());
                entries = dealt.collect();
            }
            Self::Shuffled => {
                let lots = BuildHasherDefault::<DefaultHasher>::new();
                entries.sort_by_cached_key(|entry| lots.hash_one(entry.key.as_bytes()));
            }
        }
        entries
    }
}

fn entry(key: ObjectKey, version: u64, time: u64, class: &str) -> Entry {
    let time = Timestamp::from_millis(1_770_000_000_000 + 1000 * i64::try_from(time).unwrap());
    let mut entry = Entry::new(key, version * 37 % 100_000, time).with_class(class);
    entry.etag = Some(ETag::new(&match version % 11 {
        0 => format!("{version:032x}-{}", 2 + version % 40),
        _ => format!("{version:032x}"),
    }));
    entry
}

/// A bucket with keys of all kinds, on the first day and on the second.
fn two_days() -> [Vec<Entry>; 2] {
    let ordinary =
        (0..ROWS).map(|n| ObjectKey::from(format!("{:02}/photos/{:05}/IMG {n}.jpg", n % 30, n / 7).as_str()));
    let odd = hostile().into_iter().filter(|key| key.as_str().is_some());
    let mut days = [Vec::new(), Vec::new()];
    for (n, key) in (0..).zip(odd.chain(ordinary)) {
        let before = entry(key.clone(), n, n, "STANDARD");
        let after = match n % 20 {
            1 => Some(entry(key.clone(), n + 1_000_000, n + 5, "STANDARD")),
            2 => Some(entry(key.clone(), n, n + 5, "STANDARD")),
            3 => Some(entry(key.clone(), n, n, "STANDARD_IA")),
            4 => None,
            _ => Some(before.clone()),
        };
        days[1].extend(after);
        if n % 20 != 5 {
            days[0].push(before);
        }
    }
    days
}

/// What differs, row for row, found by two maps.
fn differences(days: &[Vec<Entry>; 2], shape: Shape) -> Vec<Value> {
    let mut pairs: BTreeMap<&[u8], [Option<&Entry>; 2]> = BTreeMap::new();
    for (day, entries) in days.iter().enumerate() {
        for entry in entries {
            pairs.entry(entry.key.as_bytes()).or_default()[day] = Some(entry);
        }
    }
    pairs.into_iter().filter_map(|(key, [before, after])| difference(key, before, after, shape)).collect()
}

fn difference(key: &[u8], before: Option<&Entry>, after: Option<&Entry>, shape: Shape) -> Option<Value> {
    let tag = |entry: &Entry| {
        let tag = entry.etag.as_ref().unwrap().as_str();
        // OSS writes digits in upper case.
        if shape == Shape::OssCsv { tag.to_uppercase() } else { tag.to_owned() }
    };
    let facts = |entry: &Entry| (entry.size, tag(entry));
    let change = match (before, after) {
        (None, _) => "added",
        (_, None) => "deleted",
        (Some(before), Some(after)) if facts(before) != facts(after) => "changed",
        (Some(before), Some(after)) if before.last_modified != after.last_modified => "metadata_changed",
        (Some(before), Some(after)) if before.class != after.class => "class_changed",
        _ => return None,
    };
    let mut row = json!({ "key": std::str::from_utf8(key).unwrap(), "change": change });
    for (prefix, side) in [("", after), ("previous_", before)] {
        row[format!("{prefix}size")] = json!(side.map(|entry| entry.size));
        row[format!("{prefix}etag")] = json!(side.map(tag));
        row[format!("{prefix}last_modified")] = json!(side.map(|entry| entry.last_modified.to_string()));
        row[format!("{prefix}storage_class")] = json!(side.map(|entry| entry.class.as_str()));
    }
    Some(row)
}

/// Delivers both days in this shape and order, and checks what the program finds.
#[track_caller]
fn check(world: &World, days: &[Vec<Entry>; 2], spec: &InventorySpec, order: Order) {
    let config = format!("{:?}-{order:?}-{:?}", spec.shape, spec.versions);
    let sides: Vec<String> = days
        .iter()
        .zip(["before", "after"])
        .map(|(entries, day)| {
            let spec = InventorySpec { config: format!("{config}-{day}"), rows_per_file: ROWS_A_FILE, ..spec.clone() };
            let written = world.write(&spec, &order.arrange(entries.clone()));
            format!("inventory:{}/{}", world.inventories(), written.manifest)
        })
        .collect();
    let found = world.program.json(&["diff", &sides[0], &sides[1]]).exits(0).rows();
    let expected = differences(days, spec.shape);
    assert_eq!(found.len(), expected.len(), "{config}");
    assert!(expected.len() > days[0].len() / 5);
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected, "{config}");
    }
}

#[test]
fn every_shape_and_order_gives_the_same_rows_as_two_maps() {
    let (world, days) = (World::new(), two_days());
    for shape in Shape::ALL {
        for order in Order::ALL {
            check(&world, &days, &world.spec(shape, 1), order);
        }
    }
}

#[test]
fn lists_of_all_versions_are_compared_by_their_current_objects() {
    let (world, days) = (World::new(), two_days());
    for shape in Shape::ALL {
        let spec = InventorySpec { versions: InventoryVersions::All, ..world.spec(shape, 1) };
        check(&world, &days, &spec, Order::SortedInEachFile);
    }
}
