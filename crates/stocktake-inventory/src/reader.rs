//! Inventories that a cloud delivered, read by their manifests.
//!
//! Nothing is concluded from an inventory that is not complete and true to its
//! checksums: an object must never be taken as deleted because a part could not
//! be read. `open` checks what can be checked without reading data files,
//! [`part`](crate::part) the rest.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use md5::{Digest, Md5};
use stocktake_core::{
    EntryBatch, Error, Inventory, InventoryFormat, InventoryInfo, InventoryReader, KeyFilter, Location, Result, Vault,
};
use stocktake_parquet::{FileMeta, FileOptions, ParsedTail};

use crate::csv::RowRules;
use crate::discovery::{Candidate, discover};
use crate::fault::Fault;
use crate::manifest::{DataFile, InventoryManifest, MAX_MANIFEST_BYTES, parse_md5};
use crate::names;
use crate::parquet::footer_schema;
use crate::part::{Part, Parts, fetch_error, missing, other_size};
use crate::schema::Schema;

/// Requests sent at once while data files are looked at or removed.
pub(crate) const CONCURRENCY: usize = 16;

/// Manifests read at once. One takes up to [`MAX_MANIFEST_BYTES`], and about as much again when decoded.
pub(crate) const MANIFESTS_AT_ONCE: usize = 4;

/// The end of a Parquet file that is read first, to find its footer.
const TAIL_BYTES: u64 = 64 << 10;

/// Where the names of data files begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InventoryRoot {
    /// At the root of the vault, which is the bucket that inventories are delivered to.
    #[default]
    BucketRoot,
    /// At the nearest folder above the manifest under which all data files are: for
    /// an inventory that was copied somewhere.
    NearestAncestor,
}

/// An [`InventoryReader`] for the reports of Amazon S3 (CSV, Parquet) and Alibaba Cloud OSS (CSV).
///
/// It looks at one path of a vault: a `manifest.json`, a dated folder, the
/// folder of a configuration, or any folder above. The vault is the bucket that
/// inventories are delivered to, or a folder that holds them.
///
/// Data files are fetched into temporary files, which take as much room as the
/// files do and live as long as the opened inventory; see
/// [`with_local_root`](Self::with_local_root) for how to do without. Reading a
/// part takes five pieces of 8 MiB while it is fetched, and while it is decoded
/// six batches and the decoder's buffers: some 10 MiB with pages of ordinary size.
#[derive(Clone)]
pub struct ManifestReader {
    pub(crate) vault: Arc<dyn Vault>,
    path: String,
    base: String,
    pub(crate) root: InventoryRoot,
    local_root: Option<PathBuf>,
    temp_dir: Option<PathBuf>,
}

impl ManifestReader {
    /// Reads inventories at `path` in `vault`.
    ///
    /// `base` is how people write the place of the vault's root, such as
    /// `s3://ops-inventories`; names are shown behind it.
    pub fn new(vault: Arc<dyn Vault>, path: impl Into<String>, base: impl Into<String>) -> Self {
        let base: String = base.into();
        let base = if base.ends_with("://") { base } else { base.trim_end_matches('/').to_owned() };
        let path = path.into().trim_matches('/').to_owned();
        Self { vault, path, base, root: InventoryRoot::default(), local_root: None, temp_dir: None }
    }

    /// Says where the names of data files begin. Default: at the vault's root.
    #[must_use]
    pub fn with_root(mut self, root: InventoryRoot) -> Self {
        self.root = root;
        self
    }

    /// Opens data files below this folder, which must hold the same files as the
    /// vault under the same names. They are neither fetched nor copied.
    #[must_use]
    pub fn with_local_root(mut self, folder: impl Into<PathBuf>) -> Self {
        self.local_root = Some(folder.into());
        self
    }

