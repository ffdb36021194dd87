//! Reference implementations of every trait, in memory.
//!
//! They are for tests and documentation, and show each contract in the fewest
//! lines. Everything they hold is in memory and gone with the value.

mod bucket;
mod catalog;
mod vault;

use std::ops::Range;

pub use bucket::MemoryBucket;
pub use catalog::MemoryCatalog;
pub use vault::MemoryVault;

use crate::Timestamp;

/// A clock that moves on by one second each time it is read, from 2026-01-01 on.
#[derive(Default)]
struct Ticker(i64);

impl Ticker {
    fn tick(&mut self) -> Timestamp {
        self.0 += 1;
        Timestamp::from_millis(1_767_225_600_000 + self.0 * 1000)
    }
}

/// A range as indices, unless it is empty or reaches beyond `size` bytes.
fn within(range: &Range<u64>, size: usize) -> Option<Range<usize>> {
    let (start, end) = (usize::try_from(range.start).ok()?, usize::try_from(range.end).ok()?);
    (start < end && end <= size).then_some(start..end)
}
