//! Versions on every road against a plain model: maps of keys and version ids.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use stocktake_core::{
    Change, ChangeClass, ChangeCounts, Entry, EntryFlags, InventoryVersions, ObjectKey, SeededEntropy, Timestamp,
};
use tokio_util::sync::CancellationToken;

use super::cursor::precedence;
use super::options::Limits;
use super::sort::SortLimits;
use super::testing::ListedInventory;
use super::tests::{COLLIDING, HELD, MISTAKEN, TINY, changes, run};
use super::{ChangeSet, CompareOptions, Side, compare_within};
use crate::filter::FilterRules;

/// A list of all versions.
fn side(parts: Vec<Vec<Entry>>, repeatable: bool) -> Side {
    let mut inventory = ListedInventory::new(parts);
    inventory.info.versions = InventoryVersions::All;
    inventory.info.repeatable = repeatable;
    Side::Inventory(Arc::new(inventory))
}

fn options() -> CompareOptions {
    CompareOptions::default().with_versions(InventoryVersions::All)
}

async fn diff(previous: Side, current: Side, options: &CompareOptions, limits: Limits) -> ChangeSet {
    let (entropy, cancel) = (SeededEntropy::new(1), CancellationToken::new());
    compare_within(previous, current, options, limits, &entropy, &(), &cancel).await.unwrap()
}

/// What one side says, once doubled rows and several latest versions are settled.
#[derive(Default)]
struct Model {
    versions: BTreeMap<(ObjectKey, String), Entry>,
    latest: BTreeMap<ObjectKey, Entry>,
    doubled: u64,
    conflicts: u64,
}

fn id(entry: &Entry) -> String {
    entry.version.clone().unwrap_or_else(|| "null".to_owned())
}

fn wins(entry: &Entry, other: Option<&Entry>) -> bool {
    other.is_none_or(|other| precedence(&entry.as_ref(), &other.as_ref()).is_gt())
}

impl Model {
    fn of(entries: &[Entry]) -> Self {
        let mut model = Self::default();
        let (mut heads, mut doubled_heads) = (0, 0);
        for entry in entries {
            let place = (entry.key.clone(), id(entry));
            if wins(entry, model.versions.get(&place)) {
                let dropped = model.versions.insert(place, entry.clone());
                model.doubled += u64::from(dropped.is_some());
                doubled_heads += u64::from(dropped.is_some_and(|dropped| dropped.flags.is_latest()));
            } else {
                model.doubled += 1;
                doubled_heads += u64::from(entry.flags.is_latest());
            }
            if entry.flags.is_latest() {
                heads += 1;
                if wins(entry, model.latest.get(&entry.key)) {
                    model.latest.insert(entry.key.clone(), entry.clone());
                }
            }
        }
        model.conflicts = (heads - model.latest.len() as u64).saturating_sub(doubled_heads);
        model
    }

    /// Whether a key has the same latest version here and there, or none. A version of it that differs is none of them.
    fn has_same_latest(&self, other: &Self, key: &ObjectKey) -> bool {
        match (self.latest.get(key), other.latest.get(key)) {
            (Some(a), Some(b)) => {
                let is_new = is_marker(a) != is_marker(b) || id(a) != id(b);
                !is_new && ChangeClass::between(&a.as_ref(), &b.as_ref()).is_none()
            }
            (a, b) => a.is_none() && b.is_none(),
        }
    }

    fn is_latest(&self, entry: &Entry) -> bool {
        entry.flags.is_latest() && self.latest.get(&entry.key).is_some_and(|latest| id(latest) == id(entry))
    }

    /// What is said in a change of a version that is the latest, or is not.
    fn shown(&self, entry: &Entry, same_latest: bool) -> Entry {
        let is_latest = !same_latest && self.is_latest(entry);
        let flags = if is_latest { EntryFlags::NONE } else { EntryFlags::NONCURRENT };
        entry.clone().with_flags(entry.flags.with(flags))
    }
}

