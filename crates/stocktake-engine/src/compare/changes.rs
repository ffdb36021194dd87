//! The result of a comparison: exact counts, and the changes in key order.
//!
//! Changes are kept compactly, in memory while they are few and in a temporary
//! file when they are many, so they can be counted before anything is done and
//! walked as often as needed.

use std::sync::Arc;

use futures::stream::{self, BoxStream};
use stocktake_core::{Change, ChangeClass, ChangeCounts, EntryBatch, EntryRef, Error, InventoryVersions, Result};

use super::codec::{Taker, put_key, put_tail};
use super::spool::{Spool, SpoolWriter};

/// What differs between two states.
#[derive(Clone, Debug)]
pub struct ChangeSet {
    counts: ChangeCounts,
    versions: InventoryVersions,
    work: CompareWork,
    spool: Arc<Spool>,
}

impl ChangeSet {
    pub(super) fn new(counts: ChangeCounts, versions: InventoryVersions, work: CompareWork, spool: Spool) -> Self {
        Self { counts, versions, work, spool: Arc::new(spool) }
    }

    /// Exact counts of all classes.
    pub fn counts(&self) -> &ChangeCounts {
        &self.counts
    }

    /// What was compared: all versions, or current objects. Where all versions were wanted and a
    /// side does not tell of them, it is current objects.
    pub fn versions(&self) -> InventoryVersions {
        self.versions
    }

    /// What the comparison took.
    pub fn work(&self) -> &CompareWork {
        &self.work
    }

    /// Number of changes.
    pub fn len(&self) -> u64 {
        self.spool.rows()
    }

    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Streams the changes in ascending key order. May be called any number of
    /// times, also at once; the changes stay until the last stream is dropped.
    ///
    /// Changes of versions of one key come [newest first](EntryRef::version_order): all of
    /// them, or if there are more than 8,192, some thousands at a time.
    ///
    /// A batch holds at most [`BATCH_ROWS`](stocktake_core::BATCH_ROWS) changes
    /// and is read when it is asked for. Needs a tokio runtime.
    ///
    /// # Errors
    /// In the stream: [`LocalStorage`](Error::LocalStorage) when the temporary file can't be read back. It then ends.
    pub fn changes(&self) -> BoxStream<'static, Result<ChangeBatch>> {
        Box::pin(stream::try_unfold((Arc::clone(&self.spool), 0_u64), |(spool, offset)| async move {
            let reader = Arc::clone(&spool);
            let read = tokio::task::spawn_blocking(move || read_batch(&reader, offset));
            let batch = match read.await {
                Ok(batch) => batch?,
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                Err(_) => return Err(Error::Cancelled),
            };
            Ok(batch.map(|(batch, offset)| (batch, (spool, offset))))
        }))
    }
}

/// What a comparison took, for reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompareWork {
    /// Bytes written to temporary files, the changes among them.
    pub spilled_bytes: u64,
    /// How often a side was found out of order after reading had begun, so that it was read anew.
    pub restarts: u32,
    /// Whether the sides were matched by hashes first, since one was not in order.
    pub matched_by_hash: bool,
    /// Rows that filters left out, on both sides.
    pub filtered_rows: u64,
}

/// A batch of changes in columns, ascending by key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeBatch {
    // INVARIANT: `places` has an element for each of `classes`, and at least one of its sides.
    classes: Vec<ChangeClass>,
    places: Vec<Places>,
    current: EntryBatch,
    previous: EntryBatch,
}

/// Which rows of `current` and `previous` a change has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Places {
    current: Option<u32>,
    previous: Option<u32>,
}

impl ChangeBatch {
    /// Number of changes.
    pub fn len(&self) -> usize {
        self.classes.len()
    }

    /// Whether there is no change.
    pub fn is_empty(&self) -> bool {
        self.classes.is_empty()
    }

    /// The class of each change.
    pub fn classes(&self) -> &[ChangeClass] {
        &self.classes
    }

    /// The entries as they are now, of those changes that have one, in order.
    pub fn current(&self) -> &EntryBatch {
        &self.current
    }

    /// The entries as they were, of those changes that have one, in order.
    pub fn previous(&self) -> &EntryBatch {
        &self.previous
    }

