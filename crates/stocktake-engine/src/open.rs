//! Making a vault, and opening one with its key.

use std::sync::Arc;

use futures::TryStreamExt;
use stocktake_core::{Clock, Entropy, Error, Location, Result, Vault, VaultCapabilities};
use stocktake_format::{FormatError, KeyProvider, VaultConfig, VaultId, VaultKey, WrappedKey, names};
use zeroize::Zeroizing;

use crate::{Meter, RetryingVault};

/// The software as it names itself in what it writes.
pub const SOFTWARE: &str = concat!("stocktake ", env!("CARGO_PKG_VERSION"));

/// A vault whose settings were read and whose key was unwrapped.
#[derive(Clone, Debug)]
pub struct OpenVault {
    /// The blobs; calls are repeated when the store does not answer.
    pub vault: Arc<dyn Vault>,
    /// The key that seals them.
    pub key: Arc<VaultKey>,
    /// What the vault says of itself.
    pub config: VaultConfig,
}

/// How the vault is protected.
#[derive(Clone, Copy, Debug)]
pub enum Protection<'a> {
    /// Encrypted; whoever has the provider's secret can open it.
    Encrypted(&'a dyn KeyProvider),
    /// Not encrypted: everybody who can read the store can read the backups.
    Unencrypted,
}

/// Makes a vault in an empty place.
///
/// The wrapped key is written before the settings, so that a vault never exists
/// without its key; a first attempt that broke off in between leaves a key blob
/// that nothing refers to.
///
/// # Errors
/// - [`Error::VaultExists`]: a vault is there; it was left as it is.
/// - [`Error::InvalidInput`]: the store does not refuse a second creation of a name though it says so.
/// - What the store says.
pub async fn init_vault(
    vault: Arc<dyn Vault>,
    protection: Protection<'_>,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
) -> Result<OpenVault> {
    let vault = retrying(vault);
    let location = Location::new(vault.to_string());
    if read_config(&*vault).await?.is_some() {
        return Err(Error::VaultExists { location });
    }
    let id = VaultId::generate(entropy);
    let key = match protection {
        Protection::Unencrypted => VaultKey::unencrypted(id),
        Protection::Encrypted(provider) => {
            let mut secret = Zeroizing::new([0; 32]);
            entropy.fill(&mut *secret);
            let key_id = id.to_string()[..8].to_owned();
            let wrapped =
                provider.wrap(id, &key_id, &secret, entropy).await.map_err(|error| wrong_key(&location, error))?;
            vault.create(&names::key(&key_id), wrapped.encode().into()).await?;
            VaultKey::encrypted(id, secret)
        }
    };
    let config = VaultConfig {
        id,
        encrypted: key.is_encrypted(),
        created: clock.now(),
        software: SOFTWARE.into(),
        capabilities: vault.capabilities(),
    };
    match vault.create(names::VAULT_CONFIG, config.encode().into()).await {
        Ok(()) => check_create_once(&*vault, &config).await?,
        Err(Error::BlobExists { .. }) => return Err(Error::VaultExists { location }),
        Err(error) => return Err(error),
    }
    Ok(OpenVault { vault, key: Arc::new(key), config })
}

/// Opens a vault.
///
/// `providers` are tried against every wrapped key of their kind. A vault without encryption is opened without
/// any: who gives a key expects encryption, and the settings, which anybody may have exchanged who can write to
/// the vault, must not talk them out of it.
///
/// # Errors
/// - [`Error::VaultNotFound`], [`Error::VaultUnsupported`], [`Error::BlobDamaged`] for the settings.
/// - [`Error::WrongKey`]: no provider opens it, or there are some and it is not encrypted.
pub async fn open_vault(vault: Arc<dyn Vault>, providers: &[&dyn KeyProvider]) -> Result<OpenVault> {
    let vault = retrying(vault);
    let location = Location::new(vault.to_string());
    let config = read_config(&*vault).await?.ok_or_else(|| Error::VaultNotFound { location: location.clone() })?;
    let key = match (config.encrypted, providers) {
        (true, _) => VaultKey::encrypted(config.id, unwrap_key(&*vault, &config, providers, &location).await?),
        (false, []) => VaultKey::unencrypted(config.id),
        (false, _) => {
            let problem = "it is not encrypted, though a passphrase or key file was given; open it without if it was made so, \
                           else somebody has exchanged its settings";
            return Err(Error::WrongKey { location, problem: problem.to_owned() });
        }
    };
    Ok(OpenVault { vault, key: Arc::new(key), config })
}

fn retrying(vault: Arc<dyn Vault>) -> Arc<dyn Vault> {
    Arc::new(RetryingVault::new(vault, Meter::new()))
}

async fn read_config(vault: &dyn Vault) -> Result<Option<VaultConfig>> {
    let bytes = match vault.read(names::VAULT_CONFIG, None).await {
        Ok(bytes) => bytes,
        Err(Error::BlobNotFound { .. } | Error::LocationNotFound { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    VaultConfig::decode(&bytes).map(Some).map_err(|error| match error {
        FormatError::Unsupported(problem) => {
            Error::VaultUnsupported { location: Location::new(vault.to_string()), problem }
        }
        error => damaged(vault, names::VAULT_CONFIG, error),
    })
}

async fn unwrap_key(
    vault: &dyn Vault,
    config: &VaultConfig,
    providers: &[&dyn KeyProvider],
    location: &Location,
) -> Result<Zeroizing<[u8; 32]>> {
    if providers.is_empty() {
        let problem = "it is encrypted, and no passphrase or key file was given".to_owned();
        return Err(Error::WrongKey { location: location.clone(), problem });
    }
    let keys: Vec<_> = vault.list(names::KEYS, None).try_collect().await?;
    let mut kinds = Vec::new();
    for info in keys {
        let wrapped = WrappedKey::decode(&vault.read(&info.name, None).await?)
            .map_err(|error| damaged(vault, &info.name, error))?;
        for provider in providers.iter().filter(|provider| provider.name() == wrapped.provider) {
            let secret =
                provider.unwrap(config.id, &wrapped).await.map_err(|error| damaged(vault, &info.name, error))?;
            if let Some(secret) = secret {
                return Ok(secret);
            }
        }
        kinds.push(wrapped.provider);
    }
    let given: Vec<_> = providers.iter().map(|provider| provider.name()).collect();
    let problem = format!("tried {} against its keys ({})", given.join(", "), kinds.join(", "));
    Err(Error::WrongKey { location: location.clone(), problem })
}

/// The commit protocol rests on this, so it is seen, not believed.
async fn check_create_once(vault: &dyn Vault, config: &VaultConfig) -> Result<()> {
    let VaultCapabilities { create_if_absent } = config.capabilities;
    if !create_if_absent {
        return Ok(());
    }
    match vault.create(names::VAULT_CONFIG, config.encode().into()).await {
        Err(Error::BlobExists { .. }) => Ok(()),
        Ok(()) => Err(Error::invalid(format!(
            "{vault} lets a name be created twice, so concurrent writers would not be safe; open it without conditional writes"
        ))),
        Err(error) => Err(error),
    }
}

/// A blob that does not decode.
pub(crate) fn damaged(vault: &dyn Vault, name: &str, error: FormatError) -> Error {
    Error::BlobDamaged { name: name.to_owned(), location: Location::new(vault.to_string()), problem: error.to_string() }
}

fn wrong_key(location: &Location, error: FormatError) -> Error {
    Error::WrongKey { location: location.clone(), problem: error.to_string() }
}
