//! A backup is killed at many moments; what was committed stays, and the next one succeeds.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use support::folder::{World, files};

const KILLS: u32 = 25;

#[test]
fn a_killed_backup_leaves_a_vault_that_is_whole() {
    let world = World::new();
    for number in 0..1_500 {
        world.put(&format!("{}/{number:04}", number % 30), vec![(number % 251) as u8; 2_000 + number]);
    }
    world.put("large", (0..12_000_000_u32).map(|n| (n / 1_000 * 7) as u8).collect::<Vec<_>>());
    // How long a whole run takes tells when to kill: on a busy machine, as little as it ever took.
    let whole = tempfile::tempdir().unwrap();
    let elsewhere = whole.path().join("vault").to_str().unwrap().to_owned();
    world.program.run(&["init", &elsewhere, "--unencrypted"]).exits(0);
    let source = world.source();
    let began = now();
    world.program.json(&["backup", "--source", &source, "--vault", &elsewhere]).exits(0);
    let mut whole_run = began.elapsed();

    let mut committed: BTreeMap<String, BTreeMap<String, Vec<u8>>> = BTreeMap::new();
    let mut killed = 0;
    for kill in 0..KILLS {
        let vault = world.vault();
        let name = format!("attempt-{kill}");
        let mut backup =
            world.program.start(&["backup", "--source", &source, "--vault", &vault, "--name", &name, "--full"]);
        let began = now();
        while began.elapsed() < whole_run * kill / (KILLS - 3) {
            if backup.try_wait().unwrap().is_some() {
                whole_run = whole_run.min(began.elapsed());
                break;
            }
            sleep(Duration::from_millis(1));
        }
        backup.kill().unwrap();
        killed += u32::from(backup.wait().unwrap().code().is_none());
        for row in world.on_vault("snapshots", &[]).exits(0).rows() {
            let name = row["name"].as_str().unwrap().to_owned();
            committed.entry(name).or_insert_with(|| files(&world.path("photos")));
        }
        world.on_vault("verify", &["--data", "all"]).exits(0);
        world.put(&format!("after/{kill}"), format!("attempt {kill} is over"));
    }
    assert!(killed >= KILLS / 2, "{killed} of {KILLS} were killed before they were done");
    for (name, expected) in &committed {
        assert_eq!(&world.restored(name), expected, "{name}");
    }
    let last = world.traverse(&[]).exits(0).summary();
    assert_eq!(last["failed"]["objects"], 0);
    assert_eq!(world.restored("latest"), files(&world.path("photos")));
    world.on_vault("verify", &["--data", "all"]).exits(0);
}

#[expect(clippy::disallowed_methods, reason = "a test measures real time")]
fn now() -> Instant {
    Instant::now()
}
