//! Segments read back as they were written, whole, in ranges and by key; and damage is noticed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use proptest::prelude::*;
use stocktake_core::{BytesColumn, EntryBatch, KeyRange, Row, RowBatch};
use stocktake_format::segment::{
    EncodedSegment, Part, SegmentBatch, SegmentKind, SegmentReader, SegmentWriter, Wanted,
};
use stocktake_format::{VaultId, VaultKey};
use stocktake_testkit::states::{self, State};
use zeroize::Zeroizing;

/// Rows of a row group.
const TINY: usize = 7;

fn keys() -> [VaultKey; 2] {
    let id = VaultId([1; 16]);
    [VaultKey::unencrypted(id), VaultKey::encrypted(id, Zeroizing::new([2; 32]))]
}

fn state(rows: u64) -> State {
    let rows = (0..rows).map(|n| states::row(format!("key/{:05}", 2 * n).as_str(), n));
    rows.map(|row| (row.entry.key.clone(), row)).collect()
}

fn encode(key: &VaultKey, kind: SegmentKind, rows: &RowBatch, deleted: &[bool]) -> EncodedSegment {
    let mut writer = SegmentWriter::new(key, kind, "job/1", TINY);
    writer.write(rows.clone(), deleted.to_vec()).unwrap();
    writer.finish()
}

fn open(key: &VaultKey, segment: &EncodedSegment) -> SegmentReader {
    let bytes = segment.bytes.len() as u64;
    let tail = segment.bytes.slice((bytes - segment.tail_bytes) as usize..);
    SegmentReader::open(key, "job/1", bytes, &tail, segment.tail_hash).unwrap()
}

fn part(segment: &EncodedSegment, reader: &SegmentReader, group: usize, part: Part) -> Bytes {
    let range = reader.part(group, part).unwrap();
    segment.bytes.slice(range.start as usize..range.end as usize)
}

fn rows(segment: &EncodedSegment, reader: &SegmentReader, wanted: Wanted<'_>) -> (Vec<Row>, Vec<bool>) {
    let (mut rows, mut deleted) = (Vec::new(), Vec::new());
    for group in reader.groups(wanted).unwrap() {
        for batch in reader.rows_of(group, part(segment, reader, group, Part::Rows), wanted).unwrap() {
            let SegmentBatch::<RowBatch> { rows: batch_rows, .. } = &batch;
            rows.extend(batch_rows.iter().map(|row| row.to_row()));
            deleted.extend((0..batch_rows.len()).map(|index| batch.is_deleted(index)));
        }
    }
    (rows, deleted)
}

#[test]
fn rows_and_entries_read_back() {
    for key in keys() {
        let state = state(50);
        let segment = encode(&key, SegmentKind::Base, &states::batch(state.clone()), &[]);
        let reader = open(&key, &segment);
        assert_eq!((reader.rows(), reader.kind(), segment.rows), (50, SegmentKind::Base, 50));
        assert!(rows(&segment, &reader, Wanted::All).0.iter().eq(state.values()));
        let mut entries = EntryBatch::default();
        for group in reader.groups(Wanted::All).unwrap() {
            for batch in reader.entries(group, part(&segment, &reader, group, Part::Entries), Wanted::All).unwrap() {
                batch.rows.iter().for_each(|entry| entries.push(&entry).unwrap());
            }
        }
        assert_eq!(&entries, states::batch(state).entries());
    }
}

#[test]
fn a_delta_knows_which_keys_are_deleted() {
    let key = &keys()[0];
    let deleted: Vec<bool> = (0..20).map(|n| n % 3 == 0).collect();
    let segment = encode(key, SegmentKind::Delta, &states::batch(state(20)), &deleted);
    assert_eq!((segment.rows, segment.deletes), (20, 7));
    let reader = open(key, &segment);
    assert_eq!(reader.kind(), SegmentKind::Delta);
    assert_eq!(rows(&segment, &reader, Wanted::All).1, deleted);
}

