//! Columns of a segment as batches of rows and entries.

use std::sync::Arc;

use stocktake_core::{
    BATCH_ROWS, BytesColumn, ClassColumn, Content, ContentHash, ETagCode, EntryBatch, EntryColumns, EntryFlags, Extent,
    PackId, Provenance, RowBatch,
};
use stocktake_parquet::{BytesBuffer, ColumnId, ColumnKind, FileMeta, FlatReader, Nulls, Selection, SparseBytes};

use super::reader::damaged;
use super::{SegmentBatch, SegmentKind, schema};
use crate::{FormatError, Result};

/// Names of the entry columns, and their kinds. `op` comes last.
const ENTRY: [(&str, ColumnKind); 10] = [
    (schema::KEY, ColumnKind::Bytes),
    (schema::SIZE, ColumnKind::I64),
    (schema::LAST_MODIFIED, ColumnKind::I64),
    (schema::ETAG, ColumnKind::Fixed(16)),
    (schema::ETAG_KIND, ColumnKind::I32),
    (schema::ETAG_TEXT, ColumnKind::Bytes),
    (schema::CLASS, ColumnKind::Bytes),
    (schema::FLAGS, ColumnKind::I32),
    (schema::VERSION, ColumnKind::Bytes),
    (schema::OP, ColumnKind::I32),
];

/// Names of the content columns, and their kinds.
const CONTENT: [(&str, ColumnKind); 9] = [
    (schema::PROVENANCE, ColumnKind::I32),
    (schema::CONTENT, ColumnKind::I32),
    (schema::HASH, ColumnKind::Fixed(16)),
    (schema::PACK, ColumnKind::Bytes),
    (schema::BLOCK_OFFSET, ColumnKind::I32),
    (schema::BLOCK_LENGTH, ColumnKind::I32),
    (schema::OFFSET, ColumnKind::I32),
    (schema::CHUNK_PACKS, ColumnKind::Bytes),
    (schema::ATTRIBUTES, ColumnKind::Bytes),
];

/// Bytes of a key of ordinary length.
const USUAL_KEY_BYTES: usize = 64;

type Entries = Vec<SegmentBatch<EntryBatch>>;
type Rows = Vec<SegmentBatch<RowBatch>>;

/// Decodes the entries of selected rows.
pub(super) fn entries(
    meta: &FileMeta,
    kind: SegmentKind,
    file: Arc<SparseBytes>,
    selection: Selection,
) -> Result<Entries> {
    let mut columns = Columns::new(meta, file, entry_columns(kind).to_vec(), selection)?;
    let mut batches = Entries::new();
    while columns.advance() {
        batches.push(SegmentBatch { rows: columns.entries()?, deleted: columns.deleted(kind)? });
    }
    Ok(batches)
}

/// Decodes selected rows.
pub(super) fn rows(meta: &FileMeta, kind: SegmentKind, file: Arc<SparseBytes>, selection: Selection) -> Result<Rows> {
    let first = entry_columns(kind).len();
    let mut columns = Columns::new(meta, file, [entry_columns(kind), &CONTENT].concat(), selection)?;
    let mut batches = Rows::new();
    let mut packs = Vec::new();
    while columns.advance() {
        let entries = columns.entries()?;
        let contents = columns.contents(first, &mut packs)?;
        let provenances = columns.provenances(first)?;
        let attributes = columns.rare(first + 8)?;
        let rows = RowBatch::from_columns(entries, contents, provenances, attributes).map_err(contradiction)?;
        batches.push(SegmentBatch { rows, deleted: columns.deleted(kind)? });
    }
    Ok(batches)
}

fn entry_columns(kind: SegmentKind) -> &'static [(&'static str, ColumnKind)] {
    &ENTRY[..schema::entry_columns(kind)]
}

/// A reader of columns, each of which is taken by its place in the list it was opened with.
struct Columns {
    reader: FlatReader<SparseBytes>,
    nulls: Nulls,
    /// Bytes of the keys of the last batch.
    key_bytes: usize,
}

