//! Matching two sides whose digests do not fit in memory.
//!
//! The digests of both sides are put down in partitions by hash and matched
//! partition by partition. Then the sides are read again for the rows that found
//! no equal, but for a first one of which all those were [put aside](super::recent).
//! Memory does not grow with the rows; sixteen bytes of temporary file do, for
//! each of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use stocktake_core::{EntryRef, Result};

use super::input::Input;
use super::matching::{BYTES_PER_ROW, Matcher};
use super::partition::{Partitions, partition_of};
use super::recent::{RecentRows, RecentWriter};
use super::roads::Comparison;
use super::sieve::Sieve;
use super::unordered::{Differing, PARTS_AT_ONCE};

impl Comparison {
    /// The rows of both sides that may differ, sorted. Young rows of the first go to `recent`.
    pub(super) fn match_partitioned(
        &self,
        first: &Input,
        second: &Input,
        recent: Option<RecentWriter>,
    ) -> Result<Differing> {
        let (first_digests, recent) = self.put_down(first, recent)?;
        let (second_digests, _) = self.put_down(second, None)?;
        let (first_seen, second_seen) = (first_digests.seen(), second_digests.seen());
        let matched = self.match_digests(&first_digests, &second_digests)?;
        drop((first_digests, second_digests));
        if matched.is_equal() {
            return Ok(None);
        }
        let matched = Arc::new(matched);
        let sift = |input: &Input, seen| {
            let (matched, mut sorter) = (Arc::clone(&matched), self.sorter(input));
            self.sift(input, seen, move |key_hash| matched.may_differ(key_hash), |entry| sorter.push(entry))?;
            sorter.finish()
        };
        if let (Some(recent), Some(Exactly { first_rows, .. })) = (recent, &matched.exactly) {
            let differs = |entry: &EntryRef<'_>| matched.may_differ(self.digester.key(entry.key));
            let mut sorter = self.sorter(first);
            if recent.take(*first_rows, differs, |entry| sorter.push(entry))? {
                return Ok(Some((sorter.finish()?, sift(second, second_seen)?)));
            }
        }
        self.at_once(|| sift(first, first_seen), || sift(second, second_seen)).map(Some)
    }

    /// The digests of one side.
    fn put_down(&self, input: &Input, mut recent: Option<RecentWriter>) -> Result<(Partitions, Option<RecentRows>)> {
        let mut partitions = Partitions::new(self.scratch.clone(), self.limits.partitions);
        let mut digests = Vec::new();
        input.for_each_batch(PARTS_AT_ONCE, |batch| {
            digests.clear();
            self.digester.rows(&batch, &mut digests);
            recent.as_mut().map_or(Ok(()), |recent| recent.push(&batch))?;
            digests.iter().try_for_each(|digest| partitions.push(*digest))
        })?;
        Ok((partitions, recent.map(RecentWriter::finish).transpose()?.flatten()))
    }

    fn match_digests(&self, first: &Partitions, second: &Partitions) -> Result<Matched> {
        let partition_bits = self.limits.partitions.bits;
        // How many rows will differ is not known yet.
        let sieve = Sieve::new(8 * (first.seen().rows + second.seen().rows), self.limits.sieve_bytes);
        let next = AtomicUsize::new(0);
        let work = || self.match_in_turn(first, second, &sieve, &next);
        let (some, others) = self.at_once(work, work)?;
        let mut oversized = vec![false; 1 << partition_bits];
        some.oversized.iter().chain(&others.oversized).for_each(|partition| oversized[*partition] = true);
        let exactly = Exactly::of([some.exactly, others.exactly]).filter(|_| !oversized.contains(&true));
        Ok(Matched { partition_bits, oversized, sieve, exactly })
    }

