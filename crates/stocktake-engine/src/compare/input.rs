//! A side with all that reading it needs, and a first look at its order.

use std::collections::VecDeque;

use futures::TryStreamExt;
use stocktake_core::{EntryBatch, Error, Result};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::cursor::Stop;
use super::feed::Feed;
use super::gate::{Gate, admit};
use super::kway::{KWay, Waiting};
use super::meter::SideMeter;
use super::part::PartCursor;
use super::side::Side;

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
        Feed::open(self.side.read(part), &self.runtime, &self.cancel)
    }

    /// Hands every batch to `each`, with the rows that take part: part after part, or with
    /// several open in turn, so that they are decoded at once.
    pub(super) fn for_each_batch(
        &self,
        parts_at_once: usize,
        mut each: impl FnMut(EntryBatch) -> Result<()>,
    ) -> Result<()> {
        let mut parts = 0..self.side.parts();
        let mut open: VecDeque<_> = parts.by_ref().take(parts_at_once).map(|part| self.feed(part)).collect();
        while let Some(mut feed) = open.pop_front() {
            if let Some(batch) = feed.next()? {
                each(admit(self.gate.as_ref(), batch, &self.meter)?)?;
                open.push_back(feed);
            } else {
                open.extend(parts.next().map(|part| self.feed(part)));
            }
        }
        Ok(())
    }

    /// Looks at the beginning of every part; `None` when one does not ascend there.
    ///
    /// A side of one part is taken at its word: disorder shows soon enough. Of
    /// several, the first keys are needed, so that parts are opened in turn.
    /// Holds one key for each part.
    pub(super) fn look(&self) -> Result<Option<Ascending>> {
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