impl Columns {
    fn new(
        meta: &FileMeta,
        file: Arc<SparseBytes>,
        names: Vec<(&str, ColumnKind)>,
        selection: Selection,
    ) -> Result<Self> {
        let ids = names.into_iter().map(|(name, kind)| column(meta, name, kind)).collect::<Result<Vec<_>>>()?;
        let reader = FlatReader::new(file, meta, &ids, selection, BATCH_ROWS).map_err(damaged)?;
        Ok(Self { reader, nulls: Nulls::default(), key_bytes: 0 })
    }

    fn advance(&mut self) -> bool {
        self.reader.advance().is_some()
    }

    fn entries(&mut self) -> Result<EntryBatch> {
        let columns = EntryColumns {
            keys: self.keys()?,
            sizes: self.integers(1)?.into_iter().map(i64::cast_unsigned).collect(),
            last_modified: self.integers(2)?,
            etags: self.etags()?,
            etag_texts: self.rare(5)?,
            classes: self.classes()?,
            flags: self.bytes_of(7)?.into_iter().map(EntryFlags::from_bits).collect(),
            versions: self.rare(8)?,
        };
        EntryBatch::from_columns(columns).map_err(contradiction)
    }

    fn deleted(&mut self, kind: SegmentKind) -> Result<Vec<bool>> {
        if kind == SegmentKind::Base {
            return Ok(Vec::new());
        }
        let ops = self.bytes_of(9)?;
        if ops.iter().any(|op| *op > 1) {
            return Err(FormatError::damaged("an operation that does not exist"));
        }
        Ok(if ops.contains(&1) { ops.into_iter().map(|op| op == 1).collect() } else { Vec::new() })
    }

    fn etags(&mut self) -> Result<Vec<ETagCode>> {
        let digests = self.digests(3)?;
        let kinds = self.integers(4)?;
        let mut codes = Vec::with_capacity(digests.len());
        for (digest, kind) in digests.into_iter().zip(kinds) {
            let code = u16::try_from(kind).ok().and_then(|kind| ETagCode::from_parts(digest, kind));
            codes.push(code.ok_or_else(|| FormatError::damaged("an ETag of a kind that does not exist"))?);
        }
        Ok(codes)
    }

    fn classes(&mut self) -> Result<ClassColumn> {
        let mut codes = Vec::new();
        self.reader.codes(6, &mut codes, &mut self.nulls).map_err(damaged)?;
        let names = self.reader.names(6);
        let mut classes = ClassColumn::default();
        let mut interned: Vec<Option<u8>> = vec![None; names.len()];
        for code in codes {
            let slot = &mut interned[code as usize];
            let class = match *slot {
                Some(class) => class,
                None => {
                    let name = utf8(names.get(code as usize))?;
                    *slot.insert(classes.intern(name).map_err(contradiction)?)
                }
            };
            classes.push_code(class);
        }
        Ok(classes)
    }

    /// The contents. `packs` keeps what the codes of the pack column mean from batch to batch.
    fn contents(&mut self, first: usize, packs: &mut Vec<Option<PackId>>) -> Result<Vec<Content>> {
        let kinds = self.bytes_of(first + 1)?;
        let hashes = self.digests(first + 2)?;
        let pack_codes = self.pack_codes(first + 3, packs)?;
        let [block_offsets, block_lengths, offsets] =
            [self.places(first + 4)?, self.places(first + 5)?, self.places(first + 6)?];
        let chunk_packs = self.strings(first + 7)?;
        let content = |row: usize| {
            let stored = || {
                let pack = packs.get(pack_codes[row] as usize).copied().flatten();
                let pack = pack.ok_or_else(|| FormatError::damaged("a row names no pack, or none that can be"))?;
                let (block_offset, block_length) = (block_offsets[row], block_lengths[row]);
                Ok((ContentHash(hashes[row]), Extent { pack, block_offset, block_length, offset: offsets[row] }))
            };
            match kinds[row] {
                0 => Ok(Content::Absent),
                1 => Ok(Content::Empty),
                2 => stored().map(|(hash, extent)| Content::Whole { hash, extent }),
                3 => {
                    let (hash, list) = stored()?;
                    Ok(Content::Chunked { hash, list, packs: pack_list(chunk_packs.get(row))? })
                }
                _ => Err(FormatError::damaged("a content of a kind that does not exist")),
            }
        };
        (0..kinds.len()).map(content).collect()
    }

