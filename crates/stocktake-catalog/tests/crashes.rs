//! A job may stop at any call of the vault: what was committed stays, and the next job goes on.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Mode, WatchedVault, commit, open, read, rows, tiny};
use stocktake_core::memory::MemoryVault;
use stocktake_core::{Catalog, SnapshotRecord, Vault};
use stocktake_testkit::conformance::run;
use stocktake_testkit::states::{self, State};

/// Two days that a job builds on, and the state it is to commit: changes all over, deletions, a tail.
async fn prepared() -> (MemoryVault, Vec<(SnapshotRecord, State)>, State) {
    let vault = MemoryVault::new();
    let catalog = open(vault.clone(), Mode::Plain, tiny());
    let first = rows(0..70, 0);
    let mut second = first.clone();
    second.extend(rows((0..70).step_by(9), 1));
    let one = commit(&catalog, 0, None, &State::new(), &first).await.unwrap();
    let two = commit(&catalog, 1, Some(one.id), &first, &second).await.unwrap();
    let mut third = second.clone();
    third.retain(|key, _| !key.as_bytes().starts_with(b"key/0003"));
    third.extend(rows((0..12).chain(70..90), 2));
    (vault, vec![(one, first), (two, second)], third)
}

/// A vault with the same blobs.
async fn copy(vault: &MemoryVault) -> MemoryVault {
    let copy = MemoryVault::new();
    for name in vault.names() {
        copy.create(&name, vault.read(&name, None).await.unwrap()).await.unwrap();
    }
    copy
}

/// Lets a job fail at its `n`-th call. Whether there was such a call.
async fn stop_at(
    (vault, history, after): &(MemoryVault, Vec<(SnapshotRecord, State)>, State),
    n: usize,
    fails_after: bool,
) -> bool {
    let watched = WatchedVault::new(copy(vault).await);
    (watched.watch().calls_left, watched.watch().fails_after) = (Some(n), fails_after);
    let (parent, before) = history.last().unwrap();
    let stopped = commit(&open(watched.clone(), Mode::Plain, tiny()), 2, Some(parent.id), before, after).await;

    let catalog = open(watched.memory().clone(), Mode::Plain, tiny());
    for (record, state) in history {
        assert_eq!(read(&catalog, record.id).await.unwrap(), *state, "call {n}");
    }
    let listed = catalog.snapshots().await.unwrap();
    let committed = listed.len() > history.len();
    assert!(committed || stopped.is_err(), "call {n}: told to be committed, and is not there");
    let again = commit(&catalog, 3, Some(parent.id), before, after).await.unwrap();
    assert_eq!(read(&catalog, again.id).await.unwrap(), *after, "call {n}");
    if committed {
        assert_eq!(read(&catalog, listed[2].id).await.unwrap(), *after, "call {n}");
    }
    watched.watch().calls_left == Some(0)
}

#[test]
fn a_job_may_stop_at_any_call() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let prepared = runtime.block_on(prepared());
    for fails_after in [false, true] {
        let calls = (1..).take_while(|n| runtime.block_on(stop_at(&prepared, *n, fails_after))).count();
        assert!(calls > 10, "{calls}");
    }
}

#[test]
fn an_answer_that_got_lost_is_found_out() {
    run(async {
        let (vault, history, after) = prepared().await;
        let (parent, before) = history.last().unwrap();
        let lossy = common::LossyVault::new(copy(&vault).await);
        let catalog = open(lossy, Mode::Plain, tiny());
        let record = commit(&catalog, 2, Some(parent.id), before, &after).await.unwrap();
        assert_eq!(read(&catalog, record.id).await.unwrap(), after);
    });
}

#[test]
fn an_aborted_job_commits_nothing() {
    run(async {
        use stocktake_core::Error;
        use stocktake_format::{Slot, encode_document, names};
        let (vault, history, after) = prepared().await;
        let (parent, before) = history.last().unwrap();
        let catalog = open(vault.clone(), Mode::Plain, tiny());
        let job = states::job(2, Some(parent.id));
        let slot = names::slot(job.id);
        let mut writer = catalog.begin(job).await.unwrap();
        writer.apply(states::difference(before, &after)).await.unwrap();
        let abort = Slot::Abort { by: "prune".to_owned(), reason: "no sign of life".to_owned() };
        vault.create(&slot, encode_document(&common::key(Mode::Plain), &slot, &abort).into()).await.unwrap();
        let refused = writer.commit(states::summary()).await;
        assert!(matches!(&refused, Err(Error::JobAborted { reason, .. }) if reason == "prune: no sign of life"));
        assert_eq!(catalog.snapshots().await.unwrap().len(), 2);
    });
}
