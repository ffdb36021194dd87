//! Rows put down for later: frames of bytes, in memory while they are few, in a
//! temporary file when they are many.
//!
//! A frame is the unit of reading and of decoding. Its header holds length, row
//! count and checksum, so that a file cut short or altered behind our back reads
//! as an error and never as fewer rows.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::{Mutex, PoisonError};

use stocktake_core::Result;
use twox_hash::XxHash3_64;

use super::scratch::Scratch;

/// Length, rows and checksum of the payload, little-endian.
const HEADER_BYTES: usize = 4 + 4 + 8;

/// How large the pieces of a spool are.
#[derive(Clone, Copy, Debug)]
pub(super) struct SpoolLimits {
    /// Bytes kept in memory before all goes to a file.
    pub(super) memory_bytes: usize,
    /// A frame is closed by the row that makes it this long.
    pub(super) frame_bytes: usize,
    /// Or by this many rows.
    pub(super) frame_rows: u32,
}

/// Writes a [`Spool`].
#[derive(Debug)]
pub(super) struct SpoolWriter {
    scratch: Scratch,
    limits: SpoolLimits,
    store: Store,
    end: u64,
    rows: u64,
    // The header's place, then the payload so far.
    frame: Vec<u8>,
    frame_rows: u32,
}

impl SpoolWriter {
    pub(super) fn new(scratch: Scratch, limits: SpoolLimits) -> Self {
        Self {
            scratch,
            limits,
            store: Store::Memory(Vec::new()),
            end: 0,
            rows: 0,
            frame: vec![0; HEADER_BYTES],
            frame_rows: 0,
        }
    }

    /// Whether the next row opens a frame, so that it must not lean on the one before.
    pub(super) fn at_frame_start(&self) -> bool {
        self.frame_rows == 0
    }

    /// Rows written.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes of all frames that are closed.
    pub(super) fn bytes(&self) -> u64 {
        self.end
    }

    /// The open frame, for appending one row; [`row_done`](Self::row_done) must follow.
    pub(super) fn frame(&mut self) -> &mut Vec<u8> {
        &mut self.frame
    }

    /// Ends a row, and the frame when that is full.
    pub(super) fn row_done(&mut self) -> Result<()> {
        self.frame_rows += 1;
        self.rows += 1;
        if self.frame.len() >= self.limits.frame_bytes || self.frame_rows >= self.limits.frame_rows {
            self.close_frame()?;
        }
        Ok(())
    }

    /// Everything written, ready to be read.
    pub(super) fn finish(mut self) -> Result<Spool> {
        self.close_frame()?;
        let Self { scratch, store, end, rows, .. } = self;
        Ok(Spool { scratch, store: Mutex::new(store), end, rows })
    }

    fn close_frame(&mut self) -> Result<()> {
        if self.frame_rows == 0 {
            return Ok(());
        }
        let payload = &self.frame[HEADER_BYTES..];
        let length = u32::try_from(payload.len()).expect("a frame is closed long before 4 GiB");
        let checksum = XxHash3_64::oneshot(payload);
        self.frame[..4].copy_from_slice(&length.to_le_bytes());
        self.frame[4..8].copy_from_slice(&self.frame_rows.to_le_bytes());
        self.frame[8..HEADER_BYTES].copy_from_slice(&checksum.to_le_bytes());
        self.store.append(&self.frame, self.limits.memory_bytes, &self.scratch)?;
        self.end += self.frame.len() as u64;
        self.frame.truncate(HEADER_BYTES);
        self.frame_rows = 0;
        Ok(())
    }
}

/// Frames that were written, readable any number of times and by several readers at once.
#[derive(Debug)]
pub(super) struct Spool {
    scratch: Scratch,
    // Behind a lock because a file has one position. Held for one frame at a time.
    store: Mutex<Store>,
    end: u64,
    rows: u64,
}

impl Spool {
    /// Rows in all frames.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Reads the frame at `offset` into `payload` and returns its row count; `None` at the end.
    /// `offset` is 0 at first and moves on by itself.
    ///
    /// # Errors
    /// [`LocalStorage`](stocktake_core::Error::LocalStorage) when the file fails or does not hold what was written.
    pub(super) fn read_frame(&self, offset: &mut u64, payload: &mut Vec<u8>) -> Result<Option<u32>> {
        if *offset == self.end {
            return Ok(None);
        }
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        let rows = read_frame(&mut store, offset, self.end, payload)
            .map_err(self.scratch.error("read back a temporary file in"))?;
        Ok(Some(rows))
    }

