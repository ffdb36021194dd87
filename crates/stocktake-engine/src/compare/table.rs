//! The digests of a whole side in memory, found by the hash of the key.
//!
//! They are sorted, and a directory tells where each piece of the range of
//! hashes begins: sixteen bytes a row and one or two for the directory. Digests
//! are looked up a batch at a time, so that the memory they are scattered over is
//! fetched for many of them at once.

use super::digest::RowDigest;

/// Rows for each piece of the directory, on average: a cache line of them.
const ROWS_A_PIECE: usize = 4;

/// The digests of one side, and what became of them.
#[derive(Debug)]
pub(super) struct DigestTable {
    // INVARIANT: ascending by `key`; `starts[n]` is the first one whose `key >> shift` is `n` or more.
    digests: Vec<RowDigest>,
    starts: Vec<u32>,
    shift: u32,
    fates: Vec<Fate>,
    // Where to begin to search for each of a batch.
    scattered: Vec<u32>,
}

/// What is known of a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// The other side had nothing of this key yet.
    Alone,
    /// The other side had its equal.
    Equal,
    /// Rows of this key hash are to be compared exactly.
    Differs,
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
        let mut fates = vec![Fate::Alone; digests.len()];
        for row in 1..digests.len() {
            if digests[row - 1].key == digests[row].key {
                fates[row - 1] = Fate::Differs;
                fates[row] = Fate::Differs;
            }
        }
        let starts = directory(&digests, bits, shift);
        Self { digests, starts, shift, fates, scattered: Vec::new() }
    }

    /// Looks up a batch of digests of the other side, each row of which must be asked about
    /// once, and hands `answer` the place and the answer of each.
    pub(super) fn look_up(&mut self, others: &[RowDigest], mut answer: impl FnMut(usize, Answer)) {
        // Nothing here depends on what is found, so the processor waits for many places at once.
        self.scattered.clear();
        self.scattered.extend(others.iter().map(|other| self.starts[(other.key >> self.shift) as usize]));
        let touched = self.scattered.iter().filter_map(|start| self.digests.get(*start as usize));
        std::hint::black_box(touched.fold(0, |sum, digest| digest.key.wrapping_add(sum)));
        for (place, other) in others.iter().enumerate() {
            answer(place, self.answer(self.scattered[place], *other));
        }
    }

    /// The first digest of a key hash, searched for from `start` on.
    #[inline]
    fn search(&self, start: u32, key_hash: u64) -> Option<usize> {
        let start = start as usize;
        let place = start + self.digests[start..].iter().take_while(|digest| digest.key < key_hash).count();
        self.digests.get(place).is_some_and(|digest| digest.key == key_hash).then_some(place)
    }

    fn answer(&mut self, start: u32, other: RowDigest) -> Answer {
        let Some(place) = self.search(start, other.key) else { return Answer::Differs };
        let equal = self.digests[place].row == other.row;
        let fate = &mut self.fates[place];
        match *fate {
            Fate::Alone if equal => {
                *fate = Fate::Equal;
                Answer::Equal
            }
            Fate::Equal => {
                *fate = Fate::Differs;
                Answer::SecondOfItsKey
            }
            Fate::Alone | Fate::Differs => {
                *fate = Fate::Differs;
                Answer::Differs
            }
        }
    }

    /// Whether rows of this key hash found their one equal.
    pub(super) fn has_equal(&self, key_hash: u64) -> bool {
        self.search(self.starts[(key_hash >> self.shift) as usize], key_hash)
            .is_some_and(|place| self.fates[place] == Fate::Equal)
    }

    /// The key hashes of all that did not find their one equal.
    pub(super) fn differing(&self) -> impl Iterator<Item = u64> {
        let rows = self.digests.iter().zip(&self.fates);
        rows.filter(|(_, fate)| **fate != Fate::Equal).map(|(digest, _)| digest.key)
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
        RowDigest { key: key << 40, row }
    }

    #[test]
    fn every_digest_is_found_and_no_other() {
        let all: Vec<_> = (0..1000).rev().map(|n| RowDigest { key: n * (u64::MAX / 1001), row: n }).collect();
        let mut table = DigestTable::new(all.clone());
        let mut equal = 0;
        table.look_up(&all, |_, answer| equal += u64::from(answer == Answer::Equal));
        assert_eq!((equal, table.differing().count()), (1000, 0));
        assert!(all.iter().all(|digest| table.has_equal(digest.key)));
        let strangers: Vec<_> = all.iter().map(|known| RowDigest { key: known.key + 1, row: known.row }).collect();
        table.look_up(&strangers, |_, answer| assert_eq!(answer, Answer::Differs));
        DigestTable::new(Vec::new()).look_up(&all, |_, answer| assert_eq!(answer, Answer::Differs));
    }

    #[test]
    fn a_key_that_comes_twice_on_a_side_is_never_equal_in_the_end() {
        let answers = |held: &[RowDigest], others: &[RowDigest]| {
            let (mut table, mut answers) = (DigestTable::new(held.to_vec()), Vec::new());
            table.look_up(others, |_, answer| answers.push(answer));
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
