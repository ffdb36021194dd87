//! What the footer of a file says: columns, row groups, and where pages are.
//!
//! The parquet crate parses it, once [`footer`] has seen that it may.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{ConvertedType, LogicalType, TimeUnit as ParquetTimeUnit, Type};
use parquet::encryption::decrypt::FileDecryptionProperties;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::page_index::offset_index::PageLocation;
use parquet::file::reader::ChunkReader;
use parquet::schema::types::ColumnDescriptor;

use crate::crypto::FileCrypto;
use crate::footer;
use crate::thrift::{ThriftReader, kind};
use crate::{Error, Result};

/// The largest footer that is read, in bytes. A footer takes about 100 bytes a column and row group.
pub const MAX_FOOTER_BYTES: u64 = 32 << 20;

/// How much of a file's end is read first: enough for the footer of most.
const FIRST_TAIL_BYTES: u64 = 64 << 10;

const TAIL_LEN: usize = 8;

/// How a file is opened.
#[derive(Clone, Debug, Default)]
pub struct FileOptions {
    /// Keys, for an encrypted file. The whole file must be encrypted with the footer key.
    pub decryption: Option<Arc<FileDecryptionProperties>>,
    /// Whether to read the page index, where there is one: needed to select rows by key.
    pub page_index: bool,
}

/// Which column of a file, by its place in the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ColumnId(pub(crate) usize);

/// The physical type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// Byte strings, whether or not the schema calls them text.
    Bytes,
    /// Byte strings of this length. Also floating-point numbers, and the 12 bytes of an `INT96`.
    Fixed(usize),
    /// 64-bit integers.
    I64,
    /// 32-bit integers.
    I32,
    /// Booleans.
    Bool,
}

/// The unit of a column of times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeUnit {
    /// Milliseconds since 1970.
    Millis,
    /// Microseconds since 1970.
    Micros,
    /// Nanoseconds since 1970.
    Nanos,
    /// Nanoseconds of the day and the Julian day, in 12 bytes: `INT96`.
    Int96,
}

/// A column that can be read: at the top level of the schema and not repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnInfo {
    /// Which column it is.
    pub id: ColumnId,
    /// Its name, as the file spells it.
    pub name: String,
    /// Its physical type.
    pub kind: ColumnKind,
    /// Whether it may hold nulls.
    pub optional: bool,
    /// The unit, if it holds times.
    pub time_unit: Option<TimeUnit>,
}

/// The footer of a file. Cheap to clone.
#[derive(Clone, Debug)]
pub struct FileMeta {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) parquet: ParquetMetaData,
    pub(crate) crypto: Option<FileCrypto>,
    columns: Vec<ColumnInfo>,
    /// Rows of each row group.
    group_rows: Vec<u64>,
    file_len: u64,
}

/// What came of the end of a file.
#[derive(Clone, Debug)]
pub enum ParsedTail {
    /// The footer, whole.
    Ready(FileMeta),
    /// It takes this many bytes from the end of the file.
    NeedMore(u64),
}

impl FileMeta {
    /// Reads the footer of a file that can be read at any place.
    ///
    /// # Errors
    /// [`Error::Damaged`] for a file that is no Parquet file or was cut, [`Error::Read`] for a wrong key.
    pub fn read<R: ChunkReader>(file: &R, options: &FileOptions) -> Result<Self> {
        let file_len = file.len();
        let mut wanted = FIRST_TAIL_BYTES.min(file_len);
        loop {
            let length = usize::try_from(wanted).map_err(|_| Error::damaged("the footer is too long"))?;
            let tail = file.get_bytes(file_len - wanted, length)?;
            match Self::parse_tail(&tail, file_len, options)? {
                ParsedTail::Ready(meta) => return Ok(meta),
                ParsedTail::NeedMore(more) => wanted = more,
            }
        }
    }

