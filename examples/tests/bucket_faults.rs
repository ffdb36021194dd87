//! A source and a target that misbehave on the wire, and what the program makes of it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeMap;

use serde_json::json;
use stocktake::{Attributes, Entry};
use stocktake_testkit::inventories::Shape;
use stocktake_testkit::proxy::{FaultRule, RequestKind, WireFault};
use support::seaweed::{Bucket, Cloud, assert_same};

fn objects(count: usize) -> Bucket {
    let object = |number: usize| {
        (format!("{number:03}"), (format!("object {number} ").repeat(50).into(), Attributes::default()))
    };
    (0..count).map(object).collect()
}

/// A bucket with an inventory, to be backed up.
fn cloud(count: usize) -> Cloud {
    let cloud = Cloud::new();
    cloud.put(&objects(count));
    cloud.deliver(Shape::S3Csv, 2);
    cloud
}

/// A fault of one object of the source.
fn fault(cloud: &Cloud, key: &str, fault: WireFault) -> FaultRule {
    FaultRule::new(fault).of(RequestKind::Get).path_contains(&format!("{}/{key}", cloud.source))
}

fn restored(cloud: &Cloud) -> Bucket {
    let to = cloud.new_bucket();
    cloud.on_vault("restore", &["--snapshot", "latest", "--to", &to]).exits(0);
    cloud.contents(&to)
}

#[test]
fn what_fails_once_is_repeated() {
    let cloud = cloud(30);
    let faults = [
        WireFault::Status(503, "SlowDown"),
        WireFault::Lost,
        WireFault::AnswerLost,
        WireFault::CutShort(100),
        WireFault::Status(500, "InternalError"),
    ];
    for (number, kind) in faults.into_iter().enumerate() {
        cloud.proxy.inject(fault(&cloud, &format!("{number:03}"), kind).times(1));
    }
    let summary = cloud.back_up(&[]).exits(0).summary();
    assert_eq!((&summary["status"], &summary["copied"]["objects"]), (&json!("completed"), &json!(30)));
    assert_same(&restored(&cloud), &cloud.source_contents());
}

#[test]
fn an_object_that_stays_out_of_reach_fails_and_the_others_go_on() {
    let cloud = cloud(30);
    cloud.proxy.inject(fault(&cloud, "003", WireFault::Status(403, "AccessDenied")));
    cloud.proxy.inject(fault(&cloud, "004", WireFault::CutShort(100)));
    let run = cloud.back_up(&[]).exits(3);
    let summary = run.summary();
    assert_eq!((&summary["status"], &summary["failed"]["objects"]), (&json!("completed_with_issues"), &json!(2)));
    let failed: BTreeMap<_, _> =
        run.events("failed").into_iter().map(|row| (row["key"].to_string(), row["reason"].to_string())).collect();
    assert_eq!(failed.keys().collect::<Vec<_>>(), ["\"003\"", "\"004\""]);
    cloud.proxy.clear_faults();
    let mut expected = cloud.source_contents();
    expected.retain(|key, _| key != "003" && key != "004");
    assert_same(&restored(&cloud), &expected);

    // What failed is read by the next run, though the inventory tells of no change.
    cloud.deliver(Shape::S3Csv, 1);
    let next = cloud.back_up(&[]).exits(0).summary();
    assert_eq!(next["copied"]["objects"], 2);
    assert_same(&restored(&cloud), &cloud.source_contents());
}

#[test]
fn vanished_and_newer_objects_are_counted() {
    let cloud = cloud(30);
    cloud.remove("007");
    let newer = Bucket::from([("008".to_owned(), (b"newer".to_vec(), Attributes::default()))]);
    cloud.put(&newer);
    let run = cloud.back_up(&[]).exits(0);
    let summary = run.summary();
    assert_eq!((&summary["vanished"]["objects"], &summary["newer"]["objects"]), (&json!(1), &json!(1)));
    assert_eq!((&run.events("vanished")[0]["key"], &run.events("newer")[0]["key"]), (&json!("007"), &json!("008")));
    assert_same(&restored(&cloud), &cloud.source_contents());
}

