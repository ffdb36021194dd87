//! Sorting rows that do not fit in memory.
//!
//! Rows gather in an arena with a small slot each; a full arena is sorted and
//! written out as a run. Slots carry eight bytes of the key, taken from behind
//! what all keys of the arena have in common, so that few comparisons look at a
//! key. An arena that came in order goes on the end of the run before it, so
//! ordered input becomes one run. Runs are merged, a bounded number at a time.

use std::cmp::Ordering;
use std::sync::Arc;

use stocktake_core::{EntryRef, Result};
use tokio_util::sync::CancellationToken;

use super::codec::{Taker, put_bytes, put_key, put_tail, shared_prefix};
use super::cursor::{CodedCursor, Cursor, Stop, precedence};
use super::kway::{KWay, Waiting};
use super::meter::SideMeter;
use super::offset_code::{OffsetCode, compare};
use super::scratch::Scratch;
use super::spool::{Spool, SpoolLimits, SpoolWriter};

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
    /// [`LocalStorage`](stocktake_core::Error::LocalStorage), [`Cancelled`](stocktake_core::Error::Cancelled).
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
        if self.arena.slots.is_empty() {
            return Ok(());
        }
        self.stop_if_cancelled()?;
        self.arena.sort();
        let continues = self.tail_run.as_ref().is_some_and(|run| run.last_key.as_slice() < self.arena.first_key());
        if !continues {
            self.end_run()?;
        }
        // The first run may stay in memory: it is the last one as well when all rows fit.
        let mut run = match self.tail_run.take() {
            Some(run) => run,
            None => RunWriter::new(self.scratch.clone(), self.limits, if self.levels.is_empty() { 1 } else { 0 }),
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
        let mut writer = RunWriter::new(self.scratch.clone(), self.limits, 0);
        let mut tail = Vec::new();
        while let Some(key) = merged.key() {
            if writer.spool.at_frame_start() {
                self.stop_if_cancelled()?;
            }
            tail.clear();
            put_tail(&mut tail, &merged.entry()?);
            writer.push(key, &tail)?;
            merged.advance().map_err(never_disorder)?;
        }
        writer.finish()
    }

    fn stop_if_cancelled(&self) -> Result<()> {
        if self.cancel.is_cancelled() { Err(stocktake_core::Error::Cancelled) } else { Ok(()) }
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

type Run = Arc<Spool>;

fn open_runs(runs: Vec<Run>, fan_in: usize, meter: SideMeter) -> Result<KWay<RunCursor>, Stop> {
    let open = |run: Run| Waiting { first_key: Vec::new(), open: Box::new(|| Ok(RunCursor::open(run)?)) };
    KWay::open(runs.into_iter().map(open).collect(), fan_in, meter)
}

/// Runs ascend, and never more than `fan_in` are merged.
fn never_disorder(stop: Stop) -> stocktake_core::Error {
    match stop {
        Stop::Failed(error) => error,
        Stop::Disorder => unreachable!("sorted runs ascend"),
    }
}

/// Rows in memory, in the order they came, and a slot for each.
#[derive(Debug, Default)]
struct Arena {
    bytes: Vec<u8>,
    slots: Vec<Slot>,
    // How many bytes all keys have in common at their beginning.
    shared: usize,
    ascending: bool,
}

/// Where a row is: its key at `offset`, its tail right behind.
#[derive(Clone, Copy, Debug)]
struct Slot {
    // Eight bytes of the key from behind what all keys share, big-endian, so that they compare like the key.
    prefix: u64,
    offset: u32,
    key_length: u32,
    tail_length: u32,
}

impl Arena {
    fn push(&mut self, entry: &EntryRef<'_>) {
        let offset = self.bytes.len();
        self.bytes.extend_from_slice(entry.key);
        put_tail(&mut self.bytes, entry);
        let short = |length: usize| u32::try_from(length).expect("an arena is written long before 4 GiB");
        let tail_length = short(self.bytes.len() - offset - entry.key.len());
        let slot = Slot { prefix: 0, offset: short(offset), key_length: short(entry.key.len()), tail_length };
        match (self.slots.first(), self.slots.last()) {
            (Some(first), Some(last)) => {
                self.shared = shared_prefix(&self.key(first)[..self.shared], entry.key);
                self.ascending &= self.key(last) < entry.key;
            }
            _ => (self.shared, self.ascending) = (entry.key.len(), true),
        }
        self.slots.push(slot);
    }

    fn memory_bytes(&self) -> usize {
        self.bytes.len() + self.slots.len() * size_of::<Slot>()
    }

    fn key(&self, slot: &Slot) -> &[u8] {
        &self.bytes[slot.offset as usize..][..slot.key_length as usize]
    }

    fn tail(&self, slot: &Slot) -> &[u8] {
        &self.bytes[slot.offset as usize + slot.key_length as usize..][..slot.tail_length as usize]
    }

    fn first_key(&self) -> &[u8] {
        self.slots.first().map_or(&[], |slot| self.key(slot))
    }

    fn sort(&mut self) {
        if self.ascending {
            return;
        }
        let mut slots = std::mem::take(&mut self.slots);
        for slot in &mut slots {
            slot.prefix = eight_bytes(&self.key(slot)[self.shared..]);
        }
        slots.sort_unstable_by(|a, b| a.prefix.cmp(&b.prefix).then_with(|| self.key(a).cmp(self.key(b))));
        self.slots = slots;
    }

    /// Writes the sorted rows; of rows of one key, the one kept.
    fn write(&self, run: &mut RunWriter, meter: &SideMeter) -> Result<()> {
        for same in self.slots.chunk_by(|a, b| self.key(a) == self.key(b)) {
            let mut kept = &same[0];
            for other in &same[1..] {
                let (row, other_row) = (self.entry(kept), self.entry(other));
                let keep = precedence(&row, &other_row) != Ordering::Less;
                meter.duplicate(if keep { other_row.size } else { row.size });
                kept = if keep { kept } else { other };
            }
            run.push(self.key(kept), self.tail(kept))?;
        }
        Ok(())
    }

    fn entry(&self, slot: &Slot) -> EntryRef<'_> {
        Taker(self.tail(slot)).tail(self.key(slot)).expect("the arena holds what was pushed")
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.slots.clear();
    }
}

