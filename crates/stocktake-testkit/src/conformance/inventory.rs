//! The promises of [`InventoryReader`].

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex};

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use stocktake_core::{
    BATCH_ROWS, BytesColumn, Entry, EntryBatch, Error, Inventory, InventoryInfo, InventoryReader, KeyFilter, Location,
};

/// Makes a test of each promise of an inventory reader.
///
/// Takes an expression that gives an
/// [`InventoryUnderTest`](crate::conformance::InventoryUnderTest); it is evaluated
/// in each test and may await.
#[macro_export]
macro_rules! inventory_conformance {
    ($factory:expr) => {
        $crate::conformance_tests! { inventory, InventoryUnderTest, $factory, [
            inventories_come_newest_first,
            the_current_objects_are_read_each_once,
            every_version_is_read_each_once,
            the_latest_live_versions_are_the_current_objects,
            delete_markers_have_neither_bytes_nor_tags,
            batches_are_bounded_and_not_empty,
            a_part_reads_again_the_same,
            wanted_keys_are_read_and_no_others,
            parts_are_read_at_once,
            a_dropped_stream_leaves_the_inventory_readable,
            an_opened_inventory_is_the_one_asked_for,
            an_unknown_inventory_is_not_found,
            a_discarded_inventory_is_gone,
        ] }
    };
}

/// A reader, what its newest inventory holds, and what must live as long as it does.
pub struct InventoryUnderTest {
    /// The reader. It has at least one inventory, and its newest is ready.
    pub reader: Arc<dyn InventoryReader>,
    /// The current objects of its newest inventory, by key.
    pub expected: Vec<Entry>,
    /// All versions in its newest inventory, by key and version id.
    pub expected_versions: Vec<Entry>,
    guard: Vec<Box<dyn Any + Send + Sync>>,
}

impl InventoryUnderTest {
    /// A reader whose newest inventory holds exactly `expected`, in any order, and no other versions.
    pub fn new(reader: impl InventoryReader, mut expected: Vec<Entry>) -> Self {
        sort(&mut expected);
        Self { reader: Arc::new(reader), expected_versions: expected.clone(), expected, guard: Vec::new() }
    }

    /// The same reader, whose newest inventory holds exactly these versions, the current objects among them.
    #[must_use]
    pub fn with_versions(mut self, mut versions: Vec<Entry>) -> Self {
        sort(&mut versions);
        self.expected_versions = versions;
        self
    }

    /// The same reader; `guard`, such as a temporary folder, is dropped after it.
    #[must_use]
    pub fn holding(mut self, guard: impl Any + Send + Sync) -> Self {
        self.guard.push(Box::new(guard));
        self
    }

    async fn newest(&self) -> InventoryInfo {
        self.reader.inventories().await.unwrap().swap_remove(0)
    }

    async fn open(&self) -> Arc<dyn Inventory> {
        self.reader.open(&self.newest().await).await.unwrap()
    }
}

impl fmt::Debug for InventoryUnderTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InventoryUnderTest").field("reader", &self.reader).finish_non_exhaustive()
    }
}

/// The current objects of all parts, by key.
pub async fn read_all(inventory: &dyn Inventory) -> stocktake_core::Result<Vec<Entry>> {
    gather(inventory.parts(), |part| inventory.read(part)).await
}

/// All versions of all parts, by key and version id.
pub async fn read_all_versions(inventory: &dyn Inventory) -> stocktake_core::Result<Vec<Entry>> {
    gather(inventory.parts(), |part| inventory.read_versions(part)).await
}

async fn gather(
    parts: usize,
    read: impl Fn(usize) -> BoxStream<'static, stocktake_core::Result<EntryBatch>>,
) -> stocktake_core::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for part in 0..parts {
        let batches: Vec<EntryBatch> = read(part).try_collect().await?;
        entries.extend(batches.iter().flat_map(|batch| batch.iter().map(|entry| entry.to_entry()).collect::<Vec<_>>()));
    }
    sort(&mut entries);
    Ok(entries)
}

