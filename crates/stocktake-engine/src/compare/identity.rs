//! Versions as rows that every road can compare.
//!
//! All roads bring rows of equal keys together and tell whether they differ. So that
//! they do the same for versions, a row's key becomes its *identity*: the key and the
//! version id, written so that identities sort as keys do, and within a key by version
//! id. The class gets a letter more, so that what a version stands for, the latest or not, a
//! delete marker or not, is compared along with its facts.
//!
//! Before the versions of a key stands its *head*: its latest version, as a row of its own. Heads
//! differ between the sides whenever the latest version does, in id or in facts. So what
//! became of the key is known before the first of its versions comes, however many
//! there are; and where two versions are said to be the latest, their heads meet as rows
//! of one key do, and the newer one is kept.

use stocktake_core::{ETagCode, ETagRef, EntryBatch, EntryRef, Result};

/// The id of the null version. A version without id is compared as that.
const NULL: &str = "null";

/// A zero byte ends a key; one within a key is followed by this.
const ESCAPED: u8 = 0xff;
/// What follows the end of the key in the identity of a head.
const HEAD: u8 = 0;
/// And in that of a version, before the version's id.
const VERSION: u8 = 1;

/// What a row with an identity is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The latest version of a key.
    Head,
    /// A version.
    Version,
}

/// Which rows an inventory's row becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The version, and the head if it is the latest.
    Both,
    /// The head if it is the latest: the version itself takes no part.
    Head,
    /// None.
    None,
}

/// The rows of `batch` with identities for keys: of each what `part` says.
pub(super) fn with_identities(batch: &EntryBatch, part: impl Fn(usize) -> Part) -> Result<EntryBatch> {
    let mut rows = EntryBatch::default();
    let mut classes = Classes::default();
    let (mut identity, mut id_and_etag) = (Vec::new(), String::new());
    for (row, entry) in batch.iter().enumerate().filter(|(row, _)| part(*row) != Part::None) {
        identity.clear();
        put_key(entry.key, &mut identity);
        let class = classes.of(batch.columns().classes.code(row), &entry);
        if entry.flags.is_latest() {
            identity.push(HEAD);
            put_id_and_etag(&entry, &mut id_and_etag);
            // It holds a zero byte, so that it is never packed.
            let etag = ETagRef { code: ETagCode::of(&id_and_etag), text: &id_and_etag };
            rows.push(&EntryRef { key: &identity, etag, class, ..entry })?;
            identity.pop();
        }
        if part(row) == Part::Both {
            identity.push(VERSION);
            identity.extend_from_slice(version_id(&entry).as_bytes());
            rows.push(&EntryRef { key: &identity, class, ..entry })?;
        }
    }
    Ok(rows)
}

/// Reads an identity; `key` becomes the key in it.
pub(super) fn take_apart(identity: &[u8], key: &mut Vec<u8>) -> Kind {
    key.clear();
    let mut rest = identity;
    while let Some(zero) = rest.iter().position(|byte| *byte == 0) {
        key.extend_from_slice(&rest[..zero]);
        match rest.get(zero + 1) {
            Some(&ESCAPED) => key.push(0),
            Some(&HEAD) => return Kind::Head,
            _ => return Kind::Version,
        }
        rest = &rest[zero + 2..];
    }
    Kind::Version
}

/// The version as it was before its key became an identity.
pub(super) fn restored<'a>(row: &EntryRef<'a>, key: &'a [u8]) -> EntryRef<'a> {
    let mut class = row.class.chars();
    class.next_back();
    EntryRef { key, class: class.as_str(), ..*row }
}

/// The id that versions of a key are told apart by.
pub(super) fn version_id<'a>(entry: &EntryRef<'a>) -> &'a str {
    entry.version.unwrap_or(NULL)
}

fn put_key(key: &[u8], identity: &mut Vec<u8>) {
    for (number, piece) in key.split(|byte| *byte == 0).enumerate() {
        if number > 0 {
            identity.extend_from_slice(&[0, ESCAPED]);
        }
        identity.extend_from_slice(piece);
    }
    identity.push(0);
}

