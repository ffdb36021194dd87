//! What the tests of the catalog share.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test uses a part; a test fails by panicking")]

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use stocktake_catalog::{CatalogOptions, VaultCatalog};
use stocktake_core::memory::MemoryVault;
use stocktake_core::{
    BlobInfo, Catalog, Error, KeyRange, Location, ManualClock, Result, SnapshotId, SnapshotRecord, Timestamp, Vault,
    VaultCapabilities,
};
use stocktake_format::{VaultId, VaultKey};
use stocktake_testkit::states::{self, State};
use zeroize::Zeroizing;

/// Whether a vault is encrypted.
#[derive(Clone, Copy, Debug)]
pub enum Mode {
    Plain,
    Sealed,
}

pub fn key(mode: Mode) -> Arc<VaultKey> {
    let id = VaultId([1; 16]);
    Arc::new(match mode {
        Mode::Plain => VaultKey::unencrypted(id),
        Mode::Sealed => VaultKey::encrypted(id, Zeroizing::new([2; 32])),
    })
}

/// Segments of some ten to fifty rows, and few runs: so that a small test sees every kind of upkeep.
pub fn tiny() -> CatalogOptions {
    CatalogOptions::default().with_segment_rows(8, 24, 48).with_runs(3, 6).with_group_rows(7, 5).with_rewrite_factor(4)
}

pub fn open(vault: impl Vault, mode: Mode, options: CatalogOptions) -> VaultCatalog {
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_767_300_000_000)));
    VaultCatalog::new(Arc::new(vault), key(mode), clock).with_options(options)
}

/// A catalog with tiny segments in an empty vault.
pub fn empty(mode: Mode) -> VaultCatalog {
    open(MemoryVault::new(), mode, tiny())
}

/// A vault that counts calls, and fails from a given call on.
#[derive(Clone, Debug, Default)]
pub struct WatchedVault {
    inner: MemoryVault,
    state: Arc<Mutex<Watch>>,
}

/// What a [`WatchedVault`] saw, and when it fails.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    /// Names created.
    pub created: Vec<String>,
    /// Names and lengths of reads.
    pub reads: Vec<(String, usize)>,
    pub lists: usize,
    /// Calls that still succeed.
    pub calls_left: Option<usize>,
    /// Whether the call that fails is done all the same.
    pub fails_after: bool,
}

impl WatchedVault {
    pub fn new(inner: MemoryVault) -> Self {
        Self { inner, state: Arc::default() }
    }

    pub fn watch(&self) -> MutexGuard<'_, Watch> {
        self.state.lock().unwrap()
    }

    pub fn memory(&self) -> &MemoryVault {
        &self.inner
    }

    /// Whether this call goes through, and whether its answer arrives.
    fn call(&self) -> (bool, bool) {
        let mut watch = self.watch();
        let fails_after = watch.fails_after;
        match &mut watch.calls_left {
            None => (true, true),
            Some(0) => (false, false),
            Some(left) => {
                *left -= 1;
                if *left == 0 { (fails_after, false) } else { (true, true) }
            }
        }
    }

    fn lost(&self, action: &str) -> Error {
        Error::Unavailable { location: Location::new("watched"), action: action.to_owned(), source: "lost".into() }
    }
}

impl std::fmt::Display for WatchedVault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl Vault for WatchedVault {
    fn capabilities(&self) -> VaultCapabilities {
        self.inner.capabilities()
    }

    async fn create(&self, name: &str, bytes: Bytes) -> Result<()> {
        let (done, answered) = self.call();
        if done {
            self.watch().created.push(name.to_owned());
            self.inner.create(name, bytes).await?;
        }
        if answered { Ok(()) } else { Err(self.lost("create")) }
    }

    async fn read(&self, name: &str, range: Option<Range<u64>>) -> Result<Bytes> {
        if !self.call().1 {
            return Err(self.lost("read"));
        }
        let bytes = self.inner.read(name, range).await?;
        self.watch().reads.push((name.to_owned(), bytes.len()));
        Ok(bytes)
    }

    async fn stat(&self, name: &str) -> Result<BlobInfo> {
        if self.call().1 { self.inner.stat(name).await } else { Err(self.lost("stat")) }
    }

    fn list(&self, prefix: &str, start_after: Option<&str>) -> BoxStream<'static, Result<BlobInfo>> {
        self.watch().lists += 1;
        if self.call().1 {
            self.inner.list(prefix, start_after)
        } else {
            stream::iter([Err(self.lost("list"))]).boxed()
        }
    }

    async fn delete(&self, name: &str) -> Result<()> {
        if self.call().1 { self.inner.delete(name).await } else { Err(self.lost("delete")) }
    }
}

/// A job of a line of snapshots: commits `after` on `parent`, whose rows are `before`.
pub async fn commit(
    catalog: &VaultCatalog,
    n: u64,
    parent: Option<SnapshotId>,
    before: &State,
    after: &State,
) -> Result<SnapshotRecord> {
    let mut writer = catalog.begin(states::job(n, parent)).await?;
    let delta = states::difference(before, after);
    if !delta.puts.is_empty() || !delta.deletes.is_empty() {
        writer.apply(delta).await?;
    }
    writer.commit(states::summary()).await
}

/// Everything in a snapshot.
pub async fn read(catalog: &VaultCatalog, snapshot: SnapshotId) -> Result<State> {
    let snapshot = catalog.open(snapshot).await?;
    states::read(&*snapshot, KeyRange::all()).await
}

/// Rows `key/<n>` for each of `numbers`, all of them of version `version`.
pub fn rows(numbers: impl IntoIterator<Item = u64>, version: u64) -> State {
    let rows = numbers.into_iter().map(|n| states::row(format!("key/{n:05}").as_str(), n * 7 + version));
    rows.map(|row| (row.entry.key.clone(), row)).collect()
}

/// A vault that does every creation, and every other time says that it does not know.
#[derive(Clone, Debug)]
pub struct LossyVault {
    inner: MemoryVault,
    creations: Arc<Mutex<usize>>,
}

impl LossyVault {
    pub fn new(inner: MemoryVault) -> Self {
        Self { inner, creations: Arc::default() }
    }
}

impl std::fmt::Display for LossyVault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl Vault for LossyVault {
    fn capabilities(&self) -> VaultCapabilities {
        self.inner.capabilities()
    }

    async fn create(&self, name: &str, bytes: Bytes) -> Result<()> {
        self.inner.create(name, bytes).await?;
        let mut creations = self.creations.lock().unwrap();
        *creations += 1;
        // Odd ones get lost, and so does that of the slot.
        if creations.is_multiple_of(2) && !name.starts_with("slots/") {
            return Ok(());
        }
        Err(Error::Unavailable { location: Location::new("lossy"), action: "create".to_owned(), source: "lost".into() })
    }

    async fn read(&self, name: &str, range: Option<Range<u64>>) -> Result<Bytes> {
        self.inner.read(name, range).await
    }

    async fn stat(&self, name: &str) -> Result<BlobInfo> {
        self.inner.stat(name).await
    }

    fn list(&self, prefix: &str, start_after: Option<&str>) -> BoxStream<'static, Result<BlobInfo>> {
        self.inner.list(prefix, start_after)
    }

    async fn delete(&self, name: &str) -> Result<()> {
        self.inner.delete(name).await
    }
}
