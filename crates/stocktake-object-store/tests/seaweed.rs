//! The contracts of the core, kept over a real S3 server, and what failures on the wire mean.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use stocktake_core::{
    Entry, Error, InventoryReader, ObjectKey, ObjectRead, Result, Source, SystemClock, Target, Timestamp, Vault, Wanted,
};
use stocktake_object_store::{OpenStore, StoreSettings, StoreUrl};
use stocktake_testkit::conformance::{BucketUnderTest, InventoryUnderTest, noise};
use stocktake_testkit::proxy::{FaultRule, Proxy, RequestKind, WireFault};
use stocktake_testkit::seaweed::Seaweed;

fn open(endpoint: &str, bucket: &str, prefix: &str) -> OpenStore {
    let server = Seaweed::shared();
    let settings = StoreSettings::default().with_endpoint(endpoint).with_http_allowed();
    let settings = settings.with_keys(server.access_key(), server.secret_key());
    let url = StoreUrl::parse(&format!("s3://{bucket}/{prefix}")).unwrap().unwrap();
    OpenStore::open(&url, &settings).unwrap()
}

fn fresh(prefix: &str) -> OpenStore {
    let server = Seaweed::shared();
    open(&server.endpoint(), &server.new_bucket(), prefix)
}

fn bucket() -> BucketUnderTest {
    let store = fresh("");
    BucketUnderTest::new(store.source(), store.target())
}

async fn listing() -> InventoryUnderTest {
    let store = fresh("photos");
    let bucket = BucketUnderTest::new(store.source(), store.without_prefix().target());
    let mut expected = Vec::new();
    for key in ["photos/a-b", "photos/a/b", "photos/a0", "photos/ü + %20", "photos2", "b"] {
        let entry = bucket.put(key, key).await.unwrap().with_class("STANDARD");
        expected.extend(key.starts_with("photos/").then_some(entry));
    }
    InventoryUnderTest::new(store.listing(Arc::new(SystemClock)), expected)
}

mod vault_contract {
    stocktake_testkit::vault_conformance!(super::fresh("in/here").vault());
}

mod source_contract {
    stocktake_testkit::source_conformance!(super::bucket());
}

mod target_contract {
    stocktake_testkit::target_conformance!(super::bucket());
}

mod listing_contract {
    stocktake_testkit::inventory_conformance!(super::listing().await);
}

/// A bucket behind a proxy, and the same bucket without.
struct Spoilt {
    proxy: Proxy,
    bucket: String,
    store: OpenStore,
    clean: BucketUnderTest,
}

impl Spoilt {
    fn new() -> Self {
        let server = Seaweed::shared();
        let (proxy, bucket) = (Proxy::start(&server.endpoint()), server.new_bucket());
        let store = open(&proxy.endpoint(), &bucket, "");
        let direct = open(&server.endpoint(), &bucket, "");
        Self { proxy, bucket, store, clean: BucketUnderTest::new(direct.source(), direct.target()) }
    }

    async fn read(&self, entry: &Entry) -> Result<Bytes> {
        collect(self.store.source().read(Wanted::Exactly(entry), None).await?).await
    }

    fn count(&self, kind: RequestKind) -> u64 {
        self.proxy.count(&self.bucket, kind)
    }
}

async fn collect(read: ObjectRead) -> Result<Bytes> {
    Ok(read.body.try_collect::<Vec<_>>().await?.concat().into())
}

fn status(status: u16, code: &'static str) -> FaultRule {
    FaultRule::new(WireFault::Status(status, code))
}

#[tokio::test]
async fn a_read_is_one_get_and_nothing_else() {
    let spoilt = Spoilt::new();
    let entry = spoilt.clean.put("a b/ü+%20", noise(1, 3 << 20)).await.unwrap();
    assert_eq!(spoilt.read(&entry).await.unwrap(), noise(1, 3 << 20));
    let ranged = spoilt.store.source().read(Wanted::Exactly(&entry), Some(7..9)).await.unwrap();
    assert_eq!(collect(ranged).await.unwrap(), noise(1, 3 << 20)[7..9]);
    assert_eq!(spoilt.proxy.counts(&spoilt.bucket), [(RequestKind::Get, 2)].into());
}

