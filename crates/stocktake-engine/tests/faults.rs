//! Sources that misbehave: what the snapshot then holds, and what the job says.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt};
use stocktake_core::{
    Content, Entry, EntryFlags, Inventory, InventoryFormat, InventoryInfo, InventoryReader, InventoryVersions,
    Location, ObjectRead, Provenance, Result, Row, Source, Wanted,
};
use stocktake_engine::{BackupMode, JobStatus, OnArchived, OnChanged};
use stocktake_testkit::wrappers::{FaultySource, SourceFault};
use support::{World, noise};

/// A list of entries that need not be true.
#[derive(Clone, Debug)]
struct Claims(InventoryInfo, Vec<Entry>);

impl fmt::Display for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("claims")
    }
}

#[async_trait]
impl InventoryReader for Claims {
    async fn inventories(&self) -> Result<Vec<InventoryInfo>> {
        Ok(vec![self.0.clone()])
    }

    async fn open(&self, _: &InventoryInfo) -> Result<Arc<dyn Inventory>> {
        Ok(Arc::new(self.clone()))
    }

    async fn discard(&self, _: &InventoryInfo) -> Result<()> {
        Ok(())
    }
}

impl Inventory for Claims {
    fn info(&self) -> &InventoryInfo {
        &self.0
    }

    fn parts(&self) -> usize {
        1
    }

    fn read(&self, _: usize) -> futures::stream::BoxStream<'static, Result<stocktake_core::EntryBatch>> {
        futures::stream::iter([stocktake_core::EntryBatch::try_from(&self.1[..])]).boxed()
    }

    fn read_wanted(
        &self,
        part: usize,
        wanted: stocktake_core::KeyFilter,
    ) -> futures::stream::BoxStream<'static, Result<stocktake_core::EntryBatch>> {
        stocktake_core::keep_wanted(self.read(part), wanted)
    }

    fn read_versions(&self, part: usize) -> futures::stream::BoxStream<'static, Result<stocktake_core::EntryBatch>> {
        self.read(part)
    }

    fn source_lists(&self) -> u64 {
        0
    }
}

/// The entries of the bucket as they are now, as an inventory of later.
fn claims(world: &World) -> Claims {
    let info = InventoryInfo {
        bucket: "photos".into(),
        ..InventoryInfo::new(
            Location::new("claims"),
            InventoryFormat::Listing,
            stocktake_core::Clock::now(&*support::clock()),
        )
    };
    Claims(info, world.bucket.entries())
}

/// How often a fault befalls the reads of a key.
const ALWAYS: usize = usize::MAX;

async fn world_with(faults: &[(&str, usize, SourceFault)]) -> World {
    let mut world = World::new().await;
    for (n, key) in ["k/a", "k/b", "k/c"].iter().enumerate() {
        world.bucket.put(*key, noise(n as u64, 3000));
    }
    world.bucket.put("large", noise(9, 20 << 20));
    world.source = Arc::new(faulty(&world, faults));
    world
}

fn faulty(world: &World, faults: &[(&str, usize, SourceFault)]) -> FaultySource {
    let source = FaultySource::new((*world.bucket).clone());
    for (key, times, fault) in faults {
        source.plan().fail_on(key, 0, *times, *fault);
    }
    source
}

async fn row(world: &World, snapshot: stocktake_core::SnapshotId, key: &str) -> Option<Row> {
    let snapshot = world.catalog.open(snapshot).await.unwrap();
    let rows = snapshot.lookup(&[key.as_bytes()].into_iter().collect()).await.unwrap();
    rows.iter().next().map(|row| row.to_row())
}

#[tokio::test]
async fn what_passes_is_repeated_and_taken_up_where_it_broke() {
    let faults = [
        ("k/a", 1, SourceFault::EndEarly(1500)),
        ("k/b", 2, SourceFault::BreakOff(1500)),
        ("k/c", 2, SourceFault::Unavailable),
        ("large", 2, SourceFault::BreakOff(1 << 20)),
    ];
    let world = world_with(&faults).await;
    let report = world.backup().await.unwrap();
    assert_eq!(report.status(), JobStatus::Completed);
    assert!(report.snapshot.summary.counters.retries >= 4);
    assert!(world.restored(report.snapshot.id).await.unwrap() == world.state());
}

