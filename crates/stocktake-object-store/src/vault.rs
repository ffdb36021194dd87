//! Blobs as objects under a prefix.
//!
//! Whether a name is free is decided by the store, in the request that creates
//! the object. A store that can't do that says so in its capabilities.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::future;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    Error as StoreError, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload,
};
use stocktake_core::{BlobInfo, Error, Location, Result, Timestamp, Vault, VaultCapabilities};

use crate::error::{Meaning, failure};
use crate::key::{Prefix, exact_path};
use crate::order::{ascending, safe_offset};

/// A bucket, or a folder of one, as a [`Vault`].
///
/// A creation is one PUT, of up to 5 GiB on Amazon S3. A listing asks for the
/// whole folder that the prefix lies in, from the first wanted name on, and holds
/// up to 8,192 names; a store whose listing is further out of byte order than
/// that ends it in [`Rejected`](stocktake_core::Error::Rejected).
///
/// SeaweedFS and Azure take a backslash for a slash: don't use it in names there.
#[derive(Clone)]
pub struct ObjectStoreVault {
    store: Arc<dyn ObjectStore>,
    location: Location,
    prefix: Prefix,
    capabilities: VaultCapabilities,
}

impl ObjectStoreVault {
    /// The whole of `store`, which decides concurrent creations. The location is for messages and records.
    pub fn new(store: Arc<dyn ObjectStore>, location: Location) -> Self {
        let capabilities = VaultCapabilities { create_if_absent: true };
        Self { store, location, prefix: Prefix::default(), capabilities }
    }

    /// The same store, where `prefix/` stands before every name.
    #[must_use]
    pub fn with_prefix(mut self, prefix: &str) -> Self {
        self.prefix = Prefix::new(prefix);
        self
    }

    /// The same store, known to have no conditional put, as Alibaba OSS. A creation then looks first.
    #[must_use]
    pub fn without_create_if_absent(mut self) -> Self {
        self.capabilities.create_if_absent = false;
        self
    }

    /// Tries out what the vault rests on: that a second creation of a name is
    /// refused, that what was created is read and listed, and that it can be deleted.
    ///
    /// Meant to be called once, before a vault is made here. It leaves nothing
    /// behind, unless a deletion fails.
    ///
    /// # Errors
    /// [`Rejected`](stocktake_core::Error::Rejected) when the store does not keep a
    /// promise, and as the calls themselves.
    pub async fn probe(&self) -> Result<()> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let name = format!("probe/{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let outcome = self.probe_with(&name).await;
        outcome.and(self.delete(&name).await)
    }

    async fn probe_with(&self, name: &str) -> Result<()> {
        // A probe of this name that died before its deletion is no hindrance.
        match self.create(name, "first".into()).await {
            Ok(()) | Err(Error::BlobExists { .. }) => {}
            Err(other) => return Err(other),
        }
        match self.create(name, "other".into()).await {
            Err(Error::BlobExists { .. }) => {}
            Ok(()) => return Err(self.broken("it creates a name twice")),
            Err(other) => return Err(other),
        }
        if self.read(name, Some(0..5)).await? != "first" {
            return Err(self.broken("it replaced what it was to keep"));
        }
        let listed: Vec<_> = self.list(name, None).try_collect().await?;
        if listed.len() != 1 || listed[0].name != name {
            return Err(self.broken("it does not list what was created"));
        }
        Ok(())
    }

    fn broken(&self, problem: &str) -> Error {
        let (location, action) = (self.location.clone(), "keep the promises of a vault".to_owned());
        Error::Rejected { location, action, source: problem.into() }
    }

    fn path_of(&self, name: &str) -> Result<Path> {
        let invalid = |problem| Error::invalid(format!("{name:?} is not a blob's name: {problem}"));
        if !is_name(name) {
            return Err(invalid("it has other characters or segments than a name".to_owned()));
        }
        self.prefix.path_of(name.as_bytes()).map_err(invalid)
    }

    fn failed(&self, action: &str, name: &str, error: StoreError) -> Error {
        let (name, location) = (name.to_owned(), self.location.clone());
        match Meaning::of(&error) {
            Meaning::NotFound => Error::BlobNotFound { name, location },
            Meaning::Exists => Error::BlobExists { name, location },
            _ => failure(&location, format!("{action} {name}"), error),
        }
    }

    fn damaged(&self, name: &str, problem: String) -> Error {
        Error::BlobDamaged { name: name.to_owned(), location: self.location.clone(), problem }
    }

    /// The error of a ranged read: a store has many ways to say that a range is not within an object.
    async fn range_failed(&self, name: &str, range: &Range<u64>, error: StoreError) -> Error {
        if matches!(Meaning::of(&error), Meaning::Refused | Meaning::Precondition)
            && let Ok(BlobInfo { size, .. }) = self.stat(name).await
            && range.end > size
        {
            return self.damaged(name, format!("bytes {range:?} were asked for, it has {size}"));
        }
        self.failed("read", name, error)
    }
}

#[async_trait]
impl Vault for ObjectStoreVault {
    fn capabilities(&self) -> VaultCapabilities {
        self.capabilities
    }

