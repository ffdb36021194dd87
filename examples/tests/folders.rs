//! The program's commands on folders: what each answers, and how it ends.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;

use serde_json::{Value, json};
use stocktake::Timestamp;
use stocktake_testkit::inventories::{Action, History, InventorySpec, Shape, write_delta, write_history};
use support::folder::{World, block_on, files};
use support::program::Program;

#[test]
fn a_vault_is_encrypted_unless_the_user_says_otherwise() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    let program = Program::new();
    let refused = program.json(&["init", &at("vault")]).fails(2, "usage");
    assert!(refused.text().contains("--unencrypted"));
    assert!(!home.path().join("vault").exists());

    let made = program.json(&["init", &at("vault"), "--key-file", &at("key")]).exits(0).summary();
    assert_eq!((&made["encrypted"], &made["key_file_created"]), (&json!(true), &json!(true)));
    let key = fs::read(at("key")).unwrap();
    assert!(key.len() >= 32);
    program.json(&["init", &at("vault"), "--key-file", &at("key")]).fails(1, "vault_exists");
    assert_eq!(fs::read(at("key")).unwrap(), key, "a key file that is there is never replaced");
}

#[test]
fn only_the_right_key_opens_a_vault() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    fs::write(at("phrase"), "open sesame\n").unwrap();
    fs::write(at("other"), "open barley\n").unwrap();
    let program = Program::new();
    program.json(&["init", &at("vault"), "--passphrase-file", &at("phrase")]).exits(0);
    let list = |program: &Program, options: &[&str]| {
        let vault = at("vault");
        program.json(&[&["snapshots", "--vault", &vault], options].concat())
    };
    list(&program, &["--passphrase-file", &at("phrase")]).exits(0);
    list(&program.clone().with("STOCKTAKE_PASSPHRASE", "open sesame"), &[]).exits(0);
    list(&program, &[]).fails(1, "wrong_key");
    list(&program, &["--passphrase-file", &at("other")]).fails(1, "wrong_key");
    fs::write(at("short"), "too short").unwrap();
    list(&program, &["--key-file", &at("short")]).fails(1, "invalid_input");
    list(&program, &["--key-file", &at("missing")]).fails(1, "local_storage");
}

#[test]
fn the_first_backup_is_full_and_the_next_reads_what_changed() {
    let world = World::with_objects(120);
    world.deliver(Shape::S3Csv, 3);
    let first = world.back_up(&["--name", "monday"]).exits(0).summary();
    assert_eq!(
        (&first["status"], &first["mode"], &first["name"]),
        (&json!("completed"), &json!("full"), &json!("monday"))
    );
    assert_eq!((&first["added"]["objects"], &first["copied"]["objects"]), (&json!(120), &json!(120)));
    assert_eq!(first["requests"]["source_get"], 120);
    assert_eq!((&first["parent"], &first["requests"]["source_list"]), (&Value::Null, &json!(0)));
    assert!(first["seconds"].is_number() && first["peak_memory_bytes"].is_u64());

    world.put("0/0000.txt", "changed");
    world.put("new/object.txt", "added");
    world.remove("1/0001.txt");
    world.deliver(Shape::S3Parquet, 2);
    let second = world.back_up(&[]).exits(0).summary();
    assert_eq!((&second["mode"], &second["parent"]), (&json!("incremental"), &first["snapshot"]));
    for (class, objects) in
        [("added", 1), ("changed", 1), ("deleted", 1), ("unchanged", 118), ("copied", 2), ("scanned", 120)]
    {
        assert_eq!(second[class]["objects"], objects, "{class}: {second}");
    }
    assert_eq!(second["requests"]["source_get"], 2);
    assert!(second["written"]["objects"].as_u64() <= Some(8), "{second}");

    assert_eq!(world.restored("latest"), files(&world.path("photos")));
    let before = world.restored("monday");
    assert_eq!(before.len(), 120);
    assert_eq!(before["0/0000.txt"], b"object 0");
    assert!(before.contains_key("1/0001.txt") && !before.contains_key("new/object.txt"));
    world.on_vault("verify", &["--data", "all"]).exits(0);
}

