//! The other commands on buckets: inventories made there, prefixes, listings, single objects.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use serde_json::json;
use stocktake::Attributes;
use stocktake_testkit::proxy::RequestKind;
use support::seaweed::{Bucket, Cloud, assert_same};

/// A bucket with two folders.
fn cloud() -> Cloud {
    let cloud = Cloud::new();
    let object = |key: String| (key.clone(), (key.repeat(100).into_bytes(), Attributes::default()));
    let keys = (0..40).map(|number| format!("{}/{number:03}.txt", if number < 25 { "photos" } else { "films" }));
    cloud.put(&keys.map(object).collect());
    cloud
}

#[test]
fn an_inventory_made_in_a_bucket_is_as_good_as_a_delivered_one() {
    let cloud = cloud();
    let (source, to) = (format!("s3://{}", cloud.source), format!("s3://{}/made/here", cloud.inventories));
    for format in ["csv", "parquet"] {
        let made = cloud.program.json(&["inventory", "create", "--source", &source, "--to", &to, "--format", format]);
        let made = made.exits(0).summary();
        assert_eq!(made["listed"]["objects"], 40);
        assert!(made["inventory"].as_str().unwrap().starts_with(&to), "{made}");
    }
    let listed = cloud.program.json(&["inventory", "list", &to]).exits(0).rows();
    assert_eq!((listed.len(), &listed[0]["ready"]), (2, &json!(true)));
    cloud.program.json(&["inventory", "check", &to, "--source", &source]).exits(0);
    cloud.proxy.reset_counts();
    let summary = cloud.on_vault("backup", &["--source", &source, "--inventory", &to]).exits(0).summary();
    assert_eq!((&summary["copied"]["objects"], &summary["failed"]["objects"]), (&json!(40), &json!(0)));
    assert_eq!(cloud.proxy.counts(&cloud.source).into_iter().collect::<Vec<_>>(), [(RequestKind::Get, 40)]);
}

#[test]
fn a_prefix_of_a_bucket_is_backed_up_alone() {
    let cloud = cloud();
    let source = format!("s3://{}/films", cloud.source);
    let to = format!("s3://{}", cloud.inventories);
    let whole = format!("s3://{}", cloud.source);
    cloud.program.json(&["inventory", "create", "--source", &whole, "--to", &to]).exits(0);
    let summary = cloud.on_vault("backup", &["--source", &source, "--inventory", &to]).exits(0).summary();
    assert_eq!((&summary["scanned"]["objects"], &summary["outside_rows"]), (&json!(15), &json!(25)));
    // A listing of the same prefix tells the same, so nothing is read again.
    let listed = cloud.on_vault("backup", &["--source", &source, "--traverse"]).exits(0).summary();
    assert_eq!((&listed["unchanged"]["objects"], &listed["mode"]), (&json!(15), &json!("incremental")));

    let back = format!("{}/below", cloud.new_bucket());
    let options = ["--snapshot", "latest", "--to", &back, "--strip-prefix", "films/", "--verify"];
    cloud.on_vault("restore", &options).exits(0);
    let expected: Bucket = cloud.source_contents().into_iter().filter(|(key, _)| key.starts_with("films/")).collect();
    let moved = expected.into_iter().map(|(key, object)| (key.replace("films/", "below/"), object)).collect();
    assert_same(&cloud.contents(back.trim_end_matches("/below")), &moved);
}

#[test]
fn objects_are_browsed_and_read_straight_from_the_vault() {
    let cloud = cloud();
    let source = format!("s3://{}", cloud.source);
    cloud.on_vault("backup", &["--source", &source]).exits(0);
    let rows = cloud.on_vault("browse", &["--snapshot", "latest"]).exits(0).rows();
    assert_eq!(rows, [json!({"prefix": "films/"}), json!({"prefix": "photos/"})]);
    let vault = cloud.vault_location();
    let key = "films/030.txt";
    let cat = ["cat", "--vault", &vault, "--snapshot", "latest", "--key", key, "--range", "13-25"];
    assert_eq!(cloud.program.run(&cat).exits(0).text(), key);
    let to = cloud.new_bucket();
    cloud.on_vault("restore", &["--snapshot", "latest", "--to", &to]).exits(0);
    let again = cloud.on_vault("restore", &["--snapshot", "latest", "--to", &to]).exits(0).summary();
    assert_eq!((&again["restored"]["objects"], &again["skipped"]["objects"]), (&json!(0), &json!(40)));
    let same = ["--snapshot", "latest", "--to", &to, "--conflict", "overwrite-if-different"];
    assert_eq!(cloud.on_vault("restore", &same).exits(0).summary()["skipped"]["objects"], 40);
    assert_same(&cloud.contents(&to), &cloud.source_contents());
}
