//! Documents: small sealed blobs of JSON, such as roots and slots.
//!
//! ```text
//! magic "STKD"  version u8 = 1  flags u8  reserved u16 = 0        header, 8 bytes
//! zstd(JSON), sealed as frame 0 with the header authenticated
//! ```
//! Bit 0 of the flags says that the vault is encrypted. A member `version` of the
//! JSON greater than 1 is refused as one of later software, whatever stands beside it.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{FormatError, Result, VaultKey};

const MAGIC: [u8; 4] = *b"STKD";
const VERSION: u8 = 1;
/// The newest version of what stands in documents, which say it in a member `version`; without one it is this.
const JSON_VERSION: u32 = 1;
const HEADER_BYTES: usize = 8;
const FLAG_ENCRYPTED: u8 = 1;
const ZSTD_LEVEL: i32 = 3;

/// The largest document that is read back, in bytes of JSON. A root of 10,000 segments takes about 4 MiB.
pub const MAX_DOCUMENT_BYTES: usize = 256 << 20;

/// Encodes `value` as the document that will be stored as `name`.
pub fn encode_document(key: &VaultKey, name: &str, value: &impl Serialize) -> Vec<u8> {
    let json = serde_json::to_vec(value).expect("documents are plain structures with string keys");
    let mut frame = zstd::bulk::compress(&json, ZSTD_LEVEL).expect("compressing into memory cannot fail");
    let header = header(key);
    key.document_cipher(name).seal(0, &header, &mut frame);
    [&header[..], &frame].concat()
}

/// Decodes the document stored as `name`.
///
/// # Errors
/// [`FormatError`] when the bytes are not a document of this name and vault, or of a newer version.
pub fn decode_document<T: DeserializeOwned>(key: &VaultKey, name: &str, bytes: &[u8]) -> Result<T> {
    let (found, frame) =
        bytes.split_at_checked(HEADER_BYTES).ok_or_else(|| FormatError::damaged("shorter than a header"))?;
    check_header(found, &header(key))?;
    let mut frame = frame.to_vec();
    key.document_cipher(name).open(0, found, &mut frame)?;
    let json = decompress(&frame)?;
    // Before the shape, which may be another one in a later version.
    if json.first() == Some(&b'{')
        && let Ok(Versioned { version }) = serde_json::from_slice(&json)
        && version > JSON_VERSION
    {
        return Err(FormatError::Unsupported(format!("version {version} of what is in the document")));
    }
    serde_json::from_slice(&json).map_err(|error| FormatError::damaged(format!("not the document expected: {error}")))
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

fn header(key: &VaultKey) -> [u8; HEADER_BYTES] {
    let flags = if key.is_encrypted() { FLAG_ENCRYPTED } else { 0 };
    [MAGIC[0], MAGIC[1], MAGIC[2], MAGIC[3], VERSION, flags, 0, 0]
}

fn check_header(found: &[u8], expected: &[u8]) -> Result<()> {
    if found[..4] != MAGIC {
        return Err(FormatError::damaged("not a document"));
    }
    // Whoever has no key could have written this, so it is no reason to stop.
    if found[4] > VERSION {
        return Err(FormatError::damaged(format!("document version {}: damaged, or of later software", found[4])));
    }
    if found != expected {
        return Err(FormatError::damaged("the header differs from that of this vault"));
    }
    Ok(())
}

fn decompress(frame: &[u8]) -> Result<Vec<u8>> {
    use std::io::Read;
    let mut json = Vec::new();
    let decoder = zstd::stream::read::Decoder::with_buffer(frame);
    let read = decoder.and_then(|decoder| decoder.take(MAX_DOCUMENT_BYTES as u64 + 1).read_to_end(&mut json));
    match read {
        Ok(length) if length <= MAX_DOCUMENT_BYTES => Ok(json),
        Ok(_) => Err(FormatError::damaged("larger than any document")),
        Err(error) => Err(FormatError::damaged(format!("does not decompress: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VaultId;
    use zeroize::Zeroizing;

    #[test]
    fn a_document_of_a_later_version_is_told_from_a_damaged_one() {
        let key = VaultKey::unencrypted(VaultId([1; 16]));
        let decode = |json: serde_json::Value| {
            decode_document::<crate::Root>(&key, "x", &encode_document(&key, "x", &json)).unwrap_err()
        };
        assert!(matches!(decode(serde_json::json!({"version": 2, "tree": []})), FormatError::Unsupported(_)));
        assert!(matches!(decode(serde_json::json!({"version": 1, "tree": []})), FormatError::Damaged(_)));
    }

    #[test]
    fn a_document_reads_back_under_its_own_name_only() {
        for key in
            [VaultKey::encrypted(VaultId([1; 16]), Zeroizing::new([1; 32])), VaultKey::unencrypted(VaultId([1; 16]))]
        {
            let bytes = encode_document(&key, "slots/x", &vec!["a", "b"]);
            assert_eq!(decode_document::<Vec<String>>(&key, "slots/x", &bytes).unwrap(), ["a", "b"]);
            assert!(decode_document::<Vec<String>>(&key, "slots/y", &bytes).is_err());
            for at in 0..bytes.len() {
                let mut bad = bytes.clone();
                bad[at] ^= 1;
                assert!(decode_document::<Vec<String>>(&key, "slots/x", &bad).is_err(), "flipped byte {at}");
                assert!(decode_document::<Vec<String>>(&key, "slots/x", &bytes[..at]).is_err(), "cut at {at}");
            }
        }
    }
}
