//! Bytes that were written once read the same for ever.
//!
//! `tests/golden/` holds documents and segments as the first release writes
//! them. To write them anew, deliberately: `STOCKTAKE_REGENERATE_GOLDEN=1 cargo
//! test -p stocktake-format --test golden`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Debug;
use std::path::PathBuf;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use stocktake_core::{ContentHash, JobId, KeyRange, RootRef, Row, RowBatch, SnapshotRecord, Tally, Timestamp};
use stocktake_format::segment::{EncodedSegment, Part, SegmentKind, SegmentReader, SegmentWriter, Wanted};
use stocktake_format::{
    Expiry, Fence, OpenFlag, Root, Run, SegmentRef, Slot, StateSum, VaultId, VaultKey, decode_document, encode_document,
};
use stocktake_testkit::states;
use zeroize::Zeroizing;

fn plain() -> VaultKey {
    VaultKey::unencrypted(VaultId([1; 16]))
}

fn sealed() -> VaultKey {
    VaultKey::encrypted(VaultId([1; 16]), Zeroizing::new([2; 32]))
}

/// The kept bytes; those of `now`, when they are to be written anew.
fn golden(name: &str, now: &[u8]) -> Bytes {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("STOCKTAKE_REGENERATE_GOLDEN").is_some() {
        std::fs::write(&path, now).unwrap();
    }
    std::fs::read(&path).unwrap().into()
}

fn check_document<T: Serialize + DeserializeOwned + PartialEq + Debug>(file: &str, name: &str, value: &T) {
    for (key, ending) in [(plain(), "plain"), (sealed(), "sealed")] {
        let now = encode_document(&key, name, value);
        let kept = golden(&format!("{file}.{ending}"), &now);
        assert_eq!(decode_document::<T>(&key, name, &kept).unwrap(), *value);
        assert_eq!(now, kept, "{file} is written in another way than it was");
    }
}

fn record() -> SnapshotRecord {
    let job = states::job(3, Some(JobId::from_bytes([1; 16])));
    SnapshotRecord {
        id: job.id,
        name: job.name,
        plan: job.plan,
        trigger: job.trigger,
        parent: job.parent,
        started: job.started,
        committed: job.started,
        total: Tally { objects: 3, bytes: u128::from(u64::MAX) * 7 },
        state_sum: "07".repeat(32),
        root: RootRef { name: "jobs/j/root-0".to_owned(), hash: "09".repeat(32) },
        software: "0.1.0".to_owned(),
        summary: states::summary(),
    }
}

fn root() -> Root {
    let segment = |name: &str, low: &str, high: &str, deletes| SegmentRef {
        name: format!("jobs/{}/c/{name}", JobId::from_bytes([1; 16])),
        hash: [7; 32],
        bytes: 2100,
        rows: 3,
        deletes,
        low: low.into(),
        high: high.into(),
        tail_bytes: 900,
        tail_hash: ContentHash([9; 16]),
    };
    let sum = StateSum::parse(&"0b".repeat(32)).unwrap();
    let base = segment("000000-07070707070707.base", "a", "c", 0);
    let live = Tally { objects: 3, bytes: 12 };
    let first = Fence { low: "".into(), folded: 1, pending: 4, live, sum, base: Some(base) };
    let empty = Fence { low: "é".into(), folded: 2, ..Fence::default() };
    let runs = vec![Run { seq: 2, level: 0, segments: vec![segment("000001-07070707070707.delta", "b", "z", 1)] }];
    Root::new(2, 40, vec![first, empty], runs)
}

#[test]
fn documents_are_what_they_were() {
    let job = states::job(3, Some(JobId::from_bytes([1; 16])));
    check_document("open", "open/x", &OpenFlag::backup(&job, "0.1.0"));
    check_document("slot-commit", "slots/x", &Slot::Commit { record: record() });
    check_document("slot-abort", "slots/x", &Slot::Abort { by: "prune".to_owned(), reason: "silent".to_owned() });
    check_document("expire", "expire/x", &Expiry { expired: Timestamp::from_millis(1_772_326_800_123) });
    root().check().unwrap();
    check_document("root", "jobs/x/root", &root());
}

fn rows() -> Vec<Row> {
    let mut rows = states::odd_rows();
    rows.extend((0..20).map(|n| states::row(format!("rows/{n:03}").as_str(), n)));
    rows
}

fn encode(key: &VaultKey, kind: SegmentKind, rows: &[Row], deleted: &[bool]) -> EncodedSegment {
    let mut writer = SegmentWriter::new(key, kind, "job/1", 16);
    let mut batch = RowBatch::default();
    rows.iter().for_each(|row| batch.push(&row.as_ref()).unwrap());
    writer.write(batch, deleted.to_vec()).unwrap();
    writer.finish()
}

/// What the kept segment holds. Its length, tail and hash of the tail are kept beside it.
fn check_segment(key: &VaultKey, file: &str, kind: SegmentKind, deleted: &[bool], repeatable: bool) {
    let rows = rows();
    let now = encode(key, kind, &rows, deleted);
    let kept = golden(&format!("{file}.parquet"), &now.bytes);
    let facts = golden(&format!("{file}.tail"), format!("{} {}\n", now.tail_bytes, now.tail_hash).as_bytes());
    let facts = std::str::from_utf8(&facts).unwrap().trim();
    let (tail_bytes, tail_hash) = facts.split_once(' ').unwrap();
    let tail_bytes: usize = tail_bytes.parse().unwrap();
    let tail_hash = ContentHash(hex::decode(tail_hash).unwrap().try_into().unwrap());
    let tail = kept.slice(kept.len() - tail_bytes..);
    let reader = SegmentReader::open(key, "job/1", kept.len() as u64, &tail, tail_hash).unwrap();
    assert_eq!(reader.kind(), kind);
    let (mut found, mut found_deleted) = (Vec::new(), Vec::new());
    let all = KeyRange::all();
    for group in reader.groups(Wanted::Range(&all)).unwrap() {
        let part = reader.part(group, Part::Rows).unwrap();
        let bytes = kept.slice(part.start as usize..part.end as usize);
        for batch in reader.rows_of(group, bytes, Wanted::All).unwrap() {
            found_deleted.extend((0..batch.rows.len()).map(|row| batch.is_deleted(row)));
            found.extend(batch.rows.iter().map(|row| row.to_row()));
        }
    }
    assert_eq!((&found, &found_deleted[..]), (&rows, deleted));
    assert!(!repeatable || now.bytes == kept, "{file} is written in another way than it was");
}

#[test]
fn segments_are_what_they_were() {
    let put = vec![false; rows().len()];
    let deleted: Vec<bool> = (0..rows().len()).map(|row| row % 5 == 2).collect();
    check_segment(&plain(), "base", SegmentKind::Base, &put, true);
    check_segment(&plain(), "delta", SegmentKind::Delta, &deleted, true);
    // The nonces of an encrypted file are random, so it is never written the same way twice.
    check_segment(&sealed(), "base-sealed", SegmentKind::Base, &put, false);
}
