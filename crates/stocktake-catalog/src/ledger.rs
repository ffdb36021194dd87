//! Books of what changes: what each fence holds, before a layer is written.
//!
//! A job says of every change what was there before. So number, bytes and state
//! sum of each fence are carried on without reading a row of the parent, and
//! stand as a claim that later rewrites and checks must meet.

use stocktake_core::{Error, ObjectKey, Result, RowBatch, RowDelta, RowRef};
use stocktake_format::{Fence, Root, VaultKey};

use crate::sum::RowSum;

/// The fences of the snapshot to be, and the changes counted in them.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) fences: Vec<Fence>,
    /// Rows put and keys deleted so far.
    pub(crate) changed: u64,
    /// The fence of the last key.
    cursor: usize,
}

/// One change, in key order.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change<'a> {
    Put(RowRef<'a>),
    Delete(&'a [u8]),
}

impl Change<'_> {
    fn key(&self) -> &[u8] {
        match self {
            Self::Put(row) => row.entry.key,
            Self::Delete(key) => key,
        }
    }
}

impl Ledger {
    /// The books of a job that builds on `parent`.
    pub(crate) fn new(parent: &Root) -> Self {
        let mut fences = parent.fences.clone();
        if fences.is_empty() {
            fences.push(Fence::default());
        }
        Self { fences, changed: 0, cursor: 0 }
    }

    /// Enters a change, and what the parent has of its key.
    pub(crate) fn enter(&mut self, key: &VaultKey, change: Change<'_>, previous: Option<RowRef<'_>>) -> Result<()> {
        let object = change.key();
        while self.fences.get(self.cursor + 1).is_some_and(|next| next.low.as_bytes() <= object) {
            self.cursor += 1;
        }
        let fence = &mut self.fences[self.cursor];
        let mut sum = RowSum { tally: fence.live, sum: fence.sum };
        if let Some(previous) = previous {
            let removed = sum.remove(key, &previous);
            removed.ok_or_else(|| wrong(object, "is said to have had a row that the parent can't have"))?;
        }
        match change {
            Change::Put(row) => sum.add(key, &row),
            Change::Delete(_) if previous.is_none() => return Err(wrong(object, "is deleted, but was not there")),
            Change::Delete(_) => {}
        }
        (fence.live, fence.sum) = (sum.tally, sum.sum);
        fence.pending += 1;
        self.changed += 1;
        Ok(())
    }
}

/// The changes of a delta in key order, each with the parent's row.
///
/// # Errors
/// When keys don't ascend strictly, are both put and deleted, or a row of the parent belongs to no change.
pub(crate) fn in_order<'a>(delta: &'a RowDelta) -> Result<Vec<(Change<'a>, Option<RowRef<'a>>)>> {
    let RowDelta { puts, deletes, previous } = delta;
    let ascending = |rows: &RowBatch| rows.entries().is_strictly_ascending();
    if !ascending(puts) || !ascending(previous) || !deletes.iter().is_sorted_by(|a, b| a < b) {
        return Err(Error::invalid("the keys of a delta do not ascend strictly"));
    }
    let (mut puts, mut deletes, mut previous) =
        (puts.iter().peekable(), deletes.iter().peekable(), previous.iter().peekable());
    let mut changes = Vec::with_capacity(puts.len() + deletes.len());
    loop {
        let put_key = puts.peek().map(|put| put.entry.key);
        let delete_key = deletes.peek().copied();
        let change = match (put_key, delete_key) {
            (Some(put), Some(delete)) if put == delete => return Err(wrong(put, "is both put and deleted")),
            (Some(put), delete) if delete.is_none_or(|delete| put < delete) => puts.next().map(Change::Put),
            _ => deletes.next().map(Change::Delete),
        };
        let Some(change) = change else { break };
        let before = previous.next_if(|row| row.entry.key == change.key());
        changes.push((change, before));
    }
    match previous.next() {
        Some(row) => Err(wrong(row.entry.key, "has a previous row, but does not change")),
        None => Ok(changes),
    }
}

fn wrong(key: &[u8], problem: &str) -> Error {
    Error::invalid(format!("key {} {problem}", ObjectKey::from(key)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use stocktake_core::Tally;
    use stocktake_format::VaultId;
    use stocktake_testkit::states::{batch, difference, state};

    fn enter(ledger: &mut Ledger, before: &str, after: &str) -> Result<()> {
        let key = VaultKey::unencrypted(VaultId([1; 16]));
        let delta = difference(&state(before), &state(after));
        in_order(&delta)?.into_iter().try_for_each(|(change, previous)| ledger.enter(&key, change, previous))
    }

    #[test]
    fn fences_add_up_whatever_the_way() {
        let mut one = Ledger::new(&Root::empty());
        enter(&mut one, "", "a=1 b=2").unwrap();
        let mut two = Ledger::new(&Root::empty());
        enter(&mut two, "", "b=7 c=1").unwrap();
        two.cursor = 0;
        enter(&mut two, "b=7 c=1", "a=1 b=2").unwrap();
        let [one, two] =
            [one, two].map(|ledger| (ledger.fences[0].live, ledger.fences[0].sum, ledger.fences[0].pending));
        assert_eq!((one.0, one.1), (two.0, two.1));
        assert_eq!((one.0, one.2, two.2), (Tally { objects: 2, bytes: 3 }, 2, 5));
    }

    #[test]
    fn contradictions_are_refused() {
        let mut ledger = Ledger::new(&Root::empty());
        assert!(enter(&mut ledger, "a=1", "").is_err());
        let twice =
            RowDelta { puts: batch(state("a=1")), deletes: [&b"a"[..]].into_iter().collect(), ..RowDelta::default() };
        assert!(in_order(&twice).is_err());
        let stray = RowDelta { puts: batch(state("b=1")), previous: batch(state("a=1")), ..RowDelta::default() };
        assert!(in_order(&stray).is_err());
    }
}
