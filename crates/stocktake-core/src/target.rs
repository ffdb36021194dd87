//! Where a restore writes.

use std::fmt::{Debug, Display};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use crate::{Attributes, ETag, ObjectKey, Result, Timestamp};

/// A bucket or folder that objects are restored to.
///
/// A trait of its own, so that a backup, which holds a
/// [`Source`](crate::Source) only, can't change a bucket by its type.
///
/// # Contract
/// An implementation promises:
/// - **Exact key.** As for a source: the bytes of the key are the name, or the
///   call ends in [`KeyUnsupported`](crate::Error::KeyUnsupported).
/// - **Whole or not at all.** A reader of the target sees the object as it was
///   before, or the whole new one; a failed or dropped write leaves the former.
/// - **Exact bytes.** `write` succeeds only if the body yielded exactly
///   [`NewObject::size`] bytes; a body that ends in an error is not written.
/// - **Durable when told.** What was written before [`Target::sync`] was called
///   survives a crash of the machine once that has returned.
/// - **Conflicts.** With [`IfExists::Fail`] nothing that is there is replaced.
///
/// # Cancel safety
/// Dropping a future leaves the target as it was, or with the object written
/// whole. Temporary uploads may remain in the store until it clears them.
///
/// # Implementing
/// Run `target_conformance!` of `stocktake-testkit`, which the repository holds, against it.
#[async_trait]
pub trait Target: Debug + Display + Send + Sync + 'static {
    /// What is at `key` now; `None` when nothing is.
    ///
    /// # Errors
    /// As [`Source::read`](crate::Source::read), but for `ObjectNotFound`.
    async fn stat(&self, key: &ObjectKey) -> Result<Option<TargetObject>>;

    /// Writes an object.
    ///
    /// # Errors
    /// - [`ObjectChanged`](crate::Error::ObjectChanged): something is at the key and `if_exists` forbids to replace it.
    /// - [`ObjectDamaged`](crate::Error::ObjectDamaged): the body had another length than announced.
    /// - The body's own error.
    /// - [`KeyUnsupported`](crate::Error::KeyUnsupported), [`AccessDenied`](crate::Error::AccessDenied),
    ///   [`Unavailable`](crate::Error::Unavailable), [`Rejected`](crate::Error::Rejected).
    async fn write(
        &self,
        object: &NewObject,
        body: BoxStream<'static, Result<Bytes>>,
        if_exists: IfExists,
    ) -> Result<()>;

    /// Makes durable what was written before. Where a write is durable by itself there is nothing to do.
    ///
    /// # Errors
    /// As [`write`](Target::write).
    async fn sync(&self) -> Result<()>;

    /// Deletes the object at `key`; success also when nothing is there.
    ///
    /// # Errors
    /// As [`write`](Target::write).
    async fn delete(&self, key: &ObjectKey) -> Result<()>;
}

/// What to do when the key to be written is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfExists {
    /// Leave what is there.
    Fail,
    /// Replace it.
    Replace,
}

/// An object that is in a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetObject {
    /// Length in bytes.
    pub size: u64,
    /// When the store says it was last modified.
    pub last_modified: Timestamp,
    /// Its entity tag.
    pub etag: Option<ETag>,
}

/// An object to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewObject {
    /// Its key.
    pub key: ObjectKey,
    /// Exact length of the body in bytes.
    pub size: u64,
    /// When the original was last modified. Folders keep it; buckets set their own.
    pub last_modified: Timestamp,
    /// Content headers and user metadata, kept where the target has them.
    pub attributes: Attributes,
}