#[test]
fn a_source_that_denies_everything_commits_nothing() {
    let cloud = cloud(30);
    cloud
        .proxy
        .inject(FaultRule::new(WireFault::Status(403, "AccessDenied")).path_contains(&format!("/{}/", cloud.source)));
    cloud.back_up(&[]).fails(1, "access_denied");
    assert!(cloud.on_vault("snapshots", &[]).exits(0).rows().is_empty());
}

#[test]
fn a_key_that_the_client_cannot_send_is_refused_by_name() {
    let cloud = Cloud::new();
    cloud.put(&objects(10));
    let mut entries = cloud.entries(&format!("s3://{}", cloud.source));
    let odd = ["a//b", "a/../b", "/a", "a/\n"];
    entries.extend(odd.map(|key| Entry { key: key.into(), ..entries[0].clone() }));
    cloud.write(Shape::S3Csv, 1, &entries);
    cloud.proxy.reset_counts();
    let run = cloud.back_up(&[]).exits(3);
    assert_eq!(run.summary()["failed"]["objects"], odd.len());
    let failed: Vec<_> = run.events("failed").iter().map(|row| row["key"].as_str().unwrap().to_owned()).collect();
    assert!(odd.iter().all(|key| failed.iter().any(|failed| failed == key)), "{failed:?}");
    assert_eq!(cloud.proxy.count(&cloud.source, RequestKind::Get), 10, "no other key is asked for in their place");
    assert_same(&restored(&cloud), &cloud.source_contents());
}

#[test]
fn a_target_that_refuses_is_told_as_such() {
    let cloud = cloud(10);
    cloud.back_up(&[]).exits(0);
    let to = cloud.new_bucket();
    let name = to.trim_start_matches("s3://");
    cloud.proxy.inject(FaultRule::new(WireFault::Status(403, "AccessDenied")).path_contains(name));
    cloud.on_vault("restore", &["--snapshot", "latest", "--to", &to]).fails(1, "access_denied");
    assert!(cloud.contents(&to).is_empty());
}

#[test]
fn a_vault_that_loses_answers_is_written_all_the_same() {
    let cloud = cloud(30);
    let vault = FaultRule::new(WireFault::AnswerLost).of(RequestKind::Put).path_contains(&format!("/{}/", cloud.vault));
    cloud.proxy.inject(vault.times(2));
    cloud.back_up(&[]).exits(0);
    cloud.proxy.clear_faults();
    assert_same(&restored(&cloud), &cloud.source_contents());
    cloud.on_vault("verify", &["--data", "all"]).exits(0);
}

#[test]
fn the_accounts_of_roles_do_not_mix() {
    let cloud = cloud(3);
    let program = cloud.program.clone().with("VAULT_AWS_REGION", "us-east-1");
    // A vault with a variable of its own takes nothing from the others: not even the endpoint.
    program.json(&["inventory", "list", "s3://no-such-bucket/daily"]).fails(4, "inventory_not_found");
    let run = program.json(&["snapshots", "--vault", "s3://no-such-bucket/vault"]);
    assert_eq!(run.code, Some(1), "{}", run.text());
    let wrong =
        cloud.program.clone().with("SOURCE_AWS_ACCESS_KEY_ID", "other").with("SOURCE_AWS_SECRET_ACCESS_KEY", "other");
    let (source, vault) = (format!("s3://{}", cloud.source), cloud.vault_location());
    let wrong = wrong.with("SOURCE_AWS_ENDPOINT_URL", &cloud.proxy.endpoint()).with("SOURCE_AWS_ALLOW_HTTP", "true");
    let run = wrong.json(&["backup", "--source", &source, "--vault", &vault, "--traverse"]);
    run.fails(1, "access_denied");
}
