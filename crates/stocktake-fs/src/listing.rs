//! A folder as its own inventory.
//!
//! The files are listed while they are read, in key order, so the listing is of
//! no single moment and can't be repeated exactly; its record says so.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use stocktake_core::{
    BATCH_ROWS, Clock, ETagRef, EntryBatch, EntryFlags, EntryRef, Error, Inventory, InventoryFormat, InventoryInfo,
    InventoryReader, InventoryVersions, KeyFilter, Result, keep_wanted,
};

use crate::blocking::{self, Sender};
use crate::error::failure;
use crate::facts::{CLASS, Facts};
use crate::source::location;
use crate::walk::{self, Walk};

/// An [`InventoryReader`] that walks a folder: one inventory of one part, made while it is read.
///
/// Entries ascend by key. Symbolic links and special files are left out, with a
/// warning each; empty folders have no entry. A folder that can't be read ends
/// the listing in an error: files are never taken as deleted because they could
/// not be seen.
///
/// Memory is that of the names of one folder for each level, and a few batches.
#[derive(Clone)]
pub struct FsListing {
    root: PathBuf,
    clock: Arc<dyn Clock>,
}

impl FsListing {
    /// The folder at `path`. The clock tells when a listing began.
    pub fn new(path: impl Into<PathBuf>, clock: Arc<dyn Clock>) -> Self {
        Self { root: path.into(), clock }
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
            location,
            created: self.clock.now(),
            bucket: String::new(),
            format: InventoryFormat::Listing,
            files: 0,
            bytes: 0,
            fields: ["Key", "Size", "LastModifiedDate", "ETag", "StorageClass"].map(str::to_owned).to_vec(),
            versions: InventoryVersions::Current,
            configuration: String::new(),
            not_ready: None,
            repeatable: false,
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
        Ok(Arc::new(Files { root: self.root.clone(), info: self.info().await? }))
    }

    async fn discard(&self, inventory: &InventoryInfo) -> Result<()> {
        Err(Error::invalid(format!("{} is a listing: there is nothing to remove", inventory.location)))
    }
}

/// The files of a folder, listed each time they are read.
#[derive(Debug)]
struct Files {
    root: PathBuf,
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
        let root = self.root.clone();
        blocking::stream(location(&self.root), move |sender| send_entries(&root, sender))
    }

    fn read_wanted(&self, part: usize, wanted: KeyFilter) -> BoxStream<'static, Result<EntryBatch>> {
        keep_wanted(self.read(part), wanted)
    }

    fn read_versions(&self, part: usize) -> BoxStream<'static, Result<EntryBatch>> {
        self.read(part)
    }
}

fn send_entries(root: &Path, sender: &Sender<EntryBatch>) -> Result<()> {
    let location = location(root);
    let failed = |source| failure(&location, "list the folder", source);
    let dir = walk::open_root(root).map_err(failed)?;
    let dir = dir.ok_or_else(|| Error::LocationNotFound { location: location.clone() })?;
    let mut walk = Walk::new(dir, b"", b"").map_err(failed)?;
    let mut batch = EntryBatch::default();
    while let Some((path, facts)) = walk.next().map_err(failed)? {
        push(&mut batch, &path, facts)?;
        if batch.len() == BATCH_ROWS {
            sender.send(std::mem::take(&mut batch))?;
        }
    }
    if walk.skipped() > 0 {
        tracing::warn!(%location, skipped = walk.skipped(), "links and special files are not in the listing");
    }
    if batch.is_empty() { Ok(()) } else { sender.send(batch) }
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
