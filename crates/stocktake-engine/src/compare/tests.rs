//! Every road against a plain model, and the promises about failure.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::TryStreamExt;
use futures::stream::BoxStream;
use proptest::prelude::*;
use stocktake_core::{
    Change, Entry, EntryBatch, Inventory, InventoryInfo, KeyFilter, SeededEntropy, Timestamp, keep_wanted,
};
use tokio_util::sync::CancellationToken;

use super::matching::BYTES_PER_ROW;
use super::options::Limits;
use super::partition::{DIGEST_BYTES, PartitionLimits};
use super::recent::RecentLimits;
use super::sort::SortLimits;
use super::spool::SpoolLimits;
use super::testing::{AS_OF, ListedInventory, listed, meeting_entries, oracle};
use super::{ChangeSet, CompareOptions, Side, compare_within};

/// Bounds so small that a handful of rows meets each of them.
pub(super) const TINY: Limits = Limits {
    open_parts: 3,
    sort: SortLimits { memory_bytes: 200, fan_in: 2, frame_bytes: 40 },
    held_bytes: 0,
    partitions: PartitionLimits { bits: 2, buffer_bytes: 3 * DIGEST_BYTES },
    matcher_bytes: 10 * BYTES_PER_ROW,
    sieve_bytes: 16,
    key_hash_mask: u64::MAX,
    held_row_mask: u32::MAX,
    changes: SPOOL,
    recent: RecentLimits { spool: SPOOL, most_bytes: 400, rows_to_judge: u64::MAX },
};

const SPOOL: SpoolLimits = SpoolLimits { memory_bytes: 100, frame_bytes: 60, frame_rows: 3 };

/// As small, with partitions that fit, and with keys of which many share a hash.
pub(super) const COLLIDING: Limits = Limits { matcher_bytes: 1 << 20, key_hash_mask: 0xc000_0000_0010_0041, ..TINY };

/// The same, with all digests in memory.
pub(super) const HELD: Limits = Limits { held_bytes: 1 << 20, ..COLLIDING };

/// With digests in memory that take many a changed row for its equal.
pub(super) const MISTAKEN: Limits = Limits { held_row_mask: 1 << 7, key_hash_mask: u64::MAX, ..HELD };

pub(super) fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap().block_on(future)
}

async fn diff(previous: Side, current: Side, limits: Limits) -> stocktake_core::Result<ChangeSet> {
    let (options, entropy) = (CompareOptions::default(), SeededEntropy::new(1));
    compare_within(previous, current, &options, limits, &entropy, &(), &CancellationToken::new()).await
}

pub(super) async fn changes(set: &ChangeSet) -> Vec<Change> {
    let batches: Vec<_> = set.changes().try_collect().await.unwrap();
    batches.iter().flat_map(|batch| batch.iter().map(|change| change.to_change()).collect::<Vec<_>>()).collect()
}

fn side(inventory: ListedInventory) -> Side {
    Side::Inventory(Arc::new(inventory))
}

fn sorted(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.sort_by(|a, b| a.key.cmp(&b.key));
    entries
}

