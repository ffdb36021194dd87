//! Change detection, copy, pack, backup, restore and verify.
//!
//! The engine turns an inventory into a snapshot and back. It sees the traits of
//! `stocktake-core` and the bytes of `stocktake-format`, and names no store, no
//! cloud and no file format of an inventory.
//!
//! Start at [`Backup`]: it calls the stages in the order in which data flows.
//!
//! - [`compare`]: what differs between two states, exactly, in bounded memory.
//! - [`select`]: which inventory to use, and whether a parent can be built on.
//! - [`choose_view`]: whether to use an inventory or to list the source.
//! - [`Backup`]: plan, copy, pack, commit.
//! - [`ContentReader`]: bytes of one object, straight from the vault.
//! - [`Restore`]: many objects, to a target.
//! - [`Verify`]: whether all that is there can be restored.
//! - [`init_vault`], [`open_vault`]: making a vault and opening it with its key.
//!
//! ```
//! use std::sync::Arc;
//! use stocktake_core::memory::{MemoryBucket, MemoryCatalog, MemoryVault};
//! use stocktake_core::{Catalog, Location, ManualClock, SeededEntropy, Timestamp};
//! use stocktake_engine::{Backup, BackupOptions, Protection, Restore, RestoreOptions, init_vault};
//! # #[tokio::main] async fn main() -> Result<(), stocktake_core::Error> {
//! let now = Timestamp::parse_rfc3339("2026-01-02T00:00:00Z").expect("a time");
//! let (clock, entropy) = (Arc::new(ManualClock::new(now)), Arc::new(SeededEntropy::new(1)));
//! let bucket = Arc::new(MemoryBucket::new("photos"));
//! bucket.put("2026/a.jpg", "bytes");
//!
//! let vault = init_vault(Arc::new(MemoryVault::new()), Protection::Unencrypted, &*clock, &*entropy).await?;
//! let catalog = Arc::new(MemoryCatalog::new());
//! let backup = Backup::new(bucket.clone(), bucket, vault.clone(), catalog.clone(), clock, entropy);
//! let plan = backup.plan(BackupOptions::new(Location::new("memory:photos"))).await?;
//! assert_eq!(plan.forecast().source_get, 1);
//! let report = plan.run().await?;
//!
//! let snapshot = catalog.open(report.snapshot.id).await?;
//! let target = Arc::new(MemoryBucket::new("copy"));
//! let restored = Restore::new(&vault, snapshot, target).run(RestoreOptions::default()).await?;
//! assert_eq!(restored.restored.objects, 1);
//! # Ok(()) }
//! ```
//!
//! What the engine does not do: decide when to run and what to keep (that is
//! policy), and know what time it is or draw lots by itself (the embedder hands
//! both in).

mod backup;
mod cleanup;
pub mod compare;
mod content;
mod copy;
pub mod filter;
mod meter;
mod open;
mod restore;
mod retry;
pub mod select;
mod verify;
mod view;

/// What stops a job, when it is cancelled; see [`Backup::cancel`].
#[doc(no_inline)]
pub use tokio_util::sync::CancellationToken;

pub use backup::{Backup, BackupMode, BackupOptions, BackupPlan, BackupReport, Forecast, JobStatus};
pub use cleanup::{DeleteInventories, InventoryRemoval};
pub use content::ContentReader;
pub use copy::{CopyOptions, OnArchived, OnChanged, is_archive_class};
pub use meter::Meter;
pub use open::{OpenVault, Protection, SOFTWARE, init_vault, open_vault};
pub use restore::{ConflictPolicy, Restore, RestoreOptions, RestoreReport};
pub use retry::RetryingVault;
pub use verify::{Damage, DataShare, Verify, VerifyReport};
pub use view::{
    InventoryState, ListingBudget, ListingEstimate, ListingProbe, View, ViewChoice, ViewFacts, ViewRule, choose_view,
    probe_listing,
};