    async fn create(&self, name: &str, bytes: Bytes) -> Result<()> {
        let path = self.path_of(name)?;
        let mode = if self.capabilities.create_if_absent {
            PutMode::Create
        } else {
            match self.store.head(&path).await {
                Ok(_) => return Err(Error::BlobExists { name: name.to_owned(), location: self.location.clone() }),
                Err(error) if Meaning::of(&error) == Meaning::NotFound => PutMode::Overwrite,
                Err(error) => return Err(self.failed("create", name, error)),
            }
        };
        let put = self.store.put_opts(&path, PutPayload::from_bytes(bytes), PutOptions::from(mode)).await;
        put.map(drop).map_err(|error| self.failed("create", name, error))
    }

    async fn read(&self, name: &str, range: Option<Range<u64>>) -> Result<Bytes> {
        let path = self.path_of(name)?;
        if let Some(range) = range.as_ref().filter(|range| range.is_empty()) {
            return Err(self.damaged(name, format!("the empty range {range:?} was asked for")));
        }
        let options = GetOptions { range: range.clone().map(GetRange::Bounded), ..GetOptions::default() };
        let answer = match (self.store.get_opts(&path, options).await, &range) {
            (Ok(answer), _) => answer,
            (Err(error), Some(range)) => return Err(self.range_failed(name, range, error).await),
            (Err(error), None) => return Err(self.failed("read", name, error)),
        };
        let (size, given) = (answer.meta.size, answer.range.clone());
        let asked = range.unwrap_or(0..size);
        if given != asked {
            return Err(self.damaged(name, format!("bytes {asked:?} were asked for, it has {size}")));
        }
        let bytes = answer.bytes().await.map_err(|error| self.failed("read", name, error))?;
        if bytes.len() as u64 == given.end - given.start {
            Ok(bytes)
        } else {
            Err(self.damaged(name, format!("{} bytes came of {given:?}", bytes.len())))
        }
    }

    async fn stat(&self, name: &str) -> Result<BlobInfo> {
        let path = self.path_of(name)?;
        let meta = self.store.head(&path).await.map_err(|error| self.failed("look at", name, error))?;
        Ok(info(name.to_owned(), &meta))
    }

    fn list(&self, prefix: &str, start_after: Option<&str>) -> BoxStream<'static, Result<BlobInfo>> {
        let (location, below) = (self.location.clone(), self.prefix.clone());
        let (prefix, after) = (prefix.to_owned(), start_after.unwrap_or("").to_owned());
        let Some(objects) = self.list_folder(&prefix, &after) else { return stream::empty().boxed() };
        let failed = {
            let (location, prefix) = (location.clone(), prefix.clone());
            move |error| failure(&location, format!("list {prefix}"), error)
        };
        let names = objects.map_err(failed).try_filter_map(move |meta| {
            let name = below.strip(&meta.location).filter(|name| is_name(name));
            let wanted = name.filter(|name| name.starts_with(&prefix) && **name > *after);
            future::ok(wanted.map(|name| info(name.to_owned(), &meta)))
        });
        ascending(location, names.boxed())
    }

    async fn delete(&self, name: &str) -> Result<()> {
        let path = self.path_of(name)?;
        match self.store.delete(&path).await {
            Err(error) if Meaning::of(&error) != Meaning::NotFound => Err(self.failed("delete", name, error)),
            _ => Ok(()),
        }
    }
}

impl ObjectStoreVault {
    /// The objects of the folder that `prefix` lies in, from about the first wanted name on.
    ///
    /// `None` when no name can have the prefix.
    fn list_folder(&self, prefix: &str, after: &str) -> Option<BoxStream<'static, Result<ObjectMeta, StoreError>>> {
        let within = prefix.rfind('/').map_or("", |slash| &prefix[..=slash]);
        let folder = format!("{}{within}", self.prefix.as_str());
        let path = match folder.strip_suffix('/') {
            None => None,
            Some(folder) => Some(exact_path(folder).ok()?),
        };
        // The name that equals the prefix is wanted too, so the listing begins one character before it.
        let first = &prefix[..prefix.char_indices().next_back().map_or(0, |(last, _)| last.max(within.len()))];
        let offset = if after > first { after } else { first };
        let offset =
            offset.starts_with(within).then(|| safe_offset(&folder, &format!("{}{offset}", self.prefix.as_str())));
        Some(match offset.flatten() {
            None => self.store.list(path.as_ref()),
            Some(offset) => self.store.list_with_offset(path.as_ref(), &offset),
        })
    }
}

/// What the contract calls a name.
fn is_name(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_control())
        && name.split('/').all(|segment| !matches!(segment, "" | "." | ".."))
}

fn info(name: String, meta: &ObjectMeta) -> BlobInfo {
    let last_modified = Timestamp::from_millis(meta.last_modified.timestamp_millis());
    BlobInfo { name, size: meta.size, last_modified }
}

impl fmt::Display for ObjectStoreVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.location.fmt(f)
    }
}

impl fmt::Debug for ObjectStoreVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectStoreVault").field("location", &self.location).field("prefix", &self.prefix).finish()
    }
}
