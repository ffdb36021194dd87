//! Decisions about jobs, read and made.
//!
//! A slot is created once, by the job that commits or by whoever aborts it, and
//! never changes; so what was read once need not be read again.
//!
//! One blob that can't be read must not take the others with it: such a slot is
//! left out of the list and such a mark expires nothing, both are warned of, and
//! a check of the catalog names them. So whoever may create blobs but has no key
//! can't hide a snapshot. Names that are no job's id are none of ours.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::stream::{self, StreamExt, TryStreamExt};
use stocktake_core::{Error, JobId, Result, SnapshotId, SnapshotRecord};
use stocktake_format::{Expiry, FormatError, Slot, names};

use crate::store::{Store, pause};

/// How many slots are read at once.
const READS: usize = 16;

/// No slot or mark is longer, in bytes.
const MAX_BYTES: u64 = 16 << 20;

/// How often a commit of unknown outcome is looked into and repeated.
const ATTEMPTS: u32 = 6;

/// The slots of a vault. What was read is kept: one record a snapshot.
#[derive(Debug)]
pub(crate) struct Slots {
    store: Store,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    slots: HashMap<JobId, Arc<Slot>>,
    expired: HashSet<SnapshotId>,
}

/// Slots and marks as a listing found them.
#[derive(Debug, Default)]
pub(crate) struct View {
    slots: BTreeMap<JobId, Arc<Slot>>,
    expired: BTreeSet<SnapshotId>,
    unsound: Vec<Unsound>,
}

/// A slot or mark that is damaged, or that nobody with the key has written.
#[derive(Clone, Debug)]
pub(crate) struct Unsound {
    pub(crate) job: JobId,
    pub(crate) blob: String,
    pub(crate) problem: String,
    /// Whether it is the slot, without which the snapshot can't be opened.
    pub(crate) is_slot: bool,
}

/// What came of reading a blob that may be anything.
enum Look<T> {
    Sound(T),
    Gone,
    Unsound(String),
}

impl<T> Look<T> {
    /// Tells what is wrong with a blob from failures to look. One that is sound and of later software is such a
    /// failure: what it says is not known, and must not be taken for nothing.
    fn of(read: Result<T>) -> Result<Self> {
        match read {
            Ok(value) => Ok(Self::Sound(value)),
            Err(Error::BlobNotFound { .. }) => Ok(Self::Gone),
            Err(Error::BlobDamaged { problem, .. }) => Ok(Self::Unsound(problem)),
            Err(error) => Err(error),
        }
    }
}

