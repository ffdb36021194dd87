//! A bucket in which things happen: what it holds at any moment, and the events in between.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};

use stocktake_core::{Entry, EntryFlags, Timestamp};

/// What somebody does to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Writes an object of so many bytes.
    Put(u64),
    /// Changes the storage class of the version that is so many before the current one.
    Touch(usize),
    /// Deletes the key: with versions, a delete marker is created.
    Delete,
    /// Deletes for good the version that is so many before the current one.
    Remove(usize),
}

/// A version of an object, or a delete marker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// What it is; of a delete marker only key, version and time count.
    pub entry: Entry,
    /// Whether it is a delete marker.
    pub marker: bool,
}

/// What an event tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A version or delete marker was created.
    Create,
    /// What is known of a version changed.
    UpdateMetadata,
    /// A version is gone for good; without versions, the object.
    Delete,
}

/// Something that happened, as an incremental inventory tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its place among all.
    pub sequence: u64,
    /// When, in milliseconds.
    pub time: i64,
    /// What.
    pub kind: EventKind,
    /// To what; of a deletion only key and version count.
    pub version: Version,
}

/// All that ever happened in a bucket.
#[derive(Clone, Debug, Default)]
pub struct History {
    versioned: bool,
    actions: Vec<(i64, String, Action)>,
}

/// The versions of each key, oldest first.
type State = BTreeMap<String, Vec<Version>>;

impl History {
    /// Things that are done at these times, in milliseconds that ascend, to a bucket with or without versions.
    pub fn new(versioned: bool, actions: Vec<(i64, String, Action)>) -> Self {
        assert!(actions.is_sorted_by(|a, b| a.0 < b.0), "an action comes after the one before");
        Self { versioned, actions }
    }

    /// What happened from `start` on and before `end`.
    pub fn events(&self, start: i64, end: i64) -> Vec<Event> {
        let mut state = State::new();
        let events = self.actions.iter().zip(1..).filter_map(|((time, key, action), number)| {
            let done = self.apply(&mut state, *time, key, *action, number)?;
            let (kind, version) = done;
            Some(Event { sequence: number + 95, time: *time, kind, version })
        });
        events.filter(|event| (start..end).contains(&event.time)).collect()
    }

    /// All versions at a moment, the newest of each key first.
    pub fn versions(&self, at: i64) -> Vec<Vec<Version>> {
        self.observed(|_| at)
    }

    /// What a scan of these times sees: each key at some moment of its own.
    pub fn scan(&self, start: i64, end: i64) -> Vec<Vec<Version>> {
        self.observed(|key| {
            let mut hasher = DefaultHasher::new();
            hasher.write(key.as_bytes());
            start + (hasher.finish() % (end - start + 1) as u64) as i64
        })
    }

    fn observed(&self, moment: impl Fn(&str) -> i64) -> Vec<Vec<Version>> {
        let mut state = State::new();
        for ((time, key, action), number) in self.actions.iter().zip(1..) {
            if *time < moment(key) {
                self.apply(&mut state, *time, key, *action, number);
            }
        }
        let versions = state.into_values().filter(|versions| !versions.is_empty());
        versions.map(|versions| versions.into_iter().rev().collect()).collect()
    }

    /// Does it, and tells what was done if that was anything.
    fn apply(
        &self,
        state: &mut State,
        time: i64,
        key: &str,
        action: Action,
        number: u64,
    ) -> Option<(EventKind, Version)> {
        let versions = state.entry(key.to_owned()).or_default();
        let count = versions.len();
        let nth = |back: usize| count.checked_sub(1 + back % count.max(1));
        match action {
            Action::Put(size) => {
                let version = self.version(key, time, size, number);
                if !self.versioned {
                    versions.clear();
                }
                versions.push(version.clone());
                Some((EventKind::Create, version))
            }
            Action::Touch(back) => {
                let version = &mut versions[nth(back)?];
                if version.marker {
                    return None;
                }
                let class = if version.entry.class == "IA" { "Standard" } else { "IA" };
                class.clone_into(&mut version.entry.class);
                Some((EventKind::UpdateMetadata, version.clone()))
            }
            Action::Delete if self.versioned => {
                let marker = Version { marker: true, ..self.version(key, time, 0, number) };
                versions.push(marker.clone());
                Some((EventKind::Create, marker))
            }
            Action::Delete => versions.pop().map(|version| (EventKind::Delete, version)),
            Action::Remove(back) => {
                let version = versions.remove(nth(back)?);
                Some((EventKind::Delete, version))
            }
        }
    }

    fn version(&self, key: &str, time: i64, size: u64, number: u64) -> Version {
        let mut entry = Entry::new(key.as_bytes(), size, Timestamp::from_millis(time / 1000 * 1000))
            .with_etag(&*format!("{:032X}", u128::from(number) << 64 | u128::from(size)))
            .with_class("Standard");
        entry.version = self.versioned.then(|| format!("CAEQ{}", number * 7919 % 1000 * 100_000 + number));
        entry.flags = if number.is_multiple_of(3) { EntryFlags::MULTIPART } else { EntryFlags::ETAG_IS_MD5 };
        Version { entry, marker: false }
    }
}
