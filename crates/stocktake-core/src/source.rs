//! The read side of a backup.

use std::fmt::{Debug, Display};
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use crate::{Attributes, ETag, Entry, ObjectKey, Result, Timestamp};

/// A bucket, or a folder, to be backed up.
///
/// A `Source` answers one question: what are the bytes of *this version* of
/// *this object*? Which objects exist is for an
/// [`InventoryReader`](crate::InventoryReader) to say; that split is what lets a
/// bucket of 100 million objects be backed up without being listed. There is no
/// `list` here, and no `put`.
///
/// # Contract
/// An implementation promises:
/// - **Exact key.** The bytes of the key are the name; a key that the client
///   can't send unchanged ends in [`KeyUnsupported`], never in another object.
/// - **Exact version.** With [`Wanted::Exactly`], what is read is the version of
///   the entry (by its version id, else by its ETag), or the call ends in
///   [`ObjectChanged`]. Whoever reaches the end of the stream without an error
///   holds that version and no other, also when it is replaced while being read.
/// - **Exact length.** The stream yields exactly as many bytes as
///   [`ObjectRead::range`] spans, or ends in an error. A short stream that ends
///   quietly is a bug.
/// - **One request.** One call is one GET: no HEAD and no LIST goes before it.
/// - **No effects.** Nothing in the bucket changes.
///
/// # Cancel safety
/// Dropping the future or the stream at any point is safe and leaves nothing to
/// clean up.
///
/// # Implementing
/// Run `source_conformance!` of `stocktake-testkit`, which the repository holds, against it.
///
/// [`ObjectChanged`]: crate::Error::ObjectChanged
/// [`KeyUnsupported`]: crate::Error::KeyUnsupported
#[async_trait]
pub trait Source: Debug + Display + Send + Sync + 'static {
    /// Opens an object for reading, whole or a range of it.
    ///
    /// A `range` must not be empty and must lie within the object.
    ///
    /// # Errors
    /// - [`ObjectNotFound`](crate::Error::ObjectNotFound): no object has the key.
    /// - [`ObjectChanged`](crate::Error::ObjectChanged): another version is there.
    /// - [`ObjectArchived`](crate::Error::ObjectArchived): its class can't be read without a thaw.
    /// - [`KeyUnsupported`](crate::Error::KeyUnsupported): the key can't be named.
    /// - [`AccessDenied`](crate::Error::AccessDenied), [`LocationNotFound`](crate::Error::LocationNotFound),
    ///   [`Rejected`](crate::Error::Rejected): as they say. Not retryable.
    /// - [`Unavailable`](crate::Error::Unavailable), also inside the stream. Retryable.
    /// - [`ObjectDamaged`](crate::Error::ObjectDamaged), inside the stream: too few or too many bytes. Retryable.
    async fn read(&self, wanted: Wanted<'_>, range: Option<Range<u64>>) -> Result<ObjectRead>;
}

/// Which version of an object is wanted.
#[derive(Clone, Copy, Debug)]
pub enum Wanted<'a> {
    /// The one the entry describes. An entry with neither version id nor ETag
    /// is matched by size and last-modified time.
    Exactly(&'a Entry),
    /// Whatever is current.
    Current(&'a ObjectKey),
}

impl Wanted<'_> {
    /// The key.
    pub fn key(&self) -> &ObjectKey {
        match self {
            Self::Exactly(entry) => &entry.key,
            Self::Current(key) => key,
        }
    }
}

/// An object being read.
pub struct ObjectRead {
    /// Length of the whole object in bytes.
    pub size: u64,
    /// When the store says it was last modified.
    pub last_modified: Timestamp,
    /// Its entity tag.
    pub etag: Option<ETag>,
    /// Its version id, where the store has versions.
    pub version: Option<String>,
    /// Its storage class, where the answer told it; empty otherwise.
    pub class: String,
    /// Content headers and user metadata that came with the answer.
    pub attributes: Attributes,
    /// Which bytes of the object the body holds; the whole object unless a range was asked for.
    pub range: Range<u64>,
    /// The bytes.
    pub body: BoxStream<'static, Result<Bytes>>,
}

impl Debug for ObjectRead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ObjectRead").field("size", &self.size).field("etag", &self.etag).finish_non_exhaustive()
    }
}
