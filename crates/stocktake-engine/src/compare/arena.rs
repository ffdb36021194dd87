//! Rows in memory on their way into a sorted run.
//!
//! They lie one behind the other, with a small slot each. Only slots are sorted:
//! they carry eight bytes of the key, taken from behind what all keys of the arena
//! have in common, so that few comparisons look at a key.

use std::cmp::Ordering;

use stocktake_core::{EntryRef, Result};

use super::codec::{Taker, put_tail, shared_prefix};
use super::cursor::precedence;
use super::meter::SideMeter;
use super::run::RunWriter;

/// Rows in memory, in the order they came, and a slot for each.
#[derive(Debug, Default)]
pub(super) struct Arena {
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
    /// Takes a row.
    pub(super) fn push(&mut self, entry: &EntryRef<'_>) {
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

    /// Bytes of rows and slots.
    pub(super) fn memory_bytes(&self) -> usize {
        self.bytes.len() + self.slots.len() * size_of::<Slot>()
    }

    fn key(&self, slot: &Slot) -> &[u8] {
        &self.bytes[slot.offset as usize..][..slot.key_length as usize]
    }

    fn tail(&self, slot: &Slot) -> &[u8] {
        &self.bytes[slot.offset as usize + slot.key_length as usize..][..slot.tail_length as usize]
    }

    /// The first key: the least, once sorted.
    pub(super) fn first_key(&self) -> &[u8] {
        self.slots.first().map_or(&[], |slot| self.key(slot))
    }

    /// Whether there is no row.
    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Brings the rows into order.
    pub(super) fn sort(&mut self) {
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
    pub(super) fn write(&self, run: &mut RunWriter, meter: &SideMeter) -> Result<()> {
        for same in self.slots.chunk_by(|a, b| self.key(a) == self.key(b)) {
            let mut kept = &same[0];
            for other in &same[1..] {
                let (row, other_row) = (self.entry(kept), self.entry(other));
                let keep = precedence(&row, &other_row) != Ordering::Less;
                meter.duplicate(if keep { &other_row } else { &row });
                kept = if keep { kept } else { other };
            }
            run.push(self.key(kept), self.tail(kept))?;
        }
        Ok(())
    }

    fn entry(&self, slot: &Slot) -> EntryRef<'_> {
        Taker(self.tail(slot)).tail(self.key(slot)).expect("the arena holds what was pushed")
    }

    /// Drops the rows and keeps the memory.
    pub(super) fn clear(&mut self) {
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
