//! Records in order, however many there are.
//!
//! An external merge sort: [`RUN_BYTES`] of records are sorted in memory and
//! written as a run; once [`FAN_IN`] runs of one size are there, they become one
//! of the next. Temporary files have no name, so they are gone with their handles.
//!
//! Memory: [`RUN_BYTES`] and eight bytes a record in it, or, while runs are merged,
//! [`BUFFER_BYTES`] and a record of each. There are fewer than [`FAN_IN`] runs of each size,
//! and a size is [`FAN_IN`] times the one below: 128 for 4 GiB of records, 192 for 128 GiB.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{BufReader, BufWriter, ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};

use stocktake_core::{Error, Result};

use super::record::{Record, compare};

const RUN_BYTES: usize = 32 << 20;
/// A row, which is a mebibyte at most, and the lengths of its fields.
const MAX_RECORD_BYTES: usize = (1 << 20) + 64;
const FAN_IN: usize = 64;
const BUFFER_BYTES: usize = 64 << 10;

/// Takes records in any order.
pub(super) struct Sorter {
    folder: PathBuf,
    run_bytes: usize,
    arena: Vec<u8>,
    places: Vec<(u32, u32)>,
    /// Runs by size: those at a place hold [`FAN_IN`] times as much as those before.
    runs: Vec<Vec<File>>,
    pushed: u64,
}

impl Sorter {
    /// Runs go into `folder`.
    pub(super) fn new(folder: &Path) -> Self {
        let folder = folder.to_owned();
        Self { folder, run_bytes: RUN_BYTES, arena: Vec::new(), places: Vec::new(), runs: Vec::new(), pushed: 0 }
    }

    /// How many records were pushed.
    pub(super) fn pushed(&self) -> u64 {
        self.pushed
    }

    /// Takes a record.
    ///
    /// # Errors
    /// [`Error::LocalStorage`].
    pub(super) fn push(&mut self, record: &Record) -> Result<()> {
        if self.arena.capacity() == 0 {
            // Grown step by step, it might become twice as large.
            self.arena.reserve_exact(self.run_bytes + MAX_RECORD_BYTES);
        }
        let start = self.arena.len();
        record.encode(&mut self.arena);
        // A run is 32 MiB.
        self.places.push((start as u32, (self.arena.len() - start) as u32));
        self.pushed += 1;
        if self.arena.len() >= self.run_bytes { self.write_run() } else { Ok(()) }
    }

    fn write_run(&mut self) -> Result<()> {
        if self.places.is_empty() {
            return Ok(());
        }
        let (arena, places) = (&self.arena, &mut self.places);
        let record = |(start, length): (u32, u32)| &arena[start as usize..start as usize + length as usize];
        places.sort_unstable_by(|a, b| compare(record(*a), record(*b)));
        let run = write_file(&self.folder, places.iter().map(|place| Ok(record(*place).to_vec())))?;
        self.arena.clear();
        self.places.clear();
        self.add(run, 0)
    }

    /// Adds a run, and makes one of many.
    fn add(&mut self, run: File, size: usize) -> Result<()> {
        if self.runs.len() == size {
            self.runs.push(Vec::new());
        }
        self.runs[size].push(run);
        if self.runs[size].len() < FAN_IN {
            return Ok(());
        }
        let runs = std::mem::take(&mut self.runs[size]);
        let merged = write_file(&self.folder, Merge::of(&runs, &self.folder)?)?;
        self.add(merged, size + 1)
    }

    /// All records in order, as [`compare`] has it. May be called again, also after more were pushed.
    ///
    /// # Errors
    /// [`Error::LocalStorage`].
    pub(super) fn sorted(&mut self) -> Result<Merge> {
        self.write_run()?;
        (self.arena, self.places) = (Vec::new(), Vec::new());
        Merge::of(self.runs.iter().flatten(), &self.folder)
    }
}

