//! The promises of [`Source`](stocktake_core::Source).
//!
//! Objects are put through the target of the same place; their entries are made
//! from what the source says of the current object, as a listing would be.

use std::ops::Range;

use bytes::Bytes;
use futures::StreamExt;
use stocktake_core::{Attributes, ETag, Entry, Error, ObjectKey, Result, Timestamp, Wanted};

use super::bucket::collect;
use super::{BucketUnderTest, keys, noise};

/// Makes a test of each promise of a source.
///
/// Takes an expression that gives an empty
/// [`BucketUnderTest`](crate::conformance::BucketUnderTest), or what can be made into one.
#[macro_export]
macro_rules! source_conformance {
    ($factory:expr) => {
        $crate::conformance_tests! { source, BucketUnderTest, $factory, [
            an_object_reads_back,
            an_empty_object_reads_back,
            an_object_of_20_mib_reads_back,
            a_range_yields_exactly_its_bytes,
            a_range_outside_the_object_fails,
            the_answer_describes_the_object,
            a_missing_object_is_not_found,
            a_changed_object_is_refused,
            a_deleted_object_is_not_found,
            a_foreign_etag_is_refused,
            an_entry_without_etag_is_matched_by_size_and_time,
            a_changed_object_is_read_as_current,
            an_object_replaced_while_read_ends_in_error_or_the_old_bytes,
            a_stream_may_be_dropped_half_way,
            concurrent_reads_do_not_mix,
            hostile_keys_are_exact_or_refused,
            attributes_come_with_the_bytes,
        ] }
    };
}

/// The version an entry names is read, and so is the current one.
pub async fn an_object_reads_back(bucket: &BucketUnderTest) {
    let entry = bucket.put("2026/a.jpg", noise(1, 1000)).await.unwrap();
    assert_eq!(read(bucket, &entry, None).await.unwrap(), noise(1, 1000));
    assert_eq!(bucket.get(&entry.key).await.unwrap(), noise(1, 1000));
}

/// An object may have no bytes.
pub async fn an_empty_object_reads_back(bucket: &BucketUnderTest) {
    let entry = bucket.put("empty", "").await.unwrap();
    assert_eq!(entry.size, 0);
    assert_eq!(read(bucket, &entry, None).await.unwrap(), "");
}

/// A large object comes whole, and so do ranges of it.
pub async fn an_object_of_20_mib_reads_back(bucket: &BucketUnderTest) {
    let bytes = noise(2, 20 << 20);
    let entry = bucket.put("large", bytes.clone()).await.unwrap();
    assert!(read(bucket, &entry, None).await.unwrap() == bytes);
    let range = (3 << 20) + 7..(17 << 20) + 5;
    assert!(read(bucket, &entry, Some(range.clone())).await.unwrap() == part(&bytes, range));
}

/// A range yields the bytes it spans, and the answer says which.
pub async fn a_range_yields_exactly_its_bytes(bucket: &BucketUnderTest) {
    let bytes = noise(3, 1000);
    let entry = bucket.put("object", bytes.clone()).await.unwrap();
    for range in [0..1, 0..1000, 999..1000, 1..999, 500..501] {
        let answer = bucket.source.read(Wanted::Exactly(&entry), Some(range.clone())).await.unwrap();
        assert_eq!((answer.size, &answer.range), (1000, &range));
        assert_eq!(collect(answer).await.unwrap(), part(&bytes, range));
    }
}

/// A range that is not within the object never yields bytes as if it were.
pub async fn a_range_outside_the_object_fails(bucket: &BucketUnderTest) {
    let entry = bucket.put("object", noise(4, 100)).await.unwrap();
    for (start, end) in [(0, 101), (99, 200), (100, 101), (1 << 40, (1 << 40) + 1)] {
        assert!(read(bucket, &entry, Some(start..end)).await.is_err(), "{start}..{end}");
    }
}

/// Size, time and tag in the answer are those of the entry.
pub async fn the_answer_describes_the_object(bucket: &BucketUnderTest) {
    let entry = bucket.put("object", noise(5, 77)).await.unwrap();
    let answer = bucket.source.read(Wanted::Exactly(&entry), None).await.unwrap();
    assert_eq!((answer.size, answer.last_modified, answer.range.clone()), (77, entry.last_modified, 0..77));
    assert_eq!((&answer.etag, &answer.version), (&entry.etag, &entry.version));
    assert!(answer.last_modified > Timestamp::from_millis(0));
}

