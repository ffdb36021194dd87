//! A bucket in memory: source, target, and the listing of itself.
//!
//! Every write replaces a whole object, and a reader holds the bytes it began
//! with; so a read is of one version by construction. The tag of a version is a
//! digest of its bytes, as it is in most stores.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use super::Ticker;
use crate::{
    Attributes, BATCH_ROWS, ETag, Entry, EntryBatch, Error, IfExists, Inventory, InventoryFormat, InventoryInfo,
    InventoryReader, KeyFilter, Location, MAX_KEY_BYTES, NewObject, ObjectKey, ObjectRead, Result, Source, Target,
    TargetObject, Timestamp, Wanted, keep_wanted,
};

const CLASS: &str = "STANDARD";

/// A bucket without versions, in memory. Clones share what they hold.
///
/// It is a [`Source`], a [`Target`], and an [`InventoryReader`] with one
/// listing, taken when it is opened. Its clock moves on by one second with each
/// write and each listing, so that two of them never have the same time.
#[derive(Clone)]
pub struct MemoryBucket {
    name: Arc<str>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<ObjectKey, Object>,
    ticker: Ticker,
}

#[derive(Clone)]
struct Object {
    bytes: Bytes,
    etag: ETag,
    last_modified: Timestamp,
    attributes: Attributes,
}

impl MemoryBucket {
    /// An empty bucket.
    pub fn new(name: &str) -> Self {
        Self { name: name.into(), state: Arc::default() }
    }

    /// Writes an object without attributes, and returns the entry that a listing would show.
    pub fn put(&self, key: impl Into<ObjectKey>, bytes: impl Into<Bytes>) -> Entry {
        self.put_with(key, bytes, Attributes::default())
    }

    /// Writes an object with attributes.
    pub fn put_with(&self, key: impl Into<ObjectKey>, bytes: impl Into<Bytes>, attributes: Attributes) -> Entry {
        self.state().put(key.into(), bytes.into(), attributes)
    }

    /// Takes an object away; whether there was one.
    pub fn remove(&self, key: impl Into<ObjectKey>) -> bool {
        self.state().objects.remove(&key.into()).is_some()
    }

    /// The bytes of an object.
    pub fn get(&self, key: impl Into<ObjectKey>) -> Option<Bytes> {
        self.state().objects.get(&key.into()).map(|object| object.bytes.clone())
    }

    /// The attributes of an object.
    pub fn attributes(&self, key: impl Into<ObjectKey>) -> Option<Attributes> {
        self.state().objects.get(&key.into()).map(|object| object.attributes.clone())
    }

    /// What a listing would show now, in key order.
    pub fn entries(&self) -> Vec<Entry> {
        self.state().objects.iter().map(|(key, object)| object.entry(key)).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn location(&self) -> Location {
        Location::new(format!("memory:{}", self.name))
    }

    fn changed(&self, key: &ObjectKey, expected: String) -> Error {
        Error::ObjectChanged { key: key.clone(), location: self.location(), expected }
    }

    /// Refuses the keys that no bucket has.
    fn check_key(&self, key: &ObjectKey) -> Result<()> {
        let length = key.as_bytes().len();
        if (1..=MAX_KEY_BYTES).contains(&length) {
            return Ok(());
        }
        let problem = format!("it has {length} bytes, and a bucket takes 1 to {MAX_KEY_BYTES}");
        Err(Error::KeyUnsupported { key: key.clone(), location: self.location(), problem })
    }

    fn listing(&self) -> InventoryInfo {
        InventoryInfo {
            bucket: self.name.to_string(),
            fields: ["Key", "Size", "LastModifiedDate", "ETag", "StorageClass"].map(str::to_owned).to_vec(),
            ..InventoryInfo::new(self.location(), InventoryFormat::Listing, self.state().ticker.tick())
        }
    }
}

impl State {
    fn put(&mut self, key: ObjectKey, bytes: Bytes, attributes: Attributes) -> Entry {
        let etag = ETag::new(&blake3::hash(&bytes).to_hex()[..32]);
        let object = Object { bytes, etag, last_modified: self.ticker.tick(), attributes };
        let entry = object.entry(&key);
        self.objects.insert(key, object);
        entry
    }
}

impl Object {
    fn entry(&self, key: &ObjectKey) -> Entry {
        Entry::new(key.clone(), self.bytes.len() as u64, self.last_modified)
            .with_etag(self.etag.clone())
            .with_class(CLASS)
    }