/// Writes records, each with its length before it, and stands at the first.
fn write_file(folder: &Path, records: impl Iterator<Item = Result<Vec<u8>>>) -> Result<File> {
    let failed = || Error::local("write a temporary file in", folder);
    let file = tempfile::tempfile_in(folder).map_err(Error::local("create a temporary file in", folder))?;
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, file);
    for record in records {
        let record = record?;
        let length = (record.len() as u32).to_le_bytes();
        out.write_all(&length).and_then(|()| out.write_all(&record)).map_err(failed())?;
    }
    let mut file = out.into_inner().map_err(|error| failed()(error.into_error()))?;
    file.rewind().map_err(failed())?;
    Ok(file)
}

/// Reads the record that comes next, with its length before it; `None` at the end of the file.
pub(super) fn read_record(file: &mut impl Read) -> std::io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    match file.read_exact(&mut length) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let mut record = vec![0; u32::from_le_bytes(length) as usize];
    file.read_exact(&mut record)?;
    Ok(Some(record))
}

/// Sorted runs as one.
pub(super) struct Merge {
    folder: PathBuf,
    runs: Vec<BufReader<File>>,
    heads: BinaryHeap<Reverse<Head>>,
}

impl Merge {
    fn of<'a>(files: impl IntoIterator<Item = &'a File>, folder: &Path) -> Result<Self> {
        let failed = || Error::local("read a temporary file in", folder);
        let mut merge = Self { folder: folder.to_owned(), runs: Vec::new(), heads: BinaryHeap::new() };
        for file in files {
            // A handle that is cloned shares its place with the first, which is read by nobody else meanwhile.
            let mut file = file.try_clone().map_err(failed())?;
            file.rewind().map_err(failed())?;
            merge.runs.push(BufReader::with_capacity(BUFFER_BYTES, file));
            merge.refill(merge.runs.len() - 1)?;
        }
        Ok(merge)
    }

    fn refill(&mut self, run: usize) -> Result<()> {
        let failed = Error::local("read a temporary file in", &*self.folder);
        if let Some(record) = read_record(&mut self.runs[run]).map_err(failed)? {
            self.heads.push(Reverse(Head { record, run }));
        }
        Ok(())
    }
}

impl Iterator for Merge {
    type Item = Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        let Reverse(Head { record, run }) = self.heads.pop()?;
        Some(self.refill(run).map(|()| record))
    }
}

struct Head {
    record: Vec<u8>,
    run: usize,
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(&self.record, &other.record)
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::strategy::ValueTree;

    use super::super::record::tests::record;
    use super::*;

    fn encoded(record: &Record) -> Vec<u8> {
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        bytes
    }

    proptest! {
        #[test]
        fn records_come_in_order_also_when_more_are_pushed(
            records in proptest::collection::vec(record(), 0..120),
            first in 0..120_usize,
            run_bytes in 1..2_000_usize,
        ) {
            let folder = std::env::temp_dir();
            let mut sorter = Sorter { run_bytes, ..Sorter::new(&folder) };
            let first = first.min(records.len());
            for taken in [&records[..first], &records[first..]] {
                taken.iter().try_for_each(|record| sorter.push(record)).unwrap();
                let mut expected: Vec<_> = records[..sorter.pushed() as usize].iter().map(encoded).collect();
                expected.sort_by(|a, b| compare(a, b));
                let sorted: Vec<_> = sorter.sorted().unwrap().map(Result::unwrap).collect();
                prop_assert_eq!(sorted, expected);
            }
        }
    }

    #[test]
    fn many_runs_become_one_of_the_next_size() {
        let mut sorter = Sorter { run_bytes: 1, ..Sorter::new(&std::env::temp_dir()) };
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        for _ in 0..=FAN_IN * 2 {
            sorter.push(&record().new_tree(&mut runner).unwrap().current()).unwrap();
        }
        assert_eq!(sorter.runs.iter().map(Vec::len).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(sorter.sorted().unwrap().count(), FAN_IN * 2 + 1);
    }
}
