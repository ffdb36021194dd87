//! How a job learns which objects exist.

use std::fmt::{self, Debug, Display};
use std::sync::Arc;

use async_trait::async_trait;
use futures::future;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};

use crate::{BytesColumn, EntryBatch, Location, Result, Timestamp};

/// A place where inventories of a source are found.
///
/// An inventory is the complete state of a bucket or prefix as of one time. A
/// cloud's delivered report is one; a listing of a bucket and a walk through a
/// folder are others, made while they are read.
///
/// # Contract
/// An implementation promises:
/// - **Complete or an error.** Every part of an opened inventory yields all its
///   entries, or its stream ends in an error. A file that is missing, short or
///   altered never reads as fewer entries: that would look like deletion.
/// - **Verified.** Sizes and checksums that the report states are checked; the
///   verdict on a part is given before its stream ends.
/// - **Current objects.** [`read`](Inventory::read) yields the live objects: of an inventory of all
///   versions the latest ones, without those whose latest is a delete marker.
/// - **All versions.** [`read_versions`](Inventory::read_versions) yields every version and delete
///   marker. Those that are neither [noncurrent](crate::EntryFlags::NONCURRENT) nor
///   [delete markers](crate::EntryFlags::DELETE_MARKER) are what `read` yields.
/// - **Keys are bytes.** Encoded keys are decoded, nothing else is done to them.
/// - **Any order.** Entries and parts come in any order; a key may come twice.
/// - **Repeatable.** A part may be read again and yields the same entries. A
///   reader that can't promise it (a listing) says so in [`InventoryInfo::repeatable`].
///
/// # Cancel safety
/// Dropping a future or stream at any point leaves nothing to clean up.
///
/// # Implementing
/// Run `inventory_conformance!` of `stocktake-testkit`, which the repository holds, against it.
#[async_trait]
pub trait InventoryReader: Debug + Display + Send + Sync + 'static {
    /// The inventories there are, newest first by scan start, ready or not.
    ///
    /// # Errors
    /// - [`LocationNotFound`](crate::Error::LocationNotFound), [`AccessDenied`](crate::Error::AccessDenied),
    ///   [`Unavailable`](crate::Error::Unavailable). None there is an empty list, not an error.
    async fn inventories(&self) -> Result<Vec<InventoryInfo>>;

    /// Checks an inventory and opens it.
    ///
    /// # Errors
    /// - [`InventoryNotFound`](crate::Error::InventoryNotFound): it is no longer there.
    /// - [`InventoryIncomplete`](crate::Error::InventoryIncomplete): not ready, or a file is missing.
    /// - [`InventoryCorrupt`](crate::Error::InventoryCorrupt): a checksum or size differs, or it can't be decoded.
    /// - [`InventoryMissingField`](crate::Error::InventoryMissingField): a field that comparison needs is not in it.
    async fn open(&self, inventory: &InventoryInfo) -> Result<Arc<dyn Inventory>>;

    /// Removes an inventory: its data files that no remaining inventory names,
    /// then its manifest and what belongs to it. Nothing else is touched.
    ///
    /// # Errors
    /// As for a vault's delete. [`InvalidInput`](crate::Error::InvalidInput) where
    /// there is nothing to remove, as for a listing.
    async fn discard(&self, inventory: &InventoryInfo) -> Result<()>;
}

/// An inventory that was checked and can be read.
pub trait Inventory: Debug + Send + Sync + 'static {
    /// What is known of it.
    fn info(&self) -> &InventoryInfo;

    /// How many parts it has: files of a report. A listing has one, however many requests it sends at once: its shards are found while it is read. May be 0.
    fn parts(&self) -> usize;

    /// Streams the entries of one part.
    ///
    /// Batches hold at most a few times [`BATCH_ROWS`](crate::BATCH_ROWS) entries.
    /// After an error the stream ends.
    ///
    /// # Panics
    /// When `part` is not below [`parts`](Self::parts).
    fn read(&self, part: usize) -> BoxStream<'static, Result<EntryBatch>>;

    /// Streams the entries of one part whose keys are wanted.
    ///
    /// As [`read`](Self::read) with [`keep_wanted`] behind it, and as thoroughly
    /// checked; but a reader may spare itself the decoding of what is not wanted.
    /// `wanted` is asked about each key of the part once, by several threads if
    /// several parts are read.
    ///
    /// # Panics
    /// As [`read`](Self::read).
    fn read_wanted(&self, part: usize, wanted: KeyFilter) -> BoxStream<'static, Result<EntryBatch>>;

    /// Streams all versions in one part, as thoroughly checked as by [`read`](Self::read): the
    /// current objects, older versions, and delete markers, told apart by their
    /// [flags](crate::EntryFlags). Where [`info`](Self::info) says that current objects
    /// only are listed, it yields the same as `read`.
    ///
    /// An entry has its version id as a request needs it: `null` for the null version,
    /// `None` only where the store or the report has none. A delete marker has size 0,
    /// no ETag and, unless the report says otherwise, no class. Versions of a key come in any
    /// order, from any part. What can't be asked for by a version id is no version and left
    /// out, such as the snapshots and the deleted blobs that Azure lists.
    ///
    /// # Panics
    /// As [`read`](Self::read).
    fn read_versions(&self, part: usize) -> BoxStream<'static, Result<EntryBatch>>;

    /// LIST requests that reading it has sent to the source so far, repeated ones included: 0 for a report, which costs the source nothing.
    fn source_lists(&self) -> u64;
}

/// Says of each key of a column whether its entry is wanted.
pub type KeyFilter = Arc<dyn Fn(&BytesColumn) -> Vec<bool> + Send + Sync>;