    /// Parses the footer from the last bytes of a file of `file_len` bytes.
    ///
    /// A caller that fetches bytes on its own starts with some (64 KiB is enough
    /// for most files), and comes again with as many as the answer asks for.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub fn parse_tail(tail: &Bytes, file_len: u64, options: &FileOptions) -> Result<ParsedTail> {
        let footer_len = footer_len(tail)?;
        let whole_len = footer_len + TAIL_LEN as u64;
        if whole_len > file_len || footer_len > MAX_FOOTER_BYTES {
            return Err(Error::damaged(format!("a footer of {footer_len} bytes")));
        }
        let Some(start) = (tail.len() as u64).checked_sub(whole_len) else {
            return Ok(ParsedTail::NeedMore(whole_len));
        };
        let bytes = &tail[start as usize..tail.len() - TAIL_LEN];
        let encrypted = tail.ends_with(b"PARE");
        if !encrypted {
            footer::walk(bytes)?;
        }
        let crypto = match (encrypted, &options.decryption) {
            (true, Some(properties)) => Some(FileCrypto::new(bytes, properties)?),
            (true, None) => return Err(Error::unsupported("it is encrypted, and no key was given")),
            (false, _) => None,
        };
        match parse_parquet(tail, file_len, options, encrypted)? {
            Some(parquet) => Self::new(parquet, crypto, file_len).map(ParsedTail::Ready),
            None => Ok(ParsedTail::NeedMore(index_tail_len(tail, file_len, options, encrypted)?)),
        }
    }

    fn new(parquet: ParquetMetaData, crypto: Option<FileCrypto>, file_len: u64) -> Result<Self> {
        let group_rows = parquet.row_groups().iter().map(|group| {
            u64::try_from(group.num_rows()).map_err(|_| Error::damaged("a row group has a negative number of rows"))
        });
        let group_rows = group_rows.collect::<Result<Vec<_>>>()?;
        group_rows
            .iter()
            .try_fold(0_u64, |sum, rows| sum.checked_add(*rows))
            .ok_or_else(|| Error::damaged("more rows than can be counted"))?;
        let schema = parquet.file_metadata().schema_descr();
        let flat = schema.columns().iter().enumerate().filter(|(_, column)| {
            column.path().parts().len() == 1 && column.max_rep_level() == 0 && column.max_def_level() <= 1
        });
        let columns = flat.map(|(index, column)| describe(ColumnId(index), column)).collect();
        Ok(Self { inner: Arc::new(Inner { parquet, crypto, columns, group_rows, file_len }) })
    }

    /// Number of rows.
    pub fn num_rows(&self) -> u64 {
        self.inner.group_rows.iter().sum()
    }

    /// Number of rows of each row group.
    pub fn row_groups(&self) -> &[u64] {
        &self.inner.group_rows
    }

    /// The columns that can be read. Nested and repeated ones are left out.
    pub fn columns(&self) -> &[ColumnInfo] {
        &self.inner.columns
    }

    /// The column of this name, without regard to ASCII case. Of several, the first.
    pub fn column(&self, name: &str) -> Option<&ColumnInfo> {
        self.inner.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name))
    }

    /// The value of a key in the file's own metadata.
    pub fn property(&self, key: &str) -> Option<&str> {
        let properties = self.inner.parquet.file_metadata().key_value_metadata()?;
        properties.iter().find(|property| property.key == key)?.value.as_deref()
    }

    /// Bounds of the values of a [`Bytes`](ColumnKind::Bytes) column in a row
    /// group, both included, where the file states them.
    ///
    /// They may be wider than the values, since writers shorten long ones.
    pub fn bounds(&self, row_group: usize, column: ColumnId) -> Option<(&[u8], &[u8])> {
        let statistics = self.chunk(row_group, column).ok()?.statistics()?;
        // Bounds in the deprecated fields compare as signed bytes.
        let usable = !statistics.is_min_max_deprecated();
        usable.then_some((statistics.min_bytes_opt()?, statistics.max_bytes_opt()?))
    }

    pub(crate) fn info(&self, column: ColumnId) -> Result<&ColumnInfo> {
        let found = self.inner.columns.iter().find(|info| info.id == column);
        found.ok_or_else(|| Error::unsupported("a column that is nested, repeated, or not in the file"))
    }

    pub(crate) fn chunk(&self, row_group: usize, column: ColumnId) -> Result<&ColumnChunkMetaData> {
        let group = self.inner.parquet.row_groups().get(row_group);
        let chunk = group.and_then(|group| group.columns().get(column.0));
        chunk.ok_or_else(|| Error::damaged("a row group lacks a column"))
    }

    /// Where the pages of a column chunk lie, dictionary included.
    pub(crate) fn chunk_range(&self, row_group: usize, column: ColumnId) -> Result<Range<u64>> {
        let chunk = self.chunk(row_group, column)?;
        if chunk.file_path().is_some() {
            return Err(Error::unsupported("a column lies in another file"));
        }
        let start = match chunk.dictionary_page_offset() {
            Some(dictionary) if dictionary > 0 => dictionary.min(chunk.data_page_offset()),
            _ => chunk.data_page_offset(),
        };
        let range = u64::try_from(start).ok().zip(u64::try_from(chunk.compressed_size()).ok());
        let range = range.and_then(|(start, length)| Some(start..start.checked_add(length)?));
        range
            .filter(|range| range.end <= self.inner.file_len)
            .ok_or_else(|| Error::damaged("a column lies outside of the file"))
    }

    /// Where each data page of a column chunk lies, if the page index was read and tells.
    ///
    /// # Errors
    /// [`Error::Damaged`] when the index contradicts the footer.
    pub(crate) fn locations(&self, row_group: usize, column: ColumnId) -> Result<Option<&[PageLocation]>> {
        let index = self.inner.parquet.offset_index();
        let Some(index) = index.and_then(|groups| groups.get(row_group)?.get(column.0)) else { return Ok(None) };
        let locations = index.page_locations();
        if locations.is_empty() {
            return Ok(None);
        }
        let chunk = self.chunk_range(row_group, column)?;
        let rows = self.inner.group_rows[row_group];
        let inside = |page: &PageLocation| {
            let offset = u64::try_from(page.offset).ok();
            let end = offset.zip(u64::try_from(page.compressed_page_size).ok()).map(|(at, len)| at.saturating_add(len));
            offset.is_some_and(|offset| offset >= chunk.start) && end.is_some_and(|end| end <= chunk.end)
        };
        let ordered = locations[0].first_row_index == 0
            && locations.is_sorted_by(|a, b| a.first_row_index < b.first_row_index && a.offset < b.offset)
            && locations.last().is_some_and(|last| last.first_row_index.cast_unsigned() < rows);
        if ordered && locations.iter().all(inside) {
            Ok(Some(locations))
        } else {
            Err(Error::damaged("the page index contradicts the footer"))
        }
    }
}

