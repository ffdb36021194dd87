//! What a writer wrote is read: any integers, texts, times and truths, with nulls, in stripes of any size.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use orc_rust::ArrowWriterBuilder;
use orc_rust::compression::CompressionType;
use proptest::collection::vec;
use proptest::prelude::*;
use stocktake_inventory::{ColumnarFormat, RawColumn};
use stocktake_orc::OrcFormat;

/// Numbers as columns have them: equal, in steps, ascending, of few bits, any. Not few large ones among many small
/// ones: this writer panics on some of those.
fn numbers() -> impl Strategy<Value = Vec<i64>> {
    let base = -1_000_000_000_000..1_000_000_000_000_i64;
    prop_oneof![
        (base.clone(), 1..700_usize).prop_map(|(value, length)| vec![value; length]),
        (base.clone(), -5000..5000_i64, 1..700_i64)
            .prop_map(|(base, step, length)| (0..length).map(|n| base + n * step).collect()),
        (base, vec(0..100_000_i64, 1..700)).prop_map(|(base, steps)| {
            steps.iter().scan(base, |value, step| Some(std::mem::replace(value, *value + step))).collect()
        }),
        vec(0..200_i64, 1..700),
        vec(i64::MIN / 4..i64::MAX / 4, 1..50),
    ]
}

#[derive(Clone, Debug)]
struct Rows {
    numbers: Vec<Option<i64>>,
    texts: Vec<Option<String>>,
    bools: Vec<Option<bool>>,
    micros: Vec<Option<i64>>,
}

fn rows() -> impl Strategy<Value = Rows> {
    let texts = prop_oneof!["[a-z/]{0,40}", "\\PC{0,8}", Just("STANDARD".to_owned())];
    let more = vec((texts, any::<bool>(), 0..4_102_444_800_000_000_i64, 0..10_u8), 700);
    (numbers(), more, any::<bool>()).prop_map(|(numbers, more, nulls)| {
        let mut rows = Rows { numbers: Vec::new(), texts: Vec::new(), bools: Vec::new(), micros: Vec::new() };
        for (number, (text, truth, micros, dice)) in numbers.into_iter().zip(more) {
            let there = |column: u8| !nulls || dice != column;
            rows.numbers.push(there(0).then_some(number));
            rows.texts.push(there(1).then_some(text));
            rows.bools.push(there(2).then_some(truth));
            rows.micros.push(there(3).then_some(micros));
        }
        rows
    })
}

fn file(rows: &Rows, compression: CompressionType, stripe_bytes: usize) -> File {
    let columns: [(&str, ArrayRef); 4] = [
        ("numbers", Arc::new(Int64Array::from(rows.numbers.clone()))),
        ("texts", Arc::new(StringArray::from(rows.texts.clone()))),
        ("bools", Arc::new(BooleanArray::from(rows.bools.clone()))),
        ("times", Arc::new(TimestampMicrosecondArray::from(rows.micros.clone()))),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap();
    let mut bytes = Vec::new();
    let writer = ArrowWriterBuilder::new(&mut bytes, batch.schema()).with_compression(compression);
    let mut writer = writer.with_batch_size(64).with_stripe_byte_size(stripe_bytes).try_build().unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&bytes).unwrap();
    file
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn what_was_written_is_read(rows in rows(), kind in 0..3, stripe_bytes in 1000..100_000_usize) {
        let compression = [CompressionType::Zlib, CompressionType::Snappy, CompressionType::Zstd][kind as usize];
        let mut file = OrcFormat.open(file(&rows, compression, stripe_bytes)).unwrap();
        file.choose(&[0, 1, 2, 3]).unwrap();
        let (mut numbers, mut texts, mut bools, mut millis) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        while let Some(columns) = file.next().unwrap() {
            for column in columns {
                match column {
                    RawColumn::Integers(more) => numbers.extend(more),
                    RawColumn::Bytes(more) => texts.extend(more.iter().map(<[u8]>::to_vec)),
                    RawColumn::Bools(more) => bools.extend(more),
                    RawColumn::Millis(more) => millis.extend(more),
                }
            }
        }
        prop_assert_eq!(numbers, rows.numbers);
        let expected: Vec<_> = rows.texts.into_iter().map(|text| text.unwrap_or_default().into_bytes()).collect();
        prop_assert_eq!(texts, expected);
        prop_assert_eq!(bools, rows.bools);
        let expected: Vec<_> = rows.micros.into_iter().map(|micros| micros.map(|micros| micros / 1000)).collect();
        prop_assert_eq!(millis, expected);
    }
}
