//! The end of a file: how it is compressed, which columns it has, and where its rows lie.
//!
//! The last byte is the length of the postscript, which is never compressed and tells the lengths of the
//! footer and of the statistics before it. (ORC specification v1, "File Tail".)

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use crate::error::{damaged, unsupported};
use crate::proto::{Value, fields};
use crate::stream::{Compression, Place, Stream};

/// The largest footer that is read, in bytes after decompression. Those of inventories have some kilobytes.
pub(crate) const MAX_FOOTER_BYTES: usize = 16 << 20;

/// More columns than any inventory has.
const MAX_COLUMNS: usize = 1024;

/// The kind of a struct, in the numbers of the specification.
const STRUCT: u64 = 12;

/// What the end of a file tells.
#[derive(Debug)]
pub(crate) struct Tail {
    pub(crate) compression: Compression,
    /// The columns of the rows, in order.
    pub(crate) columns: Vec<ColumnInfo>,
    /// Where the rows lie, in order. Together they have as many rows as the footer announces.
    pub(crate) stripes: Vec<StripeInfo>,
}

/// One column of the rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ColumnInfo {
    pub(crate) name: String,
    /// Its number in the file, by which streams name it.
    pub(crate) id: u64,
    /// Its type, in the numbers of the specification.
    pub(crate) kind: u64,
}

/// A stripe: some rows, in all columns. It was checked to lie in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StripeInfo {
    pub(crate) streams: Place,
    pub(crate) footer: Place,
    pub(crate) rows: u64,
}

impl Tail {
    pub(crate) fn read(file: &Arc<File>) -> io::Result<Self> {
        let size = file.metadata()?.len();
        let postscript = postscript(file, size)?;
        let Postscript { compression, footer, content_end } = postscript;
        let footer = Stream::new(file, compression, footer).whole(MAX_FOOTER_BYTES)?;
        let mut types = Types::default();
        let (mut stripes, mut announced) = (Vec::new(), 0);
        for field in fields(&footer) {
            match field? {
                (3, value) => stripes.push(stripe(value.bytes()?, &stripes, content_end)?),
                (4, value) => types.push(value.bytes()?)?,
                (6, value) => announced = value.number()?,
                (10, _) => return Err(unsupported("its columns are encrypted")),
                _ => {}
            }
        }
        let rows = stripes.iter().try_fold(0_u64, |rows, stripe| rows.checked_add(stripe.rows));
        if rows != Some(announced) {
            return Err(damaged(format!("its footer announces {announced} rows, its stripes hold another number")));
        }
        Ok(Self { compression, columns: types.columns()?, stripes })
    }
}

/// What the postscript tells.
struct Postscript {
    compression: Compression,
    footer: Place,
    /// Where the last stripe ends at most.
    content_end: u64,
}

fn postscript(mut file: &File, size: u64) -> io::Result<Postscript> {
    let mut end = Vec::new();
    file.seek(SeekFrom::Start(size.saturating_sub(256)))?;
    file.take(256).read_to_end(&mut end)?;
    let length = usize::from(end.pop().ok_or_else(|| damaged("it is empty"))?);
    let start = end.len().checked_sub(length).ok_or_else(|| damaged("it is shorter than its postscript"))?;
    let (mut kind, mut block_bytes, mut magic) = (0, None, &b""[..]);
    let (mut footer_length, mut metadata_length) = (0, 0);
    for field in fields(&end[start..]) {
        match field? {
            (1, value) => footer_length = value.number()?,
            (2, value) => kind = value.number()?,
            (3, value) => block_bytes = Some(value.number()?),
            (5, value) => metadata_length = value.number()?,
            (8000, value) => magic = value.bytes()?,
            _ => {}
        }
    }
    if magic != b"ORC" {
        return Err(damaged("it is not an ORC file, or its end is missing"));
    }
    let footer_end = size - 1 - length as u64;
    let footer_start = footer_end.checked_sub(footer_length);
    let content_end = footer_start.and_then(|start| start.checked_sub(metadata_length));
    let (Some(start), Some(content_end)) = (footer_start, content_end) else {
        return Err(damaged("it is shorter than its footer"));
    };
    let compression = Compression::new(kind, block_bytes)?;
    Ok(Postscript { compression, footer: Place { start, length: footer_length }, content_end })
}

fn stripe(message: &[u8], before: &[StripeInfo], content_end: u64) -> io::Result<StripeInfo> {
    let (mut offset, mut index, mut data, mut footer, mut rows) = (0, 0, 0, 0, 0);
    for field in fields(message) {
        match field? {
            (1, value) => offset = value.number()?,
            (2, value) => index = value.number()?,
            (3, value) => data = value.number()?,
            (4, value) => footer = value.number()?,
            (5, value) => rows = value.number()?,
            _ => {}
        }
    }
    let begins = before.last().map_or(0, |stripe| stripe.footer.start + stripe.footer.length);
    let streams = u64::checked_add(index, data);
    let ends = streams.and_then(|length| length.checked_add(footer)).and_then(|length| length.checked_add(offset));
    match (streams, ends) {
        (Some(length), Some(end)) if begins <= offset && end <= content_end => Ok(StripeInfo {
            streams: Place { start: offset, length },
            footer: Place { start: offset + length, length: footer },
            rows,
        }),
        _ => Err(damaged("a stripe lies in another one, or beyond the end")),
    }
}

/// The types of a file, of which the first is that of its rows.
#[derive(Default)]
struct Types {
    kinds: Vec<u8>,
    names: Vec<String>,
    ids: Vec<u64>,
}

impl Types {
    fn push(&mut self, message: &[u8]) -> io::Result<()> {
        let is_root = self.kinds.is_empty();
        let mut kind = 0;
        for field in fields(message) {
            match field? {
                (1, value) => kind = value.number()?,
                (2, value) if is_root => value.each_number(|id| {
                    self.ids.push(id);
                    check_columns(self.ids.len())
                })?,
                (3, value) if is_root => {
                    self.names.push(name(value)?);
                    check_columns(self.names.len())?;
                }
                _ => {}
            }
        }
        if is_root && kind != STRUCT {
            return Err(damaged("its rows are not structs"));
        }
        self.kinds.push(u8::try_from(kind).unwrap_or(u8::MAX));
        Ok(())
    }

    fn columns(self) -> io::Result<Vec<ColumnInfo>> {
        if self.names.len() != self.ids.len() {
            return Err(damaged("its columns are not all named"));
        }
        let kind = |id: u64| usize::try_from(id).ok().and_then(|id| self.kinds.get(id)).map(|kind| u64::from(*kind));
        let columns = self.names.into_iter().zip(self.ids).map(|(name, id)| match kind(id) {
            Some(kind) => Ok(ColumnInfo { name, id, kind }),
            None => Err(damaged(format!("the column {name} has no type"))),
        });
        columns.collect()
    }
}

fn name(value: Value<'_>) -> io::Result<String> {
    String::from_utf8(value.bytes()?.to_vec()).map_err(|_| damaged("the name of a column is not UTF-8"))
}

fn check_columns(columns: usize) -> io::Result<()> {
    if columns > MAX_COLUMNS { Err(unsupported(format!("it has more than {MAX_COLUMNS} columns"))) } else { Ok(()) }
}