/// Leaves out of a stream what is not wanted, and batches of which nothing is left.
pub fn keep_wanted(
    batches: BoxStream<'static, Result<EntryBatch>>,
    wanted: KeyFilter,
) -> BoxStream<'static, Result<EntryBatch>> {
    let kept = batches.try_filter_map(move |batch| {
        let kept = batch.filter(&wanted(&batch.columns().keys));
        future::ok(Some(kept).filter(|batch| !batch.is_empty()))
    });
    kept.boxed()
}

/// What is known of an inventory before it is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryInfo {
    /// Where its manifest is, or what is listed; also its identity.
    pub location: Location,
    /// The configuration that it was delivered by: the same for all deliveries of one, and for no others.
    /// Empty where there is no such thing, as for a listing.
    pub configuration: String,
    /// When its scan began. Objects changed after that may or may not be in it.
    pub created: Timestamp,
    /// The bucket it lists; empty where that is not known.
    pub bucket: String,
    /// How it is written.
    pub format: InventoryFormat,
    /// Number of data files.
    pub files: u64,
    /// Bytes of its data files.
    pub bytes: u64,
    /// Rows of its data files, where that is stated.
    pub rows: Option<u64>,
    /// What its configuration confines it to, where that is stated.
    pub coverage: Coverage,
    /// Its fields, as it spells them.
    pub fields: Vec<String>,
    /// Whether it lists all versions, or current objects only.
    pub versions: InventoryVersions,
    /// Why it can't be used yet; `None` when it is ready.
    pub not_ready: Option<String>,
    /// Whether parts can be read again with the same result.
    pub repeatable: bool,
}

impl InventoryInfo {
    /// An inventory of current objects that is ready and can be read again: with no files,
    /// fields or bucket yet. What else is known is put in its fields.
    pub fn new(location: Location, format: InventoryFormat, created: Timestamp) -> Self {
        Self {
            location,
            configuration: String::new(),
            created,
            bucket: String::new(),
            format,
            files: 0,
            bytes: 0,
            rows: None,
            coverage: Coverage::default(),
            fields: Vec::new(),
            versions: InventoryVersions::Current,
            not_ready: None,
            repeatable: true,
        }
    }
}

/// What an inventory is confined to by its configuration, as far as it says so itself: most clouds' do not.
///
/// What lies outside is not listed, and would otherwise be taken for deleted or never be missed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Coverage {
    /// Only keys that begin with one of these; empty for all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prefixes: Vec<String>,
    /// No keys that begin with one of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub excluded: Vec<String>,
    /// Only objects of these kinds, as the cloud names them; empty for all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<String>,
}

impl Coverage {
    /// What keys of one container are confined to, where these prefixes begin with the container and a slash, as
    /// those of an account's rule do. One without a slash is the beginning of the names of whole containers.
    ///
    /// Where the container is not known, it may be any of those that are named: what is excluded of one of them is,
    /// and prefixes stay as they are, which hardly fit a key, unless they are of whole containers only.
    #[must_use]
    pub fn within(&self, container: Option<&str>) -> Self {
        let Some(container) = container else {
            let key = |prefix: &String| prefix.split_once('/').map_or(String::new(), |(_, key)| key.to_owned());
            let whole = self.prefixes.iter().all(|prefix| key(prefix).is_empty());
            let mut excluded: Vec<_> = self.excluded.iter().map(key).filter(|key| !key.is_empty()).collect();
            excluded.sort_unstable();
            excluded.dedup();
            let prefixes = if whole { Vec::new() } else { self.prefixes.clone() };
            return Self { prefixes, excluded, kinds: self.kinds.clone() };
        };
        let of = |prefixes: &[String]| -> Vec<String> {
            let keys = prefixes.iter().filter_map(|prefix| match prefix.split_once('/') {
                None => container.starts_with(prefix.as_str()).then_some(""),
                Some((of, key)) => (of == container).then_some(key),
            });
            let mut keys: Vec<_> = keys.map(str::to_owned).collect();
            keys.sort_unstable();
            keys.dedup();
            keys
        };
        let mut prefixes = of(&self.prefixes);
        if prefixes.iter().any(String::is_empty) {
            prefixes.clear();
        }
        Self { prefixes, excluded: of(&self.excluded), kinds: self.kinds.clone() }
    }

    /// Why keys that begin with `path` are out of it, where it says that they are.
    pub fn refuses(&self, path: &[u8]) -> Option<String> {
        let begins = |prefix: &String| path.starts_with(prefix.as_bytes());
        if let Some(all) = self.excluded.iter().find(|prefix| begins(prefix)) {
            return Some(format!("it says that it leaves out all keys that begin with \"{all}\""));
        }
        let covered = self.prefixes.is_empty() || self.prefixes.iter().any(begins);
        let list = || self.prefixes.join("\", \"");
        (!covered).then(|| format!("it says that it covers keys that begin with \"{}\" only", list()))
    }

    /// Whether nothing is said of it, so that all is taken to be listed.
    pub fn is_unconfined(&self) -> bool {
        *self == Self::default()
    }
}

/// How an inventory is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum InventoryFormat {
    /// Text, one row a line.
    Csv,
    /// Apache Parquet.
    Parquet,
    /// Apache ORC.
    Orc,
    /// No file: the source is listed.
    Listing,
}

impl Display for InventoryFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Csv => "csv",
            Self::Parquet => "parquet",
            Self::Orc => "orc",
            Self::Listing => "listing",
        })
    }
}

/// Which versions an inventory lists, or are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InventoryVersions {
    /// Current objects only.
    Current,
    /// All versions and delete markers.
    All,
}
