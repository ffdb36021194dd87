//! Sorting rows that do not fit in memory.
//!
//! Rows gather in an arena; a full one is sorted and written out as a run. An
//! arena that came in order goes on the end of the run before it, so ordered input
//! becomes one run. Runs are merged, a bounded number at a time.

use stocktake_core::{EntryRef, Error, Result};
use tokio_util::sync::CancellationToken;

use super::arena::Arena;
use super::codec::put_tail;
use super::cursor::{Cursor, Stop};
use super::kway::{KWay, Waiting};
use super::meter::SideMeter;
use super::run::{Run, RunCursor, RunWriter};
use super::scratch::Scratch;
use super::spool::{SpoolLimits, SpoolWriter};

/// Sizes of a sort.
#[derive(Clone, Copy, Debug)]
pub(super) struct SortLimits {
    /// Bytes of the arena and its slots. The last run may take as much again, written.
    pub(super) memory_bytes: usize,
    /// Runs merged at once; at least 2.
    pub(super) fan_in: usize,
    /// Bytes of a frame of a run; a merge holds one of each run.
    pub(super) frame_bytes: usize,
}

/// Takes rows in any order.
#[derive(Debug)]
pub(super) struct Sorter {
    scratch: Scratch,
    limits: SortLimits,
    meter: SideMeter,
    cancel: CancellationToken,
    arena: Arena,
    // The run that is being written, open as long as arenas continue it.
    tail_run: Option<RunWriter>,
    // Runs of level n are merges of `fan_in` runs of level n - 1.
    levels: Vec<Vec<Run>>,
}

impl Sorter {
    pub(super) fn new(scratch: Scratch, limits: SortLimits, meter: SideMeter, cancel: CancellationToken) -> Self {
        Self { scratch, limits, meter, cancel, arena: Arena::default(), tail_run: None, levels: Vec::new() }
    }

    /// Takes a row.
    ///
    /// # Errors
    /// [`LocalStorage`](Error::LocalStorage), [`Cancelled`](Error::Cancelled).
    pub(super) fn push(&mut self, entry: &EntryRef<'_>) -> Result<()> {
        self.arena.push(entry);
        if self.arena.memory_bytes() >= self.limits.memory_bytes {
            self.write_arena()?;
        }
        Ok(())
    }

    /// The rows in order, one of each key.
    pub(super) fn finish(mut self) -> Result<Sorted> {
        self.write_arena()?;
        self.end_run()?;
        let mut runs: Vec<Run> = std::mem::take(&mut self.levels).into_iter().flatten().collect();
        while runs.len() > self.limits.fan_in {
            let rest = runs.split_off(self.limits.fan_in);
            let merged = self.merge(runs)?;
            runs = rest;
            runs.push(merged);
        }
        Ok(Sorted { runs, fan_in: self.limits.fan_in, meter: self.meter })
    }

    /// Sorts the arena and writes it, on the end of the open run if it continues that.
    fn write_arena(&mut self) -> Result<()> {
        if self.arena.is_empty() {
            return Ok(());
        }
        self.stop_if_cancelled()?;
        self.arena.sort();
        let continues = self.tail_run.as_ref().is_some_and(|run| run.last_key() < self.arena.first_key());
        if !continues {
            self.end_run()?;
        }
        // The first run may stay in memory: it is the last one as well when all rows fit.
        let mut run = match self.tail_run.take() {
            Some(run) => run,
            None => self.new_run(if self.levels.is_empty() { self.limits.memory_bytes } else { 0 }),
        };
        self.arena.write(&mut run, &self.meter)?;
        self.tail_run = Some(run);
        self.arena.clear();
        Ok(())
    }

    fn end_run(&mut self) -> Result<()> {
        let Some(run) = self.tail_run.take() else { return Ok(()) };
        self.keep(run.finish()?)
    }

    /// Keeps a run; merges runs of one level once there are `fan_in`, so open files stay few.
    fn keep(&mut self, run: Run) -> Result<()> {
        let mut run = run;
        for level in 0.. {
            if level == self.levels.len() {
                self.levels.push(Vec::new());
            }
            self.levels[level].push(run);
            if self.levels[level].len() < self.limits.fan_in {
                break;
            }
            let full = std::mem::take(&mut self.levels[level]);
            run = self.merge(full)?;
        }
        Ok(())
    }

