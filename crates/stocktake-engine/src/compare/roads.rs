//! The road a comparison takes.
//!
//! Sides that ascend are merged as they are read. Where one does not, the rows
//! that may differ are found by hash and only they are sorted; where that can't
//! be done, since there is one side only or one that can't be read twice, the
//! whole side is. That a side ascends is found out by reading it, so the first
//! attempt may prove void: what it concluded is thrown away and another road
//! taken. Whatever the road, the changes are decided by the same merge.

use stocktake_core::{ChangeClass, ChangeCounts, Error, InventoryVersions, Result, Tally};
use tokio_util::sync::CancellationToken;

use super::changes::{ChangeSet, ChangeWriter, CompareWork};
use super::cursor::{Cursor, Stop};
use super::digest::Digester;
use super::input::{Ascending, Input};
use super::merge::{ObjectJudge, merge};
use super::meter::SideTally;
use super::options::Limits;
use super::scratch::Scratch;
use super::side::Side;
use super::sort::Sorted;
use super::spool::{Spool, SpoolWriter};
use super::versions::VersionJudge;

/// A comparison under way, on a worker thread.
#[derive(Debug)]
pub(super) struct Comparison {
    pub(super) previous: Input,
    pub(super) current: Input,
    pub(super) limits: Limits,
    pub(super) digester: Digester,
    pub(super) scratch: Scratch,
    pub(super) cancel: CancellationToken,
    /// What is compared.
    pub(super) versions: InventoryVersions,
}

/// What is known of the order of a side.
#[derive(Debug)]
enum Order {
    Ascending(Ascending),
    Unknown,
    Sorted(Sorted),
}

impl Comparison {
    pub(super) fn run(&self) -> Result<ChangeSet> {
        let (mut previous, mut current) = self.at_once(|| self.look(&self.previous), || self.look(&self.current))?;
        for restarts in 0.. {
            let unordered = matches!(previous, Order::Unknown) || matches!(current, Order::Unknown);
            let by_hash = unordered && self.can_match();
            if by_hash {
                let Some((before, now)) = self.differing_rows()? else { return self.no_changes(restarts) };
                (previous, current) = (Order::Sorted(before), Order::Sorted(now));
            }
            (previous, current) =
                self.at_once(|| self.in_order(&self.previous, previous), || self.in_order(&self.current, current))?;
            let tallies = (self.previous.meter.tally(), self.current.meter.tally());
            match self.merge(&previous, &current) {
                Ok(found) => return Ok(self.change_set(found, restarts, by_hash)),
                Err(Stop::Failed(error)) => return Err(error),
                Err(Stop::Disorder) => {
                    self.previous.meter.restore(tallies.0);
                    self.current.meter.restore(tallies.1);
                }
            }
            (previous, current) = self.doubt(previous, current)?;
        }
        unreachable!("after one restart no inventory is taken for ascending")
    }

    /// Whether there are two sides, and both can be read twice.
    fn can_match(&self) -> bool {
        let sides = [&self.previous.side, &self.current.side];
        sides.iter().all(|side| !matches!(side, Side::Nothing) && side.is_repeatable())
    }

    /// What the beginning of a side tells of its order.
    fn look(&self, input: &Input) -> Result<Order> {
        let ascending = if input.side.is_repeatable() { input.look()? } else { None };
        Ok(ascending.map_or(Order::Unknown, Order::Ascending))
    }

    /// Sorts a side that may need it.
    fn in_order(&self, input: &Input, order: Order) -> Result<Order> {
        let Order::Unknown = order else { return Ok(order) };
        let mut sorter = self.sorter(input);
        // Part after part: rows that come in order become one run.
        input.for_each_batch(1, |batch| batch.iter().try_for_each(|entry| sorter.push(&entry)))?;
        Ok(Order::Sorted(sorter.finish()?))
    }

    /// After disorder: inventories that were taken for ascending no longer are.
    fn doubt(&self, previous: Order, current: Order) -> Result<(Order, Order)> {
        let doubt = |input: &Input, order| match (&input.side, order) {
            (Side::Inventory(_), Order::Ascending(_)) => (Order::Unknown, true),
            (_, order) => (order, false),
        };
        let (previous, doubted_previous) = doubt(&self.previous, previous);
        let (current, doubted_current) = doubt(&self.current, current);
        if doubted_previous || doubted_current {
            Ok((previous, current))
        } else {
            Err(Error::invalid("the rows of a snapshot do not ascend, against the contract of its catalog"))
        }
    }

