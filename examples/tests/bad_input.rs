//! Bad input, and what it gets: an exit code, an error code, a message that says
//! what to do, and a vault in which not a byte has changed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use serde_json::json;
use stocktake::{Entry, Timestamp};
use stocktake_testkit::inventories::{InventorySpec, Shape, WrittenInventory, md5_hex};
use support::folder::{World, files};
use support::program::Run;

/// Checks that a backup is refused with this code, and that it wrote nothing.
#[track_caller]
fn is_refused(world: &World, options: &[&str], code: &str) -> Run {
    let before = world.vault_files();
    let run = world.back_up(options).fails(4, code);
    assert_eq!(world.vault_files(), before, "a refusal writes nothing");
    run
}

/// A world that was backed up once, two days ago; the next inventory is up to the test.
fn backed_up(objects: usize) -> World {
    let world = World::with_objects(objects);
    world.deliver(Shape::S3Csv, 48);
    world.back_up(&[]).exits(0);
    world
}

/// Alters the manifest and makes its checksum fit again.
fn alter_manifest(world: &World, inventory: &WrittenInventory, alter: impl FnOnce(String) -> String) {
    world.alter(&inventory.manifest, |bytes| *bytes = alter(String::from_utf8(bytes.clone()).unwrap()).into_bytes());
    let manifest = fs::read(world.path("inventories").join(&inventory.manifest)).unwrap();
    world.alter(&inventory.manifest.replace(".json", ".checksum"), |bytes| {
        *bytes = md5_hex(&manifest, Shape::S3Csv).into_bytes();
    });
}

/// Replaces a data file, and makes size and checksum in the manifest fit.
fn replace_data(world: &World, inventory: &WrittenInventory, bytes: &[u8]) {
    let file = &inventory.files[0];
    let old = fs::read(world.path("inventories").join(file)).unwrap();
    world.alter(file, |data| *data = bytes.to_vec());
    alter_manifest(world, inventory, |manifest| {
        let size = |bytes: &[u8]| format!("\"size\": {}", bytes.len());
        let manifest = manifest.replace(&size(&old), &size(bytes));
        manifest.replace(&md5_hex(&old, Shape::S3Csv), &md5_hex(bytes, Shape::S3Csv))
    });
}

/// The rows of a CSV inventory.
fn rows(world: &World, inventory: &WrittenInventory) -> String {
    let path = world.path("inventories").join(&inventory.files[0]);
    let output = Command::new("gzip").args(["-dc"]).arg(path).output().expect("gzip is there");
    String::from_utf8(output.stdout).unwrap()
}

fn gzip(text: &str) -> Vec<u8> {
    let mut child = Command::new("gzip")
        .arg("-c")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("gzip is there");
    let mut input = child.stdin.take().unwrap();
    let text = text.to_owned();
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    output.stdout
}

#[test]
fn no_inventory() {
    let world = World::with_objects(5);
    is_refused(&world, &[], "inventory_not_found");
    fs::create_dir_all(world.path("inventories/photos/daily")).unwrap();
    is_refused(&world, &[], "inventory_not_found");
}

#[test]
fn an_inventory_older_than_seven_days() {
    let world = World::with_objects(5);
    world.deliver(Shape::S3Csv, 8 * 24);
    is_refused(&world, &[], "inventory_too_old");
    world.back_up(&["--max-inventory-age", "9d"]).exits(0);
}

#[test]
fn an_inventory_not_newer_than_that_of_the_last_snapshot() {
    let world = backed_up(5);
    is_refused(&world, &[], "inventory_stale");
    let full = world.back_up(&["--full"]).exits(0).summary();
    assert_eq!(full["mode"], "full");
}

#[test]
fn an_inventory_of_another_bucket() {
    let world = World::with_objects(5);
    let spec = InventorySpec { source_bucket: "paintings".into(), ..world.spec(Shape::S3Csv, 1) };
    world.write(&spec, &world.entries());
    is_refused(&world, &[], "inventory_scope_mismatch");
}

#[test]
fn an_inventory_of_a_narrower_prefix() {
    let world = World::with_objects(5);
    world.deliver(Shape::S3Csv, 1);
    is_refused(&world, &["--inventory-prefix", "0/"], "inventory_scope_mismatch");
}

#[test]
fn a_required_field_that_is_missing() {
    for field in ["Size", "LastModifiedDate", "ETag", "StorageClass"] {
        let world = World::with_objects(5);
        let spec = InventorySpec { without: vec![field], ..world.spec(Shape::S3Csv, 1) };
        world.write(&spec, &world.entries());
        let message = is_refused(&world, &[], "inventory_missing_field").text();
        assert!(message.contains(field), "{field}: {message}");
    }
}

