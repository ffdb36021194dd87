//! `quickstart`: the main job on a folder, from the first backup to the last restored byte.
//!
//! It makes a folder of sample objects and its inventory, backs it up, changes it,
//! backs it up again, browses, restores both snapshots and compares them with what
//! the folder held, verifies the vault, and tells what each step did and cost.
//! All of it is what an embedder would write; only the sample data is made up.

mod report;
mod sample;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use futures::TryStreamExt;
use stocktake::catalog::VaultCatalog;
use stocktake::format::Passphrase;
use stocktake::fs::{FsListing, FsSource, FsTarget, FsVault};
use stocktake::inventory::{CreateOptions, create_inventory};
use stocktake::location::{self, Settings};
use stocktake::{
    Backup, BackupOptions, BackupReport, Catalog, DataShare, Entropy, Error, InventoryReader, Listed, Location,
    OpenVault, OsEntropy, Protection, Restore, RestoreOptions, Result, SnapshotRecord, SystemClock, Tally, Verify,
    browse, display_key, init_vault,
};

use report::Report;
use sample::Sample;

const HELP: &str = "\
quickstart: back up a sample folder twice, restore both snapshots, and tell what it cost

usage: quickstart [--keep DIR]

  --keep DIR   work in DIR, which must not exist, and leave everything there to look at
";

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let kept = match arguments[..] {
        [] => None,
        ["--keep", folder] => Some(PathBuf::from(folder)),
        ["--help" | "-h"] => return report::print(HELP, ExitCode::SUCCESS),
        _ => return report::print(HELP, ExitCode::from(2)),
    };
    match start(kept) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report::print_error(&error),
    }
}

fn start(kept: Option<PathBuf>) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new().map_err(Error::local("start threads in", "."))?;
    match kept {
        Some(folder) => {
            std::fs::create_dir(&folder).map_err(Error::local("create", &folder))?;
            runtime.block_on(run(&folder, true))
        }
        None => {
            let folder = tempfile::tempdir().map_err(Error::local("make a folder in", std::env::temp_dir()))?;
            runtime.block_on(run(folder.path(), false))
        }
    }
}

/// The main job, step by step.
async fn run(home: &Path, kept: bool) -> Result<()> {
    let mut sample = Sample::new(home.join("photos"));
    let first_day = sample.create()?;
    let world = World::new(home).await?;
    let mut report = Report::new(home, kept, world.vault.meter.clone());
    report.begin(first_day);

    let inventory = world.make_inventory().await?;
    report.step("inventory of day 1", inventory);
    let first = world.back_up("day-1").await?;
    report.step("first backup", copied(&first));
    let contents = sample.contents();

    let changes = sample.change()?;
    let inventory = world.make_inventory().await?;
    report.step("inventory of day 2", inventory);
    let second = world.back_up("day-2").await?;
    report.step("second backup", copied(&second));

    let folders = world.browse(&second.snapshot).await?;
    report.step("browse the second", Tally { objects: folders.len() as u64, bytes: 0 });
    let days = [("restore the first", &first, &contents), ("restore the second", &second, &sample.contents())];
    for (step, backup, expected) in days {
        let restored = world.restore(&backup.snapshot, &home.join(&backup.snapshot.name)).await?;
        report.step(step, restored);
        sample::check(&home.join(&backup.snapshot.name), expected)?;
    }
    let verified = world.verify().await?;
    report.step("verify all data", verified);
    report.finish(&changes, &folders, &second)
}

/// What was read from the source.
fn copied(report: &BackupReport) -> Tally {
    report.snapshot.summary.counters.copied
}

/// The stores and what works on them.
struct World {
    photos: PathBuf,
    inventories: PathBuf,
    vault: OpenVault,
    catalog: Arc<VaultCatalog>,
    clock: Arc<SystemClock>,
    entropy: Arc<dyn Entropy>,
}

impl World {
    /// Makes an encrypted vault.
    async fn new(home: &Path) -> Result<Self> {
        let (clock, entropy) = (Arc::new(SystemClock), Arc::new(OsEntropy));
        let store = Arc::new(FsVault::new(home.join("vault")));
        let key = Passphrase::new("quickstart");
        let vault = init_vault(store, Protection::Encrypted(&key), &*clock, &*entropy).await?;
        let catalog = Arc::new(VaultCatalog::new(vault.vault.clone(), vault.key.clone(), clock.clone()));
        let (photos, inventories) = (home.join("photos"), home.join("inventories"));
        Ok(Self { photos, inventories, vault, catalog, clock, entropy })
    }

    /// Lists the folder once, and writes the list as the inventory of a cloud.
    async fn make_inventory(&self) -> Result<Tally> {
        let listing = FsListing::new(&self.photos, self.clock.clone());
        let listed = listing.open(&listing.inventories().await?[0]).await?;
        let options = CreateOptions::new("photos", "inventories").with_config("daily");
        let store = FsVault::new(&self.inventories);
        Ok(create_inventory(&*listed, &store, &options, &*self.entropy).await?.total)
    }

    /// Backs up what the newest inventory lists, building on the last snapshot.
    async fn back_up(&self, name: &str) -> Result<BackupReport> {
        let source = Arc::new(FsSource::new(&self.photos));
        let inventories = location::open_inventories(&self.inventories.to_string_lossy(), &Settings::default())?;
        let (clock, entropy) = (self.clock.clone(), self.entropy.clone());
        let backup = Backup::new(source, inventories, self.vault.clone(), self.catalog.clone(), clock, entropy);
        let mut options = BackupOptions::new(Location::new("photos"));
        options.name = Some(name.to_owned());
        backup.plan(options).await?.run().await
    }

    /// The top level of a snapshot.
    async fn browse(&self, record: &SnapshotRecord) -> Result<Vec<String>> {
        let snapshot = self.catalog.open(record.id).await?;
        let items = browse(snapshot, b"", b'/').map_ok(|item| match item {
            Listed::Folder(prefix) => display_key(&prefix).to_string(),
            Listed::Object(row) => row.entry.key.to_string(),
        });
        items.try_collect().await
    }

    async fn restore(&self, record: &SnapshotRecord, to: &Path) -> Result<Tally> {
        let snapshot = self.catalog.open(record.id).await?;
        let restore = Restore::new(&self.vault, snapshot, Arc::new(FsTarget::new(to)));
        Ok(restore.run(RestoreOptions::default()).await?.restored)
    }

    async fn verify(&self) -> Result<Tally> {
        let verify = Verify::new(&self.vault, self.catalog.clone(), self.entropy.clone());
        let report = verify.run(&[], DataShare::All).await?;
        match report.damage.first() {
            None => Ok(report.checked),
            Some(damage) => Err(Error::invalid(format!("{} is damaged: {}", damage.blob, damage.problem))),
        }
    }
}
