//! What a command works with: the outside world as values, and how vaults are opened.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use stocktake::catalog::VaultCatalog;
use stocktake::location::{self, OpenInventoryStore, OpenSource, OpenTarget};
use stocktake::{
    Catalog, Clock, Entropy, InventoryReader, OpenVault, OsEntropy, Snapshot, SystemClock, Timestamp, find_snapshot,
    open_vault,
};
use tokio_util::sync::CancellationToken;

use crate::args::{SnapshotArgs, VaultArgs};
use crate::exit::Result;
use crate::output::Output;
use crate::settings::{Role, settings};

/// Everything a command gets from outside beside its arguments.
pub(crate) struct Session {
    pub(crate) output: Arc<Output>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) cancel: CancellationToken,
    ends_by_itself: AtomicBool,
    started: Timestamp,
}

/// A vault and its catalog, open.
pub(crate) struct Opened {
    pub(crate) vault: OpenVault,
    pub(crate) catalog: Arc<dyn Catalog>,
}

impl Session {
    pub(crate) fn new(output: Arc<Output>, cancel: CancellationToken) -> Self {
        let clock = Arc::new(SystemClock);
        let started = clock.now();
        Self { output, clock, entropy: Arc::new(OsEntropy), cancel, ends_by_itself: AtomicBool::new(false), started }
    }

    /// Says that the command takes note of the cancellation itself from now on, and must not be dropped.
    pub(crate) fn end_by_itself(&self) {
        self.ends_by_itself.store(true, Relaxed);
    }

    pub(crate) fn ends_by_itself(&self) -> bool {
        self.ends_by_itself.load(Relaxed)
    }

    /// How long the command has been running.
    pub(crate) fn elapsed(&self) -> Duration {
        self.clock.now().since(self.started)
    }

    pub(crate) async fn open_vault(&self, args: &VaultArgs) -> Result<Opened> {
        let store = location::open_vault_store(&args.vault, &settings(Role::Vault))?;
        let provider = args.key.provider()?;
        let providers: Vec<_> = provider.iter().map(|provider| &**provider).collect();
        let vault = open_vault(store, &providers).await?;
        let catalog = VaultCatalog::new(vault.vault.clone(), vault.key.clone(), self.clock.clone());
        Ok(Opened { vault, catalog: Arc::new(catalog) })
    }

    /// Opens a vault and the snapshot that was asked for.
    pub(crate) async fn open_snapshot(&self, args: &SnapshotArgs) -> Result<(Opened, Arc<dyn Snapshot>)> {
        let opened = self.open_vault(&args.vault).await?;
        let snapshot = opened.snapshot(&args.snapshot).await?;
        Ok((opened, snapshot))
    }

    pub(crate) fn open_source(&self, location: &str) -> Result<OpenSource> {
        Ok(location::open_source(location, &settings(Role::Source))?)
    }

    pub(crate) fn open_target(&self, location: &str) -> Result<OpenTarget> {
        Ok(location::open_target(location, &settings(Role::Target))?)
    }

    /// The listing of a source, by so many requests or threads at once, or as many as the library holds for sensible.
    pub(crate) fn open_listing(&self, location: &str, concurrency: Option<u16>) -> Result<Arc<dyn InventoryReader>> {
        let (settings, clock) = (settings(Role::Source), self.clock.clone());
        Ok(match concurrency {
            Some(count) => location::open_listing_at_once(location, &settings, clock, count.into())?,
            None => location::open_listing(location, &settings, clock)?,
        })
    }

    pub(crate) fn open_inventory_store(&self, location: &str) -> Result<OpenInventoryStore> {
        Ok(location::open_inventory_store(location, &settings(Role::Inventory))?)
    }

    pub(crate) fn open_inventories(&self, location: &str) -> Result<Arc<dyn InventoryReader>> {
        Ok(location::open_inventories(location, &settings(Role::Inventory))?)
    }
}

impl Opened {
    /// The snapshot that `text` names.
    pub(crate) async fn snapshot(&self, text: &str) -> Result<Arc<dyn Snapshot>> {
        let record = find_snapshot(&*self.catalog, text).await?;
        Ok(self.catalog.open(record.id).await?)
    }
}