fn eight_bytes(key: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let length = key.len().min(8);
    bytes[..length].copy_from_slice(&key[..length]);
    u64::from_be_bytes(bytes)
}

/// Writes one run: keys that lean on each other, tails with their length.
#[derive(Debug)]
struct RunWriter {
    spool: SpoolWriter,
    last_key: Vec<u8>,
}

impl RunWriter {
    /// Keeps up to `arenas` times an arena's bytes in memory, the rest in a file.
    fn new(scratch: Scratch, limits: SortLimits, arenas: usize) -> Self {
        let spool = SpoolLimits {
            memory_bytes: arenas * limits.memory_bytes,
            frame_bytes: limits.frame_bytes,
            frame_rows: u32::MAX,
        };
        Self { spool: SpoolWriter::new(scratch, spool), last_key: Vec::new() }
    }

    fn push(&mut self, key: &[u8], tail: &[u8]) -> Result<()> {
        if self.spool.at_frame_start() {
            self.last_key.clear();
        }
        let frame = self.spool.frame();
        put_key(frame, &self.last_key, key);
        put_bytes(frame, tail);
        self.last_key.clear();
        self.last_key.extend_from_slice(key);
        self.spool.row_done()
    }

    fn finish(self) -> Result<Run> {
        Ok(Arc::new(self.spool.finish()?))
    }
}

/// A cursor over one run.
#[derive(Debug)]
pub(super) struct RunCursor {
    run: Run,
    offset: u64,
    frame: Vec<u8>,
    at: usize,
    key: Vec<u8>,
    previous_key: Vec<u8>,
    code: OffsetCode,
    tail: std::ops::Range<usize>,
    ended: bool,
}

impl RunCursor {
    fn open(run: Run) -> Result<Self> {
        let (frame, key, previous_key) = (Vec::new(), Vec::new(), Vec::new());
        let code = OffsetCode::EQUAL;
        let mut cursor = Self { run, offset: 0, frame, at: 0, key, previous_key, code, tail: 0..0, ended: false };
        cursor.step()?;
        cursor.code = OffsetCode::first(&cursor.key);
        Ok(cursor)
    }

    fn step(&mut self) -> Result<()> {
        self.previous_key.clone_from(&self.key);
        if self.at == self.frame.len() {
            self.at = 0;
            self.key.clear();
            if self.run.read_frame(&mut self.offset, &mut self.frame)?.is_none() {
                self.ended = true;
                return Ok(());
            }
        }
        let mut taker = Taker(&self.frame[self.at..]);
        let tail = taker.key(&mut self.key).and_then(|()| taker.bytes());
        let length = tail.ok_or_else(|| self.run.undecodable())?.len();
        self.at = self.frame.len() - taker.0.len();
        self.tail = self.at - length..self.at;
        self.code = compare(&self.previous_key, &self.key).1;
        Ok(())
    }
}

impl Cursor for RunCursor {
    fn key(&self) -> Option<&[u8]> {
        (!self.ended).then_some(self.key.as_slice())
    }

    fn entry(&self) -> Result<EntryRef<'_>> {
        Taker(&self.frame[self.tail.clone()]).tail(&self.key).ok_or_else(|| self.run.undecodable())
    }

    fn advance(&mut self) -> Result<(), Stop> {
        Ok(self.step()?)
    }
}

impl CodedCursor for RunCursor {
    fn code(&self) -> OffsetCode {
        self.code
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use stocktake_core::Entry;

    use super::*;
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
        (rows, meter.tally().duplicates.objects)
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
