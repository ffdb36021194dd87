//! The bytes of a row in a temporary file.
//!
//! A row is its key and a tail with everything else. Rows follow each other in
//! key order, so a key is written as how many bytes it shares with the one
//! before and the rest. A tail stands on its own: sorting and merging move
//! tails about without decoding them.

use stocktake_core::{ETagCode, ETagRef, EntryFlags, EntryRef, Timestamp};

/// Appends a number, seven bits a byte, the lowest first.
pub(super) fn put_number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends bytes and, before them, how many.
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends `key`, leaning on `previous`.
pub(super) fn put_key(out: &mut Vec<u8>, previous: &[u8], key: &[u8]) {
    let shared = shared_prefix(previous, key);
    put_number(out, shared as u64);
    put_bytes(out, &key[shared..]);
}

/// Appends all of an entry but its key.
pub(super) fn put_tail(out: &mut Vec<u8>, entry: &EntryRef<'_>) {
    let EntryRef { key: _, version, size, last_modified, etag, class, flags } = *entry;
    let (digest, kind) = etag.code.into_parts();
    put_number(out, size);
    put_number(out, zigzag(last_modified.as_millis()));
    out.extend_from_slice(&kind.to_le_bytes());
    if !etag.code.is_absent() {
        out.extend_from_slice(&digest);
    }
    if etag.code.is_text() {
        put_bytes(out, etag.text.as_bytes());
    }
    put_bytes(out, class.as_bytes());
    out.push(flags.bits());
    put_bytes(out, version.unwrap_or("").as_bytes());
}

/// How many bytes two keys have in common at their beginning.
#[inline]
pub(super) fn shared_prefix(a: &[u8], b: &[u8]) -> usize {
    let (eights_a, eights_b) = (a.as_chunks::<8>().0, b.as_chunks::<8>().0);
    let mut shared = 0;
    for (a, b) in eights_a.iter().zip(eights_b) {
        let differing = u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
        if differing != 0 {
            return shared + differing.trailing_zeros() as usize / 8;
        }
        shared += 8;
    }
    shared + a[shared..].iter().zip(&b[shared..]).take_while(|(a, b)| a == b).count()
}

/// Takes values off the front of a frame. Every method gives `None` when the bytes are not what was written.
#[derive(Debug)]
pub(super) struct Taker<'a>(pub(super) &'a [u8]);

impl<'a> Taker<'a> {
    pub(super) fn number(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    /// Turns `key` from the previous row's key into this row's.
    pub(super) fn key(&mut self, key: &mut Vec<u8>) -> Option<()> {
        let shared = usize::try_from(self.number()?).ok()?;
        let rest = self.bytes()?;
        if shared > key.len() {
            return None;
        }
        key.truncate(shared);
        key.extend_from_slice(rest);
        Some(())
    }

    /// The entry that has `key` and the tail that begins here.
    pub(super) fn tail<'k>(&mut self, key: &'k [u8]) -> Option<EntryRef<'k>>
    where
        'a: 'k,
    {
        let size = self.number()?;
        let last_modified = Timestamp::from_millis(unzigzag(self.number()?));
        let kind = u16::from_le_bytes(self.array()?);
        let absent = kind == ETagCode::ABSENT.into_parts().1;
        let digest = if absent { [0; 16] } else { self.array()? };
        let code = ETagCode::from_parts(digest, kind)?;
        let text = if code.is_text() { std::str::from_utf8(self.bytes()?).ok()? } else { "" };
        let class = std::str::from_utf8(self.bytes()?).ok()?;
        let flags = EntryFlags::from_bits(self.byte()?);
        let version = std::str::from_utf8(self.bytes()?).ok()?;
        let version = Some(version).filter(|id| !id.is_empty());
        Some(EntryRef { key, version, size, last_modified, etag: ETagRef { code, text }, class, flags })
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*bytes)
    }
}

/// Small numbers of either sign as small numbers.
fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::compare::testing::any_entry;

    proptest! {
        #[test]
        fn rows_come_back_as_they_were(entries in proptest::collection::vec(any_entry(), 0..40)) {
            let (mut out, mut previous) = (Vec::new(), Vec::new());
            for entry in &entries {
                put_key(&mut out, &previous, entry.key.as_bytes());
                put_tail(&mut out, &entry.as_ref());
                previous = entry.key.as_bytes().to_vec();
            }
            let (mut taker, mut key) = (Taker(&out), Vec::new());
            for entry in &entries {
                taker.key(&mut key).unwrap();
                let (back, rest) = {
                    let mut inner = Taker(taker.0);
                    (inner.tail(&key).unwrap().to_entry(), inner.0)
                };
                taker = Taker(rest);
                prop_assert_eq!(&back, entry);
            }
            prop_assert!(taker.0.is_empty());
        }

        #[test]
        fn a_shared_prefix_is_as_long_as_it_can_be(
            shared in proptest::collection::vec(any::<u8>(), 0..40),
            rests in proptest::collection::vec(proptest::collection::vec(0..2_u8, 0..20), 2),
        ) {
            let [a, b] = [0, 1].map(|n: usize| [&shared[..], &rests[n]].concat());
            prop_assert_eq!(shared_prefix(&a, &b), a.iter().zip(&b).take_while(|(a, b)| a == b).count());
        }

        #[test]
        fn other_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let mut key = b"abc".to_vec();
            let mut taker = Taker(&bytes);
            if taker.key(&mut key).is_some() {
                let _ = taker.tail(b"k");
            }
        }

        #[test]
        fn numbers_of_either_sign_come_back(value in any::<i64>()) {
            prop_assert_eq!(unzigzag(zigzag(value)), value);
        }
    }
}