#[test]
fn a_checksum_object_that_is_missing_or_wrong() {
    let world = World::with_objects(5);
    let inventory = world.deliver(Shape::S3Csv, 1);
    let checksum = inventory.manifest.replace(".json", ".checksum");
    world.alter(&checksum, |bytes| *bytes = b"0123456789abcdef0123456789abcdef".to_vec());
    is_refused(&world, &[], "inventory_corrupt");
    fs::remove_file(world.path("inventories").join(&checksum)).unwrap();
    let run = is_refused(&world, &[], "inventory_not_found");
    assert!(run.text().contains("not ready"), "{}", run.text());
}

#[test]
fn a_data_file_that_is_missing_or_not_what_the_manifest_says() {
    for shape in Shape::ALL {
        let world = World::with_objects(50);
        let file = world.deliver(shape, 1).files.remove(0);
        let whole = fs::read(world.path("inventories").join(&file)).unwrap();
        world.alter(&file, |bytes| bytes.truncate(whole.len() / 2));
        is_refused(&world, &[], "inventory_corrupt");
        for at in (0..whole.len()).step_by(whole.len() / 20) {
            world.alter(&file, |bytes| {
                bytes.clone_from(&whole);
                bytes[at] ^= 1;
            });
            is_refused(&world, &[], "inventory_corrupt");
        }
        fs::remove_file(world.path("inventories").join(&file)).unwrap();
        is_refused(&world, &[], "inventory_incomplete");
    }
}

#[test]
fn a_data_file_that_is_listed_twice() {
    let world = World::with_objects(5);
    let inventory = world.deliver(Shape::S3Csv, 1);
    let listed =
        |manifest: &str| manifest[manifest.find("\"files\": [").unwrap() + 10..manifest.find(']').unwrap()].to_owned();
    alter_manifest(&world, &inventory, |manifest| {
        let file = listed(&manifest);
        manifest.replace(&file, &format!("{file},{}", file.replace("\"size\": ", "\"size\": 1")))
    });
    is_refused(&world, &[], "inventory_corrupt");
}

#[test]
fn a_gzip_with_several_members_is_read_whole() {
    let world = World::with_objects(40);
    let inventory = world.deliver(Shape::S3Csv, 1);
    let rows = rows(&world, &inventory);
    let half = rows.lines().take(20).map(|row| row.len() + 1).sum();
    let (first, second) = rows.split_at(half);
    replace_data(&world, &inventory, &[gzip(first), gzip(second)].concat());
    assert_eq!(world.back_up(&[]).exits(0).summary()["copied"]["objects"], 40);
}

#[test]
fn unknown_columns_are_ignored() {
    let world = World::with_objects(10);
    let inventory = world.deliver(Shape::S3Csv, 1);
    let wider: String = rows(&world, &inventory).lines().map(|row| format!("{row},\"tomorrow\"\n")).collect();
    replace_data(&world, &inventory, &gzip(&wider));
    alter_manifest(&world, &inventory, |manifest| manifest.replace("EncryptionStatus", "EncryptionStatus, Weather"));
    assert_eq!(world.back_up(&[]).exits(0).summary()["copied"]["objects"], 10);
}

#[test]
fn a_row_that_cannot_be_read() {
    for spoil in [
        |row: &str| row.replacen("\"photos\",", "\"photos\",\"bad%ZZ\",", 1),
        |row: &str| row.replace("\",\"", "\"\",\""),
    ] {
        let world = World::with_objects(10);
        let inventory = world.deliver(Shape::S3Csv, 1);
        let rows = rows(&world, &inventory);
        let spoilt: String =
            rows.lines().enumerate().map(|(n, row)| if n == 5 { spoil(row) } else { row.to_owned() } + "\n").collect();
        replace_data(&world, &inventory, &gzip(&spoilt));
        is_refused(&world, &[], "inventory_corrupt");
    }
}

#[test]
fn an_inventory_that_is_empty_though_the_parent_was_not() {
    let world = backed_up(5);
    world.write(&world.spec(Shape::S3Csv, 1), &[]);
    is_refused(&world, &[], "guard_mass_change");
    let meant = world.back_up(&["--allow-mass-change"]).exits(0).summary();
    assert_eq!(meant["deleted"]["objects"], 5);
}

#[test]
fn more_than_half_of_all_objects_gone_or_changed() {
    let world = backed_up(120);
    let entries = world.entries();
    world.write(&world.spec(Shape::S3Csv, 24), &entries[..50]);
    is_refused(&world, &[], "guard_mass_change");
    let changed: Vec<_> =
        entries.iter().cloned().map(|entry| entry.with_etag("0123456789abcdef0123456789abcdef")).collect();
    world.write(&world.spec(Shape::S3Csv, 12), &changed);
    is_refused(&world, &[], "guard_mass_change");
    is_refused(&world, &["--max-changed", "0.99"], "guard_mass_change");
}

