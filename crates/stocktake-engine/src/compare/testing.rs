//! Inventories in memory, for the tests of this module.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use proptest::prelude::*;
use stocktake_core::{
    Change, ChangeClass, ChangeCounts, ETag, Entry, EntryBatch, EntryFlags, Error, Inventory, InventoryFormat,
    InventoryInfo, KeyFilter, Location, ObjectKey, Result, Timestamp, keep_wanted,
};

use super::cursor::precedence;

/// When inventories are made unless said otherwise: long after their entries were modified.
pub(super) const AS_OF: i64 = 30 * 86_400_000;

/// An inventory whose parts are lists of entries, read in small batches.
#[derive(Debug)]
pub(super) struct ListedInventory {
    pub(super) info: InventoryInfo,
    pub(super) parts: Vec<Vec<Entry>>,
    pub(super) batch_rows: usize,
    /// Fails after the last batch of this part.
    pub(super) failing_part: Option<usize>,
    /// How often parts were opened.
    pub(super) reads: AtomicUsize,
}

impl ListedInventory {
    pub(super) fn new(parts: Vec<Vec<Entry>>) -> Self {
        let info = InventoryInfo {
            bucket: "bucket".into(),
            files: parts.len() as u64,
            ..InventoryInfo::new(
                Location::new("memory://inventory"),
                InventoryFormat::Csv,
                Timestamp::from_millis(AS_OF),
            )
        };
        Self { info, parts, batch_rows: 3, failing_part: None, reads: AtomicUsize::new(0) }
    }

    /// Made at another time.
    pub(super) fn made_at(mut self, millis: i64) -> Self {
        self.info.created = Timestamp::from_millis(millis);
        self
    }

    /// As a listing that can't be read twice; doing so panics.
    pub(super) fn once(mut self) -> Self {
        self.info.repeatable = false;
        self
    }
}

impl Inventory for ListedInventory {
    fn info(&self) -> &InventoryInfo {
        &self.info
    }

    fn parts(&self) -> usize {
        self.parts.len()
    }

    fn read(&self, part: usize) -> BoxStream<'static, Result<EntryBatch>> {
        let reads = self.reads.fetch_add(1, Ordering::Relaxed) + 1;
        assert!(self.info.repeatable || reads <= self.parts.len(), "a listing was read twice");
        let mut batches: Vec<_> = self.parts[part].chunks(self.batch_rows).map(EntryBatch::try_from).collect();
        // Empty batches are legal anywhere.
        batches.insert(batches.len() / 2, Ok(EntryBatch::default()));
        if self.failing_part == Some(part) {
            batches.push(Err(Error::InventoryCorrupt {
                inventory: self.info.location.clone(),
                problem: "wrong checksum".into(),
            }));
        }
        stream::iter(batches).boxed()
    }

    fn read_wanted(&self, part: usize, wanted: KeyFilter) -> BoxStream<'static, Result<EntryBatch>> {
        keep_wanted(self.read(part), wanted)
    }

    fn read_versions(&self, part: usize) -> BoxStream<'static, Result<EntryBatch>> {
        self.read(part)
    }

    fn source_lists(&self) -> u64 {
        0
    }
}

pub(super) fn listed(parts: Vec<Vec<Entry>>) -> Arc<ListedInventory> {
    Arc::new(ListedInventory::new(parts))
}

/// What a comparison has to find, by the plainest means.
pub(super) fn oracle(previous: &[Entry], current: &[Entry]) -> (Vec<Change>, ChangeCounts) {
    let (before, doubled_before) = latest(previous);
    let (now, doubled_now) = latest(current);
    let mut counts = ChangeCounts { duplicate_rows: doubled_before + doubled_now, ..ChangeCounts::default() };
    let mut changes = Vec::new();
    let keys: std::collections::BTreeSet<_> = before.keys().chain(now.keys()).collect();
    for key in keys {
        let (previous, current) = (before.get(key), now.get(key));
        let class = match (previous, current) {
            (Some(previous), Some(current)) => ChangeClass::between(&previous.as_ref(), &current.as_ref()),
            (None, _) => Some(ChangeClass::Added),
            (_, None) => Some(ChangeClass::Deleted),
        };
        let size = current.or(previous).map_or(0, |entry| entry.size);
        if current.is_some() {
            counts.scanned.add(size);
        }
        match class {
            Some(class) => {
                counts.class_mut(class).add(size);
                changes.push(Change { class, current: current.cloned(), previous: previous.cloned() });
            }
            None => counts.unchanged.add(size),
        }
    }
    (changes, counts)
}

fn latest(entries: &[Entry]) -> (BTreeMap<ObjectKey, Entry>, u64) {
    let mut kept: BTreeMap<ObjectKey, Entry> = BTreeMap::new();
    let mut doubled = 0;
    for entry in entries {
        let other = kept.get(&entry.key);
        doubled += u64::from(other.is_some());
        if other.is_none_or(|other| precedence(&entry.as_ref(), &other.as_ref()).is_gt()) {
            kept.insert(entry.key.clone(), entry.clone());
        }
    }
    (kept, doubled)
}

/// Any entry at all.
pub(super) fn any_entry() -> impl Strategy<Value = Entry> {
    let etag = proptest::option::of("[0-9a-f]{32}(-[1-9])?|[0-9A-F]{32}|[a-z\"-]{1,40}");
    let facts = (proptest::option::of("[a-z]{1,8}"), any::<u64>(), any::<i64>(), etag, "[A-C]?", 0..16_u8);
    (proptest::collection::vec(any::<u8>(), 1..40), facts).prop_map(|(key, facts)| {
        let (version, size, modified, etag, class, flags) = facts;
        Entry {
            key: ObjectKey::new(key),
            version,
            size,
            last_modified: Timestamp::from_millis(modified),
            etag: etag.map(|text| ETag::new(&text)).filter(|etag| !etag.as_str().is_empty()),
            class,
            flags: EntryFlags::from_bits(flags),
        }
    })
}

/// Entries of few keys and few facts, so that states meet: keys that are prefixes
/// of each other, end in zero bytes, differ in the last of many bytes.
pub(super) fn meeting_entries(most: usize) -> impl Strategy<Value = Vec<Entry>> {
    let key = prop_oneof![
        4 => "[ab/]{1,3}".prop_map(String::into_bytes),
        2 => "a{20}[\\x00ab]{0,2}".prop_map(String::into_bytes),
        1 => proptest::collection::vec(prop_oneof![Just(0_u8), Just(0xff)], 1..4),
    ];
    let entry = (key, 0..2_u64, 0..3_i64, 0..3_u8, 0..2_u8).prop_map(|(key, size, modified, etag, class)| {
        let entry = Entry::new(ObjectKey::new(key), size, Timestamp::from_millis(modified));
        let entry = entry.with_class(if class == 0 { "STANDARD" } else { "GLACIER" });
        match etag {
            0 => entry,
            1 => entry.with_etag("0cc175b9c0f1b6a831c399e269772661"),
            _ => entry.with_etag("odd"),
        }
    });
    proptest::collection::vec(entry, 0..most)
}
