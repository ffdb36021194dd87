//! A change set streamed as Arrow is the change set.

#![cfg(feature = "export")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use futures::TryStreamExt;
use stocktake::compare::{CompareOptions, Side, compare};
use stocktake::memory::MemoryBucket;
use stocktake::{Change, Inventory, InventoryReader, OsEntropy, change_record_batches, export};
use tokio_util::sync::CancellationToken;

async fn listing(bucket: &MemoryBucket) -> Arc<dyn Inventory> {
    bucket.open(&bucket.inventories().await.unwrap()[0]).await.unwrap()
}

#[tokio::test]
async fn batches_hold_every_change_in_order() {
    let bucket = MemoryBucket::new("photos");
    for number in 0..100 {
        bucket.put(format!("{number:03}").as_str(), "bytes");
    }
    let before = listing(&bucket).await;
    bucket.put("007", "changed");
    bucket.put("new", "added");
    bucket.remove("042");
    let (before, after) = (Side::Inventory(before), Side::Inventory(listing(&bucket).await));
    let options = CompareOptions::default();
    let changes = compare(before, after, &options, &OsEntropy, &(), &CancellationToken::new()).await.unwrap();

    let owned: Vec<_> = changes.changes().try_collect().await.unwrap();
    let owned: Vec<Change> = owned.iter().flat_map(|batch| batch.iter().map(|change| change.to_change())).collect();
    assert_eq!(owned.len(), 3);
    let batches: Vec<_> = change_record_batches(&changes).try_collect().await.unwrap();
    assert_eq!(batches, [export::changes_to_record_batch(&owned).unwrap()]);
}