    /// Puts temporary files into this folder. Default: the system's.
    #[must_use]
    pub fn with_temp_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.temp_dir = Some(folder.into());
        self
    }

    pub(crate) fn location(&self, name: &str) -> Location {
        Location::new(format!("{}/{name}", self.base))
    }

    /// The name of the manifest at a location that this reader gave.
    fn manifest_name<'a>(&self, location: &'a Location) -> Result<&'a str> {
        let name = location.as_str().strip_prefix(&self.base).and_then(|rest| rest.strip_prefix('/'));
        name.ok_or_else(|| Error::InventoryNotFound {
            location: location.clone(),
            problem: format!("it does not lie in {}", self.base),
        })
    }

    /// The bytes of a manifest.
    pub(crate) async fn read_manifest(&self, name: &str) -> Result<Bytes> {
        let location = self.location(name);
        let failed = |error| match error {
            Error::BlobNotFound { .. } => {
                Error::InventoryNotFound { location: location.clone(), problem: "it is not there".into() }
            }
            other => other,
        };
        let size = self.vault.stat(name).await.map_err(failed)?.size;
        if size > MAX_MANIFEST_BYTES {
            return Err(Fault::corrupt(format!("its manifest has {size} bytes")).of(&location));
        }
        self.vault.read(name, None).await.map_err(failed)
    }

    /// What is known of a candidate. A manifest that can't be read is told of all
    /// the same: which error it is, opening it says.
    async fn info(&self, candidate: Candidate) -> Result<InventoryInfo> {
        let location = self.location(&candidate.manifest);
        let bytes = self.read_manifest(&candidate.manifest).await?;
        let not_ready = (!candidate.has_checksum).then(|| format!("{} is missing", names::CHECKSUM));
        match InventoryManifest::parse(&bytes) {
            Ok(manifest) => {
                warn_of_folder(&candidate.manifest, &manifest);
                let schema = manifest.schema.clone();
                Ok(InventoryInfo { not_ready, ..info(&manifest, location, &schema) })
            }
            Err(fault) => Ok(unreadable_info(&candidate.manifest, location, not_ready, &fault)),
        }
    }

    /// The manifest, whose checksum is there and right.
    async fn checked_manifest(&self, name: &str) -> Result<InventoryManifest> {
        let location = self.location(name);
        let (manifest, checksum) = futures::join!(self.read_manifest(name), self.read_checksum(name));
        let (manifest, checksum) = (manifest?, checksum?);
        if Md5::digest(&manifest)[..] != checksum {
            return Err(Fault::corrupt(format!("{} is not that of the manifest", names::CHECKSUM)).of(&location));
        }
        InventoryManifest::parse(&manifest).map_err(|fault| fault.of(&location))
    }

    async fn read_checksum(&self, manifest: &str) -> Result<[u8; 16]> {
        /// 32 digits, and whatever white space a writer puts around them.
        const MAX_CHECKSUM_BYTES: u64 = 1024;
        let inventory = self.location(manifest);
        let name = names::checksum_of(manifest);
        let not_ready = |error| match error {
            Error::BlobNotFound { .. } => {
                let problem = format!("{} is missing: it is not delivered completely", names::CHECKSUM);
                Error::InventoryIncomplete { inventory: inventory.clone(), problem }
            }
            other => other,
        };
        if self.vault.stat(&name).await.map_err(not_ready)?.size > MAX_CHECKSUM_BYTES {
            return Err(Fault::corrupt(format!("{} is no checksum", names::CHECKSUM)).of(&inventory));
        }
        let text = self.vault.read(&name, None).await.map_err(not_ready)?;
        parse_md5(&String::from_utf8_lossy(&text)).map_err(|fault| fault.within(names::CHECKSUM).of(&inventory))
    }

    /// The folder under which the data files are, empty for the vault's root.
    async fn data_root(&self, manifest_name: &str, manifest: &InventoryManifest) -> Result<String> {
        let Some((first, others)) = manifest.files.split_first() else { return Ok(String::new()) };
        if self.root == InventoryRoot::BucketRoot {
            return Ok(String::new());
        }
        for folder in ancestors(manifest_name) {
            // One file is nearly always answer enough.
            let found = self.present(folder, std::slice::from_ref(first)).await?;
            if found == 1 && self.present(folder, others).await? == others.len() {
                return Ok(folder.to_owned());
            }
        }
        Err(missing(&self.location(manifest_name), &first.key))
    }

    /// How many of some data files are below a folder.
    pub(crate) async fn present(&self, folder: &str, files: &[DataFile]) -> Result<usize> {
        let names: Vec<_> = files.iter().map(|file| names::join(folder, &file.key)).collect();
        let stats = stream::iter(names).map(|name| async move {
            match self.vault.stat(&name).await {
                Ok(_) => Ok(1),
                Err(Error::BlobNotFound { .. } | Error::InvalidInput { .. }) => Ok(0),
                Err(error) => Err(error),
            }
        });
        stats.buffer_unordered(CONCURRENCY).try_fold(0, |sum, one| async move { Ok(sum + one) }).await
    }

    /// Sees that every data file is there with its size.
    async fn check_files(&self, location: &Location, parts: &[Arc<Part>]) -> Result<()> {
        let checks = stream::iter(parts.to_vec()).map(|part| async move {
            let stat = self.vault.stat(&part.name).await.map_err(|error| fetch_error(location, &part.name, error))?;
            match stat.size == part.file.size {
                true => Ok(()),
                false => Err(other_size(location, &part.name, stat.size, part.file.size)),
            }
        });
        checks.buffer_unordered(CONCURRENCY).try_collect().await
    }

    /// The schema that rows are read by. Of columnar files it is what the first one says of itself.
    async fn schema(&self, location: &Location, manifest: &InventoryManifest, parts: &[Arc<Part>]) -> Result<Schema> {
        let schema = match (manifest.format, parts.first()) {
            (InventoryFormat::Parquet, Some(part)) => {
                let schema = self.footer_schema(location, part).await?;
                let differing = schema.differing(&manifest.schema);
                if !differing.is_empty() {
                    tracing::warn!(inventory = %location, ?differing, "fileSchema and data files differ; the files count");
                }
                schema
            }
            _ => manifest.schema.clone(),
        };
        schema.check_required().map_err(|fault| fault.of(location))?;
        Ok(schema)
    }

    async fn footer_schema(&self, location: &Location, part: &Part) -> Result<Schema> {
        let size = part.file.size;
        let corrupt = |fault: Fault| fault.within(&part.name).of(location);
        let mut wanted = TAIL_BYTES.min(size);
        loop {
            if wanted == 0 {
                return Err(corrupt(Fault::corrupt("it is empty")));
            }
            let tail = self.vault.read(&part.name, Some(size - wanted..size)).await;
            let tail = tail.map_err(|error| fetch_error(location, &part.name, error))?;
            match FileMeta::parse_tail(&tail, size, &FileOptions::default()).map_err(|error| corrupt(error.into()))? {
                ParsedTail::Ready(meta) => return footer_schema(&meta).map_err(corrupt),
                ParsedTail::NeedMore(more) => wanted = more,
            }
        }
    }
}

