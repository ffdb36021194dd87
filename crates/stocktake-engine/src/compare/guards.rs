//! Guards: when a change is too large to be taken for granted.
//!
//! A source that was emptied or encrypted by mistake or malice looks like any
//! other day's changes, only larger. So shares are held against limits before
//! anything is copied or committed, and a person has to say that it is meant.

use serde::{Deserialize, Serialize};
use stocktake_core::{ChangeCounts, Error, Result, Tally};

/// Limits of what a job takes for granted. Shares are fractions of the parent's objects, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Guards {
    /// Largest share of objects that may be deleted; default 0.5.
    pub max_deleted: f64,
    /// Largest share of objects whose content may change; default 0.5.
    pub max_changed: f64,
    /// Largest growth in objects or bytes, as a fraction of the parent's; default none.
    pub max_growth: Option<f64>,
    /// Largest share of bytes that may go, whether objects are deleted or get smaller; default none.
    pub max_bytes_lost: Option<f64>,
    /// Parents with fewer objects than this are not held against shares; default 100.
    pub min_objects: u64,
    /// Go past all guards; default no.
    pub allow_mass_change: bool,
}

impl Default for Guards {
    fn default() -> Self {
        Self {
            max_deleted: 0.5,
            max_changed: 0.5,
            max_growth: None,
            max_bytes_lost: None,
            min_objects: 100,
            allow_mass_change: false,
        }
    }
}

impl Guards {
    /// The same limits with another share of deletions.
    #[must_use]
    pub fn with_max_deleted(mut self, share: f64) -> Self {
        self.max_deleted = share;
        self
    }

    /// The same limits with another share of changed objects.
    #[must_use]
    pub fn with_max_changed(mut self, share: f64) -> Self {
        self.max_changed = share;
        self
    }

    /// The same limits, in force or not.
    #[must_use]
    pub fn with_allow_mass_change(mut self, allow: bool) -> Self {
        self.allow_mass_change = allow;
        self
    }

    /// Holds a full backup against the limits where its source had a snapshot before, which it is not compared
    /// with: what is fewer now is taken for deleted.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn check_totals(&self, scanned: &Tally, last: &Tally) -> Result<()> {
        let gone = last.objects.saturating_sub(scanned.objects);
        let deleted = Tally { objects: gone, bytes: last.bytes.saturating_sub(scanned.bytes) };
        self.check(&ChangeCounts { scanned: *scanned, deleted, ..ChangeCounts::default() }, last)
    }

    /// Holds the counts of a comparison against the limits; `parent` is everything in the previous state.
    ///
    /// An empty current state after one that was not is refused whatever the number of objects.
    ///
    /// # Errors
    /// [`GuardMassChange`](Error::GuardMassChange) with the numbers.
    pub fn check(&self, counts: &ChangeCounts, parent: &Tally) -> Result<()> {
        if self.allow_mass_change || parent.objects == 0 {
            return Ok(());
        }
        if counts.scanned.objects == 0 {
            return Err(tripped(format!(
                "the current state is empty, the previous one has {} objects",
                parent.objects
            )));
        }
        if parent.objects < self.min_objects {
            return Ok(());
        }
        let objects = |verb, count, share| within(verb, count, parent.objects.into(), "objects", share);
        objects("deleted", counts.deleted.objects.into(), self.max_deleted)?;
        objects("changed", counts.changed.objects.into(), self.max_changed)?;
        let (now, before) = (counts.scanned, *parent);
        if let Some(share) = self.max_growth {
            let grown = u128::from(now.objects.saturating_sub(before.objects));
            objects("new", grown, share)?;
            within("new", now.bytes.saturating_sub(before.bytes), before.bytes, "bytes", share)?;
        }
        if let Some(share) = self.max_bytes_lost {
            within("gone", before.bytes.saturating_sub(now.bytes), before.bytes, "bytes", share)?;
        }
        Ok(())
    }
}

fn within(verb: &str, count: u128, whole: u128, unit: &str, share: f64) -> Result<()> {
    if count as f64 <= whole as f64 * share {
        return Ok(());
    }
    let (actual, limit) = (100.0 * count as f64 / whole as f64, 100.0 * share);
    Err(tripped(format!("{count} of {whole} {unit} are {verb}, {actual:.1} %; the limit is {limit:.1} %")))
}

fn tripped(problem: String) -> Error {
    Error::GuardMassChange { problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(objects: u64) -> Tally {
        Tally { objects, bytes: u128::from(objects) * 10 }
    }

    fn counts(scanned: u64, changed: u64, deleted: u64) -> ChangeCounts {
        ChangeCounts {
            scanned: tally(scanned),
            changed: tally(changed),
            deleted: tally(deleted),
            ..ChangeCounts::default()
        }
    }

    fn trips(guards: Guards, counts: ChangeCounts, parent: u64) -> bool {
        guards.check(&counts, &tally(parent)).is_err()
    }

    #[test]
    fn more_than_half_deleted_or_changed_trips_from_100_objects_on() {
        let guards = Guards::default();
        assert!(!trips(guards, counts(50, 0, 50), 100));
        assert!(trips(guards, counts(49, 0, 51), 100));
        assert!(!trips(guards, counts(100, 50, 0), 100));
        assert!(trips(guards, counts(100, 51, 0), 100));
        assert!(!trips(guards, counts(1, 1, 98), 99));
    }

    #[test]
    fn an_empty_state_trips_at_any_size_unless_the_parent_was_empty() {
        assert!(trips(Guards::default(), counts(0, 0, 1), 1));
        assert!(!trips(Guards::default(), counts(0, 0, 0), 0));
    }

    #[test]
    fn growth_and_lost_bytes_are_held_to_limits_where_set() {
        let guards = Guards { max_growth: Some(1.0), max_bytes_lost: Some(0.1), ..Guards::default() };
        assert!(!trips(guards, counts(200, 0, 0), 100));
        assert!(trips(guards, counts(201, 0, 0), 100));
        assert!(trips(guards, counts(89, 0, 0), 100));
    }

    #[test]
    fn a_full_backup_is_held_against_what_there_was() {
        let trips = |scanned, last| Guards::default().check_totals(&tally(scanned), &tally(last)).is_err();
        assert!(trips(0, 1) && trips(49, 100));
        assert!(!trips(50, 100) && !trips(200, 100) && !trips(0, 0));
    }

    #[test]
    fn a_person_can_go_past() {
        let guards = Guards::default().with_allow_mass_change(true);
        assert!(!trips(guards, counts(0, 0, 1000), 1000));
    }

    #[test]
    fn the_message_holds_the_numbers() {
        let error = Guards::default().check(&counts(10, 0, 990), &tally(1000)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "stopped by a guard: 990 of 1000 objects are deleted, 99.0 %; the limit is 50.0 %"
        );
    }
}
