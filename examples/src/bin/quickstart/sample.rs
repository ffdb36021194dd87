//! The sample objects, and what happens to them between two days.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use stocktake::{Entropy, Error, Result, SeededEntropy, Tally};

/// Small objects, in ten folders.
const SMALL: usize = 2_000;
/// Bytes of a large object.
const LARGE_BYTES: usize = 12 << 20;

/// Objects by key.
pub(crate) type Contents = BTreeMap<String, Vec<u8>>;

/// A folder and what is in it.
pub(crate) struct Sample {
    folder: PathBuf,
    contents: Contents,
    entropy: SeededEntropy,
}

/// What was changed, in words.
pub(crate) struct Changes {
    pub(crate) added: usize,
    pub(crate) changed: usize,
    pub(crate) deleted: usize,
}

impl Sample {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder, contents: Contents::new(), entropy: SeededEntropy::new(2026) }
    }

    /// Writes the objects of the first day.
    pub(crate) fn create(&mut self) -> Result<Tally> {
        for number in 0..SMALL {
            let bytes = self.small(number);
            self.put(&format!("album-{}/{number:04}.jpg", number % 10), bytes)?;
        }
        let large = self.random(LARGE_BYTES);
        self.put("films/summer.mp4", large)?;
        Ok(self.contents.values().map(|bytes| Tally::one(bytes.len() as u64)).sum())
    }

    /// Adds, changes and deletes some; of the large one, a few bytes in the middle.
    pub(crate) fn change(&mut self) -> Result<Changes> {
        for number in 0..25 {
            let bytes = self.small(number);
            self.put(&format!("album-new/{number:04}.jpg"), bytes)?;
        }
        for number in (0..SMALL).step_by(100) {
            let bytes = self.small(number);
            self.put(&format!("album-{}/{number:04}.jpg", number % 10), bytes)?;
        }
        for number in (7..SMALL).step_by(400) {
            let key = format!("album-{}/{number:04}.jpg", number % 10);
            let path = self.folder.join(&key);
            fs::remove_file(&path).map_err(Error::local("delete", path))?;
            self.contents.remove(&key);
        }
        let mut large = self.contents["films/summer.mp4"].clone();
        large.splice(LARGE_BYTES / 2..LARGE_BYTES / 2, *b"a new scene");
        self.put("films/summer.mp4", large)?;
        Ok(Changes { added: 25, changed: SMALL / 100 + 1, deleted: SMALL / 400 })
    }

    /// What the folder holds now.
    pub(crate) fn contents(&self) -> Contents {
        self.contents.clone()
    }

    fn put(&mut self, key: &str, bytes: Vec<u8>) -> Result<()> {
        let path = self.folder.join(key);
        let folder = path.parent().unwrap_or(&self.folder);
        fs::create_dir_all(folder).map_err(Error::local("create", folder))?;
        fs::write(&path, &bytes).map_err(Error::local("write", path))?;
        self.contents.insert(key.to_owned(), bytes);
        Ok(())
    }

    /// One to nine kibibytes, half of them text.
    fn small(&self, number: usize) -> Vec<u8> {
        let mut bytes = self.random(512 * (1 + number % 9));
        let text = format!("picture {number}, taken on a sunny day\n");
        bytes.extend(text.bytes().cycle().take(bytes.len()));
        bytes
    }

    fn random(&self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.entropy.fill(&mut bytes);
        bytes
    }
}

/// Compares a restored folder with what it should hold.
pub(crate) fn check(folder: &Path, expected: &Contents) -> Result<()> {
    let mut files = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).map_err(Error::local("list", &folder))?;
        for entry in entries {
            let path = entry.map_err(Error::local("list", &folder))?.path();
            if path.is_dir() { folders.push(path) } else { files += 1 }
        }
    }
    for (key, bytes) in expected {
        let path = folder.join(key);
        if fs::read(&path).map_err(Error::local("read", path))? != *bytes {
            return Err(Error::invalid(format!("{key} was restored with other bytes")));
        }
    }
    if files == expected.len() {
        return Ok(());
    }
    Err(Error::invalid(format!("{files} objects were restored, and there should be {}", expected.len())))
}
