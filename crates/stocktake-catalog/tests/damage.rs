//! Whatever happens to a blob is noticed: verify names it, and no read gives wrong rows.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use bytes::Bytes;
use common::{Mode, commit, key, open, read, rows, tiny};
use futures::TryStreamExt;
use stocktake_catalog::VaultCatalog;
use stocktake_core::memory::MemoryVault;
use stocktake_core::{Catalog, Result, SnapshotRecord, Vault};
use stocktake_testkit::conformance::run;
use stocktake_testkit::states::{self, State};

/// A snapshot with several bases and runs, and what is in it.
async fn prepared(mode: Mode) -> (MemoryVault, SnapshotRecord, State) {
    let vault = MemoryVault::new();
    let catalog = open(vault.clone(), mode, tiny().with_rewrite_factor(0));
    let mut state = rows(0..120, 0);
    let mut record = commit(&catalog, 0, None, &State::new(), &state).await.unwrap();
    for day in 1..3 {
        let mut after = state.clone();
        after.extend(rows((day..120).step_by(13), day));
        after.remove(&format!("key/{:05}", 5 * day).into_bytes()[..]);
        record = commit(&catalog, day, Some(record.id), &state, &after).await.unwrap();
        state = after;
    }
    (vault, record, state)
}

/// The blobs that the snapshot rests on: its slot, root, segments and sidecars.
async fn blobs(catalog: &VaultCatalog, record: &SnapshotRecord) -> Vec<String> {
    let root = catalog.root(record.id).await.unwrap();
    assert!(root.runs.len() == 2 && root.fences.len() > 3);
    let segments =
        root.segments().flat_map(|segment| [segment.name.clone(), stocktake_format::names::refs(&segment.name)]);
    segments.chain([record.root.name.clone(), stocktake_format::names::slot(record.id)]).collect()
}

/// Ways to damage a blob, given another one to be swapped with.
fn damages(bytes: &Bytes, other: &Bytes) -> Vec<(&'static str, Option<Bytes>)> {
    let flipped = |at: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 16;
        Some(Bytes::from(bytes))
    };
    let middle = bytes.len() / 2;
    vec![
        ("a bit flipped at the start", flipped(0)),
        ("a bit flipped in the middle", flipped(middle)),
        ("a bit flipped near the end", flipped(bytes.len() - 9)),
        ("cut by a byte", Some(bytes.slice(..bytes.len() - 1))),
        ("cut in half", Some(bytes.slice(..middle))),
        ("emptied", Some(Bytes::new())),
        ("longer by a byte", Some([bytes, &b"x"[..]].concat().into())),
        ("swapped", Some(other.clone())),
        ("deleted", None),
    ]
}

async fn check(mode: Mode) {
    let (vault, record, state) = prepared(mode).await;
    let names = blobs(&open(vault.clone(), mode, tiny()), &record).await;
    for (index, name) in names.iter().enumerate() {
        let bytes = vault.read(name, None).await.unwrap();
        // A blob of the same kind: segments and sidecars alternate.
        let other = vault.read(&names[(index + 2) % names.len()], None).await.unwrap();
        for (what, damaged) in damages(&bytes, &other) {
            match damaged {
                Some(damaged) => vault.tamper(name, damaged),
                None => vault.delete(name).await.unwrap(),
            }
            check_noticed(&vault, mode, &record, &state, name, what).await;
            vault.tamper(name, bytes.clone());
        }
    }
    assert_eq!(read(&open(vault, mode, tiny()), record.id).await.unwrap(), state);
}

/// A reader that opens the vault now never gets other rows, and a check names the blob.
async fn check_noticed(
    vault: &MemoryVault,
    mode: Mode,
    record: &SnapshotRecord,
    state: &State,
    name: &str,
    what: &str,
) {
    let catalog = open(vault.clone(), mode, tiny());
    if let Ok(found) = read(&catalog, record.id).await {
        assert!(found == *state, "{name} was {what}, and other rows were read");
    }
    let checked: Result<Vec<_>> = catalog.check(vec![record.id]).try_collect().await;
    if name.starts_with("slots/") {
        // The other snapshots are there all the same.
        let listed = catalog.snapshots().await.unwrap();
        assert!(listed.len() == 2 && listed.iter().all(|other| other.id != record.id), "{name} was {what}");
        if what == "deleted" {
            // Without its slot a snapshot was never committed.
            assert_eq!(checked.unwrap_err().code(), "snapshot_not_found");
            return;
        }
        let all: Vec<_> = catalog.check(Vec::new()).try_collect().await.unwrap();
        assert_eq!(all, *checked.as_ref().unwrap(), "{name} was {what}");
    }
    let issues = checked.unwrap();
    let named: Vec<_> = issues.iter().filter(|issue| issue.blob == name).collect();
    assert_eq!((named.len(), issues.len()), (1, 1), "{name} was {what}: {issues:?}");
    assert_eq!(named[0].keys.is_empty(), name.ends_with(".refs"), "{name} was {what}: {issues:?}");
}

