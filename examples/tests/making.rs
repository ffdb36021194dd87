//! Inventories that are made are what the bucket holds, by the word of others, and cost what they say.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use stocktake::Attributes;
use stocktake_testkit::proxy::RequestKind;
use stocktake_testkit::python;
use stocktake_testkit::seaweed::Seaweed;
use stocktake_testkit::virtual_bucket::VirtualBucket;
use support::folder::files;
use support::program::Program;
use support::seaweed::{Bucket, Cloud};

/// Prints what Amazon's client lists: a row of key, size, tag, time and class for each object.
const LIST: &str = "
import sys, json, boto3
endpoint, access, secret, bucket = sys.argv[1:]
s3 = boto3.client('s3', endpoint_url=endpoint, region_name='us-east-1',
                  aws_access_key_id=access, aws_secret_access_key=secret)
for page in s3.get_paginator('list_objects_v2').paginate(Bucket=bucket):
    for o in page.get('Contents', []):
        print(json.dumps([o['Key'], o['Size'], o['ETag'].strip('\"'), round(o['LastModified'].timestamp() * 1000),
                          o['StorageClass']]))
";

/// Prints what DuckDB reads from Parquet files, or from the CSV files that S3 would have written.
const READ: &str = "
import sys, json, duckdb, urllib.parse
from datetime import datetime
kind, files = sys.argv[1], sys.argv[2:]
if kind == 'parquet':
    query = 'select key, size, e_tag, epoch_ms(last_modified_date), storage_class, bucket from read_parquet(?)'
    decode, time = (lambda key: key), (lambda time: time)
else:
    query = '''select column1, column2::bigint, column4, column3, column5, column0
               from read_csv(?, header=false, all_varchar=true, delim=',', quote='\"', escape='\"')'''
    decode = urllib.parse.unquote_plus
    time = lambda text: round(datetime.fromisoformat(text.replace('Z', '+00:00')).timestamp() * 1000)
for key, size, tag, when, storage, bucket in duckdb.connect().execute(query, [files]).fetchall():
    print(json.dumps([decode(key), size, tag, time(when), storage, bucket]))
";

fn rows(text: &str) -> BTreeMap<String, Value> {
    let rows = text.lines().map(|line| serde_json::from_str::<Vec<Value>>(line).unwrap());
    let mut by_key = BTreeMap::new();
    for row in rows {
        let key = row[0].as_str().unwrap().to_owned();
        assert_eq!(by_key.insert(key.clone(), json!(row[1..])), None, "{key} came twice");
    }
    by_key
}

/// Some thousand objects: keys that programs have tripped over, each in several folders.
fn hostile_bucket() -> Bucket {
    const NAMES: [&str; 16] = [
        "a+b c.txt",
        "100%25",
        "%zz",
        "日本語/ü",
        "q?x=1&y=2#z",
        "\"quoted\",comma",
        ".hidden",
        "..dots",
        "~tilde'",
        "<tag>&amp;",
        "semi;colon:at@equals=,$",
        "[1]{2}(3)|^`!*",
        "e\u{301}",
        "🦀",
        " leading",
        "trailing ",
    ];
    let folders = (0..220).map(|number| match number % 3 {
        0 => format!("plain{number}"),
        1 => format!("a-b/{number:03}"),
        _ => format!("a/{number:03} +%2F"),
    });
    let keys = folders.flat_map(|folder| NAMES.iter().map(move |name| format!("{folder}/{name}")));
    let object = |key: String| (key.clone(), (key.into_bytes(), Attributes::default()));
    keys.map(object).chain([object(format!("long/{}", "s".repeat(250)))]).collect()
}

#[test]
fn what_is_made_has_the_rows_that_another_client_lists_and_another_program_reads() {
    let cloud = Cloud::new();
    let bucket = hostile_bucket();
    cloud.put(&bucket);
    let (server, source) = (Seaweed::shared(), format!("s3://{}", cloud.source));
    let keys = [server.access_key(), server.secret_key()];
    let arguments = [&*server.endpoint(), keys[0], keys[1], &cloud.source];
    let listed = rows(&python::script(python::BOTO3, LIST, &arguments));
    assert_eq!(listed.len(), bucket.len());
    for (format, ending) in [("parquet", ".parquet"), ("csv", ".csv.gz")] {
        let home = tempfile::tempdir().unwrap();
        let to = home.path().to_str().unwrap();
        cloud.proxy.reset_counts();
        let options = ["--format", format, "--rows-per-file", "1000"];
        let create = [&["inventory", "create", "--source", &source, "--to", to], &options[..]].concat();
        let made = cloud.program.json(&create).exits(0).summary();
        assert_eq!((&made["listed"]["objects"], &made["files"]), (&json!(bucket.len()), &json!(4)));
        let lists = made["source_list"].as_u64().unwrap();
        assert_eq!(cloud.proxy.counts(&cloud.source), [(RequestKind::List, lists)].into());

        let paths = files(home.path()).into_keys().filter(|name| name.ends_with(ending));
        let paths: Vec<String> = paths.map(|name| format!("{to}/{name}")).collect();
        let arguments: Vec<&str> = [format].into_iter().chain(paths.iter().map(String::as_str)).collect();
        let read = rows(&python::script(python::DUCKDB, READ, &arguments));
        let expected = listed.iter().map(|(key, row)| {
            let row: Vec<Value> = row.as_array().unwrap().iter().cloned().chain([json!(cloud.source)]).collect();
            (key.clone(), json!(row))
        });
        for (key, row) in expected {
            assert_eq!(read.get(&key), Some(&row), "{key}");
        }
        assert_eq!(read.len(), listed.len());
        cloud.program.json(&["inventory", "check", to, "--source", &source]).exits(0);
    }
}

