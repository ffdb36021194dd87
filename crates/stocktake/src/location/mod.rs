//! Opening sources, vaults, targets and inventories by where they are.
//!
//! A location is `s3://bucket/prefix`, `oss://bucket/prefix`, `file:///path` or a
//! plain path. How a bucket is reached is said by [`Settings`]. Nothing is sent,
//! and no folder is made, until something is asked of what was opened.
//!
//! ```
//! use stocktake::location::{self, Settings};
//! # fn main() -> Result<(), stocktake::Error> {
//! let source = location::open_source("/srv/photos", &Settings::default())?;
//! assert_eq!(source.location.as_str(), "/srv/photos");
//! let options = source.options(); // of a backup of just this
//! assert_eq!(options.inventory.bucket.as_deref(), Some("photos"));
//! # Ok(()) }
//! ```
//!
//! Buckets need the feature `s3`. Without it, opening one says so.

mod inventories;
mod place;
mod settings;

use std::sync::Arc;

use bytes::Bytes;
use stocktake_core::{Clock, Error, InventoryReader, Location, Result, Source, Target, Vault};
use stocktake_engine::BackupOptions;
use stocktake_fs::{FsListing, FsSource, FsTarget, FsVault};

pub use inventories::{OpenInventoryStore, open_inventories, open_inventory_store};
use place::Place;
pub use settings::Settings;

/// A source, and what its location says beside it.
#[derive(Clone, Debug)]
pub struct OpenSource {
    /// The bucket, whole, or the folder.
    pub source: Arc<dyn Source>,
    /// The location as it was written.
    pub location: Location,
    /// The bucket's name; of a folder, its last part. What an inventory calls its source.
    pub bucket: String,
    /// What the keys below the location begin with. Empty for a folder, whose keys begin at the folder.
    pub path: Bytes,
}

impl OpenSource {
    /// Defaults for a backup of this source: what is below the location, by inventories of this bucket only.
    pub fn options(&self) -> BackupOptions {
        let mut options = BackupOptions::new(self.location.clone());
        options.compare.path = self.path.clone();
        options.inventory.bucket = Some(self.bucket.clone());
        options
    }
}

/// Opens a bucket or folder to be backed up.
///
/// # Errors
/// [`InvalidInput`](stocktake_core::Error::InvalidInput): it is no location, or its settings make no sense.
pub fn open_source(location: &str, settings: &Settings) -> Result<OpenSource> {
    let place = Place::open(location, settings)?;
    let source: Arc<dyn Source> = match &place {
        Place::Folder(path) => Arc::new(FsSource::new(path)),
        #[cfg(feature = "s3")]
        Place::Bucket(store) => Arc::new(store.source()),
    };
    Ok(OpenSource { source, location: place.location(), bucket: place.bucket(), path: place.path() })
}

/// Opens the listing of a bucket, or the walk through a folder, that stands in for an inventory.
///
/// # Errors
/// As [`open_source`].
pub fn open_listing(location: &str, settings: &Settings, clock: Arc<dyn Clock>) -> Result<Arc<dyn InventoryReader>> {
    listing(location, settings, clock, None)
}

/// The same, with so many requests to a bucket, or threads in a folder, at once. The
/// defaults of [`open_listing`] are 16 and 4.
///
/// # Errors
/// As [`open_source`].
pub fn open_listing_at_once(
    location: &str,
    settings: &Settings,
    clock: Arc<dyn Clock>,
    concurrency: usize,
) -> Result<Arc<dyn InventoryReader>> {
    listing(location, settings, clock, Some(concurrency))
}

fn listing(
    location: &str,
    settings: &Settings,
    clock: Arc<dyn Clock>,
    concurrency: Option<usize>,
) -> Result<Arc<dyn InventoryReader>> {
    Ok(match Place::open(location, settings)? {
        Place::Folder(path) => {
            let listing = FsListing::new(path, clock);
            Arc::new(match concurrency {
                Some(threads) => listing.with_concurrency(threads),
                None => listing,
            })
        }
        #[cfg(feature = "s3")]
        Place::Bucket(store) => {
            let listing = store.listing(clock);
            Arc::new(match concurrency {
                Some(requests) => listing.with_concurrency(requests),
                None => listing,
            })
        }
    })
}

/// Opens the bucket or folder of a vault. Whether it holds one, [`open_vault`](crate::open_vault) tells.
///
/// # Errors
/// As [`open_source`].
pub fn open_vault_store(location: &str, settings: &Settings) -> Result<Arc<dyn Vault>> {
    Ok(match Place::open(location, settings)? {
        Place::Folder(path) => Arc::new(FsVault::new(path)),
        #[cfg(feature = "s3")]
        Place::Bucket(store) => Arc::new(store.vault()),
    })
}

/// A target, and the same place to be read.
#[derive(Clone, Debug)]
pub struct OpenTarget {
    /// Where a restore writes. Keys are placed below the location.
    pub target: Arc<dyn Target>,
    /// What was written, read back under the same keys.
    pub written: Arc<dyn Source>,
}

/// Opens a bucket or folder to restore to.
///
/// # Errors
/// As [`open_source`].
pub fn open_target(location: &str, settings: &Settings) -> Result<OpenTarget> {
    Ok(match Place::open(location, settings)? {
        Place::Folder(path) if path.exists() && !path.is_dir() => {
            return Err(Error::invalid(format!("{} is a file, and no folder to write to", path.display())));
        }
        Place::Folder(path) => {
            OpenTarget { target: Arc::new(FsTarget::new(&path)), written: Arc::new(FsSource::new(path)) }
        }
        #[cfg(feature = "s3")]
        Place::Bucket(store) => {
            let written = store.source().with_prefix(store.url().prefix());
            OpenTarget { target: Arc::new(store.target()), written: Arc::new(written) }
        }
    })
}