    fn merge(&self, previous: &Order, current: &Order) -> Result<Found, Stop> {
        let walk = |input: &Input, parts| input.walk(parts, self.limits.open_parts);
        match (previous, current) {
            (Order::Ascending(previous), Order::Ascending(current)) => {
                self.merge_cursors(walk(&self.previous, previous)?, walk(&self.current, current)?)
            }
            (Order::Ascending(previous), Order::Sorted(current)) => {
                self.merge_cursors(walk(&self.previous, previous)?, current.cursor()?)
            }
            (Order::Sorted(previous), Order::Ascending(current)) => {
                self.merge_cursors(previous.cursor()?, walk(&self.current, current)?)
            }
            (Order::Sorted(previous), Order::Sorted(current)) => {
                self.merge_cursors(previous.cursor()?, current.cursor()?)
            }
            (Order::Unknown, _) | (_, Order::Unknown) => Err(Stop::Disorder),
        }
    }

    fn merge_cursors(&self, previous: impl Cursor, current: impl Cursor) -> Result<Found, Stop> {
        let (classes, changes) = match self.versions {
            InventoryVersions::Current => {
                let mut judge = ObjectJudge { counts: ChangeCounts::default(), changes: self.change_writer() };
                merge(previous, current, &mut judge, &self.cancel)?;
                (judge.counts, judge.changes)
            }
            InventoryVersions::All => {
                let mut judge = VersionJudge::new(self.change_writer());
                merge(previous, current, &mut judge, &self.cancel)?;
                judge.finish()?
            }
        };
        Ok(Found { classes, changes: changes.finish()? })
    }

    fn change_writer(&self) -> ChangeWriter {
        ChangeWriter::new(SpoolWriter::new(self.scratch.clone(), self.limits.changes))
    }

    fn no_changes(&self, restarts: u32) -> Result<ChangeSet> {
        let found = Found { classes: ChangeCounts::default(), changes: self.change_writer().finish()? };
        Ok(self.change_set(found, restarts, true))
    }

    fn change_set(&self, found: Found, restarts: u32, matched_by_hash: bool) -> ChangeSet {
        let (previous, current) = (self.previous.meter.tally(), self.current.meter.tally());
        let work = CompareWork {
            spilled_bytes: self.scratch.written(),
            restarts,
            matched_by_hash,
            filtered_rows: previous.filtered + current.filtered,
        };
        ChangeSet::new(all_counts(found.classes, &previous, &current), self.versions, work, found.changes)
    }

    pub(super) fn stop_if_cancelled(&self) -> Result<()> {
        if self.cancel.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// Does two things on two threads. A failure of either stops the other.
    pub(super) fn at_once<T: Send>(
        &self,
        a: impl FnOnce() -> Result<T> + Send,
        b: impl FnOnce() -> Result<T>,
    ) -> Result<(T, T)> {
        let guarded = |result: Result<T>| result.inspect_err(|_| self.cancel.cancel());
        let (a, b) = std::thread::scope(|threads| {
            let a = threads.spawn(|| guarded(a()));
            let b = guarded(b());
            (a.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), b)
        });
        match (a, b) {
            (Ok(a), Ok(b)) => Ok((a, b)),
            // The one that was stopped by the other says no more than that.
            (Err(Error::Cancelled), Err(error)) | (Err(error), _) | (_, Err(error)) => Err(error),
        }
    }
}

/// What a merge found.
struct Found {
    classes: ChangeCounts,
    changes: Spool,
}

/// The classes as counted, and what follows from them: all that was scanned and is in no class is unchanged.
fn all_counts(classes: ChangeCounts, previous: &SideTally, current: &SideTally) -> ChangeCounts {
    let scanned = minus(current.rows, current.duplicates.rows);
    // All others have an entry on the current side.
    let differing = ChangeClass::ALL.into_iter().filter(|class| *class != ChangeClass::Deleted);
    ChangeCounts {
        scanned,
        unchanged: minus(scanned, differing.map(|class| classes.class(class)).sum()),
        duplicate_rows: previous.duplicates.rows.objects + current.duplicates.rows.objects,
        latest_conflicts: previous.duplicates.latest_conflicts() + current.duplicates.latest_conflicts(),
        outside_rows: previous.outside + current.outside,
        ..classes
    }
}

fn minus(whole: Tally, part: Tally) -> Tally {
    Tally { objects: whole.objects - part.objects, bytes: whole.bytes - part.bytes }
}