fn footer_len(tail: &[u8]) -> Result<u64> {
    let end = tail.last_chunk::<TAIL_LEN>().ok_or_else(|| Error::damaged("it is too short"))?;
    let (length, magic) = end.split_at(4);
    if magic != b"PAR1" && magic != b"PARE" {
        return Err(Error::damaged("it does not end as one: it was cut short, or is none"));
    }
    Ok(u64::from(u32::from_le_bytes(length.try_into().expect("4 of 8 bytes"))))
}

/// The parsed footer, with page indexes if wanted; `None` when `tail` does not reach back to the indexes.
fn parse_parquet(
    tail: &Bytes,
    file_len: u64,
    options: &FileOptions,
    encrypted: bool,
) -> Result<Option<ParquetMetaData>> {
    let mut parser = ParquetMetaDataReader::new().with_decryption_properties(options.decryption.clone());
    parser.try_parse_sized(tail, file_len)?;
    let parquet = parser.finish()?;
    if !options.page_index {
        return Ok(Some(parquet));
    }
    if !check_indexes(tail, file_len, &parquet, encrypted)? {
        return Ok(None);
    }
    let mut parser = ParquetMetaDataReader::new_with_metadata(parquet)
        .with_page_index_policy(PageIndexPolicy::Optional)
        .with_decryption_properties(options.decryption.clone());
    match parser.read_page_indexes_sized(tail, file_len) {
        Ok(()) => Ok(Some(parser.finish()?)),
        Err(ParquetError::NeedMoreData(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// How many bytes from the end of the file hold footer and page indexes.
fn index_tail_len(tail: &Bytes, file_len: u64, options: &FileOptions, encrypted: bool) -> Result<u64> {
    let mut parser = ParquetMetaDataReader::new().with_decryption_properties(options.decryption.clone());
    parser.try_parse_sized(tail, file_len)?;
    let parquet = parser.finish()?;
    let start = index_ranges(&parquet)
        .map(|range| Ok(range?.start))
        .try_fold(file_len, |low, start: Result<u64>| start.map(|start| low.min(start)))?;
    let wanted = file_len - start;
    let limit = if encrypted { file_len } else { MAX_FOOTER_BYTES.min(file_len) };
    if wanted <= tail.len() as u64 || wanted > limit {
        return Err(Error::damaged("the page index is not where the footer says"));
    }
    Ok(wanted)
}

/// Walks over every page index that lies in `tail`, with a bound on every count; `false` when one lies before it.
fn check_indexes(tail: &Bytes, file_len: u64, parquet: &ParquetMetaData, encrypted: bool) -> Result<bool> {
    let tail_start = file_len - tail.len() as u64;
    for range in index_ranges(parquet) {
        let range = range?;
        if range.start < tail_start {
            return Ok(false);
        }
        let inside = tail.get((range.start - tail_start) as usize..(range.end.saturating_sub(tail_start)) as usize);
        let index = inside.ok_or_else(|| Error::damaged("a page index lies outside of the file"))?;
        if encrypted {
            FileCrypto::check_module(index)?;
        } else {
            ThriftReader::new(index).skip(kind::STRUCT)?;
        }
    }
    Ok(true)
}

fn index_ranges(parquet: &ParquetMetaData) -> impl Iterator<Item = Result<Range<u64>>> {
    let chunks = parquet.row_groups().iter().flat_map(|group| group.columns());
    let ranges = chunks.flat_map(|chunk| {
        [
            chunk.column_index_offset().zip(chunk.column_index_length()),
            chunk.offset_index_offset().zip(chunk.offset_index_length()),
        ]
    });
    ranges.flatten().map(|(offset, length)| {
        let range = u64::try_from(offset).ok().zip(u64::try_from(length).ok());
        let range = range.and_then(|(start, length)| Some(start..start.checked_add(length)?));
        range.ok_or_else(|| Error::damaged("a page index lies outside of the file"))
    })
}

fn describe(id: ColumnId, column: &ColumnDescriptor) -> ColumnInfo {
    let kind = match column.physical_type() {
        Type::BYTE_ARRAY => ColumnKind::Bytes,
        Type::FIXED_LEN_BYTE_ARRAY => ColumnKind::Fixed(usize::try_from(column.type_length()).unwrap_or(0)),
        Type::INT96 => ColumnKind::Fixed(12),
        Type::INT64 => ColumnKind::I64,
        Type::DOUBLE => ColumnKind::Fixed(8),
        Type::INT32 => ColumnKind::I32,
        Type::FLOAT => ColumnKind::Fixed(4),
        Type::BOOLEAN => ColumnKind::Bool,
    };
    ColumnInfo {
        id,
        name: column.name().to_owned(),
        kind,
        optional: column.max_def_level() == 1,
        time_unit: time_unit(column),
    }
}

fn time_unit(column: &ColumnDescriptor) -> Option<TimeUnit> {
    if column.physical_type() == Type::INT96 {
        return Some(TimeUnit::Int96);
    }
    match (column.logical_type_ref(), column.converted_type()) {
        (Some(LogicalType::Timestamp(timestamp)), _) => Some(match timestamp.unit {
            ParquetTimeUnit::MILLIS => TimeUnit::Millis,
            ParquetTimeUnit::MICROS => TimeUnit::Micros,
            ParquetTimeUnit::NANOS => TimeUnit::Nanos,
        }),
        (_, ConvertedType::TIMESTAMP_MILLIS) => Some(TimeUnit::Millis),
        (_, ConvertedType::TIMESTAMP_MICROS) => Some(TimeUnit::Micros),
        _ => None,
    }
}