/// The ways in which the same rows may be laid out.
fn layouts(entries: &[Entry]) -> Vec<Vec<Vec<Entry>>> {
    let in_order = sorted(entries.to_vec());
    let files = entries.len().div_ceil(4).max(1);
    vec![
        vec![in_order.clone()],
        // Files that follow each other, the last first.
        in_order.chunks(files).rev().map(<[Entry]>::to_vec).collect(),
        // Sorted files that overlap, up to eight of them.
        entries.chunks(5).map(|part| sorted(part.to_vec())).collect(),
        // As they come, in several files.
        entries.chunks(files).map(<[Entry]>::to_vec).collect(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn every_layout_and_every_bound_gives_what_the_model_gives(
        previous in meeting_entries(40),
        current in meeting_entries(40),
        as_of in prop_oneof![Just(AS_OF), Just(YESTERDAY), Just(YESTERDAY + 2)],
    ) {
        let (expected, counts) = oracle(&previous, &current);
        run(async {
            for (before, now) in layouts(&previous).into_iter().zip(layouts(&current).into_iter().rev()) {
                for limits in [TINY, COLLIDING, HELD, MISTAKEN, Limits::of(0)] {
                    for repeatable in [true, false] {
                        let [before, now] = [&before, &now].map(|parts| {
                            let inventory = ListedInventory::new(parts.clone()).made_at(as_of);
                            side(if repeatable { inventory } else { inventory.once() })
                        });
                        let set = diff(before, now, limits).await.unwrap();
                        prop_assert_eq!(set.counts(), &counts);
                        prop_assert_eq!(&changes(&set).await, &expected);
                        prop_assert_eq!(&changes(&set).await, &expected);
                        prop_assert_eq!(set.len(), expected.len() as u64);
                    }
                }
            }
            Ok(())
        })?;
    }

    #[test]
    fn against_nothing_everything_is_added_or_deleted(entries in meeting_entries(40)) {
        run(async {
            for parts in layouts(&entries) {
                let set = diff(Side::Nothing, side(ListedInventory::new(parts.clone())), TINY).await.unwrap();
                let (expected, counts) = oracle(&[], &entries);
                prop_assert_eq!(set.counts(), &counts);
                prop_assert_eq!(changes(&set).await, expected);
                let set = diff(side(ListedInventory::new(parts)), Side::Nothing, TINY).await.unwrap();
                let (expected, counts) = oracle(&entries, &[]);
                prop_assert_eq!(set.counts(), &counts);
                prop_assert_eq!(changes(&set).await, expected);
            }
            Ok(())
        })?;
    }
}

fn numbered(numbers: impl IntoIterator<Item = u32>) -> Vec<Entry> {
    let entry = |n| Entry::new(format!("key/{n:06}").as_str(), u64::from(n), Timestamp::from_millis(0)).with_etag("e");
    numbers.into_iter().map(entry).collect()
}

#[test]
fn files_in_order_are_open_one_at_a_time_and_nothing_is_put_down() {
    let parts = |from: u32| (0..20).map(|part| numbered(from + part * 100..from + part * 100 + 100)).collect();
    let (previous, current): (Vec<_>, Vec<_>) = (parts(0), parts(1));
    let limits = Limits { open_parts: 1, ..Limits::of(0) };
    run(async {
        let set =
            diff(side(ListedInventory::new(previous)), side(ListedInventory::new(current)), limits).await.unwrap();
        assert_eq!((set.counts().added.objects, set.counts().deleted.objects), (1, 1));
        assert_eq!((set.work().spilled_bytes, set.work().restarts), (0, 0));
    });
}

#[test]
fn disorder_found_late_voids_what_was_concluded() {
    let mut entries = numbered(0..1000);
    entries.swap(997, 998);
    let (expected, counts) = oracle(&numbered(5..1000), &entries);
    run(async {
        let set =
            diff(side(ListedInventory::new(vec![numbered(5..1000)])), side(ListedInventory::new(vec![entries])), TINY);
        let set = set.await.unwrap();
        assert_eq!(set.work().restarts, 1);
        assert_eq!(set.counts(), &counts);
        assert_eq!(changes(&set).await, expected);
    });
}

#[test]
fn a_listing_is_read_once_even_when_the_other_side_is_read_anew() {
    let mut entries = numbered(0..500);
    entries.swap(490, 491);
    run(async {
        let once = Arc::new(ListedInventory::new(vec![numbered(0..400)]).once());
        let set = diff(
            Side::Inventory(Arc::clone(&once) as Arc<dyn Inventory>),
            Side::Inventory(listed(vec![entries])),
            TINY,
        );
        assert_eq!(set.await.unwrap().counts().added.objects, 100);
        assert_eq!(once.reads.load(Ordering::Relaxed), 1);
    });
}

/// Entries of time 0 are just as old as what is put aside when the previous state is of this time.
const YESTERDAY: i64 = 86_400_000;

#[test]
fn young_rows_are_at_hand_and_others_are_found_all_the_same() {
    let (previous, current) = (shuffled(0..3000), shuffled(100..3100));
    for (as_of, limits, reads) in [
        (YESTERDAY, Limits::of(0), (2, 2)),
        (AS_OF, Limits::of(0), (2, 3)),
        (YESTERDAY, Limits { held_bytes: 0, ..Limits::of(0) }, (3, 2)),
        (AS_OF, Limits { held_bytes: 0, ..Limits::of(0) }, (3, 3)),
    ] {
        let [before, now] =
            [&previous, &current].map(|entries| Arc::new(ListedInventory::new(vec![entries.clone()]).made_at(as_of)));
        let (expected, counts) = oracle(&previous, &current);
        run(async {
            let set = diff(Side::Inventory(before.clone()), Side::Inventory(now.clone()), limits).await.unwrap();
            assert_eq!(set.counts(), &counts);
            assert!(changes(&set).await == expected);
        });
        // One look at the order, one reading for the digests, one for what is not at hand.
        assert_eq!((before.reads.load(Ordering::Relaxed), now.reads.load(Ordering::Relaxed)), reads);
    }
}

/// The numbers in an order that looks like none.
fn shuffled(numbers: std::ops::Range<u32>) -> Vec<Entry> {
    let count = u64::from(numbers.end - numbers.start);
    // 7919 is a prime that divides none of the counts used here.
    numbered((0..count).map(|n| numbers.start + u32::try_from(n * 7919 % count).unwrap()))
}

#[test]
fn of_unordered_sides_sixteen_bytes_a_row_are_put_down_and_what_differs_is_read_again() {
    let (previous, current) = (listed(vec![shuffled(0..20_000)]), listed(vec![shuffled(100..20_100)]));
    let limits = Limits {
        partitions: PartitionLimits { bits: 4, buffer_bytes: 64 * DIGEST_BYTES },
        held_bytes: 0,
        ..Limits::of(0)
    };
    run(async {
        let set = diff(Side::Inventory(previous.clone()), Side::Inventory(current.clone()), limits).await.unwrap();
        assert_eq!(
            (set.counts().added.objects, set.counts().deleted.objects, set.counts().unchanged.objects),
            (100, 100, 19_900)
        );
        assert!(set.work().matched_by_hash);
        let rows = 40_000;
        assert!((1..16 * rows).contains(&set.work().spilled_bytes), "{:?}", set.work());
        // One look at the order, one reading for the digests, one for what differs.
        assert_eq!((previous.reads.load(Ordering::Relaxed), current.reads.load(Ordering::Relaxed)), (3, 3));
    });
}

#[test]
fn partitions_too_large_for_memory_are_matched_in_pieces_and_nothing_more_is_put_down() {
    let (previous, current) = (listed(vec![shuffled(0..20_000)]), listed(vec![shuffled(100..20_100)]));
    let limits = Limits {
        partitions: PartitionLimits { bits: 1, buffer_bytes: 64 * DIGEST_BYTES },
        matcher_bytes: 1_000 * BYTES_PER_ROW,
        held_bytes: 0,
        ..Limits::of(0)
    };
    run(async {
        let set = diff(Side::Inventory(previous), Side::Inventory(current), limits).await.unwrap();
        assert_eq!((set.counts().added.objects, set.counts().deleted.objects), (100, 100));
        let rows = 40_000;
        assert!((1..16 * rows).contains(&set.work().spilled_bytes), "{:?}", set.work());
    });
}

#[test]
fn unordered_sides_that_are_equal_are_not_read_a_second_time() {
    let (previous, current) = (listed(vec![shuffled(0..1000)]), listed(vec![shuffled(0..1000)]));
    run(async {
        let set =
            diff(Side::Inventory(previous.clone()), Side::Inventory(current.clone()), Limits::of(0)).await.unwrap();
        assert_eq!((set.len(), set.counts().unchanged.objects), (0, 1000));
        assert_eq!((previous.reads.load(Ordering::Relaxed), current.reads.load(Ordering::Relaxed)), (2, 2));
    });
}

/// An inventory that claims to be repeatable, and is another one from the third reading on.
#[derive(Debug)]
struct Fickle(ListedInventory, ListedInventory);

impl Inventory for Fickle {
    fn info(&self) -> &InventoryInfo {
        self.0.info()
    }

    fn parts(&self) -> usize {
        1
    }

    fn read(&self, part: usize) -> BoxStream<'static, stocktake_core::Result<EntryBatch>> {
        let early = self.0.reads.load(Ordering::Relaxed) < 2;
        if early { self.0.read(part) } else { self.1.read(part) }
    }

    fn read_wanted(&self, part: usize, wanted: KeyFilter) -> BoxStream<'static, stocktake_core::Result<EntryBatch>> {
        keep_wanted(self.read(part), wanted)
    }

    fn read_versions(&self, part: usize) -> BoxStream<'static, stocktake_core::Result<EntryBatch>> {
        self.read(part)
    }

    fn source_lists(&self) -> u64 {
        0
    }
}

