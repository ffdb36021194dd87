//! The catalog of an unencrypted vault is plain Parquet: DuckDB reads it, with none of our code.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use serde_json::{Value, json};
use stocktake_testkit::inventories::Shape;
use stocktake_testkit::python;
use support::folder::World;

/// Prints key, size, time and tag of every row of the files.
const SCRIPT: &str = "
import sys, json, duckdb
query = '''select decode(key), size, epoch_ms(last_modified), lower(hex(etag)), etag_kind, class
           from read_parquet(?) order by key'''
for row in duckdb.connect().execute(query, [sys.argv[1:]]).fetchall():
    print(json.dumps(row))
";

#[test]
fn base_segments_hold_the_rows_of_the_inventory() {
    let world = World::with_objects(300);
    world.put("odd/a+b %20 \"c\".txt", "odd");
    world.put("日本語/ü", "more");
    world.deliver(Shape::S3Parquet, 1);
    world.back_up(&[]).exits(0);
    let files = world.vault_files();
    let bases: Vec<String> = files.keys().filter(|name| name.ends_with(".base")).cloned().collect();
    assert!(!bases.is_empty(), "{:?}", files.keys());
    let bases: Vec<String> = bases.iter().map(|name| world.at(&format!("vault/{name}"))).collect();
    let arguments: Vec<&str> = bases.iter().map(String::as_str).collect();

    let printed = python::script(python::DUCKDB, SCRIPT, &arguments);
    let read: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut entries = world.entries();
    entries.sort_by(|a, b| a.key.cmp(&b.key));
    let expected: Vec<Value> = entries
        .iter()
        .map(|entry| {
            let (digits, parts) = entry.etag.as_ref().unwrap().as_str().split_once('-').unwrap();
            let kind = 1 + parts.parse::<u64>().unwrap();
            let key = entry.key.as_str().unwrap();
            json!([key, entry.size, entry.last_modified.as_millis(), digits, kind, entry.class])
        })
        .collect();
    assert_eq!(read, expected);
}
