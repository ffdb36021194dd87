//! The promises of [`Vault`].
//!
//! Where the contract leaves an answer open (a creation that was dropped, a
//! store without atomic creation), the function accepts exactly what it allows.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use stocktake_core::{BlobInfo, Error, Vault};

use super::{VaultUnderTest, noise};

/// Makes a test of each promise of a vault.
///
/// Takes an expression that gives an empty [`Vault`](stocktake_core::Vault), or a
/// [`VaultUnderTest`](crate::conformance::VaultUnderTest).
#[macro_export]
macro_rules! vault_conformance {
    ($factory:expr) => {
        $crate::conformance_tests! { vault, VaultUnderTest, $factory, [
            a_blob_reads_back,
            an_empty_blob_is_a_blob,
            a_blob_of_20_mib_reads_back,
            create_is_write_once,
            one_of_64_creators_wins,
            a_missing_blob_is_not_found,
            a_range_yields_exactly_its_bytes,
            a_range_outside_the_blob_is_damage,
            stat_and_list_agree,
            a_listing_shows_what_was_created_and_deleted_before,
            a_listing_is_in_byte_order,
            a_prefix_need_not_end_at_a_folder,
            an_empty_space_lists_nothing,
            a_listing_starts_after_any_name,
            a_listing_is_longer_than_a_page,
            delete_is_idempotent,
            bad_names_are_refused,
            odd_names_are_kept_exactly,
            a_reader_never_sees_a_part,
            a_dropped_creation_leaves_a_whole_blob_or_none,
        ] }
    };
}

/// What was created is read, with the same bytes.
pub async fn a_blob_reads_back(under_test: &VaultUnderTest) {
    let vault = &under_test.vault;
    vault.create("jobs/1/pack", noise(1, 1000)).await.unwrap();
    assert_eq!(vault.read("jobs/1/pack", None).await.unwrap(), noise(1, 1000));
}

/// A blob may have no bytes, and is there all the same.
pub async fn an_empty_blob_is_a_blob(under_test: &VaultUnderTest) {
    let vault = &under_test.vault;
    vault.create("flags/empty", Bytes::new()).await.unwrap();
    assert_eq!(vault.read("flags/empty", None).await.unwrap(), "");
    assert_eq!(vault.stat("flags/empty").await.unwrap().size, 0);
    assert_eq!(names(vault, "", None).await, ["flags/empty"]);
    assert_exists(vault.create("flags/empty", Bytes::new()).await);
}

/// A large blob is kept whole, and ranges of it are read.
pub async fn a_blob_of_20_mib_reads_back(under_test: &VaultUnderTest) {
    let (vault, bytes) = (&under_test.vault, noise(20, 20 << 20));
    vault.create("pack", bytes.clone()).await.unwrap();
    assert!(vault.read("pack", None).await.unwrap() == bytes);
    let range = (7 << 20) + 13..(19 << 20) + 11;
    assert!(vault.read("pack", Some(range.clone())).await.unwrap() == part(&bytes, range));
}

/// A second creation of a name fails and leaves the first bytes in place.
pub async fn create_is_write_once(under_test: &VaultUnderTest) {
    let vault = &under_test.vault;
    vault.create("a/b", "first".into()).await.unwrap();
    assert_exists(vault.create("a/b", "second".into()).await);
    assert_exists(vault.create("a/b", "first".into()).await);
    assert_eq!(vault.read("a/b", None).await.unwrap(), "first");
}

/// Of many concurrent creations of one name, one succeeds, and its bytes are what is read.
pub async fn one_of_64_creators_wins(under_test: &VaultUnderTest) {
    if !under_test.vault.capabilities().create_if_absent {
        return;
    }
    let rounds = (0..4).map(|round| race(&under_test.vault, format!("slots/{round}")));
    futures::future::join_all(rounds).await;
}

/// 64 creators of one name, at once.
async fn race(vault: &Arc<dyn Vault>, name: String) {
    let creators = (0..64_u64).map(|creator| {
        let (vault, name) = (Arc::clone(vault), name.clone());
        tokio::spawn(async move { (creator, vault.create(&name, noise(creator, 5000)).await) })
    });
    let mut winners = Vec::new();
    for outcome in futures::future::join_all(creators.collect::<Vec<_>>()).await {
        match outcome.unwrap() {
            (creator, Ok(())) => winners.push(creator),
            (_, Err(Error::BlobExists { .. } | Error::Unavailable { .. })) => {}
            (creator, Err(other)) => panic!("creator {creator} got {other:?}"),
        }
    }
    assert_eq!(winners.len(), 1, "creators that were told they won: {winners:?}");
    assert_eq!(vault.read(&name, None).await.unwrap(), noise(winners[0], 5000));
}

