//! Folders by handle, and what is done inside one.
//!
//! Every call names one entry of an open folder, and none follows a link. A path
//! of several segments is descended one handle at a time, so that nothing that
//! is swapped on the way can lead elsewhere.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{self, AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::facts::Facts;

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// `NONBLOCK`, so that opening a named pipe returns at once; it means nothing for a file.
const FILE: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);
const NEW_FILE: OFlags = OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::CLOEXEC);

/// An open folder.
#[derive(Debug)]
pub(crate) struct Dir(OwnedFd);

/// A name in a folder, and what it names as far as the folder itself tells.
#[derive(Debug)]
pub(crate) struct Name {
    pub(crate) bytes: Vec<u8>,
    pub(crate) kind: FileType,
}

impl Dir {
    /// Opens the folder at `path`, following links: the root is what its owner says it is.
    pub(crate) fn root(path: &Path) -> io::Result<Self> {
        Ok(Self(fs::openat(CWD, path, FOLDER, Mode::empty())?))
    }

    /// Opens the folder at `path`, made durably with those above it where they are missing.
    pub(crate) fn make_root(path: &Path) -> io::Result<Self> {
        match Self::root(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened_or_failed => return opened_or_failed,
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Self::root(path) };
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        let parent = Self::make_root(parent)?;
        let root = parent.make_folder(name.as_encoded_bytes())?;
        parent.sync()?;
        Ok(root)
    }

    /// Opens a folder in this one.
    pub(crate) fn folder(&self, name: &[u8]) -> io::Result<Self> {
        Ok(Self(fs::openat(&self.0, name, FOLDER | OFlags::NOFOLLOW, Mode::empty())?))
    }

    /// Opens a folder in this one, made if it is missing.
    pub(crate) fn make_folder(&self, name: &[u8]) -> io::Result<Self> {
        match self.folder(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened_or_failed => return opened_or_failed,
        }
        match fs::mkdirat(&self.0, name, Mode::from_raw_mode(0o777)) {
            Ok(()) | Err(Errno::EXIST) => self.folder(name),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Opens a regular file in this folder; `None` when the name is of something else.
    pub(crate) fn file(&self, name: &[u8]) -> io::Result<Option<(File, Facts)>> {
        let file = File::from(fs::openat(&self.0, name, FILE, Mode::empty())?);
        let facts = file_facts(&file)?;
        Ok(facts.is_file().then_some((file, facts)))
    }

    /// Makes a file that was not there before.
    pub(crate) fn new_file(&self, name: &str) -> io::Result<File> {
        Ok(File::from(fs::openat(&self.0, name, NEW_FILE, Mode::from_raw_mode(0o666))?))
    }

    /// The facts of what has this name.
    pub(crate) fn facts(&self, name: &[u8]) -> io::Result<Facts> {
        Ok(fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)?.into())
    }

    /// Whether anything has this name.
    pub(crate) fn has(&self, name: &[u8]) -> io::Result<bool> {
        match self.facts(name) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// All names in this folder, in no order.
    pub(crate) fn names(&self) -> io::Result<Vec<Name>> {
        let mut names = Vec::new();
        for entry in fs::Dir::read_from(&self.0)? {
            let entry = entry?;
            let bytes = entry.file_name().to_bytes();
            if !matches!(bytes, b"." | b"..") {
                names.push(Name { bytes: bytes.to_vec(), kind: entry.file_type() });
            }
        }
        Ok(names)
    }

    /// Gives the file `from` the name `to`, in the place of whatever file has it.
    pub(crate) fn rename(&self, from: &str, to: &[u8]) -> io::Result<()> {
        Ok(fs::renameat(&self.0, from, &self.0, to)?)
    }

    /// Gives the file `from` the name `to`, unless that is taken (`AlreadyExists`). Atomic.
    pub(crate) fn rename_new(&self, from: &str, to: &[u8]) -> io::Result<()> {
        match self.rename_unless_taken(from, to) {
            // The file system does not know this call, so the name is decided by a link.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                fs::linkat(&self.0, from, &self.0, to, AtFlags::empty())?;
                self.remove(from.as_bytes())
            }
            outcome => Ok(outcome?),
        }
    }

    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    fn rename_unless_taken(&self, from: &str, to: &[u8]) -> Result<(), Errno> {
        fs::renameat_with(&self.0, from, &self.0, to, fs::RenameFlags::NOREPLACE)
    }

    #[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
    fn rename_unless_taken(&self, _from: &str, _to: &[u8]) -> Result<(), Errno> {
        Err(Errno::NOSYS)
    }

    /// Removes a file.
    pub(crate) fn remove(&self, name: &[u8]) -> io::Result<()> {
        Ok(fs::unlinkat(&self.0, name, AtFlags::empty())?)
    }

    /// Removes a folder that is empty.
    pub(crate) fn remove_folder(&self, name: &[u8]) -> io::Result<()> {
        Ok(fs::unlinkat(&self.0, name, AtFlags::REMOVEDIR)?)
    }

    /// Makes all that was written to the file system of this folder survive a crash of the machine.
    pub(crate) fn sync_all(&self) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        fs::syncfs(&self.0)?;
        #[cfg(not(target_os = "linux"))]
        fs::sync();
        Ok(())
    }

    /// Makes the names in this folder survive a crash of the machine.
    pub(crate) fn sync(&self) -> io::Result<()> {
        Ok(fs::fsync(&self.0)?)
    }
}

/// The facts of an open file.
pub(crate) fn file_facts(file: &File) -> io::Result<Facts> {
    Ok(fs::fstat(file)?.into())
}
