//! Which rows are worth a second look.
//!
//! Rows whose digest occurs once on each side are equal and need no more
//! attention. Every other key hash is put into a bitmap; a row passes if the bit
//! of its key is set. Bits are shared, so a few equal rows pass as well: the exact
//! comparison that follows finds them equal.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A set of key hashes in fixed memory. It may hold too many, never too few.
#[derive(Debug)]
pub(super) struct Sieve {
    // A power of two of them.
    words: Vec<AtomicU64>,
    any: AtomicBool,
}

impl Sieve {
    /// In a sieve that is not larger, the lower half of a key hash stands for the whole.
    pub(super) const MOST_BYTES_OF_HALVES: usize = 1 << 29;

    /// A sieve with `bits` bits, or the next power of two, within `most_bytes`.
    pub(super) fn new(bits: u64, most_bytes: usize) -> Self {
        let wanted = usize::try_from(bits / 64).unwrap_or(usize::MAX);
        // The highest power of two that is not above.
        let most = 1_usize << (most_bytes / 8).max(1).ilog2();
        let words = wanted.checked_next_power_of_two().unwrap_or(most).min(most);
        Self { words: (0..words).map(|_| AtomicU64::new(0)).collect(), any: AtomicBool::new(false) }
    }

    /// Lets rows of this key hash pass.
    pub(super) fn insert(&self, key_hash: u64) {
        let (word, bit) = self.place(key_hash);
        self.words[word].fetch_or(bit, Ordering::Relaxed);
        self.any.store(true, Ordering::Relaxed);
    }

    /// Whether rows of this key hash pass.
    #[inline]
    pub(super) fn passes(&self, key_hash: u64) -> bool {
        let (word, bit) = self.place(key_hash);
        self.words[word].load(Ordering::Relaxed) & bit != 0
    }

    /// Whether nothing passes.
    pub(super) fn is_empty(&self) -> bool {
        !self.any.load(Ordering::Relaxed)
    }

    /// The lowest bits of the hash: the highest have chosen the partition.
    fn place(&self, key_hash: u64) -> (usize, u64) {
        let word = (key_hash >> 6) as usize & (self.words.len() - 1);
        (word, 1 << (key_hash & 63))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_passes_and_little_else() {
        let sieve = Sieve::new(1 << 23, 1 << 20);
        assert!(sieve.is_empty());
        let hash = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31);
        (0..10_000).for_each(|n| sieve.insert(hash(n)));
        assert!((0..10_000).all(|n| sieve.passes(hash(n))));
        let others = (10_000..1_000_000).filter(|n| sieve.passes(hash(*n))).count();
        assert!(others < 20_000, "{others}");
        assert!(!sieve.is_empty());
    }
}
