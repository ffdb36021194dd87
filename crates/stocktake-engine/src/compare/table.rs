//! The rows of a whole side in memory, eight bytes each, found by the hash of the key.
//!
//! Of the hash of a key, the upper half chooses a bucket, which is one line of the
//! processor's cache, and the lower half is kept there, with thirty bits of the hash of
//! the row. What finds its bucket full goes to the next level, a smaller table of the same
//! kind; so no row is ever moved, and the table may grow without knowing the whole hashes.
//! Memory is waited for once a row, and for many rows at a time.
//!
//! So few bits take a changed row for its equal once in 2^30, and never tell. Whoever asks
//! adds up the [whole digests](super::digest::DigestSum) of the rows taken for equal, and
//! starts over another way when the two sides do not add up to the same.

use super::digest::RowDigest;

/// Rows of a bucket.
const SLOTS: usize = 8;

/// Rows for each bucket of the first level, as far as their number is known beforehand. Chance
/// fills a twentieth of the rows' buckets before they come.
const ROWS_A_BUCKET: u64 = 6;

/// Memory for a row, with what the buckets and the levels leave free, in bytes.
pub(super) const HELD_BYTES_A_ROW: u64 = 13;

/// Buckets of the smallest level.
const LEAST_BUCKETS: usize = 64;

/// A table that needs more levels holds hashes that are none.
const MOST_LEVELS: usize = 32;

/// Rows whose buckets are fetched at once.
const FETCHED_AT_ONCE: usize = 64;

/// The rows of one side, and what became of them.
#[derive(Debug)]
pub(super) struct DigestTable {
    // INVARIANT: a row lies in the first level whose bucket for it was not full when it came.
    levels: Vec<Vec<Bucket>>,
    most_bytes: usize,
    /// The bits of a row's hash that are kept.
    row_mask: u32,
    held: usize,
    /// Rows whose key hash was there already; their slot says [`Fate::Differs`].
    others_of_a_key: u64,
    answers: Vec<Answer>,
}

/// Slots are used from the first on.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Bucket {
    /// The lower halves of the hashes of keys.
    keys: [u32; SLOTS],
    /// Of each the hash of the row, but for the lowest two bits: they are the [`Fate`], zero in a free slot.
    rows: [u32; SLOTS],
}

const EMPTY: Bucket = Bucket { keys: [0; SLOTS], rows: [0; SLOTS] };

/// What is known of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// The other side had nothing of this key yet.
    Alone = 1,
    /// The other side had its equal.
    Equal = 2,
    /// Rows of this key hash are to be compared exactly.
    Differs = 3,
}

const FATE_BITS: u32 = 3;

/// What the table says to a row of the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It has an equal.
    Equal,
    /// It may differ.
    Differs,
    /// It may differ, and so may a row before it that was told to be equal.
    SecondOfItsKey,
}

/// Where a key is in a bucket.
enum Place {
    At(usize),
    /// It is not there, and this slot is free.
    Free(usize),
    /// Only another level may have it.
    Full,
}

impl DigestTable {
    /// A table for about `rows` rows, of at most `most_bytes` bytes; of the hashes of rows, it
    /// keeps no more than the bits in `row_mask`.
    pub(super) fn new(rows: u64, most_bytes: usize, row_mask: u32) -> Self {
        let most_buckets = most_bytes / size_of::<Bucket>();
        let buckets = usize::try_from(rows.div_ceil(ROWS_A_BUCKET)).unwrap_or(usize::MAX);
        // Where the number of rows is not known, the first level grows by further ones.
        let first = vec![EMPTY; buckets.max(LEAST_BUCKETS).min(most_buckets)];
        let row_mask = row_mask & !FATE_BITS;
        Self { levels: vec![first], most_bytes, row_mask, held: 0, others_of_a_key: 0, answers: Vec::new() }
    }

    /// Takes in rows of its side; `false` when they are too many to be held.
    #[must_use]
    pub(super) fn insert(&mut self, digests: &[RowDigest]) -> bool {
        digests.chunks(FETCHED_AT_ONCE).all(|some| {
            self.fetch(some);
            some.iter().all(|digest| self.insert_one(*digest))
        })
    }

