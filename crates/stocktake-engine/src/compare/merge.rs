//! The comparison itself: one walk along two sorted sides.
//!
//! Every change is decided here, on real keys and real columns, whichever way
//! the rows took to get here.

use std::cmp::Ordering;

use stocktake_core::{ChangeClass, ChangeCounts, Error};
use tokio_util::sync::CancellationToken;

use super::changes::ChangeWriter;
use super::cursor::{Cursor, Stop};
use super::equal::equal_rows;

/// How many keys are passed between two looks at the cancellation token.
const KEYS_BETWEEN_LOOKS: u32 = 1 << 14;

/// Writes every change from `previous` to `current` in key order, and counts the classes.
///
/// # Errors
/// [`Stop::Disorder`] as soon as a side proves not to ascend; what was written is then of no use.
pub(super) fn merge(
    mut previous: impl Cursor,
    mut current: impl Cursor,
    changes: &mut ChangeWriter,
    cancel: &CancellationToken,
) -> Result<ChangeCounts, Stop> {
    let mut counts = ChangeCounts::default();
    let mut keys = 0_u32;
    loop {
        keys = keys.wrapping_add(1);
        if keys.is_multiple_of(KEYS_BETWEEN_LOOKS) && cancel.is_cancelled() {
            return Err(Error::Cancelled.into());
        }
        pass_equal_rows(&mut previous, &mut current)?;
        let order = match (previous.key(), current.key()) {
            (None, None) => return Ok(counts),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(previous), Some(current)) => previous.cmp(current),
        };
        match order {
            Ordering::Equal => {
                let (before, now) = (previous.entry()?, current.entry()?);
                if let Some(class) = ChangeClass::between(&before, &now) {
                    counts.class_mut(class).add(now.size);
                    changes.push(class, Some(&before), Some(&now))?;
                }
                previous.advance()?;
                current.advance()?;
            }
            Ordering::Less => {
                let before = previous.entry()?;
                counts.deleted.add(before.size);
                changes.push(ChangeClass::Deleted, Some(&before), None)?;
                previous.advance()?;
            }
            Ordering::Greater => {
                let now = current.entry()?;
                counts.added.add(now.size);
                changes.push(ChangeClass::Added, None, Some(&now))?;
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
