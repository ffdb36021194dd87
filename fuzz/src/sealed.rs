//! What is sealed: documents and packs.
//!
//! Bytes that nobody sealed hardly ever open, so each function also seals what it
//! is given, and sees that no alteration of that opens.

use stocktake_core::{JobId, PackId};
use stocktake_format::{
    Block, Item, ItemFacts, ItemKind, PackReader, PackWriter, TRAILER_BYTES, VaultKey, decode_document,
    encode_document, item_bytes,
};

use crate::{VAULT_KEYS, altered};

/// The name that documents of the corpus are sealed with.
pub const DOCUMENT: &str = "slots/seed";

/// A document, sealed or not, of an encrypted vault or not.
pub fn document(data: &[u8]) -> bool {
    let mut accepted = false;
    for key in &*VAULT_KEYS {
        accepted |= decode_document::<serde_json::Value>(key, DOCUMENT, data).is_ok();
        let whole = encode_document(key, DOCUMENT, &data);
        assert_eq!(decode_document::<Vec<u8>>(key, DOCUMENT, &whole).as_deref(), Ok(data));
        assert!(decode_document::<Vec<u8>>(key, DOCUMENT, &altered(data, &whole)).is_err());
    }
    accepted
}

/// The pack that packs of the corpus are.
pub fn pack_id() -> PackId {
    PackId { job: JobId::from_bytes([5; 16]), own: 0, worker: 0, seq: 0 }
}

/// A whole pack.
pub fn pack(data: &[u8]) -> bool {
    let _ = PackReader::directory_length(&data[data.len().saturating_sub(TRAILER_BYTES)..]);
    let mut accepted = false;
    for key in &*VAULT_KEYS {
        let reader = PackReader::new(key, pack_id());
        let found = reader.verify(key, data);
        assert!(found.is_err() || reader.directory_of(data) == found);
        accepted |= found.is_ok();

        let whole = sealed_pack(key, data);
        let directory = reader.verify(key, &whole).expect("it was just written");
        let block = &directory[1];
        let stored = &whole[block.offset as usize..][..block.stored_length as usize];
        let raw = reader.block(block.offset, stored.to_vec()).expect("it was just written");
        assert_eq!(item_bytes(&raw, &block.items[0]), Ok(data));
        assert!(reader.verify(key, &altered(data, &whole)).is_err());
        assert!(reader.block(block.offset, altered(data, stored)).is_err());
        assert!(reader.block(block.offset, data.to_vec()).is_err());
    }
    accepted
}

/// A pack of two blocks: nothing, and `data`.
fn sealed_pack(key: &VaultKey, data: &[u8]) -> Vec<u8> {
    let mut writer = PackWriter::new(key, pack_id());
    for raw in [&[][..], data] {
        let mut hasher = key.content_hasher();
        hasher.update(raw);
        let facts = ItemFacts { key: b"a/\xff".to_vec(), size: raw.len() as u64, ..ItemFacts::default() };
        let item = Item {
            offset: 0,
            length: raw.len() as u32,
            hash: hasher.finish_full(),
            kind: ItemKind::Object(Box::new(facts)),
        };
        writer.append(Block::compress(raw, vec![item], 1));
    }
    writer.finish().to_vec()
}
