//! One data file: fetched, and checked against its MD5 while it is decoded.
//!
//! A file in a bucket is fetched whole into a temporary file and checked on the
//! way, so that it can be read as often as wanted and rows come only from bytes
//! that are right. A file on a local disk is read where it is, while another
//! thread computes its MD5; the stream does not end before the verdict.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use md5::{Digest, Md5};
use stocktake_core::{EntryBatch, Error, InventoryFormat, KeyFilter, Location, Result, Vault};
use tempfile::{NamedTempFile, TempPath};
use tokio::sync::OnceCell;

use crate::blocking;
use crate::csv::RowRules;
use crate::decoder::Decoder;
use crate::fault::Fault;
use crate::manifest::DataFile;
use crate::schema::Schema;

/// Bytes fetched at once, and how many such pieces are fetched ahead.
const PIECE_BYTES: u64 = 8 << 20;
const PIECES_AHEAD: usize = 4;

/// Bytes read at once when a local file is hashed.
const BUFFER_BYTES: usize = 256 << 10;

/// What all parts of an opened inventory share.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) vault: Arc<dyn Vault>,
    pub(crate) inventory: Location,
    /// The folder that the vault is, if its files can be opened there.
    pub(crate) local_root: Option<PathBuf>,
    pub(crate) temp_dir: Option<PathBuf>,
    pub(crate) format: InventoryFormat,
    pub(crate) schema: Schema,
    pub(crate) rules: RowRules,
}

/// One data file of an opened inventory.
#[derive(Debug)]
pub(crate) struct Part {
    /// Its name in the vault.
    pub(crate) name: String,
    pub(crate) file: DataFile,
    fetched: OnceCell<TempPath>,
    /// The state of the local file whose MD5 was right.
    checked: OnceCell<FileState>,
}

/// What changes when a file is written.
type FileState = (u64, Option<SystemTime>);

impl Part {
    pub(crate) fn new(name: String, file: DataFile) -> Self {
        Self { name, file, fetched: OnceCell::new(), checked: OnceCell::new() }
    }

    /// Streams the part's entries: those whose keys are `wanted`, else all.
    pub(crate) fn read(
        self: Arc<Self>,
        parts: Arc<Parts>,
        wanted: Option<KeyFilter>,
    ) -> BoxStream<'static, Result<EntryBatch>> {
        let start = async move {
            match &parts.local_root {
                Some(root) => {
                    let path = root.join(&self.name);
                    self.read_local(parts, path, wanted).await
                }
                None => {
                    self.fetched.get_or_try_init(|| fetch(&parts, &self)).await?;
                    Ok(self.read_fetched(parts, wanted))
                }
            }
        };
        stream::once(start).try_flatten().boxed()
    }

    fn read_fetched(
        self: Arc<Self>,
        parts: Arc<Parts>,
        wanted: Option<KeyFilter>,
    ) -> BoxStream<'static, Result<EntryBatch>> {
        let location = parts.inventory.clone();
        let open = move || {
            // `self` keeps the temporary file.
            let path = self.fetched.get().expect("fetched before it is read");
            let file = File::open(path).map_err(Error::local("open", path.to_path_buf()))?;
            Decoder::open(parts, Arc::clone(&self), file, wanted)
        };
        blocking::stream(location, move |sender| open()?.send_all(sender))
    }

    async fn read_local(
        self: Arc<Self>,
        parts: Arc<Parts>,
        path: PathBuf,
        wanted: Option<KeyFilter>,
    ) -> Result<BoxStream<'static, Result<EntryBatch>>> {
        let (file, state) = {
            let (part, parts, path) = (Arc::clone(&self), Arc::clone(&parts), path.clone());
            blocking::run(&parts.inventory.clone(), move || part.open_local(&parts, &path)).await?
        };
        let verdict = self.verdict(Arc::clone(&parts), path, state);
        let location = parts.inventory.clone();
        let entries =
            blocking::stream(location, move |sender| Decoder::open(parts, self, file, wanted)?.send_all(sender));
        Ok(until_verdict(entries, verdict))
    }

    fn open_local(&self, parts: &Parts, path: &Path) -> Result<(File, FileState)> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(missing(&parts.inventory, &self.name));
            }
            Err(error) => return Err(Error::local("open", path)(error)),
        };
        let state = file_state(&file).map_err(Error::local("read", path))?;
        if state.0 != self.file.size {
            return Err(other_size(&parts.inventory, &self.name, state.0, self.file.size));
        }
        Ok((file, state))
    }

    /// Hashes a local file beside its decoding, unless that was done; begins at once and is stopped when dropped.
    fn verdict(
        self: &Arc<Self>,
        parts: Arc<Parts>,
        path: PathBuf,
        state: FileState,
    ) -> impl Future<Output = Result<()>> + use<> {
        let part = Arc::clone(self);
        let stop = StopOnDrop::default();
        let stopped = Arc::clone(&stop.0);
        let hashing = (part.checked.get() != Some(&state)).then(|| {
            let (part, inventory) = (Arc::clone(&part), parts.inventory.clone());
            tokio::spawn(async move {
                blocking::run(&inventory.clone(), move || check_local(&inventory, &part, &path, state, &stopped)).await
            })
        });
        async move {
            let _stop = stop;
            let Some(hashing) = hashing else { return Ok(()) };
            hashing.await.unwrap_or(Err(Error::Cancelled))?;
            // Somebody else may have checked the same state meanwhile.
            let _ = part.checked.set(state);
            Ok(())
        }
    }
}

