//! Files that appear whole.
//!
//! A file is written beside its final place under a temporary name, and then
//! renamed: who finds it by its final name finds all of it. The folders it lies in are made on
//! the way, and removed when their last file is. In a vault the file is made durable
//! before it is renamed and its folders after, so that this holds after a crash as well.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use stocktake_core::IfExists;

use crate::dir::Dir;
use crate::key::{self, KeyPath};

/// How often a folder that is removed at the same moment is made again.
const ATTEMPTS: usize = 16;

/// A file being written. Dropping it before it is published removes it.
#[derive(Debug)]
pub(crate) struct NewFile {
    folder: Dir,
    temporary: String,
    file: File,
    if_exists: IfExists,
    published: bool,
}

impl NewFile {
    /// Begins a file that will have `path` below `root`. Both need not exist.
    ///
    /// With [`IfExists::Fail`], `AlreadyExists` when the name is taken.
    pub(crate) fn create(root: &Path, path: KeyPath<'_>, if_exists: IfExists) -> io::Result<Self> {
        let mut attempt = 1;
        loop {
            match Self::create_once(root, path, if_exists) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && attempt < ATTEMPTS => attempt += 1,
                outcome => return outcome,
            }
        }
    }

    fn create_once(root: &Path, path: KeyPath<'_>, if_exists: IfExists) -> io::Result<Self> {
        let folder = path.folders().try_fold(Dir::make_root(root)?, |folder, name| folder.make_folder(name))?;
        // Renaming decides; but what is there already need not be written again to learn of it.
        if if_exists == IfExists::Fail && folder.has(path.name())? {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let (temporary, file) = create_temporary(&folder)?;
        Ok(Self { folder, temporary, file, if_exists, published: false })
    }

    /// The file, to be written.
    pub(crate) fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Makes the file durable and gives it its `path` below `root`, for good.
    ///
    /// With [`IfExists::Fail`], `AlreadyExists` when the name is taken.
    pub(crate) fn publish(mut self, root: &Path, path: KeyPath<'_>) -> io::Result<()> {
        self.file.sync_all()?;
        self.rename(path.name())?;
        // Whoever made a folder may have been stopped before it was durable, so all on the way are seen to.
        let mut folder = Dir::root(root)?;
        for name in path.folders() {
            folder.sync()?;
            folder = folder.folder(name)?;
        }
        folder.sync()
    }

    /// Gives the file its name. It is durable once the file system is [synchronised](crate::dir::Dir::sync_all).
    ///
    /// With [`IfExists::Fail`], `AlreadyExists` when the name is taken.
    pub(crate) fn place(mut self, name: &[u8]) -> io::Result<()> {
        self.rename(name)
    }

    fn rename(&mut self, name: &[u8]) -> io::Result<()> {
        match self.if_exists {
            IfExists::Fail => self.folder.rename_new(&self.temporary, name)?,
            IfExists::Replace => self.folder.rename(&self.temporary, name)?,
        }
        self.published = true;
        Ok(())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.published
            && let Err(error) = self.folder.remove(self.temporary.as_bytes())
        {
            tracing::warn!(%error, name = self.temporary, "a temporary file could not be removed");
        }
    }
}

/// A file under a name that nobody else uses.
fn create_temporary(folder: &Dir) -> io::Result<(String, File)> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    loop {
        // Another machine may have a process of the same number, so a taken name is no fault.
        let name = key::temporary_name(std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        match folder.new_file(&name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            outcome => return Ok((name, outcome?)),
        }
    }
}

/// Removes the file at `path` below `root`, and every folder on the way that is empty then.
///
/// The root stays, and so do the folders of `kept`, a path below it. What is not a file is left.
pub(crate) fn remove(root: &Path, path: KeyPath<'_>, kept: &[u8]) -> io::Result<()> {
    let mut way = vec![Dir::root(root)?];
    for name in path.folders() {
        let folder = way.last().expect("the root is on the way").folder(name)?;
        way.push(folder);
    }
    let folder = way.pop().expect("the root is on the way");
    if folder.facts(path.name())?.is_file() {
        folder.remove(path.name())?;
    }
    let names: Vec<_> = path.folders().collect();
    let stay = names.iter().zip(kept.split(|byte| *byte == b'/')).take_while(|(name, kept)| *name == kept).count();
    for (parent, name) in way.iter().zip(names).skip(stay).rev() {
        // A folder that is not empty stays, and so do those above it.
        if parent.remove_folder(name).is_err() {
            break;
        }
    }
    Ok(())
}
