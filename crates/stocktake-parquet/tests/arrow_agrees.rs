//! Whatever an Arrow writer writes, in every encoding, reads back as what was written.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, FixedSizeBinaryArray, Int32Array, Int64Array, RecordBatch, StringArray,
};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::encryption::decrypt::FileDecryptionProperties;
use parquet::encryption::encrypt::FileEncryptionProperties;
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;
use proptest::prelude::*;
use stocktake_parquet::{
    BytesBuffer, ColumnId, FileMeta, FileOptions, FlatReader, Nulls, ParsedTail, Selection, SparseBytes,
};

/// One column of each kind, with and without nulls.
#[derive(Clone, Debug)]
struct Table {
    keys: Vec<Vec<u8>>,
    texts: Vec<Option<String>>,
    sizes: Vec<Option<i64>>,
    small: Vec<i32>,
    flags: Vec<Option<bool>>,
    digests: Vec<Option<[u8; 5]>>,
}

fn table(max_rows: usize) -> impl Strategy<Value = Table> {
    let row = (
        prop_oneof!["[ab]{0,3}", "prefix/[a-z]{1,40}", "[a-z]{100,300}"],
        prop::option::weighted(0.8, "[AB]|[a-z]{0,9}"),
        prop::option::weighted(0.9, prop_oneof![0..100_i64, any::<i64>()]),
        prop_oneof![0..9, any::<i32>()],
        prop::option::weighted(0.7, any::<bool>()),
        prop::option::weighted(0.5, any::<[u8; 5]>()),
    );
    (prop::collection::vec(row, 1..max_rows), any::<bool>()).prop_map(|(rows, no_nulls)| {
        let mut table =
            Table { keys: vec![], texts: vec![], sizes: vec![], small: vec![], flags: vec![], digests: vec![] };
        for (key, text, size, small, flag, digest) in rows {
            table.keys.push(key.into_bytes());
            table.texts.push(text.or(no_nulls.then(String::new)));
            table.sizes.push(size.or(no_nulls.then_some(7)));
            table.small.push(small);
            table.flags.push(flag.or(no_nulls.then_some(true)));
            table.digests.push(digest);
        }
        table
    })
}

impl Table {
    fn batch(&self) -> RecordBatch {
        let digests = FixedSizeBinaryArray::try_from_sparse_iter_with_size(self.digests.iter().copied(), 5).unwrap();
        let columns: [(&str, ArrayRef, bool); 6] = [
            ("Key", Arc::new(BinaryArray::from_iter_values(&self.keys)), false),
            ("text", Arc::new(StringArray::from_iter(&self.texts)), true),
            ("size", Arc::new(Int64Array::from(self.sizes.clone())), true),
            ("small", Arc::new(Int32Array::from(self.small.clone())), false),
            ("flag", Arc::new(BooleanArray::from(self.flags.clone())), true),
            ("digest", Arc::new(digests), true),
        ];
        RecordBatch::try_from_iter_with_nullable(columns).unwrap()
    }
}

#[derive(Clone, Debug)]
struct Layout {
    version2: bool,
    compression: Compression,
    dictionary: bool,
    delta: bool,
    page_rows: usize,
    group_rows: usize,
    encrypted: bool,
    batch_rows: usize,
}

fn layout() -> impl Strategy<Value = Layout> {
    let compression = prop_oneof![
        Just(Compression::UNCOMPRESSED),
        Just(Compression::SNAPPY),
        Just(Compression::ZSTD(ZstdLevel::default())),
        Just(Compression::GZIP(Default::default())),
    ];
    (any::<(bool, bool, bool, bool)>(), compression, 1..100_usize, 1..300_usize, 1..70_usize).prop_map(
        |((version2, dictionary, delta, encrypted), compression, page_rows, group_rows, batch_rows)| Layout {
            version2,
            compression,
            dictionary,
            delta,
            page_rows,
            group_rows,
            encrypted,
            batch_rows,
        },
    )
}

const KEY: [u8; 16] = *b"sixteen byte key";

fn write(table: &Table, layout: &Layout) -> Bytes {
    let version = if layout.version2 { WriterVersion::PARQUET_2_0 } else { WriterVersion::PARQUET_1_0 };
    let mut properties = WriterProperties::builder()
        .set_writer_version(version)
        .set_compression(layout.compression)
        .set_dictionary_enabled(layout.dictionary)
        .set_dictionary_page_size_limit(400)
        .set_data_page_row_count_limit(layout.page_rows)
        .set_write_batch_size(layout.page_rows.min(16))
        .set_max_row_group_row_count(Some(layout.group_rows));
    if layout.delta {
        for (column, encoding) in [
            ("Key", Encoding::DELTA_BYTE_ARRAY),
            ("text", Encoding::DELTA_LENGTH_BYTE_ARRAY),
            ("size", Encoding::DELTA_BINARY_PACKED),
            ("small", Encoding::DELTA_BINARY_PACKED),
            ("flag", Encoding::RLE),
            ("digest", Encoding::DELTA_BYTE_ARRAY),
        ] {
            properties = properties.set_column_encoding(ColumnPath::from(column), encoding);
        }
    }
    if layout.encrypted {
        let encryption = FileEncryptionProperties::builder(KEY.to_vec()).with_aad_prefix(b"name".to_vec());
        properties = properties.with_file_encryption_properties(encryption.build().unwrap());
    }
    let mut file = Vec::new();
    let batch = table.batch();
    let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), Some(properties.build())).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    file.into()
}

