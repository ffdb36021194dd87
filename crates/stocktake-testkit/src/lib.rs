//! What tests of stocktake need and releases do not.
//!
//! - [`conformance`]: a suite for each trait of the core, one test for each
//!   promise. Whoever implements a trait runs its suite.
//! - [`wrappers`]: vaults and sources that record their calls, and that fail as planned.
//! - [`states`]: jobs and rows made up for tests of catalogs.
//! - `seaweed` and `proxy`, with the feature `servers`: a real S3 server on
//!   loopback, and a proxy before it that counts requests and injects faults.
//! - `virtual_bucket`, with the same feature: a bucket of millions of keys that is only ever listed.
//! - `python`, with the same feature: programs from PyPI that tests are held against.
//! - `inventories`, with the feature of that name: inventories as clouds deliver them.
//!
//! A suite is usually run whole, by its macro; each promise is also a function:
//!
//! ```
//! use stocktake_core::memory::MemoryVault;
//! use stocktake_testkit::conformance::{self, VaultUnderTest, vault};
//!
//! let under_test = VaultUnderTest::new(MemoryVault::new());
//! conformance::run(vault::create_is_write_once(&under_test));
//! ```
//!
//! It is for tests only and is not published: what goes wrong here panics, as a
//! failing test does.
#![allow(clippy::unwrap_used, reason = "a suite fails by panicking, as a test does")]

pub mod conformance;
#[cfg(feature = "inventories")]
pub mod inventories;
#[cfg(feature = "servers")]
pub mod proxy;
#[cfg(feature = "servers")]
pub mod python;
#[cfg(feature = "servers")]
pub mod seaweed;
pub mod states;
#[cfg(feature = "servers")]
pub mod virtual_bucket;
pub mod wrappers;
