//! Changes: how an entry differs from the parent snapshot or from another inventory.

use serde::{Deserialize, Serialize};

use crate::{Entry, EntryRef};

/// What happened to a key, or to one version of it, between two states.
///
/// # Comparing objects
/// Where current objects are compared, there are five classes: [`Added`](Self::Added),
/// [`Changed`](Self::Changed), [`MetadataChanged`](Self::MetadataChanged),
/// [`ClassChanged`](Self::ClassChanged), [`Deleted`](Self::Deleted).
///
/// # Comparing versions
/// Where all versions are compared, each change is of one version: of a key with a version
/// id, where none counts as that of the null version. What happened to it follows from
/// the version on both sides, and from the latest version of its key on both; the first
/// line that fits decides:
///
/// | The version | The latest of its key | Class |
/// | --- | --- | --- |
/// | is no longer there | | deleted |
/// | is a new delete marker | | delete marker |
/// | is a delete marker that was there | is this one, and was a live one | delete marker |
/// | is new | there was none | added |
/// | is new | is this one, and was a delete marker | recreated |
/// | is new | | version added |
/// | was there | is this one, and was a delete marker or none | recreated |
/// | was there | was this one, and there is none | delete marker |
/// | has another ETag, size, time or class | | as for objects |
///
/// The last but one is how an object is deleted in stores without delete markers. A null version that
/// was an object and is a delete marker now, or the reverse, is new. Where a key has a latest
/// version on neither side, what is new of it is a version added.
///
/// All else is no change: a version that is no longer the latest because a newer one is; one that
/// became the latest because newer ones were deleted, while the key stayed live; a delete marker
/// that is the latest on both sides, whatever its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ChangeClass {
    /// The key was not there before. Of versions: any of a key that had no latest version.
    Added,
    /// The content differs: another ETag or size.
    Changed,
    /// The same ETag and size at another time: the object was put again, perhaps with other metadata.
    MetadataChanged,
    /// Only the storage class differs.
    ClassChanged,
    /// The key is no longer there. Of versions: this one is no longer there.
    Deleted,
    /// Of versions: one that was not there before, of a key that was.
    VersionAdded,
    /// Of versions: the key was deleted, and its versions stay.
    DeleteMarker,
    /// Of versions: the key had been deleted, and has a live latest version again.
    Recreated,
}

impl ChangeClass {
    /// All classes, in the order reports show them.
    pub const ALL: [Self; 8] = [
        Self::Added,
        Self::Changed,
        Self::MetadataChanged,
        Self::ClassChanged,
        Self::Deleted,
        Self::VersionAdded,
        Self::DeleteMarker,
        Self::Recreated,
    ];

    /// The word for it in reports and exports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed => "changed",
            Self::MetadataChanged => "metadata_changed",
            Self::ClassChanged => "class_changed",
            Self::Deleted => "deleted",
            Self::VersionAdded => "version_added",
            Self::DeleteMarker => "delete_marker",
            Self::Recreated => "recreated",
        }
    }

    /// How `current` differs from `previous`, both of one key; `None` when it does not.
    ///
    /// ETag and size decide about content. Where one side has no ETag, size and
    /// time do: equal size at another time then counts as changed content, since
    /// nothing shows that it is the same. A time alone never proves that an
    /// object is unchanged, and never orders anything.
    #[inline]
    pub fn between(previous: &EntryRef<'_>, current: &EntryRef<'_>) -> Option<Self> {
        let etag_known = !previous.etag.code.is_absent() && !current.etag.code.is_absent();
        let same_time = previous.last_modified == current.last_modified;
        let same_content =
            previous.size == current.size && if etag_known { previous.etag == current.etag } else { same_time };
        if !same_content {
            Some(Self::Changed)
        } else if !same_time {
            Some(Self::MetadataChanged)
        } else if previous.class != current.class {
            Some(Self::ClassChanged)
        } else {
            None
        }
    }
}

/// One difference between two states. At least one side is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What happened.
    pub class: ChangeClass,
    /// The entry now; `None` when it is no longer there.
    pub current: Option<Entry>,
    /// The entry before; `None` when it was not there.
    pub previous: Option<Entry>,
}

impl Change {
    /// The entry now, or else the one before.
    pub fn entry(&self) -> &Entry {
        self.current.as_ref().or(self.previous.as_ref()).expect("a change has a side")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;

    fn entry(size: u64, modified: i64, etag: &str, class: &str) -> Entry {
        let entry = Entry::new("k", size, Timestamp::from_millis(modified)).with_class(class);
        if etag.is_empty() { entry } else { entry.with_etag(etag) }
    }

    #[test]
    fn etag_and_size_decide_before_time_and_class() {
        use ChangeClass::*;
        let before = entry(3, 10, "a", "STANDARD");
        let cases = [
            (entry(3, 10, "a", "STANDARD"), None),
            (entry(3, 10, "b", "STANDARD"), Some(Changed)),
            (entry(4, 10, "a", "STANDARD"), Some(Changed)),
            (entry(3, 11, "a", "STANDARD"), Some(MetadataChanged)),
            (entry(3, 9, "a", "GLACIER"), Some(MetadataChanged)),
            (entry(3, 10, "a", "GLACIER"), Some(ClassChanged)),
            (entry(3, 10, "", "STANDARD"), None),
            (entry(3, 11, "", "STANDARD"), Some(Changed)),
        ];
        for (after, expected) in cases {
            assert_eq!(ChangeClass::between(&before.as_ref(), &after.as_ref()), expected, "{after:?}");
        }
    }
}
