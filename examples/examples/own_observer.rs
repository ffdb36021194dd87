//! Listens to what a job does, and stops it from outside.
//!
//! `cargo run -p stocktake-examples --example own_observer`
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use stocktake::catalog::VaultCatalog;
use stocktake::fs::{FsListing, FsSource, FsVault};
use stocktake::{
    Backup, BackupOptions, Catalog, Error, Event, Location, Observer, OsEntropy, Protection, SystemClock, init_vault,
};
use tokio_util::sync::CancellationToken;

/// Counts objects, and stops the job after a number of them.
struct StopAfter {
    limit: u64,
    copied: AtomicU64,
    cancel: CancellationToken,
}

impl Observer for StopAfter {
    // Called from many tasks at once, so it only counts.
    fn on_event(&self, event: &Event<'_>) {
        if let Event::ObjectCopied { .. } = event
            && self.copied.fetch_add(1, Relaxed) + 1 == self.limit
        {
            self.cancel.cancel();
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let home = tempfile::tempdir()?;
    let (photos, backups) = (home.path().join("photos"), home.path().join("backups"));
    std::fs::create_dir(&photos)?;
    for number in 0..5_000 {
        std::fs::write(photos.join(format!("{number:04}.jpg")), format!("picture {number}"))?;
    }

    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(OsEntropy));
    let store = Arc::new(FsVault::new(&backups));
    let vault = init_vault(store, Protection::Unencrypted, &*clock, &*entropy).await?;
    let catalog = Arc::new(VaultCatalog::new(vault.vault.clone(), vault.key.clone(), clock.clone()));
    let source = Arc::new(FsSource::new(&photos));
    let listing = Arc::new(FsListing::new(&photos, clock.clone()));
    let backup = Backup::new(source, listing, vault, catalog.clone(), clock, entropy);

    let cancel = CancellationToken::new();
    let observer = Arc::new(StopAfter { limit: 1_000, copied: AtomicU64::new(0), cancel: cancel.clone() });
    let stopped = backup.clone().observer(observer.clone()).cancel(cancel);
    let ended = stopped.plan(BackupOptions::new(Location::new("photos"))).await?.run().await;
    assert!(matches!(ended, Err(Error::Cancelled)));
    println!("stopped after {} objects; {} snapshots", observer.copied.load(Relaxed), catalog.snapshots().await?.len());

    // Nothing was committed and nothing is in the way.
    let report = backup.plan(BackupOptions::new(Location::new("photos"))).await?.run().await?;
    println!("run again: {} objects in {}", report.snapshot.total.objects, report.snapshot.name);
    Ok(())
}
