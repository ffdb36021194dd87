//! Blobs of the catalog: documents, and ranges of segments, read and checked.
//!
//! What is read is checked here and named here, so that every error says which
//! blob is wrong.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use stocktake_core::{Error, Location, Result, RootRef, Vault};
use stocktake_format::segment::{SegmentReader, key_name_of_blob};
use stocktake_format::{FormatError, Root, SegmentRef, VaultKey, decode_document, encode_document, root_sealing_name};

/// How many opened segments are kept: each takes up to some 200 KiB.
const READERS_KEPT: usize = 128;

/// How often a creation of unknown outcome is looked into and repeated.
const ATTEMPTS: u32 = 6;

/// A vault and its key. Clones share what was read, and each other's staged segments.
#[derive(Clone)]
pub(crate) struct Store {
    vault: Arc<dyn Vault>,
    key: Arc<VaultKey>,
    readers: Arc<Mutex<Readers>>,
    staged: Arc<Mutex<HashMap<String, Bytes>>>,
}

#[derive(Default)]
struct Readers {
    by_name: HashMap<String, (SegmentReader, u64)>,
    uses: u64,
}

impl Store {
    pub(crate) fn new(vault: Arc<dyn Vault>, key: Arc<VaultKey>) -> Self {
        Self { vault, key, readers: Arc::default(), staged: Arc::default() }
    }

    /// The same store, with staged segments of its own.
    pub(crate) fn with_staging(&self) -> Self {
        Self { staged: Arc::default(), ..self.clone() }
    }

    pub(crate) fn vault(&self) -> &Arc<dyn Vault> {
        &self.vault
    }

    pub(crate) fn key(&self) -> &Arc<VaultKey> {
        &self.key
    }

    pub(crate) fn location(&self) -> Location {
        Location::new(self.vault.to_string())
    }

    /// What is wrong with the blob `name`.
    pub(crate) fn damaged(&self, name: &str, error: impl Into<FormatError>) -> Error {
        match error.into() {
            FormatError::Unsupported(problem) => {
                Error::VaultUnsupported { location: self.location(), problem: format!("{name}: {problem}") }
            }
            other => {
                Error::BlobDamaged { name: name.to_owned(), location: self.location(), problem: other.to_string() }
            }
        }
    }

    /// Reads a document.
    pub(crate) async fn document<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let bytes = self.vault.read(name, None).await?;
        decode_document(&self.key, name, &bytes).map_err(|error| self.damaged(name, error))
    }

    /// Encodes a document that will be sealed under `name`, and sees that it reads back as what went in: a bit that
    /// turned over in memory, or a length that no reader takes, must not be found after the commit.
    pub(crate) fn seal<T: Serialize + DeserializeOwned + PartialEq>(&self, name: &str, value: &T) -> Result<Bytes> {
        let bytes = encode_document(&self.key, name, value);
        match decode_document::<T>(&self.key, name, &bytes) {
            Ok(read) if read == *value => Ok(bytes.into()),
            Ok(_) => Err(self.damaged(name, FormatError::damaged("what was encoded does not decode to what went in"))),
            Err(error) => Err(self.damaged(name, error)),
        }
    }

    /// Writes a document that nobody else would write.
    pub(crate) async fn create_document<T>(&self, name: &str, value: &T) -> Result<()>
    where
        T: Serialize + DeserializeOwned + PartialEq,
    {
        self.create_own(name, self.seal(name, value)?).await
    }

    /// Reads a root, and checks that it is the one referred to.
    pub(crate) async fn root(&self, reference: &RootRef) -> Result<Root> {
        let RootRef { name, hash } = reference;
        let bytes = self.vault.read(name, None).await?;
        if blake3::hash(&bytes).to_hex().as_str() != hash {
            return Err(self.damaged(name, FormatError::damaged("the hash differs from that in the snapshot's record")));
        }
        let root: Root =
            decode_document(&self.key, root_sealing_name(name), &bytes).map_err(|error| self.damaged(name, error))?;
        root.check().map_err(|error| self.damaged(name, error))?;
        Ok(root)
    }

    /// Creates a blob under a name that is this job's own: where it is there
    /// already with the same bytes, an earlier attempt has made it.
    pub(crate) async fn create_own(&self, name: &str, bytes: Bytes) -> Result<()> {
        let mut attempt = 0;
        loop {
            let error = match self.vault.create(name, bytes.clone()).await {
                Ok(()) => return Ok(()),
                Err(error @ (Error::BlobExists { .. } | Error::Unavailable { .. })) => error,
                Err(error) => return Err(error),
            };
            match self.vault.read(name, None).await {
                Ok(found) if found == bytes => return Ok(()),
                Ok(_) => return Err(Error::BlobExists { name: name.to_owned(), location: self.location() }),
                Err(_) if attempt + 1 < ATTEMPTS => pause(attempt).await,
                Err(_) => return Err(error),
            }
            attempt += 1;
        }
    }

    /// Opens a segment by its tail.
    pub(crate) async fn segment(&self, segment: &SegmentRef) -> Result<SegmentReader> {
        if let Some(reader) = self.readers().find(&segment.name) {
            return Ok(reader);
        }
        let SegmentRef { name, bytes, tail_bytes, tail_hash, .. } = segment;
        let tail = self.read(name, bytes - tail_bytes..*bytes).await?;
        let key_name = key_name_of_blob(name).ok_or_else(|| {
            self.damaged(name, FormatError::damaged("the root refers to it as a segment, but it is not named like one"))
        })?;
        let reader = SegmentReader::open(&self.key, &key_name, *bytes, &tail, *tail_hash)
            .map_err(|error| self.damaged(name, error))?;
        self.readers().keep(name, reader.clone());
        Ok(reader)
    }

    /// Reads a range of a segment, staged or stored.
    pub(crate) async fn read(&self, name: &str, range: Range<u64>) -> Result<Bytes> {
        let staged = self.staged().get(name).cloned();
        let Some(bytes) = staged else { return self.vault.read(name, Some(range)).await };
        Ok(bytes.slice(range.start as usize..range.end as usize))
    }

    /// Keeps a segment in memory as if it were stored.
    pub(crate) fn stage(&self, name: &str, bytes: Bytes) {
        self.staged().insert(name.to_owned(), bytes);
    }

    /// Takes a segment out of memory, to store it or to let it go.
    pub(crate) fn unstage(&self, name: &str) -> Option<Bytes> {
        self.staged().remove(name)
    }

    fn readers(&self) -> MutexGuard<'_, Readers> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn staged(&self) -> MutexGuard<'_, HashMap<String, Bytes>> {
        self.staged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Readers {
    fn find(&mut self, name: &str) -> Option<SegmentReader> {
        self.uses += 1;
        let (reader, last_use) = self.by_name.get_mut(name)?;
        *last_use = self.uses;
        Some(reader.clone())
    }

    fn keep(&mut self, name: &str, reader: SegmentReader) {
        if self.by_name.len() >= READERS_KEPT {
            let oldest = self.by_name.iter().min_by_key(|(_, (_, last_use))| *last_use);
            let oldest = oldest.map(|(name, _)| name.clone());
            oldest.and_then(|name| self.by_name.remove(&name));
        }
        self.by_name.insert(name.to_owned(), (reader, self.uses));
    }
}

/// Waits before attempt `attempt + 1`: 50 ms, and twice as long each time.
pub(crate) async fn pause(attempt: u32) {
    tokio::time::sleep(Duration::from_millis(50 << attempt.min(10))).await;
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("vault", &self.vault).finish_non_exhaustive()
    }
}