#[test]
fn refs_count_rows_and_distinct_blocks_of_each_pack() {
    let segment = encode(&keys()[0], SegmentKind::Base, &states::batch(state(8)), &[]);
    let counts: Vec<_> = segment.refs.packs.iter().map(|pack| (pack.pack.seq, pack.rows, pack.bytes)).collect();
    assert_eq!(counts, [(0, 2, 200), (1, 2, 200), (2, 2, 200), (3, 2, 200)]);
}

#[test]
fn keys_that_do_not_ascend_are_refused() {
    let key = &keys()[0];
    let mut writer = SegmentWriter::new(key, SegmentKind::Base, "job/1", TINY);
    let batch = states::batch(state(2));
    writer.write(batch.clone(), Vec::new()).unwrap();
    assert!(writer.write(batch, Vec::new()).is_err());
}

#[test]
fn a_segment_opens_only_with_its_own_key_and_tail() {
    let [plain, sealed] = keys();
    let segment = encode(&sealed, SegmentKind::Base, &states::batch(state(9)), &[]);
    let bytes = segment.bytes.len() as u64;
    let tail = segment.bytes.slice((bytes - segment.tail_bytes) as usize..);
    assert!(SegmentReader::open(&sealed, "job/2", bytes, &tail, segment.tail_hash).is_err());
    assert!(SegmentReader::open(&plain, "job/1", bytes, &tail, segment.tail_hash).is_err());
    assert!(SegmentReader::open(&sealed, "job/1", bytes, &tail.slice(1..), segment.tail_hash).is_err());
    assert!(SegmentReader::open(&sealed, "job/1", bytes + 1, &tail, segment.tail_hash).is_err());
    let other = encode(&sealed, SegmentKind::Base, &states::batch(state(9)), &[]);
    assert!(SegmentReader::open(&sealed, "job/1", bytes, &tail, other.tail_hash).is_err());
}

#[test]
fn no_flipped_bit_is_read_over() {
    for key in keys() {
        let segment = encode(&key, SegmentKind::Base, &states::batch(state(9)), &[]);
        let tail_at = segment.bytes.len() - segment.tail_bytes as usize;
        for at in (4..segment.bytes.len()).step_by(3) {
            let mut bytes = segment.bytes.to_vec();
            bytes[at] ^= 1 << (at % 8);
            let damaged = EncodedSegment { bytes: bytes.into(), ..segment.clone() };
            let tail = damaged.bytes.slice(tail_at..);
            let opened = SegmentReader::open(&key, "job/1", damaged.bytes.len() as u64, &tail, damaged.tail_hash);
            let Ok(reader) = opened else { continue };
            assert!(at < tail_at, "a flipped bit at {at} in the tail");
            let read =
                (0..2).map(|group| reader.rows_of(group, part(&damaged, &reader, group, Part::Rows), Wanted::All));
            assert!(read.into_iter().any(|rows| rows.is_err()), "a flipped bit at {at}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn ranges_and_keys_select_exactly_their_rows(
        count in 1..40_u64,
        start in 0..90_u64,
        end in proptest::option::of(0..90_u64),
        wanted in proptest::collection::btree_set(0..90_u64, 0..12),
        sealed: bool,
    ) {
        let key = &keys()[usize::from(sealed)];
        let state = state(count);
        let segment = encode(key, SegmentKind::Base, &states::batch(state.clone()), &[]);
        let reader = open(key, &segment);
        let name = |n: &u64| format!("key/{n:05}");
        let range = KeyRange::new(name(&start), end.map(|end| Bytes::from(name(&end))));
        let inside = state.values().filter(|row| range.contains(row.entry.key.as_bytes()));
        prop_assert!(rows(&segment, &reader, Wanted::Range(&range)).0.iter().eq(inside));
        let names: Vec<String> = wanted.iter().map(name).collect();
        let keys: BytesColumn = names.iter().map(|name| name.as_bytes()).collect();
        let found = names.iter().filter_map(|name| state.get(name.as_bytes()));
        prop_assert!(rows(&segment, &reader, Wanted::Keys(&keys)).0.iter().eq(found));
    }
}
