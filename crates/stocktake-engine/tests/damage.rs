//! A vault whose blobs are altered, cut short or gone: verification names each
//! one and the keys it takes away, and no reader returns other bytes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use stocktake_core::memory::MemoryVault;
use stocktake_core::{Content, Entropy, ObjectKey, Vault};
use stocktake_engine::{DataShare, Restore, RestoreOptions, Verify};
use stocktake_format::names;
use support::{State, World, noise};

async fn world() -> (World, stocktake_core::SnapshotId, State) {
    let world = World::new().await;
    for n in 0..40 {
        world.bucket.put(format!("small/{n:02}").as_str(), noise(n, 20_000));
    }
    world.bucket.put("large", noise(100, 12 << 20));
    let snapshot = world.backup().await.unwrap().snapshot.id;
    let state = world.state();
    (world, snapshot, state)
}

fn packs(store: &MemoryVault) -> Vec<String> {
    store.names().into_iter().filter(|name| name.contains("/d/")).collect()
}

/// Restores what can be restored, and checks that nothing is restored wrongly.
async fn restorable(world: &World, snapshot: stocktake_core::SnapshotId, state: &State) -> Vec<ObjectKey> {
    let target = std::sync::Arc::new(stocktake_core::memory::MemoryBucket::new("to"));
    let opened = world.catalog.open(snapshot).await.unwrap();
    let report = Restore::new(&world.vault, opened, target.clone()).run(RestoreOptions::default()).await.unwrap();
    let restored = target.entries();
    assert_eq!(report.restored.objects as usize, restored.len());
    for entry in &restored {
        assert_eq!(target.get(entry.key.clone()).unwrap(), state[entry.key.as_bytes()].0);
    }
    let lost = state.keys().filter(|key| !restored.iter().any(|entry| entry.key.as_bytes() == &key[..]));
    lost.map(|key| ObjectKey::from(&key[..])).collect()
}

#[tokio::test]
async fn an_intact_vault_is_clean() {
    let (world, _, state) = world().await;
    let report = world.verify().await;
    assert_eq!(report.damage, []);
    assert_eq!(report.checked.objects as usize, state.len());
    assert_eq!(report.packs as usize, packs(&world.store).len());
}

#[tokio::test]
async fn flipped_bits_anywhere_in_a_pack_are_found_with_exactly_the_keys_they_concern() {
    let (world, snapshot, state) = world().await;
    let name = packs(&world.store).remove(0);
    let bytes = world.store.read(&name, None).await.unwrap();
    let mut seen_partial = false;
    for at in (0..bytes.len()).step_by(bytes.len() / 23).chain([bytes.len() - 1]) {
        let mut bad = bytes.to_vec();
        bad[at] ^= 4;
        world.store.tamper(&name, bad);
        let report = world.verify().await;
        assert_eq!(report.damage.len(), 1, "byte {at}");
        assert_eq!(report.damage[0].blob, name);
        let lost = restorable(&world, snapshot, &state).await;
        assert_eq!(report.damage[0].keys, lost, "byte {at}");
        seen_partial |= !lost.is_empty() && lost.len() < state.len();
    }
    assert!(seen_partial);
}

#[tokio::test]
async fn a_pack_cut_short_or_gone_or_swapped_is_named_with_its_keys() {
    let (world, snapshot, state) = world().await;
    let name = packs(&world.store).remove(0);
    let bytes = world.store.read(&name, None).await.unwrap();
    for length in [0, 7, bytes.len() / 2, bytes.len() - 1] {
        world.store.tamper(&name, bytes.slice(..length));
        let report = world.verify().await;
        assert_eq!(report.damage.iter().map(|damage| &damage.blob).collect::<Vec<_>>(), [&name]);
        assert_eq!(report.damage[0].keys, restorable(&world, snapshot, &state).await, "cut to {length}");
    }
    world.store.delete(&name).await.unwrap();
    let report = world.verify().await;
    assert_eq!(report.damage[0].problem, "it is missing");
    assert_eq!(report.damage[0].key_count as usize, state.len());
}

#[tokio::test]
async fn a_damaged_list_of_chunks_is_found_though_no_data_is_read() {
    let (world, snapshot, _) = world().await;
    let opened = world.catalog.open(snapshot).await.unwrap();
    let rows = opened.lookup(&[&b"large"[..]].into_iter().collect()).await.unwrap();
    let Content::Chunked { list, .. } = rows.iter().next().unwrap().to_row().content else { panic!("it is small") };
    let name = names::pack(list.pack);
    let mut bytes = world.store.read(&name, None).await.unwrap().to_vec();
    bytes[(list.block_offset + list.block_length / 2) as usize] ^= 1;
    world.store.tamper(&name, bytes);
    for share in [DataShare::None, DataShare::All] {
        let entropy: std::sync::Arc<dyn Entropy> = world.entropy.clone();
        let verify = Verify::new(&world.vault, world.catalog.clone(), entropy);
        let report = verify.run(&[], share).await.unwrap();
        assert_eq!((report.damage.len(), report.damaged.objects), (1, 1));
        assert_eq!((&report.damage[0].blob, &report.damage[0].keys[..]), (&name, &["large".into()][..]));
        assert_eq!(report.damage[0].key_count, 1);
    }
}
