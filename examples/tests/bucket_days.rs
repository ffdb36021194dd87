//! The main job on a real S3 server: some days of a bucket, backed up by its inventories.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeMap;

use serde_json::json;
use stocktake::Attributes;
use stocktake_testkit::inventories::Shape;
use stocktake_testkit::proxy::RequestKind;
use support::seaweed::{Bucket, Cloud, assert_same};

const OBJECTS: usize = 2_000;

/// Keys that are legal and have tripped programs up.
const HOSTILE: [&str; 10] = [
    "odd/a+b c.txt",
    "odd/100%25.txt",
    "odd/%zz",
    "odd/日本語/ü.txt",
    "odd/q?x=1&y=2#z",
    "odd/\"quoted\",comma",
    "odd/.hidden",
    "odd/..dots",
    "odd/~tilde'",
    "odd/<tag>&amp;",
];

fn object(bytes: impl Into<Vec<u8>>, owner: &str) -> (Vec<u8>, Attributes) {
    let attributes = Attributes {
        content_type: Some("text/plain".into()),
        cache_control: Some("max-age=60".into()),
        user: BTreeMap::from([("owner".to_owned(), owner.to_owned())]),
        ..Attributes::default()
    };
    (bytes.into(), attributes)
}

/// What is in the bucket on its first day.
fn first_day() -> Bucket {
    let ordinary = (0..OBJECTS).map(|number| {
        let bytes = format!("object {number}\n").repeat(1 + number % 40);
        (format!("{:02}/{number:05}.txt", number % 20), object(bytes, "first"))
    });
    let hostile = HOSTILE.iter().map(|key| ((*key).to_owned(), object(*key, "odd")));
    let film: Vec<u8> = (0..9_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    ordinary.chain(hostile).chain([("film.mp4".to_owned(), object(film, "film"))]).collect()
}

/// What happens between two days: new, overwritten, with other metadata, gone.
struct Night {
    puts: Bucket,
    gone: Vec<String>,
    read: u64,
}

fn night(day: usize, bucket: &Bucket) -> Night {
    let key = |number: usize| format!("{:02}/{number:05}.txt", number % 20);
    let mut puts = Bucket::new();
    for number in 0..15 {
        puts.insert(format!("new/{day}/{number}"), object(format!("new on day {day}"), "new"));
    }
    for number in (day..OBJECTS).step_by(97) {
        puts.insert(key(number), object(format!("changed on day {day}: {number}"), "changed"));
    }
    for number in (day + 40..OBJECTS).step_by(211) {
        if let Some((bytes, _)) = bucket.get(&key(number)) {
            puts.insert(key(number), object(bytes.clone(), &format!("owner of day {day}")));
        }
    }
    puts.insert(HOSTILE[day].to_owned(), object(format!("odd and changed on day {day}"), "odd"));
    let gone = (day + 60..OBJECTS).step_by(307).map(key);
    let gone = gone.filter(|key| !puts.contains_key(key) && bucket.contains_key(key)).collect();
    Night { read: puts.len() as u64, puts, gone }
}

fn check_wire(cloud: &Cloud, gets: u64, day: &str) {
    let counts = cloud.proxy.counts(&cloud.source);
    let expected: BTreeMap<_, _> = [(RequestKind::Get, gets)].into_iter().filter(|(_, count)| *count > 0).collect();
    assert_eq!(counts, expected, "{day}: one GET an object copied, and nothing else");
}

#[test]
fn every_day_is_backed_up_by_one_get_an_object_and_restores_as_it_was() {
    let cloud = Cloud::new();
    let mut bucket = first_day();
    cloud.put(&bucket);
    let mut days: Vec<Bucket> = Vec::new();
    for (day, shape) in Shape::ALL.into_iter().enumerate() {
        let mut read = bucket.len() as u64;
        if day > 0 {
            let night = night(day, &bucket);
            cloud.put(&night.puts);
            bucket.extend(night.puts);
            for key in &night.gone {
                cloud.remove(key);
                bucket.remove(key);
            }
            read = night.read;
        }
        cloud.deliver(shape, 10 - day as u64);
        cloud.proxy.reset_counts();
        let name = format!("day-{day}");
        let summary = cloud.back_up(&["--name", &name]).exits(0).summary();
        assert_eq!(summary["copied"]["objects"], read, "{summary}");
        check_wire(&cloud, read, &name);
        let puts = cloud.proxy.count(&cloud.vault, RequestKind::Put);
        assert!(puts <= read / 100 + 12, "{puts} vault PUTs for {read} objects");
        days.push(bucket.clone());
        for (day, expected) in days.iter().enumerate() {
            restores(&cloud, &format!("day-{day}"), expected);
        }
    }
    with_nothing_changed(&cloud);
    cloud.on_vault("verify", &["--data", "all"]).exits(0);
}

fn restores(cloud: &Cloud, snapshot: &str, expected: &Bucket) {
    let to = cloud.new_bucket();
    let summary = cloud.on_vault("restore", &["--snapshot", snapshot, "--to", &to]).exits(0).summary();
    assert_eq!(summary["restored"]["objects"], expected.len());
    assert_same(&cloud.contents(&to), expected);
}

fn with_nothing_changed(cloud: &Cloud) {
    cloud.deliver(Shape::S3Parquet, 1);
    cloud.proxy.reset_counts();
    let idle = cloud.back_up(&["--name", "idle"]).exits(0).summary();
    assert_eq!((&idle["copied"]["objects"], &idle["status"]), (&json!(0), &json!("completed")));
    check_wire(cloud, 0, "idle");
    let puts = cloud.proxy.count(&cloud.vault, RequestKind::Put);
    assert!(puts <= 8, "{puts} vault PUTs with nothing changed");
}
