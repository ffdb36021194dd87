//! Copies what changed from the source into packs, and hands the rows to the catalog.
//!
//! Four stages run side by side, joined by short queues, and every one keeps key
//! order:
//!
//! ```text
//! fetch     one conditional GET an object, many at once      bytes + hash
//! assemble  neighbours into blocks, large objects into chunks, both compressed on other threads
//! pack      blocks sealed and placed; now rows know where their bytes are
//! upload    packs verified, then created; their rows go to the catalog writer
//! ```
//! A row reaches the catalog only after the pack that holds its bytes is durable.
//!
//! **Bound.** In memory at once are: [`CopyOptions::buffer_bytes`] of objects being
//! fetched or waiting, one block for each compressing thread, one pack being
//! filled and two being uploaded, and the rows of those.

mod assemble;
mod decide;
mod fetch;
mod large;
mod pack;
mod upload;

use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};

use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};
use stocktake_core::{
    Change, Error, Event, JobCounters, JobId, ObjectKey, Observer, Result, Row, Snapshot, SnapshotWriter, Source,
    Tally, Vault,
};
use stocktake_format::VaultKey;
use tokio_util::sync::CancellationToken;

use crate::Meter;

pub use decide::is_archive_class;
pub(crate) use decide::{Outlook, outlook};

/// How objects are copied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct CopyOptions {
    /// Objects read at once, 1 to 4,096. Default 32.
    pub concurrency: usize,
    /// Bytes of objects in memory before they are packed. At least a large object, a block and 4 MiB; default 64 MiB.
    pub buffer_bytes: usize,
    /// Objects longer than this, in bytes, are cut into chunks. At most 64 MiB; default 8 MiB.
    pub large_object_bytes: u64,
    /// Small objects share a block until it has this many bytes. At most 64 MiB; default 256 KiB.
    pub block_bytes: usize,
    /// A pack is closed when it has this many bytes. At most 1 GiB; default 64 MiB.
    pub pack_bytes: usize,
    /// Zstandard level of blocks. Default 1, which takes half the time of 3 for some hundredths more of bytes.
    pub zstd_level: i32,
    /// What to do with an object that changed since the inventory. Default: store it, marked.
    pub on_changed: OnChanged,
    /// What to do with an object in an archive class. Default: list it without bytes.
    pub on_archived: OnArchived,
}

impl Default for CopyOptions {
    fn default() -> Self {
        Self {
            concurrency: 32,
            buffer_bytes: 64 << 20,
            large_object_bytes: 8 << 20,
            block_bytes: 256 << 10,
            pack_bytes: 64 << 20,
            zstd_level: 1,
            on_changed: OnChanged::Newer,
            on_archived: OnArchived::Skip,
        }
    }
}

impl CopyOptions {
    /// Refuses what the vault's format can't hold, or memory should not.
    pub(crate) fn check(&self) -> Result<()> {
        let Self { concurrency, buffer_bytes, large_object_bytes, block_bytes, pack_bytes, .. } = *self;
        let within = |name: &str, value: u64, range: RangeInclusive<u64>| {
            let problem = || format!("{name} is {value}, and can be {} to {}", range.start(), range.end());
            if range.contains(&value) { Ok(()) } else { Err(Error::invalid(problem())) }
        };
        within("concurrency", concurrency as u64, 1..=4096)?;
        within("large_object_bytes", large_object_bytes, 0..=64 << 20)?;
        within("block_bytes", block_bytes as u64, 0..=64 << 20)?;
        within("pack_bytes", pack_bytes as u64, 0..=1 << 30)?;
        // Members of a block that is not full keep their share while the next object waits for its own.
        let least = large_object_bytes + block_bytes as u64 + 1024 * assemble::MAX_MEMBERS as u64;
        within("buffer_bytes", buffer_bytes as u64, least..=u64::MAX)
    }
}

/// What to do with an object that is no longer the version the inventory lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnChanged {
    /// Read it once more as it is now, and mark the row as newer than the inventory.
    Newer,
    /// Leave the row as it was in the parent snapshot, if it was there.
    Skip,
    /// Count it as failed.
    Fail,
}

/// What to do with an object whose class can't be read without a thaw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnArchived {
    /// Keep its row, without bytes, and count it as archived.
    Skip,
    /// Count it as failed.
    Fail,
}

/// Everything the stages share.
pub(crate) struct CopyJob {
    pub job: JobId,
    pub source: Arc<dyn Source>,
    pub vault: Arc<dyn Vault>,
    pub key: Arc<VaultKey>,
    pub parent: Option<Arc<dyn Snapshot>>,
    pub options: CopyOptions,
    pub meter: Meter,
    pub cancel: CancellationToken,
    pub progress: Progress,
}