#[tokio::test]
async fn an_object_that_is_denied_is_named_and_the_others_are_kept() {
    let world = world_with(&[("k/b", ALWAYS, SourceFault::AccessDenied)]).await;
    let report = world.backup().await.unwrap();
    assert_eq!(report.status(), JobStatus::CompletedWithIssues);
    assert_eq!(report.snapshot.summary.counters.failed.objects, 1);
    assert!(world.observer.take().iter().any(|note| note.contains("ObjectFailed") && note.contains("k/b")));
    assert_eq!(row(&world, report.snapshot.id, "k/b").await, None);
    assert!(row(&world, report.snapshot.id, "k/c").await.is_some());
}

#[tokio::test]
async fn an_object_that_fails_later_keeps_what_the_parent_had_and_is_tried_again() {
    let mut world = world_with(&[]).await;
    let first = world.backup().await.unwrap();
    let before = row(&world, first.snapshot.id, "k/a").await.unwrap();
    world.bucket.put("k/a", noise(77, 2000));
    world.bucket.put("d", "new");
    world.source = Arc::new(faulty(&world, &[("k/a", ALWAYS, SourceFault::AccessDenied)]));
    let second = world.backup().await.unwrap();
    let kept = row(&world, second.snapshot.id, "k/a").await.unwrap();
    assert_eq!(kept, Row { provenance: Provenance::Unreadable, ..before });
    world.source = world.bucket.clone();
    let third = world.backup().await.unwrap();
    assert_eq!(third.changes().changed.objects, 1);
    assert!(world.restored(third.snapshot.id).await.unwrap() == world.state());
}

#[tokio::test]
async fn a_source_that_denies_everything_ends_the_job_and_commits_nothing() {
    let faults = ["k/", "large"].map(|keys| (keys, ALWAYS, SourceFault::AccessDenied));
    let world = world_with(&faults).await;
    assert_eq!(world.backup().await.unwrap_err().code(), "access_denied");
    assert_eq!(world.catalog.snapshots().await.unwrap(), []);
}

#[tokio::test]
async fn an_object_gone_since_the_inventory_is_counted_as_vanished() {
    let mut world = world_with(&[]).await;
    world.inventories = Arc::new(claims(&world));
    world.bucket.remove("k/a");
    let report = world.backup().await.unwrap();
    assert_eq!(report.status(), JobStatus::Completed);
    assert_eq!(report.snapshot.summary.counters.vanished.objects, 1);
    assert_eq!(row(&world, report.snapshot.id, "k/a").await, None);
    assert!(world.restored(report.snapshot.id).await.unwrap() == world.state());
}

#[tokio::test]
async fn an_object_changed_since_the_inventory_is_stored_as_it_is_and_marked() {
    let mut world = world_with(&[]).await;
    world.inventories = Arc::new(claims(&world));
    let newer = world.bucket.put("k/a", noise(50, 4000));
    world.bucket.put("large", noise(51, 18 << 20));
    let report = world.backup().await.unwrap();
    let counters = report.snapshot.summary.counters;
    assert_eq!((counters.newer.objects, counters.copied.objects), (2, 4));
    let stored = row(&world, report.snapshot.id, "k/a").await.unwrap();
    assert_eq!((stored.provenance, stored.entry.etag), (Provenance::Newer, newer.etag));
    assert!(world.restored(report.snapshot.id).await.unwrap() == world.state());
}

#[tokio::test]
async fn a_changed_object_is_skipped_or_failed_by_policy() {
    for (policy, failed) in [(OnChanged::Skip, 0), (OnChanged::Fail, 1)] {
        let mut world = world_with(&[]).await;
        world.inventories = Arc::new(claims(&world));
        world.bucket.put("k/a", noise(50, 4000));
        let mut options = world.options();
        options.copy.on_changed = policy;
        let report = world.backup_with(options).await.unwrap();
        assert_eq!(report.snapshot.summary.counters.failed.objects, failed);
        assert_eq!(row(&world, report.snapshot.id, "k/a").await, None);
    }
}

