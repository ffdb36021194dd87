//! Packs: one blob that holds many blocks, readable on its own.
//!
//! ```text
//! magic "STKP"  version u8 = 1  flags u8  reserved u16 = 0          header, 8 bytes
//! blocks, each a sealed frame whose index is its offset in the pack
//! directory: a sealed frame with index 2^64 - 1, of zstd(directory)
//! directory length u32  magic "STKPEND1"                            trailer, 12 bytes
//! ```
//! The header is authenticated with every frame. Bit 0 of the flags says that
//! the vault is encrypted.
//!
//! The directory names every block and every object in it, with its key, facts
//! and full hash. Catalogs point into packs directly and never need it; it is
//! there to verify a pack on its own, and to rebuild a catalog that was lost.
//!
//! ```text
//! block count u32, then for each block:
//!   offset u32   stored length u32   raw length u32   item count u32, then for each item:
//!     kind u8 (0 object, 1 chunk, 2 chunk list)   offset u32   length u32   hash [32]
//!     for kinds 0 and 2: size u64   last modified i64   key, etag, class, attributes: each length u32 and bytes
//! ```

use bytes::Bytes;
use stocktake_core::{Extent, PackId};

use crate::block::{Block, decode_frame};
use crate::cipher::{FrameCipher, TAG_BYTES};
use crate::wire::{Reader, length, put_prefixed};
use crate::{FormatError, Result, VaultKey, names};

const MAGIC: [u8; 4] = *b"STKP";
const END_MAGIC: [u8; 8] = *b"STKPEND1";
const VERSION: u8 = 1;
const FLAG_ENCRYPTED: u8 = 1;
const HEADER_BYTES: usize = 8;
const DIRECTORY_INDEX: u64 = u64::MAX;
const ZSTD_LEVEL: i32 = 3;

/// Bytes of a pack's trailer, which tells how long the directory is.
pub const TRAILER_BYTES: usize = 12;

/// The largest directory that is read back, in decoded bytes.
const MAX_DIRECTORY_BYTES: usize = 512 << 20;

/// Something in a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Where it begins in the decoded block.
    pub offset: u32,
    /// How many bytes it has.
    pub length: u32,
    /// The full keyed hash of those bytes.
    pub hash: [u8; 32],
    /// What it is.
    pub kind: ItemKind,
}

/// What an item is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemKind {
    /// A whole object.
    Object(Box<ItemFacts>),
    /// A chunk of a large object.
    Chunk,
    /// The chunk list of a large object.
    ChunkList(Box<ItemFacts>),
}

/// Whose bytes an item holds: enough to rebuild a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ItemFacts {
    /// The object's key.
    pub key: Vec<u8>,
    /// The object's length.
    pub size: u64,
    /// Its last-modified time, in milliseconds since 1970.
    pub last_modified: i64,
    /// Its entity tag; empty when absent.
    pub etag: String,
    /// Its storage class; empty when unknown.
    pub class: String,
    /// Its encoded attributes.
    pub attributes: Vec<u8>,
}

/// A block as the directory lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryBlock {
    /// Where its frame begins in the pack.
    pub offset: u32,
    /// How long its frame is.
    pub stored_length: u32,
    /// How many bytes it decodes to.
    pub raw_length: u32,
    /// What is in it.
    pub items: Vec<Item>,
}

/// Gathers blocks into one pack, in memory.
///
/// A pack is bounded by its writer's caller, which finishes it once
/// [`len`](Self::len) passes its target, far below 4 GiB.
#[derive(Debug)]
pub struct PackWriter {
    id: PackId,
    cipher: FrameCipher,
    header: [u8; HEADER_BYTES],
    bytes: Vec<u8>,
    directory: Vec<u8>,
    blocks: u32,
}

impl PackWriter {
    /// An empty pack.
    pub fn new(key: &VaultKey, id: PackId) -> Self {
        let header = header(key);
        let cipher = key.pack_cipher(&names::pack(id));
        Self { id, cipher, header, bytes: header.to_vec(), directory: Vec::new(), blocks: 0 }
    }

    /// The pack's identity.
    pub fn id(&self) -> PackId {
        self.id
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.bytes.len() + self.directory.len()
    }

    /// Whether no block was appended yet.
    pub fn is_empty(&self) -> bool {
        self.blocks == 0
    }

