//! Matching two sides whose digests do not fit in memory.
//!
//! The digests of both sides are put down in partitions by hash and matched
//! partition by partition. Then both sides are read again for the rows that found
//! no equal. Memory does not grow with the rows; sixteen bytes of temporary file
//! do, for each of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use stocktake_core::Result;

use super::input::Input;
use super::matching::{BYTES_PER_ROW, Matcher};
use super::partition::{Partitions, partition_of};
use super::roads::Comparison;
use super::sieve::Sieve;
use super::sort::Sorted;
use super::unordered::push_all;

impl Comparison {
    /// The rows of both sides that may differ, sorted; the digests of the first are put down already.
    pub(super) fn match_partitioned(
        &self,
        first: &Input,
        first_digests: &Partitions,
        second: &Input,
    ) -> Result<Option<(Sorted, Sorted)>> {
        let second_digests = self.put_down(second)?;
        let (first_seen, second_seen) = (first_digests.seen(), second_digests.seen());
        let matched = self.match_digests(first_digests, &second_digests)?;
        drop(second_digests);
        if matched.is_equal() {
            return Ok(None);
        }
        let matched = Arc::new(matched);
        let may_differ = || {
            let matched = Arc::clone(&matched);
            move |key_hash| matched.may_differ(key_hash)
        };
        let sorted = self
            .at_once(|| self.sift(first, first_seen, may_differ()), || self.sift(second, second_seen, may_differ()))?;
        Ok(Some(sorted))
    }

    /// The digests of one side.
    fn put_down(&self, input: &Input) -> Result<Partitions> {
        let mut partitions = Partitions::new(self.scratch.clone(), self.limits.partitions);
        let mut digests = Vec::new();
        input.for_each_batch(2, |batch| {
            digests.clear();
            self.digester.rows(&batch, &mut digests);
            push_all(&mut partitions, &digests)
        })?;
        Ok(partitions)
    }

    fn match_digests(&self, first: &Partitions, second: &Partitions) -> Result<Matched> {
        let partition_bits = self.limits.partitions.bits;
        let fits = |partition| {
            (first.rows_in(partition) + second.rows_in(partition)) * BYTES_PER_ROW <= self.limits.matcher_bytes
        };
        let oversized = (0..1 << partition_bits).map(|partition| !fits(partition)).collect();
        // How many rows will differ is not known yet.
        let sieve = Sieve::new(8 * (first.seen().rows + second.seen().rows), self.limits.sieve_bytes);
        let matched = Matched { partition_bits, oversized, sieve };
        let next = AtomicUsize::new(0);
        let work = || self.match_in_turn(first, second, &matched, &next);
        self.at_once(work, work)?;
        Ok(matched)
    }

    /// Matches one partition after the other, until `next` says that all are taken.
    fn match_in_turn(
        &self,
        first: &Partitions,
        second: &Partitions,
        matched: &Matched,
        next: &AtomicUsize,
    ) -> Result<()> {
        let (mut matcher, mut digests, mut others) = (Matcher::default(), Vec::new(), Vec::new());
        loop {
            let partition = next.fetch_add(1, Ordering::Relaxed);
            let Some(oversized) = matched.oversized.get(partition) else { return Ok(()) };
            self.stop_if_cancelled()?;
            if !oversized {
                first.read(partition, &mut digests)?;
                second.read(partition, &mut others)?;
                matcher.match_up(&digests, &others, |key_hash| matched.sieve.insert(key_hash));
            }
        }
    }
}

/// What is known after all digests have been matched.
#[derive(Debug)]
struct Matched {
    partition_bits: u32,
    // Partitions that would not have fitted in memory: their rows are compared exactly, all of them.
    oversized: Vec<bool>,
    sieve: Sieve,
}

impl Matched {
    fn is_equal(&self) -> bool {
        self.sieve.is_empty() && !self.oversized.contains(&true)
    }

    #[inline]
    fn may_differ(&self, key_hash: u64) -> bool {
        self.sieve.passes(key_hash) || self.oversized[partition_of(key_hash, self.partition_bits)]
    }
}