#[tokio::test]
async fn an_archived_object_is_listed_without_bytes_or_failed_by_policy() {
    for (policy, archived, failed) in [(OnArchived::Skip, 1, 0), (OnArchived::Fail, 0, 1)] {
        let world = world_with(&[("k/b", ALWAYS, SourceFault::Archived)]).await;
        let mut options = world.options();
        options.copy.on_archived = policy;
        let report = world.backup_with(options).await.unwrap();
        let counters = report.snapshot.summary.counters;
        assert_eq!((counters.archived.objects, counters.failed.objects), (archived, failed));
        let provenance = row(&world, report.snapshot.id, "k/b").await.map(|row| row.provenance);
        assert_eq!(provenance, (archived == 1).then_some(Provenance::Archived));
    }
}

/// A source of which the body of one object panics, once, after its first bytes.
#[derive(Debug)]
struct Panics(Arc<dyn Source>, AtomicBool);

impl fmt::Display for Panics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[async_trait]
impl Source for Panics {
    async fn read(&self, wanted: Wanted<'_>, range: Option<Range<u64>>) -> Result<ObjectRead> {
        let mut read = self.0.read(wanted, range).await?;
        if wanted.key().as_bytes() == b"large" && !self.1.swap(true, Relaxed) {
            let panic = futures::stream::once(async { panic!("as a client may") });
            let beginning = read.body.take(1).map_ok(|piece| piece.slice(..1000));
            read.body = beginning.chain(panic).boxed();
        }
        Ok(read)
    }
}

#[tokio::test]
async fn a_large_object_whose_reader_panicked_is_read_again_and_never_cut_short() {
    let mut world = world_with(&[]).await;
    world.source = Arc::new(Panics(world.bucket.clone(), AtomicBool::new(false)));
    let report = world.backup().await.unwrap();
    assert_eq!(report.status(), JobStatus::Completed);
    assert!(world.restored(report.snapshot.id).await.unwrap() == world.state());
}

#[tokio::test]
async fn a_full_backup_that_nobody_asked_for_is_held_against_what_there_was() {
    let mut world = world_with(&[]).await;
    world.backup().await.unwrap();
    let mut empty = claims(&world);
    empty.0.versions = InventoryVersions::All;
    empty.1.clear();
    world.inventories = Arc::new(empty);
    assert_eq!(world.backup().await.unwrap_err().code(), "guard_mass_change");
    let mut full = world.options();
    full.mode = BackupMode::Full;
    assert_eq!(world.backup_with(full.clone()).await.unwrap_err().code(), "guard_mass_change");
    full.guards.allow_mass_change = true;
    world.backup_with(full).await.unwrap();
}

#[tokio::test]
async fn an_object_denied_on_a_quiet_day_is_an_issue_and_many_are_a_failure() {
    for (denied, code) in [(3, None), (40, Some("access_denied"))] {
        let mut world = world_with(&[]).await;
        world.backup().await.unwrap();
        world.bucket.remove("k/a");
        let keys: Vec<_> = (0..denied).map(|n| format!("new/{n:02}")).collect();
        keys.iter().for_each(|key| drop(world.bucket.put(key.as_str(), noise(5, 100))));
        let faults: Vec<_> = keys.iter().map(|key| (key.as_str(), ALWAYS, SourceFault::AccessDenied)).collect();
        world.source = Arc::new(faulty(&world, &faults));
        let outcome = world.backup().await;
        assert_eq!(outcome.as_ref().err().map(stocktake_core::Error::code), code);
        if let Ok(report) = outcome {
            assert_eq!((report.changes().deleted.objects, report.status()), (1, JobStatus::CompletedWithIssues));
            assert_eq!(report.snapshot.summary.counters.failed.objects, denied);
        }
    }
}

