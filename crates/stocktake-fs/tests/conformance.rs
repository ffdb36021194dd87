//! The contracts of the core, kept by folders.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use stocktake_fs::{FsSource, FsTarget, FsVault};
use stocktake_testkit::conformance::{BucketUnderTest, VaultUnderTest};

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

mod vault_contract {
    stocktake_testkit::vault_conformance!(super::vault());
}

mod source_contract {
    stocktake_testkit::source_conformance!(super::bucket());
}

mod target_contract {
    stocktake_testkit::target_conformance!(super::bucket());
}
