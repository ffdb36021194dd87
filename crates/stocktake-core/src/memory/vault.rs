//! A vault in memory: a sorted map behind a lock.
//!
//! One lock makes every promise of the contract plain: whoever holds it sees
//! whole blobs, and the first to find a name free takes it.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Bound, Range};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};

use super::Ticker;
use crate::{BlobInfo, Error, Location, Result, Timestamp, Vault, VaultCapabilities};

/// A [`Vault`] in memory. Clones share what they hold.
#[derive(Clone, Default)]
pub struct MemoryVault {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    blobs: BTreeMap<String, Blob>,
    ticker: Ticker,
}

#[derive(Clone)]
struct Blob {
    bytes: Bytes,
    last_modified: Timestamp,
}

impl MemoryVault {
    /// An empty vault.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts `bytes` in the place of whatever has this name, past the contract:
    /// for tests of how damage is noticed.
    pub fn tamper(&self, name: &str, bytes: impl Into<Bytes>) {
        self.state().put(name, bytes.into());
    }

    /// The names of all blobs, ascending.
    pub fn names(&self) -> Vec<String> {
        self.state().blobs.keys().cloned().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn location(&self) -> Location {
        Location::new("memory:")
    }

    fn blob(&self, name: &str) -> Result<Blob> {
        check_name(name)?;
        let not_found = || Error::BlobNotFound { name: name.to_owned(), location: self.location() };
        self.state().blobs.get(name).cloned().ok_or_else(not_found)
    }
}

impl State {
    fn put(&mut self, name: &str, bytes: Bytes) {
        let blob = Blob { bytes, last_modified: self.ticker.tick() };
        self.blobs.insert(name.to_owned(), blob);
    }
}

#[async_trait]
impl Vault for MemoryVault {
    fn capabilities(&self) -> VaultCapabilities {
        VaultCapabilities { create_if_absent: true }
    }

    async fn create(&self, name: &str, bytes: Bytes) -> Result<()> {
        check_name(name)?;
        let mut state = self.state();
        if state.blobs.contains_key(name) {
            return Err(Error::BlobExists { name: name.to_owned(), location: self.location() });
        }
        state.put(name, bytes);
        Ok(())
    }

    async fn read(&self, name: &str, range: Option<Range<u64>>) -> Result<Bytes> {
        let bytes = self.blob(name)?.bytes;
        let Some(range) = range else { return Ok(bytes) };
        let size = bytes.len();
        super::within(&range, size).map(|range| bytes.slice(range)).ok_or_else(|| Error::BlobDamaged {
            name: name.to_owned(),
            location: self.location(),
            problem: format!("bytes {range:?} were asked for, it has {size}"),
        })
    }

    async fn stat(&self, name: &str) -> Result<BlobInfo> {
        Ok(self.blob(name)?.info(name))
    }

    fn list(&self, prefix: &str, start_after: Option<&str>) -> BoxStream<'static, Result<BlobInfo>> {
        let state = self.state();
        let from = match start_after {
            Some(name) if name >= prefix => Bound::Excluded(name),
            _ => Bound::Included(prefix),
        };
        let blobs = state.blobs.range::<str, _>((from, Bound::Unbounded));
        let found = blobs.take_while(|(name, _)| name.starts_with(prefix)).map(|(name, blob)| Ok(blob.info(name)));
        stream::iter(found.collect::<Vec<_>>()).boxed()
    }

    async fn delete(&self, name: &str) -> Result<()> {
        check_name(name)?;
        self.state().blobs.remove(name);
        Ok(())
    }
}

impl Blob {
    fn info(&self, name: &str) -> BlobInfo {
        BlobInfo { name: name.to_owned(), size: self.bytes.len() as u64, last_modified: self.last_modified }
    }
}

/// Refuses what the contract does not call a name.
fn check_name(name: &str) -> Result<()> {
    let characters = name.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_control());
    let segments = name.split('/').all(|segment| !matches!(segment, "" | "." | ".."));
    if characters && segments { Ok(()) } else { Err(Error::invalid(format!("{name:?} is not a blob's name"))) }
}

impl fmt::Display for MemoryVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.location().fmt(f)
    }
}

impl fmt::Debug for MemoryVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryVault").field("blobs", &self.state().blobs.len()).finish()
    }
}