#[tokio::test]
async fn a_first_backup_of_another_sources_inventory_is_refused() {
    let mut world = world_with(&[]).await;
    world.source = Arc::new(stocktake_core::memory::MemoryBucket::new("films"));
    let error = world.backup().await.unwrap_err();
    assert_eq!(error.code(), "inventory_scope_mismatch");
    assert!(world.catalog.snapshots().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_object_archived_behind_its_class_is_asked_again_until_it_can_be_read() {
    let mut world = world_with(&[("k/b", ALWAYS, SourceFault::Archived)]).await;
    for _ in 0..2 {
        let report = world.backup().await.unwrap();
        assert_eq!(report.snapshot.summary.counters.archived.objects, 1);
        assert_eq!(row(&world, report.snapshot.id, "k/b").await.unwrap().content, Content::Absent);
        world.bucket.put("new", noise(5, 100));
    }
    world.source = world.bucket.clone();
    let report = world.backup().await.unwrap();
    assert_eq!(report.snapshot.summary.counters.archived.objects, 0);
    assert!(world.restored(report.snapshot.id).await.unwrap() == world.state());
}

/// The second backup finds `k/b` with another time, and the fault.
async fn touched_with(fault: SourceFault) -> (World, Row, Row, stocktake_engine::BackupReport) {
    let mut world = world_with(&[]).await;
    let first = world.backup().await.unwrap();
    let before = row(&world, first.snapshot.id, "k/b").await.unwrap();
    world.bucket.put("k/b", noise(1, 3000));
    world.source = Arc::new(faulty(&world, &[("k/b", 1, fault)]));
    let second = world.backup().await.unwrap();
    assert_eq!(second.changes().metadata_changed.objects, 1);
    let after = row(&world, second.snapshot.id, "k/b").await.unwrap();
    (world, before, after, second)
}

#[tokio::test]
async fn bytes_in_the_vault_are_kept_when_their_object_is_archived_before_its_metadata_is_read() {
    let (world, before, after, report) = touched_with(SourceFault::Archived).await;
    assert_eq!((after.content, after.provenance), (before.content, Provenance::Exact));
    assert!(after.entry.last_modified > before.entry.last_modified);
    assert!(world.restored(report.snapshot.id).await.unwrap() == world.state());
}

#[tokio::test]
async fn an_object_replaced_before_its_metadata_is_read_is_stored_as_it_is() {
    let (_, _, after, report) = touched_with(SourceFault::Changed).await;
    assert_eq!(after.provenance, Provenance::Newer);
    let counters = report.snapshot.summary.counters;
    assert_eq!((counters.newer.objects, counters.failed.objects), (1, 0));
}

#[tokio::test]
async fn a_version_that_is_gone_is_not_an_object_that_is() {
    let mut world = world_with(&[("k/b", 1, SourceFault::NotFound)]).await;
    let mut claims = claims(&world);
    claims
        .1
        .iter_mut()
        .filter(|entry| entry.key.as_bytes() == b"k/b")
        .for_each(|entry| entry.version = Some("v1".into()));
    world.inventories = Arc::new(claims);
    let report = world.backup().await.unwrap();
    let counters = report.snapshot.summary.counters;
    assert_eq!((counters.newer.objects, counters.vanished.objects), (1, 0), "{counters:?}");
    assert!(row(&world, report.snapshot.id, "k/b").await.is_some());
}

#[tokio::test]
async fn bytes_whose_md5_is_not_the_etag_are_never_stored() {
    let mut world = World::new().await;
    let entry = world.bucket.put("k/a", "bytes");
    world.bucket.put("k/b", "other");
    let mut claims = claims(&world);
    for claim in &mut claims.1 {
        // The bucket's tags are no MD5s, which is what damage looks like where they should be.
        claim.flags = if claim.key == entry.key { EntryFlags::ETAG_IS_MD5 } else { EntryFlags::NONE };
    }
    world.inventories = Arc::new(claims);
    let report = world.backup().await.unwrap();
    assert_eq!(report.snapshot.summary.counters.failed.objects, 1);
    assert_eq!(row(&world, report.snapshot.id, "k/a").await, None);
}

#[tokio::test]
async fn guards_and_names_refuse_before_anything_is_written() {
    let world = World::new().await;
    for n in 0..200 {
        world.bucket.put(format!("k{n}").as_str(), noise(n, 10));
    }
    let mut options = world.options();
    options.name = Some("monday".into());
    world.backup_with(options.clone()).await.unwrap();
    let before = world.store.names();
    assert_eq!(world.backup_with(options).await.unwrap_err().code(), "name_taken");
    for n in 0..150 {
        world.bucket.remove(format!("k{n}").as_str());
    }
    assert_eq!(world.backup().await.unwrap_err().code(), "guard_mass_change");
    assert_eq!(world.store.names(), before);
    let mut options = world.options();
    options.guards.allow_mass_change = true;
    assert_eq!(world.backup_with(options).await.unwrap().changes().deleted.objects, 150);
}

#[tokio::test]
async fn a_large_object_replaced_while_it_is_read_meets_the_same_policy_as_any() {
    for (policy, fault, expected) in [
        (OnChanged::Newer, SourceFault::ChangedWhileRead(12 << 20), "newer"),
        (OnChanged::Skip, SourceFault::ChangedWhileRead(12 << 20), "skipped"),
        (OnChanged::Fail, SourceFault::ChangedWhileRead(12 << 20), "failed"),
    ] {
        let world = world_with(&[("large", 1, fault)]).await;
        let mut options = world.options();
        options.copy.on_changed = policy;
        let report = world.backup_with(options).await.unwrap();
        let counters = report.snapshot.summary.counters;
        let counted = [("newer", counters.newer), ("skipped", counters.skipped), ("failed", counters.failed)];
        for (what, tally) in counted {
            assert_eq!(tally.objects, u64::from(what == expected), "{what} of {policy:?}");
        }
        if expected == "newer" {
            assert_eq!(row(&world, report.snapshot.id, "large").await.unwrap().provenance, Provenance::Newer);
            assert!(world.restored(report.snapshot.id).await.unwrap() == world.state());
        } else {
            assert!(row(&world, report.snapshot.id, "large").await.is_none());
        }
    }
}

#[tokio::test]
async fn a_large_object_replaced_by_a_small_one_or_removed_while_it_is_read_is_what_it_is_now() {
    for removed in [false, true] {
        let mut world = world_with(&[]).await;
        world.source = Arc::new(ReplacedMeanwhile { bucket: world.bucket.clone(), removed });
        let report = world.backup().await.unwrap();
        let counters = report.snapshot.summary.counters;
        assert_eq!((counters.newer.objects, counters.vanished.objects), (u64::from(!removed), u64::from(removed)));
        assert_eq!(counters.failed.objects, 0);
        assert!(world.restored(report.snapshot.id).await.unwrap() == world.state());
        assert_eq!(world.verify().await.damage, []);
    }
}

/// A source of which the large object changes or goes while it is read for the first time.
#[derive(Debug)]
struct ReplacedMeanwhile {
    bucket: Arc<stocktake_core::memory::MemoryBucket>,
    removed: bool,
}

impl fmt::Display for ReplacedMeanwhile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bucket.fmt(f)
    }
}

