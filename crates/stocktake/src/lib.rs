//! Incremental backup of object stores from their inventories.
//!
//! A backup learns from an inventory, a report that the cloud delivers anyway,
//! which objects a bucket holds. It compares that with the last snapshot in its
//! own catalog and reads from the bucket only what changed, one GET an object,
//! with no LIST and no HEAD. What it reads goes, deduplicated, compressed and
//! encrypted, into a vault in any object store or folder. Every snapshot is a
//! complete view that can be browsed, read and restored alone.
//!
//! ```
//! use std::sync::Arc;
//! use stocktake::catalog::VaultCatalog;
//! use stocktake::format::Passphrase;
//! use stocktake::fs::{FsListing, FsSource, FsTarget, FsVault};
//! use stocktake::*;
//! # #[tokio::main] async fn main() -> Result<()> {
//! # let home = tempfile::tempdir().unwrap();
//! # let (photos, backups, copy) = (home.path().join("p"), home.path().join("b"), home.path().join("c"));
//! # std::fs::create_dir(&photos).unwrap();
//! # std::fs::write(photos.join("a.jpg"), "bytes").unwrap();
//!
//! // The outside world, as values: a test hands in others.
//! let (clock, entropy) = (Arc::new(SystemClock), Arc::new(OsEntropy));
//!
//! // A vault, made once, and the catalog of its snapshots.
//! let key = Passphrase::new("correct horse battery staple");
//! let vault = init_vault(Arc::new(FsVault::new(&backups)), Protection::Encrypted(&key), &*clock, &*entropy).await?;
//! let catalog = Arc::new(VaultCatalog::new(vault.vault.clone(), vault.key.clone(), clock.clone()));
//!
//! // A backup is planned, which writes nothing, and then run.
//! let source = Arc::new(FsSource::new(&photos));
//! let listing = Arc::new(FsListing::new(&photos, clock.clone()));
//! let backup = Backup::new(source, listing, vault.clone(), catalog.clone(), clock, entropy);
//! let plan = backup.plan(BackupOptions::new(Location::new("photos"))).await?;
//! println!("{} objects to read", plan.forecast().source_get);
//! let report = plan.run().await?;
//!
//! // Every snapshot restores alone.
//! let snapshot = catalog.open(report.snapshot.id).await?;
//! let restore = Restore::new(&vault, snapshot, Arc::new(FsTarget::new(&copy)));
//! assert_eq!(restore.run(RestoreOptions::default()).await?.restored.objects, 1);
//! # Ok(()) }
//! ```
//!
//! # Parts
//! This crate gathers the crates that do the work:
//!
//! | Part | What is in it |
//! | --- | --- |
//! | the root | the traits and words of `stocktake-core`, the jobs of `stocktake-engine` |
//! | [`memory`] | reference implementations of all traits, for tests |
//! | [`fs`] | source, listing, vault and target in folders |
#![cfg_attr(
    feature = "object-store",
    doc = "| [`object_store`] | the same in buckets, and over any `object_store` backend |"
)]
#![cfg_attr(
    not(feature = "object-store"),
    doc = "| `object_store` | the same in buckets, with the feature `s3`; over any `object_store` backend, with `object-store` |"
)]
#![cfg_attr(feature = "export", doc = "| [`export`] | entries and change sets as Arrow, Parquet, JSON and CSV |")]
#![cfg_attr(
    not(feature = "export"),
    doc = "| `export` | entries and change sets as Arrow, Parquet, JSON and CSV; with the feature `export` |"
)]
//! | [`inventory`] | reading, checking and making inventories |
#![cfg_attr(feature = "orc", doc = "| [`orc`] | the decoder of inventories in ORC |")]
#![cfg_attr(not(feature = "orc"), doc = "| `orc` | the decoder of inventories in ORC; with the feature `orc` |")]
//! | [`catalog`] | the catalog of snapshots, kept in the vault itself |
//! | [`format`](mod@format) | the bytes that vaults consist of, and what opens them |
//! | [`location`] | opening all of these by URL |
//! | [`guide`] | how it fits together, and how to build on it |
//!
//! and adds what needs to know several of them: [`OsEntropy`], [`find_snapshot`]
//! and [`OnlyKeys`].
//!
//! # What it does not do
//! It never changes a source, lists none that it was not told to, and never prints. It decides neither when
//! to run nor what to keep. It starts no runtime: its futures run on the caller's
//! tokio.

#[cfg(feature = "export")]
mod changes;
mod entropy;
pub mod guide;
pub mod location;
mod only_keys;
mod selector;

pub use stocktake_catalog as catalog;
#[cfg(feature = "export")]
pub use stocktake_export as export;
pub use stocktake_format as format;
pub use stocktake_fs as fs;
pub use stocktake_inventory as inventory;
#[cfg(feature = "object-store")]
pub use stocktake_object_store as object_store;
#[cfg(feature = "orc")]
pub use stocktake_orc as orc;

pub use stocktake_catalog::{Listed, browse};
pub use stocktake_core::*;
pub use stocktake_engine::*;

#[cfg(feature = "export")]
pub use changes::change_record_batches;
pub use entropy::OsEntropy;
pub use only_keys::OnlyKeys;
pub use selector::find_snapshot;

/// The examples of the README are compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
