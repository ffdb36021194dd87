//! A bucket as its own inventory, by LIST.
//!
//! How objects are listed is behind a small trait of this crate: any store by
//! `object_store`, in one go; and S3 by requests that keep keys as they are, many at once.
//!
//! A listing has one part, whatever goes on inside: ranges of keys that lanes share
//! are cut while they are read, so that their number is known only afterwards.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use async_trait::async_trait;
use futures::future;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::{ObjectMeta, ObjectStore};
use stocktake_core::{
    BATCH_ROWS, Clock, ETag, Entry, EntryBatch, Error, Inventory, InventoryFormat, InventoryInfo, InventoryReader,
    KeyFilter, Location, ObjectKey, Result, Timestamp, keep_wanted,
};

use crate::error::failure;
use crate::key::{Prefix, exact_path};

/// An [`InventoryReader`] that lists a store: one inventory of one part, made while it is read.
///
/// That a bucket does not exist is found out while reading. What is there from the
/// beginning of a reading to its end is listed once; what comes or goes meanwhile, at
/// most once.
///
/// Made by [`new`](Self::new), it lists through `object_store`, which knows no
/// storage classes, drops a slash at the end of a key, and fails on keys it can't
/// name. Entries come in the store's order, by one request at a time; how many there
/// are can't be seen, so a reading counts as one. Memory is a page and a few batches.
///
/// Made by `OpenStore::listing` of the feature `s3`, it keeps every key byte for byte
/// and tells the class. The first two pages come in the store's order; a greater
/// bucket is then listed by several requests at once, over ranges of keys that are
/// found on the way, and batches of different ranges come as they come, each in the
/// store's order. It takes a page for each request, some five that wait, and two
/// thousand keys. Every request is counted, repeated ones too; when a stream is dropped,
/// those under way run to their end.
#[derive(Clone)]
pub struct ObjectStoreListing {
    objects: Arc<dyn ListObjects>,
    location: Location,
    bucket: String,
    prefix: Prefix,
    scope: String,
    concurrency: usize,
    clock: Arc<dyn Clock>,
}

/// Requests of a listing under way at once, unless something else is said.
const CONCURRENCY: usize = 16;

/// Lists the objects of a store.
pub(crate) trait ListObjects: fmt::Debug + Send + Sync {
    /// Yields every object whose key begins with `prefix`, and maybe others, by up to so many requests at once. Each is counted in `sent`.
    fn list(&self, prefix: &str, concurrency: usize, sent: &Arc<AtomicU64>) -> BoxStream<'static, Result<Vec<Entry>>>;

    /// The fields that its entries have.
    fn fields(&self) -> &'static [&'static str];
}

impl ObjectStoreListing {
    /// The whole of `store`. The clock tells when a listing began.
    pub fn new(store: Arc<dyn ObjectStore>, location: Location, clock: Arc<dyn Clock>) -> Self {
        let objects = AnyStore { store, location: location.clone() };
        Self::over(Arc::new(objects), location, clock)
    }

    pub(crate) fn over(objects: Arc<dyn ListObjects>, location: Location, clock: Arc<dyn Clock>) -> Self {
        let (bucket, prefix, scope) = (String::new(), Prefix::default(), String::new());
        Self { objects, location, bucket, prefix, scope, concurrency: CONCURRENCY, clock }
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

    /// The same listing with up to so many requests at once; at least 1, default 16. Of 1, entries come in the store's order.
    #[must_use]
    pub fn with_concurrency(mut self, requests: usize) -> Self {
        self.concurrency = requests.max(1);
        self
    }

    fn info(&self) -> InventoryInfo {
        InventoryInfo {
            bucket: self.bucket.clone(),
            fields: self.objects.fields().iter().map(|field| (*field).to_owned()).collect(),
            repeatable: false,
            ..InventoryInfo::new(self.location.clone(), InventoryFormat::Listing, self.clock.now())
        }
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
        Ok(Arc::new(Objects { listing: self.clone(), info: self.info(), sent: Arc::default() }))
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
    sent: Arc<AtomicU64>,
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
        let ObjectStoreListing { objects, prefix, scope, concurrency, .. } = &self.listing;
        let (below, wanted) = (prefix.as_str().len(), format!("{}{scope}", prefix.as_str()));
        let pages = objects.list(&wanted, *concurrency, &self.sent);
        let batches = pages.try_filter_map(move |page| {
            let entries = page.into_iter().filter_map(|entry| {
                let key =
                    entry.key.as_bytes().starts_with(wanted.as_bytes()).then(|| &entry.key.as_bytes()[below..])?;
                Some(Entry { key: ObjectKey::from(key), ..entry })
            });
            let entries: Vec<_> = entries.collect();
            future::ready((!entries.is_empty()).then(|| EntryBatch::try_from(&entries[..])).transpose())
        });
        batches.boxed()
    }

    fn read_wanted(&self, part: usize, wanted: KeyFilter) -> BoxStream<'static, Result<EntryBatch>> {
        keep_wanted(self.read(part), wanted)
    }

    fn read_versions(&self, part: usize) -> BoxStream<'static, Result<EntryBatch>> {
        self.read(part)
    }

    fn source_lists(&self) -> u64 {
        self.sent.load(Relaxed)
    }
}

/// Any store, listed by `object_store`.
#[derive(Debug)]
struct AnyStore {
    store: Arc<dyn ObjectStore>,
    location: Location,
}

impl ListObjects for AnyStore {
    fn list(&self, prefix: &str, _: usize, sent: &Arc<AtomicU64>) -> BoxStream<'static, Result<Vec<Entry>>> {
        let folder = match prefix.rsplit_once('/').map(|(folder, _)| exact_path(folder)).transpose() {
            Ok(folder) => folder,
            Err(problem) => {
                let error = Error::invalid(format!("{prefix:?} can't be listed: {problem}"));
                return stream::iter([Err(error)]).boxed();
            }
        };
        sent.fetch_add(1, Relaxed);
        let location = self.location.clone();
        let objects = self.store.list(folder.as_ref()).map_err(move |error| failure(&location, "list", error));
        objects.map_ok(|meta| entry(&meta)).try_chunks(BATCH_ROWS).map_err(|failed| failed.1).boxed()
    }

    fn fields(&self) -> &'static [&'static str] {
        &["Key", "Size", "LastModifiedDate", "ETag"]
    }
}

fn entry(meta: &ObjectMeta) -> Entry {
    let last_modified = Timestamp::from_millis(meta.last_modified.timestamp_millis());
    let mut entry = Entry::new(ObjectKey::from(meta.location.as_ref()), meta.size, last_modified);
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