#[async_trait]
impl Source for ReplacedMeanwhile {
    async fn read(&self, wanted: Wanted<'_>, range: Option<Range<u64>>) -> Result<ObjectRead> {
        let mut read = self.bucket.read(wanted, range).await?;
        if read.size > 1 << 20 {
            let bucket = self.bucket.clone();
            let removed = self.removed;
            let break_off = futures::stream::once(async move {
                if removed {
                    bucket.remove("large");
                } else {
                    bucket.put("large", "short now");
                }
                let location = Location::new("memory");
                Err(stocktake_core::Error::Unavailable { location, action: "read".into(), source: "reset".into() })
            });
            let beginning = read.body.take(1).map_ok(|piece| piece.slice(..1 << 20));
            read.body = beginning.chain(break_off).boxed();
        }
        Ok(read)
    }
}

#[tokio::test]
async fn large_objects_replaced_by_small_ones_wait_for_nobody() {
    let world = World::new().await;
    let names: Vec<_> = (0..40).map(|number| format!("log/{number:02}")).collect();
    names.iter().for_each(|name| drop(world.bucket.put(name.as_str(), format!("{name}, rotated"))));
    // Each is listed with as much as may be in memory at once for one of them.
    let mut claims = claims(&world);
    for entry in &mut claims.1 {
        (entry.size, entry.etag) = (8 << 20, Some("another".into()));
    }
    let world = World { inventories: Arc::new(claims), ..world };
    let backup = tokio::time::timeout(std::time::Duration::from_secs(60), world.backup());
    let report = backup.await.expect("it comes to an end").unwrap();
    assert_eq!(report.snapshot.summary.counters.newer.objects, 40);
    assert!(world.restored(report.snapshot.id).await.unwrap() == world.state());
}
