//! Change detection: what differs between two states, in whatever order they come.
//!
//! [`compare`] takes two [`Side`]s, each an inventory, a snapshot or nothing, and
//! gives a [`ChangeSet`]: exact counts, and every change in key order. Memory has
//! a ceiling at any number of rows. The order of input is never assumed:
//!
//! - Sides that ascend, file by file or in files that overlap a little, are merged
//!   while they are read, with nothing put down.
//! - Where one does not, equal rows are matched by hashes, some eight bytes for each row of
//!   one side in memory, or sixteen for each of both in temporary files, and only the others
//!   are sorted and compared.
//! - A side that stands alone or can't be read twice is sorted in temporary files.
//!
//! Which road is taken is found out by reading; the result is the same, since one
//! and the same merge decides every change on real keys. Each file here is one
//! stage: `input` looks and reads, `gate` lets rows in scope pass, `digest`, `table`,
//! `partition`, `matching`, `recent` and `sieve` find rows that may differ, `part`, `kway` and
//! `sort` walk in order, `merge` decides, `changes` keeps what was found, `roads`
//! leads through them, and `guards` judges the counts.
//!
//! Versions take the same roads: by the key and the version id as one, which `identity`
//! makes of them, and of what is found `versions` says what happened.

mod arena;
mod changes;
mod codec;
mod cursor;
mod digest;
mod equal;
mod feed;
mod gate;
mod guards;
mod identity;
mod input;
mod kway;
mod matching;
mod merge;
mod meter;
mod offset_code;
mod options;
mod part;
mod partition;
mod partitioned;
mod recent;
mod roads;
mod run;
mod scratch;
mod side;
mod sieve;
mod sort;
mod spool;
mod table;
mod unordered;
mod versions;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod version_tests;

pub use changes::{ChangeBatch, ChangeRef, ChangeSet, CompareWork};
pub use guards::Guards;
pub use options::CompareOptions;
pub use side::Side;

use stocktake_core::{Entropy, Error, Event, InventoryVersions, Observer, Result};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use digest::Digester;
use gate::Gate;
use input::Input;
use meter::SideMeter;
use options::Limits;
use roads::Comparison;
use scratch::Scratch;

/// Finds every change from `previous` to `current`.
///
/// Equal keys are judged by [`ChangeClass::between`](stocktake_core::ChangeClass::between).
/// Of rows of one key within a side, the one modified last is kept, among equally
/// late ones the one with the greater version id and ETag; the others are counted. Rows outside
/// the [path](CompareOptions::path) or refused by the [filter](CompareOptions::filter)
/// are left out of inventories, not of snapshots.
///
/// [All versions](CompareOptions::versions) of two inventories are compared by key and
/// version id, by the rules that [`ChangeClass`](stocktake_core::ChangeClass) states. Their
/// sides are matched by hashes, or sorted.
///
/// `entropy` keys the hashes that stand for rows while unordered sides are
/// matched: nobody who can name objects can make two of them pass for one.
/// `observer` gets [`Event::Compared`] as rows are read. Runs on the blocking
/// threads of the tokio runtime it is called in.
///
/// # Errors
/// - What reading a side gives: nothing is ever concluded from a part that did not end well.
/// - [`InventoryScopeMismatch`](Error::InventoryScopeMismatch): a key outside the stated prefix of its inventory.
/// - [`LocalStorage`](Error::LocalStorage): temporary files can't be written, as when the disk is full.
/// - [`Cancelled`](Error::Cancelled): `cancel` was cancelled.
///
/// # Cancel safety
/// Dropping the future stops the work soon after; temporary files vanish with it.
pub async fn compare(
    previous: Side,
    current: Side,
    options: &CompareOptions,
    entropy: &dyn Entropy,
    observer: &dyn Observer,
    cancel: &CancellationToken,
) -> Result<ChangeSet> {
    let limits = Limits::of(options.memory_bytes);
    compare_within(previous, current, options, limits, entropy, observer, cancel).await
}

async fn compare_within(
    previous: Side,
    current: Side,
    options: &CompareOptions,
    limits: Limits,
    entropy: &dyn Entropy,
    observer: &dyn Observer,
    cancel: &CancellationToken,
) -> Result<ChangeSet> {
    let cancel = cancel.child_token();
    // Cancels the workers when this future is dropped.
    let _stop = cancel.clone().drop_guard();
    let (progress, rows_read) = watch::channel(0);
    let runtime = Handle::current();
    let versions = compared_versions(&previous, &current, options);
    let all = versions == InventoryVersions::All;
    let input = |side: Side, meter: SideMeter| {
        let (gate, meter) = (Gate::for_side(&side, options, all), meter.with_versions(all));
        Input { side, gate, meter, runtime: runtime.clone(), cancel: cancel.clone() }
    };
    let comparison = Comparison {
        previous: input(previous, SideMeter::default()),
        current: input(current, SideMeter::reporting(progress)),
        limits,
        digester: Digester::new(entropy, limits.key_hash_mask),
        scratch: Scratch::new(options.temp_folder.clone()),
        cancel: cancel.clone(),
        versions,
    };
    let worker = tokio::task::spawn_blocking(move || comparison.run());
    let finished = report_until_done(worker, rows_read, observer).await;
    finished.unwrap_or_else(|error| match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => Err(Error::Cancelled),
    })
}

/// Which versions are compared: all if they are wanted, and both sides tell of them.
fn compared_versions(previous: &Side, current: &Side, options: &CompareOptions) -> InventoryVersions {
    let told = previous.tells_versions() && current.tells_versions();
    if told { options.versions } else { InventoryVersions::Current }
}

/// Tells the observer how many rows have been read until `worker` is done. The
/// observer is borrowed, so the worker can't call it from its thread.
async fn report_until_done<T>(
    mut worker: tokio::task::JoinHandle<T>,
    mut rows_read: watch::Receiver<u64>,
    observer: &dyn Observer,
) -> Result<T, tokio::task::JoinError> {
    loop {
        tokio::select! {
            biased;
            result = &mut worker => return result,
            Ok(()) = rows_read.changed() => {
                let rows = *rows_read.borrow_and_update();
                observer.on_event(&Event::Compared { rows });
            }
        }
    }
}
