//! What is stored in the clear, or lies inside of what was sealed.

use std::fmt::Debug;

use futures::executor::block_on;
use serde::Serialize;
use serde::de::DeserializeOwned;
use stocktake_core::Attributes;
use stocktake_format::segment::SegmentRefs;
use stocktake_format::{
    Block, ChunkList, Expiry, KeyFile, KeyProvider, OpenFlag, PackReader, PackWriter, Root, Slot, VaultConfig,
    WrappedKey, decode_directory, item_bytes,
};

use crate::{VAULT, VAULT_KEYS, pack_id};

/// The attributes of an object.
pub fn attributes(data: &[u8]) -> bool {
    let attributes = Attributes::decode(data);
    if let Some(attributes) = &attributes {
        assert_eq!(Attributes::decode(&attributes.encode()).as_ref(), Some(attributes));
    }
    attributes.is_some()
}

/// The directory of a pack: one with the same items reads back.
pub fn directory(data: &[u8]) -> bool {
    let Ok(directory) = decode_directory(data) else { return false };
    let [key, _] = &*VAULT_KEYS;
    let mut writer = PackWriter::new(key, pack_id());
    for block in &directory {
        for item in &block.items {
            assert!(
                item_bytes(data, item).is_ok_and(|bytes| bytes.len() == item.length as usize)
                    || u64::from(item.offset) + u64::from(item.length) > data.len() as u64
            );
        }
        writer.append(Block::compress(&[], block.items.clone(), 1));
    }
    let back = PackReader::new(key, pack_id()).directory_of(&writer.finish()).expect("it was just written");
    assert!(back.iter().map(|block| &block.items).eq(directory.iter().map(|block| &block.items)));
    true
}

/// The chunk list of a large object.
pub fn chunk_list(data: &[u8]) -> bool {
    let Ok(list) = ChunkList::decode(data) else { return false };
    assert_eq!(list.chunks.iter().map(|chunk| u64::from(chunk.length)).sum::<u64>(), list.size);
    assert_eq!(ChunkList::decode(&list.encode()), Ok(list));
    true
}

/// The settings of a vault.
pub fn config(data: &[u8]) -> bool {
    let Ok(config) = VaultConfig::decode(data) else { return false };
    assert_eq!(VaultConfig::decode(&config.encode()), Ok(config));
    true
}

/// A wrapped copy of a vault's key: only what the right key wrapped is unwrapped.
pub fn wrapped_key(data: &[u8]) -> bool {
    let Ok(wrapped) = WrappedKey::decode(data) else { return false };
    let back = WrappedKey::decode(&wrapped.encode()).expect("it was just encoded");
    // Parameters are whatever a provider likes, numbers included that JSON rounds.
    let parts = |key: &WrappedKey| (key.version, key.id.clone(), key.provider.clone(), key.wrapped.clone());
    assert_eq!(parts(&back), parts(&wrapped));
    let right = KeyFile::new(&[3; 32]).expect("32 bytes are enough");
    let wrong = KeyFile::new(&[4; 32]).expect("32 bytes are enough");
    assert!(!matches!(block_on(wrong.unwrap(VAULT, &wrapped)), Ok(Some(_))));
    matches!(block_on(right.unwrap(VAULT, &wrapped)), Ok(Some(_)))
}

/// The JSON of documents: what jobs agree by, roots, and what segments refer to.
pub fn records(data: &[u8]) -> bool {
    let root = reads_back::<Root>(data);
    if let Some(root) = &root {
        let sound = root.check().is_ok();
        let fence = root.fence_of(data);
        assert!(!sound || fence.is_some() != root.fences.is_empty());
        assert!(root.segments().count() >= root.runs.iter().map(|run| run.segments.len()).sum());
    }
    reads_back::<OpenFlag>(data).is_some()
        | reads_back::<Slot>(data).is_some()
        | reads_back::<Expiry>(data).is_some()
        | reads_back::<SegmentRefs>(data).is_some()
        | root.is_some_and(|root| root.check().is_ok())
}

fn reads_back<T: Serialize + DeserializeOwned + PartialEq + Debug>(data: &[u8]) -> Option<T> {
    let value: T = serde_json::from_slice(data).ok()?;
    let json = serde_json::to_vec(&value).expect("documents are plain structures with string keys");
    assert_eq!(serde_json::from_slice::<T>(&json).as_ref().ok(), Some(&value));
    Some(value)
}
