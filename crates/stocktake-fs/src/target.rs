//! Objects as files.
//!
//! The body arrives on the runtime and is written on a thread: a short one at once, a
//! long one as it comes. Of a long one the thread is told that it is complete; a channel
//! that merely closes means that the write was dropped, and the file with it.

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

/// A body of this length at most is collected before a thread is asked to write it.
const AT_ONCE_BYTES: u64 = 1 << 20;

/// How many pieces of a longer body wait to be written.
const QUEUE_PIECES: usize = 4;

/// A folder that objects are restored to, as a [`Target`]. It is made when the first is written, or
/// by [`sync`](Target::sync) when none was.
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
/// A write holds a mebibyte of the body in memory, or four pieces of the size they came in.
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
        let at = location(&self.root);
        if size <= AT_ONCE_BYTES {
            let pieces = place.collect(size, body).await?;
            let pieces = pieces.into_iter().map(Ok);
            return blocking::run(&at, move || place.write(size, last_modified, if_exists, pieces)).await;
        }
        let (sender, pieces) = mpsc::channel(QUEUE_PIECES);
        let writing = blocking::run(&at, move || place.write(size, last_modified, if_exists, Pieces(pieces)));
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
            // A restore of nothing ends in an empty folder, not in none.
            Ok(Dir::make_root(&root).and_then(|dir| dir.sync_all()))
        });
        synced.await?.map_err(failed)
    }

    async fn delete(&self, key: &ObjectKey) -> Result<()> {
        let place = self.place(key);
        blocking::run(&location(&self.root), move || {
            match remove(&place.root, parse(&place.key, &place.location)?, b"") {
                Err(error) if !is_absent(&error) => Err(place.failed("delete", error)),
                _ => Ok(()),
            }
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

/// A body as it comes.
struct Pieces(mpsc::Receiver<Piece>);

impl Iterator for Pieces {
    type Item = Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.0.blocking_recv() {
            Some(Piece::Bytes(bytes)) => Some(Ok(bytes)),
            Some(Piece::End) => None,
            None => Some(Err(Error::Cancelled)),
        }
    }
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

    /// All pieces of a body, which is not longer than announced.
    async fn collect(&self, size: u64, mut body: BoxStream<'static, Result<Bytes>>) -> Result<Vec<Bytes>> {
        let (mut pieces, mut came) = (Vec::new(), 0);
        while let Some(piece) = body.next().await.transpose()? {
            came += piece.len() as u64;
            self.check_length(size, came, came <= size)?;
            if !piece.is_empty() {
                pieces.push(piece);
            }
        }
        Ok(pieces)
    }

    fn write(
        &self,
        size: u64,
        last_modified: Timestamp,
        if_exists: IfExists,
        pieces: impl Iterator<Item = Result<Bytes>>,
    ) -> Result<()> {
        let path = parse(&self.key, &self.location)?;
        let failed = |error| self.write_failed(error);
        let mut file = NewFile::create(&self.root, path, if_exists).map_err(failed)?;
        let mut came = 0;
        for piece in pieces {
            let bytes = piece?;
            came += bytes.len() as u64;
            self.check_length(size, came, came <= size)?;
            file.file().write_all(&bytes).map_err(failed)?;
        }
        self.check_length(size, came, came == size)?;
        file.file().set_modified(system_time(last_modified)).map_err(failed)?;
        file.place(path.name()).map_err(failed)
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
        if let Err(error) = Dir::make_root(&self.root) {
            return failure(&self.location, "make the folder", error);
        }
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
