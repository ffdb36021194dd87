//! What happened to versions.
//!
//! The merge brings the rows of both sides together by their
//! [identities](super::identity): first the heads of a key, which say what its latest
//! version was and is, then its versions. Where both heads are equal, or no head comes
//! because equal rows were passed over, the latest version is the same on both sides.

use stocktake_core::{BATCH_ROWS, ChangeClass, ChangeCounts, EntryFlags, EntryRef, Result};

use super::changes::{ChangeBatch, ChangeRef, ChangeWriter};
use super::identity::{Kind, restored, take_apart, version_id};
use super::merge::Judge;

/// Changes that are held before they are written in order. Those of one key are not parted unless they are more.
const CHANGES_HELD: usize = BATCH_ROWS;

/// Writes changes of versions, newest first within a key, and counts them.
#[derive(Debug)]
pub(super) struct VersionJudge {
    counts: ChangeCounts,
    changes: ChangeWriter,
    held: ChangeBatch,
    /// Of the last key whose latest version is not the same on both sides.
    heads: Option<Heads>,
    key: Vec<u8>,
}

/// The latest versions of a key, which are not the same on both sides.
#[derive(Debug)]
struct Heads {
    key: Vec<u8>,
    previous: Option<Latest>,
    current: Option<Latest>,
}

#[derive(Debug)]
struct Latest {
    version: String,
    is_delete_marker: bool,
}

impl VersionJudge {
    pub(super) fn new(changes: ChangeWriter) -> Self {
        Self { counts: ChangeCounts::default(), changes, held: ChangeBatch::default(), heads: None, key: Vec::new() }
    }

    /// The counts, and the writer of the changes with all of them in it.
    pub(super) fn finish(mut self) -> Result<(ChangeCounts, ChangeWriter)> {
        self.write_held()?;
        Ok((self.counts, self.changes))
    }

    fn hold(&mut self, change: &ChangeRef<'_>) -> Result<()> {
        let begins_key = self.held.len().checked_sub(1).is_some_and(|last| self.held.get(last).key() != change.key());
        if self.held.len() >= if begins_key { CHANGES_HELD / 2 } else { CHANGES_HELD } {
            self.write_held()?;
        }
        self.counts.class_mut(change.class).add(change.entry().size);
        self.held.push(change)
    }

    fn write_held(&mut self) -> Result<()> {
        let held = std::mem::take(&mut self.held);
        let mut order: Vec<_> = held.iter().collect();
        order.sort_by(|a, b| a.key().cmp(b.key()).then_with(|| a.entry().version_order(&b.entry())));
        order
            .iter()
            .try_for_each(|change| self.changes.push(change.class, change.previous.as_ref(), change.current.as_ref()))
    }
}

impl Judge for VersionJudge {
    fn judge(&mut self, previous: Option<&EntryRef<'_>>, current: Option<&EntryRef<'_>>) -> Result<()> {
        let Some(row) = current.or(previous) else { return Ok(()) };
        let mut key = std::mem::take(&mut self.key);
        let kind = take_apart(row.key, &mut key);
        if kind == Kind::Head {
            self.heads = Heads::of(&key, previous, current);
        } else {
            let heads = self.heads.as_ref().filter(|heads| heads.key == key);
            let (previous, current) = (previous.map(|row| restored(row, &key)), current.map(|row| restored(row, &key)));
            if let Some(change) = change(heads, previous, current) {
                self.hold(&change)?;
            }
        }
        self.key = key;
        Ok(())
    }
}

impl Heads {
    /// The heads of a key; `None` where they are equal.
    fn of(key: &[u8], previous: Option<&EntryRef<'_>>, current: Option<&EntryRef<'_>>) -> Option<Self> {
        if let (Some(before), Some(now)) = (previous, current) {
            ChangeClass::between(before, now)?;
        }
        let latest = |head: &EntryRef<'_>| Latest {
            version: version_id(head).to_owned(),
            is_delete_marker: head.flags.is_delete_marker(),
        };
        Some(Self { key: key.to_vec(), previous: previous.map(latest), current: current.map(latest) })
    }
}

/// What happened to a version, if anything did.
fn change<'a>(
    heads: Option<&Heads>,
    previous: Option<EntryRef<'a>>,
    current: Option<EntryRef<'a>>,
) -> Option<ChangeRef<'a>> {
    let differs = match (&previous, &current) {
        (Some(before), Some(now)) => before.flags.is_latest() != now.flags.is_latest() || is_another(before, now),
        _ => true,
    };
    if !differs {
        return None;
    }
    // Of several that are said to be the latest, one is.
    let previous = previous.map(|row| with_flags_by(heads.and_then(|heads| heads.previous.as_ref()), row));
    let current = current.map(|row| with_flags_by(heads.and_then(|heads| heads.current.as_ref()), row));
    let class = match (&previous, &current) {
        (_, None) => ChangeClass::Deleted,
        (None, Some(now)) => new_version(heads, now),
        (Some(before), Some(now)) if before.flags.is_delete_marker() != now.flags.is_delete_marker() => {
            new_version(heads, now)
        }
        (Some(before), Some(now)) => same_version(heads, before, now)?,
    };
    Some(ChangeRef { class, current, previous })
}

/// Whether a version is not what it was: its facts differ, or it was a delete marker, or is one now.
fn is_another(before: &EntryRef<'_>, now: &EntryRef<'_>) -> bool {
    before.flags.is_delete_marker() != now.flags.is_delete_marker() || ChangeClass::between(before, now).is_some()
}

/// The class of a version that was not there before, or was something else under the same id.
fn new_version(heads: Option<&Heads>, now: &EntryRef<'_>) -> ChangeClass {
    if now.flags.is_delete_marker() {
        return ChangeClass::DeleteMarker;
    }
    // Where the latest version is the same on both sides, there is one.
    let Some(heads) = heads else { return ChangeClass::VersionAdded };
    match &heads.previous {
        Some(latest) if latest.is_delete_marker && now.flags.is_latest() => ChangeClass::Recreated,
        Some(_) => ChangeClass::VersionAdded,
        None => ChangeClass::Added,
    }
}

/// The class of a version that was an object and is one, or was a delete marker and is one, and differs.
fn same_version(heads: Option<&Heads>, before: &EntryRef<'_>, now: &EntryRef<'_>) -> Option<ChangeClass> {
    let was_latest = heads.and_then(|heads| heads.previous.as_ref());
    let is_latest = heads.and_then(|heads| heads.current.as_ref());
    if now.flags.is_delete_marker() {
        let was_live = was_latest.is_some_and(|latest| !latest.is_delete_marker);
        return (now.flags.is_latest() && was_live).then_some(ChangeClass::DeleteMarker);
    }
    if now.flags.is_latest() && was_latest.is_none_or(|latest| latest.is_delete_marker) {
        return Some(ChangeClass::Recreated);
    }
    if before.flags.is_latest() && is_latest.is_none() {
        return Some(ChangeClass::DeleteMarker);
    }
    ChangeClass::between(before, now)
}

/// A row that is the latest version only if it is this one.
fn with_flags_by<'a>(latest: Option<&Latest>, row: EntryRef<'a>) -> EntryRef<'a> {
    let is_latest = latest.is_some_and(|latest| latest.version == version_id(&row));
    let flags = if is_latest { row.flags } else { row.flags.with(EntryFlags::NONCURRENT) };
    EntryRef { flags, ..row }
}