fn is_marker(entry: &Entry) -> bool {
    entry.flags.is_delete_marker()
}

/// The table of [`ChangeClass`], line by line.
fn class_of(before: &Model, now: &Model, was: Option<&Entry>, is: Option<&Entry>) -> Option<ChangeClass> {
    let Some(version) = is else { return Some(ChangeClass::Deleted) };
    let (latest_before, latest_now) = (before.latest.get(&version.key), now.latest.get(&version.key));
    let same_latest = before.has_same_latest(now, &version.key);
    let is_new = was.is_none_or(|was| is_marker(was) != is_marker(version));
    let between = was.and_then(|was| ChangeClass::between(&was.as_ref(), &version.as_ref()));
    let flipped = was.is_some_and(|was| was.flags.is_latest() != version.flags.is_latest());
    if !is_new && between.is_none() && !flipped {
        return None;
    }
    let is_the_latest = !same_latest && now.is_latest(version);
    let was_the_latest = !same_latest && was.is_some_and(|was| before.is_latest(was));
    if is_marker(version) {
        let died = is_the_latest && latest_before.is_some_and(|latest| !is_marker(latest));
        return (is_new || died).then_some(ChangeClass::DeleteMarker);
    }
    let was_dead = latest_before.is_some_and(is_marker);
    if is_new {
        return Some(match latest_before {
            None if !same_latest => ChangeClass::Added,
            _ if is_the_latest && was_dead => ChangeClass::Recreated,
            _ => ChangeClass::VersionAdded,
        });
    }
    if is_the_latest && (was_dead || latest_before.is_none()) {
        return Some(ChangeClass::Recreated);
    }
    if was_the_latest && latest_now.is_none() {
        return Some(ChangeClass::DeleteMarker);
    }
    between
}

fn model(previous: &[Entry], current: &[Entry]) -> (Vec<Change>, ChangeCounts) {
    let (before, now) = (Model::of(previous), Model::of(current));
    let mut counts = ChangeCounts {
        duplicate_rows: before.doubled + now.doubled,
        latest_conflicts: before.conflicts + now.conflicts,
        ..ChangeCounts::default()
    };
    let mut found = Vec::new();
    for place in before.versions.keys().chain(now.versions.keys()).collect::<BTreeSet<_>>() {
        let (was, is) = (before.versions.get(place), now.versions.get(place));
        let size = is.or(was).map_or(0, |entry| entry.size);
        if is.is_some() {
            counts.scanned.add(size);
        }
        match class_of(&before, &now, was, is) {
            Some(class) => {
                counts.class_mut(class).add(size);
                let same_latest = before.has_same_latest(&now, &place.0);
                found.push(Change {
                    class,
                    current: is.map(|entry| now.shown(entry, same_latest)),
                    previous: was.map(|entry| before.shown(entry, same_latest)),
                });
            }
            None => counts.unchanged.add(size),
        }
    }
    found.sort_by(|a, b| {
        let (a, b) = (a.entry(), b.entry());
        a.key.cmp(&b.key).then_with(|| a.as_ref().version_order(&b.as_ref()))
    });
    (found, counts)
}

