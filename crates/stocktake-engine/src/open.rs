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
#[non_exhaustive]
pub struct OpenVault {
    /// The blobs; calls are repeated when the store does not answer.
    pub vault: Arc<dyn Vault>,
    /// The key that seals them.
    pub key: Arc<VaultKey>,
    /// What the vault says of itself.
    pub config: VaultConfig,
    /// Counts the requests that `vault` sends, from its opening on. A [`Backup`](crate::Backup) counts its own here too.
    pub meter: Meter,
}

/// No wrapped key is longer, in bytes.
const MAX_KEY_BYTES: u64 = 1 << 20;

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
/// - [`Error::InvalidInput`]: the store does not refuse a second creation of a name though it says so. What was
///   written is removed again.
/// - What the store says.
pub async fn init_vault(
    vault: Arc<dyn Vault>,
    protection: Protection<'_>,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
) -> Result<OpenVault> {
    let (vault, meter) = counted_and_repeated(vault);
    let location = Location::new(vault.to_string());
    if read_config(&*vault).await?.is_some() {
        return Err(Error::VaultExists { location });
    }
    let id = VaultId::generate(entropy);
    let key_id = id.to_string()[..8].to_owned();
    let key = match protection {
        Protection::Unencrypted => VaultKey::unencrypted(id),
        Protection::Encrypted(provider) => {
            let mut secret = Zeroizing::new([0; 32]);
            entropy.fill(&mut *secret);
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
        Ok(()) => {}
        // A store's client that repeats by itself may have met its own first attempt.
        Err(Error::BlobExists { .. }) => match read_config(&*vault).await? {
            Some(there) if there.id == id => {}
            _ => return Err(Error::VaultExists { location }),
        },
        Err(error) => return Err(error),
    }
    if let Err(unsafe_store) = check_create_once(&*vault, &config).await {
        // The settings first: a vault never exists without its key.
        let mut names = vec![names::VAULT_CONFIG.to_owned()];
        names.extend(key.is_encrypted().then(|| names::key(&key_id)));
        for name in names {
            if let Err(error) = vault.delete(&name).await {
                tracing::error!(%error, name, "what was to be a vault is not to be used; delete it");
                break;
            }
        }
        return Err(unsafe_store);
    }
    Ok(OpenVault { vault, key: Arc::new(key), config, meter })
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
    let (vault, meter) = counted_and_repeated(vault);
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
    Ok(OpenVault { vault, key: Arc::new(key), config, meter })
}

/// Every attempt is counted, so the counting lies inside of the repeating.
fn counted_and_repeated(vault: Arc<dyn Vault>) -> (Arc<dyn Vault>, Meter) {
    let meter = Meter::new();
    (Arc::new(RetryingVault::new(meter.vault(vault), meter.clone())), meter)
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
    // A copy that can't be read may stand beside one that opens the vault.
    let (mut kinds, mut unreadable, mut sound) = (Vec::new(), Vec::new(), 0);
    for info in keys.iter().filter(|info| info.name.ends_with(".json")) {
        let wrapped = match vault.read(&info.name, Some(0..info.size.clamp(1, MAX_KEY_BYTES))).await {
            Ok(bytes) => WrappedKey::decode(&bytes),
            Err(Error::BlobNotFound { .. }) => continue,
            Err(Error::BlobDamaged { problem, .. }) => Err(FormatError::damaged(problem)),
            Err(error) => return Err(error),
        };
        let wrapped = match wrapped {
            Ok(wrapped) => wrapped,
            Err(error) => {
                unreadable.push(damaged(vault, &info.name, error));
                continue;
            }
        };
        if !providers.iter().any(|provider| provider.name() == wrapped.provider) {
            sound += 1;
        }
        for provider in providers.iter().filter(|provider| provider.name() == wrapped.provider) {
            match provider.unwrap(config.id, &wrapped).await {
                Ok(Some(secret)) => return Ok(secret),
                Ok(None) => sound += 1,
                Err(error) => unreadable.push(damaged(vault, &info.name, error)),
            }
        }
        kinds.push(wrapped.provider);
    }
    // Only where no other key is there is that the reason.
    if sound == 0 && !unreadable.is_empty() {
        return Err(unreadable.remove(0));
    }
    let given: Vec<_> = providers.iter().map(|provider| provider.name()).collect();
    let mut problem = format!("tried {} against its keys ({})", given.join(", "), kinds.join(", "));
    if let Some(first) = unreadable.first() {
        problem = format!("{problem}, of which not all can be read: {first}");
    }
    Err(Error::WrongKey { location: location.clone(), problem })
}

/// The commit protocol rests on this, so it is seen, not believed.
async fn check_create_once(vault: &dyn Vault, config: &VaultConfig) -> Result<()> {
    let VaultCapabilities { create_if_absent } = config.capabilities;
    if !create_if_absent {
        return Ok(());
    }
    // Other bytes than those that are there: else a repeated request that meets its own first attempt would pass for
    // a second creation.
    let other = VaultConfig { software: format!("{SOFTWARE}, trying out the store"), ..config.clone() };
    match vault.create(names::VAULT_CONFIG, other.encode().into()).await {
        Err(Error::BlobExists { .. }) => Ok(()),
        Ok(()) => Err(Error::invalid(format!(
            "{vault} lets a name be created twice, so two jobs at once would not be safe. Open it as a store without \
             conditional writes (AWS_CONDITIONAL_PUT=disabled, or without_create_if_absent), and see to it that one \
             job at a time writes to it"
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
