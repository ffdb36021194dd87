//! A backup that stops at any call to the vault: what was committed restores,
//! nothing half-done shows, and the next backup succeeds.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use stocktake_core::memory::MemoryVault;
use stocktake_core::{BlobInfo, Result, SnapshotId, Vault, VaultCapabilities};
use stocktake_engine::{Meter, RetryingVault};
use stocktake_testkit::wrappers::{FaultyVault, VaultFault};
use support::{World, noise};

async fn world() -> World {
    let world = World::new().await;
    for n in 0..30 {
        world.bucket.put(format!("k{n:02}").as_str(), noise(n, 4000));
    }
    world
}

fn live_a_day(world: &World, day: u64) {
    world.bucket.put(format!("k{:02}", day % 30).as_str(), noise(1000 + day, 5000));
    world.bucket.put(format!("new{day}").as_str(), noise(2000 + day, 100));
    world.bucket.remove(format!("k{:02}", (day + 7) % 30).as_str());
}

/// Runs a backup against a vault with a fault at its `n`-th call. `None` when there were fewer calls.
async fn backup_with_fault(world: &World, n: usize, fault: Option<VaultFault>) -> Option<Result<SnapshotId>> {
    let vault = Arc::new(FaultyVault::new((*world.store).clone()));
    match fault {
        Some(fault) => vault.plan().fail(n, fault),
        None => vault.plan().stop_at(n),
    }
    let seen: Arc<dyn Vault> = match fault {
        Some(_) => Arc::new(RetryingVault::new(vault.clone(), Meter::new())),
        // Who has been stopped does not try again.
        None => vault.clone(),
    };
    let result = world.reopened(seen).backup().await.map(|report| report.snapshot.id);
    (vault.plan().calls() > n).then_some(result)
}

#[tokio::test]
async fn stopping_at_any_call_loses_nothing_that_was_committed() {
    let world = world().await;
    let first = world.backup().await.unwrap().snapshot.id;
    let first_state = world.state();
    live_a_day(&world, 1);
    for n in 0.. {
        let Some(result) = backup_with_fault(&world, n, None).await else { break };
        let committed = world.reopened(world.store.clone()).catalog.snapshots().await.unwrap();
        assert!(world.restored(first).await.unwrap() == first_state, "stopped at call {n}");
        for record in &committed[1..] {
            // A stop after the commit but before its answer leaves the snapshot whole.
            assert!(world.restored(record.id).await.unwrap() == world.state(), "stopped at call {n}");
        }
        assert!(result.is_err() || committed.len() > 1);
        assert_eq!(world.verify().await.damage, [], "stopped at call {n}");
    }
    let last = world.backup().await.unwrap().snapshot.id;
    assert!(world.restored(last).await.unwrap() == world.state());
}

#[tokio::test]
async fn a_call_whose_outcome_is_unknown_is_found_out() {
    let world = world().await;
    for n in 0..25 {
        live_a_day(&world, n as u64);
        let Some(result) = backup_with_fault(&world, n, Some(VaultFault::DoneButUnavailable)).await else { break };
        let snapshot = result.unwrap_or_else(|error| panic!("call {n}: {error}"));
        assert!(world.restored(snapshot).await.unwrap() == world.state(), "call {n}");
    }
}

/// A store whose client sends every creation twice, and answers with the second outcome.
#[derive(Clone, Debug)]
struct SendsTwice(MemoryVault);

impl fmt::Display for SendsTwice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[async_trait]
impl Vault for SendsTwice {
    fn capabilities(&self) -> VaultCapabilities {
        self.0.capabilities()
    }

    async fn create(&self, name: &str, bytes: Bytes) -> Result<()> {
        self.0.create(name, bytes.clone()).await?;
        self.0.create(name, bytes).await
    }

    async fn read(&self, name: &str, range: Option<Range<u64>>) -> Result<Bytes> {
        self.0.read(name, range).await
    }

    async fn stat(&self, name: &str) -> Result<BlobInfo> {
        self.0.stat(name).await
    }

    fn list(&self, prefix: &str, start_after: Option<&str>) -> BoxStream<'static, Result<BlobInfo>> {
        self.0.list(prefix, start_after)
    }

    async fn delete(&self, name: &str) -> Result<()> {
        self.0.delete(name).await
    }
}

#[tokio::test]
async fn a_repetition_that_meets_its_own_first_attempt_ends_no_job() {
    let world = world().await;
    let twice = world.reopened(Arc::new(SendsTwice((*world.store).clone())));
    let snapshot = twice.backup().await.unwrap().snapshot.id;
    assert!(world.restored(snapshot).await.unwrap() == world.state());
}
