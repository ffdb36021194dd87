//! Passing over rows that did not change, column by column.
//!
//! On an ordinary day nearly all rows of two sorted sides are equal, pair by
//! pair. This loop does nothing but find out how many are.

use stocktake_core::{ClassColumn, EntryColumns};

use super::cursor::Stretch;

/// How many rows from the beginning on have, pair by pair, equal keys and equal
/// columns, and keys that ascend strictly.
///
/// [`ChangeClass::between`](stocktake_core::ChangeClass::between) finds no difference in such a pair.
#[inline]
pub(super) fn equal_rows(previous: &Stretch<'_>, current: &Stretch<'_>) -> usize {
    let (before, now) = (previous.batch.columns(), current.batch.columns());
    let mut classes = EqualClasses { before: &before.classes, now: &now.classes, known: None };
    let mut last_key: &[u8] = &[];
    let mut equal = 0;
    for (a, b) in previous.rows.clone().zip(current.rows.clone()) {
        let key = before.keys.get(a);
        let same = key == now.keys.get(b) && same_columns(before, a, now, b) && classes.same(a, b);
        if !same || (equal > 0 && key <= last_key) {
            break;
        }
        last_key = key;
        equal += 1;
    }
    equal
}

#[inline]
fn same_columns(before: &EntryColumns, a: usize, now: &EntryColumns, b: usize) -> bool {
    before.sizes[a] == now.sizes[b]
        && before.last_modified[a] == now.last_modified[b]
        && before.etags[a] == now.etags[b]
}

/// Compares classes by their codes once it is known which codes of the two dictionaries mean the same.
struct EqualClasses<'a> {
    before: &'a ClassColumn,
    now: &'a ClassColumn,
    known: Option<(u8, u8)>,
}

impl EqualClasses<'_> {
    #[inline]
    fn same(&mut self, a: usize, b: usize) -> bool {
        let codes = (self.before.code(a), self.now.code(b));
        if self.known != Some(codes) {
            if self.before.get(a) != self.now.get(b) {
                return false;
            }
            self.known = Some(codes);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use stocktake_core::{ChangeClass, Entry, EntryBatch};

    use super::*;
    use crate::compare::testing::meeting_entries;

    fn stretch(batch: &EntryBatch) -> Stretch<'_> {
        Stretch { batch, rows: 0..batch.len(), batch_number: 1 }
    }

    proptest! {
        #[test]
        fn no_pair_that_is_passed_over_differs(
            mut shared in meeting_entries(20),
            previous in meeting_entries(5),
            current in meeting_entries(5),
        ) {
            shared.sort_by(|a, b| a.key.cmp(&b.key));
            shared.dedup_by(|a, b| a.key == b.key);
            let batch = |rest: &[Entry]| EntryBatch::try_from(&[&shared[..], rest].concat()[..]).unwrap();
            let (before, now) = (batch(&previous), batch(&current));
            let equal = equal_rows(&stretch(&before), &stretch(&now));
            prop_assert!(equal >= shared.len());
            for row in 0..equal {
                let (a, b) = (before.get(row), now.get(row));
                prop_assert_eq!(a.key, b.key);
                prop_assert_eq!(ChangeClass::between(&a, &b), None);
                prop_assert!(row == 0 || before.key(row - 1) < a.key);
            }
        }
    }
}