/// A key that no object has is not found, also when it looks like a folder.
pub async fn a_missing_object_is_not_found(bucket: &BucketUnderTest) {
    let there = bucket.put("dir/object", "x").await.unwrap();
    // SeaweedFS takes a folder for something that has another tag, so only the current one is asked for.
    assert_not_found(&"dir".into(), bucket.get(&"dir".into()).await);
    for key in ["missing", "dir/object2", "dir/objec", "no/such/dir"] {
        let key = ObjectKey::from(key);
        let entry = Entry { key: key.clone(), ..there.clone() };
        assert_not_found(&key, bucket.get(&key).await);
        assert_not_found(&key, read(bucket, &entry, None).await);
        assert_not_found(&key, read(bucket, &entry, Some(0..1)).await);
    }
}

/// When another version is there, also of the same length, the entry's is not read.
pub async fn a_changed_object_is_refused(bucket: &BucketUnderTest) {
    let listed = bucket.put("object", "first").await.unwrap();
    for now in ["other", "longer than first", ""] {
        bucket.put("object", now).await.unwrap();
        assert_changed(read(bucket, &listed, None).await);
        assert_changed(read(bucket, &listed, Some(0..1)).await);
    }
}

/// An object that was deleted since it was listed is not found.
pub async fn a_deleted_object_is_not_found(bucket: &BucketUnderTest) {
    let listed = bucket.put("object", "first").await.unwrap();
    bucket.target.delete(&listed.key).await.unwrap();
    assert_not_found(&listed.key, read(bucket, &listed, None).await);
}

/// An entry whose tag no version ever had is refused, whatever else fits.
pub async fn a_foreign_etag_is_refused(bucket: &BucketUnderTest) {
    let mut entry = bucket.put("object", "first").await.unwrap();
    for tag in ["0123456789abcdef0123456789abcdef", "0123456789abcdef0123456789abcdef-2", "odd", "*"] {
        (entry.etag, entry.version) = (Some(ETag::new(tag)), None);
        assert_changed(read(bucket, &entry, None).await);
    }
}

/// Without version and tag, size and last-modified time decide.
pub async fn an_entry_without_etag_is_matched_by_size_and_time(bucket: &BucketUnderTest) {
    let mut entry = bucket.put("object", "first").await.unwrap();
    (entry.etag, entry.version) = (None, None);
    assert_eq!(read(bucket, &entry, None).await.unwrap(), "first");
    let other_size = Entry { size: 6, ..entry.clone() };
    assert_changed(read(bucket, &other_size, None).await);
    let other_time = Entry { last_modified: Timestamp::from_millis(entry.last_modified.as_millis() - 5000), ..entry };
    assert_changed(read(bucket, &other_time, None).await);
}

/// What the entry does not describe is read by asking for what is current.
pub async fn a_changed_object_is_read_as_current(bucket: &BucketUnderTest) {
    let listed = bucket.put("object", "first").await.unwrap();
    let newer = bucket.put("object", "other").await.unwrap();
    let answer = bucket.source.read(Wanted::Current(&listed.key), None).await.unwrap();
    assert_eq!(answer.etag, newer.etag);
    assert_ne!(answer.etag, listed.etag);
    assert_eq!(collect(answer).await.unwrap(), "other");
}

/// Who reaches the end of a stream without an error holds the version that was opened.
pub async fn an_object_replaced_while_read_ends_in_error_or_the_old_bytes(bucket: &BucketUnderTest) {
    let (old, new) = (noise(6, 32 << 20), noise(7, 32 << 20));
    let entry = bucket.put("object", old.clone()).await.unwrap();
    let mut answer = bucket.source.read(Wanted::Exactly(&entry), None).await.unwrap();
    let first = answer.body.next().await.unwrap();
    bucket.put("object", new).await.unwrap();
    let Ok(first) = first else { return };
    if let Ok(rest) = collect(answer).await {
        assert!([first, rest].concat() == old, "the bytes of two versions were mixed");
    }
}

/// Dropping a stream leaves nothing behind that disturbs the next one.
pub async fn a_stream_may_be_dropped_half_way(bucket: &BucketUnderTest) {
    let bytes = noise(8, 20 << 20);
    let entry = bucket.put("object", bytes.clone()).await.unwrap();
    for pieces in [0, 1, 2, 5] {
        let answer = bucket.source.read(Wanted::Exactly(&entry), None).await.unwrap();
        drop(answer.body.take(pieces).collect::<Vec<_>>().await);
    }
    assert!(read(bucket, &entry, None).await.unwrap() == bytes);
}

