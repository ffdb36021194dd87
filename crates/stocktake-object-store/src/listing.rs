//! A bucket as its own inventory, by LIST.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::future;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use object_store::{Error as StoreError, ObjectMeta, ObjectStore};
use stocktake_core::{
    BATCH_ROWS, Clock, ETag, Entry, EntryBatch, Error, Inventory, InventoryFormat, InventoryInfo, InventoryReader,
    InventoryVersions, Location, ObjectKey, Result, Timestamp,
};

use crate::error::failure;
use crate::key::{Prefix, exact_path};

/// An [`InventoryReader`] that lists a store: one inventory of one part, made while it is read.
///
/// Entries come in the store's order, without storage classes. A bucket that does
/// not exist is found out while reading.
///
/// A listing of `object_store` drops a slash at the end of a key, and fails on
/// keys it can't name. For buckets that have such keys, with the feature `s3`,
/// use [`OpenStore::listing`](crate::OpenStore::listing).
#[derive(Clone)]
pub struct ObjectStoreListing {
    store: Arc<dyn ObjectStore>,
    location: Location,
    bucket: String,
    prefix: Prefix,
    scope: String,
    clock: Arc<dyn Clock>,
}

impl ObjectStoreListing {
    /// The whole of `store`. The clock tells when a listing began.
    pub fn new(store: Arc<dyn ObjectStore>, location: Location, clock: Arc<dyn Clock>) -> Self {
        let (bucket, prefix, scope) = (String::new(), Prefix::default(), String::new());
        Self { store, location, bucket, prefix, scope, clock }
    }

    /// The same store, known to be this bucket.
    #[must_use]
    pub fn with_bucket(mut self, bucket: &str) -> Self {
        self.bucket = bucket.to_owned();
        self
    }

    /// The same store, below `prefix/`, which is taken off every key.
    #[must_use]
    pub fn with_prefix(mut self, prefix: &str) -> Self {
        self.prefix = Prefix::new(prefix);
        self
    }

    /// The same store, with only the keys that begin with `scope`, which stays on them. It need not end at a `/`.
    #[must_use]
    pub fn with_scope(mut self, scope: &str) -> Self {
        self.scope = scope.to_owned();
        self
    }

    fn info(&self) -> InventoryInfo {
        InventoryInfo {
            location: self.location.clone(),
            created: self.clock.now(),
            bucket: self.bucket.clone(),
            format: InventoryFormat::Listing,
            files: 0,
            bytes: 0,
            fields: ["Key", "Size", "LastModifiedDate", "ETag"].map(str::to_owned).to_vec(),
            versions: InventoryVersions::Current,
            not_ready: None,
            repeatable: false,
        }
    }

    /// The objects of the folder that the scope lies in.
    fn objects(&self) -> Result<BoxStream<'static, Result<ObjectMeta, StoreError>>> {
        let whole = format!("{}{}", self.prefix.as_str(), self.scope);
        let folder = whole.rsplit_once('/').map(|(folder, _)| folder);
        let no_folder = |problem| Error::invalid(format!("{whole:?} can't be listed: {problem}"));
        let folder = folder.map(exact_path).transpose().map_err(no_folder)?;
        Ok(self.store.list(folder.as_ref()))
    }
}

#[async_trait]
impl InventoryReader for ObjectStoreListing {
    async fn inventories(&self) -> Result<Vec<InventoryInfo>> {
        Ok(vec![self.info()])
    }

    async fn open(&self, inventory: &InventoryInfo) -> Result<Arc<dyn Inventory>> {
        if inventory.location != self.location {
            let (location, problem) = (inventory.location.clone(), format!("it is not a listing of {self}"));
            return Err(Error::InventoryNotFound { location, problem });
        }
        Ok(Arc::new(Objects { listing: self.clone(), info: self.info() }))
    }

    async fn discard(&self, inventory: &InventoryInfo) -> Result<()> {
        Err(Error::invalid(format!("{} is a listing: there is nothing to remove", inventory.location)))
    }
}

/// The objects of a store, listed each time they are read.
#[derive(Debug)]
struct Objects {
    listing: ObjectStoreListing,
    info: InventoryInfo,
}

impl Inventory for Objects {
    fn info(&self) -> &InventoryInfo {
        &self.info
    }

    fn parts(&self) -> usize {
        1
    }

    fn read(&self, part: usize) -> BoxStream<'static, Result<EntryBatch>> {
        assert_eq!(part, 0, "a listing has one part");
        let ObjectStoreListing { location, prefix, scope, .. } = self.listing.clone();
        let objects = match self.listing.objects() {
            Ok(objects) => objects,
            Err(error) => return futures::stream::once(future::err(error)).boxed(),
        };
        let entries = objects.map_err(move |error| failure(&location, "list", error)).try_filter_map(move |meta| {
            let key = prefix.strip(&meta.location).filter(|key| key.starts_with(&scope));
            future::ok(key.map(|key| entry(key, &meta)))
        });
        entries.try_chunks(BATCH_ROWS).map(|batch| EntryBatch::try_from(&batch.map_err(|failed| failed.1)?[..])).boxed()
    }
}

fn entry(key: &str, meta: &ObjectMeta) -> Entry {
    let last_modified = Timestamp::from_millis(meta.last_modified.timestamp_millis());
    let mut entry = Entry::new(ObjectKey::from(key), meta.size, last_modified);
    entry.etag = meta.e_tag.as_deref().map(ETag::new);
    entry.version.clone_from(&meta.version);
    entry
}

impl fmt::Display for ObjectStoreListing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.location.fmt(f)
    }
}

impl fmt::Debug for ObjectStoreListing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectStoreListing").field("location", &self.location).field("prefix", &self.prefix).finish()
    }
}