#[test]
fn two_rows_for_one_key() {
    let world = World::with_objects(5);
    let mut entries = world.entries();
    let older = Entry { last_modified: Timestamp::from_millis(0), ..entries[2].clone() }.with_etag("older");
    entries.push(older);
    world.write(&world.spec(Shape::S3Csv, 1), &entries);
    let summary = world.back_up(&[]).exits(0).summary();
    assert_eq!((&summary["duplicate_rows"], &summary["copied"]["objects"]), (&json!(1), &json!(5)));
    assert_eq!(summary["newer"]["objects"], 0, "the later row is the one that was kept");
}

#[test]
fn a_vault_that_is_none_or_of_a_newer_format() {
    let world = World::with_objects(5);
    let source = world.source();
    let at = |vault: &str| world.program.json(&["backup", "--source", &source, "--vault", vault]);
    at(&world.at("nothing")).fails(1, "vault_not_found");
    assert!(!world.path("nothing").exists(), "nothing is made where a vault was looked for");
    at(&source).fails(1, "vault_not_found");

    let settings = files(&world.path("vault")).into_keys().find(|name| name.ends_with(".json")).unwrap();
    let path = world.path("vault").join(settings);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"version\": 1", "\"version\": 99")).unwrap();
    at(&world.vault()).fails(1, "vault_unsupported");
    fs::write(&path, &text[..text.len() / 2]).unwrap();
    at(&world.vault()).fails(1, "corrupt_pack");
}

/// The largest blob of a vault, which is a pack.
fn pack(world: &World) -> (String, Vec<u8>) {
    world.vault_files().into_iter().max_by_key(|(_, bytes)| bytes.len()).unwrap()
}

#[test]
fn a_vault_object_cut_short_or_with_a_flipped_bit() {
    let world = World::new();
    for number in 0..20 {
        world
            .put(&format!("{number:02}.bin"), (0..9_000_u32).map(|n| (n * (number + 1) / 3) as u8).collect::<Vec<_>>());
    }
    world.traverse(&[]).exits(0);
    let (name, whole) = pack(&world);
    let path = world.path("vault").join(&name);
    let mut flipped = whole.clone();
    flipped[whole.len() / 3] ^= 1;
    for damaged in [flipped, whole[..whole.len() / 2].to_vec()] {
        fs::write(&path, damaged).unwrap();
        let run = world.on_vault("verify", &["--data", "all"]).exits(1);
        let damage = run.events("damage");
        assert_eq!(damage.len(), 1, "{damage:?}");
        assert_eq!(damage[0]["object"], *name);
        assert!(!damage[0]["keys"].as_array().unwrap().is_empty() && damage[0]["problem"].is_string());
        assert_eq!(run.summary()["damaged"]["objects"].as_u64(), damage[0]["key_count"].as_u64());

        // A restore gives what is whole, and names the rest.
        let to = world.at("restored");
        let _ = fs::remove_dir_all(&to);
        let restored = world.on_vault("restore", &["--snapshot", "latest", "--to", &to]).exits(3);
        let failed = restored.events("failed");
        assert_eq!(failed.len() as u64, run.summary()["damaged"]["objects"].as_u64().unwrap());
        let (restored, original) = (files(&world.path("restored")), files(&world.path("photos")));
        assert_eq!(restored.len() + failed.len(), 20);
        assert!(restored.iter().all(|(key, bytes)| original[key] == *bytes));
    }
    fs::remove_file(&path).unwrap();
    let run = world.on_vault("verify", &[]).exits(1);
    assert_eq!(run.events("damage")[0]["object"], *name);
}

#[test]
fn damage_to_the_catalog_is_told_and_not_built_upon() {
    let world = backed_up(30);
    world.deliver(Shape::S3Csv, 1);
    let blobs = world.vault_files();
    let data = pack(&world).0;
    for (name, whole) in
        blobs.iter().filter(|(name, bytes)| **name != data && bytes.len() > 200 && !name.ends_with(".json"))
    {
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 1;
        fs::write(world.path("vault").join(name), flipped).unwrap();
        let run = world.on_vault("verify", &["--data", "all"]);
        assert_ne!(run.code, Some(0), "{name}: {}", run.text());
        assert!(run.text().contains(name.as_str()), "{name}: {}", run.text());
        if name.ends_with(".base") {
            let damage = &run.events("damage")[0];
            assert_eq!(damage["key_ranges"], json!([{ "start": "", "end": null }]), "{damage}");
        }
        fs::write(world.path("vault").join(name), whole).unwrap();
    }
    world.on_vault("verify", &["--data", "all"]).exits(0);
    assert_eq!(world.vault_files(), blobs);
}

