//! Randomness from the operating system.
//!
//! The crates below take their randomness from whoever uses them, so that a test
//! can replay a run. This is what everybody else hands in.

use stocktake_core::Entropy;

/// The cryptographically secure generator of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    /// Fills `bytes`.
    ///
    /// # Panics
    /// When the operating system has no randomness to give. Keys and ids made
    /// without it would be worse than none.
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system provides randomness");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ() {
        let (mut a, mut b) = ([0; 32], [0; 32]);
        OsEntropy.fill(&mut a);
        OsEntropy.fill(&mut b);
        assert_ne!(a, b);
    }
}