    fn insert_one(&mut self, digest: RowDigest) -> bool {
        let (key, row) = (digest.key as u32, digest.row as u32 & self.row_mask);
        for (number, level) in self.levels.iter_mut().enumerate() {
            let at = place(digest.key, number, level.len());
            let Some(bucket) = level.get_mut(at) else { continue };
            match bucket.find(key) {
                Place::At(slot) => {
                    bucket.set_fate(slot, Fate::Differs);
                    self.others_of_a_key += 1;
                    return true;
                }
                Place::Free(slot) => {
                    (bucket.keys[slot], bucket.rows[slot]) = (key, row);
                    bucket.set_fate(slot, Fate::Alone);
                    self.held += 1;
                    return true;
                }
                Place::Full => {}
            }
        }
        self.add_level() && self.insert_one(digest)
    }

    /// Adds a level: a small one for what chance makes too much for its bucket, or, where
    /// there are more rows than were expected, one as large as all others.
    fn add_level(&mut self) -> bool {
        let buckets: usize = self.levels.iter().map(Vec::len).sum();
        let last = self.levels.last().map_or(0, Vec::len);
        let is_full = self.held * 8 > buckets * SLOTS * 7;
        let wanted = if is_full { buckets } else { (last / 8).max(buckets / 64) }.max(LEAST_BUCKETS);
        let fits = (buckets + wanted) * size_of::<Bucket>() <= self.most_bytes && self.levels.len() < MOST_LEVELS;
        if fits {
            self.levels.push(vec![EMPTY; wanted]);
        }
        fits
    }

    /// Looks up digests of the other side, each row of which must be asked about
    /// once, and gives an answer to each.
    pub(super) fn look_up(&mut self, others: &[RowDigest]) -> &[Answer] {
        let mut answers = std::mem::take(&mut self.answers);
        answers.clear();
        for some in others.chunks(FETCHED_AT_ONCE) {
            self.fetch(some);
            answers.extend(some.iter().map(|other| self.answer(*other)));
        }
        self.answers = answers;
        &self.answers
    }

    /// Reads from the buckets where the rows would be.
    #[inline]
    fn fetch(&self, digests: &[RowDigest]) {
        let Some(first) = self.levels.first() else { return };
        // Nothing here depends on what is found, so the processor waits for many places at once.
        let bucket = |digest: &RowDigest| first.get(place(digest.key, 0, first.len()));
        let fetched = digests.iter().filter_map(bucket).map(|bucket| bucket.keys[0]);
        std::hint::black_box(fetched.fold(0, u32::wrapping_add));
    }

    /// The bucket and the slot of a key hash.
    #[inline]
    fn search(&self, key_hash: u64) -> Option<(usize, usize, usize)> {
        for (number, level) in self.levels.iter().enumerate() {
            let at = place(key_hash, number, level.len());
            let Some(bucket) = level.get(at) else { continue };
            match bucket.find(key_hash as u32) {
                Place::At(slot) => return Some((number, at, slot)),
                Place::Free(_) => return None,
                Place::Full => {}
            }
        }
        None
    }

    #[inline]
    fn answer(&mut self, other: RowDigest) -> Answer {
        let Some((level, bucket, slot)) = self.search(other.key) else { return Answer::Differs };
        let bucket = &mut self.levels[level][bucket];
        let equal = bucket.rows[slot] & !FATE_BITS == other.row as u32 & self.row_mask;
        let (fate, answer) = match bucket.fate(slot) {
            Fate::Alone if equal => (Fate::Equal, Answer::Equal),
            Fate::Equal => (Fate::Differs, Answer::SecondOfItsKey),
            Fate::Alone | Fate::Differs => (Fate::Differs, Answer::Differs),
        };
        bucket.set_fate(slot, fate);
        answer
    }

    /// Whether rows of this key hash found their one equal.
    pub(super) fn has_equal(&self, key_hash: u64) -> bool {
        self.search(key_hash).is_some_and(|(level, bucket, slot)| self.levels[level][bucket].fate(slot) == Fate::Equal)
    }

    /// How many rows did not find their one equal.
    pub(super) fn differing_rows(&self) -> u64 {
        self.differing().count() as u64 + self.others_of_a_key
    }

    /// The lower halves of the key hashes of all rows that did not find their one equal.
    pub(super) fn differing(&self) -> impl Iterator<Item = u32> {
        let slots = self.levels.iter().flatten().flat_map(|bucket| bucket.keys.iter().zip(&bucket.rows));
        slots.filter(|(_, row)| ![0, Fate::Equal as u32].contains(&(**row & FATE_BITS))).map(|(key, _)| *key)
    }
}

