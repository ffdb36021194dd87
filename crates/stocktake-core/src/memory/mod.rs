//! Reference implementations of every trait, in memory.
//!
//! They are for tests and documentation, and show each contract in the fewest
//! lines. Everything they hold is in memory and gone with the value.

mod bucket;
mod catalog;
mod vault;

pub use bucket::MemoryBucket;
pub use catalog::MemoryCatalog;
pub use vault::MemoryVault;
