//! What a user must not be surprised by: things that are theirs stay theirs, and what can't be meant is refused.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use stocktake_testkit::inventories::Shape;
use support::folder::World;

#[test]
fn folders_that_inventories_were_delivered_to_stay_when_those_are_deleted() {
    let world = World::with_objects(3);
    let spec = world.spec(Shape::S3Csv, 1);
    world.write(&spec, &world.entries());
    world.back_up(&["--delete-inventory", "all"]).exits(0);
    assert!(world.path("inventories").is_dir());
    assert_eq!(support::folder::files(&world.path("inventories")).len(), 0);
}

#[test]
fn a_target_that_is_a_file_is_refused_at_once() {
    let world = World::with_objects(3);
    world.traverse(&[]).exits(0);
    fs::write(world.path("file"), "mine").unwrap();
    for options in [&[][..], &["--dry-run"]] {
        let to = world.at("file");
        let run = world.on_vault("restore", &[&["--snapshot", "latest", "--to", &to], options].concat());
        assert_eq!(run.fails(1, "invalid_input").events("failed").len(), 0);
    }
}

#[test]
fn a_name_that_means_another_snapshot_is_refused() {
    let world = World::with_objects(3);
    let first = world.traverse(&[]).exits(0).summary()["snapshot"].as_str().unwrap().to_owned();
    for name in ["latest", "a#b", &first] {
        world.traverse(&["--name", name]).fails(1, "invalid_input");
    }
    world.traverse(&["--name", "the latest"]).exits(0);
}

#[test]
fn options_of_an_inventory_are_refused_where_there_is_none() {
    let world = World::with_objects(3);
    for options in [&["--choose"][..], &["--on-stale", "skip"], &["--delete-inventory", "all"]] {
        world.traverse(&[&["--traverse"], options].concat()).exits(2);
    }
}

#[test]
fn a_plain_vault_is_not_taken_for_an_encrypted_one() {
    let world = World::with_objects(3);
    let (source, vault) = (world.source(), world.vault());
    let backup = ["backup", "--source", &source, "--vault", &vault, "--traverse"];
    world.program.clone().with("STOCKTAKE_PASSPHRASE", "open sesame").json(&backup).fails(1, "wrong_key");
}

#[test]
fn no_key_file_is_left_for_a_vault_that_was_there_before() {
    let world = World::with_objects(1);
    let key = world.at("new.key");
    world.program.json(&["init", &world.vault(), "--key-file", &key]).fails(1, "vault_exists");
    assert!(!world.path("new.key").exists());
}

#[test]
fn an_object_that_is_skipped_is_told_as_such() {
    let world = World::with_objects(3);
    world.deliver(Shape::S3Csv, 1);
    world.put("0/0000.txt", "another");
    let run = world.back_up(&["--on-changed", "skip"]).exits(0);
    assert_eq!(run.events("skipped").len(), 1);
    let summary = run.summary();
    assert_eq!((&summary["skipped"]["objects"], &summary["newer"]["objects"]), (&1.into(), &0.into()), "{summary}");
}

#[test]
fn exported_changes_can_be_read_by_whoever_could_read_the_file_before() {
    let world = World::with_objects(3);
    world.traverse(&["--name", "one"]).exits(0);
    let (out, before) = (world.at("changes.csv"), Permissions::from_mode(0o664));
    fs::write(&out, "old").unwrap();
    fs::set_permissions(&out, before.clone()).unwrap();
    let snapshot = format!("snapshot:{}#one", world.vault());
    world.program.json(&["diff", &snapshot, &snapshot, "--out", &out]).exits(0);
    assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, before.mode() & 0o777 & !umask());
}

/// What the process that runs the tests takes away from the modes of new files.
fn umask() -> u32 {
    let file = tempfile::tempdir().unwrap();
    let path = file.path().join("new");
    fs::write(&path, "").unwrap();
    0o666 & !fs::metadata(&path).unwrap().permissions().mode()
}