#[test]
fn a_side_that_reads_otherwise_the_second_time_is_refused() {
    let fickle = Fickle(ListedInventory::new(vec![shuffled(0..1000)]), ListedInventory::new(vec![shuffled(1..1000)]));
    run(async {
        let previous = side(ListedInventory::new(vec![shuffled(5..1000)]));
        let error = diff(previous, Side::Inventory(Arc::new(fickle)), Limits::of(0)).await.unwrap_err();
        assert_eq!(error.code(), "inventory_corrupt");
    });
}

#[test]
fn a_part_that_fails_at_its_very_end_is_an_error_on_every_road() {
    let broken = |entries: Vec<Entry>| {
        let mut inventory = ListedInventory::new(vec![numbered(0..50), entries]);
        inventory.failing_part = Some(1);
        inventory
    };
    let shuffled: Vec<_> = numbered(50..100).into_iter().rev().collect();
    run(async {
        for inventory in [broken(numbered(50..100)), broken(shuffled.clone()), broken(shuffled).once()] {
            let whole = side(ListedInventory::new(vec![numbered(0..100)]));
            let error = diff(whole, side(inventory), TINY).await.unwrap_err();
            assert_eq!(error.code(), "inventory_corrupt");
        }
    });
}

#[test]
fn a_key_outside_the_stated_prefix_is_refused_by_name() {
    let options = CompareOptions::default().with_inventory_prefix("key/00").with_path("key/00001");
    run(async {
        let (entropy, cancel) = (SeededEntropy::new(1), CancellationToken::new());
        let compare = |entries| {
            let current = side(ListedInventory::new(vec![entries]));
            compare_within(Side::Nothing, current, &options, TINY, &entropy, &(), &cancel)
        };
        let error = compare(numbered([5, 12, 10_000])).await.unwrap_err();
        assert_eq!(error.code(), "inventory_scope_mismatch");
        assert!(error.to_string().contains("key/010000"), "{error}");
        let set = compare(numbered(0..30)).await.unwrap();
        assert_eq!((set.counts().scanned.objects, set.counts().outside_rows), (10, 20));
    });
}

#[test]
fn cancelling_ends_it_and_a_full_disk_is_said() {
    let shuffled = || side(ListedInventory::new(vec![numbered((0..3000).rev())]));
    run(async {
        let cancel = CancellationToken::new();
        cancel.cancel();
        let options = CompareOptions::default();
        let error = compare_within(Side::Nothing, shuffled(), &options, TINY, &SeededEntropy::new(1), &(), &cancel)
            .await
            .unwrap_err();
        assert_eq!(error.code(), "cancelled");

        let options = CompareOptions::default().with_temp_folder("/nonexistent-folder");
        let cancel = CancellationToken::new();
        let error = compare_within(Side::Nothing, shuffled(), &options, TINY, &SeededEntropy::new(1), &(), &cancel)
            .await
            .unwrap_err();
        assert_eq!(error.code(), "local_storage");
    });
}
