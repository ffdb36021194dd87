//! One file per question asked of stocktake's speed and size.
//!
//! Benchmarks of single stages stand in `benches/` and run under criterion; what
//! only a whole process can tell (CPU seconds, peak memory, beside other programs
//! on the same input) stands in `src/bin/` and `peers/`. Times of a shared machine
//! mean little by themselves: ratios within one run are what is compared.

mod catalog;
mod layout;
mod spent;

pub use catalog::{Packed, commit, open_catalog};
pub use layout::Layout;
pub use spent::{Spent, peak_memory_bytes};
