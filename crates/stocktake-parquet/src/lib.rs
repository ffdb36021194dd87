//! Flat Parquet columns, decoded from pages without Arrow arrays.
//!
//! Inventories and catalogs are tables of tens of millions of rows of which a
//! few columns are read, once, front to back. Between their pages and the
//! columns of a batch there need be nothing: no arrays, no reference counts, no
//! check that a key is text.
//!
//! - [`FileMeta`]: what the footer says. Columns by name, row groups, bounds, page index.
//! - [`Selection`]: rows to be read, all or those that bounds can't rule out.
//! - [`FlatReader`]: batches of rows, column by column, into buffers that are used again.
//! - [`SparseBytes`]: a file of which only the needed ranges were fetched.
//!
//! ```
//! # use std::sync::Arc;
//! # use parquet::data_type::{ByteArray, ByteArrayType};
//! # use parquet::file::writer::SerializedFileWriter;
//! # use parquet::schema::parser::parse_message_type;
//! # let schema = Arc::new(parse_message_type("message m { required binary key (UTF8); }")?);
//! # let mut file = Vec::new();
//! # let mut writer = SerializedFileWriter::new(&mut file, schema, Default::default())?;
//! # let mut group = writer.next_row_group()?;
//! # let mut column = group.next_column()?.unwrap();
//! # column.typed::<ByteArrayType>().write_batch(&[ByteArray::from("a"), ByteArray::from("b")], None, None)?;
//! # column.close()?;
//! # group.close()?;
//! # writer.close()?;
//! # let file = bytes::Bytes::from(file);
//! use stocktake_parquet::{BytesBuffer, FileOptions, FlatReader, Nulls};
//!
//! let mut reader = FlatReader::open(file, &FileOptions::default(), &["Key"], 8192)?;
//! let (mut keys, mut nulls) = (BytesBuffer::default(), Nulls::default());
//! while let Some(rows) = reader.advance() {
//!     reader.bytes(0, &mut keys, &mut nulls)?;
//!     assert_eq!(keys.len(), rows);
//!     assert_eq!(keys.get(1), b"b");
//! }
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! The parquet crate parses footers and page indexes. Page headers, decryption,
//! decompression and decoding are done here, because the crate keeps page
//! decryption to its own Arrow reader and allocates anew for every page.
//!
//! What it does *not* do: nested or repeated columns, conversions, filters on
//! values, writing, or I/O of its own. Compression is Snappy, Zstandard, gzip or
//! none, encryption uniform AES-GCM; another is an [`Error::Unsupported`].
//!
//! No number in a file is believed: memory is bounded by [`MAX_FOOTER_BYTES`],
//! [`MAX_PAGE_BYTES`] and [`MAX_BATCH_BYTES`], a footer's structures are counted
//! before they are parsed, and whatever does not add up is an
//! [`Error::Damaged`].

mod bits;
mod buffer;
mod codec;
mod column;
mod crypto;
mod decode;
mod delta;
mod dictionary;
mod error;
mod footer;
mod header;
mod hybrid;
mod meta;
mod names;
mod pages;
mod prefixed;
mod reader;
mod select;
mod sparse;
mod thrift;

pub use buffer::{BytesBuffer, MAX_BATCH_BYTES, Nulls};
pub use codec::MAX_PAGE_BYTES;
pub use error::{Error, Result};
pub use meta::{ColumnId, ColumnInfo, ColumnKind, FileMeta, FileOptions, MAX_FOOTER_BYTES, ParsedTail, TimeUnit};
pub use names::MAX_NAMES;
pub use reader::FlatReader;
pub use select::Selection;
pub use sparse::SparseBytes;