fn sort(entries: &mut [Entry]) {
    entries.sort_by(|a, b| (&a.key, &a.version).cmp(&(&b.key, &b.version)));
}

/// The list is sorted by scan start, the newest first; the newest is ready.
pub async fn inventories_come_newest_first(under_test: &InventoryUnderTest) {
    let found = under_test.reader.inventories().await.unwrap();
    assert!(found.is_sorted_by(|a, b| a.created >= b.created), "{found:?}");
    assert_eq!(found[0].not_ready, None);
}

/// Every current object is read, no other, and each once.
pub async fn the_current_objects_are_read_each_once(under_test: &InventoryUnderTest) {
    let entries = read_all(&*under_test.open().await).await.unwrap();
    assert_eq!(entries.len(), under_test.expected.len());
    for (entry, expected) in entries.iter().zip(&under_test.expected) {
        assert_eq!(entry, expected);
    }
}

/// Every version and every delete marker is read, and each once; a second time the same, where that is promised.
pub async fn every_version_is_read_each_once(under_test: &InventoryUnderTest) {
    let inventory = under_test.open().await;
    for _ in 0..if inventory.info().repeatable { 2 } else { 1 } {
        let versions = read_all_versions(&*inventory).await.unwrap();
        assert_eq!(versions.len(), under_test.expected_versions.len());
        for (version, expected) in versions.iter().zip(&under_test.expected_versions) {
            assert_eq!(version, expected);
        }
    }
}

/// Of all versions, those that are the latest and no delete markers are what a reading of current objects gives.
pub async fn the_latest_live_versions_are_the_current_objects(under_test: &InventoryUnderTest) {
    let mut versions = read_all_versions(&*under_test.open().await).await.unwrap();
    versions.retain(|version| version.flags.is_latest() && !version.flags.is_delete_marker());
    assert_eq!(versions, read_all(&*under_test.open().await).await.unwrap());
}

/// A delete marker has size 0 and no ETag, whatever the report has in its row.
pub async fn delete_markers_have_neither_bytes_nor_tags(under_test: &InventoryUnderTest) {
    let versions = read_all_versions(&*under_test.open().await).await.unwrap();
    for marker in versions.iter().filter(|version| version.flags.is_delete_marker()) {
        assert_eq!((marker.size, &marker.etag), (0, &None), "{marker:?}");
    }
}

/// No batch is empty, and none holds more than a few times the usual number of rows.
pub async fn batches_are_bounded_and_not_empty(under_test: &InventoryUnderTest) {
    let inventory = under_test.open().await;
    for part in 0..inventory.parts() {
        let lengths: Vec<_> = inventory.read(part).map_ok(|batch| batch.len()).try_collect().await.unwrap();
        assert!(lengths.iter().all(|length| (1..=4 * BATCH_ROWS).contains(length)), "{lengths:?}");
    }
}

/// Parts that are said to be repeatable yield the same entries a second time.
pub async fn a_part_reads_again_the_same(under_test: &InventoryUnderTest) {
    let inventory = under_test.open().await;
    if inventory.info().repeatable {
        let first = read_all(&*inventory).await.unwrap();
        assert_eq!(read_all(&*inventory).await.unwrap(), first);
    }
}

