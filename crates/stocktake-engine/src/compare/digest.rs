//! Sixteen bytes that stand for a row while unordered sides are matched.
//!
//! Eight are a hash of the key: they bring rows together. Eight are a hash of
//! the key and of every column that comparison looks at: where both agree, the
//! rows are taken for equal. The hashes are those of XXH3 under a secret drawn for one
//! comparison, after the rows were made, so nobody can name objects to collide.
//! By chance, a changed row passes for unchanged once in 2^62, and two rows of
//! different keys for one once in 2^126. Rows that only share the hash of their
//! key cost time and nothing else.

use stocktake_core::{ETagCode, Entropy, EntryBatch, EntryRef};
use twox_hash::{XxHash3_64, XxHash3_128};

/// XXH3 asks for at least 136 bytes.
const SECRET_BYTES: usize = 192;

/// What stands for a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RowDigest {
    /// Equal for equal keys.
    pub(super) key: u64,
    /// Equal for equal keys with equal columns.
    pub(super) row: u64,
}

/// What rows add up to: equal for the same rows in any order, and for others by chance once in 2^64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct DigestSum {
    rows: u64,
    /// Of all hashes of keys, wrapping.
    keys: u64,
    /// Of all hashes of rows, wrapping.
    hashes: u64,
}

impl DigestSum {
    #[inline]
    pub(super) fn add(&mut self, digest: RowDigest) {
        self.rows += 1;
        self.keys = self.keys.wrapping_add(digest.key);
        self.hashes = self.hashes.wrapping_add(digest.row);
    }

    /// What a reading of the keys alone must see.
    pub(super) fn seen(&self) -> Seen {
        Seen { rows: self.rows, sum: self.keys }
    }

    /// What is left without some of the rows.
    pub(super) fn without(&self, some: &Self) -> Self {
        Self {
            rows: self.rows.wrapping_sub(some.rows),
            keys: self.keys.wrapping_sub(some.keys),
            hashes: self.hashes.wrapping_sub(some.hashes),
        }
    }
}

/// What tells two readings of a side apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) rows: u64,
    /// Of all key hashes, wrapping.
    pub(super) sum: u64,
}

impl Seen {
    pub(super) fn add(&mut self, key_hash: u64) {
        self.rows += 1;
        self.sum = self.sum.wrapping_add(key_hash);
    }

    pub(super) fn add_all(&mut self, other: Self) {
        self.rows += other.rows;
        self.sum = self.sum.wrapping_add(other.sum);
    }
}

/// Computes digests for one comparison.
#[derive(Clone)]
pub(super) struct Digester {
    secret: [u8; SECRET_BYTES],
    /// More of the secret, for numbers.
    words: [u64; 7],
    // All ones, but in tests that want collisions.
    key_mask: u64,
}

impl std::fmt::Debug for Digester {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Digester")
    }
}

impl Digester {
    /// Draws the secret. Of the hash of a key, the bits in `key_mask` are used.
    pub(super) fn new(entropy: &dyn Entropy, key_mask: u64) -> Self {
        let mut seed = [0; 32];
        entropy.fill(&mut seed);
        let mut drawn = blake3::Hasher::new_derive_key("stocktake comparison digests v1").update(&seed).finalize_xof();
        let mut secret = [0; SECRET_BYTES];
        drawn.fill(&mut secret);
        let words = std::array::from_fn(|_| {
            let mut word = [0; 8];
            drawn.fill(&mut word);
            u64::from_le_bytes(word)
        });
        Self { secret, words, key_mask }
    }

    /// The hash of a key.
    #[inline]
    pub(super) fn key(&self, key: &[u8]) -> u64 {
        self.key_halves(key).0
    }

    /// Appends the digest of every row.
    pub(super) fn rows(&self, batch: &EntryBatch, digests: &mut Vec<RowDigest>) {
        let columns = batch.columns();
        let classes: Vec<u64> = columns.classes.names().iter().map(|name| self.hash(name.as_bytes())).collect();
        digests.extend(columns.keys.iter().enumerate().map(|(index, key)| {
            let class = classes[usize::from(columns.classes.code(index))];
            self.digest(key, columns.sizes[index], columns.last_modified[index], columns.etags[index], class)
        }));
    }

