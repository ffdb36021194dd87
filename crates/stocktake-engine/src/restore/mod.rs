//! A restore: the road of a backup, backwards.
//!
//! Rows come in key order, a window at a time. Within a window they are read in
//! the order in which their bytes lie in the vault, neighbouring blocks in one
//! request; every byte is verified, and goes to the target.
//!
//! **Bound.** A window of [`WINDOW_ROWS`] rows, [`SPANS_AHEAD`] reads of at most
//! [`SPAN_BYTES`] (or one block), which decode to [`SPAN_RAW_BYTES`] at most (or one
//! block), one more that is being written, and what the target needs for
//! [`RestoreOptions::concurrency`] writes.

mod conflict;
mod spans;

use std::fmt;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use stocktake_core::{
    Content, Error, Event, IfExists, KeyRange, Location, NewObject, ObjectKey, Observer, Provenance, Result, Row,
    RowRef, Snapshot, Source, Tally, Target, Wanted,
};
use stocktake_format::names;
use tokio_util::sync::CancellationToken;

use crate::content::ContentReader;
use crate::filter::Filter;
use crate::{Meter, OpenVault};
use conflict::{Decision, EXISTS, decide};
use spans::{Span, spans, take_out};

pub use conflict::ConflictPolicy;

/// Rows that are sorted by place at once.
const WINDOW_ROWS: usize = 8192;
/// Reads of packs at once.
const SPANS_AHEAD: usize = 4;

/// What to restore, and how.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RestoreOptions {
    /// Only keys with one of these prefixes; all when empty.
    pub prefixes: Vec<Vec<u8>>,
    /// Only objects that pass.
    pub filter: Option<Filter>,
    /// Removed from the beginning of every key. An object whose key does not have it fails: left as it is, it
    /// could be taken for another one.
    pub strip_prefix: Vec<u8>,
    /// Put before every key, after stripping.
    pub add_prefix: Vec<u8>,
    /// What to do where the target has an object already. Default: skip it.
    pub conflict: ConflictPolicy,
    /// Decide and report, but write nothing.
    pub dry_run: bool,
    /// Objects written at once, 1 to 256. Default 16. A runtime needs more blocking threads than that, which by default
    /// it has.
    pub concurrency: usize,
}

impl Default for RestoreOptions {
    fn default() -> Self {
        Self {
            prefixes: Vec::new(),
            filter: None,
            strip_prefix: Vec::new(),
            add_prefix: Vec::new(),
            conflict: ConflictPolicy::Skip,
            dry_run: false,
            concurrency: 16,
        }
    }
}

/// A restore of one snapshot: what does the work.
#[derive(Clone)]
pub struct Restore {
    reader: ContentReader,
    snapshot: Arc<dyn Snapshot>,
    target: Arc<dyn Target>,
    check: Option<Arc<dyn Source>>,
    meter: Meter,
    observer: Arc<dyn Observer>,
    cancel: CancellationToken,
}

/// What a restore did, or would do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RestoreReport {
    /// Written to the target.
    pub restored: Tally,
    /// Left alone by the conflict policy, or without bytes in the snapshot. Each was told to the observer.
    pub skipped: Tally,
    /// Could not be restored. Each was told to the observer.
    pub failed: Tally,
}

impl fmt::Debug for Restore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let snapshot = self.snapshot.record().id;
        f.debug_struct("Restore").field("snapshot", &snapshot).field("target", &self.target).finish_non_exhaustive()
    }
}

impl Restore {
    /// A restore of `snapshot`, whose bytes are in `vault`, to `target`. Requests are counted on the vault's meter.
    pub fn new(vault: &OpenVault, snapshot: Arc<dyn Snapshot>, target: Arc<dyn Target>) -> Self {
        let reader = ContentReader::new(vault.vault.clone(), vault.key.clone());
        let (meter, observer, cancel) = (vault.meter.clone(), Arc::new(()), CancellationToken::new());
        Self { reader, snapshot, target, check: None, meter, observer, cancel }
    }

