//! Objects as files.
//!
//! The body arrives on the runtime and is written on a thread. The thread is
//! told that the body is complete; a channel that merely closes means that the
//! write was dropped, and the file with it.

use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use stocktake_core::{Error, IfExists, Location, NewObject, ObjectKey, Result, Target, TargetObject, Timestamp};
use tokio::sync::mpsc;

use crate::dir::Dir;
use crate::error::{failure, is_absent};
use crate::facts::Facts;
use crate::key::KeyPath;
use crate::publish::{NewFile, remove};
use crate::source::{location, parse, unsupported};
use crate::{blocking, walk};

/// How many pieces of a body wait to be written.
const QUEUE_PIECES: usize = 4;

/// A folder that objects are restored to, as a [`Target`]. It is made when the first is written.
///
/// A file gets the original's time of modification, to the millisecond, and the
/// permissions of a new file. Attributes have no place in a folder: they are
/// dropped. Folders come and go with the files in them.
///
/// A key of which another one's folder, or a symbolic link, stands in the way
/// ends in [`KeyUnsupported`](stocktake_core::Error::KeyUnsupported). What has the
/// file's own name is replaced, also when it is a link; what a link points to is
/// never touched.
///
/// A write holds four pieces of the body in memory, of the size they came in.
#[derive(Clone)]
pub struct FsTarget {
    root: PathBuf,
}

impl FsTarget {
    /// The folder at `path`. Nothing is opened or made yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { root: path.into() }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn place(&self, key: &ObjectKey) -> Place {
        Place { root: self.root.clone(), location: location(&self.root), key: key.clone() }
    }
}

#[async_trait]
impl Target for FsTarget {
    async fn stat(&self, key: &ObjectKey) -> Result<Option<TargetObject>> {
        let place = self.place(key);
        let facts = blocking::run(&location(&self.root), move || place.facts()).await?;
        Ok(facts.filter(Facts::is_file).map(|facts| TargetObject {
            size: facts.size,
            last_modified: facts.last_modified(),
            etag: Some(facts.etag()),
        }))
    }

    async fn write(
        &self,
        object: &NewObject,
        mut body: BoxStream<'static, Result<Bytes>>,
        if_exists: IfExists,
    ) -> Result<()> {
        let NewObject { key, size, last_modified, attributes: _ } = object;
        let (size, last_modified, place) = (*size, *last_modified, self.place(key));
        let (sender, pieces) = mpsc::channel(QUEUE_PIECES);
        let at = location(&self.root);
        let writing = blocking::run(&at, move || place.write(size, last_modified, if_exists, pieces));
        let sending = async move {
            while let Some(piece) = body.next().await {
                if sender.send(Piece::Bytes(piece?)).await.is_err() {
                    // The writer gave up, and says why itself.
                    return Ok(());
                }
            }
            let _given_up = sender.send(Piece::End).await;
            Ok(())
        };
        let (written, sent) = futures::join!(writing, sending);
        sent.and(written)
    }

    async fn sync(&self) -> Result<()> {
        let (root, at) = (self.root.clone(), location(&self.root));
        let failed = |error| failure(&location(&self.root), "make files durable", error);
        let synced = blocking::run(&at, move || {
            Ok(walk::open_root(&root).and_then(|dir| dir.map_or(Ok(()), |dir| dir.sync_all())))
        });
        synced.await?.map_err(failed)
    }

    async fn delete(&self, key: &ObjectKey) -> Result<()> {
        let place = self.place(key);
        blocking::run(&location(&self.root), move || match remove(&place.root, parse(&place.key, &place.location)?) {
            Err(error) if !is_absent(&error) => Err(place.failed("delete", error)),
            _ => Ok(()),
        })
        .await
    }
}

/// A piece of a body on its way to the writing thread.
enum Piece {
    Bytes(Bytes),
    /// The body ended, without an error.
    End,
}

/// Where one object is written.
struct Place {
    root: PathBuf,
    location: Location,
    key: ObjectKey,
}

impl Place {
    /// The facts of whatever is at the key.
    fn facts(&self) -> Result<Option<Facts>> {
        let path = parse(&self.key, &self.location)?;
        let found = walk::open_root(&self.root).and_then(|root| root.map(|root| facts_at(root, path)).transpose());
        match found {
            Err(error) if is_absent(&error) => Ok(None),
            outcome => outcome.map_err(|error| self.failed("look at", error)),
        }
    }

    fn write(
        &self,
        size: u64,
        last_modified: Timestamp,
        if_exists: IfExists,
        mut pieces: mpsc::Receiver<Piece>,
    ) -> Result<()> {
        let path = parse(&self.key, &self.location)?;
        if if_exists == IfExists::Fail && self.facts()?.is_some() {
            return Err(self.taken());
        }
        let failed = |error| self.write_failed(error);
        let mut file = NewFile::create(&self.root, path).map_err(failed)?;
        let mut came = 0;
        loop {
            match pieces.blocking_recv() {
                Some(Piece::Bytes(bytes)) => {
                    came += bytes.len() as u64;
                    self.check_length(size, came, came <= size)?;
                    file.file().write_all(&bytes).map_err(failed)?;
                }
                Some(Piece::End) => break,
                None => return Err(Error::Cancelled),
            }
        }
        self.check_length(size, came, came == size)?;
        file.file().set_modified(system_time(last_modified)).map_err(failed)?;
        file.place(path.name(), if_exists).map_err(failed)
    }

    fn check_length(&self, size: u64, came: u64, fits: bool) -> Result<()> {
        if fits {
            return Ok(());
        }
        let problem = format!("{size} bytes were announced, {came} came");
        Err(Error::ObjectDamaged { key: self.key.clone(), location: self.location.clone(), problem })
    }

    /// What a write that failed means for the key.
    fn write_failed(&self, error: io::Error) -> Error {
        match error.kind() {
            ErrorKind::AlreadyExists => self.taken(),
            ErrorKind::IsADirectory => self.is_folder(),
            ErrorKind::NotADirectory | ErrorKind::InvalidFilename => {
                unsupported(&self.key, &self.location, "what one of its folders is called is not a folder")
            }
            _ if is_absent(&error) => unsupported(&self.key, &self.location, "a link stands in the way"),
            _ => self.failed("write", error),
        }
    }

    /// The name is taken, by an object or by something that can't give way to one.
    fn taken(&self) -> Error {
        match self.facts() {
            Ok(Some(facts)) if facts.kind == rustix::fs::FileType::Directory => self.is_folder(),
            _ => {
                let (key, location) = (self.key.clone(), self.location.clone());
                Error::ObjectChanged { key, location, expected: "none".to_owned() }
            }
        }
    }

    fn is_folder(&self) -> Error {
        unsupported(&self.key, &self.location, "a folder has this name")
    }

    fn failed(&self, action: &str, source: io::Error) -> Error {
        failure(&self.location, format!("{action} {}", self.key), source)
    }
}

fn facts_at(root: Dir, path: KeyPath<'_>) -> io::Result<Facts> {
    path.folders().try_fold(root, |folder, name| folder.folder(name))?.facts(path.name())
}

fn system_time(time: Timestamp) -> std::time::SystemTime {
    let distance = Duration::from_millis(time.as_millis().unsigned_abs());
    if time.as_millis() < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance }
}

impl fmt::Display for FsTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        location(&self.root).fmt(f)
    }
}

impl fmt::Debug for FsTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FsTarget").field(&self.root).finish()
    }
}
