//! The road for two sides of which one is in no order.
//!
//! Sorting tens of millions of rows to find that nearly all are equal is waste.
//! Instead both sides are read and put down as [digests](super::digest), sixteen
//! bytes a row; partition by partition the equal ones are matched; then both
//! sides are read again, and only rows that found no equal are sorted and
//! compared, by their real keys and columns. A match of digests never decides
//! more than that a row is unchanged.

use std::sync::atomic::{AtomicUsize, Ordering};

use stocktake_core::Result;

use super::digest::Digester;
use super::input::Input;
use super::matching::{BYTES_PER_ROW, Matcher};
use super::meter::SideMeter;
use super::partition::{Partitions, Seen, partition_of};
use super::roads::Comparison;
use super::sieve::Sieve;
use super::sort::{Sorted, Sorter};

impl Comparison {
    /// The rows of both sides that may differ, sorted; `None` when the sides are equal.
    pub(super) fn differing_rows(&self) -> Result<Option<(Sorted, Sorted)>> {
        let matched = self.match_sides()?;
        if matched.is_equal() {
            return Ok(None);
        }
        let (before, now) = matched.seen;
        let sifted =
            self.at_once(|| self.sift(&self.previous, &matched, before), || self.sift(&self.current, &matched, now))?;
        Ok(Some(sifted))
    }

    /// Reads both sides and matches them, partition by partition.
    fn match_sides(&self) -> Result<Matched> {
        let (previous, current) = self.at_once(|| self.put_down(&self.previous), || self.put_down(&self.current))?;
        let seen = (previous.seen(), current.seen());
        let fits = |partition| {
            let rows = previous.rows_in(partition) + current.rows_in(partition);
            rows * BYTES_PER_ROW <= self.limits.matcher_bytes
        };
        let oversized: Vec<_> = (0..1 << self.limits.partitions.bits).map(|partition| !fits(partition)).collect();
        let sieve = Sieve::new(seen.0.rows + seen.1.rows, self.limits.sieve_bytes);
        let next = AtomicUsize::new(0);
        let work = || self.match_partitions(&previous, &current, &oversized, &sieve, &next);
        self.at_once(work, work)?;
        Ok(Matched {
            digester: self.digester.clone(),
            partition_bits: self.limits.partitions.bits,
            oversized,
            sieve,
            seen,
        })
    }

    /// The digests of one side.
    fn put_down(&self, input: &Input) -> Result<Partitions> {
        let mut partitions = Partitions::new(self.scratch.clone(), self.limits.partitions);
        let mut digests = Vec::new();
        input.for_each_batch(|batch| {
            self.digester.rows(&batch, &mut digests);
            digests.iter().try_for_each(|digest| partitions.push(*digest))
        })?;
        Ok(partitions)
    }

    /// Matches one partition after the other, until `next` says that all are taken.
    fn match_partitions(
        &self,
        previous: &Partitions,
        current: &Partitions,
        oversized: &[bool],
        sieve: &Sieve,
        next: &AtomicUsize,
    ) -> Result<()> {
        let (mut matcher, mut before, mut now) = (Matcher::default(), Vec::new(), Vec::new());
        loop {
            let partition = next.fetch_add(1, Ordering::Relaxed);
            let Some(oversized) = oversized.get(partition) else { return Ok(()) };
            self.stop_if_cancelled()?;
            if !oversized {
                previous.read(partition, &mut before)?;
                current.read(partition, &mut now)?;
                matcher.match_up(&before, &now, |key_hash| sieve.insert(key_hash));
            }
        }
    }

    /// Reads a side again and sorts the rows that may differ.
    fn sift(&self, input: &Input, matched: &Matched, expected: Seen) -> Result<Sorted> {
        let mut sorter = Sorter::new(self.scratch.clone(), self.limits.sort, input.meter.clone(), self.cancel.clone());
        let (mut hashes, mut seen) = (Vec::new(), Seen::default());
        // The rows were counted at the first reading.
        let again = Input { meter: SideMeter::default(), ..input.clone() };
        again.for_each_batch(|batch| {
            matched.digester.key_hashes(&batch, &mut hashes);
            for (index, hash) in hashes.iter().enumerate() {
                seen.add(*hash);
                if matched.may_differ(*hash) {
                    sorter.push(&batch.get(index))?;
                }
            }
            Ok(())
        })?;
        if seen != expected {
            return Err(input.read_otherwise());
        }
        sorter.finish()
    }
}

/// What is known after both sides have been read once.
#[derive(Debug)]
struct Matched {
    digester: Digester,
    partition_bits: u32,
    // Partitions that would not have fitted in memory: their rows are compared exactly, all of them.
    oversized: Vec<bool>,
    sieve: Sieve,
    seen: (Seen, Seen),
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