    /// Reads every object back through `source`, which is the target seen from its
    /// other side, and compares its hash.
    #[must_use]
    pub fn verify_through(self, source: Arc<dyn Source>) -> Self {
        Self { check: Some(source), ..self }
    }

    /// Tells `observer` what happens.
    #[must_use]
    pub fn observer(self, observer: Arc<dyn Observer>) -> Self {
        Self { observer, ..self }
    }

    /// Ends with [`Error::Cancelled`] soon after `cancel` is.
    #[must_use]
    pub fn cancel(self, cancel: CancellationToken) -> Self {
        Self { cancel, ..self }
    }

    /// Restores what `options` select.
    ///
    /// An object that can't be restored is counted and told, and the others go on.
    ///
    /// # Errors
    /// - [`Error::InvalidInput`]: two prefixes of which one contains the other, a concurrency out of its range, or a
    ///   range of rows that can't be read.
    /// - [`Error::AccessDenied`] or [`Error::LocationNotFound`] of the target: nothing can be written.
    /// - Damage to the catalog. Damage to packs fails the objects it concerns.
    ///
    /// # Cancel safety
    /// What was written is durable when the run ends well. If the machine itself goes down before, a folder
    /// may hold files that are not what was written: restore them again with [`ConflictPolicy::Overwrite`].
    ///
    /// Objects are written whole or not at all; after anything else, a second run with [`ConflictPolicy::Skip`] or
    /// [`ConflictPolicy::OverwriteIfDifferent`] goes on where the first one stopped.
    pub async fn run(self, options: RestoreOptions) -> Result<RestoreReport> {
        if !(1..=256).contains(&options.concurrency) {
            return Err(Error::invalid(format!("concurrency is {}, and can be 1 to 256", options.concurrency)));
        }
        let cancel = self.cancel.clone();
        let restore = Self { target: self.meter.target(self.target.clone()), ..self };
        let run = Arc::new(Run { restore, options, report: Mutex::default() });
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(Error::Cancelled),
            report = run.all() => report,
        }
    }
}

/// One run: the parts, the options, and what was counted.
struct Run {
    restore: Restore,
    options: RestoreOptions,
    report: Mutex<RestoreReport>,
}

/// An object on its way to the target.
struct Wish {
    row: Row,
    key: ObjectKey,
    if_exists: IfExists,
}

impl Run {
    async fn all(self: Arc<Self>) -> Result<RestoreReport> {
        for range in ranges(&self.options.prefixes)? {
            let rows = self.restore.snapshot.rows(range);
            let this = self.clone();
            let rows = rows
                .map_ok(move |batch| {
                    let wanted: Vec<_> = batch.iter().filter(|row| this.selects(row)).map(|row| row.to_row()).collect();
                    stream::iter(wanted.into_iter().map(Ok))
                })
                .try_flatten()
                .try_chunks(WINDOW_ROWS)
                .map_err(|error| error.1);
            let this = self.clone();
            let writes = rows.and_then(move |window| this.clone().window(window)).try_flatten();
            writes.try_for_each_concurrent(self.options.concurrency, |write| self.clone().finish(write)).await?;
        }
        if !self.options.dry_run {
            self.restore.target.sync().await?;
        }
        Ok(*lock(&self.report))
    }

    fn selects(&self, row: &RowRef<'_>) -> bool {
        self.options.filter.as_ref().is_none_or(|filter| filter.passes(&row.entry))
    }

