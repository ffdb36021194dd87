//! The road for two sides of which one is in no order.
//!
//! Sorting tens of millions of rows to find that nearly all are equal is waste.
//! Instead every row is reduced to a digest, equal digests are matched, and only
//! rows that found no equal are sorted and compared, by their real keys and
//! columns. A match of digests never decides more than that a row is unchanged.
//!
//! Where one side fits in a [table](super::table) in memory, the other side is held
//! against it as it is read. The rows of the first that found no equal are as a rule
//! among those that were [put aside](super::recent), else it is read again for
//! them. The table keeps only a part of each digest; that it was mistaken nowhere is
//! seen by adding up the whole digests of all rows that were taken for equal, on either
//! side. Where no side fits, or the sums differ, both go to [`partitioned`](super::partitioned).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stocktake_core::{BytesColumn, EntryRef, Error, KeyFilter, Result};

use super::digest::{DigestSum, RowDigest, Seen};
use super::input::Input;
use super::meter::{Duplicates, SideMeter};
use super::recent::{RecentRows, RecentWriter};
use super::roads::Comparison;
use super::side::Side;
use super::sieve::Sieve;
use super::sort::{Sorted, Sorter};
use super::table::{Answer, DigestTable, HELD_BYTES_A_ROW};

/// Parts of one side that are decoded at once while nothing else is.
pub(super) const PARTS_AT_ONCE: usize = 2;

/// How many times larger the current side must be for the previous one to be held.
const MUCH_SMALLER: u64 = 4;

/// The rows of two sides that may differ, sorted; `None` when the sides are equal.
pub(super) type Differing = Option<(Sorted, Sorted)>;

/// One side in memory.
struct Held {
    table: DigestTable,
    sum: DigestSum,
    recent: Option<RecentRows>,
}

/// Rows that may differ, and what their digests add up to.
struct Taken {
    sorter: Sorter,
    sum: DigestSum,
}

impl Taken {
    fn push(&mut self, entry: &EntryRef<'_>, digest: RowDigest) -> Result<()> {
        self.sum.add(digest);
        self.sorter.push(entry)
    }
}

impl Comparison {
    /// The rows of both sides that may differ, sorted, the previous first; `None` when the sides are equal.
    pub(super) fn differing_rows(&self) -> Result<Differing> {
        // The current side is the one whose rows that differ can be told by their time, as a rule.
        let previous_first = self.previous.side.rows_about() < self.current.side.rows_about() / MUCH_SMALLER;
        let (first, second) =
            if previous_first { (&self.previous, &self.current) } else { (&self.current, &self.previous) };
        let recent = || {
            (!previous_first)
                .then(|| RecentWriter::new(self.previous.side.as_of(), self.scratch.clone(), self.limits.recent))
        };
        let tallies = (first.meter.tally(), second.meter.tally());
        let differing = match self.match_held(first, second, recent())? {
            Some(differing) => differing,
            None => {
                first.meter.restore(tallies.0);
                second.meter.restore(tallies.1);
                self.match_partitioned(first, second, recent())?
            }
        };
        Ok(differing.map(|(first, second)| if previous_first { (first, second) } else { (second, first) }))
    }

    /// Holds the rows of `second` against a table of those of `first`; `None` when they don't fit, or it was mistaken.
    fn match_held(&self, first: &Input, second: &Input, recent: Option<RecentWriter>) -> Result<Option<Differing>> {
        let Some(Held { mut table, sum: first_sum, recent }) = self.hold(first, second, recent)? else {
            return Ok(None);
        };
        let mut taken = self.taken(second);
        let (mut digests, mut second_sum, mut too_late) = (Vec::new(), DigestSum::default(), false);
        second.for_each_batch(PARTS_AT_ONCE, |batch| {
            digests.clear();
            self.digester.rows(&batch, &mut digests);
            digests.iter().for_each(|digest| second_sum.add(*digest));
            let answers = table.look_up(&digests).iter().enumerate();
            for (row, answer) in answers.filter(|(_, answer)| **answer != Answer::Equal) {
                too_late |= *answer == Answer::SecondOfItsKey;
                taken.push(&batch.get(row), digests[row])?;
            }
            Ok(())
        })?;
        let table = Arc::new(table);
        if too_late {
            // A row was dropped as equal before another of its key came.
            second.meter.count(|tally| tally.duplicates = Duplicates::default());
            taken = self.taken(second);
            let table = Arc::clone(&table);
            self.sift(
                second,
                second_sum.seen(),
                move |key_hash| !table.has_equal(key_hash),
                |entry| taken.push(entry, self.digester.row(entry)),
            )?;
        }
        let first_taken = self.unmatched(first, &first_sum, table, recent)?;
        if first_sum.without(&first_taken.sum) != second_sum.without(&taken.sum) {
            return Ok(None);
        }
        let (first, second) = (first_taken.sorter.finish()?, taken.sorter.finish()?);
        let equal = first.is_empty() && second.is_empty();
        Ok(Some((!equal).then_some((first, second))))
    }