/// A name that nobody created is not found, whatever is asked of it.
pub async fn a_missing_blob_is_not_found(under_test: &VaultUnderTest) {
    let vault = &under_test.vault;
    vault.create("there/blob", "x".into()).await.unwrap();
    for name in ["missing", "there", "there/blo", "there/blob2", "no/such/folder"] {
        assert_not_found(name, vault.read(name, None).await);
        assert_not_found(name, vault.read(name, Some(0..1)).await);
        assert_not_found(name, vault.stat(name).await);
    }
}

/// A range yields the bytes it spans and no other.
pub async fn a_range_yields_exactly_its_bytes(under_test: &VaultUnderTest) {
    let (vault, bytes) = (&under_test.vault, noise(2, 1000));
    vault.create("blob", bytes.clone()).await.unwrap();
    for range in [0..1, 0..1000, 999..1000, 1..999, 500..501] {
        assert_eq!(vault.read("blob", Some(range.clone())).await.unwrap(), part(&bytes, range));
    }
}

/// A range that is empty or reaches beyond the blob ends in `BlobDamaged`.
pub async fn a_range_outside_the_blob_is_damage(under_test: &VaultUnderTest) {
    let vault = &under_test.vault;
    vault.create("blob", noise(3, 100)).await.unwrap();
    vault.create("empty", Bytes::new()).await.unwrap();
    let outside =
        [(0, 101), (99, 101), (100, 101), (100, 100), (5, 5), (1 << 40, (1 << 40) + 1), (u64::MAX - 1, u64::MAX)];
    for (start, end) in outside {
        assert_damaged(vault.read("blob", Some(start..end)).await);
    }
    assert_damaged(vault.read("empty", Some(0..1)).await);
}

/// `stat` tells what a listing tells: the size, and one and the same time to the second.
pub async fn stat_and_list_agree(under_test: &VaultUnderTest) {
    let vault = &under_test.vault;
    for size in [0, 1, 4096, 100_000] {
        vault.create(&format!("blobs/{size}"), noise(4, size)).await.unwrap();
    }
    for listed in list(vault, "blobs/", None).await {
        let stat = vault.stat(&listed.name).await.unwrap();
        assert_eq!((&stat.name, stat.size), (&listed.name, listed.size));
        assert_eq!(format!("blobs/{}", stat.size), stat.name);
        assert_eq!(stat.last_modified.as_millis() / 1000, listed.last_modified.as_millis() / 1000);
        assert!(stat.last_modified.as_millis() > 0);
    }
}

/// A listing that begins after a creation or deletion sees it.
pub async fn a_listing_shows_what_was_created_and_deleted_before(under_test: &VaultUnderTest) {
    let vault = &under_test.vault;
    for n in 0..20 {
        vault.create(&format!("log/{n:02}"), "x".into()).await.unwrap();
        assert_eq!(names(vault, "log/", None).await.len(), n + 1);
    }
    for n in 0..20 {
        vault.delete(&format!("log/{n:02}")).await.unwrap();
        assert_eq!(names(vault, "log/", None).await.len(), 19 - n);
    }
}

/// Names come in ascending byte order of the whole name, each once.
pub async fn a_listing_is_in_byte_order(under_test: &VaultUnderTest) {
    let vault = &under_test.vault;
    let mut expected = ORDER.to_vec();
    for name in ORDER {
        vault.create(name, "x".into()).await.unwrap();
    }
    expected.sort_unstable();
    assert_eq!(names(vault, "", None).await, expected);
}

/// Names that a walk by folders would put in another order.
const ORDER: [&str; 14] =
    ["b", "a/b", "a-b", "a.b", "a0", "a/b-c", "a/c/d", "a/c-d", "a/c.d", "A", "a+", "ab/c", "a/b0", "Z/z"];

