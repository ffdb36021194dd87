//! The digests of a whole side in memory, found by the hash of the key.
//!
//! They are sorted, and a directory tells where each piece of the range of
//! hashes begins: sixteen bytes a row and one or two for the directory. Digests
//! are looked up many at a time and in about the order of the table, so that the
//! memory they are scattered over is fetched once and ahead of its use.

use super::digest::RowDigest;

/// Rows for each piece of the directory, on average: a cache line of them.
const ROWS_A_PIECE: usize = 4;

/// Digests to be looked up are put in order by this many of the highest bits of their key.
const ORDER_BITS: u32 = 9;

/// Digests whose places are fetched at once.
const FETCHED_AT_ONCE: usize = 64;

/// The digests of one side, and what became of them.
#[derive(Debug)]
pub(super) struct DigestTable {
    // INVARIANT: ascending by `key`; `starts[n]` is the first one whose `key >> shift` is `n` or more.
    // The lowest two bits of `row` are the fate.
    digests: Vec<RowDigest>,
    starts: Vec<u32>,
    shift: u32,
    ordered: Vec<(RowDigest, u32)>,
    answers: Vec<Answer>,
}

/// What is known of a digest, as the lowest bits of its hash of the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// The other side had nothing of this key yet.
    Alone = 0,
    /// The other side had its equal.
    Equal = 1,
    /// Rows of this key hash are to be compared exactly.
    Differs = 2,
}

const FATE_BITS: u64 = 3;

impl RowDigest {
    fn fate(self) -> Fate {
        match self.row & FATE_BITS {
            0 => Fate::Alone,
            1 => Fate::Equal,
            _ => Fate::Differs,
        }
    }

    fn set_fate(&mut self, fate: Fate) {
        self.row = (self.row & !FATE_BITS) | fate as u64;
    }
}

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

impl DigestTable {
    /// A table of digests in any order.
    ///
    /// # Panics
    /// When there are more than 32 bits can count, for which no memory is ever given.
    pub(super) fn new(mut digests: Vec<RowDigest>) -> Self {
        digests.sort_unstable_by_key(|digest| digest.key);
        let bits = (digests.len() / ROWS_A_PIECE).max(2).ilog2();
        let shift = u64::BITS - bits;
        digests.iter_mut().for_each(|digest| digest.set_fate(Fate::Alone));
        for row in 1..digests.len() {
            if digests[row - 1].key == digests[row].key {
                digests[row - 1].set_fate(Fate::Differs);
                digests[row].set_fate(Fate::Differs);
            }
        }
        let starts = directory(&digests, bits, shift);
        Self { digests, starts, shift, ordered: Vec::new(), answers: Vec::new() }
    }

    /// Looks up digests of the other side, each row of which must be asked about
    /// once, and gives an answer to each.
    pub(super) fn look_up(&mut self, others: &[RowDigest]) -> &[Answer] {
        self.answers.clear();
        self.answers.resize(others.len(), Answer::Differs);
        let mut ordered = std::mem::take(&mut self.ordered);
        in_order(others, &mut ordered);
        for some in ordered.chunks(FETCHED_AT_ONCE) {
            // Nothing here depends on what is found, so the processor waits for many places at once.
            let fetched = some.iter().map(|(other, _)| self.fetch(other.key));
            std::hint::black_box(fetched.fold(0, u64::wrapping_add));
            for (other, row) in some {
                self.answers[*row as usize] = self.answer(*other);
            }
        }
        self.ordered = ordered;
        &self.answers
    }

    /// Reads from where a key would be.
    #[inline]
    fn fetch(&self, key_hash: u64) -> u64 {
        let start = self.starts[(key_hash >> self.shift) as usize] as usize;
        let last = start + ROWS_A_PIECE - 1;
        let key = |place: usize| self.digests.get(place).map_or(0, |digest| digest.key);
        key(start) ^ key(last)
    }