#[tokio::test]
async fn what_a_store_says_becomes_what_a_caller_can_act_on() {
    let spoilt = Spoilt::new();
    let entry = spoilt.clean.put("object", "bytes").await.unwrap();
    let cases = [
        (status(404, "NoSuchKey"), "object_not_found"),
        (status(404, "NoSuchBucket"), "source_not_found"),
        (status(412, "PreconditionFailed"), "object_changed"),
        (status(403, "AccessDenied"), "access_denied"),
        (status(403, "InvalidObjectState"), "object_archived"),
        (status(503, "SlowDown"), "unavailable"),
        (status(500, "InternalError"), "unavailable"),
        (status(429, "TooManyRequests"), "unavailable"),
        (status(400, "InvalidArgument"), "store_error"),
        (FaultRule::new(WireFault::Lost), "unavailable"),
    ];
    for (rule, code) in cases {
        spoilt.proxy.inject(rule.clone());
        let error = spoilt.read(&entry).await.unwrap_err();
        assert_eq!(error.code(), code, "{rule:?}: {error:?}");
        assert_eq!(error.is_retryable(), code == "unavailable");
        spoilt.proxy.clear_faults();
    }
    assert_eq!(spoilt.read(&entry).await.unwrap(), "bytes");
}

#[tokio::test]
async fn a_slow_down_that_passes_is_not_seen_by_the_caller() {
    let spoilt = Spoilt::new();
    let entry = spoilt.clean.put("object", "bytes").await.unwrap();
    spoilt.proxy.inject(status(503, "SlowDown").times(2));
    assert_eq!(spoilt.read(&entry).await.unwrap(), "bytes");
    assert_eq!(spoilt.count(RequestKind::Get), 3);
}

#[tokio::test]
async fn a_body_that_is_cut_short_is_continued_or_ends_in_an_error() {
    let spoilt = Spoilt::new();
    let bytes = noise(2, 2 << 20);
    let entry = spoilt.clean.put("object", bytes.clone()).await.unwrap();
    spoilt.proxy.inject(FaultRule::new(WireFault::CutShort(1 << 20)).times(1));
    assert!(spoilt.read(&entry).await.unwrap() == bytes);
    spoilt.proxy.inject(FaultRule::new(WireFault::CutShort(1000)));
    let error = spoilt.read(&entry).await.unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
}

