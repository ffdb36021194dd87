//! A window that slides over the text of a data file.

use std::io::Read;

use super::split::{Fields, split_row};
use crate::fault::{Fault, Result};
use crate::header::{Header, sniff};
use crate::manifest::Dialect;

/// What the buffer holds at first, and the most that a row may take.
const BUFFER_BYTES: usize = 256 << 10;
const MAX_ROW_BYTES: usize = 1 << 20;

/// The part of a file that is being decoded.
#[derive(Debug)]
pub(crate) struct Window<R> {
    input: R,
    buffer: Vec<u8>,
    /// What of the buffer was read from the input and not yet decoded.
    begin: usize,
    end: usize,
    at_start: bool,
    at_end: bool,
}

impl<R: Read> Window<R> {
    /// Stands before the first row of a file.
    pub(crate) fn new(input: R) -> Self {
        Self { input, buffer: vec![0; BUFFER_BYTES], begin: 0, end: 0, at_start: true, at_end: false }
    }

    /// Takes the row that comes next and is not blank, and finds its fields; `None` at the end.
    pub(crate) fn next_row(&mut self, delimiter: u8, fields: &mut Fields) -> Result<Option<&[u8]>> {
        loop {
            let Some(length) = split_row(&self.buffer[self.begin..self.end], self.at_end, delimiter, fields)? else {
                if self.at_end {
                    return Ok(None);
                }
                self.fill()?;
                continue;
            };
            let row = self.begin..self.begin + length;
            self.begin = row.end;
            if !is_blank(&self.buffer[row.clone()]) {
                return Ok(Some(&self.buffer[row]));
            }
        }
    }

    /// Passes over the row that names the columns, if there is one.
    pub(super) fn take_header(&mut self, dialect: Dialect) -> Result<Header> {
        loop {
            self.fill().map_err(|fault| fault.within("its first row"))?;
            if let Some(header) = sniff(&self.buffer[self.begin..self.end], self.at_end, dialect)? {
                self.begin += header.length;
                return Ok(header);
            }
            if self.at_end {
                return Err(Fault::corrupt("its first row does not end"));
            }
        }
    }

    /// Reads more of the file behind what is not yet decoded.
    fn fill(&mut self) -> Result<()> {
        self.buffer.copy_within(self.begin..self.end, 0);
        (self.begin, self.end) = (0, self.end - self.begin);
        if self.end == self.buffer.len() {
            if self.end >= MAX_ROW_BYTES {
                return Err(Fault::corrupt(format!("it has more than {MAX_ROW_BYTES} bytes")));
            }
            self.buffer.resize((self.end * 2).min(MAX_ROW_BYTES), 0);
        }
        while self.end < self.buffer.len() {
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(0) => {
                    self.at_end = true;
                    break;
                }
                Ok(count) => self.end += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(unreadable(&error)),
            }
        }
        // A mark of the byte order would stick to the first field.
        if std::mem::take(&mut self.at_start) && self.buffer[..self.end].starts_with(b"\xef\xbb\xbf") {
            self.begin = 3;
        }
        Ok(())
    }
}

/// What a failure of the decompressed input means.
fn unreadable(error: &std::io::Error) -> Fault {
    if error.kind() == std::io::ErrorKind::UnexpectedEof {
        Fault::corrupt("the file is cut short")
    } else {
        Fault::corrupt(format!("the file can't be decompressed: {error}"))
    }
}

/// A line without anything on it, which some writers leave at the end.
pub(super) fn is_blank(row: &[u8]) -> bool {
    matches!(row, b"" | b"\n" | b"\r\n")
}
