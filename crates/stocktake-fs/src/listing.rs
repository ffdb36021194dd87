//! A folder as its own inventory.
//!
//! The files are listed while they are read, by several threads, so the listing is
//! of no single moment and can't be repeated exactly; its record says so. It has one
//! part all the same: what each thread walks is found out on the way.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fmt, io, thread};

use async_trait::async_trait;
use futures::stream::BoxStream;
use stocktake_core::{
    BATCH_ROWS, Clock, ETagRef, EntryBatch, EntryFlags, EntryRef, Error, Inventory, InventoryFormat, InventoryInfo,
    InventoryReader, KeyFilter, Result, keep_wanted,
};

use crate::blocking::{self, Sender};
use crate::error::failure;
use crate::facts::{CLASS, Facts};
use crate::gang::{EndOnDrop, Gang};
use crate::source::location;
use crate::walk::{self, Walk};

/// An [`InventoryReader`] that walks a folder: one inventory of one part, made while it is read.
///
/// Each file is listed once. The entries of a batch, and of a folder that fits in one,
/// ascend by key; batches come as threads have filled them. Symbolic links and special files are left out, with a
/// warning each; empty folders have no entry. A folder that can't be read ends
/// the listing in an error: files are never taken as deleted because they could
/// not be seen.
///
/// Memory is that of the names of one folder for each level and thread, and a batch
/// for each thread and a few more.
#[derive(Clone)]
pub struct FsListing {
    root: PathBuf,
    threads: usize,
    clock: Arc<dyn Clock>,
}

/// Threads that walk, unless something else is said. On a local disk few are of use, over a network more.
const THREADS: usize = 4;

impl FsListing {
    /// The folder at `path`. The clock tells when a listing began.
    pub fn new(path: impl Into<PathBuf>, clock: Arc<dyn Clock>) -> Self {
        Self { root: path.into(), threads: THREADS, clock }
    }

    /// The same folder, walked by so many threads; at least 1, default 4. Of 1, all entries ascend by key.
    #[must_use]
    pub fn with_concurrency(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    async fn info(&self) -> Result<InventoryInfo> {
        let (root, location) = (self.root.clone(), location(&self.root));
        let at = location.clone();
        blocking::run(&location, move || match walk::open_root(&root) {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(Error::LocationNotFound { location: at }),
            Err(error) => Err(failure(&at, "list the folder", error)),
        })
        .await?;
        Ok(InventoryInfo {
            fields: ["Key", "Size", "LastModifiedDate", "ETag", "StorageClass"].map(str::to_owned).to_vec(),
            repeatable: false,
            ..InventoryInfo::new(location, InventoryFormat::Listing, self.clock.now())
        })
    }
}

#[async_trait]
impl InventoryReader for FsListing {
    async fn inventories(&self) -> Result<Vec<InventoryInfo>> {
        Ok(vec![self.info().await?])
    }

    async fn open(&self, inventory: &InventoryInfo) -> Result<Arc<dyn Inventory>> {
        if inventory.location != location(&self.root) {
            let (location, problem) = (inventory.location.clone(), format!("it is not a listing of {self}"));
            return Err(Error::InventoryNotFound { location, problem });
        }
        Ok(Arc::new(Files { root: self.root.clone(), threads: self.threads, info: self.info().await? }))
    }

    async fn discard(&self, inventory: &InventoryInfo) -> Result<()> {
        Err(Error::invalid(format!("{} is a listing: there is nothing to remove", inventory.location)))
    }
}

/// The files of a folder, listed each time they are read.
#[derive(Debug)]
struct Files {
    root: PathBuf,
    threads: usize,
    info: InventoryInfo,
}

impl Inventory for Files {
    fn info(&self) -> &InventoryInfo {
        &self.info
    }

    fn parts(&self) -> usize {
        1
    }

