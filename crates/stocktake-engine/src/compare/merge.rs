//! The comparison itself: one walk along two sorted sides.
//!
//! Every change is decided here, on real keys and real columns, whichever way
//! the rows took to get here: by a judge of [objects](ObjectJudge) or of [versions](super::versions).

use std::cmp::Ordering;

use stocktake_core::{ChangeClass, ChangeCounts, EntryRef, Error, Result};
use tokio_util::sync::CancellationToken;

use super::changes::ChangeWriter;
use super::cursor::{Cursor, Stop};
use super::equal::equal_rows;

/// How many keys are passed between two looks at the cancellation token.
const KEYS_BETWEEN_LOOKS: u32 = 1 << 14;

/// Says what happened to a key, or to whatever rows are brought together by.
pub(super) trait Judge {
    /// Takes what each side has of a key, in ascending order of keys; one side has something. Of rows that
    /// are equal on both sides, most never get here.
    fn judge(&mut self, previous: Option<&EntryRef<'_>>, current: Option<&EntryRef<'_>>) -> Result<()>;
}

/// Writes changes of objects, and counts them.
#[derive(Debug)]
pub(super) struct ObjectJudge {
    pub(super) counts: ChangeCounts,
    pub(super) changes: ChangeWriter,
}

impl Judge for ObjectJudge {
    #[inline]
    fn judge(&mut self, previous: Option<&EntryRef<'_>>, current: Option<&EntryRef<'_>>) -> Result<()> {
        let (class, size) = match (previous, current) {
            (Some(before), Some(now)) => match ChangeClass::between(before, now) {
                Some(class) => (class, now.size),
                None => return Ok(()),
            },
            (Some(before), None) => (ChangeClass::Deleted, before.size),
            (None, Some(now)) => (ChangeClass::Added, now.size),
            (None, None) => return Ok(()),
        };
        self.counts.class_mut(class).add(size);
        self.changes.push(class, previous, current)
    }
}

/// Hands to `judge` every key of both sides, or of one, that may have changed.
///
/// # Errors
/// [`Stop::Disorder`] as soon as a side proves not to ascend; what was concluded is then of no use.
pub(super) fn merge(
    mut previous: impl Cursor,
    mut current: impl Cursor,
    judge: &mut impl Judge,
    cancel: &CancellationToken,
) -> Result<(), Stop> {
    let mut keys = 0_u32;
    loop {
        keys = keys.wrapping_add(1);
        if keys.is_multiple_of(KEYS_BETWEEN_LOOKS) && cancel.is_cancelled() {
            return Err(Error::Cancelled.into());
        }
        pass_equal_rows(&mut previous, &mut current)?;
        let order = match (previous.key(), current.key()) {
            (None, None) => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(previous), Some(current)) => previous.cmp(current),
        };
        match order {
            Ordering::Equal => {
                judge.judge(Some(&previous.entry()?), Some(&current.entry()?))?;
                previous.advance()?;
                current.advance()?;
            }
            Ordering::Less => {
                judge.judge(Some(&previous.entry()?), None)?;
                previous.advance()?;
            }
            Ordering::Greater => {
                judge.judge(None, Some(&current.entry()?))?;
                current.advance()?;
            }
        }
    }
}

/// Jumps to the last of the rows that are equal on both sides from here on, as far as they are in memory.
#[inline]
fn pass_equal_rows(previous: &mut impl Cursor, current: &mut impl Cursor) -> Result<(), Stop> {
    let (Some(before), Some(now)) = (previous.stretch(), current.stretch()) else { return Ok(()) };
    let equal = equal_rows(&before, &now);
    if equal > 1 {
        previous.jump(equal - 1)?;
        current.jump(equal - 1)?;
    }
    Ok(())
}
