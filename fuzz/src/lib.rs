//! One plain function for each decoder of bytes that somebody else may have written.
//!
//! Each takes any bytes at all, and must return. Beyond that it asserts what its
//! decoder promises: what was decoded encodes to the same again, what was sealed
//! does not open once it is altered, two ways to one answer agree. It tells
//! whether the bytes were accepted.
//!
//! The same functions run in two places: under libFuzzer (`.ci/fuzz`, and
//! `fuzz_targets/`, which need the feature `libfuzzer`), and in an ordinary test
//! that goes over the kept corpus and many mutations of it. `cargo run -p
//! stocktake-fuzz --example seeds` writes the corpus anew.
//!
//! A failure found by libFuzzer is kept: its input goes into `corpus/<target>/`
//! under a name that says what it was.

mod chain;
mod columns;
mod inventory;
mod sealed;
mod segment;
mod stored;
mod values;

pub use chain::{delta_file, delta_manifest};
pub use columns::{PARQUET_KEY, parquet};
pub use inventory::{BUCKET, csv_file, manifest, orc_file, parquet_file, schema};
pub use sealed::{DOCUMENT, document, pack, pack_id};
pub use segment::{SEGMENT_KEY_NAME, segment};
pub use stored::{attributes, chunk_list, config, directory, records, wrapped_key};
pub use values::{etag, id, key, time};

use std::sync::LazyLock;

use stocktake_format::{VaultId, VaultKey};
use zeroize::Zeroizing;

/// A decoder under test: whether it accepted the bytes.
pub type Target = fn(&[u8]) -> bool;

/// All targets, by the names of their corpora.
pub const TARGETS: [(&str, Target); 21] = [
    ("etag", etag),
    ("key", key),
    ("id", id),
    ("time", time),
    ("attributes", attributes),
    ("document", document),
    ("pack", pack),
    ("directory", directory),
    ("chunk_list", chunk_list),
    ("config", config),
    ("wrapped_key", wrapped_key),
    ("records", records),
    ("segment", segment),
    ("parquet", parquet),
    ("manifest", manifest),
    ("schema", schema),
    ("csv_file", csv_file),
    ("parquet_file", parquet_file),
    ("orc_file", orc_file),
    ("delta_manifest", delta_manifest),
    ("delta_file", delta_file),
];

/// The vault that sealed seeds belong to.
pub const VAULT: VaultId = VaultId([1; 16]);

/// Keys of that vault, as if it were encrypted and as if it were not.
pub static VAULT_KEYS: LazyLock<[VaultKey; 2]> =
    LazyLock::new(|| [VaultKey::encrypted(VAULT, Zeroizing::new([2; 32])), VaultKey::unencrypted(VAULT)]);

/// A number that the first four bytes of `data` choose.
fn chosen(data: &[u8]) -> usize {
    data.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes) as usize)
}

/// `whole` with one bit changed, which `data` chooses.
fn altered(data: &[u8], whole: &[u8]) -> Vec<u8> {
    let bit = chosen(data) % (whole.len() * 8);
    let mut bytes = whole.to_vec();
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}
