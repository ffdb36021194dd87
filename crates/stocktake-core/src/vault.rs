//! Where backups live: named blobs, written once.

use std::fmt::{Debug, Display};
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};

use crate::{Result, Timestamp};

/// A flat space of named blobs in a bucket or a folder.
///
/// This is all that formats, catalogs and inventories ask of a store: create
/// once, read, list, delete. There is no overwrite, no rename and no lock: what
/// decides a race is that one creation of a name wins. Inventories are read
/// through the same trait, since a folder of reports is a space of named blobs too.
///
/// Names are `/`-separated, relative, ASCII without control characters, with no
/// empty, `.` or `..` segment. A name outside of that ends in
/// [`InvalidInput`](crate::Error::InvalidInput).
///
/// # Contract
/// An implementation promises:
/// - **Create once.** Of any number of concurrent `create` calls for one name, at
///   most one succeeds, and its bytes are what readers get. If the capability
///   [`create_if_absent`](VaultCapabilities::create_if_absent) is not declared,
///   this holds for calls that do not overlap in time only.
/// - **Whole.** A reader sees all bytes of a blob or no blob.
/// - **Durable.** When `create` has returned, the blob survives a crash of this process or machine.
/// - **Visible.** A blob created before a `read` or `list` begins is seen by it.
/// - **Ambiguity is told.** A `create` whose outcome is unknown ends in
///   [`Unavailable`](crate::Error::Unavailable); the caller finds out by reading.
///   If a retry inside the implementation meets its own first attempt, it
///   ends in [`BlobExists`](crate::Error::BlobExists), and the caller reads too.
/// - **Listing** yields names in ascending byte order, each once.
///
/// # Cancel safety
/// Dropping a future leaves a blob whole or absent.
///
/// # Implementing
/// Run `vault_conformance!` of `stocktake-testkit`, which the repository holds, against it.
#[async_trait]
pub trait Vault: Debug + Display + Send + Sync + 'static {
    /// What this store can do beyond the minimum.
    fn capabilities(&self) -> VaultCapabilities;

    /// Creates a blob, unless the name is taken.
    ///
    /// # Errors
    /// - [`BlobExists`](crate::Error::BlobExists): the name is taken; what is there is unchanged.
    /// - [`AccessDenied`](crate::Error::AccessDenied), [`Unavailable`](crate::Error::Unavailable),
    ///   [`Rejected`](crate::Error::Rejected), [`LocalStorage`](crate::Error::LocalStorage).
    async fn create(&self, name: &str, bytes: Bytes) -> Result<()>;

    /// Reads a blob, whole or a range of it.
    ///
    /// The caller bounds what it asks for; the answer is in memory. A range must
    /// not be empty and must lie within the blob: otherwise, and when the blob
    /// turns out shorter, [`BlobDamaged`](crate::Error::BlobDamaged).
    ///
    /// # Errors
    /// [`BlobNotFound`](crate::Error::BlobNotFound), [`BlobDamaged`](crate::Error::BlobDamaged), and as for `create`.
    async fn read(&self, name: &str, range: Option<Range<u64>>) -> Result<Bytes>;

    /// Size and age of a blob, without reading it.
    ///
    /// # Errors
    /// As for `read`.
    async fn stat(&self, name: &str) -> Result<BlobInfo>;

    /// Lists the blobs whose names begin with `prefix` and come after `start_after`.
    ///
    /// The prefix is plain text and need not end at a `/`. A space that does not exist yet is empty.
    fn list(&self, prefix: &str, start_after: Option<&str>) -> BoxStream<'static, Result<BlobInfo>>;

    /// Deletes a blob; success also when there is none.
    ///
    /// # Errors
    /// As for `create`.
    async fn delete(&self, name: &str) -> Result<()>;
}

/// A blob, as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobInfo {
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// When the store says it was written.
    pub last_modified: Timestamp,
}

/// What a store can do beyond the minimum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VaultCapabilities {
    /// Concurrent creations of one name are decided by the store. Without it, one
    /// writer at a time may use a vault.
    pub create_if_absent: bool,
}
