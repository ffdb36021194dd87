//! Rows on their way into a batch, as every format hands them over.
//!
//! Here stands what a row must satisfy, whatever it was written in: a key of 1 to
//! 1,024 bytes, a size, a time, a tag that is packed or kept as text.

use stocktake_core::{
    BATCH_ROWS, BytesColumn, ETagCode, EntryBatch, EntryColumns, EntryFlags, KeyFilter, MAX_KEY_BYTES,
};

use crate::fault::{Fault, Result};

/// A batch being filled. Keys are decoded right into their arena.
#[derive(Debug, Default)]
pub(crate) struct BatchBuilder {
    pub(crate) key_data: Vec<u8>,
    key_ends: Vec<u32>,
    /// All columns but the keys.
    pub(crate) rest: EntryColumns,
}

impl BatchBuilder {
    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.key_ends.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.len() >= BATCH_ROWS
    }

    /// Ends the key that was just appended to `key_data`.
    #[inline]
    pub(crate) fn end_key(&mut self) -> Result<()> {
        let start = self.key_ends.last().map_or(0, |end| *end as usize);
        match self.key_data.len() - start {
            0 => Err(Fault::corrupt("its key is empty")),
            // A batch of keys of this length stays far below 4 GiB.
            1..=MAX_KEY_BYTES => {
                self.key_ends.push(self.key_data.len() as u32);
                Ok(())
            }
            length => Err(Fault::corrupt(format!("its key has {length} bytes, more than {MAX_KEY_BYTES}"))),
        }
    }

    /// Drops the keys that are not wanted, before anything else of their rows was appended. Says which were kept.
    pub(crate) fn retain_keys(&mut self, wanted: &KeyFilter) -> Result<Vec<bool>> {
        let (data, ends) = (std::mem::take(&mut self.key_data), std::mem::take(&mut self.key_ends));
        let keys = BytesColumn::from_parts(data, ends).map_err(|error| Fault::corrupt(error.to_string()))?;
        let kept = wanted(&keys);
        for (key, _) in keys.iter().zip(&kept).filter(|(_, kept)| **kept) {
            self.key_data.extend_from_slice(key);
            self.end_key()?;
        }
        Ok(kept)
    }

    #[inline]
    pub(crate) fn push_size(&mut self, size: u64) {
        self.rest.sizes.push(size);
    }

    #[inline]
    pub(crate) fn push_last_modified(&mut self, millis: i64) {
        self.rest.last_modified.push(millis);
    }

    /// Appends a tag. One pair of quotes is dropped; an empty text is no tag.
    #[inline]
    pub(crate) fn push_etag(&mut self, text: &[u8]) -> Result<()> {
        let code = match ETagCode::packed(text) {
            Some(code) => code,
            None => return self.push_odd_etag(text),
        };
        if let Some(texts) = &mut self.rest.etag_texts {
            texts.push(b"");
        }
        self.rest.etags.push(code);
        Ok(())
    }

    #[cold]
    fn push_odd_etag(&mut self, text: &[u8]) -> Result<()> {
        let bare = text.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(text);
        let bare = std::str::from_utf8(bare).map_err(|_| Fault::corrupt("its ETag is not text"))?;
        let code = ETagCode::of(bare);
        push_rare(&mut self.rest.etag_texts, if code.is_text() { bare } else { "" }, self.rest.etags.len());
        self.rest.etags.push(code);
        Ok(())
    }

    /// The code of a class in this batch.
    #[inline]
    pub(crate) fn class_code(&mut self, text: &[u8]) -> Result<u8> {
        if let Some(code) = self.rest.classes.code_of(text) {
            return Ok(code);
        }
        let name = std::str::from_utf8(text).map_err(|_| Fault::corrupt("its storage class is not text"))?;
        self.rest.classes.intern(name).map_err(|error| Fault::corrupt(error.to_string()))
    }

    /// Appends the class with this code.
    #[inline]
    pub(crate) fn push_class_code(&mut self, code: u8) {
        self.rest.classes.push_code(code);
    }

    #[inline]
    pub(crate) fn push_flags(&mut self, flags: EntryFlags) {
        self.rest.flags.push(flags);
    }

    /// Gives a version id to the row at `row`, after all rows before it; empty where there is none.
    pub(crate) fn push_version(&mut self, row: usize, text: &[u8]) -> Result<()> {
        let text = std::str::from_utf8(text).map_err(|_| Fault::corrupt("its version id is not text"))?;
        push_rare(&mut self.rest.versions, text, row);
        Ok(())
    }

    /// The batch, and an empty builder in its place.
    pub(crate) fn take(&mut self) -> Result<EntryBatch> {
        let Self { key_data, key_ends, rest, .. } = std::mem::take(self);
        // The next batch will be about as large.
        self.key_data.reserve(key_data.len());
        self.key_ends.reserve(key_ends.len());
        let broken = |error: stocktake_core::Error| Fault::corrupt(error.to_string());
        let keys = BytesColumn::from_parts(key_data, key_ends).map_err(broken)?;
        EntryBatch::from_columns(EntryColumns { keys, ..rest }).map_err(broken)
    }
}

/// Appends to a column that exists only once a value is not empty; `rows` is the length before.
fn push_rare(column: &mut Option<BytesColumn>, value: &str, rows: usize) {
    if column.is_none() && !value.is_empty() {
        *column = Some((0..rows).map(|_| &[][..]).collect());
    }
    if let Some(column) = column {
        column.push(value.as_bytes());
    }
}

/// The flags of a row.
#[inline]
pub(crate) fn flags(multipart: bool, etag_is_md5: bool) -> EntryFlags {
    let multipart = if multipart { EntryFlags::MULTIPART } else { EntryFlags::NONE };
    multipart.with(if etag_is_md5 { EntryFlags::ETAG_IS_MD5 } else { EntryFlags::NONE })
}
