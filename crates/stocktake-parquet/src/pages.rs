//! The pages of one column chunk: found, fetched, decrypted and decompressed.
//!
//! With a page index, the page that holds a row is fetched at once; without,
//! headers are followed from the chunk's start, and pages that end before the
//! wanted row are passed over unread. Buffers are used from page to page.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use parquet::file::page_index::offset_index::PageLocation;
use parquet::file::reader::ChunkReader;

use crate::codec::{Codec, MAX_PAGE_BYTES};
use crate::crypto::{FileCrypto, Module};
use crate::dictionary::Dictionary;
use crate::header::{PageEncoding, PageHeader, PageKind};
use crate::meta::{ColumnId, ColumnInfo, ColumnKind, FileMeta};
use crate::{Error, Result};

/// What is fetched first to find a header of unknown length, and the most that is.
const HEADER_BYTES: u64 = 1 << 10;
const MAX_HEADER_BYTES: u64 = 1 << 20;

/// A column chunk being read.
#[derive(Debug)]
pub(crate) struct Pages<R> {
    file: Arc<R>,
    meta: FileMeta,
    row_group: usize,
    column: ColumnId,
    kind: ColumnKind,
    codec: Codec,
    locations: Option<Vec<PageLocation>>,
    /// Bytes not looked at yet; with locations, the whole chunk.
    rest: Range<u64>,
    /// Without locations: number and first row of the data page that comes next.
    ordinal: usize,
    next_row: u64,
    rows: u64,
    pub(crate) dictionary: Dictionary,
    /// How many dictionaries were read from this chunk and the ones before.
    pub(crate) dictionary_serial: u64,
    decrypted: Vec<u8>,
}

/// The decompressed bytes of a page.
#[derive(Debug, Default)]
pub(crate) struct PageBuffer {
    owned: Vec<u8>,
    len: usize,
    /// In place of `owned`, where nothing had to be decompressed.
    shared: Option<Bytes>,
}

/// A data page in a [`PageBuffer`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct DataPage {
    pub(crate) first_row: u64,
    pub(crate) rows: u64,
    pub(crate) encoding: PageEncoding,
    /// In a version 2 page, the bytes that levels take at its start.
    pub(crate) levels_len: Option<usize>,
}

/// A page as it lies in the file, with its header decoded.
struct StoredPage {
    header: PageHeader,
    /// The bytes behind the header, as far as they were fetched.
    body: Bytes,
    /// Bytes of header and body in the file.
    len: u64,
}

impl PageBuffer {
    pub(crate) fn bytes(&self) -> &[u8] {
        self.shared.as_deref().unwrap_or(&self.owned[..self.len])
    }

    fn into_bytes(mut self) -> Bytes {
        self.shared.unwrap_or_else(|| {
            self.owned.truncate(self.len);
            self.owned.into()
        })
    }

    /// Room for `len` bytes. What was there is not erased: it will be written over.
    fn room(&mut self, len: usize) -> &mut [u8] {
        self.shared = None;
        if self.owned.len() < len {
            self.owned.reserve_exact(len - self.owned.len());
            self.owned.resize(len, 0);
        }
        self.len = len;
        &mut self.owned[..len]
    }
}

impl<R: ChunkReader> Pages<R> {
    pub(crate) fn open(file: Arc<R>, meta: FileMeta, row_group: usize, info: &ColumnInfo, serial: u64) -> Result<Self> {
        let chunk = meta.chunk(row_group, info.id)?;
        if meta.inner.crypto.is_none() && chunk.crypto_metadata().is_some() {
            return Err(Error::unsupported("a column is encrypted, but the footer is not"));
        }
        Ok(Self {
            codec: Codec::new(chunk.compression())?,
            locations: meta.locations(row_group, info.id)?.map(<[_]>::to_vec),
            rest: meta.chunk_range(row_group, info.id)?,
            rows: meta.row_groups()[row_group],
            file,
            row_group,
            column: info.id,
            kind: info.kind,
            ordinal: 0,
            next_row: 0,
            dictionary: Dictionary::None,
            dictionary_serial: serial,
            decrypted: Vec::new(),
            meta,
        })
    }

