//! Codes for the values of a column that has few.

use std::collections::HashMap;

use crate::buffer::BytesBuffer;
use crate::dictionary::Dictionary;
use crate::{Error, Result};

/// The most distinct values that get a code in one reader.
pub const MAX_NAMES: usize = 1 << 20;

/// Distinct byte strings, each with its place as its code.
#[derive(Debug, Default)]
pub(crate) struct Names {
    texts: BytesBuffer,
    codes: HashMap<Box<[u8]>, u32>,
    /// The code of each entry of the dictionary of this serial number.
    of_index: Vec<u32>,
    serial: u64,
}

impl Names {
    pub(crate) fn texts(&self) -> &BytesBuffer {
        &self.texts
    }

    /// The code of a string, a new one if it was not seen before.
    pub(crate) fn code(&mut self, text: &[u8]) -> Result<u32> {
        if let Some(code) = self.codes.get(text) {
            return Ok(*code);
        }
        if self.texts.len() >= MAX_NAMES {
            return Err(Error::unsupported("too many distinct values for codes"));
        }
        let code = self.texts.len() as u32;
        self.texts.push(text)?;
        self.codes.insert(text.into(), code);
        Ok(code)
    }

    /// Gives every entry of a dictionary a code, once.
    pub(crate) fn learn(&mut self, dictionary: &Dictionary, serial: u64) -> Result<()> {
        if self.serial == serial {
            return Ok(());
        }
        self.of_index.clear();
        for index in 0..dictionary.len() {
            let code = self.code(dictionary.bytes(index as u32)?)?;
            self.of_index.push(code);
        }
        self.serial = serial;
        Ok(())
    }

    #[inline]
    pub(crate) fn code_of_index(&self, index: u32) -> Result<u32> {
        let code = self.of_index.get(index as usize).copied();
        code.ok_or_else(|| Error::damaged("an index lies outside of the dictionary"))
    }
}
