//! Sixteen bytes that stand for a row while unordered sides are matched.
//!
//! Eight are a hash of the key: they bring rows together. Eight are a hash of
//! the key and of every column that comparison looks at: where both agree, the
//! rows are taken for equal. The hashes are those of XXH3 under a secret drawn for one
//! comparison, after the rows were made, so nobody can name objects to collide.
//! By chance, a changed row passes for unchanged once in 2^62, and two rows of
//! different keys for one once in 2^126. Rows that only share the hash of their
//! key cost time and nothing else.

use stocktake_core::{Entropy, EntryBatch};
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
            let (key_hash, other_half) = self.key_halves(key);
            let (etag, kind) = columns.etags[index].identity();
            let class = classes[usize::from(columns.classes.code(index))];
            let etag = u128::from_le_bytes(etag);
            let row = self.mix([
                other_half,
                columns.sizes[index],
                columns.last_modified[index].cast_unsigned(),
                class ^ u64::from(kind),
                etag as u64,
                (etag >> 64) as u64,
            ]);
            RowDigest { key: key_hash, row }
        }));
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
            let digests = digests(&entries, 1);
            for (a, digest_a) in entries.iter().zip(&digests) {
                for (b, digest_b) in entries.iter().zip(&digests) {
                    prop_assert_eq!(a.key == b.key, digest_a.key == digest_b.key);
                    prop_assert_eq!(a == b, digest_a == digest_b);
                }
            }
        }
    }

    #[test]
    fn each_comparison_has_digests_of_its_own() {
        let entries = [Entry::new("a", 1, stocktake_core::Timestamp::from_millis(0))];
        assert_ne!(digests(&entries, 1), digests(&entries, 2));
    }
}
