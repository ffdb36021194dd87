//! A bucket or folder seen from both sides.
//!
//! A source can't write and a target can't read, so a suite for either needs
//! the other of the same place.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use futures::stream::{self, BoxStream, StreamExt};
use stocktake_core::memory::MemoryBucket;
use stocktake_core::{
    Attributes, Entry, IfExists, NewObject, ObjectKey, ObjectRead, Result, Source, Target, Timestamp, Wanted,
};

/// An empty bucket or folder, as a source and as a target.
pub struct BucketUnderTest {
    /// Reads what is in it.
    pub source: Arc<dyn Source>,
    /// Writes to it.
    pub target: Arc<dyn Target>,
    keeps_attributes: bool,
    guard: Vec<Box<dyn Any + Send + Sync>>,
}

impl BucketUnderTest {
    /// Two sides of one empty place that keeps attributes.
    pub fn new(source: impl Source, target: impl Target) -> Self {
        Self { source: Arc::new(source), target: Arc::new(target), keeps_attributes: true, guard: Vec::new() }
    }

    /// The same place, known to have no room for attributes.
    #[must_use]
    pub fn without_attributes(mut self) -> Self {
        self.keeps_attributes = false;
        self
    }

    /// The same place; `guard`, such as a temporary folder, is dropped after it.
    #[must_use]
    pub fn holding(mut self, guard: impl Any + Send + Sync) -> Self {
        self.guard.push(Box::new(guard));
        self
    }

    /// Whether attributes are expected to come back.
    pub fn keeps_attributes(&self) -> bool {
        self.keeps_attributes
    }

    /// Writes an object and returns the entry that a listing would show.
    ///
    /// # Errors
    /// As the target's `write`.
    pub async fn put(&self, key: &str, bytes: impl Into<Bytes>) -> Result<Entry> {
        self.put_with(&ObjectKey::from(key), bytes.into(), Attributes::default()).await
    }

    /// Writes an object with attributes.
    ///
    /// # Errors
    /// As the target's `write`.
    pub async fn put_with(&self, key: &ObjectKey, bytes: Bytes, attributes: Attributes) -> Result<Entry> {
        let object = NewObject { attributes, ..new_object(key, bytes.len()) };
        self.target.write(&object, body(bytes), IfExists::Replace).await?;
        let read = self.source.read(Wanted::Current(key), None).await?;
        Ok(entry_of(key, &read))
    }

    /// The bytes at `key` now.
    ///
    /// # Errors
    /// As the source's `read`.
    pub async fn get(&self, key: &ObjectKey) -> Result<Bytes> {
        collect(self.source.read(Wanted::Current(key), None).await?).await
    }
}

/// A memory bucket is both sides of itself.
impl From<MemoryBucket> for BucketUnderTest {
    fn from(bucket: MemoryBucket) -> Self {
        Self::new(bucket.clone(), bucket)
    }
}

impl fmt::Debug for BucketUnderTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BucketUnderTest").field("source", &self.source).finish_non_exhaustive()
    }
}

/// An object to be written, without attributes, last modified in 2025.
pub(crate) fn new_object(key: &ObjectKey, size: usize) -> NewObject {
    NewObject {
        key: key.clone(),
        size: size as u64,
        last_modified: Timestamp::from_millis(1_750_000_000_123),
        attributes: Attributes::default(),
    }
}

/// A body of pieces of up to 1 MiB.
pub(crate) fn body(mut bytes: Bytes) -> BoxStream<'static, Result<Bytes>> {
    let mut pieces = Vec::new();
    while !bytes.is_empty() {
        pieces.push(Ok(bytes.split_to(bytes.len().min(1 << 20))));
    }
    stream::iter(pieces).boxed()
}

/// Everything that the body of `read` yields.
pub(crate) async fn collect(read: ObjectRead) -> Result<Bytes> {
    let all = read.body.try_fold(BytesMut::new(), |mut all, part| async move {
        all.extend_from_slice(&part);
        Ok(all)
    });
    Ok(all.await?.freeze())
}

/// The entry that describes what was opened.
pub(crate) fn entry_of(key: &ObjectKey, read: &ObjectRead) -> Entry {
    let mut entry = Entry::new(key.clone(), read.size, read.last_modified).with_class(read.class.clone());
    entry.etag.clone_from(&read.etag);
    entry.version.clone_from(&read.version);
    entry
}
