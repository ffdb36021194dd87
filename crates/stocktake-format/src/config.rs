//! `vault.json`: what a place must say of itself to be a vault.
//!
//! Plain JSON, written once when the vault is made, and never secret:
//!
//! ```json
//! {
//!   "format": "stocktake vault",
//!   "version": 1,
//!   "id": "0123456789abcdef0123456789abcdef",
//!   "encrypted": true,
//!   "created": "2026-03-01T01:00:00.000Z",
//!   "software": "stocktake 0.1.0",
//!   "capabilities": { "create_if_absent": true }
//! }
//! ```
//! A reader refuses a greater `version`, and ignores members it does not know.

use serde::{Deserialize, Serialize};
use stocktake_core::{Timestamp, VaultCapabilities};

use crate::{FormatError, Result, VaultId};

const FORMAT: &str = "stocktake vault";

/// The newest vault version this software reads and writes.
pub const VAULT_VERSION: u32 = 1;

/// The settings of a vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultConfig {
    /// Its identity.
    pub id: VaultId,
    /// Whether its blobs are encrypted.
    pub encrypted: bool,
    /// When it was made.
    pub created: Timestamp,
    /// The software that made it.
    pub software: String,
    /// What its store could do when it was made.
    pub capabilities: VaultCapabilities,
}

#[derive(Serialize, Deserialize)]
struct Json {
    format: String,
    version: u32,
    id: String,
    encrypted: bool,
    created: Timestamp,
    software: String,
    #[serde(default)]
    capabilities: VaultCapabilities,
}

impl VaultConfig {
    /// The stored form.
    pub fn encode(&self) -> Vec<u8> {
        let Self { id, encrypted, created, software, capabilities } = self;
        let json = Json {
            format: FORMAT.into(),
            version: VAULT_VERSION,
            id: id.to_string(),
            encrypted: *encrypted,
            created: *created,
            software: software.clone(),
            capabilities: *capabilities,
        };
        let mut bytes = serde_json::to_vec_pretty(&json).expect("a plain structure is valid JSON");
        bytes.push(b'\n');
        bytes
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// [`FormatError::Unsupported`] for a newer version, [`FormatError::Damaged`] for anything else that is not one.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Version {
            format: String,
            version: u32,
        }
        let no_config = |error| FormatError::damaged(format!("not the settings of a vault: {error}"));
        let Version { format, version } = serde_json::from_slice(bytes).map_err(no_config)?;
        if format != FORMAT {
            return Err(FormatError::damaged("not the settings of a vault"));
        }
        if version > VAULT_VERSION {
            return Err(FormatError::Unsupported(format!(
                "its format is version {version}, and this software knows up to {VAULT_VERSION}"
            )));
        }
        let Json { id, encrypted, created, software, capabilities, .. } =
            serde_json::from_slice(bytes).map_err(no_config)?;
        let id = VaultId::parse(&id).ok_or_else(|| FormatError::damaged("the vault's id is not 32 hex digits"))?;
        Ok(Self { id, encrypted, created, software, capabilities })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_version_is_refused_by_number() {
        let config = VaultConfig {
            id: VaultId([1; 16]),
            encrypted: true,
            created: Timestamp::from_millis(0),
            software: "stocktake 0.1.0".into(),
            capabilities: VaultCapabilities { create_if_absent: true },
        };
        let text = String::from_utf8(config.encode()).unwrap();
        assert_eq!(VaultConfig::decode(text.as_bytes()).unwrap(), config);
        let newer = text.replace("\"version\": 1", "\"version\": 2");
        assert!(matches!(VaultConfig::decode(newer.as_bytes()), Err(FormatError::Unsupported(_))));
        assert!(matches!(VaultConfig::decode(b"{}"), Err(FormatError::Damaged(_))));
    }
}
