//! What the first data file says of all, where the manifest leaves it open.
//!
//! Columns stand in the footer of a Parquet file, and on GCS and Azure in the
//! first row of a CSV file; the bucket, where no manifest names it, in any row. A
//! request or two find them out, so that an inventory of another bucket, or one
//! that lacks a field, is known before it is read.

use std::io::Read;

use bytes::Bytes;
use stocktake_core::{BlobInfo, InventoryFormat, Location, Result, Vault};
use stocktake_parquet::{FileMeta, FileOptions, ParsedTail};

use crate::csv::{Fields, split_row};
use crate::fault::{self, Fault};
use crate::gzip::{MAGIC, Members};
use crate::header::{Header, sniff};
use crate::manifest::Dialect;
use crate::parquet::{footer_bucket, footer_schema};
use crate::part::fetch_error;
use crate::rules::split_container;
use crate::schema::{Field, Schema};

/// The end of a Parquet file that is read first, to find its footer.
const TAIL_BYTES: u64 = 64 << 10;

/// The start of a CSV file that is read: more than any two rows take.
const HEAD_BYTES: u64 = 256 << 10;

/// What was found.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) schema: Schema,
    /// Empty if the file does not say.
    pub(crate) bucket: String,
}

/// Reads the head of a data file that says it all itself.
pub(crate) async fn read(
    vault: &dyn Vault,
    inventory: &Location,
    file: &BlobInfo,
    format: InventoryFormat,
    dialect: Dialect,
) -> Result<Head> {
    let corrupt = |fault: Fault| fault.within(&file.name).of(inventory);
    if format == InventoryFormat::Parquet {
        let meta = footer(vault, inventory, file).await?;
        let schema = footer_schema(&meta, dialect).map_err(corrupt)?;
        let bucket = footer_bucket(&meta, &schema, dialect).unwrap_or_default();
        return Ok(Head { schema, bucket });
    }
    let length = HEAD_BYTES.min(file.size);
    let bytes = match length {
        0 => Bytes::new(),
        _ => {
            vault.read(&file.name, Some(0..length)).await.map_err(|error| fetch_error(inventory, &file.name, error))?
        }
    };
    of_csv(&bytes, length == file.size, dialect).map_err(corrupt)
}

/// The head of a CSV file that begins with these bytes.
fn of_csv(bytes: &[u8], whole: bool, dialect: Dialect) -> fault::Result<Head> {
    let mut text = Vec::new();
    if bytes.starts_with(&MAGIC) {
        // It may end within the member: what comes before that is as good.
        let _ = Members::new(bytes).take(HEAD_BYTES).read_to_end(&mut text);
    } else {
        text.extend_from_slice(bytes);
    }
    let whole = whole && (text.len() as u64) < HEAD_BYTES;
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text);
    let Some(Header { schema, delimiter, length }) = sniff(text, whole, dialect)? else {
        return Err(Fault::corrupt("its first row does not end"));
    };
    let rest = &text[length..];
    let mut fields = Fields::default();
    let bucket = match split_row(rest, whole, delimiter, &mut fields) {
        Ok(Some(length)) => bucket(&schema, &fields.texts(&rest[..length]), dialect),
        _ => None,
    };
    Ok(Head { schema, bucket: bucket.unwrap_or_default() })
}

fn bucket(schema: &Schema, row: &[String], dialect: Dialect) -> Option<String> {
    if dialect != Dialect::Azure {
        return row.get(schema.place(Field::Bucket)?).cloned();
    }
    let name = row.get(schema.place(Field::Key)?)?;
    let (container, _) = split_container(name.as_bytes())?;
    String::from_utf8(container.to_vec()).ok()
}

/// The footer of a Parquet file.
async fn footer(vault: &dyn Vault, inventory: &Location, file: &BlobInfo) -> Result<FileMeta> {
    let corrupt = |fault: Fault| fault.within(&file.name).of(inventory);
    let mut wanted = TAIL_BYTES.min(file.size);
    loop {
        if wanted == 0 {
            return Err(corrupt(Fault::corrupt("it is empty")));
        }
        let tail = vault.read(&file.name, Some(file.size - wanted..file.size)).await;
        let tail = tail.map_err(|error| fetch_error(inventory, &file.name, error))?;
        match FileMeta::parse_tail(&tail, file.size, &FileOptions::default()).map_err(|error| corrupt(error.into()))? {
            ParsedTail::Ready(meta) => return Ok(meta),
            ParsedTail::NeedMore(more) => wanted = more,
        }
    }
}