    /// Seals a block and places it. The extent returned is that of the block's first byte.
    pub fn append(&mut self, block: Block) -> Extent {
        let Block { mut frame, raw_length, items } = block;
        let offset = length(self.bytes.len());
        self.cipher.seal(u64::from(offset), &self.header, &mut frame);
        let stored_length = length(frame.len());
        self.bytes.extend_from_slice(&frame);
        self.blocks += 1;
        encode_block(&mut self.directory, &DirectoryBlock { offset, stored_length, raw_length, items });
        Extent { pack: self.id, block_offset: offset, block_length: stored_length, offset: 0 }
    }

    /// Closes the pack: appends directory and trailer.
    pub fn finish(mut self) -> Bytes {
        let mut directory = self.blocks.to_le_bytes().to_vec();
        directory.append(&mut self.directory);
        let mut frame = zstd::bulk::compress(&directory, ZSTD_LEVEL).expect("compressing into memory cannot fail");
        self.cipher.seal(DIRECTORY_INDEX, &self.header, &mut frame);
        self.bytes.extend_from_slice(&frame);
        self.bytes.extend_from_slice(&length(frame.len()).to_le_bytes());
        self.bytes.extend_from_slice(&END_MAGIC);
        self.bytes.into()
    }
}

/// Opens the blocks of one pack.
#[derive(Debug)]
pub struct PackReader {
    cipher: FrameCipher,
    header: [u8; HEADER_BYTES],
}

impl PackReader {
    /// A reader for the pack `id`.
    pub fn new(key: &VaultKey, id: PackId) -> Self {
        Self { cipher: key.pack_cipher(&names::pack(id)), header: header(key) }
    }

    /// Decodes the block whose stored bytes, `stored`, begin at `block_offset`.
    ///
    /// # Errors
    /// [`FormatError`] when these are not the bytes of that block of this pack.
    pub fn block(&self, block_offset: u32, stored: Vec<u8>) -> Result<Vec<u8>> {
        let mut frame = stored;
        self.cipher.open(u64::from(block_offset), &self.header, &mut frame)?;
        decode_frame(frame)
    }

    /// How long the directory frame is, from the last [`TRAILER_BYTES`] of the pack.
    ///
    /// # Errors
    /// [`FormatError::Damaged`] when these are not the end of a pack.
    pub fn directory_length(trailer: &[u8]) -> Result<usize> {
        match trailer.split_at_checked(4) {
            Some((length, magic)) if magic == END_MAGIC => {
                Ok(u32::from_le_bytes(length.try_into().expect("4 bytes")) as usize)
            }
            _ => Err(FormatError::damaged("does not end like a pack")),
        }
    }

    /// Decodes the directory from its stored frame.
    ///
    /// # Errors
    /// [`FormatError`] when this is not the directory of this pack.
    pub fn directory(&self, stored: Vec<u8>) -> Result<Vec<DirectoryBlock>> {
        let mut frame = stored;
        self.cipher.open(DIRECTORY_INDEX, &self.header, &mut frame)?;
        let upper = zstd::bulk::Decompressor::upper_bound(&frame).unwrap_or(MAX_DIRECTORY_BYTES);
        if upper > MAX_DIRECTORY_BYTES {
            return Err(FormatError::damaged("the directory is larger than any"));
        }
        let bytes = zstd::bulk::decompress(&frame, upper)
            .map_err(|error| FormatError::damaged(format!("the directory does not decompress: {error}")))?;
        decode_directory(&bytes)
    }

    /// Checks a whole pack: header, directory, every block, the hash of every item.
    /// Returns the directory.
    ///
    /// # Errors
    /// [`FormatError`] names the first thing that is wrong.
    pub fn verify(&self, key: &VaultKey, pack: &[u8]) -> Result<Vec<DirectoryBlock>> {
        let directory = self.directory_of(pack)?;
        for block in &directory {
            let raw = self.directory_block(pack, block)?;
            for item in &block.items {
                let bytes = item_bytes(&raw, item)?;
                let mut hasher = key.content_hasher();
                hasher.update(bytes);
                if hasher.finish_full() != item.hash {
                    return Err(FormatError::damaged(format!(
                        "the block at {} has other bytes than it should",
                        block.offset
                    )));
                }
            }
        }
        Ok(directory)
    }

