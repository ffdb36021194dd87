//! Rows on their way through temporary files: events of deltas, versions of a base, and what came of them.
//!
//! A record begins with the key and the place of the event, so that records are
//! put in order without being decoded. Nothing outlives the process, so nothing
//! here is a format.

use stocktake_core::{ETag, Entry, EntryFlags, EntryRef, ObjectKey, Timestamp};

use crate::fault::{Fault, Result};

/// The most characters of a sequence number.
pub(super) const MAX_SEQUENCE_BYTES: usize = 128;

/// What a record says of its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) key: Vec<u8>,
    /// What orders the events of a key; empty for a row of the base, which is older than all.
    pub(super) sequence: Vec<u8>,
    /// When the event was recorded, in milliseconds.
    pub(super) time: i64,
    pub(super) kind: Kind,
    /// The version id as it is written; empty where there is none.
    pub(super) version: String,
    /// What the object is then; of delete markers only the time.
    pub(super) facts: Option<Facts>,
}

/// What happened to a version, or what came of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An event: the version was created, and is the current one.
    Created,
    /// An event: a delete marker was created, and is the current version.
    Marked,
    /// An event: what is known of the version is this now.
    Updated,
    /// An event: the version is gone, whichever it was.
    Removed,
    /// A row of the base.
    Listed { latest: bool, marker: bool },
    /// What came of it: the key has this current object.
    Current,
    /// What came of it: the key has no current object.
    Gone,
    /// What came of it: older versions decide, which only the base may tell.
    Open,
}

impl Kind {
    const ALL: [Self; 11] = [
        Self::Created,
        Self::Marked,
        Self::Updated,
        Self::Removed,
        Self::Current,
        Self::Gone,
        Self::Open,
        Self::Listed { latest: false, marker: false },
        Self::Listed { latest: true, marker: false },
        Self::Listed { latest: false, marker: true },
        Self::Listed { latest: true, marker: true },
    ];

    fn code(self) -> u8 {
        Self::ALL.iter().position(|kind| *kind == self).map_or(u8::MAX, |code| code as u8)
    }
}

/// An object as a row tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) size: u64,
    pub(super) last_modified: i64,
    pub(super) etag: String,
    pub(super) class: String,
    pub(super) flags: EntryFlags,
}

impl Record {
    /// A version that the base lists.
    pub(super) fn listed(entry: &EntryRef<'_>) -> Self {
        let EntryRef { key, version, size, last_modified, etag, class, flags } = *entry;
        let facts = Facts {
            size,
            last_modified: last_modified.as_millis(),
            etag: etag.to_etag().map_or_else(String::new, |etag| etag.as_str().to_owned()),
            class: class.to_owned(),
            // Whether it is the latest is yet to be seen.
            flags: EntryFlags::from_bits(flags.bits() & EntryFlags::MULTIPART.with(EntryFlags::ETAG_IS_MD5).bits()),
        };
        Self {
            key: key.to_vec(),
            sequence: Vec::new(),
            time: 0,
            kind: Kind::Listed { latest: flags.is_latest(), marker: flags.is_delete_marker() },
            version: version.unwrap_or("").to_owned(),
            facts: Some(facts),
        }
    }

    /// Appends the record's bytes.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let Self { key, sequence, time, kind, version, facts } = self;
        put_bytes(out, key);
        put_bytes(out, sequence);
        out.extend_from_slice(&time.to_le_bytes());
        out.push(kind.code());
        put_bytes(out, version.as_bytes());
        out.push(u8::from(facts.is_some()));
        if let Some(Facts { size, last_modified, etag, class, flags }) = facts {
            out.extend_from_slice(&size.to_le_bytes());
            out.extend_from_slice(&last_modified.to_le_bytes());
            put_bytes(out, etag.as_bytes());
            put_bytes(out, class.as_bytes());
            out.push(flags.bits());
        }
    }

    /// The record of these bytes; `None` when they are not what was written.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut taker = Taker(bytes);
        let key = taker.bytes()?.to_vec();
        let sequence = taker.bytes()?.to_vec();
        let time = i64::from_le_bytes(taker.array()?);
        let kind = *Kind::ALL.get(usize::from(taker.array::<1>()?[0]))?;
        let version = taker.text()?;
        let facts = match taker.array::<1>()? {
            [0] => None,
            _ => Some(Facts {
                size: u64::from_le_bytes(taker.array()?),
                last_modified: i64::from_le_bytes(taker.array()?),
                etag: taker.text()?,
                class: taker.text()?,
                flags: EntryFlags::from_bits(taker.array::<1>()?[0]),
            }),
        };
        Some(Self { key, sequence, time, kind, version, facts })
    }

    /// The entry of a record that has facts.
    pub(super) fn entry(self) -> Option<Entry> {
        let Facts { size, last_modified, etag, class, flags } = self.facts?;
        Some(Entry {
            key: ObjectKey::new(self.key),
            version: Some(self.version).filter(|version| !version.is_empty()),
            size,
            last_modified: Timestamp::from_millis(last_modified),
            etag: Some(ETag::new(&etag)).filter(|etag| !etag.as_str().is_empty()),
            class,
            flags,
        })
    }
}

