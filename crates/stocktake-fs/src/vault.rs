//! Blobs as files.
//!
//! A name is decided by the one rename, or link, that finds it free. Everything
//! else (whole, durable, visible) follows from files appearing only when they
//! are complete and synced.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use stocktake_core::{BlobInfo, Error, IfExists, Result, Vault, VaultCapabilities};

use crate::blocking;
use crate::error::{failure, is_absent};
use crate::facts::Facts;
use crate::key::KeyPath;
use crate::publish::{NewFile, remove};
use crate::source::{location, open_file};
use crate::walk::{self, Walk};

/// How many blobs of a listing are handed over together.
const LIST_BATCH: usize = 1000;

/// A [`Vault`] in a folder, which is made by the first creation.
///
/// Blobs survive a crash of the machine once `create` has returned: file, name
/// and new folders are synced. A writer that is killed may leave files named
/// `.stocktake-*.tmp`; no listing shows them, and they may be deleted while no
/// writer runs.
///
/// A deletion is not synced: after a crash of the machine a deleted blob may be
/// there again, whole. A name can't be a blob and the folder of another one.
///
/// `read` holds what was asked for in memory; `list` the names of one folder for
/// each level, and two thousand blobs.
#[derive(Clone)]
pub struct FsVault {
    root: PathBuf,
    kept: Arc<str>,
}

impl FsVault {
    /// The vault in the folder at `path`. Nothing is opened or made yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { root: path.into(), kept: "".into() }
    }

    /// The same vault, of which the folder at `path` below its own, and those on the way to it, are never removed:
    /// other folders are when the last blob in them is deleted.
    #[must_use]
    pub fn keeping(self, path: &str) -> Self {
        Self { kept: path.into(), ..self }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Runs `work` on the blob of this name, on a thread where it may block.
    async fn on_blob<T: Send + 'static>(
        &self,
        name: &str,
        work: impl FnOnce(&Blob, KeyPath<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        check_name(name)?;
        let blob = Blob { root: self.root.clone(), kept: self.kept.clone(), name: name.to_owned() };
        let path_of = |name: &str| Error::invalid(format!("{name:?} is not a blob's name in a folder"));
        blocking::run(&location(&self.root), move || {
            let path = KeyPath::parse(blob.name.as_bytes()).map_err(|_| path_of(&blob.name))?;
            work(&blob, path)
        })
        .await
    }
}

#[async_trait]
impl Vault for FsVault {
    fn capabilities(&self) -> VaultCapabilities {
        VaultCapabilities { create_if_absent: true }
    }

    async fn create(&self, name: &str, bytes: Bytes) -> Result<()> {
        self.on_blob(name, move |blob, path| blob.create(path, &bytes)).await
    }

    async fn read(&self, name: &str, range: Option<Range<u64>>) -> Result<Bytes> {
        self.on_blob(name, move |blob, path| blob.read(path, range)).await
    }

    async fn stat(&self, name: &str) -> Result<BlobInfo> {
        self.on_blob(name, |blob, path| Ok(info(blob.name.clone(), blob.open(path)?.1))).await
    }

    fn list(&self, prefix: &str, start_after: Option<&str>) -> BoxStream<'static, Result<BlobInfo>> {
        let (root, prefix, after) = (self.root.clone(), prefix.to_owned(), start_after.unwrap_or("").to_owned());
        let batches = blocking::stream(location(&self.root), move |sender| {
            let failed = |source| failure(&location(&root), format!("list {prefix}"), source);
            let Some(dir) = walk::open_root(&root).map_err(failed)? else { return Ok(()) };
            let mut walk = Walk::new(dir, prefix.as_bytes(), after.as_bytes()).map_err(failed)?;
            loop {
                let batch = next_batch(&mut walk).map_err(failed)?;
                if batch.is_empty() {
                    return Ok(());
                }
                sender.send(batch)?;
            }
        });
        batches.map_ok(|batch| stream::iter(batch).map(Ok)).try_flatten().boxed()
    }

    async fn delete(&self, name: &str) -> Result<()> {
        self.on_blob(name, |blob, path| match remove(&blob.root, path, blob.kept.as_bytes()) {
            Err(error) if !is_absent(&error) => Err(blob.failed("delete", error)),
            _ => Ok(()),
        })
        .await
    }
}