    fn merge(&self, runs: Vec<Run>) -> Result<Run> {
        let mut merged = open_runs(runs, self.limits.fan_in, self.meter.clone()).map_err(never_disorder)?;
        let mut writer = self.new_run(0);
        let mut tail = Vec::new();
        while let Some(key) = merged.key() {
            if writer.at_frame_start() {
                self.stop_if_cancelled()?;
            }
            tail.clear();
            put_tail(&mut tail, &merged.entry()?);
            writer.push(key, &tail)?;
            merged.advance().map_err(never_disorder)?;
        }
        writer.finish()
    }

    /// Begins a run that keeps up to `memory_bytes` in memory.
    fn new_run(&self, memory_bytes: usize) -> RunWriter {
        let frame_bytes = self.limits.frame_bytes;
        let limits = SpoolLimits { memory_bytes, frame_bytes, frame_rows: u32::MAX };
        RunWriter::new(SpoolWriter::new(self.scratch.clone(), limits))
    }

    fn stop_if_cancelled(&self) -> Result<()> {
        if self.cancel.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }
}

/// Sorted rows, which can be walked any number of times.
#[derive(Debug)]
pub(super) struct Sorted {
    runs: Vec<Run>,
    fan_in: usize,
    meter: SideMeter,
}

impl Sorted {
    /// Whether there is no row.
    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// A cursor at the first row.
    pub(super) fn cursor(&self) -> Result<KWay<RunCursor>, Stop> {
        open_runs(self.runs.clone(), self.fan_in, self.meter.clone())
    }
}

fn open_runs(runs: Vec<Run>, fan_in: usize, meter: SideMeter) -> Result<KWay<RunCursor>, Stop> {
    let open = |run: Run| Waiting { first_key: Vec::new(), open: Box::new(|| Ok(RunCursor::open(run)?)) };
    KWay::open(runs.into_iter().map(open).collect(), fan_in, meter)
}

/// Runs ascend, and never more than `fan_in` are merged.
fn never_disorder(stop: Stop) -> Error {
    match stop {
        Stop::Failed(error) => error,
        Stop::Disorder => unreachable!("sorted runs ascend"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use stocktake_core::Entry;

    use super::*;
    use crate::compare::cursor::precedence;
    use crate::compare::testing::meeting_entries;

    fn sorted(entries: &[Entry], memory_bytes: usize, fan_in: usize) -> (Vec<Entry>, u64) {
        let limits = SortLimits { memory_bytes, fan_in, frame_bytes: 60 };
        let meter = SideMeter::default();
        let mut sorter = Sorter::new(Scratch::new(None), limits, meter.clone(), CancellationToken::new());
        entries.iter().for_each(|entry| sorter.push(&entry.as_ref()).unwrap());
        let sorted = sorter.finish().unwrap();
        let mut cursor = sorted.cursor().unwrap_or_else(|_| panic!("runs ascend"));
        let mut rows = Vec::new();
        while cursor.key().is_some() {
            rows.push(cursor.entry().unwrap().to_entry());
            cursor.advance().unwrap_or_else(|_| panic!("runs ascend"));
        }
        (rows, meter.tally().duplicates.rows.objects)
    }

    proptest! {
        #[test]
        fn rows_come_out_in_order_however_little_memory_there_is(entries in meeting_entries(120)) {
            let mut expected: BTreeMap<_, Entry> = BTreeMap::new();
            for entry in &entries {
                let kept = expected.entry(entry.key.clone()).or_insert_with(|| entry.clone());
                if precedence(&entry.as_ref(), &kept.as_ref()).is_gt() {
                    *kept = entry.clone();
                }
            }
            let expected: Vec<_> = expected.into_values().collect();
            let duplicates = (entries.len() - expected.len()) as u64;
            for (memory_bytes, fan_in) in [(100, 2), (300, 3), (400, 40), (1 << 20, 2)] {
                let (rows, counted) = sorted(&entries, memory_bytes, fan_in);
                prop_assert_eq!(&rows, &expected);
                prop_assert_eq!(counted, duplicates);
            }
        }
    }

    #[test]
    fn rows_in_order_become_one_run_however_many_arenas_they_fill() {
        let limits = SortLimits { memory_bytes: 500, fan_in: 2, frame_bytes: 60 };
        let mut sorter = Sorter::new(Scratch::new(None), limits, SideMeter::default(), CancellationToken::new());
        for n in 0..500 {
            let key = format!("{n:05}");
            sorter.push(&Entry::new(key.as_str(), n, stocktake_core::Timestamp::default()).as_ref()).unwrap();
        }
        assert_eq!(sorter.finish().unwrap().runs.len(), 1);
    }
}