#[async_trait]
impl InventoryReader for ManifestReader {
    async fn inventories(&self) -> Result<Vec<InventoryInfo>> {
        let candidates = discover(&*self.vault, &self.path).await?;
        let infos = stream::iter(candidates).map(|candidate| self.info(candidate)).buffered(MANIFESTS_AT_ONCE);
        let found = infos.map(|info| match info {
            // Removed since it was listed.
            Err(Error::InventoryNotFound { .. }) => Ok(None),
            other => other.map(Some),
        });
        let mut infos: Vec<_> = found.try_filter_map(|info| async move { Ok(info) }).try_collect().await?;
        infos.sort_by(|a, b| (b.created, b.location.as_str()).cmp(&(a.created, a.location.as_str())));
        Ok(infos)
    }

    async fn open(&self, inventory: &InventoryInfo) -> Result<Arc<dyn Inventory>> {
        let location = inventory.location.clone();
        let name = self.manifest_name(&location)?;
        let manifest = self.checked_manifest(name).await?;
        warn_of_folder(name, &manifest);
        if manifest.format == InventoryFormat::Orc {
            let problem = "it is written in ORC, which is not read".to_owned();
            return Err(Error::InventoryNotFound { location, problem });
        }
        let root = self.data_root(name, &manifest).await?;
        let parts: Vec<_> = manifest
            .files
            .iter()
            .map(|file| Arc::new(Part::new(names::join(&root, &file.key), file.clone())))
            .collect();
        self.check_files(&location, &parts).await?;
        let schema = self.schema(&location, &manifest, &parts).await?;
        let shared = Parts {
            vault: Arc::clone(&self.vault),
            inventory: location.clone(),
            local_root: self.local_root.clone(),
            temp_dir: self.temp_dir.clone(),
            format: manifest.format,
            schema: schema.clone(),
            rules: RowRules { dialect: manifest.dialect, bucket: manifest.source_bucket.clone() },
        };
        Ok(Arc::new(Report { info: info(&manifest, location, &schema), parts, shared: Arc::new(shared) }))
    }