    /// The directory of a whole pack.
    ///
    /// # Errors
    /// [`FormatError`] when the pack has no intact header, trailer or directory.
    pub fn directory_of(&self, pack: &[u8]) -> Result<Vec<DirectoryBlock>> {
        check_header(pack, &self.header)?;
        let end = pack.len().checked_sub(TRAILER_BYTES).ok_or_else(|| FormatError::damaged("shorter than a pack"))?;
        let start = end
            .checked_sub(Self::directory_length(&pack[end..])?)
            .filter(|start| *start >= HEADER_BYTES)
            .ok_or_else(|| FormatError::damaged("the directory is longer than the pack"))?;
        self.directory(pack[start..end].to_vec())
    }

    fn directory_block(&self, pack: &[u8], block: &DirectoryBlock) -> Result<Vec<u8>> {
        let start = block.offset as usize;
        let stored = pack
            .get(start..start.saturating_add(block.stored_length as usize))
            .ok_or_else(|| FormatError::damaged("a block lies outside of the pack"))?;
        let raw = self.block(block.offset, stored.to_vec())?;
        if raw.len() == block.raw_length as usize {
            Ok(raw)
        } else {
            Err(FormatError::damaged(format!("the block at {} has another length than it should", block.offset)))
        }
    }
}

/// The bytes of `item` in its decoded block.
///
/// # Errors
/// [`FormatError::Damaged`] when the item does not lie within the block.
pub fn item_bytes<'a>(block: &'a [u8], item: &Item) -> Result<&'a [u8]> {
    slice(block, item.offset as usize, item.length as usize)
}

/// `length` bytes of `block` from `offset` on.
pub(crate) fn slice(block: &[u8], offset: usize, length: usize) -> Result<&[u8]> {
    offset
        .checked_add(length)
        .and_then(|end| block.get(offset..end))
        .ok_or_else(|| FormatError::damaged("an item lies outside of its block"))
}

fn header(key: &VaultKey) -> [u8; HEADER_BYTES] {
    let flags = if key.is_encrypted() { FLAG_ENCRYPTED } else { 0 };
    [MAGIC[0], MAGIC[1], MAGIC[2], MAGIC[3], VERSION, flags, 0, 0]
}

fn check_header(pack: &[u8], expected: &[u8; HEADER_BYTES]) -> Result<()> {
    match pack.first_chunk::<HEADER_BYTES>() {
        Some(found) if found == expected => Ok(()),
        Some(found) if found[..4] == MAGIC && found[4] > VERSION => {
            Err(FormatError::Unsupported(format!("pack version {}", found[4])))
        }
        _ => Err(FormatError::damaged("does not begin like a pack of this vault")),
    }
}

const OBJECT: u8 = 0;
const CHUNK: u8 = 1;
const CHUNK_LIST: u8 = 2;

fn encode_block(out: &mut Vec<u8>, block: &DirectoryBlock) {
    for field in [block.offset, block.stored_length, block.raw_length, length(block.items.len())] {
        out.extend_from_slice(&field.to_le_bytes());
    }
    for item in &block.items {
        let (kind, facts) = match &item.kind {
            ItemKind::Object(facts) => (OBJECT, Some(facts)),
            ItemKind::Chunk => (CHUNK, None),
            ItemKind::ChunkList(facts) => (CHUNK_LIST, Some(facts)),
        };
        out.push(kind);
        out.extend_from_slice(&item.offset.to_le_bytes());
        out.extend_from_slice(&item.length.to_le_bytes());
        out.extend_from_slice(&item.hash);
        if let Some(facts) = facts {
            encode_facts(out, facts);
        }
    }
}

fn encode_facts(out: &mut Vec<u8>, facts: &ItemFacts) {
    let ItemFacts { key, size, last_modified, etag, class, attributes } = facts;
    out.extend_from_slice(&size.to_le_bytes());
    out.extend_from_slice(&last_modified.to_le_bytes());
    for field in [key, etag.as_bytes(), class.as_bytes(), attributes] {
        put_prefixed(out, field);
    }
}

/// Decodes the plain bytes of a directory.
///
/// # Errors
/// [`FormatError`] when they are not one.
pub fn decode_directory(bytes: &[u8]) -> Result<Vec<DirectoryBlock>> {
    let mut reader = Reader::new(bytes);
    let blocks = (0..reader.count(16)?).map(|_| decode_block(&mut reader)).collect::<Result<_>>()?;
    reader.end()?;
    Ok(blocks)
}

