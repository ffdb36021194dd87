//! What the programs of this package share: numbers as people read them.

mod human;

pub use human::{bytes, count, peak_memory_bytes, seconds};
