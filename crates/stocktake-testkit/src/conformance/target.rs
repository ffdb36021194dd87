//! The promises of [`Target`](stocktake_core::Target).
//!
//! What was written is read back through the source of the same place.

use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use stocktake_core::{Attributes, Error, IfExists, NewObject, ObjectKey, Result, Wanted};

use super::bucket::{body, collect, new_object};
use super::source::{attributes, own_bytes};
use super::{BucketUnderTest, keys, noise};

/// Makes a test of each promise of a target.
///
/// Takes an expression that gives an empty
/// [`BucketUnderTest`](crate::conformance::BucketUnderTest), or what can be made into one.
#[macro_export]
macro_rules! target_conformance {
    ($factory:expr) => {
        $crate::conformance_tests! { target, BucketUnderTest, $factory, [
            an_object_is_written,
            an_empty_object_is_written,
            an_object_of_40_mib_is_written,
            stat_tells_what_is_there,
            a_failing_body_leaves_the_former,
            a_failing_body_leaves_nothing_where_nothing_was,
            a_body_of_another_length_is_refused,
            a_dropped_write_leaves_the_former_or_the_new,
            if_exists_fail_keeps_what_is_there,
            if_exists_replace_replaces_it,
            of_many_careful_writers_one_wins,
            hostile_keys_are_exact_or_refused,
            attributes_are_kept,
            delete_is_idempotent,
        ] }
    };
}

const SMALL: usize = 1000;
/// Large enough to go up in parts.
const LARGE: usize = 40 << 20;

/// What was written is read, with the same bytes.
pub async fn an_object_is_written(bucket: &BucketUnderTest) {
    write(bucket, "2026/a.jpg", noise(1, SMALL), IfExists::Fail).await.unwrap();
    assert_eq!(get(bucket, "2026/a.jpg").await, noise(1, SMALL));
}

/// An object may have no bytes.
pub async fn an_empty_object_is_written(bucket: &BucketUnderTest) {
    write(bucket, "empty", Bytes::new(), IfExists::Fail).await.unwrap();
    assert_eq!(get(bucket, "empty").await, "");
}

/// A large object is written whole, also where it goes up in parts.
pub async fn an_object_of_40_mib_is_written(bucket: &BucketUnderTest) {
    write(bucket, "large", noise(2, LARGE), IfExists::Fail).await.unwrap();
    assert!(get(bucket, "large").await == noise(2, LARGE));
}

/// `stat` tells size and tag of what is there, and that nothing is.
pub async fn stat_tells_what_is_there(bucket: &BucketUnderTest) {
    let key = ObjectKey::from("dir/object");
    assert_eq!(bucket.target.stat(&key).await.unwrap(), None);
    let entry = bucket.put("dir/object", noise(3, SMALL)).await.unwrap();
    let stat = bucket.target.stat(&key).await.unwrap().unwrap();
    assert_eq!((stat.size, stat.etag), (entry.size, entry.etag));
    assert_eq!(stat.last_modified.as_millis() / 1000, entry.last_modified.as_millis() / 1000);
    assert_eq!(bucket.target.stat(&"dir".into()).await.unwrap(), None);
    assert_eq!(bucket.target.stat(&"dir/object/x".into()).await.unwrap(), None);
}

/// A body that ends in an error is not written; its error is the call's.
pub async fn a_failing_body_leaves_the_former(bucket: &BucketUnderTest) {
    for (key, size) in [("small", SMALL), ("large", LARGE)] {
        bucket.put(key, "former").await.unwrap();
        let outcome = write_broken(bucket, key, size).await;
        assert!(matches!(outcome, Err(Error::Cancelled)), "{outcome:?}");
        assert_eq!(get(bucket, key).await, "former");
    }
}

/// A write that fails does not leave an empty or partial object either.
pub async fn a_failing_body_leaves_nothing_where_nothing_was(bucket: &BucketUnderTest) {
    for (key, size) in [("new/small", SMALL), ("new/large", LARGE)] {
        assert!(write_broken(bucket, key, size).await.is_err());
        assert_eq!(bucket.target.stat(&key.into()).await.unwrap(), None);
    }
}

/// A body that is shorter or longer than announced is not written.
pub async fn a_body_of_another_length_is_refused(bucket: &BucketUnderTest) {
    for (announced, came) in [(10, 9), (10, 11), (10, 0), (0, 1), (LARGE, LARGE - 1), (LARGE, LARGE + 1), (LARGE, 1)] {
        bucket.put("object", "former").await.unwrap();
        let object = new_object(&"object".into(), announced);
        let outcome = bucket.target.write(&object, body(noise(4, came)), IfExists::Replace).await;
        assert!(matches!(outcome, Err(Error::ObjectDamaged { .. })), "{came} of {announced}: {outcome:?}");
        assert_eq!(get(bucket, "object").await, "former", "{came} of {announced}");
    }
}

/// A write that is dropped at any moment leaves one of the two whole.
pub async fn a_dropped_write_leaves_the_former_or_the_new(bucket: &BucketUnderTest) {
    let new = noise(5, 17 << 20);
    for millis in [0, 1, 2, 5, 10, 20, 50, 100] {
        bucket.put("object", "former").await.unwrap();
        let writing = write(bucket, "object", new.clone(), IfExists::Replace);
        drop(tokio::time::timeout(Duration::from_millis(millis), writing).await);
        let now = get(bucket, "object").await;
        assert!(now == "former" || now == new, "{} bytes are left", now.len());
    }
}

