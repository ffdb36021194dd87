//! Objects restored to a bucket.
//!
//! Short objects go up in one request, whole by nature. Long ones go up in parts
//! that become an object when all are there; on any failure the parts are given
//! back to the store.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use object_store::path::Path;
use object_store::{
    Error as StoreError, ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload,
    WriteMultipart,
};
use stocktake_core::{ETag, Error, IfExists, Location, NewObject, ObjectKey, Result, Target, TargetObject, Timestamp};

use crate::attributes;
use crate::error::{Meaning, failure};
use crate::key::Prefix;

/// Objects up to this length go up in one request.
const AT_ONCE_BYTES: u64 = 16 << 20;
/// The shortest part of a longer one.
const MIN_PART_BYTES: u64 = 8 << 20;
/// The most parts that Amazon S3 takes.
const MAX_PARTS: u64 = 10_000;
/// How many parts of one object are on their way at once.
const PARTS_AT_ONCE: usize = 4;

/// A bucket, or a folder of one, that objects are restored to, as a [`Target`].
///
/// The store sets its own time of modification. A write holds up to 16 MiB, or
/// five parts of 8 MiB (of a ten-thousandth of the object, where that is more).
///
/// With [`IfExists::Fail`], the store decides about objects of up to 16 MiB. For
/// longer ones, and where the store has no conditional put, what is there is
/// looked up before the first byte goes up: an object that another writer makes
/// while this one is being written is replaced.
#[derive(Clone)]
pub struct ObjectStoreTarget {
    store: Arc<dyn ObjectStore>,
    location: Location,
    prefix: Prefix,
    create_if_absent: bool,
    attributes: bool,
}

impl ObjectStoreTarget {
    /// The whole of `store`. The location is for messages and records.
    pub fn new(store: Arc<dyn ObjectStore>, location: Location) -> Self {
        Self { store, location, prefix: Prefix::default(), create_if_absent: true, attributes: true }
    }

    /// The same store, where `prefix/` stands before every key.
    #[must_use]
    pub fn with_prefix(mut self, prefix: &str) -> Self {
        self.prefix = Prefix::new(prefix);
        self
    }

    /// The same store, known to have no conditional put.
    #[must_use]
    pub fn without_create_if_absent(mut self) -> Self {
        self.create_if_absent = false;
        self
    }

    /// The same store, known to have no place for attributes: they are dropped.
    #[must_use]
    pub fn without_attributes(mut self) -> Self {
        self.attributes = false;
        self
    }

    fn path_of(&self, key: &ObjectKey) -> Result<Path> {
        let unsupported =
            |problem| Error::KeyUnsupported { key: key.clone(), location: self.location.clone(), problem };
        self.prefix.path_of(key.as_bytes()).map_err(unsupported)
    }

    fn store_attributes(&self, object: &NewObject) -> object_store::Attributes {
        if self.attributes { attributes::to_store(&object.attributes) } else { object_store::Attributes::new() }
    }

    /// Writes the object in one request.
    async fn write_at_once(
        &self,
        path: &Path,
        object: &NewObject,
        body: BoxStream<'static, Result<Bytes>>,
        mode: PutMode,
    ) -> Result<()> {
        let mut pieces = Pieces { body, object, location: &self.location, came: 0 };
        let mut all = Vec::new();
        while let Some(piece) = pieces.next().await? {
            all.push(piece);
        }
        let options = PutOptions { mode, attributes: self.store_attributes(object), ..PutOptions::default() };
        let put = self.store.put_opts(path, all.into_iter().collect::<PutPayload>(), options).await;
        put.map(drop).map_err(|error| self.failed("write", &object.key, error))
    }

    /// Writes the object in parts.
    async fn write_parts(
        &self,
        path: &Path,
        object: &NewObject,
        body: BoxStream<'static, Result<Bytes>>,
    ) -> Result<()> {
        let options = PutMultipartOptions { attributes: self.store_attributes(object), ..Default::default() };
        let failed = |error| self.failed("write", &object.key, error);
        let upload = self.store.put_multipart_opts(path, options).await.map_err(failed)?;
        let mut parts = WriteMultipart::new_with_chunk_size(upload, part_bytes(object.size));
        match self.send_parts(&mut parts, object, body).await {
            Ok(()) => parts.finish().await.map(drop).map_err(failed),
            Err(error) => {
                if let Err(abort) = parts.abort().await {
                    tracing::warn!(key = %object.key, error = %abort, "an unfinished upload could not be given back");
                }
                Err(error)
            }
        }
    }