/// The bucket of a key hash among those of a level. Other bits count most in each level, so that
/// what shares a bucket in one is scattered in the next.
#[inline]
fn place(key_hash: u64, level: usize, buckets: usize) -> usize {
    let upper_half = ((key_hash >> 32) as u32).rotate_left(11 * level as u32);
    ((u64::from(upper_half) * buckets as u64) >> 32) as usize
}

impl Bucket {
    #[inline]
    fn find(&self, key: u32) -> Place {
        let bits = |of: [bool; SLOTS]| of.iter().rev().fold(0_u32, |bits, bit| (bits << 1) | u32::from(*bit));
        let free = bits(self.rows.map(|row| row == 0));
        let equal = bits(self.keys.map(|held| held == key)) & !free;
        match (equal, free) {
            (0, 0) => Place::Full,
            (0, free) => Place::Free(free.trailing_zeros() as usize),
            (equal, _) => Place::At(equal.trailing_zeros() as usize),
        }
    }

    #[inline]
    fn fate(&self, slot: usize) -> Fate {
        match self.rows[slot] & FATE_BITS {
            1 => Fate::Alone,
            2 => Fate::Equal,
            _ => Fate::Differs,
        }
    }

    #[inline]
    fn set_fate(&mut self, slot: usize, fate: Fate) {
        self.rows[slot] = (self.rows[slot] & !FATE_BITS) | fate as u32;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// No two have anything in common.
    fn digests(numbers: std::ops::Range<u64>) -> Vec<RowDigest> {
        let scattered =
            |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        numbers.map(|n| RowDigest { key: scattered(n), row: scattered(n + (1 << 40)) }).collect()
    }

    fn table(rows: u64, held: &[RowDigest]) -> DigestTable {
        let mut table = DigestTable::new(rows, 1 << 30, u32::MAX);
        assert!(table.insert(held));
        table
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn every_row_is_found_and_no_other_however_many_were_expected(count in 0..40_000_u64, expected in 0..60_000_u64) {
            let all = digests(0..count);
            let mut table = table(expected, &all);
            prop_assert_eq!(table.differing_rows(), count);
            let strangers = digests(count..2 * count);
            prop_assert!(table.look_up(&strangers).iter().all(|answer| *answer == Answer::Differs));
            prop_assert!(table.look_up(&all).iter().all(|answer| *answer == Answer::Equal));
            prop_assert_eq!(table.differing_rows(), 0);
            prop_assert!(all.iter().all(|digest| table.has_equal(digest.key)));
            prop_assert!(!strangers.iter().any(|digest| table.has_equal(digest.key)));
        }
    }

    #[test]
    fn a_row_takes_no_more_memory_than_is_said() {
        let bytes = |expected: u64, count: u64| {
            let table = table(expected, &digests(0..count));
            table.levels.iter().map(Vec::len).sum::<usize>() * size_of::<Bucket>()
        };
        for count in [100_000, 1_000_000] {
            assert!(bytes(count, count) as u64 <= count * HELD_BYTES_A_ROW, "{}", bytes(count, count));
            // The last level may be as large as all before, and empty yet.
            assert!(bytes(0, count) as u64 <= 2 * count * HELD_BYTES_A_ROW, "{}", bytes(0, count));
        }
    }

    #[test]
    fn more_than_fits_is_refused() {
        let rows = (1 << 16) / HELD_BYTES_A_ROW;
        let mut table = DigestTable::new(rows, 1 << 16, u32::MAX);
        assert!(table.insert(&digests(0..rows)));
        assert!(!table.insert(&digests(rows..2 * rows)));
        assert!(!DigestTable::new(5, 0, u32::MAX).insert(&digests(0..1)));
    }

    #[test]
    fn a_key_that_comes_twice_on_a_side_is_never_equal_in_the_end() {
        let digest = |key: u64, row: u64| RowDigest { key: key << 40 | key, row: row << 2 };
        let answers = |held: &[RowDigest], others: &[RowDigest]| {
            let mut table = table(held.len() as u64, held);
            let answers = table.look_up(others).to_vec();
            (answers, table.differing_rows())
        };
        assert_eq!(answers(&[digest(1, 1), digest(1, 1)], &[digest(1, 1)]), (vec![Answer::Differs], 2));
        assert_eq!(
            answers(&[digest(1, 1)], &[digest(1, 1), digest(1, 1), digest(1, 2)]),
            (vec![Answer::Equal, Answer::SecondOfItsKey, Answer::Differs], 1)
        );
        assert_eq!(
            answers(&[digest(1, 1)], &[digest(1, 2), digest(1, 1)]),
            (vec![Answer::Differs, Answer::Differs], 1)
        );
    }
}
