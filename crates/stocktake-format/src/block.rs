//! Blocks: what packs are made of, and the smallest thing that is read back.
//!
//! A block holds consecutive small objects, one object of middle size, one chunk
//! of a large one, or one chunk list. Neighbours in key order are alike, so they
//! compress better together; a row says where in the decoded block its bytes are.
//!
//! ```text
//! codec u8 (0 stored, 1 zstd)   raw length u32   payload          one sealed frame
//! ```

use std::cell::RefCell;

use zstd::bulk::Compressor;

use crate::{FormatError, Result};

/// The largest block in decoded bytes. Chunks and chunk lists are cut to stay below.
pub const MAX_BLOCK_BYTES: usize = 256 << 20;

/// Bytes of a frame before the payload.
const PRELUDE_BYTES: usize = 5;
const STORED: u8 = 0;
const ZSTD: u8 = 1;

/// A block that was compressed, not yet placed in a pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Prelude and payload.
    pub(crate) frame: Vec<u8>,
    pub(crate) raw_length: u32,
    /// What is in the block, in order of offset.
    pub(crate) items: Vec<crate::Item>,
}

impl Block {
    /// Compresses `raw`, unless that does not save at least an eighth.
    ///
    /// # Panics
    /// When `raw` is longer than [`MAX_BLOCK_BYTES`].
    pub fn compress(raw: &[u8], items: Vec<crate::Item>, zstd_level: i32) -> Self {
        assert!(raw.len() <= MAX_BLOCK_BYTES, "blocks are cut to size before");
        let raw_length = crate::wire::length(raw.len());
        let mut frame = vec![0; PRELUDE_BYTES + zstd::zstd_safe::compress_bound(raw.len())];
        let worthwhile = raw.len() - raw.len() / 8;
        let compressed = compress(raw, &mut frame[PRELUDE_BYTES..], zstd_level);
        frame[1..PRELUDE_BYTES].copy_from_slice(&raw_length.to_le_bytes());
        match compressed {
            Ok(length) if length < worthwhile => {
                frame[0] = ZSTD;
                frame.truncate(PRELUDE_BYTES + length);
            }
            _ => {
                frame[0] = STORED;
                frame.truncate(PRELUDE_BYTES);
                frame.extend_from_slice(raw);
            }
        }
        Self { frame, raw_length, items }
    }

    /// How many bytes the block will take in a pack.
    pub fn stored_bytes(&self) -> usize {
        self.frame.len() + crate::TAG_BYTES
    }

    /// How many bytes it decodes to.
    pub fn raw_bytes(&self) -> usize {
        self.raw_length as usize
    }
}

/// Compresses with a context that the thread keeps: making one costs about as much as a small block.
fn compress(raw: &[u8], out: &mut [u8], level: i32) -> std::io::Result<usize> {
    thread_local! {
        static COMPRESSOR: RefCell<Option<(i32, Compressor<'static>)>> = const { RefCell::new(None) };
    }
    COMPRESSOR.with_borrow_mut(|kept| {
        let compressor = match kept.take() {
            Some((known, compressor)) if known == level => compressor,
            _ => Compressor::new(level)?,
        };
        kept.insert((level, compressor)).1.compress_to_buffer(raw, out)
    })
}

/// Decodes an opened frame to the block's bytes.
pub(crate) fn decode_frame(mut frame: Vec<u8>) -> Result<Vec<u8>> {
    let Some((prelude, payload)) = frame.split_at_checked(PRELUDE_BYTES) else {
        return Err(FormatError::damaged("a block is shorter than its prelude"));
    };
    let raw_length = u32::from_le_bytes(prelude[1..].try_into().expect("4 bytes")) as usize;
    if raw_length > MAX_BLOCK_BYTES {
        return Err(FormatError::damaged("a block announces more bytes than any block has"));
    }
    let raw = match prelude[0] {
        STORED => {
            frame.drain(..PRELUDE_BYTES);
            frame
        }
        ZSTD => zstd::bulk::decompress(payload, raw_length)
            .map_err(|error| FormatError::damaged(format!("a block does not decompress: {error}")))?,
        codec => return Err(FormatError::Unsupported(format!("block codec {codec}"))),
    };
    if raw.len() == raw_length {
        Ok(raw)
    } else {
        Err(FormatError::damaged("a block decodes to another length than it says"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_compress_is_stored() {
        let mut noise = [0; 4096];
        blake3::Hasher::new().finalize_xof().fill(&mut noise);
        for (raw, codec) in [(&noise[..], STORED), (&[7; 4096][..], ZSTD), (&[][..], STORED)] {
            let block = Block::compress(raw, Vec::new(), 3);
            assert_eq!(block.frame[0], codec);
            assert_eq!(decode_frame(block.frame).unwrap(), raw);
        }
    }

    #[test]
    fn an_announced_length_is_not_believed() {
        let mut frame = Block::compress(&[7; 4096], Vec::new(), 3).frame;
        frame[1..5].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(decode_frame(frame.clone()).is_err());
        frame[1..5].copy_from_slice(&5000_u32.to_le_bytes());
        assert!(decode_frame(frame).is_err());
        assert!(decode_frame(vec![9, 0, 0, 0, 0]).is_err());
    }
}
