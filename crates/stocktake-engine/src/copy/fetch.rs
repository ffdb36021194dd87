//! Reads objects from the source: one conditional GET each, many at once, results in key order.
//!
//! Each read runs as a task of its own, so it goes on while earlier objects are
//! being packed. Memory is reserved before a task begins, in key order, so the
//! object that is waited for next always has its share.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::stream::{BoxStream, StreamExt};
use md5::{Digest, Md5};
use stocktake_core::{
    BytesColumn, Change, Entry, EntryFlags, Error, ObjectKey, ObjectRead, Provenance, Result, Row, RowBatch, Wanted,
};
use stocktake_format::MAX_OBJECT_BYTES;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::AbortOnDropHandle;

use super::decide::{Action, archived_row, carried_row, decide, reads_at_once, unreadable_row};
use super::{CopyJob, OnChanged, RowOp};
use crate::retry::retried;

/// A task whose result is awaited in order, or one that had no need of a task.
pub(crate) enum Pending {
    Ready(Box<RowOp>),
    Task(AbortOnDropHandle<Result<Fetched>>),
}

/// What came of one object.
pub(crate) enum Fetched {
    /// The row is known; no bytes are to be packed.
    Row(Box<RowOp>),
    /// A small object, whole, with its keyed hash.
    Small { head: RowHead, bytes: Bytes, hash: [u8; 32], reserved: OwnedSemaphorePermit },
    /// A large object, as it arrives.
    Large { head: RowHead, body: LargeBody },
}

/// A row whose content is not known yet.
#[derive(Debug, Clone)]
pub(crate) struct RowHead {
    pub entry: Entry,
    pub provenance: Provenance,
    pub attributes: Bytes,
    pub previous: Option<Row>,
    /// How many bytes of the object were planned to be read.
    pub planned: u64,
}

/// The bytes of a large object: exactly as many as its size, or an error.
pub(crate) struct LargeBody {
    pub bytes: Receiver<Result<Bytes>>,
    _pump: Option<AbortOnDropHandle<()>>,
    reserved: OwnedSemaphorePermit,
}

