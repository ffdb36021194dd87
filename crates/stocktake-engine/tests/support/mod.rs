//! A small world to back up: a bucket in memory, a vault and a catalog.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use stocktake_catalog::VaultCatalog;
use stocktake_core::memory::{MemoryBucket, MemoryVault};
use stocktake_core::{
    Attributes, Catalog, Entropy, Event, InventoryReader, Location, ManualClock, Observer, Result, SeededEntropy,
    SnapshotId, Source, Timestamp, Vault,
};
use stocktake_engine::{
    Backup, BackupOptions, BackupPlan, BackupReport, DataShare, OpenVault, Protection, Restore, RestoreOptions, Verify,
    VerifyReport, init_vault,
};
use stocktake_format::{KeyFile, VaultKey};

/// Keys with their bytes and attributes.
pub type State = BTreeMap<Vec<u8>, (Bytes, Attributes)>;

pub struct World {
    pub bucket: Arc<MemoryBucket>,
    pub source: Arc<dyn Source>,
    pub inventories: Arc<dyn InventoryReader>,
    pub store: Arc<MemoryVault>,
    pub vault: OpenVault,
    pub catalog: Arc<dyn Catalog>,
    pub entropy: Arc<SeededEntropy>,
    pub observer: Arc<Notes>,
}

impl World {
    /// An empty bucket and an encrypted vault.
    pub async fn new() -> Self {
        Self::with_key(Some([7; 32])).await
    }

    pub async fn with_key(key: Option<[u8; 32]>) -> Self {
        let store = Arc::new(MemoryVault::new());
        let entropy = Arc::new(SeededEntropy::new(1));
        let file = key.map(|key| KeyFile::new(&key).unwrap());
        let protection = file.as_ref().map_or(Protection::Unencrypted, |file| Protection::Encrypted(file));
        let vault = init_vault(store.clone(), protection, &*clock(), &*entropy).await.unwrap();
        let bucket = Arc::new(MemoryBucket::new("photos"));
        let catalog = catalog(vault.vault.clone(), vault.key.clone());
        let (source, inventories) = (bucket.clone(), bucket.clone());
        Self { bucket, source, inventories, store, vault, catalog, entropy, observer: Arc::default() }
    }

    /// The same world seen through another vault object, as after a restart.
    pub fn reopened(&self, vault: Arc<dyn Vault>) -> Self {
        let mut open = self.vault.clone();
        open.vault = vault;
        let vault = open;
        Self {
            bucket: self.bucket.clone(),
            source: self.source.clone(),
            inventories: self.inventories.clone(),
            store: self.store.clone(),
            catalog: catalog(vault.vault.clone(), vault.key.clone()),
            vault,
            entropy: self.entropy.clone(),
            observer: Arc::default(),
        }
    }

    pub fn options(&self) -> BackupOptions {
        BackupOptions::new(Location::new("memory:photos"))
    }

    pub async fn plan(&self, options: BackupOptions) -> Result<BackupPlan> {
        let entropy: Arc<dyn Entropy> = self.entropy.clone();
        Backup::new(
            self.source.clone(),
            self.inventories.clone(),
            self.vault.clone(),
            self.catalog.clone(),
            clock(),
            entropy,
        )
        .observer(self.observer.clone())
        .plan(options)
        .await
    }

    pub async fn backup_with(&self, options: BackupOptions) -> Result<BackupReport> {
        self.plan(options).await?.run().await
    }

    pub async fn backup(&self) -> Result<BackupReport> {
        self.backup_with(self.options()).await
    }

    /// What is in the bucket now.
    pub fn state(&self) -> State {
        let entries = self.bucket.entries();
        entries
            .into_iter()
            .map(|entry| {
                let key = entry.key.as_bytes().to_vec();
                let bytes = self.bucket.get(entry.key.clone()).unwrap();
                (key, (bytes, self.bucket.attributes(entry.key).unwrap()))
            })
            .collect()
    }

    /// What a snapshot restores to.
    pub async fn restored(&self, snapshot: SnapshotId) -> Result<State> {
        let target = Arc::new(MemoryBucket::new("restored"));
        let snapshot = self.catalog.open(snapshot).await?;
        let report = Restore::new(&self.vault, snapshot, target.clone())
            .verify_through(target.clone())
            .observer(self.observer.clone())
            .run(RestoreOptions::default())
            .await?;
        assert_eq!((report.failed.objects, report.skipped.objects), (0, 0), "{:?}", self.observer.take());
        let entries = target.entries().into_iter();
        Ok(entries
            .map(|entry| {
                let key = entry.key.as_bytes().to_vec();
                (key, (target.get(entry.key.clone()).unwrap(), target.attributes(entry.key).unwrap()))
            })
            .collect())
    }

    pub async fn verify(&self) -> VerifyReport {
        let entropy: Arc<dyn Entropy> = self.entropy.clone();
        Verify::new(&self.vault, self.catalog.clone(), entropy).run(&[], DataShare::All).await.unwrap()
    }
}

/// The buckets in memory live at the beginning of 2026.
pub fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::parse_rfc3339("2026-01-02T00:00:00Z").unwrap()))
}

fn catalog(vault: Arc<dyn Vault>, key: Arc<VaultKey>) -> Arc<dyn Catalog> {
    Arc::new(VaultCatalog::new(vault, key, clock()))
}

/// Bytes that don't compress, the same for the same seed.
pub fn noise(seed: u64, length: usize) -> Bytes {
    let mut bytes = vec![0; length];
    SeededEntropy::new(seed).fill(&mut bytes);
    bytes.into()
}

/// Keeps what was observed, as text.
#[derive(Debug, Default)]
pub struct Notes(Mutex<Vec<String>>);

impl Notes {
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Observer for Notes {
    fn on_event(&self, event: &Event<'_>) {
        if let Event::Progress { done, total: Some(total) } = event {
            assert!(done.objects <= total.objects && done.bytes <= total.bytes, "{done:?} of {total:?}");
        }
        if !matches!(event, Event::Progress { .. } | Event::Compared { .. }) {
            self.0.lock().unwrap().push(format!("{event:?}"));
        }
    }
}
