//! Backs up a folder twice, and shows that the second time only what changed is read.
//!
//! `cargo run -p stocktake-examples --example backup_folder`
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::path::Path;
use std::sync::Arc;

use stocktake::catalog::VaultCatalog;
use stocktake::format::Passphrase;
use stocktake::fs::{FsListing, FsSource, FsVault};
use stocktake::{Backup, BackupOptions, BackupReport, Location, OsEntropy, Protection, SystemClock, init_vault};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let home = tempfile::tempdir()?;
    let (photos, backups) = (home.path().join("photos"), home.path().join("backups"));
    std::fs::create_dir(&photos)?;
    for number in 0..100 {
        std::fs::write(photos.join(format!("{number:03}.jpg")), format!("picture {number}"))?;
    }

    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(OsEntropy));
    let key = Passphrase::new("correct horse battery staple");
    let vault = init_vault(Arc::new(FsVault::new(&backups)), Protection::Encrypted(&key), &*clock, &*entropy).await?;
    let catalog = Arc::new(VaultCatalog::new(vault.vault.clone(), vault.key.clone(), clock.clone()));
    let source = Arc::new(FsSource::new(&photos));
    let listing = Arc::new(FsListing::new(&photos, clock.clone()));
    let backup = Backup::new(source, listing, vault, catalog, clock, entropy);

    print("first", &run(&backup, &photos).await?);
    std::fs::write(photos.join("007.jpg"), "picture 7, retouched")?;
    std::fs::remove_file(photos.join("013.jpg"))?;
    print("second", &run(&backup, &photos).await?);
    Ok(())
}

async fn run(backup: &Backup, photos: &Path) -> stocktake::Result<BackupReport> {
    // Planning compares and counts; nothing is written before `run`.
    let options = BackupOptions::new(Location::new(photos.display().to_string()));
    backup.clone().plan(options).await?.run().await
}

fn print(which: &str, report: &BackupReport) {
    let (read, total) = (report.snapshot.summary.counters.copied.objects, report.snapshot.total.objects);
    println!("{which}: {read} of {total} objects read, {} bytes written", report.written.bytes);
}