/// Looks up parents and starts reads.
pub(crate) async fn run(
    job: &Arc<CopyJob>,
    mut changes: BoxStream<'static, Result<Vec<Change>>>,
    out: Sender<Pending>,
) -> Result<()> {
    let budget = Arc::new(Semaphore::new(units(job.options.buffer_bytes as u64)));
    while let Some(batch) = changes.next().await {
        let batch = batch?;
        let previous = previous_rows(job, &batch).await?;
        let mut previous = previous.iter().peekable();
        for change in batch {
            let row = previous.next_if(|row| row.entry.key == change.entry().key.as_bytes()).map(|row| row.to_row());
            let pending = start(job, &budget, decide(change, row, job.options.on_archived)).await?;
            if out.send(pending).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The parent's rows of the keys that have one, in key order.
async fn previous_rows(job: &CopyJob, changes: &[Change]) -> Result<RowBatch> {
    let keys: BytesColumn =
        changes.iter().filter_map(|change| change.previous.as_ref()).map(|entry| entry.key.as_bytes()).collect();
    match &job.parent {
        Some(parent) if !keys.is_empty() => parent.lookup(&keys).await,
        _ => Ok(RowBatch::default()),
    }
}

async fn start(job: &Arc<CopyJob>, budget: &Arc<Semaphore>, action: Action) -> Result<Pending> {
    let job = job.clone();
    match action {
        Action::Row(row) => Ok(Pending::Ready(Box::new(row))),
        Action::Archive { entry, previous } => {
            job.progress.archived(&entry.key, entry.size);
            Ok(Pending::Ready(Box::new(archived_row(entry, previous))))
        }
        Action::RefuseArchived { entry, previous } => {
            let location = stocktake_core::Location::new(job.source.to_string());
            let error = Error::ObjectArchived { key: entry.key.clone(), location };
            job.progress.failed(&entry.key, entry.size, error)?;
            Ok(Pending::Ready(Box::new(unreadable_row(previous))))
        }
        Action::Refresh { entry, previous } => {
            // Most need nothing; but what changed meanwhile is read whole.
            let reserved = reserve(budget, entry.size, &job).await;
            Ok(spawn(async move { Ok(settled(&job, 0, refresh(&job, entry, previous, reserved).await?)) }))
        }
        Action::Copy { entry, previous } => {
            let (reserved, planned) = (reserve(budget, entry.size, &job).await, entry.size);
            Ok(spawn(async move { Ok(settled(&job, planned, copy_object(&job, entry, previous, reserved).await?)) }))
        }
    }
}

/// Counts an object as settled for which so many bytes were planned; a large one is when it was read.
pub(crate) fn settled(job: &CopyJob, planned: u64, mut fetched: Fetched) -> Fetched {
    match &mut fetched {
        Fetched::Large { head, .. } => head.planned = planned,
        Fetched::Row(_) | Fetched::Small { .. } => job.progress.step(planned),
    }
    fetched
}

fn spawn(task: impl Future<Output = Result<Fetched>> + Send + 'static) -> Pending {
    Pending::Task(AbortOnDropHandle::new(tokio::spawn(task)))
}

/// Reserves memory for an object of `size` bytes. Large objects pass through in pieces, so they need less.
async fn reserve(budget: &Arc<Semaphore>, size: u64, job: &CopyJob) -> OwnedSemaphorePermit {
    let wanted = units(size.min(job.options.large_object_bytes)).min(units(job.options.buffer_bytes as u64));
    let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
    budget.clone().acquire_many_owned(wanted).await.expect("the semaphore is never closed")
}

/// Memory is reserved in units of a kibibyte, at least one.
fn units(bytes: u64) -> usize {
    usize::try_from(bytes.div_ceil(1024)).unwrap_or(usize::MAX).clamp(1, Semaphore::MAX_PERMITS)
}

/// Asks for the object's attributes: the same conditional GET, for one byte of it.
async fn refresh(job: &Arc<CopyJob>, entry: Entry, previous: Row, reserved: OwnedSemaphorePermit) -> Result<Fetched> {
    let range = (entry.size > 0).then_some(0..1);
    let read = retried(&job.meter, || job.source.read(Wanted::Exactly(&entry), range.clone())).await;
    match read {
        Ok(read) => {
            job.progress.copied(&entry.key, 0);
            let attributes = read.attributes.encode().into();
            let put = Row { entry, content: previous.content.clone(), provenance: Provenance::Exact, attributes };
            Ok(Fetched::Row(Box::new(RowOp { put: Some(put), previous: Some(previous) })))
        }
        // It can't be asked any more; its bytes are in the vault, and what was captured of it before stands.
        Err(Error::ObjectArchived { .. }) => Ok(Fetched::Row(Box::new(carried_row(entry, previous)))),
        Err(error) => replaced(job, &entry, Some(previous), error, reserved).await,
    }
}

async fn copy_object(
    job: &Arc<CopyJob>,
    entry: Entry,
    previous: Option<Row>,
    reserved: OwnedSemaphorePermit,
) -> Result<Fetched> {
    match read_wanted(job, Wanted::Exactly(&entry)).await {
        Ok(body) => body.into_fetched(job, &entry, Provenance::Exact, previous, reserved),
        Err(error) => replaced(job, &entry, previous, error, reserved).await,
    }
}

/// What becomes of an object that is not the one that was listed: where that is asked for, the newer one is read.
pub(crate) async fn replaced(
    job: &Arc<CopyJob>,
    entry: &Entry,
    previous: Option<Row>,
    error: Error,
    reserved: OwnedSemaphorePermit,
) -> Result<Fetched> {
    let error = match (error, &entry.version) {
        // That a version is gone does not say that the object is.
        (Error::ObjectNotFound { key, location }, Some(version)) => {
            Error::ObjectChanged { key, location, expected: format!("version {version}") }
        }
        (error, _) => error,
    };
    if !matches!(error, Error::ObjectChanged { .. }) || job.options.on_changed != OnChanged::Newer {
        return unread(job, entry, previous, error);
    }
    match read_wanted(job, Wanted::Current(&entry.key)).await {
        Ok(body) => body.into_fetched(job, entry, Provenance::Newer, previous, reserved),
        Err(error) => unread(job, entry, previous, error),
    }
}

/// What becomes of an object that was not read.
pub(crate) fn unread(job: &CopyJob, entry: &Entry, previous: Option<Row>, error: Error) -> Result<Fetched> {
    let row = match error {
        Error::ObjectNotFound { .. } => {
            job.progress.vanished(&entry.key, entry.size);
            RowOp { previous, put: None }
        }
        Error::ObjectArchived { .. } if job.options.on_archived == super::OnArchived::Skip => {
            job.progress.archived(&entry.key, entry.size);
            // A class that says that it can be read will not tell when it can be again. So none is noted, and the next
            // comparison finds a difference, for which the object is asked again. Of other classes, which clouds have
            // that are not known here, the answer is believed: asking each time would cost a request an object.
            let class = if reads_at_once(&entry.class) { String::new() } else { entry.class.clone() };
            archived_row(Entry { class, ..entry.clone() }, previous)
        }
        Error::ObjectChanged { .. } if job.options.on_changed == OnChanged::Skip => {
            job.progress.skipped(&entry.key, entry.size);
            unreadable_row(previous)
        }
        error => {
            job.progress.failed(&entry.key, entry.size, error)?;
            unreadable_row(previous)
        }
    };
    Ok(Fetched::Row(Box::new(row)))
}

/// An object that was opened, and read if it is small.
struct Opened {
    facts: Facts,
    bytes: OpenedBytes,
}

enum OpenedBytes {
    Small(Bytes, [u8; 32]),
    Large(Box<ObjectRead>),
}

/// What the answer said of the object.
struct Facts {
    size: u64,
    last_modified: stocktake_core::Timestamp,
    etag: Option<stocktake_core::ETag>,
    version: Option<String>,
    class: String,
    attributes: Bytes,
}

async fn read_wanted(job: &CopyJob, wanted: Wanted<'_>) -> Result<Opened> {
    retried(&job.meter, || async {
        let mut read = job.source.read(wanted, None).await?;
        let facts = Facts {
            size: read.size,
            last_modified: read.last_modified,
            etag: read.etag.take(),
            version: read.version.take(),
            class: std::mem::take(&mut read.class),
            attributes: read.attributes.encode().into(),
        };
        if read.size > job.options.large_object_bytes {
            return Ok(Opened { facts, bytes: OpenedBytes::Large(Box::new(read)) });
        }
        let (bytes, hash) = read_small(job, wanted, read).await?;
        Ok(Opened { facts, bytes: OpenedBytes::Small(bytes, hash) })
    })
    .await
}

/// From this length on, hashing moves to a blocking thread.
const HASH_INLINE_BYTES: usize = 128 << 10;

async fn read_small(job: &CopyJob, wanted: Wanted<'_>, mut read: ObjectRead) -> Result<(Bytes, [u8; 32])> {
    let mut pieces = BytesMut::new();
    let mut first = None;
    while let Some(piece) = read.body.next().await {
        let piece = piece?;
        if (pieces.len() + first.as_ref().map_or(0, Bytes::len) + piece.len()) as u64 > read.size {
            return Err(damaged(job, wanted.key(), "more bytes than announced".into()));
        }
        // Most small objects arrive in one piece, which is then not copied.
        if first.is_none() && pieces.is_empty() {
            first = Some(piece);
        } else {
            if let Some(first) = first.take() {
                pieces.extend_from_slice(&first);
            }
            pieces.extend_from_slice(&piece);
        }
    }
    let bytes = first.unwrap_or_else(|| pieces.freeze());
    if bytes.len() as u64 != read.size {
        return Err(damaged(job, wanted.key(), format!("{} of {} bytes", bytes.len(), read.size)));
    }
    let md5 = expected_md5(wanted);
    let key = job.key.clone();
    let hash = move || {
        let mut hasher = key.content_hasher();
        hasher.update(&bytes);
        let md5_fits = md5.is_none_or(|md5| Md5::digest(&bytes)[..] == md5);
        (bytes, hasher.finish_full(), md5_fits)
    };
    let (bytes, hash, md5_fits) = if read.size as usize >= HASH_INLINE_BYTES {
        tokio::task::spawn_blocking(hash).await.expect("hashing does not panic")
    } else {
        hash()
    };
    if md5_fits { Ok((bytes, hash)) } else { Err(damaged(job, wanted.key(), MD5_DIFFERS.into())) }
}

const MD5_DIFFERS: &str = "the MD5 of its bytes is not its ETag";

/// The MD5 that the bytes must have, where the inventory's ETag is known to be one.
fn expected_md5(wanted: Wanted<'_>) -> Option<[u8; 16]> {
    let Wanted::Exactly(entry) = wanted else { return None };
    let is_md5 = entry.flags.has(EntryFlags::ETAG_IS_MD5) && !entry.flags.has(EntryFlags::MULTIPART);
    entry.etag.as_ref().filter(|_| is_md5)?.code().md5_shaped()
}

pub(crate) fn damaged(job: &CopyJob, key: &ObjectKey, problem: String) -> Error {
    let location = stocktake_core::Location::new(job.source.to_string());
    Error::ObjectDamaged { key: key.clone(), location, problem }
}

impl Opened {
    fn into_fetched(
        self,
        job: &Arc<CopyJob>,
        listed: &Entry,
        provenance: Provenance,
        previous: Option<Row>,
        reserved: OwnedSemaphorePermit,
    ) -> Result<Fetched> {
        let Facts { size, last_modified, etag, version, class, attributes } = self.facts;
        let entry = match provenance {
            Provenance::Newer => Entry {
                key: listed.key.clone(),
                version,
                size,
                last_modified,
                etag,
                class: if class.is_empty() { listed.class.clone() } else { class },
                flags: EntryFlags::NONE,
            },
            _ => listed.clone(),
        };
        if size != entry.size {
            let problem = format!("it has {size} bytes, the inventory says {}", entry.size);
            let error = damaged(job, &entry.key, problem);
            return unread(job, listed, previous, error);
        }
        if size > MAX_OBJECT_BYTES {
            let (location, action) = (stocktake_core::Location::new(job.source.to_string()), "copy".to_owned());
            let source = format!("{} has {size} bytes, and {MAX_OBJECT_BYTES} is the most that can be kept", entry.key);
            return unread(job, listed, previous, Error::Rejected { location, action, source: source.into() });
        }
        let head = RowHead { entry, provenance, attributes, previous, planned: 0 };
        Ok(match self.bytes {
            OpenedBytes::Small(bytes, hash) => {
                if provenance == Provenance::Newer {
                    job.progress.newer(&head.entry.key, size);
                }
                job.progress.copied(&head.entry.key, size);
                // What was listed may have been much longer. The share of it that its bytes do not take must not wait
                // with them for a block to fill.
                let mut reserved = reserved;
                let reserved = reserved.split(units(size)).unwrap_or(reserved);
                Fetched::Small { head, bytes, hash, reserved }
            }
            OpenedBytes::Large(read) => {
                let body = LargeBody::pump(job, head.entry.clone(), *read, reserved);
                Fetched::Large { head, body }
            }
        })
    }
}

/// Pieces of a large object that wait to be cut. A piece is what the store's client yields, well under a mebibyte.
const LARGE_QUEUE: usize = 16;

impl LargeBody {
    /// Reads the object to its end in a task of its own; a broken connection is taken up where it broke.
    pub(crate) fn pump(job: &Arc<CopyJob>, entry: Entry, read: ObjectRead, reserved: OwnedSemaphorePermit) -> Self {
        let (out, bytes) = channel(LARGE_QUEUE);
        let job = job.clone();
        let task = tokio::spawn(async move {
            if let Err(error) = pump(&job, &entry, read, &out).await {
                // The receiver may be gone when the job was cancelled.
                let _ = out.send(Err(error)).await;
            }
        });
        Self { bytes, _pump: Some(AbortOnDropHandle::new(task)), reserved }
    }

    /// A body of which no more will come.
    pub(crate) fn ended(reserved: OwnedSemaphorePermit) -> Self {
        Self { bytes: channel(1).1, _pump: None, reserved }
    }

    /// Stops reading; what was reserved is for whoever reads next.
    pub(crate) fn into_reserved(self) -> OwnedSemaphorePermit {
        self.reserved
    }
}

/// Opens the object again, to read it from its beginning.
pub(crate) async fn reopen(job: &CopyJob, entry: &Entry) -> Result<ObjectRead> {
    retried(&job.meter, || job.source.read(Wanted::Exactly(entry), None)).await
}

/// How often a broken connection is taken up again without a byte having arrived.
const MAX_RESUMES: u32 = 4;

async fn pump(job: &CopyJob, entry: &Entry, read: ObjectRead, out: &Sender<Result<Bytes>>) -> Result<()> {
    let wanted = Wanted::Exactly(entry);
    let mut md5 = expected_md5(wanted).map(|expected| (Md5::new(), expected));
    let mut body = read.body;
    let mut at = 0;
    let mut resumed = 0;
    while at < entry.size {
        match body.next().await {
            Some(Ok(piece)) => {
                at += piece.len() as u64;
                resumed = 0;
                if at > entry.size {
                    return Err(damaged(job, wanted.key(), "more bytes than announced".into()));
                }
                if let Some((md5, _)) = &mut md5 {
                    md5.update(&piece);
                }
                if out.send(Ok(piece)).await.is_err() {
                    return Ok(());
                }
            }
            Some(Err(error)) if !error.is_retryable() || resumed == MAX_RESUMES => return Err(error),
            None if resumed == MAX_RESUMES => {
                return Err(damaged(job, wanted.key(), format!("{at} of {} bytes", entry.size)));
            }
            _ => {
                resumed += 1;
                body = resume(job, entry, at).await?;
            }
        }
    }
    let md5_fits = md5.is_none_or(|(md5, expected)| md5.finalize()[..] == expected);
    if md5_fits { Ok(()) } else { Err(damaged(job, wanted.key(), MD5_DIFFERS.into())) }
}

async fn resume(job: &CopyJob, entry: &Entry, at: u64) -> Result<BoxStream<'static, Result<Bytes>>> {
    job.meter.retried();
    let range = at..entry.size;
    let read = retried(&job.meter, || job.source.read(Wanted::Exactly(entry), Some(range.clone()))).await?;
    Ok(read.body)
}