#[tokio::test]
async fn an_object_replaced_while_its_rest_is_asked_for_again_is_not_mixed() {
    let spoilt = Spoilt::new();
    let entry = spoilt.clean.put("object", noise(3, 2 << 20)).await.unwrap();
    spoilt.proxy.inject(FaultRule::new(WireFault::CutShort(1 << 20)).times(1));
    let read = spoilt.store.source().read(Wanted::Exactly(&entry), None).await.unwrap();
    spoilt.clean.put("object", noise(4, 2 << 20)).await.unwrap();
    let error = collect(read).await.unwrap_err();
    assert!(matches!(error, Error::ObjectChanged { .. } | Error::Unavailable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_creation_whose_answer_is_lost_is_told_and_can_be_looked_up() {
    let spoilt = Spoilt::new();
    let vault = spoilt.store.vault();
    spoilt.proxy.inject(FaultRule::new(WireFault::AnswerLost).of(RequestKind::Put).times(1));
    let outcome = vault.create("slots/1", "mine".into()).await;
    assert!(matches!(outcome, Err(Error::BlobExists { .. } | Error::Unavailable { .. })), "{outcome:?}");
    assert_eq!(vault.read("slots/1", None).await.unwrap(), "mine");
}

#[tokio::test]
async fn a_conflict_of_conditional_puts_decides_nothing() {
    let spoilt = Spoilt::new();
    spoilt.proxy.inject(status(409, "ConditionalRequestConflict").of(RequestKind::Put));
    let outcome = spoilt.store.vault().create("slots/1", "mine".into()).await;
    assert!(matches!(outcome, Err(Error::Unavailable { .. })), "{outcome:?}");
}

#[tokio::test]
async fn a_failed_upload_is_given_back_to_the_store() {
    let spoilt = Spoilt::new();
    let broken = BucketUnderTest::new(spoilt.store.source(), spoilt.store.target());
    spoilt.proxy.inject(status(403, "AccessDenied").of(RequestKind::Put).path_contains("partNumber=2"));
    let outcome = broken.put("object", noise(5, 30 << 20)).await;
    assert!(matches!(outcome, Err(Error::AccessDenied { .. })), "{outcome:?}");
    assert_eq!(spoilt.count(RequestKind::Delete), 1);
    assert_eq!(spoilt.store.target().stat(&"object".into()).await.unwrap(), None);
}

#[tokio::test]
async fn a_vault_probes_its_store() {
    let vault = fresh("in/here").vault();
    vault.probe().await.unwrap();
    assert!(vault.list("", None).try_collect::<Vec<_>>().await.unwrap().is_empty());
}

#[tokio::test]
async fn wrong_credentials_and_missing_buckets_have_names() {
    let server = Seaweed::shared();
    let url = StoreUrl::parse(&format!("s3://{}", server.new_bucket())).unwrap().unwrap();
    let settings = StoreSettings::default().with_endpoint(server.endpoint()).with_http_allowed();
    let wrong = OpenStore::open(&url, &settings.with_keys(server.access_key(), "wrong")).unwrap();
    assert!(matches!(wrong.vault().read("a", None).await, Err(Error::AccessDenied { .. })));
    let missing = open(&server.endpoint(), "missing-bucket", "");
    let key = ObjectKey::from("a");
    let outcome = missing.source().read(Wanted::Current(&key), None).await;
    assert!(matches!(outcome, Err(Error::LocationNotFound { .. })), "{outcome:?}");
    let listed = missing.vault().list("", None).try_collect::<Vec<_>>().await;
    assert!(matches!(listed, Err(Error::LocationNotFound { .. })), "{listed:?}");
}

#[tokio::test]
async fn a_listing_shows_what_the_source_reads() {
    let store = fresh("photos");
    let bucket = BucketUnderTest::new(store.source(), store.without_prefix().target());
    for key in ["photos/ 1+%20&<ü> ", "photos/2", "photos2", "other/3"] {
        bucket.put(key, key.to_owned()).await.unwrap();
    }
    let listing = store.listing(Arc::new(SystemClock));
    let info = listing.inventories().await.unwrap().remove(0);
    assert!(info.created > Timestamp::default() && info.bucket == store.url().bucket());
    let entries = entries(&store).await.unwrap();
    assert_eq!(shown(&entries), ["photos/ 1+%20&<ü> ", "photos/2"]);
    for entry in entries {
        let read = bucket.source.read(Wanted::Exactly(&entry), None).await.unwrap();
        assert_eq!(collect(read).await.unwrap(), entry.key.as_bytes());
        assert_eq!(entry.class, "STANDARD");
    }
}

#[tokio::test]
async fn a_listing_goes_on_over_pages_and_troubles() {
    let spoilt = Spoilt::new();
    let names: Vec<_> = (0..1_100).map(|n| format!("a b/{n:04}")).collect();
    for chunk in names.chunks(50) {
        let puts = chunk.iter().map(|name| spoilt.clean.put(name, "x"));
        futures::future::try_join_all(puts).await.unwrap();
    }
    spoilt.proxy.inject(status(503, "SlowDown").of(RequestKind::List).after(1).times(1));
    assert_eq!(shown(&entries(&spoilt.store).await.unwrap()), names);
    assert_eq!(spoilt.count(RequestKind::List), 3);
}

#[tokio::test]
async fn a_listing_that_is_refused_or_cut_ends_in_an_error() {
    let spoilt = Spoilt::new();
    spoilt.clean.put("a", "x").await.unwrap();
    spoilt.proxy.inject(FaultRule::new(WireFault::CutShort(100)).of(RequestKind::List));
    let cut = entries(&spoilt.store).await.unwrap_err();
    assert!(cut.is_retryable(), "{cut:?}");
    spoilt.proxy.clear_faults();
    spoilt.proxy.inject(status(403, "AccessDenied").of(RequestKind::List));
    let refused = entries(&spoilt.store).await.unwrap_err();
    assert!(matches!(refused, Error::AccessDenied { .. }), "{refused:?}");
}

async fn entries(store: &OpenStore) -> Result<Vec<Entry>> {
    let listing = store.listing(Arc::new(SystemClock));
    let inventory = listing.open(&listing.inventories().await?[0]).await?;
    let batches: Vec<_> = inventory.read(0).try_collect().await?;
    Ok(batches.iter().flat_map(|batch| batch.iter().map(|entry| entry.to_entry())).collect())
}

fn shown(entries: &[Entry]) -> Vec<String> {
    entries.iter().map(|entry| entry.key.to_string()).collect()
}

/// Some thousand keys: flat ones, folders of many and of few, and names that stores order differently.
fn spread_keys() -> Vec<String> {
    let name = |number: usize| match number % 8 {
        0 => format!("flat-{number:05}.bin"),
        1 => format!("logs/2026-03-{:02}/{number:05}.gz", number / 8 % 28),
        2 => format!("logs-old/{number:05}"),
        3 => format!("logs.bak/ü/{:03}/{number}", number % 200),
        // The folder that is cut while it is listed.
        _ => format!("users/{:08x}/a b+%20.png", number.wrapping_mul(0x9e37_79b9) as u32),
    };
    (0..12_000).map(name).collect()
}

async fn put_all(bucket: &BucketUnderTest, keys: &[String]) {
    for chunk in keys.chunks(50) {
        futures::future::try_join_all(chunk.iter().map(|key| bucket.put(key.as_str(), "x"))).await.unwrap();
    }
}

async fn keys_and_count(store: &OpenStore, concurrency: usize) -> Result<(Vec<String>, u64)> {
    let listing = store.listing(Arc::new(SystemClock)).with_concurrency(concurrency);
    let inventory = listing.open(&listing.inventories().await?[0]).await?;
    let batches: Vec<_> = inventory.read(0).try_collect().await?;
    let keys = batches.iter().flat_map(|batch| batch.iter().map(|entry| entry.to_entry().key.to_string()));
    let mut keys: Vec<_> = keys.collect();
    keys.sort();
    Ok((keys, inventory.source_lists()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listing_in_parts_shows_each_key_once_counts_its_requests_and_fails_as_a_whole() {
    let spoilt = Spoilt::new();
    let mut keys = spread_keys();
    put_all(&spoilt.clean, &keys).await;
    keys.sort();
    for concurrency in [1, 3, 16] {
        spoilt.proxy.reset_counts();
        spoilt.proxy.inject(status(503, "SlowDown").of(RequestKind::List).after(4).times(3));
        let (found, lists) = keys_and_count(&spoilt.store, concurrency).await.unwrap();
        assert_eq!(found, keys);
        assert_eq!(spoilt.proxy.counts(&spoilt.bucket), [(RequestKind::List, lists)].into());
        assert!(lists < 80, "{lists} requests for 12 pages, by {concurrency} at once");
        spoilt.proxy.clear_faults();
    }
    for after in 0..8 {
        spoilt.proxy.inject(status(403, "AccessDenied").of(RequestKind::List).after(after).times(1));
        let refused = keys_and_count(&spoilt.store, 16).await.unwrap_err();
        assert!(matches!(refused, Error::AccessDenied { .. }), "{refused:?}");
        spoilt.proxy.clear_faults();
    }
}
