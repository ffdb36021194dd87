//! The entries of a bucket that never was, on two days.
//!
//! Every entry follows from its number, so that any order of them, and what
//! changed from one day to the next, is known without keeping anything.

use stocktake_core::{BATCH_ROWS, ETagCode, ETagRef, EntryBatch, EntryFlags, EntryRef, Timestamp};

/// In which order entries come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// By key.
    #[default]
    Sorted,
    /// As many sorted runs as this, one after the other, each over the whole range of keys.
    SortedRuns(u64),
    /// Any.
    Shuffled,
}

/// How many entries of a million differ on the second day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Beside the entry of a number, there is another one.
    pub added: u64,
    /// Size, ETag and time are others.
    pub changed: u64,
    /// There is no such entry any more.
    pub deleted: u64,
}

/// A bucket of entries on two days.
#[derive(Clone, Copy, Debug)]
pub struct Synthetic {
    /// Entries on the first day.
    pub rows: u64,
    /// What makes one bucket different from another.
    pub seed: u64,
    /// In which order entries come.
    pub order: Order,
    /// What is different on the second day.
    pub rates: Rates,
    /// Whether what is new on the second day claims to be as old as all else, as objects
    /// do that were copied with their times.
    pub backdated: bool,
}

impl Synthetic {
    /// When the inventory of the first day is made: after all of its entries were modified.
    pub const FIRST_DAY: Timestamp = Timestamp::from_millis(1_772_326_800_000);

    /// When the inventory of the second day is made.
    pub const SECOND_DAY: Timestamp = Timestamp::from_millis(Self::FIRST_DAY.as_millis() + 86_400_000);

    /// A bucket of `rows` entries, sorted, of which nothing changes.
    pub fn new(rows: u64) -> Self {
        Self { rows, seed: 1, order: Order::default(), rates: Rates::default(), backdated: false }
    }

    /// The same bucket in another order.
    #[must_use]
    pub fn in_order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// The same bucket with these changes from the first day to the second.
    #[must_use]
    pub fn changing(mut self, rates: Rates) -> Self {
        self.rates = rates;
        self
    }

    /// The same bucket, but nothing new tells so by its time.
    #[must_use]
    pub fn backdated(mut self) -> Self {
        self.backdated = true;
        self
    }

    /// The entries of the first day, in batches.
    pub fn before(self) -> impl Iterator<Item = EntryBatch> + Send {
        self.batches(false)
    }

    /// The entries of the second day, in batches.
    pub fn after(self) -> impl Iterator<Item = EntryBatch> + Send {
        self.batches(true)
    }

    /// What happens to an entry between the days.
    pub fn fate(&self, number: u64) -> Fate {
        let Rates { added, changed, deleted } = self.rates;
        let lot = mix(self.seed ^ 0xfa7e, number) % 1_000_000;
        match lot {
            lot if lot < added => Fate::Joined,
            lot if lot < added + changed => Fate::Changed,
            lot if lot < added + changed + deleted => Fate::Deleted,
            _ => Fate::Same,
        }
    }

    fn batches(self, second_day: bool) -> impl Iterator<Item = EntryBatch> + Send {
        let mut position = 0;
        std::iter::from_fn(move || {
            let mut batch = EntryBatch::default();
            while batch.len() < BATCH_ROWS && position < self.rows {
                self.push(self.number_at(position), second_day, &mut batch);
                position += 1;
            }
            (!batch.is_empty()).then_some(batch)
        })
    }

    fn push(&self, number: u64, second_day: bool, batch: &mut EntryBatch) {
        let fate = if second_day { self.fate(number) } else { Fate::Same };
        if fate == Fate::Deleted {
            return;
        }
        let noise = mix(self.seed, number);
        let key = format!("photos/2026/{:06}/IMG_{number:010}_{:08x}.jpg", number / 1000, noise as u32);
        self.push_entry(batch, &key, mix(noise, u64::from(fate == Fate::Changed)), fate == Fate::Changed);
        if fate == Fate::Joined {
            self.push_entry(batch, &format!("{key}.new"), mix(noise, 2), true);
        }
    }

