//! Parquet files, read flat.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use parquet::encryption::decrypt::FileDecryptionProperties;
use stocktake_parquet::{
    BytesBuffer, ColumnId, ColumnKind, Error, FileMeta, FileOptions, FlatReader, Nulls, Result, Selection,
};

/// The key of encrypted seeds.
pub const PARQUET_KEY: [u8; 16] = *b"sixteen byte key";

/// Row groups and rows of each that are read: a small file can claim any number, and hold many.
const MAX_GROUPS: usize = 4;
const MAX_ROWS: u64 = 300;

/// Bytes of a column beyond which its reading is not repeated.
const MAX_BYTES: usize = 1 << 20;

static DECRYPTION: LazyLock<Arc<FileDecryptionProperties>> = LazyLock::new(|| {
    FileDecryptionProperties::builder(PARQUET_KEY.to_vec()).build().expect("one key for all is complete")
});

/// A file, with its page index and without: whatever the way and the batches, values are the same.
pub fn parquet(data: &[u8]) -> bool {
    let file = Bytes::copy_from_slice(data);
    let mut accepted = true;
    for page_index in [false, true] {
        let options = FileOptions { decryption: Some(Arc::clone(&DECRYPTION)), page_index };
        let Ok(meta) = FileMeta::read(&file, &options) else { return false };
        assert_eq!(meta.num_rows(), meta.row_groups().iter().sum::<u64>());
        for column in meta.columns() {
            assert!(meta.column(&column.name).is_some());
            accepted &= read_column(&file, &meta, column.id, column.kind);
        }
        let columns: Vec<_> = meta.columns().iter().map(|column| column.id).collect();
        let ranges = meta.byte_ranges(&selection(&meta), &columns, 10).unwrap_or_default();
        assert!(ranges.is_sorted_by(|a, b| a.end < b.start));
        assert!(ranges.iter().all(|range| range.end <= file.len() as u64));
    }
    accepted
}

/// The first rows of the first row groups.
fn selection(meta: &FileMeta) -> Selection {
    let mut selection = Selection::default();
    for (group, rows) in meta.row_groups().iter().enumerate().take(MAX_GROUPS) {
        selection.push(group, 0..MAX_ROWS.min(*rows));
    }
    selection
}

/// A reader of one column.
struct Column<'a> {
    file: &'a Bytes,
    meta: &'a FileMeta,
    column: ColumnId,
}

type Strings = Vec<Option<Vec<u8>>>;

fn read_column(file: &Bytes, meta: &FileMeta, column: ColumnId, kind: ColumnKind) -> bool {
    let column = Column { file, meta, column };
    match kind {
        ColumnKind::Bytes | ColumnKind::Fixed(_) => column.strings_agree(),
        ColumnKind::I64 | ColumnKind::I32 => {
            let integers = column.integers(7).ok();
            assert_eq!(column.integers(512).ok(), integers);
            integers.is_some()
        }
        ColumnKind::Bool => {
            let bools = column.bools(7).ok();
            assert_eq!(column.bools(512).ok(), bools);
            bools.is_some()
        }
    }
}

impl Column<'_> {
    fn strings_agree(&self) -> bool {
        let visited = match self.visit(7) {
            Err(Visited::TooMuch) => return true,
            visited => visited.ok(),
        };
        assert_eq!(self.visit(512).ok(), visited);
        assert_eq!(self.bytes(31).ok(), visited);
        if let Ok(named) = self.named(31) {
            assert_eq!(Some(named), visited);
        }
        visited.is_some()
    }

    /// Calls `take` with a reader at each batch.
    fn each_batch<E: From<Error>>(
        &self,
        batch_rows: usize,
        mut take: impl FnMut(&mut FlatReader<Bytes>, usize) -> Result<(), E>,
    ) -> Result<(), E> {
        let (file, selection) = (Arc::new(self.file.clone()), selection(self.meta));
        let mut reader = FlatReader::new(file, self.meta, &[self.column], selection, batch_rows)?;
        while let Some(rows) = reader.advance() {
            assert!(rows <= batch_rows);
            take(&mut reader, rows)?;
        }
        Ok(())
    }

    fn visit(&self, batch_rows: usize) -> Result<Strings, Visited> {
        let (mut strings, mut bytes) = (Strings::new(), 0);
        self.each_batch(batch_rows, |reader, rows| {
            let before = strings.len();
            reader.visit(0, |string| {
                bytes += string.map_or(0, <[u8]>::len);
                strings.push(string.map(<[u8]>::to_vec));
                if bytes > MAX_BYTES { Err(Visited::TooMuch) } else { Ok(()) }
            })?;
            assert_eq!(strings.len() - before, rows);
            Ok::<_, Visited>(())
        })?;
        Ok(strings)
    }

    fn bytes(&self, batch_rows: usize) -> Result<Strings> {
        let (mut strings, mut buffer, mut nulls) = (Strings::new(), BytesBuffer::default(), Nulls::default());
        self.each_batch(batch_rows, |reader, rows| {
            reader.bytes(0, &mut buffer, &mut nulls)?;
            assert_eq!(buffer.len(), rows);
            strings.extend((0..rows).map(|row| (!nulls.is_null(row)).then(|| buffer.get(row).to_vec())));
            Ok::<_, Error>(())
        })?;
        Ok(strings)
    }

    /// The strings behind codes.
    fn named(&self, batch_rows: usize) -> Result<Strings> {
        let (mut strings, mut codes, mut nulls) = (Strings::new(), Vec::new(), Nulls::default());
        self.each_batch(batch_rows, |reader, rows| {
            reader.codes(0, &mut codes, &mut nulls)?;
            assert_eq!(codes.len(), rows);
            let name = |row: usize| reader.names(0).get(codes[row] as usize).to_vec();
            strings.extend((0..rows).map(|row| (!nulls.is_null(row)).then(|| name(row))));
            Ok::<_, Error>(())
        })?;
        Ok(strings)
    }

    fn integers(&self, batch_rows: usize) -> Result<Vec<Option<i64>>> {
        let (mut all, mut integers, mut nulls) = (Vec::new(), Vec::new(), Nulls::default());
        self.each_batch(batch_rows, |reader, rows| {
            reader.integers(0, &mut integers, &mut nulls)?;
            assert_eq!(integers.len(), rows);
            all.extend(integers.iter().enumerate().map(|(row, value)| (!nulls.is_null(row)).then_some(*value)));
            Ok::<_, Error>(())
        })?;
        Ok(all)
    }

    fn bools(&self, batch_rows: usize) -> Result<Vec<Option<bool>>> {
        let (mut all, mut bools, mut nulls) = (Vec::new(), Vec::new(), Nulls::default());
        self.each_batch(batch_rows, |reader, rows| {
            reader.bools(0, &mut bools, &mut nulls)?;
            assert_eq!(bools.len(), rows);
            all.extend(bools.iter().enumerate().map(|(row, value)| (!nulls.is_null(row)).then_some(*value)));
            Ok::<_, Error>(())
        })?;
        Ok(all)
    }
}

/// Why a column was not visited to its end.
enum Visited {
    Failed,
    TooMuch,
}

impl From<Error> for Visited {
    fn from(_: Error) -> Self {
        Self::Failed
    }
}