    async fn discard(&self, inventory: &InventoryInfo) -> Result<()> {
        self.remove(self.manifest_name(&inventory.location)?).await
    }
}

/// The folders above a name, from the nearest to the root.
pub(crate) fn ancestors(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(names::folder(name)), |folder| (!folder.is_empty()).then(|| names::folder(folder)))
}

/// A delivered inventory that was checked.
#[derive(Debug)]
struct Report {
    info: InventoryInfo,
    parts: Vec<Arc<Part>>,
    shared: Arc<Parts>,
}

impl Inventory for Report {
    fn info(&self) -> &InventoryInfo {
        &self.info
    }

    fn parts(&self) -> usize {
        self.parts.len()
    }

    fn read(&self, part: usize) -> BoxStream<'static, Result<EntryBatch>> {
        Arc::clone(&self.parts[part]).read(Arc::clone(&self.shared), None)
    }

    fn read_wanted(&self, part: usize, wanted: KeyFilter) -> BoxStream<'static, Result<EntryBatch>> {
        Arc::clone(&self.parts[part]).read(Arc::clone(&self.shared), Some(wanted))
    }
}

fn info(manifest: &InventoryManifest, location: Location, schema: &Schema) -> InventoryInfo {
    InventoryInfo {
        location,
        created: manifest.created,
        bucket: manifest.source_bucket.clone(),
        format: manifest.format,
        files: manifest.files.len() as u64,
        bytes: manifest.data_bytes(),
        fields: schema.columns().to_vec(),
        versions: schema.versions(),
        not_ready: None,
        repeatable: true,
    }
}

fn unreadable_info(name: &str, location: Location, not_ready: Option<String>, fault: &Fault) -> InventoryInfo {
    tracing::warn!(inventory = %location, %fault, "a manifest can't be read");
    InventoryInfo {
        location,
        created: names::folder_time(names::last_segment(names::folder(name))).unwrap_or_default(),
        bucket: String::new(),
        format: InventoryFormat::Csv,
        files: 0,
        bytes: 0,
        fields: Vec::new(),
        versions: stocktake_core::InventoryVersions::Current,
        not_ready,
        repeatable: true,
    }
}

/// The folder is named for the minute in which the scan began, or one soon after
/// if that was taken. Any other is odd, but the manifest counts.
fn warn_of_folder(name: &str, manifest: &InventoryManifest) {
    let Some(named) = names::folder_time(names::last_segment(names::folder(name))) else { return };
    let minutes_later = (named.as_millis() - manifest.created.as_millis()).div_euclid(60_000);
    if !(-1..=60).contains(&minutes_later) {
        tracing::warn!(manifest = name, created = %manifest.created, "an inventory's folder is of another time");
    }
}

impl fmt::Debug for ManifestReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManifestReader")
            .field("vault", &self.vault)
            .field("path", &self.path)
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for ManifestReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() { f.write_str(&self.base) } else { write!(f, "{}/{}", self.base, self.path) }
    }
}
