//! Inventory or listing: what is forced, what is fallen back to, what is chosen and why; and what a listing costs.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use stocktake::{Attributes, ViewChoice};
use stocktake_testkit::inventories::Shape;
use stocktake_testkit::proxy::RequestKind;
use support::folder::World;
use support::program::Run;
use support::seaweed::Cloud;

/// How the source was seen, and the reason.
fn view(summary: &Value) -> (String, String) {
    let choice: ViewChoice = serde_json::from_value(summary["view"].clone()).unwrap();
    (choice.view.to_string(), choice.reason)
}

fn notices(run: &Run) -> String {
    run.events("notice").iter().map(|notice| notice["message"].to_string()).collect()
}

#[test]
fn a_source_without_a_fresh_inventory_is_listed_where_that_is_allowed_and_it_is_said() {
    let world = World::with_objects(120);
    let traverse = ["--on-stale", "traverse"];
    world.back_up(&["--dry-run"]).fails(4, "inventory_not_found");
    let none = world.back_up(&traverse).exits(0);
    assert!(notices(&none).contains("traverse: no inventory will do"), "{}", notices(&none));
    let (seen, reason) = view(&none.summary());
    assert_eq!(seen, "traverse");
    assert!(reason.contains("there is none"), "{reason}");
    assert_eq!(none.summary()["copied"]["objects"], 120);

    // An inventory that was begun before the listing, and one that is too old, are not newer.
    world.deliver(Shape::S3Csv, 2);
    world.back_up(&[]).fails(4, "inventory_stale");
    let stale = world.back_up(&traverse).exits(0).summary();
    assert_eq!((&stale["mode"], &stale["unchanged"]["objects"]), (&json!("incremental"), &json!(120)));
    assert_eq!(view(&stale).0, "traverse");
    let old = world.back_up(&["--on-stale", "traverse", "--max-inventory-age", "1h", "--dry-run"]).exits(0).summary();
    assert_eq!((&old["status"], view(&old).0.as_str()), (&json!("planned"), "traverse"));

    // One that is damaged is for its owner to see to.
    let written = world.deliver(Shape::S3Csv, 0);
    world.alter(&written.files[0], |bytes| bytes.truncate(20));
    world.back_up(&traverse).fails(4, "inventory_corrupt");
}

#[test]
fn a_fresh_inventory_is_used_though_a_listing_is_allowed() {
    let world = World::with_objects(120);
    world.deliver(Shape::S3Parquet, 1);
    let run = world.back_up(&["--on-stale", "traverse"]).exits(0);
    assert_eq!((&run.summary()["view"], notices(&run).as_str()), (&Value::Null, ""));
    assert!(run.summary()["inventory"].as_str().unwrap().ends_with("manifest.json"));
}

#[test]
fn an_inventory_that_was_used_before_is_skipped_where_that_is_allowed() {
    let world = World::with_objects(5);
    world.back_up(&["--on-stale", "skip"]).fails(4, "inventory_not_found");
    world.deliver(Shape::S3Csv, 1);
    world.back_up(&["--on-stale", "skip"]).exits(0);
    let again = world.back_up(&["--on-stale", "skip"]).exits(0).summary();
    assert_eq!(again["status"], "skipped");
    assert!(again["reason"].as_str().unwrap().contains("manifest.json"), "{again}");
    assert_eq!(world.on_vault("snapshots", &[]).exits(0).rows().len(), 1);
}

#[test]
fn a_listing_that_nothing_else_is_there_for_says_so_and_a_forced_one_has_no_reason() {
    let world = World::with_objects(3);
    let plain = world.traverse(&["--dry-run"]).exits(0).summary();
    assert_eq!(view(&plain), ("traverse".to_owned(), "no inventory was named".to_owned()));
    assert_eq!(world.traverse(&["--traverse"]).exits(0).summary()["view"], Value::Null);
}

/// A bucket with this many objects and a fresh inventory of them.
fn cloud(objects: usize) -> Cloud {
    let cloud = Cloud::new();
    let object = |number: usize| (format!("{}/{number:05}", number % 3), (b"x".to_vec(), Attributes::default()));
    cloud.put(&(0..objects).map(object).collect());
    cloud.deliver(Shape::S3Parquet, 2);
    cloud.proxy.reset_counts();
    cloud
}

/// The requests to the source by the summary, after a check that they are those on the wire.
fn source_requests(cloud: &Cloud, summary: &Value) -> (u64, u64) {
    let count = |name: &str| summary["requests"][name].as_u64().unwrap();
    let told = [(RequestKind::Get, count("source_get")), (RequestKind::List, count("source_list"))];
    let told: BTreeMap<_, _> = told.into_iter().filter(|(_, count)| *count > 0).collect();
    assert_eq!(cloud.proxy.counts(&cloud.source), told);
    cloud.proxy.reset_counts();
    (count("source_get"), count("source_list"))
}

#[test]
fn a_small_bucket_is_listed_and_one_beyond_the_budget_is_not() {
    let cloud = cloud(40);
    let small = cloud.back_up(&["--choose", "--list-price", "0.005"]).exits(0).summary();
    let (seen, reason) = view(&small);
    assert_eq!(seen, "traverse");
    for part in ["listing all 40 objects takes 1 requests", "0.0000", "2 hours old"] {
        assert!(reason.contains(part), "{part}: {reason}");
    }
    // One to find out, one to list.
    assert_eq!(source_requests(&cloud, &small), (40, 2));

    cloud.deliver(Shape::S3Parquet, 0);
    let dry = cloud.back_up(&["--choose", "--max-list-requests", "0", "--dry-run"]).exits(0).summary();
    assert_eq!(view(&dry).0, "inventory", "{dry}");
    assert!(view(&dry).1.contains("costs the source no request"), "{dry}");
    assert_eq!(source_requests(&cloud, &dry), (0, 1));
    assert!(dry["inventory"].as_str().unwrap().ends_with("manifest.json"));
}

#[test]
fn what_a_listing_costs_is_exactly_what_is_on_the_wire() {
    let cloud = cloud(6_500);
    let source = format!("s3://{}", cloud.source);
    for options in [&["--traverse", "--list-concurrency", "1"][..], &["--traverse"], &["--traverse", "--full"]] {
        let options = [&["--source", &source], options].concat();
        let summary = cloud.on_vault("backup", &options).exits(0).summary();
        assert_eq!(summary["scanned"]["objects"], 6_500);
        let (_, lists) = source_requests(&cloud, &summary);
        assert!((7..40).contains(&lists), "{lists}");
    }
    cloud.deliver(Shape::S3Parquet, 0);
    let chosen = cloud.back_up(&["--choose", "--max-list-requests", "3"]).exits(0).summary();
    assert_eq!(view(&chosen).0, "inventory", "{chosen}");
    source_requests(&cloud, &chosen);
}