    fn pack_codes(&mut self, column: usize, packs: &mut Vec<Option<PackId>>) -> Result<Vec<u32>> {
        let mut codes = Vec::new();
        self.reader.codes(column, &mut codes, &mut self.nulls).map_err(damaged)?;
        let names = self.reader.names(column);
        for code in packs.len()..names.len() {
            packs.push(std::str::from_utf8(names.get(code)).ok().and_then(|name| name.parse().ok()));
        }
        Ok(codes)
    }

    fn provenances(&mut self, column: usize) -> Result<Vec<Provenance>> {
        let provenance =
            |code| Provenance::from_code(code).ok_or_else(|| FormatError::damaged("a provenance that does not exist"));
        self.bytes_of(column)?.into_iter().map(provenance).collect()
    }

    fn keys(&mut self) -> Result<BytesColumn> {
        // About as large as the batch before; of the first one nothing is known.
        let room = if self.key_bytes == 0 { USUAL_KEY_BYTES * BATCH_ROWS } else { self.key_bytes };
        let keys = self.strings_into(0, BytesBuffer::with_capacity(BATCH_ROWS, room))?;
        self.key_bytes = keys.data().len();
        Ok(keys)
    }

    fn strings(&mut self, column: usize) -> Result<BytesColumn> {
        self.strings_into(column, BytesBuffer::default())
    }

    fn strings_into(&mut self, column: usize, mut buffer: BytesBuffer) -> Result<BytesColumn> {
        self.reader.bytes(column, &mut buffer, &mut self.nulls).map_err(damaged)?;
        let (data, ends) = buffer.into_parts();
        BytesColumn::from_parts(data, ends).map_err(contradiction)
    }

    /// A column that is mostly null; `None` when it is wholly so.
    fn rare(&mut self, column: usize) -> Result<Option<BytesColumn>> {
        self.strings(column).map(|column| Some(column).filter(|column| !column.data().is_empty()))
    }

    /// A column of 16 bytes each; a null is all zero.
    fn digests(&mut self, column: usize) -> Result<Vec<[u8; 16]>> {
        let mut digests = Vec::new();
        self.reader.arrays(column, &mut digests, &mut self.nulls).map_err(damaged)?;
        Ok(digests)
    }

    fn integers(&mut self, column: usize) -> Result<Vec<i64>> {
        let mut integers = Vec::new();
        self.reader.integers(column, &mut integers, &mut self.nulls).map_err(damaged)?;
        Ok(integers)
    }

    /// A column of unsigned integers of 8 bits.
    fn bytes_of(&mut self, column: usize) -> Result<Vec<u8>> {
        let out_of_range = |_| FormatError::damaged("a number is out of its range");
        self.integers(column)?.into_iter().map(|value| u8::try_from(value).map_err(out_of_range)).collect()
    }

    /// A column of unsigned integers of 32 bits, which are stored as signed ones.
    fn places(&mut self, column: usize) -> Result<Vec<u32>> {
        let out_of_range = |_| FormatError::damaged("a number is out of its range");
        let place = |value| i32::try_from(value).map(i32::cast_unsigned).map_err(out_of_range);
        self.integers(column)?.into_iter().map(place).collect()
    }
}

fn column(meta: &FileMeta, name: &str, kind: ColumnKind) -> Result<ColumnId> {
    let found = meta.column(name).filter(|column| column.kind == kind);
    found.map(|column| column.id).ok_or_else(|| FormatError::damaged(format!("there is no column {name}")))
}

fn pack_list(text: &[u8]) -> Result<Vec<PackId>> {
    let names = utf8(text)?.split(',').filter(|name| !name.is_empty());
    names.map(|name| name.parse().map_err(|error| FormatError::damaged(format!("{error}")))).collect()
}

fn utf8(text: &[u8]) -> Result<&str> {
    std::str::from_utf8(text).map_err(|_| FormatError::damaged("a text is not UTF-8"))
}

/// A batch that the core refuses.
fn contradiction(error: stocktake_core::Error) -> FormatError {
    FormatError::damaged(error.to_string())
}