    /// Loads the data page that holds `row`. Rows must be asked for in ascending order.
    pub(crate) fn load(&mut self, row: u64, buffer: &mut PageBuffer) -> Result<DataPage> {
        match &self.locations {
            Some(locations) => {
                let index = locations.partition_point(|page| page.first_row_index.cast_unsigned() <= row);
                self.load_indexed(index.saturating_sub(1), buffer)
            }
            None => self.load_following(row, buffer),
        }
    }

    fn load_indexed(&mut self, index: usize, buffer: &mut PageBuffer) -> Result<DataPage> {
        let locations = self.locations.as_ref().expect("the caller has seen them");
        let (location, next) = (&locations[index], locations.get(index + 1));
        let first_row = location.first_row_index.cast_unsigned();
        let rows = next.map_or(self.rows, |next| next.first_row_index.cast_unsigned()) - first_row;
        let at = location.offset.cast_unsigned();
        let len = u64::from(location.compressed_page_size.cast_unsigned());
        let first_page = locations[0].offset.cast_unsigned();
        let stored = self.fetch(at..at + len, len, Module::PageHeader(index))?;
        let page = self.data_page(&stored.header, first_row)?;
        if page.rows != rows {
            return Err(Error::damaged("a page has another number of rows than its index says"));
        }
        if page.encoding == PageEncoding::Dictionary && self.dictionary.is_none() {
            let range = self.rest.start..first_page;
            let dictionary = self.fetch(range.clone(), range.end - range.start, Module::DictionaryHeader)?;
            self.take_dictionary(dictionary, range.start)?;
        }
        self.unpack(stored, at, Module::Page(index), buffer)?;
        Ok(page)
    }

    fn load_following(&mut self, row: u64, buffer: &mut PageBuffer) -> Result<DataPage> {
        loop {
            if self.rest.is_empty() {
                return Err(Error::damaged("a column has fewer rows than its row group"));
            }
            let first_is_dictionary = self.ordinal == 0
                && self.dictionary.is_none()
                && self.meta.chunk(self.row_group, self.column)?.dictionary_page_offset().is_some();
            let (head, body) = match first_is_dictionary {
                true => (Module::DictionaryHeader, Module::DictionaryPage),
                false => (Module::PageHeader(self.ordinal), Module::Page(self.ordinal)),
            };
            let at = self.rest.start;
            let stored = self.fetch(self.rest.clone(), HEADER_BYTES, head)?;
            self.rest.start += stored.len;
            match stored.header.kind {
                PageKind::Dictionary { .. } => self.take_dictionary(stored, at)?,
                PageKind::Other => {}
                PageKind::V1 { .. } | PageKind::V2 { .. } => {
                    let page = self.data_page(&stored.header, self.next_row)?;
                    self.next_row = page.first_row.saturating_add(page.rows);
                    self.ordinal += 1;
                    if row < self.next_row {
                        self.unpack(stored, at, body, buffer)?;
                        return Ok(page);
                    }
                }
            }
        }
    }

    fn data_page(&self, header: &PageHeader, first_row: u64) -> Result<DataPage> {
        let (rows, encoding, levels_len) = match header.kind {
            PageKind::V1 { rows, encoding, levels_are_rle } => {
                if !levels_are_rle && self.meta.info(self.column)?.optional {
                    return Err(Error::unsupported("bit-packed levels"));
                }
                (rows, encoding, None)
            }
            PageKind::V2 { rows, encoding, levels_len, .. } => (rows, encoding, Some(levels_len)),
            PageKind::Dictionary { .. } | PageKind::Other => {
                return Err(Error::damaged("the page index points at something that is no data page"));
            }
        };
        Ok(DataPage { first_row, rows: rows as u64, encoding, levels_len })
    }