/// A prefix is plain text: it may end in the middle of a segment.
pub async fn a_prefix_need_not_end_at_a_folder(under_test: &VaultUnderTest) {
    let vault = &under_test.vault;
    for name in ["jobs/10/a", "jobs/11/a", "jobs/2/a", "jobs/1x", "job", "keys/1"] {
        vault.create(name, "x".into()).await.unwrap();
    }
    assert_eq!(names(vault, "jobs/1", None).await, ["jobs/10/a", "jobs/11/a", "jobs/1x"]);
    assert_eq!(names(vault, "job", None).await, ["job", "jobs/10/a", "jobs/11/a", "jobs/1x", "jobs/2/a"]);
    assert_eq!(names(vault, "jobs/10/", None).await, ["jobs/10/a"]);
    assert_eq!(names(vault, "jobs/10", None).await, ["jobs/10/a"]);
    assert_eq!(names(vault, "keys/1", None).await, ["keys/1"]);
}

/// A prefix that no name has, or that no name can have, lists nothing.
pub async fn an_empty_space_lists_nothing(under_test: &VaultUnderTest) {
    let vault = &under_test.vault;
    for prefix in ["", "jobs/", "jobs"] {
        assert!(list(vault, prefix, None).await.is_empty());
    }
    vault.create("jobs/1", "x".into()).await.unwrap();
    for prefix in ["jobs/2", "jobs/1/", "jobs//", "/", "../", "./", "jobs/../jobs/", "z"] {
        assert!(list(vault, prefix, None).await.is_empty(), "{prefix:?}");
    }
}

/// `start_after` may be any text: a name, the prefix of one, something between two, or out of range.
pub async fn a_listing_starts_after_any_name(under_test: &VaultUnderTest) {
    let vault = &under_test.vault;
    let all = ["a/1", "a/2/x", "a/2/y", "a/3", "b-c", "b/1", "b0"];
    for name in all {
        vault.create(name, "x".into()).await.unwrap();
    }
    for after in
        ["", "a", "a/", "a/1", "a/10", "a/2", "a/2/", "a/2/x", "a/2/zz", "a/3", "b", "b-", "b/", "b/1", "b0", "c"]
    {
        let expected: Vec<_> = all.into_iter().filter(|name| *name > after).collect();
        assert_eq!(names(vault, "", Some(after)).await, expected, "all after {after:?}");
        let expected: Vec<_> = expected.into_iter().filter(|name| name.starts_with("a/")).collect();
        assert_eq!(names(vault, "a/", Some(after)).await, expected, "those under a/ after {after:?}");
    }
}

/// A listing does not end where the store's answer does.
pub async fn a_listing_is_longer_than_a_page(under_test: &VaultUnderTest) {
    let vault = &under_test.vault;
    let expected: Vec<_> = (0..1_201).map(|n| format!("many/{:02}/{n:04}", n / 100)).collect();
    let created = stream::iter(expected.clone()).map(|name| async move { vault.create(&name, "x".into()).await });
    created.buffer_unordered(16).try_collect::<()>().await.unwrap();
    assert_eq!(names(vault, "many/", None).await, expected);
    assert_eq!(names(vault, "many/", Some("many/00/0099")).await, expected[100..]);
}

/// Deleting succeeds whether or not there was a blob, and frees the name.
pub async fn delete_is_idempotent(under_test: &VaultUnderTest) {
    let vault = &under_test.vault;
    vault.delete("a/b").await.unwrap();
    vault.create("a/b", "first".into()).await.unwrap();
    vault.delete("a/b").await.unwrap();
    vault.delete("a/b").await.unwrap();
    assert_not_found("a/b", vault.read("a/b", None).await);
    assert!(names(vault, "", None).await.is_empty());
    vault.create("a/b", "second".into()).await.unwrap();
    assert_eq!(vault.read("a/b", None).await.unwrap(), "second");
}

/// What is not a name ends in `InvalidInput`, in every call.
pub async fn bad_names_are_refused(under_test: &VaultUnderTest) {
    let vault = &under_test.vault;
    for name in ["", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "../a", "a/.", "./a", "a\0b", "a\nb", "a\x7f", "é"]
    {
        assert_invalid(name, vault.create(name, "x".into()).await);
        assert_invalid(name, vault.read(name, None).await);
        assert_invalid(name, vault.stat(name).await);
        assert_invalid(name, vault.delete(name).await);
    }
    assert!(names(vault, "", None).await.is_empty());
}

