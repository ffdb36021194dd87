//! The catalog of a vault.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use stocktake_core::{
    Catalog, CatalogDamage, Clock, Error, JobSpec, Result, Snapshot, SnapshotId, SnapshotRecord, SnapshotWriter, Vault,
};
use stocktake_format::segment::SegmentRefs;
use stocktake_format::{Expiry, OpenFlag, Root, VaultKey, names};

use crate::check::check;
use crate::layers::Layers;
use crate::options::CatalogOptions;
use crate::slots::Slots;
use crate::snapshot::VaultSnapshot;
use crate::store::Store;
use crate::writer::VaultWriter;

/// The version of the software, as records name it.
pub(crate) const SOFTWARE: &str = env!("CARGO_PKG_VERSION");

/// A [`Catalog`] kept in a vault, beside the data.
///
/// Any number of them, in any number of processes, may use one vault at the
/// same time. Clones share what they have read. All methods must be called
/// within a tokio runtime.
#[derive(Clone)]
pub struct VaultCatalog {
    pub(crate) store: Store,
    pub(crate) slots: Arc<Slots>,
    clock: Arc<dyn Clock>,
    options: CatalogOptions,
}

impl VaultCatalog {
    /// The catalog of the vault that `key` belongs to. Nothing is read or written yet.
    pub fn new(vault: Arc<dyn Vault>, key: Arc<VaultKey>, clock: Arc<dyn Clock>) -> Self {
        let store = Store::new(vault, key);
        let slots = Arc::new(Slots::new(store.clone()));
        Self { store, slots, clock, options: CatalogOptions::default() }
    }

    /// The same catalog with other settings.
    #[must_use]
    pub fn with_options(mut self, options: CatalogOptions) -> Self {
        self.options = options;
        self
    }

    /// The layers of a snapshot: for those who look after the blobs of a vault.
    ///
    /// # Errors
    /// As [`open`](Catalog::open).
    pub async fn root(&self, snapshot: SnapshotId) -> Result<Root> {
        let record = self.find(snapshot).await?;
        self.store.root(&record.root).await
    }

    /// What a segment refers to.
    ///
    /// # Errors
    /// What the vault says; [`BlobDamaged`](Error::BlobDamaged).
    pub async fn refs(&self, segment: &str) -> Result<SegmentRefs> {
        self.store.document(&names::refs(segment)).await
    }

    pub(crate) async fn find(&self, snapshot: SnapshotId) -> Result<SnapshotRecord> {
        self.slots.find(snapshot).await?.ok_or_else(|| self.not_found(snapshot))
    }

    fn not_found(&self, snapshot: SnapshotId) -> Error {
        Error::SnapshotNotFound { snapshot: snapshot.to_string(), location: self.store.location() }
    }

    /// Raises the flag of a job. A process that goes on with a job finds it raised.
    async fn raise_flag(&self, job: &JobSpec) -> Result<()> {
        let (name, flag) = (names::open(job.id), OpenFlag::backup(job, SOFTWARE));
        let bytes = self.store.seal(&name, &flag)?;
        match self.store.create_own(&name, bytes).await {
            Err(exists @ Error::BlobExists { .. }) => {
                let found: OpenFlag = self.store.document(&name).await?;
                let same = OpenFlag { software: SOFTWARE.to_owned(), ..found } == flag;
                if same { Ok(()) } else { Err(exists) }
            }
            raised => raised,
        }
    }
}

#[async_trait]
impl Catalog for VaultCatalog {
    async fn snapshots(&self) -> Result<Vec<SnapshotRecord>> {
        Ok(self.slots.view().await?.snapshots().cloned().collect())
    }

    async fn open(&self, snapshot: SnapshotId) -> Result<Arc<dyn Snapshot>> {
        let record = self.find(snapshot).await?;
        let root = self.store.root(&record.root).await?;
        Ok(Arc::new(VaultSnapshot::new(record, Layers::new(self.store.clone(), Arc::new(root)))))
    }

    async fn begin(&self, job: JobSpec) -> Result<Box<dyn SnapshotWriter>> {
        // The flag is raised before anything is looked at: whoever collects blobs and
        // does not see it has made its plan known before, and is seen here.
        self.raise_flag(&job).await?;
        let view = self.slots.view().await?;
        view.check_undecided(job.id)?;
        view.check_name(&job.name)?;
        let parent = match job.parent {
            Some(parent) => {
                let record = view.find(parent).ok_or_else(|| self.not_found(parent))?;
                self.store.root(&record.root).await?
            }
            None => Root::empty(),
        };
        let (slots, clock) = (Arc::clone(&self.slots), Arc::clone(&self.clock));
        let writer = VaultWriter::new(self.store.with_staging(), slots, clock, self.options.clone(), job, parent);
        Ok(Box::new(writer))
    }

    fn check(&self, snapshots: Vec<SnapshotId>) -> BoxStream<'static, Result<CatalogDamage>> {
        check(self.clone(), snapshots)
    }

    async fn expire(&self, snapshot: SnapshotId) -> Result<()> {
        self.find(snapshot).await?;
        let name = names::expire(snapshot);
        let mark = self.store.seal(&name, &Expiry { expired: self.clock.now() })?;
        match self.store.create_own(&name, mark).await {
            // Somebody else marked it in between, or something is there that is no mark: then that has to go first.
            Err(Error::BlobExists { .. }) => self.slots.read_mark(snapshot).await,
            marked => marked,
        }
    }
}

impl fmt::Display for VaultCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.location().fmt(f)
    }
}

impl fmt::Debug for VaultCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VaultCatalog").field("store", &self.store).finish_non_exhaustive()
    }
}
