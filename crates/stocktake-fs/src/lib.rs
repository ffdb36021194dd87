//! Source, vault, target and folder walk of stocktake, on a local file system.
//!
//! - [`FsSource`] reads files as objects, and refuses one that changes while it is read.
//! - [`FsListing`] walks a folder and yields its files as an inventory, in key order.
//! - [`FsVault`] keeps blobs as files, each published whole, once and durably.
//! - [`FsTarget`] restores objects as files.
//!
//! A key is the path below the root, its segments joined by `/`, byte for byte:
//! names need not be UTF-8. Symbolic links are never followed below the root, by
//! any of the four: each segment is opened from its parent's handle, and no link
//! is taken for a folder. So no key and no link leads out of the root.
//!
//! ```
//! use std::sync::Arc;
//! use futures::TryStreamExt;
//! use stocktake_core::{InventoryReader, Source, SystemClock, Wanted};
//! use stocktake_fs::{FsListing, FsSource};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # std::fs::create_dir(folder.path().join("2026"))?;
//! std::fs::write(folder.path().join("2026/a.txt"), "bytes")?;
//!
//! let listing = FsListing::new(folder.path(), Arc::new(SystemClock));
//! let inventory = listing.open(&listing.inventories().await?[0]).await?;
//! let batches: Vec<_> = inventory.read(0).try_collect().await?;
//! let entry = batches[0].get(0).to_entry();
//! assert_eq!(entry.key.as_bytes(), b"2026/a.txt");
//!
//! let source = FsSource::new(folder.path());
//! assert_eq!(source.read(Wanted::Exactly(&entry), None).await?.size, 5);
//! # Ok(()) }
//! ```
//!
//! # What a folder can't do
//! - **Keys.** A segment that is empty, `.`, `..`, longer than 255 bytes or has a
//!   NUL in it, and a key that another key goes through as a folder, end in
//!   [`KeyUnsupported`](stocktake_core::Error::KeyUnsupported). So do names of the
//!   form `.stocktake-*.tmp`, which are files being written.
//! - **Attributes** have no place in a folder: a restore drops them. Owners,
//!   permissions and extended attributes have no place in an object: they are
//!   not backed up.
//! - **Versions.** A file is the same version as long as its inode, its time of
//!   modification and its size are the same. Two writes within one tick of the
//!   file system's clock (a few milliseconds) that leave the size as it was are
//!   not told apart.
//! - **Case.** The file system must keep names as they are. On one that takes two
//!   keys for the same name, the second is written over the first.
//!
//! This crate needs a Unix-like system: elsewhere names are not bytes.

mod blocking;
mod dir;
mod error;
mod facts;
mod gang;
mod key;
mod listing;
mod publish;
mod source;
mod target;
mod vault;
mod walk;

pub use listing::FsListing;
pub use source::FsSource;
pub use target::FsTarget;
pub use vault::FsVault;
