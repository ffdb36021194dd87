//! Counting wrappers: every request a job sends passes one of these.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use stocktake_core::{
    BlobInfo, IfExists, Inventory, NewObject, ObjectKey, ObjectRead, RequestCounts, Result, Source, Tally, Target,
    TargetObject, Vault, VaultCapabilities, Wanted,
};

/// Counts requests by kind. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    source_get: AtomicU64,
    source_list: AtomicU64,
    vault_put: AtomicU64,
    vault_blobs: AtomicU64,
    vault_bytes: AtomicU64,
    vault_get: AtomicU64,
    vault_head: AtomicU64,
    vault_list: AtomicU64,
    vault_delete: AtomicU64,
    target_head: AtomicU64,
    target_put: AtomicU64,
    retries: AtomicU64,
}

/// What a [`Meter`] shows at some moment.
pub(crate) struct Reading {
    pub(crate) requests: RequestCounts,
    /// Blobs that the vault has taken.
    pub(crate) written: Tally,
    pub(crate) retries: u64,
}

impl Meter {
    /// A meter at zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// The requests so far. HEAD of a source is not sent by a job; LIST only by the
    /// listing that replaces an inventory, once a job has read it.
    pub fn requests(&self) -> RequestCounts {
        let counts = &*self.0;
        RequestCounts {
            source_get: counts.source_get.load(Relaxed),
            source_head: 0,
            source_list: counts.source_list.load(Relaxed),
            vault_put: counts.vault_put.load(Relaxed),
            vault_get: counts.vault_get.load(Relaxed),
            vault_head: counts.vault_head.load(Relaxed),
            vault_list: counts.vault_list.load(Relaxed),
            vault_delete: counts.vault_delete.load(Relaxed),
            target_head: counts.target_head.load(Relaxed),
            target_put: counts.target_put.load(Relaxed),
        }
    }

    /// Blobs that a vault has taken, and their bytes; attempts that failed are not in it.
    pub fn written(&self) -> Tally {
        let bytes = self.0.vault_bytes.load(Relaxed);
        Tally { objects: self.0.vault_blobs.load(Relaxed), bytes: bytes.into() }
    }

    /// Calls that were repeated.
    pub fn retries(&self) -> u64 {
        self.0.retries.load(Relaxed)
    }

    /// What it shows now.
    pub(crate) fn reading(&self) -> Reading {
        Reading { requests: self.requests(), written: self.written(), retries: self.retries() }
    }

    /// What was counted after an earlier reading.
    pub(crate) fn since(&self, before: &Reading) -> Reading {
        let (now, then) = (self.requests(), &before.requests);
        let requests = RequestCounts {
            source_get: now.source_get - then.source_get,
            source_head: now.source_head - then.source_head,
            source_list: now.source_list - then.source_list,
            vault_put: now.vault_put - then.vault_put,
            vault_get: now.vault_get - then.vault_get,
            vault_head: now.vault_head - then.vault_head,
            vault_list: now.vault_list - then.vault_list,
            vault_delete: now.vault_delete - then.vault_delete,
            target_head: now.target_head - then.target_head,
            target_put: now.target_put - then.target_put,
        };
        let (written, then) = (self.written(), before.written);
        Reading {
            requests,
            written: Tally { objects: written.objects - then.objects, bytes: written.bytes - then.bytes },
            retries: self.retries() - before.retries,
        }
    }

    /// Counts a blob of this length that the vault has taken.
    pub(crate) fn taken(&self, bytes: u64) {
        self.0.vault_blobs.fetch_add(1, Relaxed);
        self.0.vault_bytes.fetch_add(bytes, Relaxed);
    }

    /// Counts a repeated call.
    pub(crate) fn retried(&self) {
        self.0.retries.fetch_add(1, Relaxed);
    }

    /// Counts what reading an inventory has cost the source, once it was read.
    pub(crate) fn listed(&self, inventory: &dyn Inventory) {
        self.0.source_list.fetch_add(inventory.source_lists(), Relaxed);
    }

    /// A source whose requests are counted here.
    pub fn source(&self, inner: Arc<dyn Source>) -> Arc<dyn Source> {
        Arc::new(MeteredSource { inner, meter: self.clone() })
    }

    /// A vault whose requests are counted here.
    pub fn vault(&self, inner: Arc<dyn Vault>) -> Arc<dyn Vault> {
        Arc::new(MeteredVault { inner, meter: self.clone() })
    }

    /// A target whose requests are counted here.
    pub fn target(&self, inner: Arc<dyn Target>) -> Arc<dyn Target> {
        Arc::new(MeteredTarget { inner, meter: self.clone() })
    }
}

#[derive(Debug)]
struct MeteredSource {
    inner: Arc<dyn Source>,
    meter: Meter,
}

impl fmt::Display for MeteredSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl Source for MeteredSource {
    async fn read(&self, wanted: Wanted<'_>, range: Option<Range<u64>>) -> Result<ObjectRead> {
        self.meter.0.source_get.fetch_add(1, Relaxed);
        self.inner.read(wanted, range).await
    }
}

#[derive(Debug)]
struct MeteredVault {
    inner: Arc<dyn Vault>,
    meter: Meter,
}

impl fmt::Display for MeteredVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl Vault for MeteredVault {
    fn capabilities(&self) -> VaultCapabilities {
        self.inner.capabilities()
    }

    async fn create(&self, name: &str, bytes: Bytes) -> Result<()> {
        self.meter.0.vault_put.fetch_add(1, Relaxed);
        let length = bytes.len() as u64;
        self.inner.create(name, bytes).await?;
        self.meter.taken(length);
        Ok(())
    }

    async fn read(&self, name: &str, range: Option<Range<u64>>) -> Result<Bytes> {
        self.meter.0.vault_get.fetch_add(1, Relaxed);
        self.inner.read(name, range).await
    }

    async fn stat(&self, name: &str) -> Result<BlobInfo> {
        self.meter.0.vault_head.fetch_add(1, Relaxed);
        self.inner.stat(name).await
    }

    fn list(&self, prefix: &str, start_after: Option<&str>) -> BoxStream<'static, Result<BlobInfo>> {
        self.meter.0.vault_list.fetch_add(1, Relaxed);
        self.inner.list(prefix, start_after)
    }

    async fn delete(&self, name: &str) -> Result<()> {
        self.meter.0.vault_delete.fetch_add(1, Relaxed);
        self.inner.delete(name).await
    }
}

#[derive(Debug)]
struct MeteredTarget {
    inner: Arc<dyn Target>,
    meter: Meter,
}

impl fmt::Display for MeteredTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl Target for MeteredTarget {
    async fn stat(&self, key: &ObjectKey) -> Result<Option<TargetObject>> {
        self.meter.0.target_head.fetch_add(1, Relaxed);
        self.inner.stat(key).await
    }

    async fn write(
        &self,
        object: &NewObject,
        body: BoxStream<'static, Result<Bytes>>,
        if_exists: IfExists,
    ) -> Result<()> {
        self.meter.0.target_put.fetch_add(1, Relaxed);
        self.inner.write(object, body, if_exists).await
    }

    async fn sync(&self) -> Result<()> {
        self.inner.sync().await
    }

    async fn delete(&self, key: &ObjectKey) -> Result<()> {
        self.inner.delete(key).await
    }
}
