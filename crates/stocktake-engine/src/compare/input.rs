//! A side with all that reading it needs, and a first look at its order.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::TryStreamExt;
use futures::stream::BoxStream;
use stocktake_core::{EntryBatch, Error, KeyFilter, Result};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::cursor::Stop;
use super::feed::Feed;
use super::gate::{Gate, admit};
use super::kway::{KWay, Waiting};
use super::meter::SideMeter;
use super::part::PartCursor;
use super::side::Side;

/// Batches decoded ahead of a worker that takes them in bursts: a mebibyte each.
const BATCHES_AHEAD: usize = 2;

/// A side, ready to be read by worker threads.
#[derive(Clone, Debug)]
pub(super) struct Input {
    pub(super) side: Side,
    pub(super) gate: Option<Gate>,
    pub(super) meter: SideMeter,
    pub(super) runtime: Handle,
    pub(super) cancel: CancellationToken,
}

/// The parts of a side that seem to ascend, each with a key that none of its rows precedes.
#[derive(Clone, Debug)]
pub(super) struct Ascending(Vec<(Vec<u8>, usize)>);

impl Input {
    /// Begins to read a part.
    pub(super) fn feed(&self, part: usize) -> Feed {
        // Many parts may be open at once.
        Feed::open(self.read(part), 1, &self.runtime, &self.cancel)
    }

    fn read(&self, part: usize) -> BoxStream<'static, Result<EntryBatch>> {
        if self.reads_versions() { self.side.read_versions(part) } else { self.side.read(part) }
    }

    fn reads_versions(&self) -> bool {
        self.gate.as_ref().is_some_and(|gate| gate.versions)
    }

    /// Begins to read a part of which few are open, as fast as it can be decoded.
    fn feed_ahead(&self, batches: BoxStream<'static, Result<EntryBatch>>) -> Feed {
        Feed::open(batches, BATCHES_AHEAD, &self.runtime, &self.cancel)
    }

    /// Hands every batch to `each`, with the rows that take part: part after part, or with
    /// several open in turn, so that they are decoded at once.
    pub(super) fn for_each_batch(
        &self,
        parts_at_once: usize,
        mut each: impl FnMut(EntryBatch) -> Result<()>,
    ) -> Result<()> {
        let admitted = |batch| each(admit(self.gate.as_ref(), batch, &self.meter)?);
        self.for_each(parts_at_once, |part| self.feed_ahead(self.read(part)), admitted)
    }

    /// Hands the rows that take part and whose keys are wanted to `each`. `wanted` is
    /// asked about the keys of all rows that take part.
    pub(super) fn for_each_wanted(
        &self,
        parts_at_once: usize,
        wanted: &KeyFilter,
        mut each: impl FnMut(EntryBatch) -> Result<()>,
    ) -> Result<()> {
        if self.gate.as_ref().is_none_or(Gate::is_open) {
            let feed = |part| self.feed_ahead(self.side.read_wanted(part, Arc::clone(wanted)));
            return self.for_each(parts_at_once, feed, each);
        }
        // Whether a row takes part may depend on more than its key.
        self.for_each_batch(parts_at_once, |batch| each(batch.filter(&wanted(&batch.columns().keys))))
    }

    fn for_each(
        &self,
        parts_at_once: usize,
        feed: impl Fn(usize) -> Feed,
        mut each: impl FnMut(EntryBatch) -> Result<()>,
    ) -> Result<()> {
        let mut parts = 0..self.side.parts();
        let mut open: VecDeque<_> = parts.by_ref().take(parts_at_once).map(&feed).collect();
        while let Some(mut next) = open.pop_front() {
            if let Some(batch) = next.next()? {
                each(batch)?;
                open.push_back(next);
            } else {
                open.extend(parts.next().map(&feed));
            }
        }
        Ok(())
    }

    /// Looks at the beginning of every part; `None` when one does not ascend there.
    ///
    /// A side of one part is taken at its word: disorder shows soon enough. Of
    /// several, the first keys are needed, so that parts are opened in turn.
    /// Holds one key for each part. Versions are in no order that counts: identities are
    /// ordered by version ids, which no inventory is.
    pub(super) fn look(&self) -> Result<Option<Ascending>> {
        if self.reads_versions() {
            return Ok(None);
        }
        if self.side.parts() == 1 {
            return Ok(Some(Ascending(vec![(Vec::new(), 0)])));
        }
        let looked = async {
            tokio::select! {
                () = self.cancel.cancelled() => Err(Error::Cancelled),
                parts = look_into(&self.side) => parts,
            }
        };
        self.runtime.block_on(looked)
    }

    /// The error of a side that gave other rows when it was read again.
    pub(super) fn read_otherwise(&self) -> Error {
        let problem = "it gave other rows when it was read again".to_owned();
        match &self.side {
            Side::Inventory(inventory) => {
                Error::InventoryCorrupt { inventory: inventory.info().location.clone(), problem }
            }
            Side::Snapshot(_) | Side::Nothing => {
                Error::invalid(format!("against the contract of a snapshot, {problem}"))
            }
        }
    }

    /// Walks through parts that seem to ascend, opening each when its first key is reached.
    pub(super) fn walk(&self, parts: &Ascending, fan_in: usize) -> Result<KWay<PartCursor>, Stop> {
        let waiting = parts.0.iter().map(|(first_key, part)| {
            let (input, part) = (self.clone(), *part);
            let open = move || PartCursor::open(input.feed(part), input.gate, input.meter);
            Waiting { first_key: first_key.clone(), open: Box::new(open) }
        });
        KWay::open(waiting.collect(), fan_in, self.meter.clone())
    }
}

async fn look_into(side: &Side) -> Result<Option<Ascending>> {
    let mut ascending = Vec::new();
    // One after the other: every part that is open costs what its reader buffers.
    for part in 0..side.parts() {
        let Some(batch) = first_batch(side, part).await? else { continue };
        if !batch.columns().keys.iter().is_sorted() {
            return Ok(None);
        }
        ascending.push((batch.key(0).to_vec(), part));
    }
    Ok(Some(Ascending(ascending)))
}

/// The first batch of a part that has rows.
async fn first_batch(side: &Side, part: usize) -> Result<Option<EntryBatch>> {
    let mut batches = side.read(part);
    while let Some(batch) = batches.try_next().await? {
        if !batch.is_empty() {
            return Ok(Some(batch));
        }
    }
    Ok(None)
}
