//! Every byte of a stocktake vault that outlives a release.

mod block;
mod chunks;
mod cipher;
mod config;
mod document;
mod error;
mod hex;
mod keys;
pub mod names;
mod pack;
mod provider;
mod records;
mod root;
pub mod segment;
mod sum;
mod text;
mod wire;

pub use block::{Block, MAX_BLOCK_BYTES};
pub use chunks::{Chunk, ChunkList, ChunkSizes, MAX_OBJECT_BYTES};
pub use cipher::{FrameCipher, TAG_BYTES};
pub use config::{VAULT_VERSION, VaultConfig};
pub use document::{MAX_DOCUMENT_BYTES, decode_document, encode_document};
pub use error::{FormatError, Result};
pub use keys::{ContentHasher, VaultId, VaultKey, content_hash};
pub use pack::{
    DirectoryBlock, Item, ItemFacts, ItemKind, PackReader, PackWriter, TRAILER_BYTES, decode_directory, item_bytes,
};
pub use provider::{KeyFile, KeyProvider, Passphrase, WrappedKey};
pub use records::{Expiry, JobKind, OpenFlag, Slot};
pub use root::{Fence, Root, Run, SegmentRef, root_sealing_name};
pub use sum::StateSum;
