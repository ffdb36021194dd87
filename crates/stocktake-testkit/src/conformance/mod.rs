//! Suites that check an implementation against the contract of its trait.
//!
//! Each promise is one function, and each suite has a macro that makes one test
//! of every function, so that a failure names the promise. The macro takes an
//! expression that makes a fresh instance; it is evaluated in each test, inside
//! a runtime, and may await.
//!
//! ```
//! use stocktake_core::memory::MemoryVault;
//!
//! mod memory {
//!     use super::*;
//!     stocktake_testkit::vault_conformance!(MemoryVault::new());
//! }
//! ```

mod bucket;
pub mod catalog;
pub mod inventory;
pub mod keys;
pub mod source;
pub mod target;
pub mod vault;

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use stocktake_core::Vault;

pub use bucket::BucketUnderTest;
pub use catalog::CatalogUnderTest;
pub use inventory::InventoryUnderTest;

/// A vault, and what must live as long as it does.
pub struct VaultUnderTest {
    /// The vault.
    pub vault: Arc<dyn Vault>,
    guard: Vec<Box<dyn Any + Send + Sync>>,
}

impl VaultUnderTest {
    /// An empty vault.
    pub fn new(vault: impl Vault) -> Self {
        Self { vault: Arc::new(vault), guard: Vec::new() }
    }

    /// The same vault; `guard`, such as a temporary folder, is dropped after it.
    #[must_use]
    pub fn holding(mut self, guard: impl Any + Send + Sync) -> Self {
        self.guard.push(Box::new(guard));
        self
    }
}

impl<V: Vault> From<V> for VaultUnderTest {
    fn from(vault: V) -> Self {
        Self::new(vault)
    }
}

impl fmt::Debug for VaultUnderTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VaultUnderTest").field("vault", &self.vault).finish_non_exhaustive()
    }
}

/// Runs a test on a runtime of two threads, so that what should be concurrent is.
pub fn run<F: Future>(test: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime can be started").block_on(test)
}

/// `length` bytes that don't compress and don't repeat; the same for the same `seed`.
pub fn noise(seed: u64, length: usize) -> bytes::Bytes {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes.into()
}

/// Makes one test of each promise of a suite. The suites' own macros call it.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_tests {
    ($suite:ident, $under_test:ident, $factory:expr, [$($promise:ident),+ $(,)?]) => { $(
        #[test]
        fn $promise() {
            $crate::conformance::run(async {
                let under_test = $crate::conformance::$under_test::from($factory);
                $crate::conformance::$suite::$promise(&under_test).await;
            });
        }
    )+ };
}

#[cfg(test)]
mod tests {
    mod memory_vault {
        crate::vault_conformance!(stocktake_core::memory::MemoryVault::new());
    }

    mod memory_catalog {
        crate::catalog_conformance!(stocktake_core::memory::MemoryCatalog::new());
    }

    fn memory_listing() -> crate::conformance::InventoryUnderTest {
        let bucket = stocktake_core::memory::MemoryBucket::new("bucket");
        let expected = ["a", "b/c", "b/d"].map(|key| bucket.put(key, key));
        crate::conformance::InventoryUnderTest::new(bucket, expected.into())
    }

    mod memory_inventory {
        crate::inventory_conformance!(super::memory_listing());
    }

    mod memory_source {
        crate::source_conformance!(stocktake_core::memory::MemoryBucket::new("bucket"));
    }

    mod memory_target {
        crate::target_conformance!(stocktake_core::memory::MemoryBucket::new("bucket"));
    }
}
