//! What the file system says of a file, and the entity tag made of it.
//!
//! The tag is the time of modification in nanoseconds and the inode, each as 16
//! hex digits, and a `-1`. That shape packs into 18 bytes like the tags of
//! buckets do, and the dash keeps it from being taken for an MD5. The size
//! stands beside it in every entry and is compared there.

use rustix::fs::{FileType, Stat};
use stocktake_core::{ETag, Entry, Timestamp};

/// Storage class that files are shown with.
pub(crate) const CLASS: &str = "STANDARD";

/// Identity, time and size of one file, at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) kind: FileType,
    pub(crate) size: u64,
    modified_nanos: i64,
    inode: u64,
}

impl Facts {
    pub(crate) fn is_file(&self) -> bool {
        self.kind == FileType::RegularFile
    }

    pub(crate) fn last_modified(&self) -> Timestamp {
        Timestamp::from_millis(self.modified_nanos.div_euclid(1_000_000))
    }

    pub(crate) fn etag(&self) -> ETag {
        ETag::new(&format!("{:016x}{:016x}-1", self.modified_nanos, self.inode))
    }

    /// Whether the file is the version that `entry` describes. No file has a version id.
    pub(crate) fn are_of(&self, entry: &Entry) -> bool {
        let same_version = match (&entry.version, &entry.etag) {
            (Some(_), _) => false,
            (None, Some(etag)) => etag.code() == self.etag().code(),
            (None, None) => entry.last_modified == self.last_modified(),
        };
        same_version && entry.size == self.size
    }
}

impl From<Stat> for Facts {
    fn from(stat: Stat) -> Self {
        // The fields' types differ between platforms; all values fit.
        let (seconds, nanos): (i64, i64) = (stat.st_mtime as _, stat.st_mtime_nsec as _);
        Self {
            kind: FileType::from_raw_mode(stat.st_mode as _),
            size: stat.st_size as _,
            modified_nanos: seconds.saturating_mul(1_000_000_000).saturating_add(nanos),
            inode: stat.st_ino as _,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: Facts =
        Facts { kind: FileType::RegularFile, size: 3, modified_nanos: 1_750_000_000_123_456_789, inode: 42 };

    #[test]
    fn the_tag_packs_and_is_not_shaped_like_an_md5() {
        let code = FACTS.etag().code();
        assert!(!code.is_text() && code.md5_shaped().is_none());
        assert_eq!(code.text().as_deref(), Some(FACTS.etag().as_str()));
    }

    #[test]
    fn times_before_1970_round_down_and_have_tags() {
        let facts = Facts { modified_nanos: -1, ..FACTS };
        assert_eq!(facts.last_modified(), Timestamp::from_millis(-1));
        assert!(!facts.etag().code().is_text());
    }

    #[test]
    fn tag_and_size_both_decide() {
        let entry = Entry::new("a", 3, FACTS.last_modified()).with_etag(FACTS.etag());
        assert!(FACTS.are_of(&entry));
        assert!(!Facts { size: 4, ..FACTS }.are_of(&entry));
        assert!(!Facts { inode: 43, ..FACTS }.are_of(&entry));
        assert!(!Facts { modified_nanos: FACTS.modified_nanos + 1, ..FACTS }.are_of(&entry));
    }
}