/// One blob of a vault.
struct Blob {
    root: PathBuf,
    kept: Arc<str>,
    name: String,
}

impl Blob {
    fn create(&self, path: KeyPath<'_>, bytes: &[u8]) -> Result<()> {
        let write = || {
            let mut file = NewFile::create(&self.root, path, IfExists::Fail)?;
            file.file().write_all(bytes)?;
            file.publish(&self.root, path)
        };
        match write() {
            // Most that lose a race or repeat a creation learn so before anything is written.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && self.open(path).is_ok() => Err(self.exists()),
            outcome => outcome.map_err(|error| self.failed("create", error)),
        }
    }

    fn read(&self, path: KeyPath<'_>, range: Option<Range<u64>>) -> Result<Bytes> {
        let (mut file, facts) = self.open(path)?;
        let range = match range {
            None => 0..facts.size,
            Some(range) if range.start < range.end && range.end <= facts.size => range,
            Some(range) => return Err(self.damaged(&range, facts.size)),
        };
        let length = range.end - range.start;
        let mut bytes = Vec::new();
        let mut read = || {
            bytes.try_reserve_exact(usize::try_from(length).unwrap_or(usize::MAX))?;
            file.seek(SeekFrom::Start(range.start))?;
            (&file).take(length).read_to_end(&mut bytes)
        };
        let came = read().map_err(|error| self.failed("read", error))?;
        if came as u64 == length { Ok(bytes.into()) } else { Err(self.damaged(&range, range.start + came as u64)) }
    }

    fn open(&self, path: KeyPath<'_>) -> Result<(std::fs::File, Facts)> {
        let opened = walk::open_root(&self.root).and_then(|root| root.map_or(Ok(None), |root| open_file(root, path)));
        match opened {
            Ok(Some(found)) => Ok(found),
            Err(error) if !is_absent(&error) => Err(self.failed("read", error)),
            _ => Err(Error::BlobNotFound { name: self.name.clone(), location: location(&self.root) }),
        }
    }

    fn exists(&self) -> Error {
        Error::BlobExists { name: self.name.clone(), location: location(&self.root) }
    }

    fn damaged(&self, range: &Range<u64>, size: u64) -> Error {
        let problem = format!("bytes {range:?} were asked for, it has {size}");
        Error::BlobDamaged { name: self.name.clone(), location: location(&self.root), problem }
    }

    fn failed(&self, action: &str, source: io::Error) -> Error {
        failure(&location(&self.root), format!("{action} {}", self.name), source)
    }
}

/// Refuses what the contract does not call a name.
fn check_name(name: &str) -> Result<()> {
    let characters = name.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_control());
    let segments = name.split('/').all(|segment| !matches!(segment, "" | "." | ".."));
    if characters && segments { Ok(()) } else { Err(Error::invalid(format!("{name:?} is not a blob's name"))) }
}

/// The next blobs of a listing; none at its end.
fn next_batch(walk: &mut Walk) -> io::Result<Vec<BlobInfo>> {
    let mut batch = Vec::new();
    while batch.len() < LIST_BATCH
        && let Some((path, facts)) = walk.next()?
    {
        // A file whose name can't be a blob's was put there by somebody else.
        if let Ok(name) = String::from_utf8(path)
            && check_name(&name).is_ok()
        {
            batch.push(info(name, facts));
        }
    }
    Ok(batch)
}

fn info(name: String, facts: Facts) -> BlobInfo {
    BlobInfo { name, size: facts.size, last_modified: facts.last_modified() }
}

impl fmt::Display for FsVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        location(&self.root).fmt(f)
    }
}

impl fmt::Debug for FsVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FsVault").field(&self.root).finish()
    }
}