    /// Whether this is the version that `entry` describes. No version has an id here.
    fn is(&self, entry: &Entry) -> bool {
        match (&entry.version, &entry.etag) {
            (Some(_), _) => false,
            (None, Some(etag)) => self.etag.code() == etag.code(),
            (None, None) => self.bytes.len() as u64 == entry.size && self.last_modified == entry.last_modified,
        }
    }
}

/// How an entry names its version, for messages.
fn expected(entry: &Entry) -> String {
    let tag = entry.etag.as_ref().map(ETag::to_string);
    entry.version.clone().or(tag).unwrap_or_else(|| format!("{} bytes of {}", entry.size, entry.last_modified))
}

#[async_trait]
impl Source for MemoryBucket {
    async fn read(&self, wanted: Wanted<'_>, range: Option<Range<u64>>) -> Result<ObjectRead> {
        let key = wanted.key();
        self.check_key(key)?;
        let not_found = || Error::ObjectNotFound { key: key.clone(), location: self.location() };
        let object = self.state().objects.get(key).cloned().ok_or_else(not_found)?;
        if let Wanted::Exactly(entry) = wanted
            && !object.is(entry)
        {
            return Err(self.changed(key, expected(entry)));
        }
        let Object { bytes, etag, last_modified, attributes } = object;
        let size = bytes.len() as u64;
        let range = range.unwrap_or(0..size);
        let part = if range == (0..size) { Some(0..bytes.len()) } else { super::within(&range, bytes.len()) };
        let part = part.ok_or_else(|| Error::invalid(format!("bytes {range:?} are not within {key}, of {size}")))?;
        let body = bytes.slice(part);
        Ok(ObjectRead {
            size,
            last_modified,
            etag: Some(etag),
            version: None,
            class: CLASS.to_owned(),
            attributes,
            range,
            body: stream::iter((!body.is_empty()).then_some(Ok(body))).boxed(),
        })
    }
}

#[async_trait]
impl Target for MemoryBucket {
    async fn stat(&self, key: &ObjectKey) -> Result<Option<TargetObject>> {
        self.check_key(key)?;
        Ok(self.state().objects.get(key).map(|object| TargetObject {
            size: object.bytes.len() as u64,
            last_modified: object.last_modified,
            etag: Some(object.etag.clone()),
        }))
    }

    async fn write(
        &self,
        object: &NewObject,
        body: BoxStream<'static, Result<Bytes>>,
        if_exists: IfExists,
    ) -> Result<()> {
        let NewObject { key, size, last_modified: _, attributes } = object;
        self.check_key(key)?;
        let bytes = body.try_fold(BytesMut::new(), |mut all, part| async move {
            all.extend_from_slice(&part);
            Ok(all)
        });
        let bytes = bytes.await?.freeze();
        if bytes.len() as u64 != *size {
            let problem = format!("{size} bytes were announced, {} came", bytes.len());
            return Err(Error::ObjectDamaged { key: key.clone(), location: self.location(), problem });
        }
        let mut state = self.state();
        if if_exists == IfExists::Fail && state.objects.contains_key(key) {
            return Err(self.changed(key, "no object".to_owned()));
        }
        state.put(key.clone(), bytes, attributes.clone());
        Ok(())
    }

    async fn sync(&self) -> Result<()> {
        Ok(())
    }

    async fn delete(&self, key: &ObjectKey) -> Result<()> {
        self.check_key(key)?;
        self.remove(key.clone());
        Ok(())
    }
}

#[async_trait]
impl InventoryReader for MemoryBucket {
    async fn inventories(&self) -> Result<Vec<InventoryInfo>> {
        Ok(vec![self.listing()])
    }

    async fn open(&self, inventory: &InventoryInfo) -> Result<Arc<dyn Inventory>> {
        if inventory.location != self.location() {
            let (location, problem) = (inventory.location.clone(), format!("it is not a listing of {self}"));
            return Err(Error::InventoryNotFound { location, problem });
        }
        Ok(Arc::new(Listing { info: inventory.clone(), entries: self.entries().into() }))
    }

    async fn discard(&self, inventory: &InventoryInfo) -> Result<()> {
        Err(Error::invalid(format!("{} is a listing: there is nothing to remove", inventory.location)))
    }
}

/// What was in the bucket when the listing was opened.
#[derive(Debug)]
struct Listing {
    info: InventoryInfo,
    entries: Arc<[Entry]>,
}

impl Inventory for Listing {
    fn info(&self) -> &InventoryInfo {
        &self.info
    }

    fn parts(&self) -> usize {
        1
    }

    fn read(&self, part: usize) -> BoxStream<'static, Result<EntryBatch>> {
        assert_eq!(part, 0, "a listing has one part");
        let entries = self.entries.clone();
        let batch = move |start: usize| {
            let end = entries.len().min(start + BATCH_ROWS);
            EntryBatch::try_from(&entries[start..end])
        };
        stream::iter((0..self.entries.len()).step_by(BATCH_ROWS)).map(batch).boxed()
    }

    fn read_wanted(&self, part: usize, wanted: KeyFilter) -> BoxStream<'static, Result<EntryBatch>> {
        keep_wanted(self.read(part), wanted)
    }

    fn read_versions(&self, part: usize) -> BoxStream<'static, Result<EntryBatch>> {
        self.read(part)
    }

    fn source_lists(&self) -> u64 {
        0
    }
}

impl fmt::Display for MemoryBucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.location().fmt(f)
    }
}

impl fmt::Debug for MemoryBucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let objects = self.state().objects.len();
        f.debug_struct("MemoryBucket").field("name", &self.name).field("objects", &objects).finish()
    }
}