    fn read(&self, part: usize) -> BoxStream<'static, Result<EntryBatch>> {
        assert_eq!(part, 0, "a listing has one part");
        let (root, threads) = (self.root.clone(), self.threads);
        blocking::stream(location(&self.root), move |sender| send_all(&root, threads, sender))
    }

    fn read_wanted(&self, part: usize, wanted: KeyFilter) -> BoxStream<'static, Result<EntryBatch>> {
        keep_wanted(self.read(part), wanted)
    }

    fn read_versions(&self, part: usize) -> BoxStream<'static, Result<EntryBatch>> {
        self.read(part)
    }

    fn source_lists(&self) -> u64 {
        0
    }
}

fn send_all(root: &Path, threads: usize, sender: &Sender<EntryBatch>) -> Result<()> {
    let location = location(root);
    let failed = |source| failure(&location, "list the folder", source);
    let dir = walk::open_root(root).map_err(failed)?;
    let dir = dir.ok_or_else(|| Error::LocationNotFound { location: location.clone() })?;
    let mut walk = Walk::new(dir, b"", b"").map_err(failed)?;
    // Most folders are no longer than this, and come in order.
    let mut batch = EntryBatch::default();
    while batch.len() < BATCH_ROWS
        && let Some((path, facts)) = walk.next().map_err(failed)?
    {
        push(&mut batch, &path, facts)?;
    }
    let whole = batch.len() < BATCH_ROWS;
    if !batch.is_empty() {
        sender.send(batch)?;
    }
    let mut skipped = walk.skipped();
    if !whole {
        skipped += send_by_threads(walk, threads, sender, &failed)?;
    }
    if skipped > 0 {
        tracing::warn!(%location, skipped, "links and special files are not in the listing");
    }
    Ok(())
}

/// Sends what is left of a walk, and returns how many links and special files were left out on the way.
fn send_by_threads(
    walk: Walk,
    threads: usize,
    sender: &Sender<EntryBatch>,
    failed: &(impl Fn(io::Error) -> Error + Sync),
) -> Result<u64> {
    let before = walk.skipped();
    let gang = Gang::new(threads);
    gang.give(walk);
    let outcomes = thread::scope(|scope| {
        // Where the system gives no further thread, those that are there must not wait for it.
        let _end = EndOnDrop(&gang);
        let spawned: Vec<_> = (0..threads).map(|_| scope.spawn(|| send_shares(&gang, sender, failed))).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, _>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        spawned.into_iter().map(join).collect::<Vec<Result<u64>>>()
    });
    Ok(outcomes.into_iter().sum::<Result<u64>>()? - before)
}

/// Sends what falls to one thread.
fn send_shares(gang: &Gang, sender: &Sender<EntryBatch>, failed: &impl Fn(io::Error) -> Error) -> Result<u64> {
    // Also of a thread that fails: the others need not go on.
    let _end = EndOnDrop(gang);
    let (mut batch, mut skipped) = (EntryBatch::default(), 0);
    while let Some(mut walk) = gang.next() {
        while !gang.is_ended()
            && let Some((path, facts)) = walk.next().map_err(failed)?
        {
            push(&mut batch, &path, facts)?;
            gang.share(&mut walk);
            if batch.len() == BATCH_ROWS {
                sender.send(std::mem::take(&mut batch))?;
            }
        }
        skipped += walk.skipped();
        if !batch.is_empty() {
            sender.send(std::mem::take(&mut batch))?;
        }
    }
    Ok(skipped)
}

fn push(batch: &mut EntryBatch, path: &[u8], facts: Facts) -> Result<()> {
    batch.push(&EntryRef {
        key: path,
        version: None,
        size: facts.size,
        last_modified: facts.last_modified(),
        etag: ETagRef { code: facts.etag().code(), text: "" },
        class: CLASS,
        flags: EntryFlags::NONE,
    })
}

impl fmt::Display for FsListing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        location(&self.root).fmt(f)
    }
}

impl fmt::Debug for FsListing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FsListing").field(&self.root).finish()
    }
}
