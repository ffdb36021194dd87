//! Opening vaults: with the right key, or not at all.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use stocktake_core::memory::MemoryVault;
use stocktake_core::{BlobInfo, Error, Result, SeededEntropy, Vault, VaultCapabilities};
use stocktake_engine::{Protection, init_vault, open_vault};
use stocktake_format::{KeyFile, Passphrase};
use support::World;

#[tokio::test]
async fn a_key_opens_what_it_was_made_for_and_nothing_else() {
    let code = async |world: &World, key: Option<[u8; 32]>| {
        let file = key.map(|key| KeyFile::new(&key).unwrap());
        let providers: Vec<&dyn stocktake_format::KeyProvider> = file.iter().map(|file| file as _).collect();
        open_vault(world.store.clone(), &providers).await.map(|_| "open").map_err(|error| error.code())
    };
    let sealed = World::new().await;
    assert_eq!(code(&sealed, Some([7; 32])).await, Ok("open"));
    assert_eq!(code(&sealed, Some([8; 32])).await, Err("wrong_key"));
    assert_eq!(code(&sealed, None).await, Err("wrong_key"));
    assert!(open_vault(sealed.store.clone(), &[&Passphrase::new("other")]).await.is_err());

    // Whoever gives a key expects encryption: a plain vault in the place of theirs is none of theirs.
    let plain = World::with_key(None).await;
    assert_eq!(code(&plain, None).await, Ok("open"));
    assert_eq!(code(&plain, Some([7; 32])).await, Err("wrong_key"));
}

/// A store whose creations go another way than they say.
#[derive(Debug)]
struct Odd(MemoryVault, Way, Mutex<BTreeSet<(String, bool)>>);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    /// It replaces what is there.
    Replaces,
    /// The answer to each first creation of a name is lost, and to one that finds the name taken.
    LosesAnswers,
    /// Its client repeats by itself, and meets its own first attempt.
    Repeats,
}

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[async_trait]
impl Vault for Odd {
    fn capabilities(&self) -> VaultCapabilities {
        self.0.capabilities()
    }

    async fn create(&self, name: &str, bytes: Bytes) -> Result<()> {
        match (self.1, self.0.create(name, bytes.clone()).await) {
            (Way::Replaces, Err(Error::BlobExists { .. })) => {
                self.0.delete(name).await?;
                self.0.create(name, bytes).await
            }
            (Way::Repeats, Ok(())) if name == stocktake_format::names::VAULT_CONFIG => self.0.create(name, bytes).await,
            (Way::LosesAnswers, outcome) => {
                if self.2.lock().unwrap().insert((name.to_owned(), outcome.is_ok())) {
                    let location = stocktake_core::Location::new("odd");
                    return Err(Error::Unavailable { location, action: "create".into(), source: "lost".into() });
                }
                outcome
            }
            (_, outcome) => outcome,
        }
    }

    async fn read(&self, name: &str, range: Option<Range<u64>>) -> Result<Bytes> {
        self.0.read(name, range).await
    }

    async fn stat(&self, name: &str) -> Result<BlobInfo> {
        self.0.stat(name).await
    }

    fn list(&self, prefix: &str, start_after: Option<&str>) -> BoxStream<'static, Result<BlobInfo>> {
        self.0.list(prefix, start_after)
    }

    async fn delete(&self, name: &str) -> Result<()> {
        self.0.delete(name).await
    }
}

#[tokio::test]
async fn a_store_that_creates_a_name_twice_gets_no_vault_and_keeps_nothing_of_it() {
    let (store, key) =
        (Arc::new(Odd(MemoryVault::new(), Way::Replaces, Mutex::default())), KeyFile::new(&[7; 32]).unwrap());
    let entropy = SeededEntropy::new(1);
    let made = init_vault(store.clone(), Protection::Encrypted(&key), &*support::clock(), &entropy).await;
    assert_eq!(made.unwrap_err().code(), "invalid_input");
    assert_eq!(store.0.names(), [""; 0]);
}

#[tokio::test]
async fn a_vault_whose_making_met_its_own_first_attempt_is_made() {
    for way in [Way::Repeats, Way::LosesAnswers] {
        let (store, key) = (Arc::new(Odd(MemoryVault::new(), way, Mutex::default())), KeyFile::new(&[7; 32]).unwrap());
        let entropy = SeededEntropy::new(1);
        init_vault(store.clone(), Protection::Encrypted(&key), &*support::clock(), &entropy).await.unwrap();
        open_vault(store, &[&key]).await.unwrap();
    }
}

#[tokio::test]
async fn a_wrapped_key_that_can_not_be_read_does_not_stand_before_one_that_opens() {
    let world = World::new().await;
    let code = async |key: [u8; 32]| {
        let file = KeyFile::new(&key).unwrap();
        open_vault(world.store.clone(), &[&file]).await.map(|_| "open").map_err(|error| error.code())
    };
    for (name, bytes) in [
        ("keys/.DS_Store", &b"x"[..]),
        ("keys/0.json", b""),
        ("keys/1.json", b"{}"),
        ("keys/2.json", b"{\"version\": 2}"),
    ] {
        world.store.create(name, Bytes::from_static(bytes)).await.unwrap();
        assert_eq!(code([7; 32]).await, Ok("open"), "{name}");
        assert_eq!(code([8; 32]).await, Err("wrong_key"), "{name}");
        let other_kind = open_vault(world.store.clone(), &[&Passphrase::new("other")]).await;
        assert_eq!(other_kind.unwrap_err().code(), "wrong_key", "{name}");
    }
    // Where no key can be read, that is the reason.
    for key in world.store.names().iter().filter(|name| name.starts_with("keys/")) {
        world.store.tamper(key, "x");
    }
    assert_eq!(code([7; 32]).await, Err("corrupt_pack"));
}