fn options(layout: &Layout, page_index: bool) -> FileOptions {
    let decryption = layout
        .encrypted
        .then(|| FileDecryptionProperties::builder(KEY.to_vec()).with_aad_prefix(b"name".to_vec()).build().unwrap());
    FileOptions { decryption, page_index }
}

fn string(bytes: &BytesBuffer, nulls: &Nulls, row: usize) -> Option<Vec<u8>> {
    (!nulls.is_null(row)).then(|| bytes.get(row).to_vec())
}

/// Compares the batches of a reader with the rows of the table that they claim to be.
fn compare<R: parquet::file::reader::ChunkReader>(
    mut reader: FlatReader<R>,
    table: &Table,
    group_rows: usize,
    passed_over: bool,
) -> Result<usize, TestCaseError> {
    let (mut bytes, mut integers, mut bools, mut codes) = (BytesBuffer::default(), vec![], vec![], vec![]);
    let mut nulls = Nulls::default();
    let (mut seen, mut batches) = (0, 0);
    while let Some(rows) = reader.advance() {
        batches += 1;
        let (group, ranges) = reader.position();
        let at: Vec<usize> = ranges
            .iter()
            .flat_map(|range| range.start as usize..range.end as usize)
            .map(|row| group * group_rows + row)
            .collect();
        prop_assert_eq!(at.len(), rows);
        seen += rows;
        if passed_over && batches % 2 == 0 {
            continue;
        }
        reader.bytes(0, &mut bytes, &mut nulls).unwrap();
        for (row, at) in at.iter().enumerate() {
            prop_assert_eq!(bytes.get(row), &table.keys[*at][..]);
        }
        if batches % 3 == 0 {
            reader.codes(1, &mut codes, &mut nulls).unwrap();
            for (row, at) in at.iter().enumerate() {
                let text = (!nulls.is_null(row)).then(|| reader.names(1).get(codes[row] as usize));
                prop_assert_eq!(text, table.texts[*at].as_deref().map(str::as_bytes));
            }
        } else {
            let mut texts = Vec::new();
            reader
                .visit(1, |text| {
                    texts.push(text.map(<[u8]>::to_vec));
                    Ok::<_, stocktake_parquet::Error>(())
                })
                .unwrap();
            for (row, at) in at.iter().enumerate() {
                prop_assert_eq!(texts[row].as_deref(), table.texts[*at].as_deref().map(str::as_bytes));
            }
        }
        reader.integers(2, &mut integers, &mut nulls).unwrap();
        for (row, at) in at.iter().enumerate() {
            prop_assert_eq!((!nulls.is_null(row)).then_some(integers[row]), table.sizes[*at]);
        }
        reader.integers(3, &mut integers, &mut nulls).unwrap();
        for (row, at) in at.iter().enumerate() {
            prop_assert_eq!(integers[row], i64::from(table.small[*at]));
        }
        reader.bools(4, &mut bools, &mut nulls).unwrap();
        for (row, at) in at.iter().enumerate() {
            prop_assert_eq!((!nulls.is_null(row)).then_some(bools[row]), table.flags[*at]);
        }
        if batches % 3 == 0 {
            reader.bytes(5, &mut bytes, &mut nulls).unwrap();
            for (row, at) in at.iter().enumerate() {
                prop_assert_eq!(string(&bytes, &nulls, row), table.digests[*at].map(|digest| digest.to_vec()));
            }
        } else {
            let mut digests = Vec::new();
            reader.arrays(5, &mut digests, &mut nulls).unwrap();
            for (row, at) in at.iter().enumerate() {
                prop_assert_eq!((!nulls.is_null(row)).then_some(digests[row]), table.digests[*at]);
                prop_assert!(!nulls.is_null(row) || digests[row] == [0; 5]);
            }
        }
    }
    Ok(seen)
}

const COLUMNS: [&str; 6] = ["key", "TEXT", "size", "small", "flag", "digest"];

