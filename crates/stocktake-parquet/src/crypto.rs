//! Decryption of pages under Parquet modular encryption with one key.
//!
//! The parquet crate decrypts footers and page indexes for everybody, but pages
//! for its own Arrow reader only. So the two things that pages need beside the
//! key, the file's additional data and each page's place in the file, are put
//! together here as *Parquet Modular Encryption* defines them. Only uniform
//! encryption with AES-GCM (`AES_GCM_V1`) is read: one key for footer and columns.

use std::fmt;

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use parquet::encryption::decrypt::FileDecryptionProperties;

use crate::thrift::{ThriftReader, kind};
use crate::{Error, Result};

const LENGTH_LEN: usize = 4;
const TAG_LEN: usize = 16;

/// What tells one encrypted part of a file from another.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Module {
    DictionaryHeader,
    DictionaryPage,
    PageHeader(usize),
    Page(usize),
}

/// The key of a file's pages, and what they are bound to.
pub(crate) struct FileCrypto {
    key: LessSafeKey,
    file_aad: Vec<u8>,
}

impl fmt::Debug for FileCrypto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileCrypto")
    }
}

impl FileCrypto {
    /// Reads the plain structure in front of an encrypted footer. `footer` is
    /// what the footer's length field spans.
    pub(crate) fn new(footer: &[u8], properties: &FileDecryptionProperties) -> Result<Self> {
        let (Algorithm { aad_prefix, aad_unique, key_metadata }, length) = Algorithm::decode(footer)?;
        Self::check_module(&footer[length..])?;
        let key = properties.footer_key(key_metadata)?;
        let algorithm = match key.len() {
            16 => &AES_128_GCM,
            32 => &AES_256_GCM,
            length => return Err(Error::unsupported(format!("a key of {length} bytes"))),
        };
        let key = UnboundKey::new(algorithm, &key).map_err(|_| Error::unsupported("this key"))?;
        let prefix = properties.aad_prefix().map(Vec::as_slice).or(aad_prefix).unwrap_or_default();
        Ok(Self { key: LessSafeKey::new(key), file_aad: [prefix, aad_unique].concat() })
    }

    /// How many bytes the module at the start of `bytes` takes, once enough of it is there.
    pub(crate) fn module_len(bytes: &[u8]) -> Option<usize> {
        let length = u32::from_le_bytes(*bytes.first_chunk::<LENGTH_LEN>()?);
        LENGTH_LEN.checked_add(usize::try_from(length).ok()?)
    }

    /// Checks that `stored` is exactly one module by its length.
    pub(crate) fn check_module(stored: &[u8]) -> Result<()> {
        let whole = Self::module_len(stored) == Some(stored.len());
        if whole && stored.len() >= LENGTH_LEN + NONCE_LEN + TAG_LEN {
            Ok(())
        } else {
            Err(Error::damaged("an encrypted part has another length than announced"))
        }
    }

    /// Decrypts a whole module into `out`, which is emptied before.
    pub(crate) fn open(
        &self,
        stored: &[u8],
        module: Module,
        row_group: usize,
        column: usize,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        Self::check_module(stored)?;
        let nonce = Nonce::try_assume_unique_for_key(&stored[LENGTH_LEN..LENGTH_LEN + NONCE_LEN])
            .map_err(|_| Error::damaged("a nonce is too short"))?;
        out.clear();
        out.extend_from_slice(&stored[LENGTH_LEN + NONCE_LEN..]);
        let aad = Aad::from(self.aad(module, row_group, column)?);
        let opened = self.key.open_in_place(nonce, aad, out).map(|plain| plain.len());
        out.truncate(opened.map_err(|_| Error::damaged("a page does not decrypt: wrong key, or altered"))?);
        Ok(())
    }

    fn aad(&self, module: Module, row_group: usize, column: usize) -> Result<Vec<u8>> {
        let (code, page) = match module {
            Module::Page(page) => (2, Some(page)),
            Module::DictionaryPage => (3, None),
            Module::PageHeader(page) => (4, Some(page)),
            Module::DictionaryHeader => (5, None),
        };
        let mut aad = self.file_aad.clone();
        aad.push(code);
        for ordinal in [Some(row_group), Some(column), page].into_iter().flatten() {
            let ordinal = i16::try_from(ordinal)
                .map_err(|_| Error::damaged("more row groups, columns or pages than encryption can number"))?;
            aad.extend_from_slice(&ordinal.to_le_bytes());
        }
        Ok(aad)
    }
}

/// `FileCryptoMetaData` of parquet.thrift.
#[derive(Default)]
struct Algorithm<'a> {
    aad_prefix: Option<&'a [u8]>,
    aad_unique: &'a [u8],
    key_metadata: Option<&'a [u8]>,
}

impl<'a> Algorithm<'a> {
    /// Decodes the structure at the start of `bytes`, and tells its length.
    fn decode(bytes: &'a [u8]) -> Result<(Self, usize)> {
        let mut decoded = Self::default();
        let mut is_gcm = false;
        let mut reader = ThriftReader::new(bytes);
        reader.structure(|reader, id, value| match (id, value) {
            (1, kind::STRUCT) => reader.structure(|reader, id, value| match (id, value) {
                (1, kind::STRUCT) => {
                    is_gcm = true;
                    decoded.gcm(reader)
                }
                _ => reader.skip(value),
            }),
            (2, kind::BINARY) => {
                decoded.key_metadata = Some(reader.binary()?);
                Ok(())
            }
            _ => reader.skip(value),
        })?;
        if is_gcm { Ok((decoded, reader.position())) } else { Err(Error::unsupported("encryption other than AES-GCM")) }
    }

    fn gcm(&mut self, reader: &mut ThriftReader<'a>) -> Result<()> {
        reader.structure(|reader, id, value| {
            match (id, value) {
                (1, kind::BINARY) => self.aad_prefix = Some(reader.binary()?),
                (2, kind::BINARY) => self.aad_unique = reader.binary()?,
                _ => reader.skip(value)?,
            }
            Ok(())
        })
    }
}