    /// A table of the rows of `first`, unless they don't fit. Young rows go to `recent`.
    fn hold(&self, first: &Input, second: &Input, mut recent: Option<RecentWriter>) -> Result<Option<Held>> {
        let rows = match &second.side {
            // What it counts is a better measure than the other's bytes, and a day changes little.
            Side::Snapshot(_) => second.side.rows_about() + second.side.rows_about() / 16,
            Side::Inventory(_) | Side::Nothing => first.side.rows_about(),
        };
        if rows.max(1).saturating_mul(HELD_BYTES_A_ROW) > self.limits.held_bytes as u64 {
            return Ok(None);
        }
        let mut table = DigestTable::new(rows, self.limits.held_bytes, self.limits.held_row_mask);
        let (mut digests, mut sum, mut fits) = (Vec::new(), DigestSum::default(), true);
        let read = first.for_each_batch(PARTS_AT_ONCE, |batch| {
            digests.clear();
            self.digester.rows(&batch, &mut digests);
            digests.iter().for_each(|digest| sum.add(*digest));
            fits = table.insert(&digests);
            recent.as_mut().map_or(Ok(()), |recent| recent.push(&batch))?;
            // To read on would be of no use.
            if fits { Ok(()) } else { Err(Error::Cancelled) }
        });
        if !fits {
            return Ok(None);
        }
        read?;
        let recent = recent.map(RecentWriter::finish).transpose()?.flatten();
        Ok(Some(Held { table, sum, recent }))
    }

    /// The rows of the side that is held which found no equal.
    fn unmatched(
        &self,
        first: &Input,
        sum: &DigestSum,
        table: Arc<DigestTable>,
        recent: Option<RecentRows>,
    ) -> Result<Taken> {
        let mut taken = self.taken(first);
        let differing = table.differing_rows();
        if differing == 0 {
            return Ok(taken);
        }
        let mut take = |entry: &EntryRef<'_>| taken.push(entry, self.digester.row(entry));
        let differs = |entry: &EntryRef<'_>| !table.has_equal(self.digester.key(entry.key));
        if let Some(recent) = recent
            && recent.take(differing, differs, &mut take)?
        {
            return Ok(taken);
        }
        // Large enough that few others pass, small enough to stay in the processor's cache where few differ.
        let sieve = Sieve::new(64 * differing, self.limits.sieve_bytes.min(Sieve::MOST_BYTES_OF_HALVES));
        table.differing().for_each(|half| sieve.insert(u64::from(half)));
        // The sieve spares most rows the table, but has no say: a row whose equal was dropped must not pass.
        let may_differ = move |key_hash| sieve.passes(key_hash) && !table.has_equal(key_hash);
        self.sift(first, sum.seen(), may_differ, take)?;
        Ok(taken)
    }

    /// Reads a side again and hands the rows that may differ to `take`.
    pub(super) fn sift(
        &self,
        input: &Input,
        expected: Seen,
        may_differ: impl Fn(u64) -> bool + Send + Sync + 'static,
        mut take: impl FnMut(&EntryRef<'_>) -> Result<()>,
    ) -> Result<()> {
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
        again.for_each_wanted(PARTS_AT_ONCE, &wanted, |batch| batch.iter().try_for_each(|entry| take(&entry)))?;
        if *lock(&seen) == expected { Ok(()) } else { Err(input.read_otherwise()) }
    }

    pub(super) fn sorter(&self, input: &Input) -> Sorter {
        Sorter::new(self.scratch.clone(), self.limits.sort, input.meter.clone(), self.cancel.clone())
    }

    fn taken(&self, input: &Input) -> Taken {
        Taken { sorter: self.sorter(input), sum: DigestSum::default() }
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