impl Slots {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, known: Mutex::default() }
    }

    /// Lists all slots and marks, and reads those not known yet.
    pub(crate) async fn view(&self) -> Result<View> {
        let (slots, marks) = futures::try_join!(self.jobs(names::SLOTS), self.jobs(names::EXPIRE))?;
        let slots = slots.into_iter().map(|listed| async move { self.look_at(listed, self.read(listed.0)).await });
        let marks = marks.into_iter().map(|listed| async move { self.look_at(listed, self.read_mark(listed.0)).await });
        let (slots, marks): (Vec<_>, Vec<_>) = futures::try_join!(
            stream::iter(slots.collect::<Vec<_>>()).buffer_unordered(READS).try_collect(),
            stream::iter(marks.collect::<Vec<_>>()).buffer_unordered(READS).try_collect(),
        )?;
        let mut view = View::default();
        for (job, look) in slots {
            match look {
                Look::Sound(slot) => drop(view.slots.insert(job, slot)),
                Look::Gone => {}
                Look::Unsound(problem) => view.unsound.push(Unsound::of(job, names::slot(job), problem, true)),
            }
        }
        for (job, look) in marks {
            match look {
                Look::Sound(()) => drop(view.expired.insert(job)),
                Look::Gone => {}
                Look::Unsound(problem) => view.unsound.push(Unsound::of(job, names::expire(job), problem, false)),
            }
        }
        Ok(view)
    }

    async fn look_at<T>(
        &self,
        (job, bytes): (JobId, u64),
        read: impl Future<Output = Result<T>>,
    ) -> Result<(JobId, Look<T>)> {
        if bytes > MAX_BYTES {
            return Ok((job, Look::Unsound(format!("it has {bytes} bytes, more than any slot or mark"))));
        }
        Ok((job, Look::of(read.await)?))
    }

    /// The record of a snapshot, if it is committed and not expired: its slot alone is read.
    pub(crate) async fn find(&self, snapshot: SnapshotId) -> Result<Option<SnapshotRecord>> {
        let record = match self.read(snapshot).await {
            Ok(slot) => match &*slot {
                Slot::Commit { record } => record.clone(),
                Slot::Abort { .. } => return Ok(None),
            },
            Err(Error::BlobNotFound { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        match Look::of(self.read_mark(snapshot).await)? {
            Look::Sound(()) => return Ok(None),
            Look::Gone => {}
            Look::Unsound(problem) => drop(Unsound::of(snapshot, names::expire(snapshot), problem, false)),
        }
        Ok(Some(record))
    }

    /// Reads the mark of an expired snapshot.
    pub(crate) async fn read_mark(&self, snapshot: SnapshotId) -> Result<()> {
        if self.known().expired.contains(&snapshot) {
            return Ok(());
        }
        self.store.document::<Expiry>(&names::expire(snapshot)).await?;
        self.known().expired.insert(snapshot);
        Ok(())
    }

    /// Reads the slot of a job.
    pub(crate) async fn read(&self, job: JobId) -> Result<Arc<Slot>> {
        if let Some(slot) = self.known().slots.get(&job) {
            return Ok(Arc::clone(slot));
        }
        let name = names::slot(job);
        let slot: Slot = self.store.document(&name).await?;
        if matches!(&slot, Slot::Commit { record } if record.id != job) {
            return Err(self.store.damaged(&name, FormatError::damaged("it holds the record of another job")));
        }
        let slot = Arc::new(slot);
        self.known().slots.insert(job, Arc::clone(&slot));
        Ok(slot)
    }

    /// Commits a snapshot, unless its job is decided already.
    ///
    /// An answer that leaves the outcome open is resolved by reading the slot, never by guessing.
    pub(crate) async fn commit(&self, record: &SnapshotRecord) -> Result<()> {
        let name = names::slot(record.id);
        let slot = Slot::Commit { record: record.clone() };
        let bytes = self.store.seal(&name, &slot)?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(Error::invalid(format!(
                "the record of the job has {} bytes, too many to be kept",
                bytes.len()
            )));
        }
        let mut attempt = 0;
        loop {
            let error = match self.store.vault().create(&name, bytes.clone()).await {
                Ok(()) => {
                    self.known().slots.insert(record.id, Arc::new(slot));
                    return Ok(());
                }
                Err(error @ (Error::BlobExists { .. } | Error::Unavailable { .. })) => error,
                Err(error) => return Err(error),
            };
            match self.read(record.id).await {
                Ok(slot) => return decided(&slot, record),
                Err(other @ (Error::BlobNotFound { .. } | Error::Unavailable { .. })) if attempt + 1 < ATTEMPTS => {
                    tracing::debug!(%error, %other, "the outcome of a commit is open");
                    pause(attempt).await;
                }
                Err(Error::BlobNotFound { .. }) => return Err(error),
                Err(other) => return Err(other),
            }
            attempt += 1;
        }
    }

    /// The jobs that a folder has a blob of, and how long it is. Other names are passed over.
    async fn jobs(&self, folder: &str) -> Result<Vec<(JobId, u64)>> {
        let listed = self.store.vault().list(folder, None);
        let jobs = listed.try_filter_map(|blob| {
            let text = blob.name.strip_prefix(folder).unwrap_or_default();
            let job = text.parse::<JobId>().ok().filter(|job| job.to_string() == text);
            std::future::ready(Ok(job.map(|job| (job, blob.size))))
        });
        jobs.try_collect().await
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a slot that was there already means for who tried to commit `record`.
fn decided(slot: &Slot, record: &SnapshotRecord) -> Result<()> {
    let reason = match slot {
        Slot::Commit { record: committed } if committed == record => return Ok(()),
        Slot::Commit { .. } => "another process has committed it".to_owned(),
        Slot::Abort { by, reason } => format!("{by}: {reason}"),
    };
    Err(Error::JobAborted { job: record.id, reason })
}

impl Unsound {
    fn of(job: JobId, blob: String, problem: String, is_slot: bool) -> Self {
        let what = if is_slot { "a record is left out" } else { "a mark expires nothing" };
        tracing::warn!(blob, problem, "{what}: it can't be read; run verify");
        Self { job, blob, problem, is_slot }
    }
}

impl View {
    /// What can't be read of jobs that are not expired.
    pub(crate) fn unsound(&self) -> impl Iterator<Item = &Unsound> {
        self.unsound.iter().filter(|unsound| !self.expired.contains(&unsound.job))
    }

    /// The committed snapshots that are not expired, oldest first.
    pub(crate) fn snapshots(&self) -> impl Iterator<Item = &SnapshotRecord> {
        self.slots.iter().filter_map(|(id, slot)| match &**slot {
            Slot::Commit { record } if !self.expired.contains(id) => Some(record),
            _ => None,
        })
    }

    /// One of them.
    pub(crate) fn find(&self, id: SnapshotId) -> Option<&SnapshotRecord> {
        self.snapshots().find(|record| record.id == id)
    }

    /// Checks that no snapshot has a name.
    pub(crate) fn check_name(&self, name: &str) -> Result<()> {
        match self.snapshots().find(|record| record.name == name) {
            Some(taken) => Err(Error::NameTaken { name: name.to_owned(), snapshot: taken.id }),
            None => Ok(()),
        }
    }

    /// Checks that a job is not decided.
    pub(crate) fn check_undecided(&self, job: JobId) -> Result<()> {
        let unreadable = self.unsound.iter().find(|unsound| unsound.job == job && unsound.is_slot);
        let reason = match self.slots.get(&job).map(|slot| &**slot) {
            None if let Some(Unsound { blob, problem, .. }) = unreadable => format!("{blob}: {problem}"),
            None => return Ok(()),
            Some(Slot::Commit { .. }) => "it has committed already".to_owned(),
            Some(Slot::Abort { by, reason }) => format!("{by}: {reason}"),
        };
        Err(Error::JobAborted { job, reason })
    }
}