#[test]
fn with_nothing_changed_nothing_is_read_and_little_is_written() {
    let world = World::with_objects(50);
    world.deliver(Shape::OssCsv, 3);
    world.back_up(&[]).exits(0);
    world.deliver(Shape::OssCsv, 2);
    let idle = world.back_up(&[]).exits(0).summary();
    assert_eq!((&idle["unchanged"]["objects"], &idle["copied"]["objects"]), (&json!(50), &json!(0)));
    assert_eq!(idle["requests"]["source_get"], 0);
    assert!(idle["requests"]["vault_put"].as_u64() <= Some(8), "{idle}");
}

#[test]
fn a_dry_run_tells_what_would_be_done_and_writes_nothing() {
    let world = World::with_objects(20);
    let before = world.vault_files();
    let forecast = world.traverse(&["--dry-run"]).exits(0).summary();
    assert_eq!((&forecast["added"]["objects"], &forecast["forecast"]["source_get"]), (&json!(20), &json!(20)));
    assert_eq!(forecast["snapshot"], Value::Null);
    assert_eq!(world.vault_files(), before);
}

#[test]
fn used_inventories_are_deleted_only_after_the_commit_and_only_as_told() {
    let world = World::with_objects(30);
    let spec = |hours_ago, config: &str| InventorySpec { config: config.into(), ..world.spec(Shape::S3Csv, hours_ago) };
    let older = world.write(&spec(5, "daily"), &world.entries());
    let used = world.write(&spec(3, "daily"), &world.entries());
    world.write(&spec(4, "weekly"), &world.entries());
    // Which of two configurations is meant has to be said.
    world.back_up(&[]).fails(4, "inventory_scope_mismatch");
    let daily = world.at(&format!("inventories/{}", spec(3, "daily").folder()));
    let back_up = |options: &[&str]| world.traverse(&[&["--inventory", &daily], options].concat());
    let inventories = || files(&world.path("inventories"));
    let before = inventories();
    let names = |run: &support::program::Run, event: &str| {
        let rows = run.events(event).into_iter();
        rows.map(|row| row["inventory"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };

    let dry = back_up(&["--delete-inventory", "all", "--dry-run"]).exits(0);
    let listed = names(&dry, "inventory_to_delete");
    assert!(listed[0].ends_with(&older.manifest) && listed[1].ends_with(&used.manifest), "{listed:?}");
    assert_eq!((listed.len(), &dry.summary()["deleted_inventories"]), (2, &json!(2)));
    assert_eq!(inventories(), before, "a dry run deletes nothing");
    // A job that a guard stops deletes nothing either.
    back_up(&["--delete-inventory", "all", "--max-inventory-age", "1h"]).fails(4, "inventory_too_old");
    assert_eq!(inventories(), before);

    let kept = back_up(&["--name", "one"]).exits(0).summary();
    assert_eq!((&kept["deleted_inventories"], inventories()), (&json!(0), before.clone()));
    let current = back_up(&["--full", "--delete-inventory", "current"]).exits(0);
    assert_eq!(names(&current, "inventory_deleted").len(), 1);
    let left = inventories();
    let gone: Vec<_> = before.keys().filter(|name| !left.contains_key(*name)).collect();
    assert!(gone.len() >= 3 && gone.iter().all(|name| name.contains("/daily/")), "{gone:?}");
    assert!(left.contains_key(&older.manifest) && !left.contains_key(&used.manifest));
    assert!(!left.contains_key(&used.files[0]) && left.contains_key(&older.files[0]));

    world.write(&spec(2, "daily"), &world.entries());
    let all = back_up(&["--delete-inventory", "all"]).exits(0).summary();
    assert_eq!(all["deleted_inventories"], 2);
    assert!(inventories().keys().all(|name| name.contains("/weekly/")), "{:?}", inventories().keys());
    assert_eq!(world.restored("latest"), files(&world.path("photos")));
}

#[test]
fn an_inventory_that_can_not_be_deleted_undoes_no_snapshot() {
    let world = World::with_objects(10);
    let broken = world.deliver(Shape::S3Csv, 5);
    world.deliver(Shape::S3Csv, 3);
    // What this one names is not known any more, so none of the files may go.
    world.alter(&broken.manifest, |bytes| *bytes = b"{}".to_vec());
    let before = files(&world.path("inventories"));
    let run = world.back_up(&["--delete-inventory", "current"]).exits(3);
    let kept = run.events("inventory_kept");
    assert!(kept[0]["reason"].as_str().is_some_and(|reason| reason.contains(&broken.manifest)), "{kept:?}");
    let summary = run.summary();
    assert_eq!((&summary["status"], &summary["deleted_inventories"]), (&json!("completed_with_issues"), &json!(0)));
    assert_eq!(files(&world.path("inventories")), before);
    assert_eq!(world.restored("latest"), files(&world.path("photos")));
}

#[test]
fn filters_decide_what_is_in_scope() {
    let world = World::with_objects(20);
    world.put("0/keep.log", "log");
    let summary = world.traverse(&["--include", "*.txt", "--exclude", "0/**"]).exits(0).summary();
    let kept = (0..20).filter(|number| number % 7 != 0).count();
    assert_eq!(summary["copied"]["objects"], kept);
    assert!(!world.restored("latest").contains_key("0/keep.log"));
}

#[test]
fn a_snapshot_is_browsed_by_level_and_as_a_whole() {
    let world = World::new();
    for key in ["a.txt", "b/1.txt", "b/2.txt", "b/c/3.txt", "d/4.txt"] {
        world.put(key, key);
    }
    world.traverse(&["--name", "one"]).exits(0);
    let browse = |options: &[&str]| {
        let run = world.on_vault("browse", &[&["--snapshot", "one"], options].concat()).exits(0);
        let name = |row: &Value| row["key"].as_str().or(row["prefix"].as_str()).unwrap().to_owned();
        run.rows().iter().map(name).collect::<Vec<_>>()
    };
    assert_eq!(browse(&[]), ["a.txt", "b/", "d/"]);
    assert_eq!(browse(&["b/"]), ["b/1.txt", "b/2.txt", "b/c/"]);
    assert_eq!(browse(&["b/", "--recursive"]), ["b/1.txt", "b/2.txt", "b/c/3.txt"]);
    let row = world.on_vault("browse", &["--snapshot", "latest"]).exits(0).rows().remove(0);
    assert_eq!((&row["size"], &row["provenance"]), (&json!(5), &json!("exact")));
    assert!(row["etag"].is_string() && row["last_modified"].as_str().unwrap().ends_with('Z'), "{row}");
}

#[test]
fn objects_are_found_by_key_glob_etag_size_and_time() {
    let world = World::with_objects(30);
    world.put("big/file.bin", vec![7; 5_000]);
    world.traverse(&["--name", "one"]).exits(0);
    world.put("0/0000.txt", "changed since");
    world.traverse(&["--name", "two"]).exits(0);
    let find = |options: &[&str]| {
        let run = world.on_vault("find", options).exits(0);
        run.rows().iter().map(|row| row["key"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(find(&["--key", "big/file.bin"]), ["big/file.bin"]);
    assert_eq!(find(&["--glob", "*.bin"]), ["big/file.bin"]);
    assert_eq!(find(&["--glob", "3/*.txt"]).len(), 4);
    assert_eq!(find(&["--larger", "4KB"]), ["big/file.bin"]);
    assert_eq!(find(&["--modified-after", "2000-01-01"]).len(), 31);
    assert!(find(&["--modified-after", "2100-01-01"]).is_empty());
    let versions = world.on_vault("find", &["--all", "--key", "0/0000.txt"]).exits(0).rows();
    assert_eq!(versions.len(), 2);
    assert_ne!(versions[0]["etag"], versions[1]["etag"]);
    let etag = versions[1]["etag"].as_str().unwrap();
    assert_eq!(find(&["--snapshot", "two", "--etag", etag]), ["0/0000.txt"]);
}

#[test]
fn one_object_or_a_range_of_it_comes_straight_from_the_vault() {
    let world = World::new();
    let film: Vec<u8> = (0..20_000_000_u32).map(|n| (n / 7) as u8).collect();
    world.put("film.mp4", &film);
    world.put("empty", "");
    world.traverse(&[]).exits(0);
    let vault = world.vault();
    let cat =
        |options: &[&str]| world.program.run(&[&["cat", "--vault", &vault, "--snapshot", "latest"], options].concat());
    assert!(cat(&["--key", "film.mp4"]).exits(0).stdout == film);
    assert_eq!(cat(&["--key", "film.mp4", "--range", "0-0"]).exits(0).stdout, film[..1]);
    assert_eq!(cat(&["--key", "film.mp4", "--range", "9999990-10000009"]).exits(0).stdout, film[9_999_990..10_000_010]);
    assert!(cat(&["--key", "empty"]).exits(0).stdout.is_empty());
    cat(&["--key", "missing", "--json"]).fails(1, "object_not_found");
    cat(&["--key", "film.mp4", "--range", "0-20000000", "--json"]).fails(1, "invalid_input");
    cat(&["--key", "film.mp4", "--range", "5-1", "--json"]).fails(2, "usage");
}

#[test]
fn a_restore_takes_what_was_asked_for_to_where_it_was_asked() {
    let world = World::new();
    for key in ["2025/a.jpg", "2026/b.jpg", "2026/c.txt", "2027/d.jpg"] {
        world.put(key, key);
    }
    world.traverse(&[]).exits(0);
    let restore = |name: &str, options: &[&str]| {
        let to = world.at(name);
        world.on_vault("restore", &[&["--snapshot", "latest", "--to", &to], options].concat())
    };
    let keys = |name: &str| files(&world.path(name)).into_keys().collect::<Vec<_>>();
    restore("prefixes", &["--prefix", "2025/", "--prefix", "2027/"]).exits(0);
    assert_eq!(keys("prefixes"), ["2025/a.jpg", "2027/d.jpg"]);
    restore("globs", &["--prefix", "2026/", "--include", "*.jpg", "--strip-prefix", "2026/", "--add-prefix", "old/"])
        .exits(0);
    assert_eq!(keys("globs"), ["old/b.jpg"]);
    fs::write(world.path("list"), "2026/c.txt\nmissing\n2025/a.jpg\n").unwrap();
    let listed = restore("listed", &["--keys-file", &world.at("list"), "--verify"]).exits(3);
    assert_eq!(keys("listed"), ["2025/a.jpg", "2026/c.txt"]);
    assert_eq!(listed.summary()["failed"]["objects"], 1);
    assert_eq!(listed.events("failed")[0]["key"], "missing");
    let planned = restore("planned", &["--dry-run"]).exits(0).summary();
    assert_eq!(planned["restored"]["objects"], 4);
    assert!(!world.path("planned").exists());
}

#[test]
fn what_the_target_has_is_treated_as_the_policy_says() {
    let world = World::new();
    world.put("a", "from the snapshot");
    let snapshot = world.traverse(&[]).exits(0).summary()["snapshot"].as_str().unwrap().to_owned();
    let restore = |policy: &str| {
        let to = world.at("target");
        fs::create_dir_all(&to).unwrap();
        fs::write(world.path("target/a"), "was there").unwrap();
        world.on_vault("restore", &["--snapshot", "latest", "--to", &to, "--conflict", policy]).exits(0)
    };
    let there = || files(&world.path("target"));
    let skipped = restore("skip");
    assert_eq!((skipped.summary()["skipped"]["objects"].as_u64(), &there()["a"][..]), (Some(1), &b"was there"[..]));
    assert!(skipped.events("skipped")[0]["reason"].is_string());
    restore("overwrite-if-older");
    assert_eq!(there()["a"], b"was there", "what is there was modified later");
    restore("overwrite-if-different");
    assert_eq!(there()["a"], b"from the snapshot");
    restore("overwrite");
    assert_eq!(there()["a"], b"from the snapshot");
    restore("keep-both");
    let short = &snapshot[snapshot.len() - 8..];
    assert_eq!(there()["a"], b"was there");
    assert_eq!(there()[&format!("a.restored-{short}")], b"from the snapshot");
}

#[test]
fn two_inventories_or_snapshots_are_compared_row_by_row() {
    let world = World::with_objects(40);
    let before = world.deliver(Shape::S3Csv, 3);
    world.back_up(&["--name", "one"]).exits(0);
    world.put("0/0000.txt", "changed");
    world.put("added", "");
    world.remove("6/0006.txt");
    let after = world.deliver(Shape::S3Parquet, 2);
    let inventory = |manifest: &str| format!("inventory:{}/{manifest}", world.inventories());
    let (a, b) = (inventory(&before.manifest), inventory(&after.manifest));
    let changes = world.program.json(&["diff", &a, &b]).exits(0);
    let classes: Vec<_> = changes.rows().iter().map(|row| (row["key"].clone(), row["change"].clone())).collect();
    let expected = [("0/0000.txt", "changed"), ("6/0006.txt", "deleted"), ("added", "added")];
    assert_eq!(classes, expected.map(|(key, class)| (json!(key), json!(class))));
    let deleted = &changes.rows()[1];
    assert_eq!((&deleted["size"], &deleted["previous_size"]), (&Value::Null, &json!(8)), "{deleted}");
    let summary = changes.summary();
    assert_eq!((&summary["unchanged"]["objects"], &summary["added"]["objects"]), (&json!(38), &json!(1)));

    let snapshot = format!("snapshot:{}#one", world.vault());
    assert_eq!(world.program.json(&["diff", &snapshot, &b]).exits(0).rows(), changes.rows());
    assert!(world.program.json(&["diff", &a, &a]).exits(0).rows().is_empty());
    let backwards = world.program.json(&["diff", &b, &a]).exits(0).summary();
    assert_eq!((&backwards["added"], &backwards["deleted"]), (&summary["deleted"], &summary["added"]));

    for (name, lines) in [("out.jsonl", 3), ("out.csv", 4)] {
        let out = world.at(name);
        assert!(world.program.json(&["diff", &a, &b, "--out", &out]).exits(0).rows().is_empty());
        assert_eq!(fs::read_to_string(out).unwrap().lines().count(), lines, "{name}");
    }
    let out = world.at("out.parquet");
    world.program.json(&["diff", &a, &b, "--out", &out]).exits(0);
    assert!(fs::read(out).unwrap().starts_with(b"PAR1"));
    world.program.json(&["diff", &a, &b, "--out", &world.at("out.xlsx")]).fails(2, "usage");
}

#[test]
fn two_snapshots_are_compared_without_any_inventory() {
    let world = World::with_objects(40);
    world.traverse(&["--name", "one"]).exits(0);
    world.put("0/0000.txt", "changed");
    world.put("ä,b +.txt", "added");
    world.remove("6/0006.txt");
    world.traverse(&["--name", "two"]).exits(0);
    let side = |name: &str| format!("snapshot:{}#{name}", world.vault());
    let (one, two) = (side("one"), side("two"));
    let run = world.program.json(&["diff", &one, &two]).exits(0);
    let rows: Vec<_> = run.rows().iter().map(|row| (row["key"].clone(), row["change"].clone())).collect();
    let expected = [("0/0000.txt", "changed"), ("6/0006.txt", "deleted"), ("ä,b +.txt", "added")];
    assert_eq!(rows, expected.map(|(key, class)| (json!(key), json!(class))));
    assert_eq!(run.summary()["unchanged"]["objects"], 38);

    let out = world.at("out.jsonl");
    world.program.json(&["diff", &one, &two, "--out", &out]).exits(0);
    let written: Vec<Value> =
        fs::read_to_string(out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(written, run.rows());
    for (name, start) in [("out.csv", &b"key,change"[..]), ("out.parquet", b"PAR1")] {
        world.program.json(&["diff", &one, &two, "--out", &world.at(name)]).exits(0);
        assert!(fs::read(world.path(name)).unwrap().starts_with(start), "{name}");
    }

    let out = world.at("copy.manifest.csv");
    let manifest = |options: &[&str]| {
        let arguments = ["diff", &one, &two, "--out", &out];
        world.program.json(&[&arguments, options].concat())
    };
    let summary = manifest(&["--bucket", "photos"]).exits(0).summary();
    assert_eq!(summary["manifest_objects"], 2);
    assert_eq!(fs::read_to_string(&out).unwrap(), "photos,0/0000.txt\nphotos,%C3%A4%2Cb%20%2B.txt\n");
    manifest(&["--bucket", "photos", "--classes", "deleted"]).exits(0);
    assert_eq!(fs::read_to_string(&out).unwrap(), "photos,6/0006.txt\n");
    manifest(&["--bucket", "photos", "--version-ids"]).fails(1, "invalid_input");
    assert_eq!(fs::read_to_string(&out).unwrap(), "photos,6/0006.txt\n", "a failed export leaves the file as it was");
    manifest(&[]).fails(2, "usage");
    world.program.json(&["diff", &one, &two, "--out", &world.at("a.csv"), "--bucket", "b"]).fails(2, "usage");
}

#[test]
fn inventories_are_made_listed_and_checked() {
    let world = World::with_objects(25);
    let (source, to) = (world.source(), world.at("made"));
    for format in ["csv", "parquet"] {
        let made = world.program.json(&["inventory", "create", "--source", &source, "--to", &to, "--format", format]);
        assert_eq!(made.exits(0).summary()["listed"]["objects"], 25);
    }
    let listed = world.program.json(&["inventory", "list", &to]).exits(0).rows();
    assert_eq!(listed.len(), 2);
    assert_eq!((&listed[0]["format"], &listed[1]["format"]), (&json!("parquet"), &json!("csv")));
    assert_eq!((&listed[0]["ready"], &listed[0]["files"]), (&json!(true), &json!(1)));
    let checked = world.program.json(&["inventory", "check", &to, "--source", &source]).exits(0).summary();
    assert_eq!(checked["listed"]["objects"], 25);
    world
        .program
        .json(&["inventory", "check", &to, "--source", &world.at("other")])
        .fails(4, "inventory_scope_mismatch");
    let vault = world.vault();
    world.program.json(&["backup", "--source", &source, "--vault", &vault, "--inventory", &to]).exits(0);
    assert_eq!(world.restored("latest"), files(&world.path("photos")));
}

#[test]
fn incremental_inventories_are_read_with_the_full_one_before_them() {
    let world = World::new();
    let spec = InventorySpec { rows_per_file: 10, ..world.spec(Shape::OssCsv, 3) };
    let begun = spec.created.as_millis() / 1000 * 1000;
    let keys = (0..40).map(|number| format!("{}/a+{number}", number % 3));
    let actions =
        keys.cycle().zip([Action::Put(3), Action::Put(4), Action::Touch(0), Action::Delete].into_iter().cycle());
    let times = (0..).map(|number| begun - 600_000 + number * 11_000);
    let history = History::new(false, times.zip(actions).take(150).map(|(at, (key, what))| (at, key, what)).collect());
    let deltas = block_on(async {
        write_history(&world.store(), &spec, &history.scan(begun, begun + 60_000)).await;
        let mut deltas = Vec::new();
        for start in [begun - 60_000, begun + 540_000] {
            let (end, events) = (start + 600_000, history.events(start, start + 600_000));
            deltas.push(write_delta(&world.store(), &spec, start, end, &events).await);
        }
        deltas
    });
    let folder = format!("{}/inv/photos/daily/incremental_inventory", world.inventories());
    let listed = world.program.json(&["inventory", "list", &folder]).exits(0).rows();
    assert_eq!(listed.iter().map(|row| &row["ready"]).collect::<Vec<_>>(), [&json!(true); 2]);
    assert_eq!(world.program.json(&["inventory", "list", &world.inventories()]).exits(0).rows().len(), 1);
    world.program.json(&["inventory", "check", &folder, "--source", &world.source()]).exits(0);
    for (delta, end) in deltas.iter().zip([begun + 540_000, begun + 1_140_000]) {
        let full = InventorySpec { created: Timestamp::from_millis(end), config: format!("at-{end}"), ..spec.clone() };
        let full = block_on(write_history(&world.store(), &full, &history.versions(end)));
        let [chain, full] =
            [&delta.manifest, &full.manifest].map(|manifest| format!("inventory:{}/{manifest}", world.inventories()));
        let same = world.program.json(&["diff", &chain, &full]).exits(0);
        assert!(same.rows().is_empty());
        assert_eq!(same.summary()["unchanged"]["objects"], history.versions(end).len());
    }
    // But for one, the objects of the history are in no folder, so that they are gone when they are to be copied.
    let objects = history.versions(begun + 1_140_000).len();
    let backup = ["--source", &world.source(), "--inventory", &folder];
    world.on_vault("backup", &backup).fails(4, "inventory_scope_mismatch");
    world.put("0/a+0", b"here");
    let backup = world.on_vault("backup", &backup).exits(0).summary();
    assert_eq!((&backup["scanned"]["objects"], &backup["vanished"]["objects"]), (&json!(objects), &json!(objects - 1)));
    let doomed = ["--source", &world.source(), "--inventory", &folder, "--full", "--delete-inventory", "current"];
    let kept = world.on_vault("backup", &doomed).exits(3).events("inventory_kept");
    assert!(kept[0]["reason"].as_str().is_some_and(|reason| reason.contains("incremental")), "{kept:?}");
    assert_eq!(world.program.json(&["inventory", "list", &folder]).exits(0).rows().len(), 2);
    fs::remove_file(world.path("inventories").join(&deltas[0].manifest)).unwrap();
    world.program.json(&["inventory", "check", &folder]).fails(4, "inventory_not_found");
    let listed = world.program.json(&["inventory", "list", &folder]).exits(0).rows();
    assert!(listed[0]["problem"].as_str().unwrap().starts_with("no incremental inventory covers"));
}

#[test]
fn an_inventory_is_checked_against_what_a_plan_wants_of_it() {
    let world = World::with_objects(5);
    for hours_ago in [51, 27, 3] {
        world.deliver(Shape::S3Csv, hours_ago);
    }
    let (inventories, source) = (world.inventories(), world.source());
    let check = |options: &[&str]| {
        let arguments = ["inventory", "check", &inventories, "--source", &source];
        world.program.json(&[&arguments, options].concat())
    };
    let outcomes = |run: &support::program::Run| {
        let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
        run.rows().iter().map(|row| (text(row, "check"), text(row, "outcome"))).collect::<Vec<_>>()
    };
    let fits = check(&["--interval", "1d", "--inventory-prefix", ""]).exits(0);
    let names = ["existence", "completeness", "current", "bucket", "prefix", "fields", "cycle"];
    assert_eq!(outcomes(&fits), names.map(|name| (name.to_owned(), "passed".to_owned())));
    assert_eq!(fits.summary()["checks"], json!({ "passed": 7, "failed": 0, "unknown": 0 }));
    assert_eq!((&fits.rows()[0]["remedy"], fits.rows()[0]["found"].is_string()), (&Value::Null, true));

    let short = check(&["--interval", "6h"]).exits(4);
    assert_eq!(short.summary()["checks"], json!({ "passed": 5, "failed": 1, "unknown": 1 }));
    let cycle = &short.rows()[6];
    assert_eq!(cycle["outcome"], "failed");
    assert!(cycle["found"].as_str().unwrap().contains("every 6 h") && cycle["remedy"].is_string(), "{cycle}");
    check(&["--max-inventory-age", "1h"]).exits(4);
    let none = world.program.json(&["inventory", "check", &world.at("nowhere")]).fails(4, "inventory_not_found");
    assert_eq!(none.rows()[0]["outcome"], "failed");
}

#[test]
fn what_a_cloud_must_be_told_is_written_as_documents() {
    let program = Program::new();
    let configuration = ["inventory", "configuration", "--source", "s3://photos/2026", "--to", "s3://inventories/inv"];
    let text = program.run(&configuration).exits(0).text();
    assert!(text.starts_with("<?xml") && text.contains("<Prefix>2026/</Prefix>"), "{text}");
    let weekly =
        program.json(&[&configuration[..], &["--schedule", "weekly", "--format", "parquet"]].concat()).exits(0);
    let document = &weekly.rows()[0];
    assert_eq!((&document["document"], &document["cloud"]), (&json!("configuration"), &json!("s3")));
    for part in ["<Frequency>Weekly</Frequency>", "<Format>Parquet</Format>", "<Id>weekly</Id>"] {
        assert!(document["text"].as_str().unwrap().contains(part), "{part}: {document}");
    }
    assert_eq!(weekly.summary()["inventories"], "inv/photos/weekly");
    let policy = program.run(&[&configuration[..], &["--destination-policy"]].concat()).exits(0);
    let policy: Value = serde_json::from_slice(&policy.stdout).unwrap();
    assert_eq!(policy["Statement"][0]["Principal"]["Service"], "s3.amazonaws.com");
    let oss = ["inventory", "configuration", "--source", "oss://photos", "--to", "oss://inventories"];
    program.json(&oss).fails(2, "usage");
    program
        .json(&[&oss[..], &["--account", "1", "--role", "r", "--format", "parquet"]].concat())
        .fails(1, "invalid_input");

    let plan = ["inventory", "policy", "--source", "s3://photos", "--inventory", "s3://inv/photos/daily"];
    let documents = program.json(&[&plan[..], &["--vault", "oss://backups", "--delete-inventory"]].concat()).exits(0);
    let clouds: Vec<_> = documents.rows().iter().map(|row| row["cloud"].clone()).collect();
    assert_eq!(clouds, ["s3", "oss"]);
    let s3: Value = serde_json::from_str(documents.rows()[0]["text"].as_str().unwrap()).unwrap();
    let sids: Vec<_> = s3["Statement"].as_array().unwrap().iter().map(|statement| statement["Sid"].clone()).collect();
    assert_eq!(sids, ["ReadSource", "FindInventories", "ReadInventories", "DeleteInventories"]);
    program.json(&["inventory", "policy", "--source", "/srv/photos"]).fails(2, "usage");
}

#[test]
fn snapshots_are_listed_oldest_first_and_by_plan() {
    let world = World::with_objects(5);
    world.traverse(&["--name", "one", "--plan", "daily"]).exits(0);
    world.traverse(&["--name", "two", "--plan", "weekly"]).exits(0);
    world.traverse(&["--name", "three", "--plan", "daily"]).exits(0);
    let names = |options: &[&str]| {
        let rows = world.on_vault("snapshots", options).exits(0).rows();
        rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&[]), ["one", "two", "three"]);
    assert_eq!(names(&["--plan", "daily"]), ["one", "three"]);
    assert!(names(&["--until", "2020-01-01"]).is_empty());
    assert_eq!(names(&["--since", "2020-01-01"]).len(), 3);
    let row = world.on_vault("snapshots", &["--plan", "weekly"]).exits(0).rows().remove(0);
    assert_eq!((&row["objects"], &row["trigger"], &row["parent"]), (&json!(5), &json!("manual"), &Value::Null));
    world.traverse(&["--name", "one"]).fails(1, "name_taken");
    world.on_vault("browse", &["--snapshot", "four"]).fails(1, "snapshot_not_found");
}

#[test]
fn a_script_for_a_shell_is_written() {
    let program = Program::new();
    for shell in ["bash", "zsh", "fish"] {
        assert!(program.run(&["completions", shell]).exits(0).text().contains("stocktake"), "{shell}");
    }
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    let program = Program::new();
    let cases: [&[&str]; 6] = [
        &["backup", "--source", "x"],
        &["backup", "--source", "x", "--vault", "y", "--traverse", "--inventory", "z"],
        &["backup", "--source", "x", "--vault", "y", "--inventory-prefix", "z"],
        &["backup", "--source", "x", "--vault", "y", "--max-deleted", "2"],
        &["find", "--vault", "y", "--all", "--snapshot", "z"],
        &["nonsense"],
    ];
    for arguments in cases {
        program.json(arguments).fails(2, "usage");
        assert!(program.run(arguments).exits(2).stdout.is_empty());
    }
    program.json(&["snapshots", "--vault", "gs://bucket"]).fails(1, "invalid_input");
    program.run(&["--help"]).exits(0);
    program.run(&["--version"]).exits(0);
}

#[test]
fn people_get_text_and_scripts_get_json() {
    let world = World::with_objects(3);
    world.traverse(&["--name", "one"]).exits(0);
    let vault = world.vault();
    let text = world.program.run(&["snapshots", "--vault", &vault]).exits(0).text();
    assert!(text.contains("one") && !text.contains('{'), "{text}");
    let failed = world.program.run(&["browse", "--vault", &vault, "--snapshot", "two"]).exits(1);
    assert!(failed.stdout.is_empty() && failed.stderr.contains("snapshot_not_found"), "{}", failed.stderr);
}
