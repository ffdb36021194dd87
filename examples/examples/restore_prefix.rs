//! Restores what lies below a prefix, and leaves alone what is there already.
//!
//! `cargo run -p stocktake-examples --example restore_prefix`
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::Arc;

use stocktake::catalog::VaultCatalog;
use stocktake::fs::{FsListing, FsSource, FsTarget, FsVault};
use stocktake::{
    Backup, BackupOptions, Catalog, ConflictPolicy, Location, OsEntropy, Protection, Restore, RestoreOptions,
    SystemClock, find_snapshot, init_vault,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let home = tempfile::tempdir()?;
    let (photos, backups, restored) =
        (home.path().join("photos"), home.path().join("backups"), home.path().join("restored"));
    for (name, bytes) in [("2025/a.jpg", "old"), ("2026/b.jpg", "new"), ("2026/c.jpg", "newer")] {
        std::fs::create_dir_all(photos.join(name).parent().unwrap_or(&photos))?;
        std::fs::write(photos.join(name), bytes)?;
    }

    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(OsEntropy));
    let store = Arc::new(FsVault::new(&backups));
    let vault = init_vault(store, Protection::Unencrypted, &*clock, &*entropy).await?;
    let catalog = Arc::new(VaultCatalog::new(vault.vault.clone(), vault.key.clone(), clock.clone()));
    let source = Arc::new(FsSource::new(&photos));
    let listing = Arc::new(FsListing::new(&photos, clock.clone()));
    let backup = Backup::new(source, listing, vault.clone(), catalog.clone(), clock, entropy);
    backup.plan(BackupOptions::new(Location::new("photos"))).await?.run().await?;

    let record = find_snapshot(&*catalog, "latest").await?;
    let snapshot = catalog.open(record.id).await?;
    let mut options = RestoreOptions::default();
    options.prefixes = vec![b"2026/".to_vec()];
    options.conflict = ConflictPolicy::OverwriteIfDifferent;
    for run in ["first", "second"] {
        let restore = Restore::new(&vault, snapshot.clone(), Arc::new(FsTarget::new(&restored)));
        let report = restore.run(options.clone()).await?;
        println!("{run}: {} restored, {} skipped", report.restored.objects, report.skipped.objects);
    }
    assert_eq!(std::fs::read(restored.join("2026/b.jpg"))?, b"new");
    assert!(!restored.join("2025").exists());
    Ok(())
}
