//! One data file: fetched, and checked while it is decoded.
//!
//! A file in a bucket is fetched whole into a temporary file and checked on the
//! way, so that it can be read as often as wanted and rows come only from bytes
//! that are right. A file on a local disk is read where it is, while another
//! thread computes its MD5; the stream does not end before the verdict. Where a
//! cloud states no MD5, the file must be the one that was there when the inventory
//! was opened, of the same size and time; counts of rows say the rest.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use md5::{Digest, Md5};
use stocktake_core::{BlobInfo, EntryBatch, Error, InventoryFormat, Location, Result, Vault};
use tempfile::{NamedTempFile, TempPath};
use tokio::sync::OnceCell;

use crate::blocking::{self, Sender};
use crate::columnar::ColumnarFormat;
use crate::decoder::{Choice, Decoder};
use crate::fault::Fault;
use crate::manifest::DataFile;
use crate::rules::RowRules;
use crate::schema::Schema;
use crate::total::Total;

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
    /// The formats that others decode.
    pub(crate) formats: Vec<Arc<dyn ColumnarFormat>>,
    pub(crate) schema: Schema,
    pub(crate) rules: RowRules,
    /// The rows of all parts together, if they are stated.
    pub(crate) total: Option<Total>,
}

/// One data file of an opened inventory.
#[derive(Debug)]
pub(crate) struct Part {
    /// Its number among the parts.
    pub(crate) index: usize,
    /// Its name in the vault.
    pub(crate) name: String,
    pub(crate) file: DataFile,
    /// What was there when the inventory was opened.
    found: BlobInfo,
    fetched: OnceCell<TempPath>,
    /// The state of the local file whose MD5 was right.
    checked: OnceCell<FileState>,
}

/// What changes when a file is written.
type FileState = (u64, Option<SystemTime>);

impl Part {
    pub(crate) fn new(index: usize, file: DataFile, found: BlobInfo) -> Self {
        let name = found.name.clone();
        Self { index, name, file, found, fetched: OnceCell::new(), checked: OnceCell::new() }
    }

    /// What was there when the inventory was opened.
    pub(crate) fn found(&self) -> &BlobInfo {
        &self.found
    }

    /// Its size in bytes: as the manifest says, or else as it was found.
    pub(crate) fn size(&self) -> u64 {
        self.found.size
    }

    /// The same part, with nothing fetched.
    pub(crate) fn fresh(&self) -> Arc<Self> {
        Arc::new(Self::new(self.index, self.file.clone(), self.found.clone()))
    }

    /// The file, to be decoded from its beginning, once it is known to be what was delivered.
    /// What was fetched is gone with the part.
    pub(crate) async fn checked_file(self: &Arc<Self>, parts: &Arc<Parts>) -> Result<File> {
        let Some(root) = &parts.local_root else {
            let path = self.fetched.get_or_try_init(|| fetch(parts, self)).await?;
            return File::open(path).map_err(Error::local("open", path.to_path_buf()));
        };
        let path = root.join(&self.name);
        let (part, shared, place) = (Arc::clone(self), Arc::clone(parts), path.clone());
        let (file, state) = blocking::run(&parts.inventory, move || part.open_local(&shared, &place)).await?;
        self.verdict(Arc::clone(parts), path, state).await?;
        Ok(file)
    }

