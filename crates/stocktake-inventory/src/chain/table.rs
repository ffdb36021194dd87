//! What came of every key that has events: a file in key order, found by key.
//!
//! Rows of a base come in any order, and nearly all have no event. A filter in
//! memory tells most of those; for the others, the block is read in which the key
//! would be. A base in key order, as most are, asks for each block once.
//!
//! Memory: a filter of twelve bits a record and at most [`MAX_FILTER_BYTES`], the
//! first keys of at most [`MAX_BLOCKS`] blocks, and one block for each reader. Where
//! there are more records, the filter lets more keys pass, and blocks are larger.

use std::fs::File;
use std::hash::{DefaultHasher, Hasher};
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use stocktake_core::{Error, Result};
use tempfile::{NamedTempFile, TempPath};

use super::record::{Kind, Record, key_of};
use super::sort::read_record;

const MAX_FILTER_BYTES: usize = 32 << 20;
const MAX_BLOCKS: usize = 16 << 10;
const BLOCK_BYTES: u64 = 16 << 10;
const BUFFER_BYTES: usize = 64 << 10;

/// Records that say what came of keys, in key order.
#[derive(Debug)]
pub(super) struct Table {
    path: TempPath,
    filter: Filter,
    /// The first key of each block, and where the block begins.
    blocks: Vec<(Box<[u8]>, u64)>,
    bytes: u64,
    open: u64,
}

/// Writes a table.
pub(super) struct TableWriter {
    out: BufWriter<NamedTempFile>,
    filter: Filter,
    blocks: Vec<(Box<[u8]>, u64)>,
    block_bytes: u64,
    bytes: u64,
    open: u64,
    buffer: Vec<u8>,
}

impl TableWriter {
    /// Begins a table of at most so many records, in `folder`.
    pub(super) fn create(folder: &Path, records: u64) -> Result<Self> {
        let file = tempfile::Builder::new().prefix("stocktake-events-").tempfile_in(folder);
        let file = file.map_err(Error::local("create a temporary file in", folder))?;
        Ok(Self {
            out: BufWriter::with_capacity(BUFFER_BYTES, file),
            filter: Filter::new(records),
            blocks: Vec::new(),
            block_bytes: BLOCK_BYTES,
            bytes: 0,
            open: 0,
            buffer: Vec::new(),
        })
    }

    /// Appends what came of a key, which is above all before it.
    pub(super) fn push(&mut self, record: &Record) -> Result<()> {
        let begins_block = self.blocks.last().is_none_or(|(_, start)| self.bytes - start >= self.block_bytes);
        if begins_block {
            self.blocks.push((record.key.as_slice().into(), self.bytes));
            if self.blocks.len() > MAX_BLOCKS {
                let mut keeps = false;
                self.blocks.retain(|_| {
                    keeps = !keeps;
                    keeps
                });
                self.block_bytes *= 2;
            }
        }
        self.filter.insert(&record.key);
        self.open += u64::from(record.kind == Kind::Open);
        self.buffer.clear();
        record.encode(&mut self.buffer);
        let length = (self.buffer.len() as u32).to_le_bytes();
        let written = self.out.write_all(&length).and_then(|()| self.out.write_all(&self.buffer));
        written.map_err(|error| Error::local("write", self.out.get_ref().path())(error))?;
        self.bytes += 4 + self.buffer.len() as u64;
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<Table> {
        self.out.flush().map_err(|error| Error::local("write", self.out.get_ref().path())(error))?;
        let file =
            self.out.into_inner().map_err(|error| Error::local("write", "a temporary file")(error.into_error()))?;
        Ok(Table {
            path: file.into_temp_path(),
            filter: self.filter,
            blocks: self.blocks,
            bytes: self.bytes,
            open: self.open,
        })
    }
}

impl Table {
    /// How many keys are [`Kind::Open`].
    pub(super) fn open_keys(&self) -> u64 {
        self.open
    }

    fn file(&self) -> Result<File> {
        File::open(&self.path).map_err(Error::local("open", self.path.to_path_buf()))
    }

    /// All records, in key order.
    pub(super) fn records(self: &Arc<Self>) -> Result<Records> {
        Ok(Records { file: BufReader::with_capacity(BUFFER_BYTES, self.file()?), table: Arc::clone(self) })
    }

    /// A reader that finds records by key.
    pub(super) fn finder(self: &Arc<Self>) -> Result<Finder> {
        Ok(Finder { file: self.file()?, table: Arc::clone(self), block: usize::MAX, bytes: Vec::new() })
    }
}

/// The records of a table, one after the other.
pub(super) struct Records {
    file: BufReader<File>,
    table: Arc<Table>,
}

impl Iterator for Records {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        let failed = |error| Error::local("read", self.table.path.to_path_buf())(error);
        match read_record(&mut self.file) {
            Ok(None) => None,
            Ok(Some(bytes)) => Some(decoded(&self.table, &bytes)),
            Err(error) => Some(Err(failed(error))),
        }
    }
}

fn decoded(table: &Table, bytes: &[u8]) -> Result<Record> {
    let altered = || std::io::Error::other("it is not what was written");
    Record::decode(bytes).ok_or_else(|| Error::local("read", table.path.to_path_buf())(altered()))
}