/// Versions of few keys, with few ids and facts, of which any may be said to be the latest or a delete marker.
fn versions(most: usize) -> impl Strategy<Value = Vec<Entry>> {
    let key = prop_oneof!["[ab]{1,2}".prop_map(String::into_bytes), "a[\\x00\\x01]{1,2}".prop_map(String::into_bytes)];
    let id = prop_oneof![Just(None), Just(Some("null")), Just(Some("v1")), Just(Some("v2")), Just(Some("\0"))];
    let version = (key, id, 0..2_u64, 0..3_i64, 0..2_u8, 0..2_u8, 0..4_u8).prop_map(
        |(key, id, size, modified, etag, class, standing)| {
            let latest = if standing < 2 { EntryFlags::NONE } else { EntryFlags::NONCURRENT };
            let time = Timestamp::from_millis(modified);
            let entry = if standing == 1 || (standing == 2 && size == 0) {
                Entry::new(&key[..], 0, time).with_flags(latest.with(EntryFlags::DELETE_MARKER))
            } else {
                let entry = Entry::new(&key[..], size, time).with_flags(latest);
                let entry = entry.with_class(if class == 0 { "STANDARD" } else { "GLACIER" });
                entry.with_etag(if etag == 0 { "0cc175b9c0f1b6a831c399e269772661" } else { "odd" })
            };
            Entry { version: id.map(str::to_owned), ..entry }
        },
    );
    proptest::collection::vec(version, 0..most)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn every_road_gives_what_the_model_gives(
        shared in versions(20),
        previous in versions(15),
        current in versions(15),
    ) {
        let [previous, current] = [[&shared[..], &previous].concat(), [&current[..], &shared].concat()];
        let (expected, counts) = model(&previous, &current);
        run(async {
            for limits in [TINY, COLLIDING, HELD, MISTAKEN, Limits::of(0)] {
                for repeatable in [true, false] {
                    // More than one part that is opened at once would be read once too often for a listing.
                    let [before, now] = [&previous, &current].map(|entries| {
                        let parts = entries.chunks(7).map(<[Entry]>::to_vec).collect();
                        side(parts, repeatable)
                    });
                    let set = diff(before, now, &options(), limits).await;
                    prop_assert_eq!(set.versions(), InventoryVersions::All);
                    prop_assert_eq!(&changes(&set).await, &expected);
                    prop_assert_eq!(set.counts(), &counts);
                }
            }
            Ok(())
        })?;
    }
}

fn version(key: &str, id: &str, second: i64) -> Entry {
    let entry = Entry::new(key, 10, Timestamp::from_millis(1000 * second)).with_version(id);
    entry.with_etag(&*format!("{second:032x}")).with_class("STANDARD")
}

fn past(entry: Entry) -> Entry {
    let flags = entry.flags.with(EntryFlags::NONCURRENT);
    entry.with_flags(flags)
}

fn marker(key: &str, id: &str, second: i64) -> Entry {
    Entry::new(key, 0, Timestamp::from_millis(1000 * second)).with_version(id).with_flags(EntryFlags::DELETE_MARKER)
}

/// The classes of all changes, each with the version's id.
async fn classes(previous: &[Entry], current: &[Entry], options: &CompareOptions) -> Vec<(ChangeClass, String)> {
    let [before, now] = [previous, current].map(|entries| side(vec![entries.to_vec()], true));
    let set = diff(before, now, options, Limits::of(0)).await;
    changes(&set).await.iter().map(|change| (change.class, id(change.entry()))).collect()
}

/// What happened, the versions before and after, and the changes, each of a version with this id.
type Case = (&'static str, Vec<Entry>, Vec<Entry>, Vec<(ChangeClass, &'static str)>);

