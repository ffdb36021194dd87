//! A world of folders: a source, its inventories, and a vault.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use stocktake::fs::{FsListing, FsVault};
use stocktake::{Clock, Entry, InventoryReader, SystemClock, Timestamp, Vault};
use stocktake_testkit::inventories::{InventorySpec, Shape, WrittenInventory, batches, write};
use tempfile::TempDir;

use super::program::{Program, Run};

const HOUR: Duration = Duration::from_secs(3600);

/// Folders, and the program that works on them.
pub(crate) struct World {
    home: TempDir,
    /// The program.
    pub(crate) program: Program,
}

impl World {
    /// An empty source and an unencrypted vault.
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().expect("a temporary folder");
        let world = Self { home, program: Program::new() };
        fs::create_dir(world.source()).expect("a temporary folder can be written");
        world.program.run(&["init", &world.vault(), "--unencrypted"]).exits(0);
        world
    }

    /// A world whose source has some objects in it.
    pub(crate) fn with_objects(count: usize) -> Self {
        let world = Self::new();
        for number in 0..count {
            world.put(&format!("{}/{number:04}.txt", number % 7), format!("object {number}"));
        }
        world
    }

    /// The path of something in the world.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// The same as text.
    pub(crate) fn at(&self, name: &str) -> String {
        self.path(name).to_str().expect("a temporary folder is named in plain text").to_owned()
    }

    /// The source. Its name is what inventories call its bucket.
    pub(crate) fn source(&self) -> String {
        self.at("photos")
    }

    /// The vault.
    pub(crate) fn vault(&self) -> String {
        self.at("vault")
    }

    /// The inventories.
    pub(crate) fn inventories(&self) -> String {
        self.at("inventories")
    }

    /// Writes an object of the source.
    pub(crate) fn put(&self, key: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path("photos").join(key);
        fs::create_dir_all(path.parent().expect("a key is below the source")).expect("a folder can be made");
        fs::write(path, bytes).expect("an object can be written");
    }

    /// Deletes an object of the source.
    pub(crate) fn remove(&self, key: &str) {
        fs::remove_file(self.path("photos").join(key)).expect("an object can be deleted");
    }

    /// What the source holds now, as its listing tells.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        block_on(async {
            let listing = FsListing::new(self.source(), Arc::new(SystemClock));
            let inventory = listing.open(&listing.inventories().await?[0]).await?;
            let mut entries = Vec::new();
            for part in 0..inventory.parts() {
                let read: Vec<_> = inventory.read(part).try_collect().await?;
                entries.extend(read.iter().flat_map(|batch| batch.iter().map(|entry| entry.to_entry())));
            }
            Ok::<_, stocktake::Error>(entries)
        })
        .expect("the source can be listed")
    }

    /// An inventory of the source that was begun so many hours ago.
    pub(crate) fn spec(&self, shape: Shape, hours_ago: u32) -> InventorySpec {
        InventorySpec { source_bucket: "photos".into(), created: ago(HOUR * hours_ago), ..InventorySpec::new(shape) }
    }

    /// Delivers an inventory of what the source holds now.
    pub(crate) fn deliver(&self, shape: Shape, hours_ago: u32) -> WrittenInventory {
        self.write(&self.spec(shape, hours_ago), &self.entries())
    }

    /// Delivers an inventory of these entries.
    pub(crate) fn write(&self, spec: &InventorySpec, entries: &[Entry]) -> WrittenInventory {
        block_on(write(&self.store(), spec, batches(entries)))
    }

    /// The folder of inventories as a store.
    pub(crate) fn store(&self) -> FsVault {
        FsVault::new(self.inventories())
    }

    /// Alters a file of an inventory.
    pub(crate) fn alter(&self, name: &str, alter: impl FnOnce(&mut Vec<u8>)) {
        let path = self.path("inventories").join(name);
        let mut bytes = fs::read(&path).expect("the file is there");
        alter(&mut bytes);
        fs::write(path, bytes).expect("the file can be written");
    }

    /// Backs up by the newest inventory, with more options.
    pub(crate) fn back_up(&self, options: &[&str]) -> Run {
        let inventories = self.inventories();
        self.traverse(&[&["--inventory", &inventories], options].concat())
    }

    /// Backs up by walking the folder, with more options.
    pub(crate) fn traverse(&self, options: &[&str]) -> Run {
        let (source, vault) = (self.source(), self.vault());
        self.program.json(&[&["backup", "--source", &source, "--vault", &vault], options].concat())
    }

    /// Runs a command on the vault.
    pub(crate) fn on_vault(&self, command: &str, options: &[&str]) -> Run {
        let vault = self.vault();
        self.program.json(&[&[command, "--vault", &vault], options].concat())
    }

    /// Restores a snapshot to a new folder and returns what is in it.
    pub(crate) fn restored(&self, snapshot: &str) -> BTreeMap<String, Vec<u8>> {
        let to = tempfile::tempdir_in(self.home.path()).expect("a temporary folder");
        let target = to.path().to_str().expect("plain text").to_owned();
        self.on_vault("restore", &["--snapshot", snapshot, "--to", &target]).exits(0);
        files(to.path())
    }

    /// Every blob of the vault with its bytes: equal before and after whatever must not write.
    pub(crate) fn vault_files(&self) -> BTreeMap<String, Vec<u8>> {
        files(&self.path("vault"))
    }
}

/// Every file below a folder, by its path.
pub(crate) fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder can be listed") {
            let path = entry.expect("a folder can be listed").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).expect("it is below the root").to_string_lossy().into_owned();
                files.insert(name, fs::read(path).expect("a file can be read"));
            }
        }
    }
    files
}

/// A moment this long ago.
pub(crate) fn ago(age: Duration) -> Timestamp {
    Timestamp::from_millis(SystemClock.now().as_millis() - i64::try_from(age.as_millis()).expect("not that long ago"))
}

/// Runs a future of the library to its end.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Runtime::new().expect("a runtime can be started").block_on(future)
}

/// Puts a blob into a store, in the place of one that is there.
pub(crate) fn replace(store: &dyn Vault, name: &str, bytes: Vec<u8>) {
    block_on(async {
        store.delete(name).await?;
        store.create(name, bytes.into()).await
    })
    .expect("the store can be written");
}