/// What a head has in place of a tag: the version's id and its tag. Of heads with the same id, it orders as tags do.
fn put_id_and_etag(latest: &EntryRef<'_>, text: &mut String) {
    text.clear();
    text.push_str(version_id(latest));
    if latest.etag.code.is_text() {
        text.push_str("\0t");
        text.push_str(latest.etag.text);
        return;
    }
    text.push_str("\0p");
    let (digest, kind) = latest.etag.code.identity();
    for byte in digest.into_iter().chain(kind.to_be_bytes()) {
        let digits = [byte >> 4, byte & 15].map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)]));
        text.extend(digits);
    }
}

/// The classes of a batch with the letters that are put to them, each made once.
#[derive(Default)]
struct Classes(Vec<Option<Box<str>>>);

impl Classes {
    /// The class of an entry, which has this code in its batch, with the letter of what it stands for.
    fn of(&mut self, code: u8, entry: &EntryRef<'_>) -> &str {
        let standing = usize::from(!entry.flags.is_latest()) + 2 * usize::from(entry.flags.is_delete_marker());
        let place = 4 * usize::from(code) + standing;
        if self.0.len() <= place {
            self.0.resize(place + 1, None);
        }
        self.0[place].get_or_insert_with(|| format!("{}{}", entry.class, ["l", "n", "L", "N"][standing]).into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use stocktake_core::{Entry, EntryFlags, Timestamp};

    use super::*;
    use crate::compare::testing::any_entry;

    fn identities(entries: &[Entry]) -> EntryBatch {
        with_identities(&EntryBatch::try_from(entries).unwrap(), |_| Part::Both).unwrap()
    }

    proptest! {
        #[test]
        fn a_version_comes_back_as_it_was(entries in proptest::collection::vec(any_entry(), 0..20)) {
            let (mut key, mut versions, mut heads) = (Vec::new(), Vec::new(), 0);
            for row in identities(&entries).iter() {
                match take_apart(row.key, &mut key) {
                    Kind::Head => heads += 1,
                    Kind::Version => versions.push(restored(&row, &key).to_entry()),
                }
            }
            prop_assert_eq!(heads, entries.iter().filter(|entry| entry.flags.is_latest()).count());
            prop_assert_eq!(versions, entries);
        }

        #[test]
        fn identities_sort_as_keys_do_with_heads_first(
            keys in proptest::collection::vec(proptest::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(0xff)], 1..5), 2),
            ids in proptest::collection::vec("[\\x00a]{0,3}", 2),
        ) {
            let entry = |n: usize| Entry::new(&keys[n][..], 1, Timestamp::default()).with_version(&*ids[n]);
            let rows = identities(&[entry(0), entry(1)]);
            let [head, one, other_head, other] = [0, 1, 2, 3].map(|row| rows.key(row));
            prop_assert!(head < one && other_head < other);
            let id = |n: usize| if ids[n].is_empty() { NULL } else { &*ids[n] };
            prop_assert_eq!(one.cmp(other), (&keys[0], id(0)).cmp(&(&keys[1], id(1))));
            prop_assert_eq!(head.cmp(other), keys[0].cmp(&keys[1]).then(std::cmp::Ordering::Less));
            prop_assert_eq!(head.cmp(other_head), keys[0].cmp(&keys[1]));
        }
    }

    #[test]
    fn heads_are_equal_just_where_the_latest_versions_are() {
        let version = Entry::new("a", 1, Timestamp::default()).with_version("1").with_etag("x");
        let others = [
            version.clone().with_version("2"),
            version.clone().with_etag("y"),
            version.clone().with_flags(EntryFlags::DELETE_MARKER),
            Entry { size: 2, ..version.clone() },
        ];
        let facts = |entry: &Entry| {
            let rows = identities(std::slice::from_ref(entry));
            let head = rows.get(0);
            (head.size, head.etag.code, head.last_modified, head.class.to_owned())
        };
        assert!(others.iter().all(|other| facts(other) != facts(&version)));
        let without_id = Entry { version: None, ..version.clone() };
        assert_eq!(facts(&without_id), facts(&version.with_version("null")));
    }
}
