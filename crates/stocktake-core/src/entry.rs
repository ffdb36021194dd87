//! Entries: what an inventory or a listing says about one object.

use std::cmp::Ordering;
use std::fmt;

use crate::{ETag, ETagCode, ObjectKey, Timestamp};

/// Facts about an entry that are yes or no.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct EntryFlags(u8);

impl EntryFlags {
    /// Nothing is known but what the columns say.
    pub const NONE: Self = Self(0);
    /// The object was uploaded in parts, so its ETag is not the MD5 of its content.
    pub const MULTIPART: Self = Self(1);
    /// Encryption at rest is known to be none or with keys the store manages, so
    /// that an ETag without a dash is the MD5 of the content.
    pub const ETAG_IS_MD5: Self = Self(2);
    /// A version of the key that is not its latest. What is not told apart by versions is the latest.
    pub const NONCURRENT: Self = Self(4);
    /// No object, but the mark that there is none: it has a key, a version id and a time, no bytes and no ETag.
    pub const DELETE_MARKER: Self = Self(8);

    /// The flags of this bit pattern; unknown bits are dropped.
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & 15)
    }

    /// The bit pattern.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// These flags and `other` together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all flags of `other` are set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether it is the latest version of its key.
    pub const fn is_latest(self) -> bool {
        !self.has(Self::NONCURRENT)
    }

    /// Whether it is a delete marker.
    pub const fn is_delete_marker(self) -> bool {
        self.has(Self::DELETE_MARKER)
    }
}

impl fmt::Debug for EntryFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#b}", self.0)
    }
}

/// What is known of one object version, without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The object's key, exactly.
    pub key: ObjectKey,
    /// The version id, where the store has versions and told it. That of the null
    /// version is `null`, as a request writes it; `None` is where no id is known.
    pub version: Option<String>,
    /// Length of the object in bytes.
    pub size: u64,
    /// When the store says the object was last modified. Never used to decide that an object did *not* change.
    pub last_modified: Timestamp,
    /// The entity tag; absent where the store or the report has none.
    pub etag: Option<ETag>,
    /// Storage class, in the store's own words; empty where unknown.
    pub class: String,
    /// Facts that are yes or no.
    pub flags: EntryFlags,
}

impl Entry {
    /// An entry with the facts every store has; the others are absent.
    pub fn new(key: impl Into<ObjectKey>, size: u64, last_modified: Timestamp) -> Self {
        Self {
            key: key.into(),
            version: None,
            size,
            last_modified,
            etag: None,
            class: String::new(),
            flags: EntryFlags::NONE,
        }
    }

    /// The same entry with an entity tag.
    #[must_use]
    pub fn with_etag(mut self, etag: impl Into<ETag>) -> Self {
        self.etag = Some(etag.into());
        self
    }

    /// The same entry with a storage class.
    #[must_use]
    pub fn with_class(mut self, class: impl Into<String>) -> Self {
        self.class = class.into();
        self
    }

    /// The same entry with a version id.
    #[must_use]
    pub fn with_version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// The same entry with other flags.
    #[must_use]
    pub fn with_flags(mut self, flags: EntryFlags) -> Self {
        self.flags = flags;
        self
    }

    /// A view of the entry.
    pub fn as_ref(&self) -> EntryRef<'_> {
        let text = self.etag.as_ref().map_or("", ETag::as_str);
        let code = ETagCode::of(text);
        EntryRef {
            key: self.key.as_bytes(),
            version: self.version.as_deref(),
            size: self.size,
            last_modified: self.last_modified,
            etag: ETagRef { code, text: if code.is_text() { text } else { "" } },
            class: &self.class,
            flags: self.flags,
        }
    }
}

/// A view of an entry inside a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryRef<'a> {
    /// The object's key, exactly.
    pub key: &'a [u8],
    /// The version id, where known.
    pub version: Option<&'a str>,
    /// Length of the object in bytes.
    pub size: u64,
    /// When the store says the object was last modified.
    pub last_modified: Timestamp,
    /// The entity tag.
    pub etag: ETagRef<'a>,
    /// Storage class, in the store's own words; empty where unknown.
    pub class: &'a str,
    /// Facts that are yes or no.
    pub flags: EntryFlags,
}

impl EntryRef<'_> {
    /// The order of versions of one key, newest first: the latest before all others, then by
    /// time, the later first, and where times are equal by version id, the greater first.
    pub fn version_order(&self, other: &EntryRef<'_>) -> Ordering {
        let age = |entry: &EntryRef<'_>| (!entry.flags.is_latest(), std::cmp::Reverse(entry.last_modified));
        age(self).cmp(&age(other)).then_with(|| other.version.cmp(&self.version))
    }

    /// A copy that owns its parts.
    pub fn to_entry(&self) -> Entry {
        let Self { key, version, size, last_modified, etag, class, flags } = *self;
        Entry {
            key: ObjectKey::from(key),
            version: version.map(str::to_owned),
            size,
            last_modified,
            etag: etag.to_etag(),
            class: class.to_owned(),
            flags,
        }
    }
}

/// A view of an entity tag inside a batch: the code, and the text where the code does not hold it.
#[derive(Clone, Copy, Debug)]
pub struct ETagRef<'a> {
    /// The packed tag.
    pub code: ETagCode,
    /// The text, where `code` says that it stands beside it; else empty.
    pub text: &'a str,
}

impl ETagRef<'_> {
    /// The tag, unless absent.
    pub fn to_etag(self) -> Option<ETag> {
        if self.code.is_text() { Some(ETag::bare(self.text)) } else { self.code.text().map(|text| ETag::bare(&text)) }
    }
}

impl PartialEq for ETagRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.code == other.code
    }
}

impl Eq for ETagRef<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_stand_newest_first() {
        let version =
            |id: &str, time, flags| Entry::new("a", 0, Timestamp::from_millis(time)).with_version(id).with_flags(flags);
        let ordered = [
            version("a", 1, EntryFlags::DELETE_MARKER),
            version("b", 9, EntryFlags::NONCURRENT),
            version("d", 5, EntryFlags::NONCURRENT),
            version("c", 5, EntryFlags::NONCURRENT),
        ];
        assert!(ordered.is_sorted_by(|a, b| a.as_ref().version_order(&b.as_ref()).is_lt()));
    }

    #[test]
    fn a_view_gives_the_entry_back() {
        let mut entry = Entry::new("a", 3, Timestamp::from_millis(9)).with_etag("W/odd").with_class("STANDARD");
        entry.version = Some("null".into());
        assert_eq!(entry.as_ref().to_entry(), entry);
    }
}