    /// The error of a frame whose checksum is right and whose rows do not decode.
    pub(super) fn undecodable(&self) -> stocktake_core::Error {
        self.scratch.error("read back a temporary file in")(altered())
    }
}

#[derive(Debug)]
enum Store {
    Memory(Vec<u8>),
    File(File),
}

impl Store {
    fn append(&mut self, frame: &[u8], memory_bytes: usize, scratch: &Scratch) -> Result<()> {
        if let Self::Memory(held) = self {
            if held.len() + frame.len() <= memory_bytes {
                held.extend_from_slice(frame);
                return Ok(());
            }
            let mut file = scratch.file()?;
            file.write_all(held).map_err(scratch.error("write a temporary file in"))?;
            scratch.wrote(held.len());
            *self = Self::File(file);
        }
        if let Self::File(file) = self {
            file.write_all(frame).map_err(scratch.error("write a temporary file in"))?;
            scratch.wrote(frame.len());
        }
        Ok(())
    }

    fn read_exact(&mut self, offset: u64, bytes: &mut [u8]) -> std::io::Result<()> {
        match self {
            Self::Memory(held) => {
                let from = usize::try_from(offset).ok().and_then(|start| held.get(start..)).ok_or_else(altered)?;
                bytes.copy_from_slice(from.get(..bytes.len()).ok_or_else(altered)?);
                Ok(())
            }
            Self::File(file) => {
                file.seek(SeekFrom::Start(offset))?;
                file.read_exact(bytes)
            }
        }
    }
}

fn read_frame(store: &mut Store, offset: &mut u64, end: u64, payload: &mut Vec<u8>) -> std::io::Result<u32> {
    let mut header = [0; HEADER_BYTES];
    store.read_exact(*offset, &mut header)?;
    let [length, rows] =
        [&header[..4], &header[4..8]].map(|four| u32::from_le_bytes(four.try_into().expect("4 bytes")));
    let checksum = u64::from_le_bytes(header[8..].try_into().expect("8 bytes"));
    let begin = *offset + HEADER_BYTES as u64;
    // The length is checked against what was written before memory is taken for it.
    if u64::from(length) > end.saturating_sub(begin) {
        return Err(altered());
    }
    payload.resize(length as usize, 0);
    store.read_exact(begin, payload)?;
    if XxHash3_64::oneshot(payload) != checksum {
        return Err(altered());
    }
    *offset = begin + u64::from(length);
    Ok(rows)
}

fn altered() -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, "it does not hold what was written")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(memory_bytes: usize) -> Spool {
        let limits = SpoolLimits { memory_bytes, frame_bytes: 16, frame_rows: 100 };
        let mut writer = SpoolWriter::new(Scratch::new(None), limits);
        for n in 0..20_u8 {
            writer.frame().extend_from_slice(&[n; 5]);
            writer.row_done().unwrap();
        }
        writer.finish().unwrap()
    }

    fn read(spool: &Spool) -> Result<Vec<u8>> {
        let (mut offset, mut payload, mut all) = (0, Vec::new(), Vec::new());
        while spool.read_frame(&mut offset, &mut payload)?.is_some() {
            all.extend_from_slice(&payload);
        }
        Ok(all)
    }

    #[test]
    fn memory_and_file_give_back_the_same_bytes_again_and_again() {
        let expected: Vec<u8> = (0..20).flat_map(|n| [n; 5]).collect();
        for memory_bytes in [0, 60, 1 << 20] {
            let spool = write(memory_bytes);
            assert_eq!(spool.rows(), 20);
            assert_eq!(read(&spool).unwrap(), expected);
            assert_eq!(read(&spool).unwrap(), expected);
        }
    }

    #[test]
    fn an_altered_or_shortened_file_is_an_error() {
        let spool = write(0);
        if let Store::File(file) = &mut *spool.store.lock().unwrap() {
            file.seek(SeekFrom::Start(HEADER_BYTES as u64 + 1)).unwrap();
            file.write_all(&[99]).unwrap();
        }
        assert_eq!(read(&spool).unwrap_err().code(), "local_storage");

        let spool = write(0);
        if let Store::File(file) = &mut *spool.store.lock().unwrap() {
            file.set_len(30).unwrap();
        }
        assert_eq!(read(&spool).unwrap_err().code(), "local_storage");
    }
}