/// The key of an encoded record.
pub(super) fn key_of(record: &[u8]) -> &[u8] {
    Taker(record).bytes().unwrap_or_default()
}

/// Orders encoded records: by key, the newest event first, rows of the base last.
pub(super) fn compare(a: &[u8], b: &[u8]) -> std::cmp::Ordering {
    let ((mut a, mut b), whole) = ((Taker(a), Taker(b)), (a, b));
    let keys = (a.bytes().unwrap_or_default(), b.bytes().unwrap_or_default());
    keys.0.cmp(keys.1).then_with(|| {
        let sequences = (a.bytes().unwrap_or_default(), b.bytes().unwrap_or_default());
        compare_sequences(sequences.1, sequences.0).then_with(|| whole.0.cmp(whole.1))
    })
}

/// Orders sequence numbers: as numbers, in whatever base up to 36, since that is what texts of one length
/// come to as well.
pub(super) fn compare_sequences(a: &[u8], b: &[u8]) -> std::cmp::Ordering {
    let [a, b] = [a, b].map(|text| {
        let zeros = text.iter().take_while(|digit| **digit == b'0').count();
        (&text[zeros..], text.len())
    });
    (a.0.len(), a.0, a.1).cmp(&(b.0.len(), b.0, b.1))
}

/// Sees that two sequence numbers of one key have an order: as decimal numbers, or as texts of one length.
pub(super) fn check_comparable(a: &[u8], b: &[u8]) -> Result<()> {
    let decimal = |text: &[u8]| text.iter().all(u8::is_ascii_digit);
    if a.len() == b.len() || (decimal(a) && decimal(b)) {
        return Ok(());
    }
    let [a, b] = [a, b].map(|text| String::from_utf8_lossy(text).into_owned());
    Err(Fault::corrupt(format!("its sequence numbers {a} and {b} have no order")))
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    // A field is part of a row, which is a mebibyte at most.
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

struct Taker<'a>(&'a [u8]);

impl<'a> Taker<'a> {
    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = u32::from_le_bytes(self.array()?) as usize;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?.to_vec()).ok()
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*bytes)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::cmp::Ordering;

    use proptest::prelude::*;

    use super::*;

    /// A record of few keys and sequence numbers, so that some are alike.
    pub(in crate::chain) fn record() -> impl Strategy<Value = Record> {
        let facts = (any::<u64>(), any::<i64>(), "[a-f]{0,4}", "[A-C]?", 0..4_u8).prop_map(
            |(size, last_modified, etag, class, flags)| Facts {
                size,
                last_modified,
                etag,
                class,
                flags: EntryFlags::from_bits(flags),
            },
        );
        ("[ab]{1,3}", 0..200_u32, any::<i64>(), 0..11_usize, "[v-z]{0,2}", proptest::option::of(facts)).prop_map(
            |(key, sequence, time, kind, version, facts)| Record {
                key: key.into_bytes(),
                sequence: sequence.to_string().into_bytes(),
                time,
                kind: Kind::ALL[kind],
                version,
                facts,
            },
        )
    }

    proptest! {
        #[test]
        fn a_record_comes_back(record in record()) {
            let mut bytes = Vec::new();
            record.encode(&mut bytes);
            prop_assert_eq!(key_of(&bytes), &record.key[..]);
            prop_assert_eq!(Record::decode(&bytes), Some(record));
        }

        #[test]
        fn other_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = (Record::decode(&bytes), compare(&bytes, b"abc"));
        }

        #[test]
        fn decimal_sequences_are_ordered_as_numbers(a in any::<u64>(), b in any::<u64>()) {
            let texts = [a, b].map(|number| number.to_string().into_bytes());
            prop_assert_eq!(compare_sequences(&texts[0], &texts[1]), a.cmp(&b));
            prop_assert!(check_comparable(&texts[0], &texts[1]).is_ok());
        }

        #[test]
        fn sequences_of_one_length_are_ordered_as_texts(a in "[0-9A-F]{12}", b in "[0-9A-F]{12}") {
            prop_assert_eq!(compare_sequences(a.as_bytes(), b.as_bytes()), a.cmp(&b));
        }
    }

    #[test]
    fn sequences_without_an_order_are_refused() {
        assert!(check_comparable(b"1A", b"00B").is_err());
        assert_eq!(compare_sequences(b"0010", b"9"), Ordering::Greater);
        assert_ne!(compare_sequences(b"010", b"10"), Ordering::Equal, "one number, but not one text");
    }
}
