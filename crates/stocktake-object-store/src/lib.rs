//! Source, vault, target and listing of stocktake, over any `object_store` backend.
//!
//! - [`ObjectStoreSource`] reads exactly the version an entry names, one GET a call.
//! - [`ObjectStoreVault`] keeps blobs under a prefix, created by conditional puts.
//! - [`ObjectStoreTarget`] restores objects, large ones in parts.
//! - [`ObjectStoreListing`] lists a bucket as an inventory.
//! - [`StoreUrl`] and [`StoreSettings`] say which store, as people and environments
//!   write it; with the feature `s3`, `OpenStore` opens it.
//!
//! ```
//! use std::sync::Arc;
//! use object_store::memory::InMemory;
//! use stocktake_core::{Location, Vault};
//! use stocktake_object_store::ObjectStoreVault;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> stocktake_core::Result<()> {
//!
//! let vault = ObjectStoreVault::new(Arc::new(InMemory::new()), Location::new("memory:backup"));
//! vault.create("jobs/1/pack", "bytes".into()).await?;
//! assert_eq!(vault.read("jobs/1/pack", Some(0..2)).await?, "by");
//! # Ok(()) }
//! ```
//!
//! # What it does not do
//! - **Some keys.** `object_store` can't name a key that is not UTF-8, has an empty,
//!   `.` or `..` segment, a slash at either end, or a control character. Such a key
//!   ends in [`KeyUnsupported`](stocktake_core::Error::KeyUnsupported). It is never
//!   encoded, cut or collapsed into another one.
//!   A listing with the feature `s3` does show such keys as they are.
//! - **Tags, ACLs, retention and the class of an object** are not in the answers it gives, nor are the
//!   store's own checksums, such as `x-amz-checksum-sha256`: only an ETag that is an MD5 can be held against bytes.
//! - **Retry for long.** A request is repeated a few times; the engine, which knows
//!   what a job can wait for, does the rest.

mod attributes;
mod error;
mod key;
mod listing;
#[cfg(feature = "s3")]
mod open;
mod order;
#[cfg(feature = "s3")]
mod s3_list;
mod settings;
#[cfg(feature = "s3")]
mod sharded;
mod source;
mod target;
mod url;
mod vault;

/// The version of `object_store` that this crate is built on. Its backends are turned on by its own features.
#[doc(no_inline)]
pub use object_store;

pub use listing::ObjectStoreListing;
#[cfg(feature = "s3")]
pub use open::OpenStore;
pub use settings::{Addressing, StoreSettings};
pub use source::{ETagCase, ObjectStoreSource};
pub use target::ObjectStoreTarget;
pub use url::{Scheme, StoreUrl};
pub use vault::ObjectStoreVault;
