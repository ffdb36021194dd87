//! The key of a vault, and every key that comes from it.
//!
//! A vault has one random key of 32 bytes. Nothing is encrypted with it: each
//! blob gets a key of its own, derived (BLAKE3 `derive_key`) from the vault key,
//! the purpose and the blob's name. Names are used once (but for those of a job that
//! is taken up again, which the cipher withstands), so keys are too; a blob
//! is bound to its name and its vault without storing anything beside it.
//!
//! A vault without encryption derives the same keys from its public id. They
//! then guard against damage, not against people.

use stocktake_core::{ContentHash, Entropy};
use zeroize::Zeroizing;

use crate::cipher::FrameCipher;

/// The identity of a vault: 16 random bytes, in `vault.json` as hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct VaultId(pub [u8; 16]);

impl std::fmt::Display for VaultId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for VaultId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl VaultId {
    /// A new id.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut id = [0; 16];
        entropy.fill(&mut id);
        Self(id)
    }

    /// Reads the hexadecimal form.
    pub fn parse(text: &str) -> Option<Self> {
        crate::hex::decode(text).map(Self)
    }
}

/// The key of one vault. Cleared from memory when dropped; its `Debug` shows nothing.
pub struct VaultKey {
    id: VaultId,
    secret: Zeroizing<[u8; 32]>,
    encrypted: bool,
    id_key: Zeroizing<[u8; 32]>,
    sum_key: Zeroizing<[u8; 32]>,
}

impl VaultKey {
    /// The key of an encrypted vault, from its secret.
    pub fn encrypted(id: VaultId, secret: Zeroizing<[u8; 32]>) -> Self {
        Self::new(id, secret, true)
    }

    /// The key of a vault without encryption.
    pub fn unencrypted(id: VaultId) -> Self {
        let secret = Zeroizing::new(blake3::derive_key("stocktake v1 unencrypted vault", &id.0));
        Self::new(id, secret, false)
    }

    fn new(id: VaultId, secret: Zeroizing<[u8; 32]>, encrypted: bool) -> Self {
        let id_key = derive(&secret, "stocktake v1 content hash", b"");
        let sum_key = derive(&secret, "stocktake v1 state sum", b"");
        Self { id, secret, encrypted, id_key, sum_key }
    }

    /// The vault it belongs to.
    pub fn vault(&self) -> VaultId {
        self.id
    }

    /// Whether blobs are encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    /// The secret, to be wrapped for another key holder. `None` without encryption.
    pub fn secret(&self) -> Option<&[u8; 32]> {
        self.encrypted.then_some(&*self.secret)
    }

    /// Starts the keyed hash that names contents in this vault.
    pub fn content_hasher(&self) -> ContentHasher {
        ContentHasher(blake3::Hasher::new_keyed(&self.id_key))
    }

    /// The seed of the chunker: where large objects are cut tells an onlooker nothing without it.
    pub fn chunk_seed(&self) -> u64 {
        let key = derive(&self.secret, "stocktake v1 chunk seed", b"");
        u64::from_le_bytes(key[..8].try_into().expect("8 of 32 bytes"))
    }

    /// The key of the state sum.
    pub(crate) fn sum_key(&self) -> &[u8; 32] {
        &self.sum_key
    }

    /// The cipher of the pack of this name.
    pub(crate) fn pack_cipher(&self, name: &str) -> FrameCipher {
        self.cipher("stocktake v1 pack", name)
    }

    /// The cipher of the document of this name.
    pub(crate) fn document_cipher(&self, name: &str) -> FrameCipher {
        self.cipher("stocktake v1 document", name)
    }

    /// The key of the Parquet segment of this name; `None` without encryption.
    pub fn segment_key(&self, name: &str) -> Option<Zeroizing<[u8; 32]>> {
        self.encrypted.then(|| derive(&self.secret, "stocktake v1 segment", name.as_bytes()))
    }

    fn cipher(&self, purpose: &str, name: &str) -> FrameCipher {
        let key = derive(&self.secret, purpose, name.as_bytes());
        if self.encrypted { FrameCipher::sealed(&key) } else { FrameCipher::plain(*key) }
    }
}

impl std::fmt::Debug for VaultKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VaultKey").field("vault", &self.id).finish_non_exhaustive()
    }
}

/// Hashes the bytes of one object or chunk.
#[derive(Debug, Clone)]
pub struct ContentHasher(blake3::Hasher);

impl ContentHasher {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The full hash, as packs store it.
    pub fn finish_full(&self) -> [u8; 32] {
        *self.0.finalize().as_bytes()
    }

    /// The identity, as rows store it.
    pub fn finish(&self) -> ContentHash {
        content_hash(&self.finish_full())
    }
}

/// The identity that belongs to a full hash: its first 16 bytes.
pub fn content_hash(full: &[u8; 32]) -> ContentHash {
    ContentHash(full[..16].try_into().expect("16 of 32 bytes"))
}

fn derive(secret: &[u8; 32], purpose: &str, name: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut hasher = blake3::Hasher::new_derive_key(purpose);
    hasher.update(secret);
    hasher.update(name);
    Zeroizing::new(*hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_differ_by_vault_purpose_and_name() {
        let a = VaultKey::encrypted(VaultId([1; 16]), Zeroizing::new([1; 32]));
        let b = VaultKey::encrypted(VaultId([1; 16]), Zeroizing::new([2; 32]));
        assert_ne!(a.segment_key("x"), a.segment_key("y"));
        assert_ne!(a.segment_key("x"), b.segment_key("x"));
        let mut frame = b"f".to_vec();
        a.pack_cipher("x").seal(0, b"", &mut frame);
        assert!(a.document_cipher("x").open(0, b"", &mut frame.clone()).is_err());
        assert!(a.pack_cipher("y").open(0, b"", &mut frame.clone()).is_err());
        assert!(a.pack_cipher("x").open(0, b"", &mut frame).is_ok());
    }

    #[test]
    fn the_debug_form_shows_no_secret() {
        let key = VaultKey::encrypted(VaultId([1; 16]), Zeroizing::new([0xab; 32]));
        assert!(!format!("{key:?}").to_lowercase().contains("abab"));
    }
}