    /// The change at `index`.
    ///
    /// # Panics
    /// When `index` is out of range.
    pub fn get(&self, index: usize) -> ChangeRef<'_> {
        let Places { current, previous } = self.places[index];
        ChangeRef {
            class: self.classes[index],
            current: current.map(|row| self.current.get(row as usize)),
            previous: previous.map(|row| self.previous.get(row as usize)),
        }
    }

    /// All changes in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = ChangeRef<'_>> {
        (0..self.len()).map(|index| self.get(index))
    }

    /// Appends a change. Keys are to ascend; this is not checked.
    ///
    /// # Errors
    /// [`InvalidInput`](Error::InvalidInput) for a change without a side, or as [`EntryBatch::push`].
    pub fn push(&mut self, change: &ChangeRef<'_>) -> Result<()> {
        let ChangeRef { class, current, previous } = change;
        if current.is_none() && previous.is_none() {
            return Err(Error::invalid("a change without an entry on either side"));
        }
        let place = |batch: &mut EntryBatch, entry: &Option<EntryRef<'_>>| {
            let row = u32::try_from(batch.len()).map_err(|_| Error::invalid("a batch of more than 4 billion rows"))?;
            entry.map(|entry| batch.push(&entry).map(|()| row)).transpose()
        };
        let current = place(&mut self.current, current)?;
        let previous = place(&mut self.previous, previous)?;
        self.classes.push(*class);
        self.places.push(Places { current, previous });
        Ok(())
    }
}

/// A view of a change inside a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangeRef<'a> {
    /// What happened.
    pub class: ChangeClass,
    /// The entry now; `None` when it is no longer there.
    pub current: Option<EntryRef<'a>>,
    /// The entry before; `None` when it was not there.
    pub previous: Option<EntryRef<'a>>,
}

impl<'a> ChangeRef<'a> {
    /// The entry now, or else the one before.
    pub fn entry(&self) -> EntryRef<'a> {
        self.current.or(self.previous).expect("a change has a side")
    }

    /// The key.
    pub fn key(&self) -> &'a [u8] {
        self.entry().key
    }

    /// A copy that owns its parts.
    pub fn to_change(&self) -> Change {
        let Self { class, current, previous } = self;
        Change {
            class: *class,
            current: current.as_ref().map(EntryRef::to_entry),
            previous: previous.as_ref().map(EntryRef::to_entry),
        }
    }
}

/// Takes changes in key order and keeps them.
#[derive(Debug)]
pub(super) struct ChangeWriter {
    spool: SpoolWriter,
    last_key: Vec<u8>,
}

impl ChangeWriter {
    pub(super) fn new(spool: SpoolWriter) -> Self {
        Self { spool, last_key: Vec::new() }
    }

    /// Takes a change. At least one side is there.
    pub(super) fn push(
        &mut self,
        class: ChangeClass,
        previous: Option<&EntryRef<'_>>,
        current: Option<&EntryRef<'_>>,
    ) -> Result<()> {
        if self.spool.at_frame_start() {
            self.last_key.clear();
        }
        let key = current.or(previous).expect("a change has a side").key;
        let frame = self.spool.frame();
        frame.push(head_byte(class, previous.is_some(), current.is_some()));
        put_key(frame, &self.last_key, key);
        for entry in [current, previous].into_iter().flatten() {
            put_tail(frame, entry);
        }
        self.last_key.clear();
        self.last_key.extend_from_slice(key);
        self.spool.row_done()
    }

    /// All changes, ready to be read.
    pub(super) fn finish(self) -> Result<Spool> {
        self.spool.finish()
    }
}

/// The place of a class among all, and which sides the change has.
fn head_byte(class: ChangeClass, has_previous: bool, has_current: bool) -> u8 {
    let place = ChangeClass::ALL.iter().position(|known| *known == class);
    let place = place.and_then(|place| u8::try_from(place).ok()).expect("ALL holds every class");
    place << 2 | u8::from(has_previous) << 1 | u8::from(has_current)
}

/// Reads and decodes the frame at `offset`; also where the next one begins.
fn read_batch(spool: &Spool, mut offset: u64) -> Result<Option<(ChangeBatch, u64)>> {
    let mut frame = Vec::new();
    let Some(rows) = spool.read_frame(&mut offset, &mut frame)? else { return Ok(None) };
    let (mut batch, mut key, mut taker) = (ChangeBatch::default(), Vec::new(), Taker(&frame));
    for _ in 0..rows {
        let change = take_change(&mut taker, &mut key).ok_or_else(|| spool.undecodable())?;
        batch.push(&change)?;
    }
    Ok(Some((batch, offset)))
}

fn take_change<'k, 'a: 'k>(taker: &mut Taker<'a>, key: &'k mut Vec<u8>) -> Option<ChangeRef<'k>> {
    let head = taker.byte()?;
    let class = *ChangeClass::ALL.get(usize::from(head >> 2))?;
    taker.key(key)?;
    let current = if head & 1 == 0 { None } else { Some(taker.tail(key)?) };
    let previous = if head & 2 == 0 { None } else { Some(taker.tail(key)?) };
    Some(ChangeRef { class, current, previous })
}