#[test]
fn a_target_that_refuses_writes() {
    let world = World::with_objects(5);
    world.traverse(&[]).exits(0);
    fs::write(world.path("file"), "not a folder").unwrap();
    let run = world.on_vault("restore", &["--snapshot", "latest", "--to", &world.at("file")]);
    assert!(matches!(run.code, Some(1 | 3)), "{}", run.text());
    assert_eq!(fs::read_to_string(world.path("file")).unwrap(), "not a folder");
}

#[test]
fn a_full_disk() {
    let world = World::new();
    let noise = |seed: u64| {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let step = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        };
        std::iter::repeat_with(step).take(200_000).collect::<Vec<_>>()
    };
    (0..20).for_each(|seed| world.put(&format!("{seed}.bin"), noise(seed)));
    let (source, vault) = (world.source(), world.vault());
    // No file may grow beyond 512 KiB: to the program this looks like a disk without room.
    let limited = |arguments: &[&str]| {
        let program = world.program.command(arguments);
        let mut shell = Command::new("bash");
        shell.args(["-c", "trap '' XFSZ; ulimit -f 512; exec \"$@\"", "bash"]).arg(program.get_program());
        Run::from(shell.args(program.get_args()).output().expect("bash is there"))
    };
    let snapshots = world.on_vault("snapshots", &[]).rows();
    let run = limited(&["backup", "--source", &source, "--vault", &vault, "--json"]);
    assert_eq!(run.code, Some(1), "{} {}", run.text(), run.stderr);
    assert!(run.text().contains("\"help\""), "{}", run.text());
    assert_eq!(world.on_vault("snapshots", &[]).rows(), snapshots, "nothing was committed");
    world.traverse(&[]).exits(0);
    assert_eq!(world.restored("latest"), files(&world.path("photos")));
}

#[test]
fn a_source_that_is_not_there_or_loses_objects() {
    let world = World::with_objects(10);
    world.deliver(Shape::S3Csv, 2);
    world.remove("3/0003.txt");
    world.put("4/0004.txt", "changed since the inventory");
    let summary = world.back_up(&[]).exits(0).summary();
    assert_eq!((&summary["vanished"]["objects"], &summary["newer"]["objects"]), (&json!(1), &json!(1)));
    assert_eq!(summary["status"], "completed");
    assert_eq!(world.restored("latest"), files(&world.path("photos")));

    let (missing, vault) = (world.at("missing"), world.vault());
    let before = world.vault_files();
    world.program.json(&["backup", "--source", &missing, "--vault", &vault]).fails(1, "source_not_found");
    assert_eq!(world.vault_files(), before);
}

#[test]
fn an_object_that_changed_is_kept_skipped_or_failed_as_asked() {
    for (policy, exit, field) in [("newer", 0, "newer"), ("skip", 0, "copied"), ("fail", 3, "failed")] {
        let world = backed_up(10);
        let unlike =
            |entry: Entry| if entry.key.as_bytes() == b"4/0004.txt" { entry.with_etag("another") } else { entry };
        let entries: Vec<_> = world.entries().into_iter().map(unlike).collect();
        world.write(&world.spec(Shape::S3Csv, 1), &entries);
        let summary = world.back_up(&["--on-changed", policy]).exits(exit).summary();
        let expected = u64::from(policy != "skip");
        assert_eq!(summary[field]["objects"], expected, "{policy}: {summary}");
        assert_eq!(world.restored("latest").len(), 10, "{policy}");
    }
}

#[test]
fn an_interrupt_cancels_cleanly() {
    let world = World::new();
    for number in 0..3_000 {
        world.put(&format!("{}/{number}", number % 50), vec![number as u8; 3_000]);
    }
    let (source, vault) = (world.source(), world.vault());
    let mut committed = 0;
    for delay in [150, 40, 80, 120, 200, 300, 400] {
        let mut backup = world.program.start(&["backup", "--full", "--source", &source, "--vault", &vault]);
        std::thread::sleep(std::time::Duration::from_millis(delay));
        Command::new("kill").args(["-INT", &backup.id().to_string()]).status().unwrap();
        let status = backup.wait().unwrap();
        // A machine fast enough to be done by then, or so slow that it has not begun, is no failure; what is told is
        // what is there.
        assert!(matches!((status.code(), status.signal()), (Some(130 | 0), _) | (_, Some(2))), "{status:?}");
        committed += usize::from(status.code() == Some(0));
        assert_eq!(world.on_vault("snapshots", &[]).exits(0).rows().len(), committed, "after {delay} ms");
    }
    world.traverse(&[]).exits(0);
    let restored: BTreeMap<_, _> = world.restored("latest");
    assert_eq!(restored, files(&world.path("photos")));
}
