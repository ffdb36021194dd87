//! Bucket inventories: reports that say which objects a bucket holds.
//!
//! A cloud can write the list of a bucket's objects into another bucket, every
//! day, for less than listing costs. This crate reads such reports, and writes
//! them for stores that have none.
//!
//! - [`ManifestReader`]: finds the inventories in a bucket or folder, checks and
//!   reads them. Amazon S3, Google Cloud Storage and Azure (CSV, Parquet), Alibaba
//!   Cloud OSS, Huawei Cloud OBS and Tencent Cloud COS (CSV). The incremental ones of
//!   OSS are read with the full one they follow, as one inventory of a later instant.
//! - [`create_inventory`]: writes a listing, or any inventory, in the layout of S3.
//! - [`diagnose`]: checks all that a plan wants of its inventory, each with a remedy;
//!   [`check_interval`]: whether inventories come often enough for it.
//! - [`InventoryConfiguration`], [`PlanAccess`]: what a cloud must be told to deliver
//!   inventories, and the least that a plan has to be allowed.
//!
//! ```
//! use std::sync::Arc;
//! use futures::TryStreamExt;
//! use stocktake_core::memory::{MemoryBucket, MemoryVault};
//! use stocktake_core::{InventoryReader, SeededEntropy};
//! use stocktake_inventory::{CreateOptions, ManifestReader, create_inventory};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! // A store without inventories is listed, and gets one.
//! let photos = MemoryBucket::new("photos");
//! photos.put("2026/a.jpg", "bytes");
//! let listing = photos.open(&photos.inventories().await?[0]).await?;
//! let inventories = Arc::new(MemoryVault::new());
//! let options = CreateOptions::new("photos", "inventories");
//! create_inventory(&*listing, &*inventories, &options, &SeededEntropy::new(1)).await?;
//!
//! // Whoever reads inventories finds it.
//! let reader = ManifestReader::new(inventories, "photos", "s3://inventories");
//! let newest = reader.open(&reader.inventories().await?[0]).await?;
//! let batches: Vec<_> = newest.read(0).try_collect().await?;
//! assert_eq!(batches[0].key(0), b"2026/a.jpg");
//! # Ok::<_, Box<dyn std::error::Error>>(()) })?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! An object that is missing from an inventory reads as deleted, so the first
//! duty here is to tell a complete inventory from all others: a part that is
//! absent, cut short, altered, or does not decode is an error, and never fewer
//! objects: [`hostile`] goes through all cases. What each cloud writes, and how imitators differ, is noted where it
//! is decoded, with the document that says so.
//!
//! What this crate does *not* do: choose the inventory of a job, or compare (that
//! is the engine's); list a store (that is the store's own crate); decode ORC
//! (`stocktake-orc` does, as a [`ColumnarFormat`]).

mod blocking;
mod chain;
mod columnar;
mod columns;
mod configuration;
mod create;
mod csv;
mod cycle;
mod decoder;
mod diagnose;
mod discard;
mod discovery;
mod encode;
mod fault;
#[doc(hidden)]
pub mod fuzzing;
mod gzip;
mod head;
mod header;
mod locate;
mod manifest;
mod names;
mod parquet;
mod part;
mod policy;
mod reader;
mod report;
mod rows;
mod rules;
mod schema;
mod text;
mod threads;
mod total;
mod xml;

pub use columnar::{ColumnarFile, ColumnarFormat, RawColumn};
pub use configuration::{Delivery, DeliverySchedule, InventoryConfiguration};
pub use create::{CreateOptions, CreatedInventory, create_inventory};
pub use cycle::{Cycle, IntervalCheck, Schedule, check_interval};
pub use diagnose::{Check, CheckName, CheckOutcome, DiagnoseOptions, diagnose};
pub use fault::Fault;
pub use manifest::{DataFile, DeltaManifest, Dialect, InventoryManifest, MAX_MANIFEST_BYTES};
pub use policy::{BucketPlace, PlanAccess};
pub use reader::{InventoryRoot, ManifestReader};
pub use schema::Schema;
pub use text::{decode_key, encode_key, parse_bool, parse_record_time, parse_size, parse_time};

#[cfg(doc)]
#[doc = include_str!("hostile.md")]
pub mod hostile {}
