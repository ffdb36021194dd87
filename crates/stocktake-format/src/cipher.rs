//! Frames: the unit that is sealed, and opened or refused as a whole.
//!
//! A sealed frame is the plain bytes, encrypted in place, and 16 bytes of tag.
//! Each cipher key belongs to one blob name, and each frame of a blob has its own
//! index, so a frame moved to another place or blob does not open. Names are used
//! once, but for a job that is taken up again and seals its root or flag a second
//! time: then key and nonce repeat, which AES-256-GCM-SIV withstands; all it
//! tells is whether the two are the same.
//!
//! In a vault without encryption the layout is the same: the bytes are plain and
//! the tag is a keyed BLAKE3 of index and bytes, which finds damage but does not
//! withstand a forger.

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use crate::{FormatError, Result};

/// How many bytes a frame grows when sealed.
pub const TAG_BYTES: usize = 16;

/// Seals and opens the frames of one blob.
pub struct FrameCipher(Kind);

enum Kind {
    Sealed(Box<LessSafeKey>),
    Plain([u8; 32]),
}

impl FrameCipher {
    /// A cipher that encrypts with `key`.
    pub(crate) fn sealed(key: &[u8; 32]) -> Self {
        let key = UnboundKey::new(&AES_256_GCM_SIV, key).expect("the key has the length of the algorithm");
        Self(Kind::Sealed(Box::new(LessSafeKey::new(key))))
    }

    /// A cipher that only detects damage.
    pub(crate) fn plain(key: [u8; 32]) -> Self {
        Self(Kind::Plain(key))
    }

    /// Seals `frame` in place and appends the tag. `header` is authenticated with it.
    pub fn seal(&self, index: u64, header: &[u8], frame: &mut Vec<u8>) {
        match &self.0 {
            Kind::Sealed(key) => {
                let tag = key
                    .seal_in_place_separate_tag(nonce(index), Aad::from(header), frame)
                    .expect("a frame is far shorter than the algorithm's limit");
                frame.extend_from_slice(tag.as_ref());
            }
            Kind::Plain(key) => frame.extend_from_slice(&checksum(key, index, header, frame)),
        }
    }

    /// Opens a sealed frame in place: the tag is checked and dropped.
    ///
    /// # Errors
    /// [`FormatError::Damaged`] when the tag does not fit; `frame` is then of no use.
    pub fn open(&self, index: u64, header: &[u8], frame: &mut Vec<u8>) -> Result<()> {
        let Some(length) = frame.len().checked_sub(TAG_BYTES) else {
            return Err(FormatError::damaged("a frame is shorter than its tag"));
        };
        match &self.0 {
            Kind::Sealed(key) => {
                key.open_in_place(nonce(index), Aad::from(header), frame)
                    .map_err(|_| FormatError::damaged("a frame does not authenticate"))?;
            }
            Kind::Plain(key) => {
                let (bytes, tag) = frame.split_at(length);
                if checksum(key, index, header, bytes) != tag {
                    return Err(FormatError::damaged("the checksum of a frame differs"));
                }
            }
        }
        frame.truncate(length);
        Ok(())
    }
}

impl std::fmt::Debug for FrameCipher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FrameCipher")
    }
}

fn nonce(index: u64) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    bytes[4..].copy_from_slice(&index.to_le_bytes());
    Nonce::assume_unique_for_key(bytes)
}

fn checksum(key: &[u8; 32], index: u64, header: &[u8], bytes: &[u8]) -> [u8; TAG_BYTES] {
    let mut hasher = blake3::Hasher::new_keyed(key);
    hasher.update(&index.to_le_bytes());
    hasher.update(&(header.len() as u64).to_le_bytes());
    hasher.update(header);
    hasher.update(bytes);
    hasher.finalize().as_bytes()[..TAG_BYTES].try_into().expect("16 of 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_opens_only_unaltered_and_in_its_place() {
        for cipher in [FrameCipher::sealed(&[1; 32]), FrameCipher::plain([1; 32])] {
            let mut frame = b"some bytes".to_vec();
            cipher.seal(7, b"head", &mut frame);
            assert_eq!(frame.len(), 10 + TAG_BYTES);
            for (index, header, flip) in
                [(8, &b"head"[..], None), (7, b"hea", None), (7, b"head", Some(0)), (7, b"head", Some(25))]
            {
                let mut bad = frame.clone();
                if let Some(at) = flip {
                    bad[at] ^= 1;
                }
                assert!(cipher.open(index, header, &mut bad).is_err());
            }
            cipher.open(7, b"head", &mut frame).unwrap();
            assert_eq!(frame, b"some bytes");
        }
        assert!(FrameCipher::plain([0; 32]).open(0, b"", &mut vec![0; 15]).is_err());
    }
}
