//! Files that the C++ writer of Apache ORC made (`golden/make.py`) are read value for value, however they are encoded.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use stocktake_inventory::{ColumnarFormat, RawColumn};
use stocktake_orc::OrcFormat;

const ROWS: usize = 1000;

/// 2026-03-01T01:00:00Z.
const START_MILLIS: i64 = 1_772_326_800_000;

/// The numbers of the rows, without an order.
fn noise(n: usize) -> u64 {
    (n as u64).wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407)
}

fn texts(value: impl Fn(usize) -> Vec<u8>) -> RawColumn {
    let values: Vec<_> = (0..ROWS).map(value).collect();
    RawColumn::Bytes(values.iter().map(Vec::as_slice).collect())
}

fn integers(value: impl Fn(i64) -> Option<i64>) -> RawColumn {
    RawColumn::Integers((0..ROWS as i64).map(value).collect())
}

/// What stands in every file, column by column.
fn expected() -> Vec<(&'static str, RawColumn)> {
    let size = |n: i64| noise(n as usize) >> if n % 100 == 7 { 17 } else { 52 };
    let classes = ["STANDARD", "GLACIER", "DEEP_ARCHIVE", "STANDARD_IA"];
    vec![
        ("bucket", texts(|_| b"photo-store".into())),
        ("key", texts(|n| format!("photos/{n:05}\u{e9} +%.jpg").into())),
        ("size", integers(|n| Some(size(n) as i64))),
        (
            "last_modified_date",
            RawColumn::Millis((0..ROWS as i64).map(|n| Some(START_MILLIS + n * n * 1000 + n % 1000)).collect()),
        ),
        ("e_tag", texts(|n| if n % 7 == 0 { Vec::new() } else { format!("{:016x}", noise(n)).into() })),
        ("storage_class", texts(|n| classes[(noise(n) >> 62) as usize].into())),
        (
            "is_multipart_uploaded",
            RawColumn::Bools((0..ROWS).map(|n| (n % 11 != 0).then(|| noise(n) >> 63 == 1)).collect()),
        ),
        ("small", integers(|n| Some(n % 256 - 128))),
        ("steps", integers(|n| (n % 50 != 3).then_some(1_000_000 - 3 * n))),
        ("squares", integers(|n| Some(n * n))),
        ("raw", texts(|n| vec![(n % 256) as u8, 255, 0])),
    ]
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// The values of the columns at these places, batches put together.
fn read(name: &str, places: &[usize]) -> Vec<RawColumn> {
    let mut file = OrcFormat.open(File::open(path(name)).unwrap()).unwrap();
    let names: Vec<_> = expected().into_iter().map(|(name, _)| name).collect();
    assert_eq!(file.columns(), names);
    file.choose(places).unwrap();
    let mut columns = file.next().unwrap().unwrap();
    while let Some(more) = file.next().unwrap() {
        for (column, more) in columns.iter_mut().zip(more) {
            match (column, more) {
                (RawColumn::Bytes(all), RawColumn::Bytes(more)) => more.iter().for_each(|text| all.push(text)),
                (RawColumn::Integers(all), RawColumn::Integers(more)) => all.extend(more),
                (RawColumn::Millis(all), RawColumn::Millis(more)) => all.extend(more),
                (RawColumn::Bools(all), RawColumn::Bools(more)) => all.extend(more),
                (column, more) => panic!("{column:?} and {more:?}"),
            }
        }
    }
    columns
}

fn check(name: &str) {
    let all: Vec<usize> = (0..expected().len()).collect();
    for ((column, expected), read) in expected().into_iter().zip(read(name, &all)) {
        assert_eq!(read, expected, "{name}: {column}");
    }
    // Some of the columns, in an order of their own.
    let [squares, key] = read(name, &[9, 1]).try_into().unwrap();
    assert_eq!((squares, key), (expected().remove(9).1, expected().remove(1).1));
}

#[test]
fn a_file_that_is_not_compressed() {
    check("plain.orc");
}

#[test]
fn zlib() {
    check("zlib.orc");
}

#[test]
fn snappy_with_dictionaries() {
    check("snappy-dictionaries.orc");
}

#[test]
fn zstandard() {
    check("zstd.orc");
}

#[test]
fn many_stripes() {
    check("many-stripes.orc");
}

#[test]
fn the_first_version_of_runs() {
    check("version-0.11.orc");
    check("version-0.11-dictionaries.orc");
}

/// What becomes of the file that is not compressed when its last `from` stands as `to`.
fn altered(from: &[u8], to: &[u8]) -> Result<(), (ErrorKind, String)> {
    let mut bytes = fs::read(path("plain.orc")).unwrap();
    let at = bytes.windows(from.len()).rposition(|window| window == from).unwrap();
    bytes[at..at + to.len()].copy_from_slice(to);
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&bytes).unwrap();
    let read = || {
        let mut file = OrcFormat.open(file)?;
        file.choose(&[1, 3])?;
        while file.next()?.is_some() {}
        Ok(())
    };
    read().map_err(|error: std::io::Error| (error.kind(), error.to_string()))
}

#[test]
fn what_no_inventory_has_is_refused_and_named() {
    // The second field of the postscript is the kind of compression.
    let lz4 = altered(&[0x10, 0], &[0x10, 4]);
    assert_eq!(lz4, Err((ErrorKind::Unsupported, "it is compressed with LZ4".to_owned())));
    let clock = "the column last_modified_date: its times are by the clock of CET, not in UTC";
    assert_eq!(altered(b"GMT", b"CET"), Err((ErrorKind::Unsupported, clock.to_owned())));
    assert_eq!(altered(b"GMT", b"UTC"), Ok(()));
    assert!(matches!(altered(b"ORC", b"CRO"), Err((ErrorKind::InvalidData, _))));
}
