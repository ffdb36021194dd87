//! Entries and change sets for other programs.
//!
//! Inside, batches are [`EntryBatch`](stocktake_core::EntryBatch)es; engines and
//! files outside speak Arrow, Parquet, JSON and CSV. This is the edge.
//!
//! - [`entries_to_record_batch`], [`entries_from_record_batch`]: entries to Arrow and back.
//! - [`changes_to_record_batch`], [`change_refs_to_record_batch`]: changes as Arrow.
//! - [`ChangeColumns`]: which columns they have, for objects and for versions.
//! - [`ChangeWriter`]: a change set as Parquet, JSON Lines or CSV.
//! - [`BatchManifestWriter`]: its objects as a manifest for S3 Batch Operations.
//!
//! ```
//! use stocktake_core::{Change, ChangeClass, Entry, Timestamp};
//! use stocktake_export::{ChangeWriter, ExportFormat};
//!
//! let added = Entry::new("2026/a b.jpg", 3, Timestamp::from_millis(1_772_326_800_000));
//! let change = Change { class: ChangeClass::Added, current: Some(added), previous: None };
//! let mut writer = ChangeWriter::new(ExportFormat::Csv, Vec::new())?;
//! writer.write(&[change])?;
//! let text = String::from_utf8(writer.finish()?)?;
//! assert!(text.ends_with("2026/a%20b.jpg,added,3,,2026-03-01T01:00:00.000Z,,,,,\n"));
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! What this crate does *not* do: find changes (that is the engine's), or choose
//! where a file goes and put it in its place (that is the caller's).

mod changes;
mod entries;
mod manifest;
mod text;
mod writer;

pub use arrow::array::RecordBatch;

pub use changes::{ChangeColumns, change_refs_to_record_batch, change_schema, changes_to_record_batch};
pub use entries::{entries_from_record_batch, entries_to_record_batch, entry_schema};
pub use manifest::{BatchManifestOptions, BatchManifestWriter, ManifestVersions};
pub use text::change_to_json;
pub use writer::{ChangeWriter, ExportFormat};
