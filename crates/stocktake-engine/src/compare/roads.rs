//! The road a comparison takes.
//!
//! Sides that ascend are merged as they are read. Where one does not, it is
//! brought into order first. That a side ascends is found out by reading it, so
//! the first attempt may prove void: what it concluded is thrown away and the
//! side is sorted. Whatever the road, the changes are decided by the same merge.

use stocktake_core::{ChangeCounts, Error, Result, Tally};
use tokio_util::sync::CancellationToken;

use super::changes::{ChangeSet, ChangeWriter, CompareWork};
use super::cursor::{Cursor, Stop};
use super::input::{Ascending, Input};
use super::merge::merge;
use super::meter::SideTally;
use super::options::Limits;
use super::scratch::Scratch;
use super::side::Side;
use super::sort::{Sorted, Sorter};
use super::spool::{Spool, SpoolWriter};

/// A comparison under way, on a worker thread.
#[derive(Debug)]
pub(super) struct Comparison {
    pub(super) previous: Input,
    pub(super) current: Input,
    pub(super) limits: Limits,
    pub(super) scratch: Scratch,
    pub(super) cancel: CancellationToken,
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
        let (mut previous, mut current) = self.on_both(|input| self.look(input), |input| self.look(input))?;
        for restarts in 0.. {
            (previous, current) =
                self.on_both(|input| self.in_order(input, previous), |input| self.in_order(input, current))?;
            let tallies = (self.previous.meter.tally(), self.current.meter.tally());
            match self.merge(&previous, &current) {
                Ok((counts, changes)) => return Ok(self.change_set(counts, changes, restarts)),
                Err(Stop::Failed(error)) => return Err(error),
                Err(Stop::Disorder) => {
                    self.previous.meter.restore(tallies.0);
                    self.current.meter.restore(tallies.1);
                }
            }
            (previous, current) = self.doubt(previous, current)?;
        }
        unreachable!("after one restart every inventory is sorted")
    }

    /// What the beginning of a side tells of its order.
    fn look(&self, input: &Input) -> Result<Order> {
        let ascending = if input.side.is_repeatable() { input.look()? } else { None };
        Ok(ascending.map_or(Order::Unknown, Order::Ascending))
    }

    /// Sorts a side that may need it.
    fn in_order(&self, input: &Input, order: Order) -> Result<Order> {
        let Order::Unknown = order else { return Ok(order) };
        let mut sorter = Sorter::new(self.scratch.clone(), self.limits.sort, input.meter.clone(), self.cancel.clone());
        input.for_each_batch(|batch| batch.iter().try_for_each(|entry| sorter.push(&entry)))?;
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

    fn merge(&self, previous: &Order, current: &Order) -> Result<(ChangeCounts, Spool), Stop> {
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

    fn merge_cursors(&self, previous: impl Cursor, current: impl Cursor) -> Result<(ChangeCounts, Spool), Stop> {
        let mut changes = ChangeWriter::new(SpoolWriter::new(self.scratch.clone(), self.limits.changes));
        let counts = merge(previous, current, &mut changes, &self.cancel)?;
        Ok((counts, changes.finish()?))
    }

    fn change_set(&self, classes: ChangeCounts, changes: Spool, restarts: u32) -> ChangeSet {
        let (previous, current) = (self.previous.meter.tally(), self.current.meter.tally());
        let work = CompareWork {
            spilled_bytes: self.scratch.written(),
            restarts,
            matched_by_hash: false,
            filtered_rows: previous.filtered + current.filtered,
        };
        ChangeSet::new(all_counts(classes, &previous, &current), work, changes)
    }

    /// Does `a` with the previous side and `b` with the current one at once. A failure of either stops the other.
    fn on_both<T: Send>(
        &self,
        a: impl FnOnce(&Input) -> Result<T> + Send,
        b: impl FnOnce(&Input) -> Result<T>,
    ) -> Result<(T, T)> {
        let guarded = |result: Result<T>| result.inspect_err(|_| self.cancel.cancel());
        let (a, b) = std::thread::scope(|threads| {
            let a = threads.spawn(|| guarded(a(&self.previous)));
            let b = guarded(b(&self.current));
            (a.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), b)
        });
        match (a, b) {
            (Ok(a), Ok(b)) => Ok((a, b)),
            // The one that was stopped by the other says no more than that.
            (Err(Error::Cancelled), Err(error)) | (Err(error), _) | (_, Err(error)) => Err(error),
        }
    }
}

/// The classes as counted, and what follows from them: all that was scanned and is in no class is unchanged.
fn all_counts(classes: ChangeCounts, previous: &SideTally, current: &SideTally) -> ChangeCounts {
    let scanned = minus(current.rows, current.duplicates);
    let differing = [classes.added, classes.changed, classes.metadata_changed, classes.class_changed];
    ChangeCounts {
        scanned,
        unchanged: minus(scanned, differing.into_iter().sum()),
        duplicate_rows: previous.duplicates.objects + current.duplicates.objects,
        outside_rows: previous.outside + current.outside,
        ..classes
    }
}

fn minus(whole: Tally, part: Tally) -> Tally {
    Tally { objects: whole.objects - part.objects, bytes: whole.bytes - part.bytes }
}