/// The stream ends, in success or with a failure to decode, with the verdict on the
/// file: where the bytes are wrong, that is the reason of whatever was found in them.
fn until_verdict(
    entries: BoxStream<'static, Result<EntryBatch>>,
    verdict: impl Future<Output = Result<()>> + Send + 'static,
) -> BoxStream<'static, Result<EntryBatch>> {
    let state = Some((entries, verdict));
    stream::try_unfold(state, async |state| {
        let Some((mut entries, verdict)) = state else { return Ok(None) };
        match entries.next().await {
            Some(Ok(batch)) => Ok(Some((batch, Some((entries, verdict))))),
            Some(Err(error)) => {
                verdict.await?;
                Err(error)
            }
            None => {
                verdict.await?;
                Ok(None)
            }
        }
    })
    .boxed()
}

#[derive(Default)]
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Fetches a part into a temporary file and checks its MD5.
async fn fetch(parts: &Parts, part: &Part) -> Result<TempPath> {
    let inventory = &parts.inventory;
    let temp_dir = parts.temp_dir.clone().unwrap_or_else(std::env::temp_dir);
    let mut download = Download::create(&temp_dir)?;
    let pieces = (0..part.file.size).step_by(PIECE_BYTES as usize);
    let ranges = pieces.map(|start| start..(start + PIECE_BYTES).min(part.file.size));
    let mut pieces = stream::iter(ranges).map(|range| parts.vault.read(&part.name, Some(range))).buffered(PIECES_AHEAD);
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| fetch_error(inventory, &part.name, error))?;
        download = blocking::run(inventory, move || download.write(&piece)).await?;
    }
    let Download { file, hasher } = download;
    check_md5(inventory, part, hasher)?;
    Ok(file.into_temp_path())
}

/// A temporary file being written, and the hash of what was.
struct Download {
    file: NamedTempFile,
    hasher: Md5,
}

impl Download {
    fn create(folder: &Path) -> Result<Self> {
        let file = tempfile::Builder::new().prefix("stocktake-inventory-").tempfile_in(folder);
        Ok(Self { file: file.map_err(Error::local("create a file in", folder))?, hasher: Md5::new() })
    }

    fn write(mut self, piece: &Bytes) -> Result<Self> {
        self.hasher.update(piece);
        match self.file.write_all(piece) {
            Ok(()) => Ok(self),
            Err(error) => Err(Error::local("write", self.file.path())(error)),
        }
    }
}

/// Reads a local file through and compares its MD5.
fn check_local(inventory: &Location, part: &Part, path: &Path, state: FileState, stopped: &AtomicBool) -> Result<()> {
    let failed = |error| Error::local("read", path)(error);
    let mut file = File::open(path).map_err(failed)?;
    let mut hasher = Md5::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match file.read(&mut buffer).map_err(failed)? {
            _ if stopped.load(Ordering::Relaxed) => return Err(Error::Cancelled),
            0 => break,
            count => hasher.update(&buffer[..count]),
        }
    }
    if file_state(&file).map_err(failed)? != state {
        let problem = format!("{}: it was changed while it was read", part.name);
        return Err(Fault::corrupt(problem).of(inventory));
    }
    check_md5(inventory, part, hasher)
}

fn check_md5(inventory: &Location, part: &Part, hasher: Md5) -> Result<()> {
    if hasher.finalize()[..] == part.file.md5 {
        return Ok(());
    }
    Err(Fault::corrupt(format!("{}: its MD5 is not that of the manifest", part.name)).of(inventory))
}

fn file_state(file: &File) -> std::io::Result<FileState> {
    let metadata = file.metadata()?;
    Ok((metadata.len(), metadata.modified().ok()))
}

/// A data file that the manifest names is not there.
pub(crate) fn missing(inventory: &Location, name: &str) -> Error {
    Error::InventoryIncomplete { inventory: inventory.clone(), problem: format!("data file {name} is missing") }
}

/// A data file has another size than the manifest says.
pub(crate) fn other_size(inventory: &Location, name: &str, found: u64, listed: u64) -> Error {
    Fault::corrupt(format!("{name}: it has {found} bytes, the manifest says {listed}")).of(inventory)
}

/// What a failure to read a data file says about the inventory.
pub(crate) fn fetch_error(inventory: &Location, name: &str, error: Error) -> Error {
    match error {
        Error::BlobNotFound { .. } => missing(inventory, name),
        Error::BlobDamaged { problem, .. } => Fault::corrupt(format!("{name}: {problem}")).of(inventory),
        Error::InvalidInput { problem } => Fault::corrupt(format!("{name}: {problem}")).of(inventory),
        other => other,
    }
}