#[test]
fn what_happens_to_keys_in_practice_has_its_class() {
    use ChangeClass::*;
    let (a, b, m) = (version("k", "a", 1), version("k", "b", 2), marker("k", "m", 3));
    let null = |second| version("k", "null", second);
    let cases: [Case; 14] = [
        ("a new key", vec![], vec![b.clone(), past(a.clone())], vec![(Added, "b"), (Added, "a")]),
        ("overwritten", vec![a.clone()], vec![past(a.clone()), b.clone()], vec![(VersionAdded, "b")]),
        ("deleted", vec![a.clone()], vec![past(a.clone()), m.clone()], vec![(DeleteMarker, "m")]),
        ("deleted on both days", vec![m.clone(), past(a.clone())], vec![past(a.clone()), m.clone()], vec![]),
        (
            "put again",
            vec![past(a.clone()), m.clone()],
            vec![past(a.clone()), past(m.clone()), version("k", "c", 4)],
            vec![(Recreated, "c")],
        ),
        (
            "the marker removed",
            vec![past(a.clone()), m.clone()],
            vec![a.clone()],
            vec![(Deleted, "m"), (Recreated, "a")],
        ),
        ("the latest version removed", vec![past(a.clone()), b.clone()], vec![a.clone()], vec![(Deleted, "b")]),
        ("an old version removed", vec![past(a.clone()), b.clone()], vec![b.clone()], vec![(Deleted, "a")]),
        ("all removed", vec![past(a.clone()), b.clone()], vec![], vec![(Deleted, "b"), (Deleted, "a")]),
        ("the null version overwritten", vec![null(1)], vec![null(2)], vec![(Changed, "null")]),
        ("the null version deleted", vec![null(1)], vec![marker("k", "null", 2)], vec![(DeleteMarker, "null")]),
        ("and put again", vec![marker("k", "null", 2)], vec![null(3)], vec![(Recreated, "null")]),
        ("its marker renewed", vec![marker("k", "null", 2)], vec![marker("k", "null", 3)], vec![]),
        ("deleted without a marker", vec![a.clone()], vec![past(a.clone())], vec![(DeleteMarker, "a")]),
    ];
    run(async {
        for (case, previous, current, expected) in cases {
            let expected: Vec<_> = expected.into_iter().map(|(class, id)| (class, id.to_owned())).collect();
            assert_eq!(classes(&previous, &current, &options()).await, expected, "{case}");
        }
    });
}

#[test]
fn live_views_are_compared_where_a_side_tells_no_versions() {
    run(async {
        let all = || side(vec![vec![version("k", "a", 1)]], true);
        let current = || Side::Inventory(Arc::new(ListedInventory::new(vec![vec![version("k", "b", 2)]])));
        let pairs = [(all(), current()), (current(), all()), (current(), Side::Nothing)];
        for (before, now) in pairs {
            let set = diff(before, now, &options(), Limits::of(0)).await;
            assert_eq!(set.versions(), InventoryVersions::Current);
        }
        let set = diff(all(), all(), &CompareOptions::default(), Limits::of(0)).await;
        assert_eq!(set.versions(), InventoryVersions::Current);
        let set = diff(all(), Side::Nothing, &options(), Limits::of(0)).await;
        assert_eq!((set.versions(), set.counts().deleted.objects), (InventoryVersions::All, 1));
    });
}

#[test]
fn a_filter_judges_versions_and_not_what_the_latest_is() {
    let small = FilterRules { max_size: Some(10), ..FilterRules::default() };
    let options = options().with_filter(small.compile(Timestamp::default()).unwrap());
    let large = Entry { size: 11, ..version("k", "b", 2) };
    run(async {
        let (before, now) = ([version("k", "a", 1)], [past(version("k", "a", 1)), large]);
        assert_eq!(classes(&before, &now, &options).await, []);
    });
}

#[test]
fn a_key_with_more_versions_than_memory_is_compared_all_the_same() {
    let all = |from: i64, to: i64| -> Vec<Entry> {
        let versions = (from..to).map(|n| version("k", &format!("{:06}", n * 7919 % 100_003), n));
        versions
            .map(|entry| if entry.last_modified.as_millis() == 1000 * (to - 1) { entry } else { past(entry) })
            .collect()
    };
    run(async {
        let [before, now] = [all(0, 30_000), all(10, 30_010)].map(|entries| side(vec![entries], true));
        let small = SortLimits { memory_bytes: 20_000, fan_in: 8, frame_bytes: 1_000 };
        let set = diff(before, now, &options(), Limits { sort: small, held_bytes: 0, ..Limits::of(0) }).await;
        let counts = set.counts();
        assert_eq!((counts.version_added.objects, counts.deleted.objects, set.len()), (10, 10, 20));
        let times: Vec<_> = changes(&set).await.iter().map(|change| change.entry().last_modified).collect();
        assert!(times.is_sorted_by(|a, b| a > b));
    });
}