    /// Appends an entry that follows from its noise. What is `new` on the second day was modified after the first.
    fn push_entry(&self, batch: &mut EntryBatch, key: &str, noise: u64, new: bool) {
        const CLASSES: [&str; 8] =
            ["STANDARD", "STANDARD", "STANDARD", "STANDARD", "STANDARD", "STANDARD_IA", "STANDARD_IA", "GLACIER"];
        let mut digest = [0; 16];
        digest[..8].copy_from_slice(&noise.to_le_bytes());
        digest[8..].copy_from_slice(&mix(noise, 3).to_le_bytes());
        let parts = if noise.is_multiple_of(50) { 1 + (noise % 9) as u16 } else { 0 };
        let code = ETagCode::from_parts(digest, 1 + parts).expect("a plain tag, or one of few parts");
        let flags = if parts > 0 { EntryFlags::MULTIPART } else { EntryFlags::NONE };
        let modified = if new && !self.backdated {
            Self::FIRST_DAY.as_millis() + (noise % 86_400) as i64 * 1000
        } else {
            1_767_225_600_000 + (noise % 5_000_000) as i64 * 1000
        };
        let entry = EntryRef {
            key: key.as_bytes(),
            version: None,
            size: noise % (8 << 20),
            last_modified: Timestamp::from_millis(modified),
            etag: ETagRef { code, text: "" },
            class: CLASSES[(noise >> 32) as usize % CLASSES.len()],
            flags: flags.with(EntryFlags::ETAG_IS_MD5),
        };
        batch.push(&entry).unwrap();
    }

    /// Which entry comes at a place in this order.
    fn number_at(&self, position: u64) -> u64 {
        match self.order {
            Order::Sorted => position,
            Order::SortedRuns(runs) => strided(position, self.rows, runs.clamp(1, self.rows)),
            Order::Shuffled => shuffled(position, self.rows, self.seed),
        }
    }
}

/// What happens to an entry between the days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nothing.
    Same,
    /// Another entry comes beside it.
    Joined,
    /// Size, ETag and time become others.
    Changed,
    /// It goes.
    Deleted,
}

/// The `position`-th number when `0..count` is dealt into `runs` and these are put behind each other.
fn strided(position: u64, count: u64, runs: u64) -> u64 {
    let (short, longer) = (count / runs, count % runs);
    let in_longer = longer * (short + 1);
    if position < in_longer {
        position / (short + 1) + position % (short + 1) * runs
    } else {
        let rest = position - in_longer;
        longer + rest / short + rest % short * runs
    }
}

/// A permutation of `0..count`: two rounds of invertible steps on the next power of two, walked until inside.
fn shuffled(position: u64, count: u64, seed: u64) -> u64 {
    let bits = (64 - (count - 1).leading_zeros()).max(2);
    let mask = u64::MAX >> (64 - bits);
    let mut number = position;
    loop {
        for round in 0..2 {
            number = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(seed + round) & mask;
            number ^= number >> (bits / 2);
        }
        if number < count {
            return number;
        }
    }
}

/// A number that looks random, and follows from two.
fn mix(seed: u64, number: u64) -> u64 {
    let mut z = seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn keys(batches: impl Iterator<Item = EntryBatch>) -> Vec<Vec<u8>> {
        batches.flat_map(|batch| batch.iter().map(|entry| entry.key.to_vec()).collect::<Vec<_>>()).collect()
    }

    #[test]
    fn every_order_has_the_same_entries() {
        for rows in [1, 2, 3, 10, 1000, 20_000] {
            let sorted = keys(Synthetic::new(rows).before());
            assert!(sorted.is_sorted() && sorted.len() as u64 == rows);
            for order in [Order::Shuffled, Order::SortedRuns(3), Order::SortedRuns(7)] {
                let mut other = keys(Synthetic::new(rows).in_order(order).before());
                other.sort();
                assert_eq!(other, sorted, "{order:?} of {rows}");
            }
        }
    }

    #[test]
    fn rates_are_kept_about() {
        let bucket = Synthetic::new(20_000).changing(Rates { added: 10_000, changed: 20_000, deleted: 30_000 });
        let (before, after) = (keys(bucket.before()), keys(bucket.after()));
        let (before, after): (BTreeSet<_>, BTreeSet<_>) = (before.into_iter().collect(), after.into_iter().collect());
        assert!((100..300).contains(&after.difference(&before).count()));
        assert!((450..750).contains(&before.difference(&after).count()));
    }
}