    async fn send_parts(
        &self,
        parts: &mut WriteMultipart,
        object: &NewObject,
        body: BoxStream<'static, Result<Bytes>>,
    ) -> Result<()> {
        let mut pieces = Pieces { body, object, location: &self.location, came: 0 };
        while let Some(piece) = pieces.next().await? {
            let ready = parts.wait_for_capacity(PARTS_AT_ONCE).await;
            ready.map_err(|error| self.failed("write", &object.key, error))?;
            parts.put(piece);
        }
        Ok(())
    }

    fn taken(&self, key: &ObjectKey) -> Error {
        Error::ObjectChanged { key: key.clone(), location: self.location.clone(), expected: "none".to_owned() }
    }

    fn failed(&self, action: &str, key: &ObjectKey, error: StoreError) -> Error {
        match Meaning::of(&error) {
            Meaning::Exists => self.taken(key),
            _ => failure(&self.location, format!("{action} {key}"), error),
        }
    }
}

#[async_trait]
impl Target for ObjectStoreTarget {
    async fn stat(&self, key: &ObjectKey) -> Result<Option<TargetObject>> {
        match self.store.head(&self.path_of(key)?).await {
            Ok(meta) => Ok(Some(TargetObject {
                size: meta.size,
                last_modified: Timestamp::from_millis(meta.last_modified.timestamp_millis()),
                etag: meta.e_tag.as_deref().map(ETag::new),
            })),
            Err(error) if Meaning::of(&error) == Meaning::NotFound => Ok(None),
            Err(error) => Err(self.failed("look at", key, error)),
        }
    }

    async fn write(
        &self,
        object: &NewObject,
        body: BoxStream<'static, Result<Bytes>>,
        if_exists: IfExists,
    ) -> Result<()> {
        let path = self.path_of(&object.key)?;
        let at_once = object.size <= AT_ONCE_BYTES;
        let decided_by_store = at_once && self.create_if_absent;
        if if_exists == IfExists::Fail && !decided_by_store && self.stat(&object.key).await?.is_some() {
            return Err(self.taken(&object.key));
        }
        let mode = match if_exists {
            IfExists::Fail if decided_by_store => PutMode::Create,
            _ => PutMode::Overwrite,
        };
        if at_once {
            self.write_at_once(&path, object, body, mode).await
        } else {
            self.write_parts(&path, object, body).await
        }
    }

    async fn sync(&self) -> Result<()> {
        Ok(())
    }

    async fn delete(&self, key: &ObjectKey) -> Result<()> {
        match self.store.delete(&self.path_of(key)?).await {
            Err(error) if Meaning::of(&error) != Meaning::NotFound => Err(self.failed("delete", key, error)),
            _ => Ok(()),
        }
    }
}

/// The pieces of a body, checked against the length that was announced.
struct Pieces<'a> {
    body: BoxStream<'static, Result<Bytes>>,
    object: &'a NewObject,
    location: &'a Location,
    came: u64,
}

impl Pieces<'_> {
    /// The next piece; `None` after exactly the announced length.
    async fn next(&mut self) -> Result<Option<Bytes>> {
        let piece = self.body.next().await.transpose()?;
        self.came += piece.as_ref().map_or(0, |piece| piece.len() as u64);
        let size = self.object.size;
        if self.came > size || (piece.is_none() && self.came < size) {
            let (key, location) = (self.object.key.clone(), self.location.clone());
            let problem = format!("{size} bytes were announced, {} came", self.came);
            return Err(Error::ObjectDamaged { key, location, problem });
        }
        Ok(piece)
    }
}

/// How long the parts of an object are.
fn part_bytes(size: u64) -> usize {
    usize::try_from(size.div_ceil(MAX_PARTS).max(MIN_PART_BYTES)).unwrap_or(usize::MAX)
}

impl fmt::Display for ObjectStoreTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.location.fmt(f)
    }
}

impl fmt::Debug for ObjectStoreTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectStoreTarget").field("location", &self.location).field("prefix", &self.prefix).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_object_fits_into_the_parts_a_store_takes() {
        assert_eq!(part_bytes(17 << 20), 8 << 20);
        let size: u64 = 5 << 40;
        assert!(size.div_ceil(part_bytes(size) as u64) <= MAX_PARTS);
    }
}