#[test]
fn damage_in_a_plain_vault_is_noticed() {
    run(check(Mode::Plain));
}

#[test]
fn damage_in_an_encrypted_vault_is_noticed() {
    run(check(Mode::Sealed));
}

#[test]
fn keys_that_a_damage_does_not_concern_still_read() {
    run(async {
        let (vault, record, state) = prepared(Mode::Plain).await;
        let root = open(vault.clone(), Mode::Plain, tiny()).root(record.id).await.unwrap();
        vault.delete(&root.fences[1].base.as_ref().unwrap().name).await.unwrap();
        let catalog = open(vault, Mode::Plain, tiny());
        let damage: Vec<_> = catalog.check(vec![record.id]).try_collect().await.unwrap();
        assert_eq!(damage[0].keys, [root.range_of(1)]);
        let snapshot = catalog.open(record.id).await.unwrap();
        for index in (0..root.fences.len()).filter(|index| *index != 1) {
            let range = root.range_of(index);
            let expected: State = state
                .iter()
                .filter(|(key, _)| range.contains(key.as_bytes()))
                .map(|(key, row)| (key.clone(), row.clone()))
                .collect();
            assert_eq!(states::read(&*snapshot, range).await.unwrap(), expected);
        }
        assert!(read(&catalog, record.id).await.is_err());
    });
}

#[test]
fn a_catalog_of_another_vault_reads_nothing() {
    run(async {
        let (vault, record, _) = prepared(Mode::Sealed).await;
        assert!(key(Mode::Sealed).is_encrypted());
        assert!(open(vault, Mode::Plain, tiny()).open(record.id).await.is_err());
    });
}

#[test]
fn whoever_has_no_key_can_not_hide_a_snapshot() {
    run(async {
        for forged in [Bytes::new(), Bytes::from_static(b"STKD\x02\0\0\0"), Bytes::from_static(&[0; 64])] {
            let (vault, record, state) = prepared(Mode::Sealed).await;
            let mark = stocktake_format::names::expire(record.id);
            vault.create(&mark, forged).await.unwrap();
            let catalog = open(vault.clone(), Mode::Sealed, tiny());
            assert_eq!(catalog.snapshots().await.unwrap().len(), 3);
            assert_eq!(read(&catalog, record.id).await.unwrap(), state);
            let damage: Vec<_> = catalog.check(Vec::new()).try_collect().await.unwrap();
            assert_eq!(damage.iter().map(|damage| &damage.blob).collect::<Vec<_>>(), [&mark]);
            assert!(damage[0].keys.is_empty());
            // What is there is no mark, so the snapshot can't be marked before it is gone.
            assert!(catalog.expire(record.id).await.is_err());
            vault.delete(&mark).await.unwrap();
            catalog.expire(record.id).await.unwrap();
            assert_eq!(open(vault, Mode::Sealed, tiny()).snapshots().await.unwrap().len(), 2);
        }
    });
}

#[test]
fn names_that_are_no_jobs_are_passed_over() {
    run(async {
        let (vault, record, state) = prepared(Mode::Plain).await;
        let id = record.id.to_string();
        for name in ["slots/.DS_Store", "expire/readme", &format!("expire/{}", id.to_uppercase()), "slots/a/b"] {
            vault.create(name, "x".into()).await.unwrap();
        }
        let catalog = open(vault, Mode::Plain, tiny());
        assert_eq!(catalog.snapshots().await.unwrap().len(), 3);
        assert_eq!(read(&catalog, record.id).await.unwrap(), state);
        assert_eq!(catalog.check(Vec::new()).try_collect::<Vec<_>>().await.unwrap(), []);
    });
}

#[test]
fn a_record_of_later_software_is_not_passed_over() {
    run(async {
        for name in [stocktake_format::names::slot, stocktake_format::names::expire] {
            let (vault, record, _) = prepared(Mode::Sealed).await;
            let name = name(record.id);
            let later = stocktake_format::encode_document(
                &key(Mode::Sealed),
                &name,
                &std::collections::BTreeMap::from([("version", 2)]),
            );
            vault.tamper(&name, later);
            let listed = open(vault, Mode::Sealed, tiny()).snapshots().await;
            assert_eq!(listed.unwrap_err().code(), "vault_unsupported");
        }
    });
}
