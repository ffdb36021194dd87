//! Key providers: who can open a vault.
//!
//! A vault's key never stands in the vault in the clear. Each provider wraps it
//! with a key of its own, and the wrapped copy stands in `keys/<id>.json`; so
//! several may open one vault, and changing a passphrase rewrites one small blob
//! and no data.
//!
//! ```json
//! { "version": 1, "id": "…", "provider": "passphrase",
//!   "parameters": { "kdf": "argon2id", "memory_kib": 65536, "passes": 3, "lanes": 1, "salt": "…" },
//!   "wrapped": "…" }
//! ```
//! `wrapped` is the 32-byte secret, sealed as frame 0 with AES-256-GCM-SIV under the
//! provider's key, with vault id and key id authenticated, in hexadecimal.

use std::fmt::Debug;

use argon2::{Algorithm, Argon2, Params, Version};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use stocktake_core::Entropy;
use zeroize::Zeroizing;

use crate::cipher::FrameCipher;
use crate::{FormatError, Result, VaultId, hex};

/// Wraps and unwraps the key of a vault: a passphrase, a key file, or a key management service.
///
/// # Contract
/// - `unwrap` of what `wrap` returned, with the same vault and key id, gives the secret back.
/// - `unwrap` of anything else is `None` or an error, never another secret.
#[async_trait]
pub trait KeyProvider: Debug + Send + Sync {
    /// The word under which its wrapped keys are stored. A provider is asked to unwrap its own only.
    fn name(&self) -> &'static str;

    /// Wraps `secret` for the key `key_id` of `vault`.
    ///
    /// # Errors
    /// What the provider's own service says, as [`FormatError::Damaged`].
    async fn wrap(&self, vault: VaultId, key_id: &str, secret: &[u8; 32], entropy: &dyn Entropy) -> Result<WrappedKey>;

    /// Unwraps; `None` when this provider's key is not the right one.
    ///
    /// # Errors
    /// [`FormatError`] when the wrapped key makes no sense.
    async fn unwrap(&self, vault: VaultId, wrapped: &WrappedKey) -> Result<Option<Zeroizing<[u8; 32]>>>;
}

/// A wrapped copy of a vault's key, as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WrappedKey {
    /// Version of this form.
    pub version: u32,
    /// The id of this copy, and the name of its blob.
    pub id: String,
    /// The provider that wrapped it.
    pub provider: String,
    /// What the provider needs to unwrap it, beside its own secret.
    pub parameters: serde_json::Value,
    /// The sealed secret, in hexadecimal.
    pub wrapped: String,
}

const WRAPPED_VERSION: u32 = 1;

impl WrappedKey {
    /// The stored form: JSON.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("a plain structure is valid JSON");
        bytes.push(b'\n');
        bytes
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// [`FormatError`] when it is none, or of a newer version.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let none = |error| FormatError::damaged(format!("not a wrapped key: {error}"));
        let Version { version } = serde_json::from_slice(bytes).map_err(none)?;
        if version > WRAPPED_VERSION {
            return Err(FormatError::Unsupported(format!("wrapped key version {version}")));
        }
        serde_json::from_slice(bytes).map_err(none)
    }
}

/// Opens a vault with a passphrase, stretched by Argon2id.
pub struct Passphrase(Zeroizing<Vec<u8>>);

impl Passphrase {
    /// Takes the passphrase's bytes as they are.
    pub fn new(passphrase: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(passphrase.into()))
    }
}

impl Debug for Passphrase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Passphrase")
    }
}

/// How a passphrase is stretched. The defaults take 64 MiB and about a tenth of a second.
#[derive(Debug, Serialize, Deserialize)]
struct Stretching {
    kdf: String,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: String,
}

/// What a stored key may ask for at most: 1 GiB and 16 passes.
const MAX_MEMORY_KIB: u32 = 1 << 20;
const MAX_PASSES: u32 = 16;

impl Stretching {
    fn generate(entropy: &dyn Entropy) -> Self {
        let mut salt = [0; 16];
        entropy.fill(&mut salt);
        Self { kdf: "argon2id".into(), memory_kib: 64 << 10, passes: 3, lanes: 1, salt: hex::encode(&salt) }
    }

    fn key(&self, passphrase: &[u8]) -> Result<Zeroizing<[u8; 32]>> {
        if self.kdf != "argon2id" {
            return Err(FormatError::Unsupported(format!("key derivation {}", self.kdf)));
        }
        let absurd = || FormatError::damaged("the parameters of the passphrase make no sense");
        if self.memory_kib > MAX_MEMORY_KIB || self.passes > MAX_PASSES {
            return Err(absurd());
        }
        let salt = hex::decode_vec(&self.salt).ok_or_else(absurd)?;
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(32)).map_err(|_| absurd())?;
        let mut key = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase, &salt, &mut *key)
            .map_err(|_| absurd())?;
        Ok(key)
    }
}

