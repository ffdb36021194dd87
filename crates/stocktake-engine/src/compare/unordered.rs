//! The road for two sides of which one is in no order.
//!
//! Sorting tens of millions of rows to find that nearly all are equal is waste.
//! Instead every row is reduced to a digest of sixteen bytes, equal digests are
//! matched, and only rows that found no equal are sorted and compared, by their
//! real keys and columns. A match of digests never decides more than that a row
//! is unchanged.
//!
//! Where the digests of one side fit in memory, the other side is held against
//! them as it is read. The rows of the first that found no equal are as a rule
//! among those that were [put aside](super::recent), else it is read again for
//! them. Where no side's digests fit, both go to [`partitioned`](super::partitioned).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stocktake_core::{BytesColumn, EntryBatch, EntryRef, KeyFilter, Result};

use super::digest::RowDigest;
use super::input::Input;
use super::meter::{Duplicates, SideMeter};
use super::partition::{Partitions, Seen};
use super::recent::{RecentRows, RecentWriter};
use super::roads::Comparison;
use super::sieve::Sieve;
use super::sort::{Sorted, Sorter};
use super::table::{Answer, DigestTable};

/// Parts of one side that are decoded at once while nothing else is.
const PARTS_AT_ONCE: usize = 2;

/// Memory for a digest that is held and its share of the directory, in bytes.
const HELD_BYTES_A_ROW: usize = 16 + 2;

/// Batches looked up at once: about 12 MB, so that neighbours in the table are asked for together.
const BATCHES_LOOKED_UP: usize = 8;

/// How many times larger the current side must be for the previous one to be held.
const MUCH_SMALLER: u64 = 4;

/// The digests of one side.
enum Digests {
    Held(DigestTable, Seen),
    PutDown(Partitions),
}

impl Comparison {
    /// The rows of both sides that may differ, sorted, the previous first; `None` when the sides are equal.
    pub(super) fn differing_rows(&self) -> Result<Option<(Sorted, Sorted)>> {
        // The current side is the one whose rows that differ can be told by their time, as a rule.
        let previous_first = self.previous.side.rows_about() < self.current.side.rows_about() / MUCH_SMALLER;
        let (first, second) =
            if previous_first { (&self.previous, &self.current) } else { (&self.current, &self.previous) };
        let recent = (!previous_first)
            .then(|| RecentWriter::new(self.previous.side.as_of(), self.scratch.clone(), self.limits.recent));
        let (digests, recent) = self.digests(first, recent)?;
        let sorted = match digests {
            Digests::Held(table, seen) => self.match_held(first, table, seen, recent, second)?,
            Digests::PutDown(partitions) => self.match_partitioned(first, &partitions, recent, second)?,
        };
        Ok(sorted.map(|(first, second)| if previous_first { (first, second) } else { (second, first) }))
    }

    /// The digests of a side, in memory while they fit. Young rows go to `recent`.
    fn digests(&self, input: &Input, mut recent: Option<RecentWriter>) -> Result<(Digests, Option<RecentRows>)> {
        let (mut held, mut seen, mut put_down) = (Vec::new(), Seen::default(), None);
        input.for_each_batch(PARTS_AT_ONCE, |batch| {
            let first_row = held.len();
            self.digester.rows(&batch, &mut held);
            held[first_row..].iter().for_each(|digest| seen.add(digest.key));
            if let Some(recent) = &mut recent {
                recent.push(&batch)?;
            }
            if put_down.is_none() && held.len() * HELD_BYTES_A_ROW > self.limits.held_bytes {
                put_down = Some(Partitions::new(self.scratch.clone(), self.limits.partitions));
            }
            let Some(partitions) = &mut put_down else { return Ok(()) };
            push_all(partitions, &held)?;
            // What was held at first is much larger than what comes from now on.
            held = Vec::new();
            Ok(())
        })?;
        let recent = recent.map(RecentWriter::finish).transpose()?.flatten();
        let held = || Digests::Held(DigestTable::new(held), seen);
        Ok((put_down.map_or_else(held, Digests::PutDown), recent))
    }