fn decode_block(reader: &mut Reader<'_>) -> Result<DirectoryBlock> {
    let (offset, stored_length, raw_length) = (reader.u32()?, reader.u32()?, reader.u32()?);
    if (stored_length as usize) < TAG_BYTES {
        return Err(FormatError::damaged("a block is shorter than its tag"));
    }
    let items = (0..reader.count(41)?).map(|_| decode_item(reader)).collect::<Result<_>>()?;
    Ok(DirectoryBlock { offset, stored_length, raw_length, items })
}

fn decode_item(reader: &mut Reader<'_>) -> Result<Item> {
    let kind = reader.u8()?;
    let (offset, length, hash) = (reader.u32()?, reader.u32()?, reader.array()?);
    let kind = match kind {
        OBJECT => ItemKind::Object(Box::new(decode_facts(reader)?)),
        CHUNK => ItemKind::Chunk,
        CHUNK_LIST => ItemKind::ChunkList(Box::new(decode_facts(reader)?)),
        kind => return Err(FormatError::Unsupported(format!("item kind {kind}"))),
    };
    Ok(Item { offset, length, hash, kind })
}

fn decode_facts(reader: &mut Reader<'_>) -> Result<ItemFacts> {
    Ok(ItemFacts {
        size: reader.u64()?,
        last_modified: reader.i64()?,
        key: reader.prefixed()?.to_vec(),
        etag: reader.text()?.to_owned(),
        class: reader.text()?.to_owned(),
        attributes: reader.prefixed()?.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VaultId;
    use stocktake_core::JobId;
    use zeroize::Zeroizing;

    fn id(seq: u32) -> PackId {
        PackId { job: JobId::from_bytes([5; 16]), own: 0, worker: 0, seq }
    }

    fn keys() -> [VaultKey; 2] {
        let vault = VaultId([1; 16]);
        [VaultKey::encrypted(vault, Zeroizing::new([1; 32])), VaultKey::unencrypted(vault)]
    }

    fn item(key: &VaultKey, raw: &[u8], offset: u32, length: u32) -> Item {
        let mut hasher = key.content_hasher();
        hasher.update(&raw[offset as usize..(offset + length) as usize]);
        let facts = ItemFacts { key: b"a/\xff".to_vec(), size: u64::from(length), ..ItemFacts::default() };
        Item { offset, length, hash: hasher.finish_full(), kind: ItemKind::Object(Box::new(facts)) }
    }

    fn pack(key: &VaultKey) -> (Bytes, Vec<Extent>) {
        let mut writer = PackWriter::new(key, id(0));
        let extents = [&b"first block of text"[..], &[9; 5000]].map(|raw| {
            let items = vec![item(key, raw, 0, 5), item(key, raw, 5, 7)];
            writer.append(Block::compress(raw, items, 3))
        });
        (writer.finish(), extents.to_vec())
    }

    #[test]
    fn blocks_read_back_by_their_extent_alone() {
        for key in keys() {
            let (bytes, extents) = pack(&key);
            let reader = PackReader::new(&key, id(0));
            let extent = extents[1];
            let start = extent.block_offset as usize;
            let stored = bytes[start..start + extent.block_length as usize].to_vec();
            assert_eq!(reader.block(extent.block_offset, stored.clone()).unwrap(), [9; 5000]);
            assert!(reader.block(extent.block_offset + 1, stored.clone()).is_err());
            assert!(PackReader::new(&key, id(1)).block(extent.block_offset, stored).is_err());
        }
    }

    #[test]
    fn verification_finds_every_flipped_byte_and_every_cut() {
        for key in keys() {
            let (bytes, _) = pack(&key);
            let reader = PackReader::new(&key, id(0));
            let directory = reader.verify(&key, &bytes).unwrap();
            assert_eq!(directory.iter().map(|block| block.items.len()).collect::<Vec<_>>(), [2, 2]);
            for at in 0..bytes.len() {
                let mut bad = bytes.to_vec();
                bad[at] ^= 0x10;
                assert!(reader.verify(&key, &bad).is_err(), "flipped byte {at}");
                assert!(reader.verify(&key, &bytes[..at]).is_err(), "cut at {at}");
            }
        }
    }

    #[test]
    fn a_directory_with_absurd_counts_is_refused() {
        assert!(decode_directory(&u32::MAX.to_le_bytes()).is_err());
        assert!(decode_directory(&[1, 0, 0, 0]).is_err());
        assert!(decode_directory(&[0, 0, 0, 0, 0]).is_err());
        assert_eq!(decode_directory(&[0, 0, 0, 0]).unwrap(), []);
    }
}