/// Finds records by key. Keeps the block it looked into last.
pub(super) struct Finder {
    file: File,
    table: Arc<Table>,
    block: usize,
    bytes: Vec<u8>,
}

impl Finder {
    /// The record of a key.
    pub(super) fn find(&mut self, key: &[u8]) -> Result<Option<Record>> {
        if !self.table.filter.may_have(key) {
            return Ok(None);
        }
        let after = self.table.blocks.partition_point(|(first, _)| **first <= *key);
        let Some(block) = after.checked_sub(1) else { return Ok(None) };
        if block != self.block {
            self.load(block)?;
        }
        let mut rest = &self.bytes[..];
        while let Some((length, tail)) = rest.split_first_chunk::<4>() {
            let Some((record, tail)) = tail.split_at_checked(u32::from_le_bytes(*length) as usize) else { break };
            match key_of(record).cmp(key) {
                std::cmp::Ordering::Less => rest = tail,
                std::cmp::Ordering::Equal => return decoded(&self.table, record).map(Some),
                std::cmp::Ordering::Greater => break,
            }
        }
        Ok(None)
    }

    fn load(&mut self, block: usize) -> Result<()> {
        let blocks = &self.table.blocks;
        let start = blocks[block].1;
        let end = blocks.get(block + 1).map_or(self.table.bytes, |(_, next)| *next);
        self.block = usize::MAX;
        self.bytes.resize((end - start) as usize, 0);
        let read = self.file.seek(SeekFrom::Start(start)).and_then(|_| self.file.read_exact(&mut self.bytes));
        read.map_err(Error::local("read", self.table.path.to_path_buf()))?;
        self.block = block;
        Ok(())
    }
}

/// Tells of most keys that they are not there, and of none that is.
#[derive(Debug)]
struct Filter {
    words: Vec<u64>,
}

impl Filter {
    fn new(keys: u64) -> Self {
        let most = MAX_FILTER_BYTES as u64 / 8;
        let words = (keys.saturating_mul(12) / 64).clamp(1, most).next_power_of_two();
        Self { words: vec![0; words as usize] }
    }

    fn insert(&mut self, key: &[u8]) {
        for (word, bit) in self.bits(key) {
            self.words[word] |= bit;
        }
    }

    fn may_have(&self, key: &[u8]) -> bool {
        self.bits(key).all(|(word, bit)| self.words[word] & bit != 0)
    }

    /// Four bits that a key has.
    fn bits(&self, key: &[u8]) -> impl Iterator<Item = (usize, u64)> + use<> {
        let mut hasher = DefaultHasher::new();
        hasher.write(key);
        let (hash, mask) = (hasher.finish(), self.words.len() as u64 * 64 - 1);
        let step = hash.rotate_left(32) | 1;
        (0..4).map(move |round: u64| {
            let bit = hash.wrapping_add(round.wrapping_mul(step)) & mask;
            ((bit / 64) as usize, 1 << (bit % 64))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: String, kind: Kind) -> Record {
        Record { key: key.into_bytes(), sequence: b"1".to_vec(), time: 7, kind, version: String::new(), facts: None }
    }

    fn table(keys: u32, block_bytes: u64) -> Arc<Table> {
        let mut writer = TableWriter::create(&std::env::temp_dir(), u64::from(keys)).unwrap();
        writer.block_bytes = block_bytes;
        for number in 0..keys {
            let kind = if number.is_multiple_of(10) { Kind::Open } else { Kind::Gone };
            writer.push(&record(format!("key {:06}", number * 2), kind)).unwrap();
        }
        Arc::new(writer.finish().unwrap())
    }

    #[test]
    fn every_key_is_found_and_no_other() {
        for (keys, block_bytes) in [(0, 1), (1, 1), (3_000, 1), (3_000, 500), (40_000, 1)] {
            let table = table(keys, block_bytes);
            assert_eq!(table.open_keys(), u64::from(keys.div_ceil(10)));
            assert!(table.blocks.len() <= MAX_BLOCKS);
            assert_eq!(table.records().unwrap().map(Result::unwrap).count(), keys as usize);
            let mut finder = table.finder().unwrap();
            // Back and forth, through blocks that were read and others.
            for number in (0..keys * 2).step_by(7).chain((0..keys * 2 + 2).rev().step_by(11)) {
                let key = format!("key {number:06}");
                let found = finder.find(key.as_bytes()).unwrap();
                assert_eq!(found.is_some(), number.is_multiple_of(2) && number < keys * 2, "{key}");
                assert!(found.is_none_or(|record| record.key == key.as_bytes()));
            }
            for other in ["", "a", "z", "key 000002x"] {
                assert_eq!(finder.find(other.as_bytes()).unwrap(), None);
            }
        }
    }

    #[test]
    fn the_filter_is_bounded_and_passes_few_others() {
        let filter = Filter::new(u64::MAX);
        assert_eq!(filter.words.len() * 8, MAX_FILTER_BYTES);
        let mut filter = Filter::new(10_000);
        (0..10_000_u32).for_each(|key| filter.insert(&key.to_le_bytes()));
        assert!((0..10_000_u32).all(|key| filter.may_have(&key.to_le_bytes())));
        let passed = (10_000..110_000_u32).filter(|key| filter.may_have(&key.to_le_bytes())).count();
        assert!(passed < 4_000, "{passed} of 100000");
    }
}