    /// The place of the first digest of a key hash.
    #[inline]
    fn search(&self, key_hash: u64) -> Option<usize> {
        let start = self.starts[(key_hash >> self.shift) as usize] as usize;
        let place = start + self.digests[start..].iter().take_while(|digest| digest.key < key_hash).count();
        self.digests.get(place).is_some_and(|digest| digest.key == key_hash).then_some(place)
    }

    #[inline]
    fn answer(&mut self, other: RowDigest) -> Answer {
        let Some(place) = self.search(other.key) else { return Answer::Differs };
        let digest = &mut self.digests[place];
        let equal = digest.row & !FATE_BITS == other.row & !FATE_BITS;
        match digest.fate() {
            Fate::Alone if equal => {
                digest.set_fate(Fate::Equal);
                Answer::Equal
            }
            Fate::Equal => {
                digest.set_fate(Fate::Differs);
                Answer::SecondOfItsKey
            }
            Fate::Alone | Fate::Differs => {
                digest.set_fate(Fate::Differs);
                Answer::Differs
            }
        }
    }

    /// Whether rows of this key hash found their one equal.
    pub(super) fn has_equal(&self, key_hash: u64) -> bool {
        self.search(key_hash).is_some_and(|place| self.digests[place].fate() == Fate::Equal)
    }

    /// The key hashes of all that did not find their one equal.
    pub(super) fn differing(&self) -> impl Iterator<Item = u64> {
        self.digests.iter().filter(|digest| digest.fate() != Fate::Equal).map(|digest| digest.key)
    }
}

/// Puts digests, each with its row, in the order of the highest bits of their keys.
fn in_order(digests: &[RowDigest], ordered: &mut Vec<(RowDigest, u32)>) {
    let piece = |digest: &RowDigest| (digest.key >> (u64::BITS - ORDER_BITS)) as usize;
    let mut ends = vec![0_u32; 1 << ORDER_BITS];
    digests.iter().for_each(|digest| ends[piece(digest)] += 1);
    let mut end = 0;
    for count in &mut ends {
        end += std::mem::replace(count, end);
    }
    ordered.resize(digests.len(), (RowDigest { key: 0, row: 0 }, 0));
    for (row, digest) in (0..).zip(digests) {
        let place = &mut ends[piece(digest)];
        ordered[*place as usize] = (*digest, row);
        *place += 1;
    }
}

/// Where the digests of each piece begin; one more at the end.
fn directory(digests: &[RowDigest], bits: u32, shift: u32) -> Vec<u32> {
    let mut starts = Vec::with_capacity((1 << bits) + 1);
    for (row, digest) in digests.iter().enumerate() {
        let piece = (digest.key >> shift) as usize;
        let row = u32::try_from(row).expect("rows that are held in memory are fewer than 2^32");
        if starts.len() <= piece {
            starts.resize(piece + 1, row);
        }
    }
    starts.resize((1 << bits) + 1, u32::try_from(digests.len()).expect("as above"));
    starts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(key: u64, row: u64) -> RowDigest {
        RowDigest { key: key << 40, row: row << 2 }
    }

    #[test]
    fn every_digest_is_found_and_no_other() {
        let all: Vec<_> = (0..1000).rev().map(|n| RowDigest { key: n * (u64::MAX / 1001), row: n << 2 }).collect();
        let mut table = DigestTable::new(all.clone());
        assert!(table.look_up(&all).iter().all(|answer| *answer == Answer::Equal));
        assert_eq!(table.differing().count(), 0);
        assert!(all.iter().all(|digest| table.has_equal(digest.key)));
        let strangers: Vec<_> = all.iter().map(|known| RowDigest { key: known.key + 1, row: known.row }).collect();
        assert!(table.look_up(&strangers).iter().all(|answer| *answer == Answer::Differs));
        assert!(DigestTable::new(Vec::new()).look_up(&all).iter().all(|answer| *answer == Answer::Differs));
    }

    #[test]
    fn a_key_that_comes_twice_on_a_side_is_never_equal_in_the_end() {
        let answers = |held: &[RowDigest], others: &[RowDigest]| {
            let mut table = DigestTable::new(held.to_vec());
            let answers = table.look_up(others).to_vec();
            (answers, table.differing().count())
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