    /// The digest of a row.
    pub(super) fn row(&self, entry: &EntryRef<'_>) -> RowDigest {
        let class = self.hash(entry.class.as_bytes());
        self.digest(entry.key, entry.size, entry.last_modified.as_millis(), entry.etag.code, class)
    }

    #[inline]
    fn digest(&self, key: &[u8], size: u64, modified: i64, etag: ETagCode, class: u64) -> RowDigest {
        let (key, other_half) = self.key_halves(key);
        let (etag, kind) = etag.identity();
        let etag = u128::from_le_bytes(etag);
        let words =
            [other_half, size, modified.cast_unsigned(), class ^ u64::from(kind), etag as u64, (etag >> 64) as u64];
        RowDigest { key, row: self.mix(words) }
    }

    /// The hash of a key, and 64 more bits of it for the hash of the row.
    #[inline]
    fn key_halves(&self, key: &[u8]) -> (u64, u64) {
        let hash = XxHash3_128::oneshot_with_secret(&self.secret, key).expect("the secret is long enough");
        ((hash >> 64) as u64 & self.key_mask, hash as u64)
    }

    /// A hash of six numbers, as XXH3 hashes short inputs: pairs are multiplied to 128 bits under
    /// the secret and folded, and their sum is scattered.
    #[inline]
    fn mix(&self, words: [u64; 6]) -> u64 {
        let folded = |at: usize| {
            let product = u128::from(words[at] ^ self.words[at]) * u128::from(words[at + 1] ^ self.words[at + 1]);
            (product as u64) ^ (product >> 64) as u64
        };
        let sum = folded(0).wrapping_add(folded(2)).wrapping_add(folded(4)).wrapping_add(self.words[6]);
        let scattered = (sum ^ (sum >> 37)).wrapping_mul(0x1656_6791_9e37_79f9);
        scattered ^ (scattered >> 32)
    }

    #[inline]
    fn hash(&self, bytes: &[u8]) -> u64 {
        XxHash3_64::oneshot_with_secret(&self.secret, bytes).expect("the secret is long enough")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use stocktake_core::{Entry, SeededEntropy};

    use super::*;
    use crate::compare::testing::meeting_entries;

    fn digests(entries: &[Entry], seed: u64) -> Vec<RowDigest> {
        let mut digests = Vec::new();
        let digester = Digester::new(&SeededEntropy::new(seed), u64::MAX);
        digester.rows(&EntryBatch::try_from(entries).unwrap(), &mut digests);
        digests
    }

    proptest! {
        #[test]
        fn digests_agree_just_where_keys_and_compared_columns_do(entries in meeting_entries(40)) {
            let digester = Digester::new(&SeededEntropy::new(1), u64::MAX);
            let alone: Vec<_> = entries.iter().map(|entry| digester.row(&entry.as_ref())).collect();
            let digests = digests(&entries, 1);
            prop_assert_eq!(&alone, &digests);
            for (a, digest_a) in entries.iter().zip(&digests) {
                for (b, digest_b) in entries.iter().zip(&digests) {
                    prop_assert_eq!(a.key == b.key, digest_a.key == digest_b.key);
                    prop_assert_eq!(a == b, digest_a == digest_b);
                }
            }
        }
    }

    #[test]
    fn sums_tell_rows_apart_and_not_their_order() {
        let entries = ["a", "b", "c"].map(|key| Entry::new(key, 1, stocktake_core::Timestamp::default()));
        let sum = |digests: &[RowDigest]| {
            let mut sum = DigestSum::default();
            digests.iter().for_each(|digest| sum.add(*digest));
            sum
        };
        let digests = digests(&entries, 1);
        let [a, b, c] = [digests[0], digests[1], digests[2]];
        assert_eq!(sum(&[a, b, c]), sum(&[c, a, b]));
        assert_eq!(sum(&[a, b, c]).without(&sum(&[b])), sum(&[a, c]));
        assert_ne!(sum(&[a, b]), sum(&[a, c]));
        assert_ne!(sum(&[a, a]), sum(&[a]));
        assert_ne!(sum(&[a, b]), sum(&[a, RowDigest { row: c.row, ..b }]));
    }

    #[test]
    fn each_comparison_has_digests_of_its_own() {
        let entries = [Entry::new("a", 1, stocktake_core::Timestamp::from_millis(0))];
        assert_ne!(digests(&entries, 1), digests(&entries, 2));
    }
}
