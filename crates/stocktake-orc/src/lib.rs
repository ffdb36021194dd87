//! Inventories whose data files are Apache ORC, as Amazon S3 delivers them.
//!
//! ORC takes a decoder of its own, which few need; so it stands in a crate of its
//! own and is handed to the reader of inventories:
//!
//! ```
//! use std::sync::Arc;
//! use stocktake_core::memory::MemoryVault;
//! use stocktake_inventory::ManifestReader;
//! use stocktake_orc::OrcFormat;
//!
//! let bucket = Arc::new(MemoryVault::new());
//! let reader = ManifestReader::new(bucket, "photos/daily", "s3://inventories").with_format(Arc::new(OrcFormat));
//! # drop(reader);
//! ```
//!
//! What the files hold (AWS, "Amazon S3 Inventory" and "Locating your inventory
//! list"): one struct of plain types, compressed with ZLIB; keys are raw text,
//! never URL-encoded; `last_modified_date` is a `timestamp`, which has no zone and
//! is in UTC. Some sample of AWS declares a date as `bigint`; both are read.
//!
//! How they are laid out is told by the [specification](https://orc.apache.org/specification/ORCv1/).
//! Read are structs of booleans, integers, texts and timestamps, in every encoding that has been specified for
//! those, not compressed or with ZLIB, Snappy or Zstandard. Refused by name is what no inventory has: nested
//! columns, LZO and LZ4, encrypted columns, timestamps by another clock than that of UTC.
//!
//! A file is not trusted: what it announces is checked before memory is taken for it. A block has at most 8 MiB,
//! a text 8 KiB, a dictionary 64 MiB, a footer 16 MiB.
//!
//! What this crate does *not* do: find and check inventories, or judge their rows.
//! That is done by `stocktake-inventory`, for every format alike.

mod bits;
mod column;
mod error;
mod file;
mod integers;
mod proto;
mod stream;
mod stripe;
mod tail;

use std::fs::File;
use std::io;

use stocktake_core::InventoryFormat;
use stocktake_inventory::{ColumnarFile, ColumnarFormat};

/// Decodes data files that are Apache ORC.
#[derive(Clone, Copy, Debug, Default)]
pub struct OrcFormat;

impl ColumnarFormat for OrcFormat {
    fn format(&self) -> InventoryFormat {
        InventoryFormat::Orc
    }

    fn open(&self, file: File) -> io::Result<Box<dyn ColumnarFile>> {
        Ok(Box::new(file::OrcFile::open(file)?))
    }
}