#[async_trait]
impl KeyProvider for Passphrase {
    fn name(&self) -> &'static str {
        "passphrase"
    }

    async fn wrap(&self, vault: VaultId, key_id: &str, secret: &[u8; 32], entropy: &dyn Entropy) -> Result<WrappedKey> {
        let stretching = Stretching::generate(entropy);
        let key = stretching.key(&self.0)?;
        let parameters = serde_json::to_value(stretching).expect("a plain structure is valid JSON");
        Ok(seal(self.name(), vault, key_id, secret, &key, parameters))
    }

    async fn unwrap(&self, vault: VaultId, wrapped: &WrappedKey) -> Result<Option<Zeroizing<[u8; 32]>>> {
        let stretching: Stretching = serde_json::from_value(wrapped.parameters.clone())
            .map_err(|error| FormatError::damaged(format!("not the parameters of a passphrase: {error}")))?;
        open(vault, wrapped, &*stretching.key(&self.0)?)
    }
}

/// Opens a vault with the bytes of a key file.
pub struct KeyFile(Zeroizing<[u8; 32]>);

impl KeyFile {
    /// The fewest bytes a key file has.
    pub const MIN_BYTES: usize = 32;

    /// Takes the bytes of a key file. They should be random; a passphrase belongs in [`Passphrase`].
    ///
    /// # Errors
    /// [`FormatError::Damaged`] for fewer than [`MIN_BYTES`](Self::MIN_BYTES) bytes.
    pub fn new(bytes: &[u8]) -> Result<Self> {
        if bytes.len() < Self::MIN_BYTES {
            return Err(FormatError::damaged(format!("a key file has at least {} bytes", Self::MIN_BYTES)));
        }
        Ok(Self(Zeroizing::new(blake3::derive_key("stocktake v1 key file", bytes))))
    }
}

impl Debug for KeyFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyFile")
    }
}

#[async_trait]
impl KeyProvider for KeyFile {
    fn name(&self) -> &'static str {
        "key_file"
    }

    async fn wrap(
        &self,
        vault: VaultId,
        key_id: &str,
        secret: &[u8; 32],
        _entropy: &dyn Entropy,
    ) -> Result<WrappedKey> {
        Ok(seal(self.name(), vault, key_id, secret, &self.0, serde_json::Value::Null))
    }

    async fn unwrap(&self, vault: VaultId, wrapped: &WrappedKey) -> Result<Option<Zeroizing<[u8; 32]>>> {
        open(vault, wrapped, &self.0)
    }
}

fn seal(
    provider: &str,
    vault: VaultId,
    key_id: &str,
    secret: &[u8; 32],
    key: &[u8; 32],
    parameters: serde_json::Value,
) -> WrappedKey {
    let mut frame = secret.to_vec();
    FrameCipher::sealed(key).seal(0, &context(vault, key_id), &mut frame);
    WrappedKey {
        version: WRAPPED_VERSION,
        id: key_id.to_owned(),
        provider: provider.to_owned(),
        parameters,
        wrapped: hex::encode(&frame),
    }
}

fn open(vault: VaultId, wrapped: &WrappedKey, key: &[u8; 32]) -> Result<Option<Zeroizing<[u8; 32]>>> {
    let frame = hex::decode_vec(&wrapped.wrapped).ok_or_else(|| FormatError::damaged("the wrapped key is not hex"))?;
    let mut frame = Zeroizing::new(frame);
    if FrameCipher::sealed(key).open(0, &context(vault, &wrapped.id), &mut frame).is_err() {
        return Ok(None);
    }
    let secret = frame.as_slice().try_into().map_err(|_| FormatError::damaged("the wrapped key has another length"))?;
    Ok(Some(Zeroizing::new(secret)))
}

/// What is authenticated with a wrapped key.
fn context(vault: VaultId, key_id: &str) -> Vec<u8> {
    [&vault.0, key_id.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::executor::block_on;
    use stocktake_core::SeededEntropy;

    const SECRET: [u8; 32] = [7; 32];

    #[test]
    fn only_the_right_provider_opens_and_only_the_right_vault() {
        let providers: [(Box<dyn KeyProvider>, Box<dyn KeyProvider>); 2] = [
            (Box::new(Passphrase::new("correct")), Box::new(Passphrase::new("wrong"))),
            (Box::new(KeyFile::new(&[1; 32]).unwrap()), Box::new(KeyFile::new(&[2; 32]).unwrap())),
        ];
        let vault = VaultId([1; 16]);
        for (right, wrong) in providers {
            let wrapped = block_on(right.wrap(vault, "k", &SECRET, &SeededEntropy::new(1))).unwrap();
            let wrapped = WrappedKey::decode(&wrapped.encode()).unwrap();
            assert_eq!(**block_on(right.unwrap(vault, &wrapped)).unwrap().as_ref().unwrap(), SECRET);
            assert!(block_on(wrong.unwrap(vault, &wrapped)).unwrap().is_none());
            assert!(block_on(right.unwrap(VaultId([2; 16]), &wrapped)).unwrap().is_none());
        }
    }

    #[test]
    fn absurd_parameters_are_refused() {
        let passphrase = Passphrase::new("x");
        let vault = VaultId([1; 16]);
        let mut wrapped = block_on(passphrase.wrap(vault, "k", &SECRET, &SeededEntropy::new(1))).unwrap();
        wrapped.parameters["memory_kib"] = u32::MAX.into();
        assert!(block_on(passphrase.unwrap(vault, &wrapped)).is_err());
        assert!(KeyFile::new(b"short").is_err());
    }
}