    /// Matches one partition after the other, until `next` says that all are taken.
    fn match_in_turn(
        &self,
        first: &Partitions,
        second: &Partitions,
        sieve: &Sieve,
        next: &AtomicUsize,
    ) -> Result<MatchedInTurn> {
        let (mut matcher, mut digests, mut others) = (Matcher::default(), Vec::new(), Vec::new());
        let partition_bits = self.limits.partitions.bits;
        let most_rows = self.limits.matcher_bytes / BYTES_PER_ROW;
        let most_hashes = self.limits.matcher_bytes / size_of::<u64>();
        let (mut exactly, mut oversized) = (Some(Exactly::default()), Vec::new());
        loop {
            let partition = next.fetch_add(1, Ordering::Relaxed);
            if partition >> partition_bits > 0 {
                return Ok(MatchedInTurn { exactly, oversized });
            }
            for piece in pieces(first.rows_in(partition) + second.rows_in(partition), most_rows, partition_bits) {
                self.stop_if_cancelled()?;
                let fits = first.read(partition, &piece, most_rows, &mut digests)?
                    && second.read(partition, &piece, most_rows - digests.len(), &mut others)?;
                if !fits {
                    oversized.push(partition);
                    break;
                }
                let first_rows = matcher.match_up(&others, &digests, |key_hash| {
                    sieve.insert(key_hash);
                    exactly = exactly.take().filter(|exactly| exactly.hashes.len() < most_hashes);
                    if let Some(exactly) = &mut exactly {
                        exactly.hashes.push(key_hash);
                    }
                });
                if let Some(exactly) = &mut exactly {
                    exactly.first_rows += first_rows;
                }
            }
        }
    }
}

/// Divides a partition of `rows` rows by further bits of the key hash, so that the rows of each
/// piece are as a rule no more than `most`. For each piece all of the partition is read.
fn pieces(rows: usize, most: usize, partition_bits: u32) -> impl Iterator<Item = impl Fn(u64) -> bool> {
    /// Many rows of one hash can't be divided, however often that is tried.
    const MOST_PIECES: usize = 64;
    // Half as many on average, as pieces are not all alike.
    let wanted = if rows <= most { 1 } else { (2 * rows).div_ceil(most.max(1)) };
    let pieces = wanted.min(MOST_PIECES).next_power_of_two();
    (0..pieces).map(move |piece| {
        // The bits behind those that the partition has in common.
        move |key_hash: u64| partition_of(key_hash << partition_bits, pieces.ilog2()) == piece
    })
}

/// What one of those that match partitions has found.
struct MatchedInTurn {
    /// `None` when there are too many.
    exactly: Option<Exactly>,
    /// Partitions of which a piece was too large.
    oversized: Vec<usize>,
}

/// What is known after all digests have been matched.
#[derive(Debug)]
struct Matched {
    partition_bits: u32,
    // Partitions of which a piece did not fit in memory: their rows are compared exactly, all of them.
    oversized: Vec<bool>,
    sieve: Sieve,
    /// Without it, a few rows that are equal pass for different, on both sides.
    exactly: Option<Exactly>,
}

/// The key hashes that differ, and nothing else.
#[derive(Debug, Default)]
struct Exactly {
    // Ascending, once all are known.
    hashes: Vec<u64>,
    /// How many rows of the first side have one of them.
    first_rows: u64,
}

impl Exactly {
    fn of(parts: [Option<Self>; 2]) -> Option<Self> {
        let [Some(mut exactly), Some(others)] = parts else { return None };
        exactly.hashes.extend(others.hashes);
        exactly.hashes.sort_unstable();
        exactly.first_rows += others.first_rows;
        Some(exactly)
    }
}

impl Matched {
    fn is_equal(&self) -> bool {
        self.sieve.is_empty() && !self.oversized.contains(&true)
    }

    #[inline]
    fn may_differ(&self, key_hash: u64) -> bool {
        match &self.exactly {
            Some(exactly) => self.sieve.passes(key_hash) && exactly.hashes.binary_search(&key_hash).is_ok(),
            None => self.sieve.passes(key_hash) || self.oversized[partition_of(key_hash, self.partition_bits)],
        }
    }
}