/// Printable ASCII is kept as it is; names that look encoded are not decoded.
///
/// A backslash is left out: SeaweedFS and Azure turn it into a slash.
pub async fn odd_names_are_kept_exactly(under_test: &VaultUnderTest) {
    let vault = &under_test.vault;
    let mut odd = vec![
        "a b",
        "a+b",
        "a%20b",
        "a%2520b",
        "a%2Fb",
        "q?a=b&c",
        "h#x",
        "t~1",
        "p|q",
        "s*",
        "b[1]{2}",
        "c^d",
        "l<r>",
        "u\"v'w`",
        "semi;colon:at@eq=com,dol$ex!(p)",
        "...",
        ".hidden",
        "a..b",
        "-rf",
        " lead",
        "trail ",
        "A",
        "_",
    ];
    for name in &odd {
        vault.create(&format!("odd/{name}"), name.to_string().into()).await.unwrap();
    }
    for name in &odd {
        assert_eq!(vault.read(&format!("odd/{name}"), None).await.unwrap(), *name);
        assert_eq!(vault.stat(&format!("odd/{name}")).await.unwrap().name, format!("odd/{name}"));
    }
    odd.sort_unstable();
    let listed = names(vault, "odd/", None).await;
    assert_eq!(listed.iter().map(|name| &name["odd/".len()..]).collect::<Vec<_>>(), odd);
}

/// While a blob is being created, readers see all of it or none.
pub async fn a_reader_never_sees_a_part(under_test: &VaultUnderTest) {
    let (vault, bytes) = (&under_test.vault, noise(5, 8 << 20));
    let creation = tokio::spawn({
        let (vault, bytes) = (Arc::clone(vault), bytes.clone());
        async move { vault.create("growing", bytes).await }
    });
    while !creation.is_finished() {
        match vault.read("growing", None).await {
            Ok(read) => assert!(read == bytes, "{} bytes were seen of {}", read.len(), bytes.len()),
            Err(Error::BlobNotFound { .. }) => {}
            Err(other) => panic!("{other:?}"),
        }
        assert!(list(vault, "", None).await.iter().all(|blob| blob.name == "growing" && blob.size == 8 << 20));
    }
    creation.await.unwrap().unwrap();
    assert!(vault.read("growing", None).await.unwrap() == bytes);
}

/// A creation that is dropped at any moment leaves the blob whole or absent, and the name usable.
pub async fn a_dropped_creation_leaves_a_whole_blob_or_none(under_test: &VaultUnderTest) {
    let (vault, bytes) = (&under_test.vault, noise(6, 4 << 20));
    for (n, micros) in [0, 50, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000].into_iter().enumerate() {
        let name = format!("dropped/{n}");
        let creation = vault.create(&name, bytes.clone());
        drop(tokio::time::timeout(Duration::from_micros(micros), creation).await);
        match vault.read(&name, None).await {
            Ok(read) => assert!(read == bytes, "{} bytes were left of {}", read.len(), bytes.len()),
            Err(Error::BlobNotFound { .. }) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    // What was dropped may still be on its way; it must not surface in part.
    tokio::time::sleep(Duration::from_millis(300)).await;
    for blob in list(vault, "", None).await {
        assert_eq!(blob.size, 4 << 20, "{}", blob.name);
    }
}

async fn list(vault: &Arc<dyn Vault>, prefix: &str, start_after: Option<&str>) -> Vec<BlobInfo> {
    vault.list(prefix, start_after).try_collect().await.unwrap()
}

async fn names(vault: &Arc<dyn Vault>, prefix: &str, start_after: Option<&str>) -> Vec<String> {
    list(vault, prefix, start_after).await.into_iter().map(|blob| blob.name).collect()
}

fn part(bytes: &Bytes, range: Range<u64>) -> Bytes {
    let index = |at| usize::try_from(at).expect("tests stay far below 4 GiB");
    bytes.slice(index(range.start)..index(range.end))
}

#[track_caller]
fn assert_exists(outcome: Result<(), Error>) {
    assert!(matches!(outcome, Err(Error::BlobExists { .. })), "{outcome:?}");
}

#[track_caller]
fn assert_not_found<T: std::fmt::Debug>(name: &str, outcome: Result<T, Error>) {
    assert!(matches!(&outcome, Err(Error::BlobNotFound { name: told, .. }) if told == name), "{name}: {outcome:?}");
}

#[track_caller]
fn assert_damaged(outcome: Result<Bytes, Error>) {
    assert!(matches!(outcome, Err(Error::BlobDamaged { .. })), "{outcome:?}");
}

#[track_caller]
fn assert_invalid<T: std::fmt::Debug>(name: &str, outcome: Result<T, Error>) {
    assert!(matches!(outcome, Err(Error::InvalidInput { .. })), "{name:?}: {outcome:?}");
}