/// With [`IfExists::Fail`] what is there stays, and the caller is told.
pub async fn if_exists_fail_keeps_what_is_there(bucket: &BucketUnderTest) {
    bucket.put("object", "former").await.unwrap();
    for size in [0, SMALL, LARGE] {
        let outcome = write(bucket, "object", noise(6, size), IfExists::Fail).await;
        assert!(matches!(outcome, Err(Error::ObjectChanged { .. })), "{outcome:?}");
        assert_eq!(get(bucket, "object").await, "former");
    }
}

/// With [`IfExists::Replace`] the new object takes the place of the former, whole.
pub async fn if_exists_replace_replaces_it(bucket: &BucketUnderTest) {
    for size in [SMALL, 10, LARGE, 0] {
        write(bucket, "object", noise(7, size), IfExists::Replace).await.unwrap();
        assert!(get(bucket, "object").await == noise(7, size));
    }
}

/// Of many concurrent writes with [`IfExists::Fail`], one succeeds and its bytes are there.
pub async fn of_many_careful_writers_one_wins(bucket: &BucketUnderTest) {
    let writers = (0..16_u64).map(|n| write(bucket, "contested", noise(n, SMALL), IfExists::Fail));
    let outcomes = futures::future::join_all(writers).await;
    let winners: Vec<_> = (0..).zip(outcomes).filter(|(_, outcome)| outcome.is_ok()).map(|(n, _)| n).collect();
    assert_eq!(winners.len(), 1, "writers that were told they won: {winners:?}");
    assert_eq!(get(bucket, "contested").await, noise(winners[0], SMALL));
}

/// A key is written exactly or refused; no key takes the place of another.
pub async fn hostile_keys_are_exact_or_refused(bucket: &BucketUnderTest) {
    let mut written = Vec::new();
    for key in keys::hostile() {
        let bytes = own_bytes(&key);
        match bucket.target.write(&new_object(&key, bytes.len()), body(bytes), IfExists::Replace).await {
            Ok(()) => written.push(key),
            // The client can't name it, or the server won't have it.
            Err(Error::KeyUnsupported { .. } | Error::Rejected { .. }) => {}
            Err(other) => panic!("{key}: {other:?}"),
        }
    }
    assert!(written.len() > 20, "only {written:?} could be written");
    for key in &written {
        let stat = bucket.target.stat(key).await.unwrap();
        assert_eq!(stat.map(|stat| stat.size), Some(own_bytes(key).len() as u64), "{key}");
        assert_eq!(bucket.get(key).await.unwrap(), own_bytes(key), "{key}");
    }
    for key in &written {
        bucket.target.delete(key).await.unwrap();
        assert_eq!(bucket.target.stat(key).await.unwrap(), None, "{key}");
    }
}

/// Attributes come back, of small objects and of those that go up in parts.
pub async fn attributes_are_kept(bucket: &BucketUnderTest) {
    let expected = if bucket.keeps_attributes() { attributes() } else { Attributes::default() };
    for size in [SMALL, LARGE] {
        let object = NewObject { attributes: attributes(), ..new_object(&"page".into(), size) };
        bucket.target.write(&object, body(noise(8, size)), IfExists::Replace).await.unwrap();
        let answer = bucket.source.read(Wanted::Current(&object.key), None).await.unwrap();
        assert_eq!(answer.attributes, expected);
        assert!(collect(answer).await.unwrap() == noise(8, size));
    }
}

/// Deleting succeeds whether or not there was an object, and takes away no other.
pub async fn delete_is_idempotent(bucket: &BucketUnderTest) {
    for key in ["dir/a", "dir/b"] {
        bucket.put(key, "x").await.unwrap();
    }
    for key in ["dir/a", "dir/a", "dir", "missing", "no/such/dir", "dir/b/c"] {
        bucket.target.delete(&key.into()).await.unwrap();
    }
    assert_eq!(bucket.target.stat(&"dir/a".into()).await.unwrap(), None);
    assert_eq!(get(bucket, "dir/b").await, "x");
    bucket.put("dir/a", "again").await.unwrap();
    assert_eq!(get(bucket, "dir/a").await, "again");
}

async fn write(bucket: &BucketUnderTest, key: &str, bytes: Bytes, if_exists: IfExists) -> Result<()> {
    bucket.target.write(&new_object(&key.into(), bytes.len()), body(bytes), if_exists).await
}

/// Writes with a body that breaks off after nine tenths of its bytes.
async fn write_broken(bucket: &BucketUnderTest, key: &str, size: usize) -> Result<()> {
    bucket.target.write(&new_object(&key.into(), size), broken(noise(9, size / 10 * 9)), IfExists::Replace).await
}

fn broken(bytes: Bytes) -> BoxStream<'static, Result<Bytes>> {
    body(bytes).chain(stream::once(async { Err(Error::Cancelled) })).boxed()
}

async fn get(bucket: &BucketUnderTest, key: &str) -> Bytes {
    bucket.get(&key.into()).await.unwrap()
}
