//! The contracts of the core, kept by folders.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use stocktake_core::{Entry, SystemClock};
use stocktake_fs::{FsListing, FsSource, FsTarget, FsVault};
use stocktake_testkit::conformance::{BucketUnderTest, InventoryUnderTest, VaultUnderTest};

/// Neither root exists before it is first written to.
fn vault() -> VaultUnderTest {
    let folder = tempfile::tempdir().unwrap();
    VaultUnderTest::new(FsVault::new(folder.path().join("new/vault"))).holding(folder)
}

fn bucket() -> BucketUnderTest {
    let folder = tempfile::tempdir().unwrap();
    let (source, target) = (FsSource::new(folder.path()), FsTarget::new(folder.path()));
    BucketUnderTest::new(source, target).without_attributes().holding(folder)
}

async fn listing() -> InventoryUnderTest {
    let folder = tempfile::tempdir().unwrap();
    let bucket = BucketUnderTest::new(FsSource::new(folder.path()), FsTarget::new(folder.path()));
    let mut expected: Vec<Entry> = Vec::new();
    for key in ["a-b", "a/b", "a/c/d", "a0", "empty", "ü/ö"] {
        expected.push(bucket.put(key, key.repeat(key.len() - 1)).await.unwrap());
    }
    InventoryUnderTest::new(FsListing::new(folder.path(), Arc::new(SystemClock)), expected).holding(folder)
}

mod vault_contract {
    stocktake_testkit::vault_conformance!(super::vault());
}

mod source_contract {
    stocktake_testkit::source_conformance!(super::bucket());
}

mod target_contract {
    stocktake_testkit::target_conformance!(super::bucket());
}

mod listing_contract {
    stocktake_testkit::inventory_conformance!(super::listing().await);
}
