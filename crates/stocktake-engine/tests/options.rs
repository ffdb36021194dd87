//! Options that make no sense are refused before anything is done.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use stocktake_core::{Clock, InventoryVersions};
use stocktake_engine::filter::FilterRules;
use stocktake_engine::{Backup, BackupOptions, BackupPlan, Restore, Verify};
use support::World;

async fn refusal(change: impl FnOnce(&mut BackupOptions)) -> String {
    let world = World::new().await;
    let mut options = world.options();
    change(&mut options);
    let before = world.store.names();
    let error = world.plan(options).await.unwrap_err();
    assert_eq!((error.code(), world.store.names()), ("invalid_input", before));
    error.to_string()
}

#[tokio::test]
async fn what_a_copy_can_not_hold_is_refused_by_its_name() {
    assert!(refusal(|options| options.copy.block_bytes = 1 << 30).await.contains("block_bytes"));
    assert!(refusal(|options| options.copy.large_object_bytes = 1 << 30).await.contains("large_object_bytes"));
    assert!(refusal(|options| options.copy.pack_bytes = 1 << 40).await.contains("pack_bytes"));
    assert!(refusal(|options| options.copy.concurrency = usize::MAX).await.contains("concurrency"));
    assert!(refusal(|options| options.copy.concurrency = 0).await.contains("concurrency"));
    assert!(refusal(|options| options.copy.buffer_bytes = 8 << 20).await.contains("buffer_bytes"));
    assert!(refusal(|options| options.copy.large_object_bytes = 64 << 20).await.contains("buffer_bytes"));
}

#[tokio::test]
async fn settings_of_a_comparison_that_no_snapshot_could_record_are_refused() {
    let filter = FilterRules::default().compile(support::clock().now()).unwrap();
    assert!(refusal(|options| options.compare.filter = Some(filter)).await.contains("filters"));
    assert!(refusal(|options| options.compare.versions = InventoryVersions::All).await.contains("versions"));
}

#[test]
fn jobs_can_be_spawned_and_shown() {
    fn spawned<F: Future + Send>(_: impl FnOnce() -> F) {}
    fn shown<T: std::fmt::Debug + Send + Sync>() {}
    shown::<(Backup, BackupPlan, Restore, Verify)>();
    let never = || -> (Backup, BackupPlan, Restore, Verify) { unreachable!("only its type counts") };
    spawned(|| async move { never().0.plan(BackupOptions::new(stocktake_core::Location::new("x"))).await });
    spawned(|| async move { never().1.run().await });
    spawned(|| async move { never().2.run(stocktake_engine::RestoreOptions::default()).await });
    spawned(|| async move { never().3.run(&[], stocktake_engine::DataShare::All).await });
}