/// A filter is asked about every key once, and decides which entries come.
pub async fn wanted_keys_are_read_and_no_others(under_test: &InventoryUnderTest) {
    let inventory = under_test.open().await;
    if !inventory.info().repeatable {
        return;
    }
    let asked = Arc::new(Mutex::new(Vec::new()));
    let is_wanted = |key: &[u8]| key.iter().map(|byte| u32::from(*byte)).sum::<u32>().is_multiple_of(3);
    let mut found = Vec::new();
    for part in 0..inventory.parts() {
        let asked = Arc::clone(&asked);
        let wanted: KeyFilter = Arc::new(move |keys: &BytesColumn| {
            asked.lock().unwrap().extend(keys.iter().map(<[u8]>::to_vec));
            keys.iter().map(is_wanted).collect()
        });
        let batches: Vec<_> = inventory.read_wanted(part, wanted).try_collect().await.unwrap();
        assert!(batches.iter().all(|batch| !batch.is_empty()));
        found.extend(batches.iter().flat_map(|batch| batch.iter().map(|entry| entry.to_entry())));
    }
    found.sort_by(|a, b| a.key.cmp(&b.key));
    let expected = under_test.expected.iter().filter(|entry| is_wanted(entry.key.as_bytes()));
    assert_eq!(found.iter().collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    let mut asked = asked.lock().unwrap().clone();
    asked.sort();
    let keys = under_test.expected.iter().map(|entry| entry.key.as_bytes());
    assert!(asked.iter().map(Vec::as_slice).eq(keys), "each key is asked about once");
}

/// All parts may be read at the same time, also each by two readers.
pub async fn parts_are_read_at_once(under_test: &InventoryUnderTest) {
    let inventory = under_test.open().await;
    let readers = (0..inventory.parts()).chain(0..inventory.parts()).map(|part| {
        let inventory = Arc::clone(&inventory);
        tokio::spawn(async move {
            let batches: Vec<EntryBatch> = inventory.read(part).try_collect().await.unwrap();
            batches.iter().map(EntryBatch::len).sum::<usize>()
        })
    });
    let rows = futures::future::try_join_all(readers.collect::<Vec<_>>()).await.unwrap();
    assert_eq!(rows.iter().sum::<usize>(), 2 * under_test.expected.len());
}

/// A stream may be dropped before or within its first batch.
pub async fn a_dropped_stream_leaves_the_inventory_readable(under_test: &InventoryUnderTest) {
    let inventory = under_test.open().await;
    for part in 0..inventory.parts() {
        drop(inventory.read(part));
        drop(inventory.read(part).next().await);
    }
    assert_eq!(read_all(&*inventory).await.unwrap().len(), under_test.expected.len());
}

/// What is opened says of itself what the list said; a listing may be of a later time.
pub async fn an_opened_inventory_is_the_one_asked_for(under_test: &InventoryUnderTest) {
    let newest = under_test.newest().await;
    let opened = under_test.reader.open(&newest).await.unwrap();
    let opened = opened.info();
    assert_eq!((&opened.location, &opened.bucket, opened.format), (&newest.location, &newest.bucket, newest.format));
    assert!(opened.created >= newest.created && (opened.created == newest.created || !newest.repeatable));
}

/// An inventory of another place is not found.
pub async fn an_unknown_inventory_is_not_found(under_test: &InventoryUnderTest) {
    let elsewhere = Location::new("nowhere://else/2020-01-01T00-00Z/manifest.json");
    let unknown = InventoryInfo { location: elsewhere, ..under_test.newest().await };
    let outcome = under_test.reader.open(&unknown).await;
    assert!(matches!(outcome, Err(Error::InventoryNotFound { .. })), "{outcome:?}");
}

/// After its removal an inventory is not listed and not found, unless there was nothing to remove.
pub async fn a_discarded_inventory_is_gone(under_test: &InventoryUnderTest) {
    let newest = under_test.newest().await;
    match under_test.reader.discard(&newest).await {
        Err(Error::InvalidInput { .. }) => {
            under_test.reader.open(&newest).await.unwrap();
        }
        outcome => {
            outcome.unwrap();
            let left = under_test.reader.inventories().await.unwrap();
            assert!(left.iter().all(|info| info.location != newest.location), "{left:?}");
            let opened = under_test.reader.open(&newest).await;
            assert!(matches!(opened, Err(Error::InventoryNotFound { .. })), "{opened:?}");
        }
    }
}
