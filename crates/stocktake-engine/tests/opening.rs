//! Opening vaults: with the right key, or not at all.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use stocktake_engine::open_vault;
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
