//! Reads a range of one object straight from the vault, with no restore.
//!
//! `cargo run -p stocktake-examples --example read_object`
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::Arc;

use futures::TryStreamExt;
use stocktake::catalog::VaultCatalog;
use stocktake::fs::{FsListing, FsSource, FsVault};
use stocktake::{
    Backup, BackupOptions, Catalog, ContentReader, Location, OsEntropy, Protection, SystemClock, init_vault,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let home = tempfile::tempdir()?;
    let (logs, backups) = (home.path().join("logs"), home.path().join("backups"));
    std::fs::create_dir(&logs)?;
    let lines: String = (0..2_000_000).map(|line| format!("line {line:08}\n")).collect();
    std::fs::write(logs.join("app.log"), &lines)?;

    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(OsEntropy));
    let vault = init_vault(Arc::new(FsVault::new(&backups)), Protection::Unencrypted, &*clock, &*entropy).await?;
    let catalog = Arc::new(VaultCatalog::new(vault.vault.clone(), vault.key.clone(), clock.clone()));
    let source = Arc::new(FsSource::new(&logs));
    let listing = Arc::new(FsListing::new(&logs, clock.clone()));
    let backup = Backup::new(source, listing, vault.clone(), catalog.clone(), clock, entropy);
    let report = backup.plan(BackupOptions::new(Location::new("logs"))).await?.run().await?;

    let before = vault.meter.requests().vault_get;
    let snapshot = catalog.open(report.snapshot.id).await?;
    let found = snapshot.lookup(&[&b"app.log"[..]].into_iter().collect()).await?;
    let row = found.iter().next().ok_or("the object is in the snapshot")?.to_row();
    let reader = ContentReader::new(vault.vault.clone(), vault.key.clone());
    let range = 14_000_000..14_000_028;
    let bytes: Vec<_> = reader.read(&row, Some(range)).try_collect::<Vec<_>>().await?.concat();
    println!("{}", String::from_utf8_lossy(&bytes));
    println!("of {} bytes, by {} reads of the vault", row.entry.size, vault.meter.requests().vault_get - before);
    assert_eq!(bytes, lines.as_bytes()[14_000_000..14_000_028]);
    Ok(())
}