    fn take_dictionary(&mut self, stored: StoredPage, at: u64) -> Result<()> {
        let PageKind::Dictionary { values } = stored.header.kind else {
            return Err(Error::damaged("a column has no dictionary where its pages need one"));
        };
        // A dictionary is kept, and may be much larger than the data pages that use it.
        let mut page = PageBuffer::default();
        self.unpack(stored, at, Module::DictionaryPage, &mut page)?;
        self.dictionary = Dictionary::decode(&page.into_bytes(), values, self.kind)?;
        self.dictionary_serial += 1;
        Ok(())
    }

    /// Fetches the first `first_len` bytes of `range` and decodes the header there; more if it is longer.
    fn fetch(&mut self, range: Range<u64>, first_len: u64, module: Module) -> Result<StoredPage> {
        let limit = range.end.saturating_sub(range.start);
        let mut wanted = first_len.min(limit);
        loop {
            let bytes = self.file.get_bytes(range.start, wanted as usize)?;
            match self.header(&bytes, module) {
                Ok((header, header_len)) => {
                    let len = (header_len + header.stored_len) as u64;
                    let stored_most = MAX_PAGE_BYTES + MAX_PAGE_BYTES / 64;
                    if len > limit || header.plain_len > MAX_PAGE_BYTES || header.stored_len > stored_most {
                        return Err(Error::damaged("a page is larger than its column, or than any page"));
                    }
                    return Ok(StoredPage { header, body: bytes.slice(header_len..), len });
                }
                Err(error) if wanted >= limit || wanted >= MAX_HEADER_BYTES => return Err(error),
                Err(_) => wanted = (wanted * 8).min(limit),
            }
        }
    }

    fn header(&mut self, bytes: &[u8], module: Module) -> Result<(PageHeader, usize)> {
        let Some(crypto) = &self.meta.inner.crypto else {
            return PageHeader::decode(bytes);
        };
        let len = FileCrypto::module_len(bytes).filter(|len| *len <= bytes.len());
        let len = len.ok_or_else(|| Error::damaged("an encrypted header is cut short"))?;
        crypto.open(&bytes[..len], module, self.row_group, self.column.0, &mut self.decrypted)?;
        Ok((PageHeader::decode(&self.decrypted)?.0, len))
    }

    /// Puts the plain bytes of a page that begins at `at` into `buffer`.
    fn unpack(&mut self, stored: StoredPage, at: u64, module: Module, buffer: &mut PageBuffer) -> Result<()> {
        let StoredPage { header, body, len } = stored;
        let body = match body.len() >= header.stored_len {
            true => body.slice(..header.stored_len),
            false => self.file.get_bytes(at + len - header.stored_len as u64, header.stored_len)?,
        };
        let body = match &self.meta.inner.crypto {
            Some(crypto) => {
                crypto.open(&body, module, self.row_group, self.column.0, &mut self.decrypted)?;
                None
            }
            None if header.crc.is_some_and(|crc| crc != crc32fast::hash(&body)) => {
                return Err(Error::damaged("the checksum of a page differs"));
            }
            None => Some(body),
        };
        let levels_len = match header.kind {
            PageKind::V2 { levels_len, .. } => levels_len,
            _ => 0,
        };
        let stays = self.codec.is_none() || matches!(header.kind, PageKind::V2 { compressed: false, .. });
        let bytes = body.as_deref().unwrap_or(&self.decrypted);
        if levels_len > header.plain_len || levels_len > bytes.len() || (stays && bytes.len() != header.plain_len) {
            return Err(Error::damaged("the lengths of a page don't fit each other"));
        }
        if stays && let Some(body) = body {
            buffer.shared = Some(body);
            return Ok(());
        }
        let room = buffer.room(header.plain_len);
        if stays {
            room.copy_from_slice(bytes);
            return Ok(());
        }
        room[..levels_len].copy_from_slice(&bytes[..levels_len]);
        self.codec.decompress(&bytes[levels_len..], &mut room[levels_len..])
    }
}
