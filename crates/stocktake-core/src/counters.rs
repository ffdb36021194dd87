//! Counts of objects, bytes and requests.

use std::iter::Sum;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use crate::ChangeClass;

/// A number of objects and of their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Objects.
    pub objects: u64,
    /// Bytes. Wide, because the sizes in a report may add up to more than 64 bits.
    pub bytes: u128,
}

impl Tally {
    /// One object of `bytes` bytes.
    pub fn one(bytes: u64) -> Self {
        Self { objects: 1, bytes: u128::from(bytes) }
    }

    /// Counts one more object.
    pub fn add(&mut self, bytes: u64) {
        *self += Self::one(bytes);
    }
}

impl AddAssign for Tally {
    /// Stops at the greatest numbers there are, which only a damaged record can reach.
    fn add_assign(&mut self, other: Self) {
        self.objects = self.objects.saturating_add(other.objects);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

impl Sum for Tally {
    fn sum<I: Iterator<Item = Self>>(tallies: I) -> Self {
        tallies.fold(Self::default(), |mut sum, tally| {
            sum += tally;
            sum
        })
    }
}

/// What a comparison found, by class.
///
/// The bytes of a deleted object are those it had; of all others, those it has now.
/// Where versions are compared, each version and each delete marker counts as an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChangeCounts {
    /// Everything in the current state.
    pub scanned: Tally,
    /// Neither content, time nor class differs.
    pub unchanged: Tally,
    /// [`ChangeClass::Added`].
    pub added: Tally,
    /// [`ChangeClass::Changed`].
    pub changed: Tally,
    /// [`ChangeClass::MetadataChanged`].
    pub metadata_changed: Tally,
    /// [`ChangeClass::ClassChanged`].
    pub class_changed: Tally,
    /// [`ChangeClass::Deleted`].
    pub deleted: Tally,
    /// [`ChangeClass::VersionAdded`].
    pub version_added: Tally,
    /// [`ChangeClass::DeleteMarker`].
    pub delete_marker: Tally,
    /// [`ChangeClass::Recreated`].
    pub recreated: Tally,
    /// Rows left out because their key, or their version of it, came twice; of two that differ, the later one was kept.
    pub duplicate_rows: u64,
    /// Versions said to be the latest of their key, beside a newer one of which the same was said. The
    /// newest was taken for the latest. Counted where versions are compared.
    pub latest_conflicts: u64,
    /// Rows left out because their key lies outside the source path.
    pub outside_rows: u64,
}

impl ChangeCounts {
    /// The tally of one class.
    pub fn class(&self, class: ChangeClass) -> Tally {
        match class {
            ChangeClass::Added => self.added,
            ChangeClass::Changed => self.changed,
            ChangeClass::MetadataChanged => self.metadata_changed,
            ChangeClass::ClassChanged => self.class_changed,
            ChangeClass::Deleted => self.deleted,
            ChangeClass::VersionAdded => self.version_added,
            ChangeClass::DeleteMarker => self.delete_marker,
            ChangeClass::Recreated => self.recreated,
        }
    }

    /// The tally of one class, to count in.
    pub fn class_mut(&mut self, class: ChangeClass) -> &mut Tally {
        match class {
            ChangeClass::Added => &mut self.added,
            ChangeClass::Changed => &mut self.changed,
            ChangeClass::MetadataChanged => &mut self.metadata_changed,
            ChangeClass::ClassChanged => &mut self.class_changed,
            ChangeClass::Deleted => &mut self.deleted,
            ChangeClass::VersionAdded => &mut self.version_added,
            ChangeClass::DeleteMarker => &mut self.delete_marker,
            ChangeClass::Recreated => &mut self.recreated,
        }
    }

    /// Everything that differs.
    pub fn differing(&self) -> Tally {
        ChangeClass::ALL.iter().map(|class| self.class(*class)).sum()
    }
}

/// Requests sent to stores, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RequestCounts {
    /// GET on the source.
    pub source_get: u64,
    /// HEAD on the source.
    pub source_head: u64,
    /// LIST on the source.
    pub source_list: u64,
    /// PUT on the vault.
    pub vault_put: u64,
    /// GET on the vault.
    pub vault_get: u64,
    /// HEAD on the vault.
    pub vault_head: u64,
    /// LIST on the vault: one for each listing, however many pages it took.
    pub vault_list: u64,
    /// DELETE on the vault.
    pub vault_delete: u64,
    /// HEAD on the target.
    pub target_head: u64,
    /// PUT on the target.
    pub target_put: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_stop_at_the_greatest_number() {
        let most = Tally { objects: u64::MAX, bytes: u128::MAX };
        assert_eq!([most, Tally::one(1)].into_iter().sum::<Tally>(), most);
    }
}
