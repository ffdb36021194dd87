//! Decisions about jobs, read and made.
//!
//! A slot is created once, by the job that commits or by whoever aborts it, and
//! never changes; so what was read once need not be read again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use stocktake_core::{Error, JobId, Result, SnapshotId, SnapshotRecord};
use stocktake_format::{FormatError, Slot, encode_document, names};

use crate::store::{Store, pause};

/// How many slots are read at once.
const READS: usize = 16;

/// How often a commit of unknown outcome is looked into and repeated.
const ATTEMPTS: u32 = 6;

/// The slots of a vault. What was read is kept: one record a snapshot.
#[derive(Debug)]
pub(crate) struct Slots {
    store: Store,
    known: Mutex<HashMap<JobId, Arc<Slot>>>,
}

/// Slots and marks as a listing found them.
#[derive(Debug, Default)]
pub(crate) struct View {
    slots: BTreeMap<JobId, Arc<Slot>>,
    expired: BTreeSet<SnapshotId>,
}

impl Slots {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, known: Mutex::default() }
    }

    /// Lists all slots and marks, and reads the slots not known yet.
    pub(crate) async fn view(&self) -> Result<View> {
        let (slots, expired) = futures::try_join!(self.jobs(names::SLOTS), self.jobs(names::EXPIRE))?;
        let reads: Vec<_> =
            slots.into_iter().map(|job| async move { Ok::<_, Error>((job, self.read(job).await?)) }).collect();
        let slots = stream::iter(reads).buffer_unordered(READS).try_collect().await?;
        Ok(View { slots, expired: expired.into_iter().collect() })
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
        let mut marks = self.store.vault().list(&names::expire(snapshot), None);
        Ok(marks.try_next().await?.is_none().then_some(record))
    }

    /// Reads the slot of a job.
    pub(crate) async fn read(&self, job: JobId) -> Result<Arc<Slot>> {
        if let Some(slot) = self.known().get(&job) {
            return Ok(Arc::clone(slot));
        }
        let name = names::slot(job);
        let slot: Slot = self.store.document(&name).await?;
        if matches!(&slot, Slot::Commit { record } if record.id != job) {
            return Err(self.store.damaged(&name, FormatError::damaged("it holds the record of another job")));
        }
        let slot = Arc::new(slot);
        self.known().insert(job, Arc::clone(&slot));
        Ok(slot)
    }

    /// Commits a snapshot, unless its job is decided already.
    ///
    /// An answer that leaves the outcome open is resolved by reading the slot, never by guessing.
    pub(crate) async fn commit(&self, record: &SnapshotRecord) -> Result<()> {
        let name = names::slot(record.id);
        let slot = Slot::Commit { record: record.clone() };
        let bytes = Bytes::from(encode_document(self.store.key(), &name, &slot));
        let mut attempt = 0;
        loop {
            let error = match self.store.vault().create(&name, bytes.clone()).await {
                Ok(()) => {
                    self.known().insert(record.id, Arc::new(slot));
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

    async fn jobs(&self, folder: &str) -> Result<Vec<JobId>> {
        let listed = self.store.vault().list(folder, None);
        let jobs = listed.map(|blob| {
            let name = blob?.name;
            let job = name.strip_prefix(folder).and_then(|job| job.parse::<JobId>().ok());
            job.ok_or_else(|| self.store.damaged(&name, FormatError::damaged("its name holds no job's id")))
        });
        jobs.try_collect().await
    }

    fn known(&self) -> MutexGuard<'_, HashMap<JobId, Arc<Slot>>> {
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

impl View {
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
        let reason = match self.slots.get(&job).map(|slot| &**slot) {
            None => return Ok(()),
            Some(Slot::Commit { .. }) => "it has committed already".to_owned(),
            Some(Slot::Abort { by, reason }) => format!("{by}: {reason}"),
        };
        Err(Error::JobAborted { job, reason })
    }
}
