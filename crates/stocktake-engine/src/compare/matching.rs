//! Matching the digests of one partition.
//!
//! A table holds the digests of one side by key hash; those of the other look
//! theirs up. What is certain is only that rows are equal:
//! everything else (no match, another row hash, a key hash that comes twice on a
//! side) is handed over for an exact look.

use super::digest::RowDigest;

/// Memory that matching takes for a row of either side, in bytes: the digest and two slots of the table.
pub(super) const BYTES_PER_ROW: usize = 16 + 2 * size_of::<Slot>();

/// A table that is used again for each partition.
#[derive(Debug, Default)]
pub(super) struct Matcher {
    slots: Vec<Slot>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    key: u64,
    row: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Free,
    /// A row of the first side waits for its equal.
    Waiting,
    /// It was found.
    Equal,
    /// The key hash was handed over.
    HandedOver,
}

impl Matcher {
    /// Calls `differing` with each key hash that may belong to rows that are not equal, and
    /// tells how many rows of `second` have such a one.
    pub(super) fn match_up(
        &mut self,
        first: &[RowDigest],
        second: &[RowDigest],
        mut differing: impl FnMut(u64),
    ) -> u64 {
        // At most half full, so that a search ends soon.
        let slots = (2 * first.len()).next_power_of_two().max(2);
        self.slots.clear();
        self.slots.resize(slots, Slot::default());
        for digest in first {
            let slot = self.find(digest.key);
            match slot.state {
                State::Free => *slot = Slot { key: digest.key, row: digest.row, state: State::Waiting },
                _ => slot.hand_over(&mut differing),
            }
        }
        let mut rows = 0;
        for digest in second {
            let slot = self.find(digest.key);
            match slot.state {
                State::Free => {
                    differing(digest.key);
                    rows += 1;
                }
                State::Waiting if slot.row == digest.row => slot.state = State::Equal,
                state => {
                    slot.hand_over(&mut differing);
                    // And the row that was taken for equal before this one came.
                    rows += if state == State::Equal { 2 } else { 1 };
                }
            }
        }
        self.slots.iter().filter(|slot| slot.state == State::Waiting).for_each(|slot| differing(slot.key));
        rows
    }

    /// The slot of a key hash, or a free one where it belongs.
    fn find(&mut self, key: u64) -> &mut Slot {
        let last = self.slots.len() - 1;
        // Neither the highest bits, which all of a partition share, nor the lowest, which make the sieve.
        let mut at = (key >> 20) as usize & last;
        while self.slots[at].state != State::Free && self.slots[at].key != key {
            at = (at + 1) & last;
        }
        &mut self.slots[at]
    }
}

impl Slot {
    fn hand_over(&mut self, differing: &mut impl FnMut(u64)) {
        if self.state != State::HandedOver {
            differing(self.key);
            self.state = State::HandedOver;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn differing(first: &[(u64, u64)], second: &[(u64, u64)]) -> (BTreeSet<u64>, u64) {
        let digests =
            |rows: &[(u64, u64)]| rows.iter().map(|(key, row)| RowDigest { key: *key, row: *row }).collect::<Vec<_>>();
        let mut found = BTreeSet::new();
        let rows = Matcher::default().match_up(&digests(first), &digests(second), |key| {
            found.insert(key);
        });
        (found, rows)
    }

    #[test]
    fn only_pairs_that_occur_once_on_each_side_are_equal() {
        assert_eq!(differing(&[(1, 10), (2, 20)], &[(2, 20), (1, 10)]), ([].into(), 0));
        assert_eq!(differing(&[(1, 10)], &[(1, 11)]), ([1].into(), 1));
        assert_eq!(differing(&[(1, 10)], &[]), ([1].into(), 0));
        assert_eq!(differing(&[], &[(0, 0), (1, 10)]), ([0, 1].into(), 2));
        assert_eq!(differing(&[(1, 10), (1, 10)], &[(1, 10)]), ([1].into(), 1));
        assert_eq!(differing(&[(1, 10)], &[(1, 10), (1, 10)]), ([1].into(), 2));
        assert_eq!(differing(&[(1, 10)], &[(1, 10), (1, 11), (1, 12)]), ([1].into(), 3));
        assert_eq!(differing(&[], &[(1, 10), (1, 10)]), ([1].into(), 2));
    }
}