/// Prints the number of rows and of keys, and the sum of sizes.
const TOTALS: &str = "
import sys, json, duckdb
query = 'select count(*), count(distinct key), sum(size)::bigint, max(file_row_number) from read_parquet(?, file_row_number=true)'
print(json.dumps(duckdb.connect().execute(query, [sys.argv[1:]]).fetchone()))
";

#[test]
fn a_bucket_of_hundreds_of_thousands_is_listed_at_once_in_bounded_memory() {
    const KEYS: u64 = 300_000;
    let bucket = VirtualBucket::start(KEYS, Duration::from_millis(20));
    let program = Program::new().with("SOURCE_AWS_ENDPOINT_URL", &bucket.endpoint());
    let program = program.with("SOURCE_AWS_ACCESS_KEY_ID", "a").with("SOURCE_AWS_SECRET_ACCESS_KEY", "b");
    let program = program.with("SOURCE_AWS_ALLOW_HTTP", "true").with("SOURCE_AWS_REGION", "us-east-1");
    let home = tempfile::tempdir().unwrap();
    let to = home.path().to_str().unwrap();
    let create = ["inventory", "create", "--source", "s3://virtual", "--to", to, "--rows-per-file", "40000"];
    let made = program.json(&create).exits(0).summary();
    assert_eq!((&made["listed"]["objects"], &made["files"]), (&json!(KEYS), &json!(8)));
    let lists = made["source_list"].as_u64().unwrap();
    assert_eq!(lists, bucket.listed());
    assert!((300..600).contains(&lists), "{lists} requests for 300 pages");
    if let Some(memory) = made["peak_memory_bytes"].as_u64() {
        assert!(memory < 200 << 20, "{memory} bytes of memory");
    }
    let paths = files(home.path()).into_keys().filter(|name| name.ends_with(".parquet"));
    let paths: Vec<String> = paths.map(|name| format!("{to}/{name}")).collect();
    let arguments: Vec<&str> = paths.iter().map(String::as_str).collect();
    let bytes: u64 = (0..KEYS).map(VirtualBucket::size).sum();
    let totals: Value = serde_json::from_str(&python::script(python::DUCKDB, TOTALS, &arguments)).unwrap();
    assert_eq!(totals, json!([KEYS, KEYS, bytes, 39_999]));
}

#[test]
fn what_an_interrupted_run_has_left_is_told_of_and_is_no_inventory() {
    let bucket = VirtualBucket::start(50_000, Duration::from_millis(30));
    let program = Program::new().with("SOURCE_AWS_ENDPOINT_URL", &bucket.endpoint());
    let program = program.with("SOURCE_AWS_ACCESS_KEY_ID", "a").with("SOURCE_AWS_SECRET_ACCESS_KEY", "b");
    let program = program.with("SOURCE_AWS_ALLOW_HTTP", "true").with("SOURCE_AWS_REGION", "us-east-1");
    let home = tempfile::tempdir().unwrap();
    let to = home.path().to_str().unwrap();
    let create = ["inventory", "create", "--source", "s3://virtual", "--to", to, "--rows-per-file", "2000"];
    let mut child = program.start(&[&create[..], &["--concurrency", "1"]].concat());
    let has_data = || files(home.path()).keys().any(|name| name.ends_with(".parquet"));
    while !has_data() {
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(program.json(&["inventory", "list", to]).exits(0).rows(), Vec::<Value>::new());
    let made = program.json(&create).exits(0).summary();
    assert_eq!(made["listed"]["objects"], 50_000);
    assert!(made["leftovers"]["objects"].as_u64().unwrap() > 0, "{made}");
    let listed = program.json(&["inventory", "list", to]).exits(0).rows();
    assert_eq!((listed.len(), &listed[0]["ready"]), (1, &json!(true)));
}