    /// Holds the rows of `second` against the digests of `first` as they come.
    fn match_held(
        &self,
        first: &Input,
        mut table: DigestTable,
        seen: Seen,
        recent: Option<RecentRows>,
        second: &Input,
    ) -> Result<Option<(Sorted, Sorted)>> {
        let mut held_up =
            HeldUp { sorter: self.sorter(second), batches: Vec::new(), rows: Vec::new(), too_late: false };
        let mut second_seen = Seen::default();
        second.for_each_batch(PARTS_AT_ONCE, |batch| {
            let first_row = held_up.rows.len();
            self.digester.rows(&batch, &mut held_up.rows);
            held_up.rows[first_row..].iter().for_each(|digest| second_seen.add(digest.key));
            held_up.batches.push(batch);
            if held_up.batches.len() < BATCHES_LOOKED_UP { Ok(()) } else { held_up.look_up(&mut table) }
        })?;
        held_up.look_up(&mut table)?;
        let table = Arc::new(table);
        let second_sorted = if held_up.too_late {
            // A row was dropped as equal before another of its key came.
            drop(held_up);
            second.meter.count(|tally| tally.duplicates = Duplicates::default());
            let table = Arc::clone(&table);
            self.sift(second, second_seen, move |key_hash| !table.has_equal(key_hash))?
        } else {
            held_up.sorter.finish()?
        };
        let first_sorted = self.unmatched(first, table, seen, recent)?;
        let equal = first_sorted.is_empty() && second_sorted.is_empty();
        Ok((!equal).then_some((first_sorted, second_sorted)))
    }

    /// The rows of the side that is held which found no equal, sorted.
    fn unmatched(
        &self,
        first: &Input,
        table: Arc<DigestTable>,
        seen: Seen,
        recent: Option<RecentRows>,
    ) -> Result<Sorted> {
        let differing = table.differing().count() as u64;
        if differing == 0 {
            return self.sorter(first).finish();
        }
        let differs = |entry: &EntryRef<'_>| !table.has_equal(self.digester.key(entry.key));
        if let Some(recent) = recent
            && let Some(sorted) = recent.sorted(differing, differs, self.sorter(first))?
        {
            return Ok(sorted);
        }
        // Large enough that few others pass, small enough to stay in the processor's cache where few differ.
        let sieve = Sieve::new(64 * differing, self.limits.sieve_bytes);
        table.differing().for_each(|key_hash| sieve.insert(key_hash));
        // The sieve spares most rows the table, but has no say: a row whose equal was dropped must not pass.
        self.sift(first, seen, move |key_hash| sieve.passes(key_hash) && !table.has_equal(key_hash))
    }

    /// Reads a side again and sorts the rows that may differ.
    pub(super) fn sift(
        &self,
        input: &Input,
        expected: Seen,
        may_differ: impl Fn(u64) -> bool + Send + Sync + 'static,
    ) -> Result<Sorted> {
        let mut sorter = self.sorter(input);
        let (seen, digester) = (Arc::new(Mutex::new(Seen::default())), self.digester.clone());
        let seen_by_filter = Arc::clone(&seen);
        let wanted: KeyFilter = Arc::new(move |keys: &BytesColumn| {
            let mut seen = Seen::default();
            let verdict = |key: &[u8]| {
                let hash = digester.key(key);
                seen.add(hash);
                may_differ(hash)
            };
            let verdicts = keys.iter().map(verdict).collect();
            lock(&seen_by_filter).add_all(seen);
            verdicts
        });
        // The rows were counted at the first reading.
        let again = Input { meter: SideMeter::default(), ..input.clone() };
        again
            .for_each_wanted(PARTS_AT_ONCE, &wanted, |batch| batch.iter().try_for_each(|entry| sorter.push(&entry)))?;
        if *lock(&seen) != expected {
            return Err(input.read_otherwise());
        }
        sorter.finish()
    }

    pub(super) fn sorter(&self, input: &Input) -> Sorter {
        Sorter::new(self.scratch.clone(), self.limits.sort, input.meter.clone(), self.cancel.clone())
    }
}

/// Rows of the second side that wait to be looked up, many at a time.
struct HeldUp {
    sorter: Sorter,
    batches: Vec<EntryBatch>,
    /// The digests of their rows.
    rows: Vec<RowDigest>,
    /// Whether a row was dropped as equal before another of its key came.
    too_late: bool,
}

impl HeldUp {
    /// Looks all up, and sorts those that may differ.
    fn look_up(&mut self, table: &mut DigestTable) -> Result<()> {
        let mut answers = table.look_up(&self.rows);
        for batch in &self.batches {
            let (of_batch, rest) = answers.split_at(batch.len());
            answers = rest;
            for (row, answer) in of_batch.iter().enumerate().filter(|(_, answer)| **answer != Answer::Equal) {
                self.too_late |= *answer == Answer::SecondOfItsKey;
                self.sorter.push(&batch.get(row))?;
            }
        }
        self.batches.clear();
        self.rows.clear();
        Ok(())
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn push_all(partitions: &mut Partitions, digests: &[RowDigest]) -> Result<()> {
    digests.iter().try_for_each(|digest| partitions.push(*digest))
}