/// Many reads at once yield each its own object.
pub async fn concurrent_reads_do_not_mix(bucket: &BucketUnderTest) {
    let mut entries = Vec::new();
    for n in 0..64 {
        entries.push(bucket.put(&format!("many/{n}"), noise(n, 10_000)).await.unwrap());
    }
    let all = futures::future::join_all(entries.iter().map(|entry| read(bucket, entry, None))).await;
    for (n, bytes) in (0..).zip(all) {
        assert_eq!(bytes.unwrap(), noise(n, 10_000), "object {n}");
    }
}

/// A key is read exactly, or refused; never is another object read in its place.
pub async fn hostile_keys_are_exact_or_refused(bucket: &BucketUnderTest) {
    for key in keys::hostile() {
        // A target, or the server behind it, may refuse what the source could read; then there is nothing to find.
        let put = bucket.put_with(&key, own_bytes(&key), Attributes::default()).await;
        assert!(
            matches!(put, Ok(_) | Err(Error::KeyUnsupported { .. } | Error::Rejected { .. })),
            "put {key}: {put:?}"
        );
        match bucket.get(&key).await {
            Ok(bytes) => assert_eq!(bytes, own_bytes(&key), "{key}"),
            Err(Error::KeyUnsupported { .. }) => {}
            Err(Error::ObjectNotFound { .. } | Error::Rejected { .. }) => {
                assert!(put.is_err(), "{key} was written and is not found");
            }
            Err(other) => panic!("{key}: {other:?}"),
        }
    }
    // Later keys have not taken the place of earlier ones.
    for key in keys::hostile() {
        match bucket.get(&key).await {
            Ok(bytes) => assert_eq!(bytes, own_bytes(&key), "{key}"),
            Err(Error::KeyUnsupported { .. } | Error::ObjectNotFound { .. } | Error::Rejected { .. }) => {}
            Err(other) => panic!("{key}: {other:?}"),
        }
    }
}

/// Content headers and user metadata come in the same answer as the bytes.
pub async fn attributes_come_with_the_bytes(bucket: &BucketUnderTest) {
    let written = attributes();
    let entry = bucket.put_with(&"page".into(), "<html>".into(), written.clone()).await.unwrap();
    let answer = bucket.source.read(Wanted::Exactly(&entry), None).await.unwrap();
    let expected = if bucket.keeps_attributes() { written } else { Attributes::default() };
    assert_eq!(answer.attributes, expected);
    assert_eq!(collect(answer).await.unwrap(), "<html>");
}

/// One of each attribute.
pub(super) fn attributes() -> Attributes {
    let user = [("owner", "anna b."), ("x-level", "7"), ("empty-not", "=;,\"quoted\"")];
    Attributes {
        content_type: Some("text/html; charset=utf-8".into()),
        content_encoding: Some("identity".into()),
        content_language: Some("de, en".into()),
        content_disposition: Some("attachment; filename=\"a b.html\"".into()),
        cache_control: Some("max-age=60, private".into()),
        user: user.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
    }
}

/// Bytes that tell which key they were put under.
pub(super) fn own_bytes(key: &ObjectKey) -> Bytes {
    [b"bytes of ", key.as_bytes()].concat().into()
}

async fn read(bucket: &BucketUnderTest, entry: &Entry, range: Option<Range<u64>>) -> Result<Bytes> {
    collect(bucket.source.read(Wanted::Exactly(entry), range).await?).await
}

fn part(bytes: &Bytes, range: Range<u64>) -> Bytes {
    let index = |at| usize::try_from(at).expect("tests stay far below 4 GiB");
    bytes.slice(index(range.start)..index(range.end))
}

#[track_caller]
fn assert_changed(outcome: Result<Bytes>) {
    assert!(matches!(outcome, Err(Error::ObjectChanged { .. })), "{outcome:?}");
}

#[track_caller]
fn assert_not_found(key: &ObjectKey, outcome: Result<Bytes>) {
    assert!(matches!(&outcome, Err(Error::ObjectNotFound { key: told, .. }) if told == key), "{key}: {outcome:?}");
}
