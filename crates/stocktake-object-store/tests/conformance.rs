//! The contracts of the core, kept over the stores that need no server.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use stocktake_core::{InventoryReader, Location, SystemClock, Vault, Wanted};
use stocktake_object_store::{ObjectStoreListing, ObjectStoreSource, ObjectStoreTarget, ObjectStoreVault};
use stocktake_testkit::conformance::{BucketUnderTest, InventoryUnderTest, VaultUnderTest};

fn vault(store: Arc<dyn ObjectStore>) -> ObjectStoreVault {
    ObjectStoreVault::new(store, Location::new("test:vault")).with_prefix("in/here")
}

fn bucket(store: Arc<dyn ObjectStore>) -> (ObjectStoreSource, ObjectStoreTarget) {
    let location = Location::new("test:bucket");
    let source = ObjectStoreSource::new(Arc::clone(&store), location.clone()).with_prefix("a");
    (source, ObjectStoreTarget::new(store, location).with_prefix("a"))
}

fn in_memory() -> BucketUnderTest {
    let (source, target) = bucket(Arc::new(InMemory::new()));
    BucketUnderTest::new(source, target)
}

/// Lists in no order at all. For folders there is `stocktake-fs`; this is about the listing.
fn local_vault() -> VaultUnderTest {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalFileSystem::new_with_prefix(folder.path()).unwrap();
    VaultUnderTest::new(vault(Arc::new(store))).holding(folder)
}

async fn listing() -> InventoryUnderTest {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let (source, target) = bucket(Arc::clone(&store));
    let bucket = BucketUnderTest::new(source, target);
    let mut expected = Vec::new();
    for key in ["a-b", "a/b", "a/c/d", "a0", "ü"] {
        expected.push(bucket.put(key, key).await.unwrap());
    }
    let listing = ObjectStoreListing::new(store, Location::new("test:bucket"), Arc::new(SystemClock));
    InventoryUnderTest::new(listing.with_prefix("a"), expected)
}

mod memory_vault {
    stocktake_testkit::vault_conformance!(super::vault(std::sync::Arc::new(super::InMemory::new())));
}

mod memory_vault_that_looks_first {
    stocktake_testkit::vault_conformance!(
        super::vault(std::sync::Arc::new(super::InMemory::new())).without_create_if_absent()
    );
}

mod memory_source {
    stocktake_testkit::source_conformance!(super::in_memory());
}

mod memory_target {
    stocktake_testkit::target_conformance!(super::in_memory());
}

mod local_vault {
    stocktake_testkit::vault_conformance!(super::local_vault());
}

mod memory_listing {
    stocktake_testkit::inventory_conformance!(super::listing().await);
}

#[tokio::test]
async fn a_probe_leaves_nothing_behind() {
    let vault = vault(Arc::new(InMemory::new()));
    vault.probe().await.unwrap();
    assert!(vault.list("", None).try_collect::<Vec<_>>().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_listing_shows_what_the_source_reads() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let (source, target) = bucket(Arc::clone(&store));
    let bucket = BucketUnderTest::new(source, target);
    for key in ["photos/1", "photos/2", "photos2", "other/3"] {
        bucket.put(key, key.to_owned()).await.unwrap();
    }
    let keys = async |listing: ObjectStoreListing| {
        let inventory = listing.open(&listing.inventories().await.unwrap()[0]).await.unwrap();
        let batches: Vec<_> = inventory.read(0).try_collect().await.unwrap();
        let entries: Vec<_> = batches.iter().flat_map(|batch| batch.iter().map(|entry| entry.to_entry())).collect();
        entries.iter().map(|entry| entry.key.to_string()).collect::<Vec<_>>()
    };
    let listing = ObjectStoreListing::new(store, Location::new("test:bucket"), Arc::new(SystemClock));
    assert_eq!(keys(listing.clone()).await, ["a/other/3", "a/photos/1", "a/photos/2", "a/photos2"]);
    assert_eq!(keys(listing.clone().with_scope("a/photos")).await, ["a/photos/1", "a/photos/2", "a/photos2"]);
    assert_eq!(keys(listing.clone().with_prefix("a").with_scope("photos/")).await, ["photos/1", "photos/2"]);
    let inventory = listing.with_prefix("a");
    let inventory = inventory.open(&inventory.inventories().await.unwrap()[0]).await.unwrap();
    let batches: Vec<_> = inventory.read(0).try_collect().await.unwrap();
    for entry in batches[0].iter().map(|entry| entry.to_entry()) {
        let read = bucket.source.read(Wanted::Exactly(&entry), None).await.unwrap();
        assert_eq!((read.size, read.etag, read.last_modified), (entry.size, entry.etag, entry.last_modified));
    }
}