/// Copies every change, and applies the rows to `writer`.
///
/// Objects that fail are counted and reported, and do not stop the job, unless
/// nothing at all can be read.
pub(crate) async fn copy(
    job: Arc<CopyJob>,
    changes: BoxStream<'static, Result<Vec<Change>>>,
    writer: &mut dyn SnapshotWriter,
) -> Result<()> {
    let (fetched_in, fetched_out) = tokio::sync::mpsc::channel(job.options.concurrency.max(1));
    let (blocks_in, blocks_out) = tokio::sync::mpsc::channel(parallelism());
    let (packs_in, packs_out) = tokio::sync::mpsc::channel(1);
    let stages = async {
        tokio::try_join!(
            fetch::run(&job, changes, fetched_in),
            assemble::run(&job, fetched_out, blocks_in),
            pack::run(&job, blocks_out, packs_in),
            upload::run(packs_out, writer),
        )
    };
    tokio::select! {
        biased;
        () = job.cancel.cancelled() => return Err(Error::Cancelled),
        done = stages => { done?; }
    }
    job.progress.hopeless(job.parent.is_some()).map_or(Ok(()), Err)
}

/// A row to be applied: what the parent has at the key, and what the new snapshot gets.
#[derive(Debug, Default)]
pub(crate) struct RowOp {
    pub previous: Option<Row>,
    pub put: Option<Row>,
}

/// Threads that compress at once.
pub(crate) fn parallelism() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

/// Counts what the stages do, and tells the observer.
pub(crate) struct Progress {
    observer: Arc<dyn Observer>,
    total: Tally,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    counters: JobCounters,
    done: Tally,
    failures: u64,
    first_error: Option<Error>,
}

/// After so many failures with no success, the source as a whole is out of reach.
const HOPELESS_FAILURES: u64 = 200;
/// So many objects may be denied, with no other read, before the source as a whole is taken to deny.
const DENIED_ALONE: u64 = 10;

impl Progress {
    pub(crate) fn new(observer: Arc<dyn Observer>, total: Tally) -> Self {
        Self { observer, total, state: Mutex::default() }
    }

    /// The counts so far: those of the copy, the others are zero.
    pub(crate) fn counters(&self) -> JobCounters {
        self.state().counters
    }

    pub(crate) fn copied(&self, key: &ObjectKey, bytes: u64) {
        self.state().counters.copied.add(bytes);
        self.observer.on_event(&Event::ObjectCopied { key, bytes });
    }

    pub(crate) fn newer(&self, key: &ObjectKey, bytes: u64) {
        self.state().counters.newer.add(bytes);
        self.observer.on_event(&Event::ObjectNewer { key });
    }

    pub(crate) fn skipped(&self, key: &ObjectKey, bytes: u64) {
        self.state().counters.skipped.add(bytes);
        self.observer.on_event(&Event::ObjectSkipped { key, reason: "it changed since it was listed" });
    }

    pub(crate) fn vanished(&self, key: &ObjectKey, bytes: u64) {
        self.state().counters.vanished.add(bytes);
        self.observer.on_event(&Event::ObjectVanished { key });
    }

    pub(crate) fn archived(&self, key: &ObjectKey, bytes: u64) {
        self.state().counters.archived.add(bytes);
        self.observer.on_event(&Event::ObjectArchived { key });
    }

    pub(crate) fn deduplicated(&self, bytes: u64) {
        self.state().counters.deduplicated.add(bytes);
    }

    /// Counts a failed object. An error means that the job should stop.
    pub(crate) fn failed(&self, key: &ObjectKey, bytes: u64, error: Error) -> Result<()> {
        self.observer.on_event(&Event::ObjectFailed { key, error: &error });
        if matches!(error, Error::LocationNotFound { .. }) {
            return Err(error);
        }
        let mut state = self.state();
        state.counters.failed.add(bytes);
        state.failures += 1;
        let systemic = matches!(error, Error::AccessDenied { .. } | Error::Unavailable { .. });
        if systemic && state.first_error.is_none() {
            state.first_error = Some(error);
        }
        let stop = state.failures >= HOPELESS_FAILURES && state.counters.copied.objects == 0;
        if stop { state.first_error.take().map_or(Ok(()), Err) } else { Ok(()) }
    }

    /// The error that kept every single object from being read, if so.
    ///
    /// On a quiet day a few objects may be all there is to read: that they are denied says nothing of the source.
    fn hopeless(&self, has_parent: bool) -> Option<Error> {
        let mut state = self.state();
        let nothing = state.counters.copied.objects == 0 && state.counters.vanished.objects == 0;
        let denied = matches!(state.first_error, Some(Error::AccessDenied { .. }));
        let their_own = has_parent && denied && state.failures <= DENIED_ALONE;
        if nothing && !their_own { state.first_error.take() } else { None }
    }

    /// Whether there were objects to read, and every one was gone.
    pub(crate) fn all_vanished(&self) -> bool {
        let JobCounters { copied, newer, archived, failed, skipped, vanished, .. } = self.state().counters;
        let met = [copied, newer, archived, failed, skipped].iter().any(|tally| tally.objects > 0);
        vanished.objects > 0 && !met
    }

    /// One object is settled that was planned to be read for so many bytes. Some are read that were not foreseen, so
    /// what is done is never told to be more than the total.
    pub(crate) fn step(&self, planned: u64) {
        let done = {
            let mut state = self.state();
            state.done.add(planned);
            state.done
        };
        let total = self.total;
        let done = Tally { objects: done.objects.min(total.objects), bytes: done.bytes.min(total.bytes) };
        self.observer.on_event(&Event::Progress { done, total: Some(total) });
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
