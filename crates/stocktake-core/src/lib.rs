//! Traits, domain types, errors and events of stocktake.
//!
//! stocktake backs up object stores from their inventories. This crate says
//! what its parts owe each other, and nothing about how they do it: no I/O, no
//! runtime, no file format.
//!
//! - [`InventoryReader`]: which objects exist.
//! - [`Source`]: what are the bytes of this version of this object.
//! - [`Vault`]: named blobs, written once.
//! - [`Catalog`]: which snapshots there are, and their rows.
//! - [`Target`]: where a restore writes.
//!
//! Each trait's documentation is its whole contract, [`memory`] holds a
//! reference implementation of each, and the conformance suites of
//! `stocktake-testkit` check both those and every other.
//!
//! Between the parts flow batches in columns ([`EntryBatch`], [`RowBatch`]),
//! and at their edges single values ([`Entry`], [`Row`], [`Change`]).
//!
//! ```
//! use stocktake_core::{memory::MemoryBucket, Source, Wanted};
//! # futures::executor::block_on(async {
//! let bucket = MemoryBucket::new("photos");
//! let entry = bucket.put("2026/a.jpg", "bytes");
//! let object = bucket.read(Wanted::Exactly(&entry), None).await?;
//! assert_eq!(object.size, 5);
//! # Ok::<_, stocktake_core::Error>(()) }).unwrap();
//! ```
//!
//! Arrow stays out of this crate on purpose: an embedder who brings an own
//! store should not have to follow its releases. Conversions are at the edges,
//! in `stocktake-export`.

mod ambient;
mod attributes;
mod batch;
mod catalog;
mod change;
mod counters;
mod entry;
mod error;
mod etag;
mod event;
mod id;
mod inventory;
mod key;
mod location;
pub mod memory;
mod row;
mod source;
mod target;
mod time;
mod vault;

pub use ambient::{Clock, Entropy, ManualClock, SeededEntropy, SystemClock};
pub use attributes::Attributes;
pub use batch::{BATCH_ROWS, BytesColumn, ClassColumn, EntryBatch, EntryColumns};
pub use catalog::{
    Catalog, CatalogDamage, InventoryUse, JobCounters, JobSpec, JobSummary, RootRef, RowDelta, Scope, Snapshot,
    SnapshotMode, SnapshotRecord, SnapshotWriter, Trigger,
};
pub use change::{Change, ChangeClass};
pub use counters::{ChangeCounts, RequestCounts, Tally};
pub use entry::{ETagRef, Entry, EntryFlags, EntryRef};
pub use error::{BoxError, Error, Result};
pub use etag::{ETag, ETagCode};
pub use event::{Event, Observer};
pub use id::{ContentHash, InvalidId, JobId, PackId, SnapshotId};
pub use inventory::{
    Coverage, Inventory, InventoryFormat, InventoryInfo, InventoryReader, InventoryVersions, KeyFilter, keep_wanted,
};
pub use key::{KeyRange, MAX_KEY_BYTES, ObjectKey, display_key};
pub use location::Location;
pub use row::{Content, Extent, Provenance, Row, RowBatch, RowRef};
pub use source::{ObjectRead, Source, Wanted};
pub use target::{IfExists, NewObject, Target, TargetObject};
pub use time::Timestamp;
pub use vault::{BlobInfo, Vault, VaultCapabilities};
