//! Files as objects.
//!
//! The facts of the open file are taken before the first byte and after the
//! last. If they are equal, nothing was written in between, so the bytes are of
//! one version; a stream that can't say so ends in an error.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use stocktake_core::{Attributes, Entry, Error, Location, ObjectKey, ObjectRead, Result, Source, Wanted};

use crate::dir::{Dir, file_facts};
use crate::error::{failure, is_absent};
use crate::facts::{CLASS, Facts};
use crate::key::KeyPath;
use crate::{blocking, walk};

/// Up to this length a file is opened, read and checked in one go on one thread.
const AT_ONCE_BYTES: u64 = 8 << 20;
/// Longer ones are read in pieces of this length.
const PIECE_BYTES: u64 = 1 << 20;

/// A folder to be backed up: a [`Source`] whose objects are the regular files below it.
///
/// A file has no version id and no attributes. See the [crate's page](crate) for
/// what makes a version, and for the keys that a folder can't hold.
///
/// A read holds at most 8 MiB in memory.
#[derive(Clone)]
pub struct FsSource {
    root: PathBuf,
}

impl FsSource {
    /// The folder at `path`. Nothing is opened until something is read.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { root: path.into() }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

#[async_trait]
impl Source for FsSource {
    async fn read(&self, wanted: Wanted<'_>, range: Option<Range<u64>>) -> Result<ObjectRead> {
        let reading = Reading {
            root: self.root.clone(),
            location: location(&self.root),
            key: wanted.key().clone(),
            expected: match wanted {
                Wanted::Exactly(entry) => Some(entry.clone()),
                Wanted::Current(_) => None,
            },
        };
        let at = reading.location.clone();
        blocking::run(&at, move || reading.open(range)).await
    }
}

/// What one call reads.
struct Reading {
    root: PathBuf,
    location: Location,
    key: ObjectKey,
    expected: Option<Entry>,
}

impl Reading {
    /// Opens the file, checks its version, and reads it if it is short.
    fn open(self, range: Option<Range<u64>>) -> Result<ObjectRead> {
        let (mut file, facts) = self.find()?;
        if let Some(entry) = &self.expected
            && !facts.are_of(entry)
        {
            return Err(self.changed(entry.etag.as_ref().map_or("none", |etag| etag.as_str())));
        }
        let range = self.checked(range, facts.size)?;
        file.seek(SeekFrom::Start(range.start)).map_err(|source| self.failed(source))?;
        Ok(ObjectRead {
            size: facts.size,
            last_modified: facts.last_modified(),
            etag: Some(facts.etag()),
            version: None,
            class: CLASS.to_owned(),
            attributes: Attributes::default(),
            range: range.clone(),
            body: self.body(file, facts, range.end - range.start)?,
        })
    }

    fn find(&self) -> Result<(File, Facts)> {
        let path = parse(&self.key, &self.location)?;
        let root = match walk::open_root(&self.root) {
            Ok(None) => return Err(Error::LocationNotFound { location: self.location.clone() }),
            Ok(Some(root)) => root,
            Err(source) => return Err(self.failed(source)),
        };
        match open_file(root, path) {
            Ok(Some(found)) => Ok(found),
            Err(error) if !is_absent(&error) => Err(self.failed(error)),
            _ => Err(Error::ObjectNotFound { key: self.key.clone(), location: self.location.clone() }),
        }
    }

    fn checked(&self, range: Option<Range<u64>>, size: u64) -> Result<Range<u64>> {
        match range {
            None => Ok(0..size),
            Some(range) if range.start < range.end && range.end <= size => Ok(range),
            Some(range) => Err(Error::invalid(format!("bytes {range:?} are not within {}, of {size}", self.key))),
        }
    }

    fn body(self, mut file: File, facts: Facts, length: u64) -> Result<BoxStream<'static, Result<Bytes>>> {
        if length <= AT_ONCE_BYTES {
            let bytes = self.piece(&mut file, facts, length)?;
            self.check_unchanged(&file, facts)?;
            return Ok(stream::iter((!bytes.is_empty()).then_some(Ok(bytes))).boxed());
        }
        Ok(blocking::stream(self.location.clone(), move |sender| {
            let mut left = length;
            while left > 0 {
                let bytes = self.piece(&mut file, facts, left.min(PIECE_BYTES))?;
                left -= bytes.len() as u64;
                sender.send(bytes)?;
            }
            self.check_unchanged(&file, facts)
        }))
    }

    /// The next `length` bytes, all of them.
    fn piece(&self, file: &mut File, facts: Facts, length: u64) -> Result<Bytes> {
        let mut bytes = Vec::with_capacity(usize::try_from(length).expect("a piece is at most 8 MiB"));
        file.take(length).read_to_end(&mut bytes).map_err(|source| self.failed(source))?;
        if bytes.len() as u64 == length { Ok(bytes.into()) } else { Err(self.changed(facts.etag().as_str())) }
    }

    fn check_unchanged(&self, file: &File, before: Facts) -> Result<()> {
        let after = file_facts(file).map_err(|source| self.failed(source))?;
        if after == before { Ok(()) } else { Err(self.changed(before.etag().as_str())) }
    }

    fn changed(&self, expected: &str) -> Error {
        Error::ObjectChanged { key: self.key.clone(), location: self.location.clone(), expected: expected.to_owned() }
    }

    fn failed(&self, source: io::Error) -> Error {
        failure(&self.location, format!("read {}", self.key), source)
    }
}

/// Opens the file at `path`; `None` when it is not a regular file.
pub(crate) fn open_file(root: Dir, path: KeyPath<'_>) -> io::Result<Option<(File, Facts)>> {
    path.folders().try_fold(root, |folder, name| folder.folder(name))?.file(path.name())
}

/// The path of a key, or why it has none.
pub(crate) fn parse<'a>(key: &'a ObjectKey, location: &Location) -> Result<KeyPath<'a>> {
    KeyPath::parse(key.as_bytes()).map_err(|problem| unsupported(key, location, problem))
}

pub(crate) fn unsupported(key: &ObjectKey, location: &Location, problem: &str) -> Error {
    Error::KeyUnsupported { key: key.clone(), location: location.clone(), problem: problem.to_owned() }
}

/// The folder, as people write it.
pub(crate) fn location(root: &Path) -> Location {
    Location::new(root.to_string_lossy().into_owned())
}

impl fmt::Display for FsSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        location(&self.root).fmt(f)
    }
}

impl fmt::Debug for FsSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FsSource").field(&self.root).finish()
    }
}
