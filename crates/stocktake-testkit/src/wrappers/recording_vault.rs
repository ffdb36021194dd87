//! A vault that remembers what was asked of it.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use stocktake_core::{BlobInfo, Result, Vault, VaultCapabilities};

/// A kind of call to a vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VaultOp {
    /// `create`.
    Create,
    /// `read`, whole or a range.
    Read,
    /// `stat`.
    Stat,
    /// `list`.
    List,
    /// `delete`.
    Delete,
}

/// One call to a vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultCall {
    /// Which.
    pub op: VaultOp,
    /// The blob's name; of a listing its prefix.
    pub name: String,
    /// The range asked for.
    pub range: Option<Range<u64>>,
    /// Bytes sent by a creation; 0 for other calls.
    pub bytes: u64,
}

/// A [`Vault`] that logs every call before it passes it on. Clones share the log.
#[derive(Clone)]
pub struct RecordingVault {
    inner: Arc<dyn Vault>,
    calls: Arc<Mutex<Vec<VaultCall>>>,
}

impl RecordingVault {
    /// Wraps a vault.
    pub fn new(inner: impl Vault) -> Self {
        Self { inner: Arc::new(inner), calls: Arc::default() }
    }

    /// All calls so far, in the order they were made.
    pub fn calls(&self) -> Vec<VaultCall> {
        self.log().clone()
    }

    /// How many calls of a kind there were.
    pub fn count(&self, op: VaultOp) -> usize {
        self.log().iter().filter(|call| call.op == op).count()
    }

    /// Forgets all calls, and returns them.
    pub fn take_calls(&self) -> Vec<VaultCall> {
        std::mem::take(&mut self.log())
    }

    fn log(&self) -> MutexGuard<'_, Vec<VaultCall>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, op: VaultOp, name: &str, range: Option<Range<u64>>, bytes: usize) {
        self.log().push(VaultCall { op, name: name.to_owned(), range, bytes: bytes as u64 });
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Vault for RecordingVault {
    fn capabilities(&self) -> VaultCapabilities {
        self.inner.capabilities()
    }

    async fn create(&self, name: &str, bytes: Bytes) -> Result<()> {
        self.record(VaultOp::Create, name, None, bytes.len());
        self.inner.create(name, bytes).await
    }

    async fn read(&self, name: &str, range: Option<Range<u64>>) -> Result<Bytes> {
        self.record(VaultOp::Read, name, range.clone(), 0);
        self.inner.read(name, range).await
    }

    async fn stat(&self, name: &str) -> Result<BlobInfo> {
        self.record(VaultOp::Stat, name, None, 0);
        self.inner.stat(name).await
    }

    fn list(&self, prefix: &str, start_after: Option<&str>) -> BoxStream<'static, Result<BlobInfo>> {
        self.record(VaultOp::List, prefix, None, 0);
        self.inner.list(prefix, start_after)
    }

    async fn delete(&self, name: &str) -> Result<()> {
        self.record(VaultOp::Delete, name, None, 0);
        self.inner.delete(name).await
    }
}

impl fmt::Display for RecordingVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl fmt::Debug for RecordingVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordingVault").field("inner", &self.inner).field("calls", &self.log().len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stocktake_core::memory::MemoryVault;

    crate::vault_conformance!(RecordingVault::new(MemoryVault::new()));

    #[test]
    fn every_call_is_logged_with_what_it_asked_for() {
        futures::executor::block_on(async {
            let vault = RecordingVault::new(MemoryVault::new());
            vault.create("a", "bytes".into()).await.unwrap();
            vault.read("a", Some(1..2)).await.unwrap();
            drop(vault.list("prefix", None));
            vault.delete("a").await.unwrap();
            assert!(vault.stat("a").await.is_err());
            let call = |op, name: &str, range, bytes| VaultCall { op, name: name.to_owned(), range, bytes };
            let expected = [
                call(VaultOp::Create, "a", None, 5),
                call(VaultOp::Read, "a", Some(1..2), 0),
                call(VaultOp::List, "prefix", None, 0),
                call(VaultOp::Delete, "a", None, 0),
                call(VaultOp::Stat, "a", None, 0),
            ];
            assert_eq!((vault.count(VaultOp::Read), vault.take_calls()), (1, expected.to_vec()));
            assert!(vault.calls().is_empty());
        });
    }
}