fn columns(meta: &FileMeta) -> Vec<ColumnId> {
    COLUMNS.iter().map(|name| meta.column(name).unwrap().id).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_encoding_reads_back(table in table(700), layout in layout(), page_index: bool, passed_over: bool) {
        let file = write(&table, &layout);
        let meta = FileMeta::read(&file, &options(&layout, page_index)).unwrap();
        prop_assert_eq!(meta.num_rows(), table.keys.len() as u64);
        let reader =
            FlatReader::new(Arc::new(file), &meta, &columns(&meta), Selection::all(&meta), layout.batch_rows).unwrap();
        prop_assert_eq!(compare(reader, &table, layout.group_rows, passed_over)?, table.keys.len());
    }

    #[test]
    fn selected_rows_take_only_their_bytes(
        mut table in table(700),
        layout in layout(),
        low in "[a-z]{0,2}",
        len in 0..100_usize,
    ) {
        table.keys.sort();
        let file = write(&table, &layout);
        let meta = read_from_tail(&file, &options(&layout, true));
        let key = meta.column("key").unwrap().id;
        let (low, high) = (low.into_bytes(), vec![b'q'; len]);
        let selection = meta.select(key, |least, greatest| greatest >= &low[..] && least <= &high[..]).unwrap();
        let wanted = table.keys.iter().filter(|key| (&low..=&high).contains(key)).count();
        prop_assert!(selection.num_rows() as usize >= wanted);

        let mut sparse = SparseBytes::new(file.len() as u64);
        for Range { start, end } in meta.byte_ranges(&selection, &columns(&meta), 10).unwrap() {
            sparse.insert(start, file.slice(start as usize..end as usize));
        }
        let rows = selection.num_rows() as usize;
        let reader = FlatReader::new(Arc::new(sparse), &meta, &columns(&meta), selection, layout.batch_rows).unwrap();
        prop_assert_eq!(compare(reader, &table, layout.group_rows, false)?, rows);
    }

    #[test]
    fn altered_files_are_refused_or_read_but_never_panic(
        table in table(120),
        layout in layout(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1..=255_u8), 1..4),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
        page_index: bool,
    ) {
        let mut file = write(&table, &layout).to_vec();
        for (at, flip) in flips {
            let at = at.index(file.len());
            file[at] ^= flip;
        }
        if let Some(cut) = cut {
            file.truncate(cut.index(file.len()));
        }
        let _ = drain(file.into(), &options(&layout, page_index));
    }
}

/// Reads everything there is.
fn drain(file: Bytes, options: &FileOptions) -> stocktake_parquet::Result<()> {
    let meta = FileMeta::read(&file, options)?;
    let columns: Vec<_> = meta.columns().iter().map(|column| column.id).collect();
    let selection = match meta.columns().first() {
        Some(first) => meta.select(first.id, |_, _| true)?,
        None => Selection::all(&meta),
    };
    // A row group may claim any number of rows; a sound one of these has no more than this.
    if selection.num_rows() > 1 << 20 {
        return Ok(());
    }
    let mut reader = FlatReader::new(Arc::new(file), &meta, &columns, selection, 50)?;
    let (mut bytes, mut integers, mut bools, mut codes) = (BytesBuffer::default(), vec![], vec![], vec![]);
    let mut nulls = Nulls::default();
    while reader.advance().is_some() {
        for column in 0..columns.len() {
            if reader.integers(column, &mut integers, &mut nulls).is_err()
                && reader.bools(column, &mut bools, &mut nulls).is_err()
            {
                match column % 2 {
                    0 => reader.bytes(column, &mut bytes, &mut nulls)?,
                    _ => reader.codes(column, &mut codes, &mut nulls)?,
                }
            }
        }
    }
    Ok(())
}

/// The footer, fetched from the end as a caller without random access does.
fn read_from_tail(file: &Bytes, options: &FileOptions) -> FileMeta {
    let mut wanted = 16;
    loop {
        let tail = file.slice(file.len() - wanted..);
        match FileMeta::parse_tail(&tail, file.len() as u64, options).unwrap() {
            ParsedTail::Ready(meta) => return meta,
            ParsedTail::NeedMore(more) => wanted = more as usize,
        }
    }
}

#[test]
fn a_wrong_key_is_an_error() {
    let layout = Layout {
        version2: false,
        compression: Compression::SNAPPY,
        dictionary: true,
        delta: false,
        page_rows: 10,
        group_rows: 10,
        encrypted: true,
        batch_rows: 10,
    };
    let table = Table {
        keys: vec![b"a".to_vec()],
        texts: vec![None],
        sizes: vec![None],
        small: vec![1],
        flags: vec![None],
        digests: vec![None],
    };
    let file = write(&table, &layout);
    let other = FileDecryptionProperties::builder(vec![0; 16]).with_aad_prefix(b"name".to_vec()).build().unwrap();
    assert!(FileMeta::read(&file, &FileOptions { decryption: Some(other), page_index: false }).is_err());
    assert!(FileMeta::read(&file, &FileOptions::default()).is_err());
    let swapped = FileDecryptionProperties::builder(KEY.to_vec()).with_aad_prefix(b"other".to_vec()).build().unwrap();
    assert!(FileMeta::read(&file, &FileOptions { decryption: Some(swapped), page_index: false }).is_err());
    assert!(FileMeta::read(&file, &options(&layout, false)).is_ok());
}

#[test]
fn nested_and_repeated_columns_are_not_offered() {
    use arrow::array::{ListBuilder, StringBuilder};
    let mut list = ListBuilder::new(StringBuilder::new());
    list.append_value([Some("x"), Some("y")]);
    let list: ArrayRef = Arc::new(list.finish());
    let flat: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    assert_eq!(list.len(), flat.len());
    let batch = RecordBatch::try_from_iter([("tags", list), ("size", flat)]).unwrap();
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let meta = FileMeta::read(&Bytes::from(file), &FileOptions::default()).unwrap();
    let names: Vec<_> = meta.columns().iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["size"]);
}
