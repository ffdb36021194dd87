//! Rows of the current side that are kept at hand because they probably differ.
//!
//! What changed between two days was, as a rule, modified between them. Rows that
//! young are put aside while the side is read for its digests, so that it need not
//! be read again for the rows that differ. Times decide nothing: rows that differ
//! are counted, and unless every one of them was put aside, the side is read again.

use std::time::Duration;

use stocktake_core::{EntryBatch, EntryRef, Result, Timestamp};

use super::codec::{Taker, put_key, put_tail};
use super::scratch::Scratch;
use super::spool::{Spool, SpoolLimits, SpoolWriter};

/// How much older than the previous state a new row may look: a multipart upload bears the time of its start.
const MARGIN: Duration = Duration::from_secs(24 * 60 * 60);

/// How much is put aside.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecentLimits {
    pub(super) spool: SpoolLimits,
    /// Where it would be more than this many bytes, nothing is.
    pub(super) most_bytes: u64,
    /// Nor where, after this many rows, more than [a share](MOST_SHARE) of all are young: times tell nothing then.
    pub(super) rows_to_judge: u64,
}

/// One row in so many may be young.
const MOST_SHARE: u64 = 4;

/// Puts young rows aside.
#[derive(Debug)]
pub(super) struct RecentWriter {
    since: i64,
    limits: RecentLimits,
    seen: u64,
    // `None` once there were too many.
    rows: Option<SpoolWriter>,
}

impl RecentWriter {
    /// For rows that differ from a state as of `previous`.
    pub(super) fn new(previous: Timestamp, scratch: Scratch, limits: RecentLimits) -> Self {
        let since = previous.as_millis().saturating_sub(MARGIN.as_millis() as i64);
        Self { since, limits, seen: 0, rows: Some(SpoolWriter::new(scratch, limits.spool)) }
    }

    /// Puts aside what is young among the rows of a batch.
    pub(super) fn push(&mut self, batch: &EntryBatch) -> Result<()> {
        let Some(rows) = &mut self.rows else { return Ok(()) };
        let times = batch.columns().last_modified.iter().enumerate();
        for (row, _) in times.filter(|(_, time)| **time >= self.since) {
            let entry = batch.get(row);
            // Keys come in no order, so none leans on the one before.
            put_key(rows.frame(), &[], entry.key);
            put_tail(rows.frame(), &entry);
            rows.row_done()?;
        }
        self.seen += batch.len() as u64;
        let usual = self.seen < self.limits.rows_to_judge || rows.rows() <= self.seen / MOST_SHARE;
        if rows.bytes() > self.limits.most_bytes || !usual {
            self.rows = None;
        }
        Ok(())
    }

    /// What was put aside; `None` when there was too much of it.
    pub(super) fn finish(self) -> Result<Option<RecentRows>> {
        self.rows.map(|rows| Ok(RecentRows(rows.finish()?))).transpose()
    }
}

/// Rows that were put aside, in no order.
#[derive(Debug)]
pub(super) struct RecentRows(Spool);

impl RecentRows {
    /// Hands the rows that differ to `take`, and says so; `false`, and none, unless all `rows` of them were put aside.
    ///
    /// # Errors
    /// [`LocalStorage`](stocktake_core::Error::LocalStorage), and what `take` returns.
    pub(super) fn take(
        &self,
        rows: u64,
        differs: impl Fn(&EntryRef<'_>) -> bool,
        mut take: impl FnMut(&EntryRef<'_>) -> Result<()>,
    ) -> Result<bool> {
        let mut verdicts = Vec::new();
        self.for_each(|entry| {
            verdicts.push(differs(entry));
            Ok(())
        })?;
        if verdicts.iter().filter(|differs| **differs).count() as u64 != rows {
            return Ok(false);
        }
        let mut verdicts = verdicts.into_iter();
        self.for_each(|entry| if verdicts.next() == Some(true) { take(entry) } else { Ok(()) })?;
        Ok(true)
    }

    fn for_each(&self, mut each: impl FnMut(&EntryRef<'_>) -> Result<()>) -> Result<()> {
        let (mut offset, mut frame, mut key) = (0, Vec::new(), Vec::new());
        while self.0.read_frame(&mut offset, &mut frame)?.is_some() {
            let mut taker = Taker(&frame);
            while !taker.0.is_empty() {
                key.clear();
                let entry = taker.key(&mut key).and_then(|()| taker.tail(&key));
                each(&entry.ok_or_else(|| self.0.undecodable())?)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use stocktake_core::Entry;

    use super::*;
    use crate::compare::testing::meeting_entries;

    fn kept(entries: &[Entry], previous: Timestamp, most_bytes: u64) -> Option<Vec<Entry>> {
        let spool = SpoolLimits { memory_bytes: 100, frame_bytes: 60, frame_rows: 100 };
        let limits = RecentLimits { spool, most_bytes, rows_to_judge: u64::MAX };
        let mut writer = RecentWriter::new(previous, Scratch::new(None), limits);
        entries.chunks(7).for_each(|some| writer.push(&EntryBatch::try_from(some).unwrap()).unwrap());
        let mut rows = Vec::new();
        let recent = writer.finish().unwrap()?;
        let push = |entry: &EntryRef<'_>| {
            rows.push(entry.to_entry());
            Ok(())
        };
        recent.for_each(push).unwrap();
        Some(rows)
    }

    proptest! {
        #[test]
        fn young_rows_come_back_as_they_were(entries in meeting_entries(60), previous in 0..20_i64) {
            let previous = Timestamp::from_millis(previous);
            let since = previous.as_millis() - MARGIN.as_millis() as i64;
            let young = |entry: &&Entry| entry.last_modified.as_millis() >= since;
            let expected: Vec<_> = entries.iter().filter(young).cloned().collect();
            prop_assert_eq!(kept(&entries, previous, u64::MAX).unwrap(), expected);
        }
    }

    #[test]
    fn of_too_many_young_rows_none_is_kept() {
        let entries: Vec<_> = (0..100).map(|n| Entry::new(format!("{n}").as_str(), n, Timestamp::default())).collect();
        assert!(kept(&entries, Timestamp::default(), 500).is_none());
        assert_eq!(kept(&entries, Timestamp::default(), 5000).unwrap(), entries);
    }

    #[test]
    fn where_most_rows_are_young_none_is_kept() {
        let spool = SpoolLimits { memory_bytes: 1000, frame_bytes: 60, frame_rows: 100 };
        let limits = RecentLimits { spool, most_bytes: u64::MAX, rows_to_judge: 40 };
        let kept_of = |young: usize| {
            let mut writer = RecentWriter::new(Timestamp::default(), Scratch::new(None), limits);
            for n in 0..100 {
                let days = if n % 10 < young { 0 } else { -2 };
                let entry = Entry::new(format!("{n}").as_str(), 1, Timestamp::from_millis(days * 86_400_000));
                writer.push(&EntryBatch::try_from(&[entry][..]).unwrap()).unwrap();
            }
            writer.finish().unwrap().is_some()
        };
        assert!(kept_of(2));
        assert!(!kept_of(3));
    }
}