    /// Streams the part's entries: the chosen ones.
    pub(crate) fn read(self: Arc<Self>, parts: Arc<Parts>, choice: Choice) -> BoxStream<'static, Result<EntryBatch>> {
        let start = async move {
            match &parts.local_root {
                Some(root) => {
                    let path = root.join(&self.name);
                    self.read_local(parts, path, choice).await
                }
                None => {
                    self.fetched.get_or_try_init(|| fetch(&parts, &self)).await?;
                    Ok(self.read_fetched(parts, choice))
                }
            }
        };
        stream::once(start).try_flatten().boxed()
    }

    fn read_fetched(self: Arc<Self>, parts: Arc<Parts>, choice: Choice) -> BoxStream<'static, Result<EntryBatch>> {
        let location = parts.inventory.clone();
        let open = move || {
            // `self` keeps the temporary file.
            let path = self.fetched.get().expect("fetched before it is read");
            let file = File::open(path).map_err(Error::local("open", path.to_path_buf()))?;
            Decoder::open(parts, Arc::clone(&self), file, choice)
        };
        blocking::stream(location, move |sender| open()?.send_all(sender))
    }

    async fn read_local(
        self: Arc<Self>,
        parts: Arc<Parts>,
        path: PathBuf,
        choice: Choice,
    ) -> Result<BoxStream<'static, Result<EntryBatch>>> {
        let (file, state) = {
            let (part, parts, path) = (Arc::clone(&self), Arc::clone(&parts), path.clone());
            blocking::run(&parts.inventory.clone(), move || part.open_local(&parts, &path)).await?
        };
        let verdict = self.verdict(Arc::clone(&parts), path, state);
        let location = parts.inventory.clone();
        if !matches!(parts.format, InventoryFormat::Csv | InventoryFormat::Parquet) {
            // What others decode is decoded only once it is known to be what was delivered.
            verdict.await?;
            let entries = move |sender: &Sender<_>| Decoder::open(parts, self, file, choice)?.send_all(sender);
            return Ok(blocking::stream(location, entries));
        }
        let entries =
            blocking::stream(location, move |sender| Decoder::open(parts, self, file, choice)?.send_all(sender));
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
        if state.0 != self.size() {
            return Err(other_size(&parts.inventory, &self.name, state.0, self.size()));
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
        let hashing = (part.file.md5.is_some() && part.checked.get() != Some(&state)).then(|| {
            let (part, inventory, path) = (Arc::clone(&part), parts.inventory.clone(), path.clone());
            tokio::spawn(async move {
                blocking::run(&inventory.clone(), move || check_local(&inventory, &part, &path, state, &stopped)).await
            })
        });
        async move {
            let _stop = stop;
            let Some(hashing) = hashing else {
                let inventory = parts.inventory.clone();
                let check = move || check_unchanged(&inventory, &part.name, &path, state);
                return blocking::run(&parts.inventory, check).await;
            };
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

/// Fetches a part into a temporary file and checks that it is the right one.
async fn fetch(parts: &Parts, part: &Part) -> Result<TempPath> {
    let inventory = &parts.inventory;
    let temp_dir = parts.temp_dir.clone().unwrap_or_else(std::env::temp_dir);
    let mut download = Download::create(&temp_dir)?;
    let pieces = (0..part.size()).step_by(PIECE_BYTES as usize);
    let ranges = pieces.map(|start| start..(start + PIECE_BYTES).min(part.size()));
    let mut pieces = stream::iter(ranges).map(|range| parts.vault.read(&part.name, Some(range))).buffered(PIECES_AHEAD);
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|error| fetch_error(inventory, &part.name, error))?;
        download = blocking::run(inventory, move || download.write(&piece)).await?;
    }
    let Download { file, hasher, bytes } = download;
    if bytes != part.size() {
        return Err(other_size(inventory, &part.name, bytes, part.size()));
    }
    match part.file.md5 {
        Some(md5) => check_md5(inventory, part, md5, hasher)?,
        None => check_same(parts, part).await?,
    }
    Ok(file.into_temp_path())
}

/// Sees that a file without an MD5 was not replaced while its pieces were read.
async fn check_same(parts: &Parts, part: &Part) -> Result<()> {
    let found = parts.vault.stat(&part.name).await;
    let found = found.map_err(|error| fetch_error(&parts.inventory, &part.name, error))?;
    if (found.size, found.last_modified) == (part.found.size, part.found.last_modified) {
        return Ok(());
    }
    Err(changed(&parts.inventory, &part.name))
}

/// A temporary file being written, and the hash of what was.
struct Download {
    file: NamedTempFile,
    hasher: Md5,
    bytes: u64,
}

impl Download {
    fn create(folder: &Path) -> Result<Self> {
        let file = tempfile::Builder::new().prefix("stocktake-inventory-").tempfile_in(folder);
        Ok(Self { file: file.map_err(Error::local("create a file in", folder))?, hasher: Md5::new(), bytes: 0 })
    }

    fn write(mut self, piece: &Bytes) -> Result<Self> {
        self.hasher.update(piece);
        self.bytes += piece.len() as u64;
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
        return Err(changed(inventory, &part.name));
    }
    part.file.md5.map_or(Ok(()), |md5| check_md5(inventory, part, md5, hasher))
}

/// Sees that a local file is still as it was before it was read.
fn check_unchanged(inventory: &Location, name: &str, path: &Path, state: FileState) -> Result<()> {
    let failed = |error| Error::local("read", path)(error);
    let now = File::open(path).and_then(|file| file_state(&file)).map_err(failed)?;
    if now == state { Ok(()) } else { Err(changed(inventory, name)) }
}

fn changed(inventory: &Location, name: &str) -> Error {
    Fault::corrupt(format!("{name}: it was changed while it was read")).of(inventory)
}

fn check_md5(inventory: &Location, part: &Part, md5: [u8; 16], hasher: Md5) -> Result<()> {
    if hasher.finalize()[..] == md5 {
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
