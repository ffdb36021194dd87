//! Every byte of a stocktake vault that outlives a release.

mod cipher;
mod document;
mod error;
mod hex;
mod keys;
pub mod names;
mod sum;

pub use cipher::{FrameCipher, TAG_BYTES};
pub use document::{MAX_DOCUMENT_BYTES, decode_document, encode_document};
pub use error::{FormatError, Result};
pub use keys::{ContentHasher, VaultId, VaultKey, content_hash};
pub use sum::StateSum;