    /// Decides about a window of rows, and reads their bytes in the order in which they lie.
    async fn window(self: Arc<Self>, rows: Vec<Row>) -> Result<BoxStream<'static, Result<Write>>> {
        let this = self.clone();
        let wishes: Vec<Wish> = stream::iter(rows)
            .map(move |row| {
                let this = this.clone();
                async move { this.wish(row).await }
            })
            .buffered(self.options.concurrency)
            .try_filter_map(|wish| async { Ok(wish) })
            .try_collect()
            .await?;
        let (mut whole, mut rest) = (Vec::new(), Vec::new());
        for wish in wishes {
            match wish.row.content {
                Content::Whole { extent, .. } => whole.push((extent, wish)),
                _ => rest.push(wish),
            }
        }
        let this = self.clone();
        let spans = stream::iter(spans(whole))
            .map(move |span| this.clone().read_span(span))
            .buffered(SPANS_AHEAD)
            .map(|writes| stream::iter(writes.into_iter().map(Ok)))
            .flatten();
        let rest = stream::iter(rest.into_iter().map(move |wish| {
            let body = self.restore.reader.read(&wish.row, None);
            Ok(Write { wish, body: Ok(body) })
        }));
        Ok(spans.chain(rest).boxed())
    }

    /// What to do about one row; `None` when nothing is to be written.
    async fn wish(&self, row: Row) -> Result<Option<Wish>> {
        let Some(key) = self.target_key(&row.entry.key) else {
            let strip = self.options.strip_prefix.escape_ascii();
            self.failed(&row, Error::invalid(format!("{} does not begin with \"{strip}\"", row.entry.key)))?;
            return Ok(None);
        };
        if row.content == Content::Absent {
            let reason = match row.provenance {
                Provenance::Archived => "it was archived in the source, so the snapshot has no bytes of it",
                _ => "the snapshot has no bytes of it",
            };
            self.skipped(&row, reason);
            return Ok(None);
        }
        let decision = match self.resolve(&row, key).await {
            Ok(decision) => decision,
            Err(error) => {
                self.failed(&row, error)?;
                return Ok(None);
            }
        };
        match decision {
            Decision::Skip(reason) => {
                self.skipped(&row, reason);
                Ok(None)
            }
            Decision::Write(key, _) if self.options.dry_run => {
                self.restored(&row, &key);
                Ok(None)
            }
            Decision::Write(key, if_exists) => Ok(Some(Wish { row, key, if_exists })),
        }
    }

    fn target_key(&self, key: &ObjectKey) -> Option<ObjectKey> {
        let bare = key.as_bytes().strip_prefix(&self.options.strip_prefix[..])?;
        Some(ObjectKey::new([&self.options.add_prefix[..], bare].concat()))
    }

    async fn resolve(&self, row: &Row, key: ObjectKey) -> Result<Decision> {
        if self.options.conflict == ConflictPolicy::Overwrite {
            return Ok(Decision::Write(key, IfExists::Replace));
        }
        let there = self.restore.target.stat(&key).await?;
        Ok(decide(self.options.conflict, row, key, there.as_ref(), &self.restore.snapshot.record().id.short()))
    }

    /// Reads neighbouring blocks in one request and takes the objects out of them.
    async fn read_span(self: Arc<Self>, span: Span) -> Vec<Write> {
        let Span { pack, start, end, wishes, raw: _ } = span;
        let reader = self.restore.reader.clone();
        let stored = match reader.vault().read(&names::pack(pack), Some(start..end)).await {
            Ok(stored) => stored,
            // One damaged stretch must not take its neighbours with it: each object is tried alone.
            Err(_) => {
                return wishes
                    .into_iter()
                    .map(|(_, wish)| Write { body: Ok(reader.read(&wish.row, None)), wish })
                    .collect();
            }
        };
        tokio::task::spawn_blocking(move || take_out(&reader, start, &stored, wishes))
            .await
            .expect("decoding does not panic")
    }

    /// Writes one object, and verifies it where asked for.
    async fn finish(self: Arc<Self>, write: Write) -> Result<()> {
        let Write { wish, body } = write;
        let written = match body {
            Ok(body) => self.write(&wish, body).await,
            Err(error) => Err(error),
        };
        match written {
            Ok(()) => {
                self.restored(&wish.row, &wish.key);
                Ok(())
            }
            Err(Error::ObjectChanged { .. }) if wish.if_exists == IfExists::Fail => {
                self.skipped(&wish.row, EXISTS);
                Ok(())
            }
            Err(error) => self.failed(&wish.row, error),
        }
    }

    async fn write(&self, wish: &Wish, body: BoxStream<'static, Result<Bytes>>) -> Result<()> {
        let Wish { row, key, if_exists } = wish;
        let undecodable = || Error::BlobDamaged {
            name: "the catalog".into(),
            location: Location::new(self.restore.reader.vault().to_string()),
            problem: format!("the metadata of {} can't be decoded", row.entry.key),
        };
        let object = NewObject {
            key: key.clone(),
            size: row.entry.size,
            last_modified: row.entry.last_modified,
            attributes: row.attributes().ok_or_else(undecodable)?,
        };
        self.restore.target.write(&object, body, *if_exists).await?;
        match &self.restore.check {
            Some(source) => self.check(source.as_ref(), wish).await,
            None => Ok(()),
        }
    }

    /// Reads the written object back and compares its hash.
    async fn check(&self, source: &dyn Source, wish: &Wish) -> Result<()> {
        let mut hasher = self.restore.reader.key().content_hasher();
        let mut read = source.read(Wanted::Current(&wish.key), None).await?;
        let mut size = 0;
        while let Some(bytes) = read.body.try_next().await? {
            size += bytes.len() as u64;
            hasher.update(&bytes);
        }
        let same = match wish.row.content {
            Content::Whole { hash, .. } | Content::Chunked { hash, .. } => hasher.finish() == hash,
            Content::Empty | Content::Absent => true,
        };
        if same && size == wish.row.entry.size {
            return Ok(());
        }
        let location = Location::new(self.restore.target.to_string());
        let problem = "what was read back after writing has another hash".to_owned();
        Err(Error::ObjectDamaged { key: wish.key.clone(), location, problem })
    }

    fn restored(&self, row: &Row, to: &ObjectKey) {
        let bytes = row.entry.size;
        lock(&self.report).restored.add(bytes);
        self.restore.observer.on_event(&Event::ObjectRestored { key: &row.entry.key, to, bytes });
    }

    fn skipped(&self, row: &Row, reason: &str) {
        lock(&self.report).skipped.add(row.entry.size);
        self.restore.observer.on_event(&Event::ObjectSkipped { key: &row.entry.key, reason });
    }

    fn failed(&self, row: &Row, error: Error) -> Result<()> {
        self.restore.observer.on_event(&Event::ObjectFailed { key: &row.entry.key, error: &error });
        let mut report = lock(&self.report);
        report.failed.add(row.entry.size);
        match error {
            Error::LocationNotFound { .. } => Err(error),
            Error::AccessDenied { .. } if report.restored.objects == 0 => Err(error),
            _ => Ok(()),
        }
    }
}

/// An object with its bytes, or the reason why there are none.
struct Write {
    wish: Wish,
    body: Result<BoxStream<'static, Result<Bytes>>>,
}

/// The ranges of the prefixes, ascending.
fn ranges(prefixes: &[Vec<u8>]) -> Result<Vec<KeyRange>> {
    let mut sorted: Vec<_> = prefixes.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    if let Some([a, b]) =
        sorted.windows(2).find(|pair| pair[1].starts_with(&pair[0])).and_then(|pair| pair.first_chunk::<2>())
    {
        let problem = format!("prefix {} contains prefix {}", a.escape_ascii(), b.escape_ascii());
        return Err(Error::invalid(problem));
    }
    if sorted.is_empty() {
        return Ok(vec![KeyRange::all()]);
    }
    Ok(sorted.iter().map(|prefix| KeyRange::prefix(prefix)).collect())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
