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

use std::sync::Arc;
use std::sync::Mutex;

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
    /// Objects read at once. Default 32.
    pub concurrency: usize,
    /// Bytes of objects in memory before they are packed. Default 64 MiB.
    pub buffer_bytes: usize,
    /// Objects longer than this, in bytes, are cut into chunks. Default 8 MiB.
    pub large_object_bytes: u64,
    /// Small objects share a block until it has this many bytes. Default 256 KiB.
    pub block_bytes: usize,
    /// A pack is closed when it has this many bytes. Default 64 MiB.
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
    job.progress.hopeless().map_or(Ok(()), Err)
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

impl Progress {
    pub(crate) fn new(observer: Arc<dyn Observer>, total: Tally) -> Self {
        Self { observer, total, state: Mutex::default() }
    }

    /// The counts so far: those of the copy, the others are zero.
    pub(crate) fn counters(&self) -> JobCounters {
        self.state().counters
    }

    pub(crate) fn copied(&self, key: &ObjectKey, planned: u64, read: u64) {
        self.state().counters.copied.add(read);
        self.observer.on_event(&Event::ObjectCopied { key, bytes: read });
        self.step(planned);
    }

    pub(crate) fn newer(&self, key: &ObjectKey, bytes: u64) {
        self.state().counters.newer.add(bytes);
        self.observer.on_event(&Event::ObjectNewer { key });
    }

    pub(crate) fn skipped(&self, key: &ObjectKey, planned: u64) {
        self.state().counters.skipped.add(planned);
        self.observer.on_event(&Event::ObjectSkipped { key, reason: "it changed since it was listed" });
        self.step(planned);
    }

    pub(crate) fn vanished(&self, key: &ObjectKey, planned: u64) {
        self.state().counters.vanished.add(planned);
        self.observer.on_event(&Event::ObjectVanished { key });
        self.step(planned);
    }

    pub(crate) fn archived(&self, key: &ObjectKey, bytes: u64) {
        self.state().counters.archived.add(bytes);
        self.observer.on_event(&Event::ObjectArchived { key });
    }

    pub(crate) fn deduplicated(&self, bytes: u64) {
        self.state().counters.deduplicated.add(bytes);
    }

    /// Counts a failed object. An error means that the job should stop.
    pub(crate) fn failed(&self, key: &ObjectKey, planned: u64, error: Error) -> Result<()> {
        self.observer.on_event(&Event::ObjectFailed { key, error: &error });
        self.step(planned);
        if matches!(error, Error::LocationNotFound { .. }) {
            return Err(error);
        }
        let mut state = self.state();
        state.counters.failed.add(planned);
        state.failures += 1;
        let systemic = matches!(error, Error::AccessDenied { .. } | Error::Unavailable { .. });
        if systemic && state.first_error.is_none() {
            state.first_error = Some(error);
        }
        let stop = state.failures >= HOPELESS_FAILURES && state.counters.copied.objects == 0;
        if stop { state.first_error.take().map_or(Ok(()), Err) } else { Ok(()) }
    }

    /// The error that kept every single object from being read, if so.
    fn hopeless(&self) -> Option<Error> {
        let mut state = self.state();
        let nothing = state.counters.copied.objects == 0 && state.counters.vanished.objects == 0;
        if nothing { state.first_error.take() } else { None }
    }

    fn step(&self, planned: u64) {
        let done = {
            let mut state = self.state();
            state.done.add(planned);
            state.done
        };
        self.observer.on_event(&Event::Progress { done, total: self.total });
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
