//! Comparing keys by where they part from a smaller one.
//!
//! In sorted rows most of a key was seen in the row before. If it is known of two
//! keys at which place, and with what, each parts from one and the same smaller
//! key, the one that parts earlier is greater; parting at the same place, the one
//! with the greater value there. Only if both agree do keys have to be looked at.
//! The pair is kept as one number: an *offset-value code*, as database systems
//! have used them for merging since the seventies.
//!
//! A key counts here as a row of four-byte words, filled up with zeros without
//! end, and at last its length.

use std::cmp::Ordering;

use super::codec::shared_prefix;

/// Where and with what a key parts from a smaller one. The greater the code, the greater the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct OffsetCode(u64);

const WORD_BYTES: usize = 4;

/// The place at which only lengths differ, behind all words.
const LENGTH_PLACE: u32 = u32::MAX - 1;

impl OffsetCode {
    /// The code of a key relative to an equal one.
    pub(super) const EQUAL: Self = Self(0);

    /// The code of `key` relative to something smaller than all keys.
    pub(super) fn first(key: &[u8]) -> Self {
        Self::new(0, word(key, 0))
    }

    fn new(place: u32, value: u32) -> Self {
        Self(u64::from(u32::MAX - place) << 32 | u64::from(value))
    }

    /// How many words keys of this code share with what it is relative to.
    fn shared_words(self) -> usize {
        let place = u32::MAX - (self.0 >> 32) as u32;
        // At the place of the length all words are shared, but how many there are is not known.
        if place >= LENGTH_PLACE { 0 } else { place as usize }
    }
}

/// Compares two keys, and gives the code of the greater relative to the other.
pub(super) fn compare(a: &[u8], b: &[u8]) -> (Ordering, OffsetCode) {
    compare_from(0, a, b)
}

/// Compares two keys that have the same code relative to some smaller one.
pub(super) fn compare_tied(code: OffsetCode, a: &[u8], b: &[u8]) -> (Ordering, OffsetCode) {
    compare_from(code.shared_words(), a, b)
}

/// Compares two keys whose first `shared` words are known to be equal.
fn compare_from(shared: usize, a: &[u8], b: &[u8]) -> (Ordering, OffsetCode) {
    let words = a.len().max(b.len()).div_ceil(WORD_BYTES);
    let known = (shared * WORD_BYTES).min(a.len()).min(b.len());
    let first_differing = known + shared_prefix(&a[known..], &b[known..]);
    let differing = (first_differing / WORD_BYTES..words)
        .map(|place| (place, word(a, place), word(b, place)))
        .find(|(_, a, b)| a != b);
    if let Some((place, word_a, word_b)) = differing {
        let place = u32::try_from(place).expect("a key is far shorter than 4 GiB");
        return (word_a.cmp(&word_b), OffsetCode::new(place, word_a.max(word_b)));
    }
    match a.len().cmp(&b.len()) {
        Ordering::Equal => (Ordering::Equal, OffsetCode::EQUAL),
        order => (order, OffsetCode::new(LENGTH_PLACE, a.len().max(b.len()) as u32)),
    }
}

/// The word at a place, as a number that compares like its bytes.
#[inline]
fn word(key: &[u8], place: usize) -> u32 {
    let rest = key.get(place * WORD_BYTES..).unwrap_or(&[]);
    match rest.first_chunk::<WORD_BYTES>() {
        Some(bytes) => u32::from_be_bytes(*bytes),
        None => rest.iter().enumerate().fold(0, |word, (index, byte)| word | u32::from(*byte) << (24 - 8 * index)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            proptest::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(255)], 0..12),
            "a{10,14}[\\x00ab]{0,10}".prop_map(String::into_bytes),
        ]
    }

    proptest! {
        #[test]
        fn codes_order_keys_as_their_bytes_do(mut keys in proptest::collection::vec(key(), 3)) {
            keys.sort();
            let [low, a, b] = &keys[..] else { unreachable!("three were made") };
            prop_assert_eq!(compare(b, a).0, b.cmp(a));
            let (code_a, code_b) = (compare(low, a).1, compare(low, b).1);
            prop_assert!(code_a <= code_b);
            // What merging rests on: the greater of two codes is good relative to the lesser key as well.
            if code_a < code_b {
                prop_assert_eq!(compare(a, b).1, code_b);
            } else {
                prop_assert_eq!(compare_tied(code_a, a, b), compare(a, b));
            }
            prop_assert_eq!(code_a == OffsetCode::EQUAL, low == a);
            prop_assert!(OffsetCode::first(a) <= OffsetCode::first(b));
        }
    }
}
