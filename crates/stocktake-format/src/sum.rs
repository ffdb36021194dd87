//! State sums: a fingerprint of a set of rows, whatever segments hold them.
//!
//! Each row has a keyed hash of 256 bits; the sum of a state is the sum of its
//! rows' hashes modulo 2^256. So it can be kept up to date in proportion to what
//! changes, does not depend on order or layout, and two states have equal sums
//! when their rows are equal. Where the bytes lie in the vault is left out:
//! moving them does not change the sum.

use stocktake_core::{Content, ETagRef, RowRef};

use crate::{VaultKey, hex};

/// The sum of a set of rows.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct StateSum([u64; 4]);

impl StateSum {
    /// Adds a row.
    pub fn add(&mut self, key: &VaultKey, row: &RowRef<'_>) {
        self.combine(row_hash(key, row), u64::carrying_add);
    }

    /// Removes a row that was added before.
    pub fn remove(&mut self, key: &VaultKey, row: &RowRef<'_>) {
        self.combine(row_hash(key, row), u64::borrowing_sub);
    }

    /// Adds all rows of another sum.
    pub fn merge(&mut self, other: Self) {
        self.combine(other.0, u64::carrying_add);
    }

    /// The text form: 64 hexadecimal digits.
    pub fn to_hex(self) -> String {
        hex::encode(&self.0.map(u64::to_be_bytes).concat())
    }

    /// Reads the text form.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 32] = hex::decode(text)?;
        let mut lanes = [0; 4];
        for (lane, bytes) in lanes.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *lane = u64::from_be_bytes(*bytes);
        }
        Some(Self(lanes))
    }

    /// Lane 3 is the lowest; the carry runs towards lane 0 and is dropped there.
    fn combine(&mut self, hash: [u64; 4], step: fn(u64, u64, bool) -> (u64, bool)) {
        let mut carry = false;
        for (lane, value) in self.0.iter_mut().zip(hash).rev() {
            (*lane, carry) = step(*lane, value, carry);
        }
    }
}

impl std::fmt::Debug for StateSum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.to_hex())
    }
}

/// The keyed hash of a row's canonical form: every fact, each with its length before it.
fn row_hash(key: &VaultKey, row: &RowRef<'_>) -> [u64; 4] {
    let RowRef { entry, content, provenance, attributes } = row;
    let mut hasher = blake3::Hasher::new_keyed(key.sum_key());
    let mut field = |bytes: &[u8]| {
        hasher.update(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
        hasher.update(bytes);
    };
    field(entry.key);
    field(entry.version.unwrap_or("").as_bytes());
    field(entry.class.as_bytes());
    let ETagRef { code, text } = entry.etag;
    let (digest, kind) = code.into_parts();
    field(text.as_bytes());
    field(attributes);
    let (tag, hash) = match content {
        Content::Absent => (0, [0; 16]),
        Content::Empty => (1, [0; 16]),
        Content::Whole { hash, .. } | Content::Chunked { hash, .. } => (2, hash.0),
    };
    let mut fixed = [0; 56];
    fixed[..8].copy_from_slice(&entry.size.to_le_bytes());
    fixed[8..16].copy_from_slice(&entry.last_modified.as_millis().to_le_bytes());
    fixed[16..32].copy_from_slice(&digest);
    fixed[32..34].copy_from_slice(&kind.to_le_bytes());
    fixed[34] = entry.flags.bits();
    fixed[35] = provenance.code();
    fixed[36] = tag;
    fixed[40..56].copy_from_slice(&hash);
    field(&fixed);
    let mut lanes = [0; 4];
    for (lane, bytes) in lanes.iter_mut().zip(hasher.finalize().as_bytes().as_chunks::<8>().0) {
        *lane = u64::from_be_bytes(*bytes);
    }
    lanes
}
