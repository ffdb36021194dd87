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
    BlobInfo, EntryBatch, Error, Inventory, InventoryFormat, InventoryInfo, InventoryReader, InventoryVersions,
    KeyFilter, Location, Result, Vault,
};

use crate::chain;
use crate::columnar::ColumnarFormat;
use crate::decoder::Choice;
use crate::discovery::{Candidate, discover};
use crate::fault::Fault;
use crate::head::{self, Head};
use crate::manifest::{DataFile, InventoryManifest, MAX_MANIFEST_BYTES, parse_md5};
use crate::names;
use crate::part::{Part, Parts, fetch_error, missing, other_size};
use crate::rules::RowRules;
use crate::schema::Schema;
use crate::total::Total;

/// Requests sent at once while data files are looked at or removed.
pub(crate) const CONCURRENCY: usize = 16;

/// Manifests read at once. One takes up to [`MAX_MANIFEST_BYTES`], and about as much again when decoded.
pub(crate) const MANIFESTS_AT_ONCE: usize = 4;

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

/// An [`InventoryReader`] for the reports of Amazon S3, Google Cloud Storage and Azure
/// (CSV, Parquet), Alibaba Cloud OSS, Huawei Cloud OBS and Tencent Cloud COS (CSV).
///
/// It looks at one path of a vault: a manifest, a dated folder, the folder of a
/// configuration, or any folder above. The vault is the bucket that
/// inventories are delivered to, or a folder that holds them.
///
/// What is checked depends on what the cloud states. Files must be there, and be of
/// the size and MD5 that the manifest gives; where it gives a number of rows
/// instead, reading a file, or all of them, ends in an error unless it is right.
/// Where it gives neither (GCS may not), a file must at least stay the same from
/// opening to the end of reading.
///
/// # Incremental inventories
/// At a path that is the folder `incremental_inventory` of a configuration of OSS, or
/// in it, an inventory is a *chain*: the newest full one, and what incremental ones say
/// happened since. There is one for the end of each incremental inventory, at the
/// location of that one's manifest, equal to a full inventory of that instant; naming
/// a manifest or dated folder there names an instant. What breaks a chain is the
/// reason why it and those behind it are not ready, so that the newest that is ready
/// ends before it. Full inventories are not listed there, and chains nowhere else.
/// Chains tell of current objects, also where the full inventory lists all versions.
/// See [the rules](crate::hostile) for what is read of them and what can't be
/// known. A chain takes, beside its data files, temporary files of about twice the
/// size of its incremental ones, and at most 100 MiB of memory beside what is taken by
/// fetching, whatever their number.
///
/// # Temporary files
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
    pub(crate) local_root: Option<PathBuf>,
    pub(crate) temp_dir: Option<PathBuf>,
    formats: Vec<Arc<dyn ColumnarFormat>>,
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
        Self {
            vault,
            path,
            base,
            root: InventoryRoot::default(),
            local_root: None,
            temp_dir: None,
            formats: Vec::new(),
        }
    }

    /// Reads data files of one more format, such as the ORC of the crate `stocktake-orc`.
    #[must_use]
    pub fn with_format(mut self, format: Arc<dyn ColumnarFormat>) -> Self {
        self.formats.push(format);
        self
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
    pub(crate) async fn info(&self, candidate: Candidate) -> Result<InventoryInfo> {
        let location = self.location(&candidate.manifest);
        let bytes = self.read_manifest(&candidate.manifest).await?;
        let checksum = names::checksum_of(&candidate.manifest);
        let unsealed = (!candidate.has_checksum).then(|| format!("{} is missing", names::last_segment(&checksum)));
        let manifest = match InventoryManifest::parse(&candidate.manifest, &bytes) {
            Ok(manifest) => manifest,
            Err(fault) => {
                let configuration = self.configuration(&candidate.manifest);
                let info = unreadable_info(&candidate.manifest, location, unsealed, &fault);
                return Ok(InventoryInfo { configuration, ..info });
            }
        };
        warn_of_folder(&candidate.manifest, &manifest);
        let unsealed = unsealed.filter(|_| manifest.dialect.has_checksum());
        let not_ready = manifest.not_ready.clone().or(unsealed);
        let head = match not_ready {
            None => self.known_head(&candidate.manifest, &manifest).await?,
            Some(_) => None,
        };
        let (schema, bucket) = head.map_or((None, String::new()), |head| (Some(head.schema), head.bucket));
        let schema = manifest.schema.as_ref().or(schema.as_ref());
        let configuration = self.configuration(&candidate.manifest);
        Ok(InventoryInfo { configuration, not_ready, ..info(&manifest, location, schema, bucket) })
    }

    /// The configuration of the inventory with the manifest of this name.
    fn configuration(&self, manifest: &str) -> String {
        self.location(&names::configuration_id(manifest)).to_string()
    }

    /// What the first file says that the manifest does not: `None` when there is
    /// nothing to ask, or the file can't be read, which opening the inventory tells of.
    async fn known_head(&self, name: &str, manifest: &InventoryManifest) -> Result<Option<Head>> {
        if !manifest.source_bucket.is_empty() && manifest.schema.is_some() {
            return Ok(None);
        }
        let Some(first) = manifest.files.first() else { return Ok(None) };
        let head = async {
            let root = self.data_root(name, manifest).await?;
            let file = self.find(&self.location(name), &root, first).await?;
            head::read(&*self.vault, &self.location(name), &file, manifest.format, manifest.dialect).await
        };
        match head.await {
            Ok(head) => Ok(Some(head)),
            Err(Error::InventoryIncomplete { .. } | Error::InventoryCorrupt { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The manifest, which says that it is complete, and whose checksum is there and right on clouds that have one.
    async fn checked_manifest(&self, name: &str) -> Result<InventoryManifest> {
        let location = self.location(name);
        let bytes = self.read_manifest(name).await?;
        let manifest = InventoryManifest::parse(name, &bytes);
        if let Ok(InventoryManifest { not_ready: Some(problem), .. }) = &manifest {
            return Err(Error::InventoryIncomplete { inventory: location, problem: problem.clone() });
        }
        // A manifest that can't be read may be one that is still being written.
        if manifest.as_ref().map_or(true, |manifest| manifest.dialect.has_checksum()) {
            self.check_seal(&location, name, &bytes).await?;
        }
        manifest.map_err(|fault| fault.of(&location))
    }

    /// Sees that the checksum of a manifest is there and right.
    pub(crate) async fn check_seal(&self, location: &Location, name: &str, bytes: &[u8]) -> Result<()> {
        let checksum = names::checksum_of(name);
        if Md5::digest(bytes)[..] == self.read_checksum(location, &checksum).await? {
            return Ok(());
        }
        let checksum = names::last_segment(&checksum);
        Err(Fault::corrupt(format!("{checksum} is not that of the manifest")).of(location))
    }

    async fn read_checksum(&self, inventory: &Location, name: &str) -> Result<[u8; 16]> {
        /// 32 digits, and whatever white space a writer puts around them.
        const MAX_CHECKSUM_BYTES: u64 = 1024;
        let shown = names::last_segment(name);
        let not_ready = |error| match error {
            Error::BlobNotFound { .. } => {
                let problem = format!("{shown} is missing: it is not delivered completely");
                Error::InventoryIncomplete { inventory: inventory.clone(), problem }
            }
            other => other,
        };
        if self.vault.stat(name).await.map_err(not_ready)?.size > MAX_CHECKSUM_BYTES {
            return Err(Fault::corrupt(format!("{shown} is no checksum")).of(inventory));
        }
        let text = self.vault.read(name, None).await.map_err(not_ready)?;
        parse_md5(&String::from_utf8_lossy(&text)).map_err(|fault| fault.within(shown).of(inventory))
    }

    /// The folder under which the data files are, empty for the vault's root.
    pub(crate) async fn data_root(&self, manifest_name: &str, manifest: &InventoryManifest) -> Result<String> {
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
        let found = stream::iter(files.to_vec())
            .map(|file| async move { Ok::<_, Error>(usize::from(self.look_for(folder, &file).await?.is_some())) });
        found.buffer_unordered(CONCURRENCY).try_fold(0, |sum, one| async move { Ok(sum + one) }).await
    }

    /// A data file below a folder, by whichever of its keys is there.
    pub(crate) async fn look_for(&self, folder: &str, file: &DataFile) -> Result<Option<BlobInfo>> {
        for key in file.keys() {
            match self.vault.stat(&names::join(folder, key)).await {
                Ok(found) => return Ok(Some(found)),
                Err(Error::BlobNotFound { .. } | Error::InvalidInput { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// A data file that must be there, with the size that is stated.
    async fn find(&self, location: &Location, root: &str, file: &DataFile) -> Result<BlobInfo> {
        let name = names::join(root, &file.key);
        let found = match &file.other_key {
            None => self.vault.stat(&name).await.map_err(|error| fetch_error(location, &name, error))?,
            Some(_) => self.look_for(root, file).await?.ok_or_else(|| missing(location, &name))?,
        };
        match file.size {
            Some(size) if size != found.size => Err(other_size(location, &found.name, found.size, size)),
            _ => Ok(found),
        }
    }

    /// The parts, of which every file is there with its size.
    pub(crate) async fn parts(&self, location: &Location, root: &str, files: &[DataFile]) -> Result<Vec<Arc<Part>>> {
        let parts = stream::iter(files.to_vec()).enumerate().map(|(index, file)| async move {
            let found = self.find(location, root, &file).await?;
            Ok(Arc::new(Part::new(index, file, found)))
        });
        parts.buffered(CONCURRENCY).try_collect().await
    }

    /// Checks the inventory with the manifest of this name, and opens it.
    pub(crate) async fn open_report(&self, name: &str) -> Result<Report> {
        let location = self.location(name);
        let manifest = self.checked_manifest(name).await?;
        warn_of_folder(name, &manifest);
        let read = matches!(manifest.format, InventoryFormat::Csv | InventoryFormat::Parquet)
            || self.formats.iter().any(|format| format.format() == manifest.format);
        if !read {
            let format = manifest.format.to_string().to_uppercase();
            let problem = format!("it is written in {format}, which is read only with a decoder of that format");
            return Err(Error::InventoryNotFound { location, problem });
        }
        let root = self.data_root(name, &manifest).await?;
        let parts = self.parts(&location, &root, &manifest.files).await?;
        let head = self.head(&location, &manifest, &parts).await?;
        if let (Some(rows @ 1..), true) = (manifest.rows, parts.is_empty()) {
            return Err(Fault::corrupt(format!("it has no data files, the manifest says {rows} rows")).of(&location));
        }
        let shared = Parts {
            vault: Arc::clone(&self.vault),
            inventory: location.clone(),
            local_root: self.local_root.clone(),
            temp_dir: self.temp_dir.clone(),
            format: manifest.format,
            formats: self.formats.clone(),
            schema: head.schema.clone(),
            rules: RowRules::new(manifest.dialect, &manifest.source_bucket),
            total: manifest.rows.map(|rows| Total::new(rows, parts.len())),
        };
        let info = InventoryInfo {
            bytes: parts.iter().map(|part| part.size()).fold(0, u64::saturating_add),
            configuration: self.configuration(name),
            ..info(&manifest, location, Some(&head.schema), head.bucket)
        };
        Ok(Report { info, parts, shared: Arc::new(shared) })
    }

    /// The schema that rows are read by, and the bucket that they are of: what the
    /// first file says of itself, where files do.
    async fn head(&self, location: &Location, manifest: &InventoryManifest, parts: &[Arc<Part>]) -> Result<Head> {
        let InventoryManifest { format, dialect, .. } = *manifest;
        let says_itself = format == InventoryFormat::Parquet || dialect.has_header();
        let mut head = match parts.first() {
            Some(part) if says_itself => head::read(&*self.vault, location, part.found(), format, dialect).await?,
            _ => {
                let none = || Schema::of_names(Vec::new(), dialect);
                let schema = manifest.schema.clone().map_or_else(none, Ok).map_err(|fault| fault.of(location))?;
                Head { schema, bucket: String::new() }
            }
        };
        if !manifest.source_bucket.is_empty() {
            head.bucket.clone_from(&manifest.source_bucket);
        }
        let stated = manifest.schema.as_ref();
        let differing = stated.map(|stated| head.schema.differing(stated)).unwrap_or_default();
        if !differing.is_empty() {
            tracing::warn!(inventory = %location, ?differing, "manifest and data files differ in columns; the files count");
        }
        if stated.is_some() || !parts.is_empty() {
            let required = head.schema.check_required();
            let is_stated = stated.is_some_and(|stated| stated.check_required().is_ok());
            required.map_err(|fault| if is_stated { unstated(&fault, parts) } else { fault }.of(location))?;
        }
        Ok(head)
    }
}

/// A file that lacks what the manifest says it has is not the one that was delivered:
/// no change of the configuration would mend it.
fn unstated(fault: &Fault, parts: &[Arc<Part>]) -> Fault {
    let fault = Fault::corrupt(format!("{fault}, which the manifest says is there"));
    parts.first().map_or(fault.clone(), |part| fault.within(&part.name))
}

#[async_trait]
impl InventoryReader for ManifestReader {
    async fn inventories(&self) -> Result<Vec<InventoryInfo>> {
        if let Some(folder) = names::incremental_folder(&self.path) {
            return chain::inventories(self, folder, &self.path).await;
        }
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
        let name = self.manifest_name(&inventory.location)?;
        match names::incremental_folder(name) {
            Some(folder) => Ok(Arc::new(chain::open(self, folder, name).await?)),
            None => Ok(Arc::new(self.open_report(name).await?)),
        }
    }

    async fn discard(&self, inventory: &InventoryInfo) -> Result<()> {
        let name = self.manifest_name(&inventory.location)?;
        if names::incremental_folder(name).is_some() {
            return Err(Error::invalid(format!(
                "{} is kept: later chains are made of it as well; let a lifecycle rule of the bucket remove old ones",
                inventory.location
            )));
        }
        self.remove(name).await
    }
}

/// The folders above a name, from the nearest to the root.
pub(crate) fn ancestors(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(names::folder(name)), |folder| (!folder.is_empty()).then(|| names::folder(folder)))
}

/// A delivered inventory that was checked.
#[derive(Debug)]
pub(crate) struct Report {
    info: InventoryInfo,
    pub(crate) parts: Vec<Arc<Part>>,
    pub(crate) shared: Arc<Parts>,
}

impl Inventory for Report {
    fn info(&self) -> &InventoryInfo {
        &self.info
    }

    fn parts(&self) -> usize {
        self.parts.len()
    }

    fn read(&self, part: usize) -> BoxStream<'static, Result<EntryBatch>> {
        self.read_chosen(part, Choice { versions: InventoryVersions::Current, wanted: None })
    }

    fn read_wanted(&self, part: usize, wanted: KeyFilter) -> BoxStream<'static, Result<EntryBatch>> {
        self.read_chosen(part, Choice { versions: InventoryVersions::Current, wanted: Some(wanted) })
    }

    fn read_versions(&self, part: usize) -> BoxStream<'static, Result<EntryBatch>> {
        self.read_chosen(part, Choice { versions: InventoryVersions::All, wanted: None })
    }

    fn source_lists(&self) -> u64 {
        0
    }
}

impl Report {
    fn read_chosen(&self, part: usize, choice: Choice) -> BoxStream<'static, Result<EntryBatch>> {
        Arc::clone(&self.parts[part]).read(Arc::clone(&self.shared), choice)
    }
}

/// What is known of an inventory. `found` is the bucket that files name, where the manifest does not.
fn info(manifest: &InventoryManifest, location: Location, schema: Option<&Schema>, found: String) -> InventoryInfo {
    let stated = manifest.source_bucket.clone();
    InventoryInfo {
        bucket: if stated.is_empty() { found } else { stated },
        files: manifest.files.len() as u64,
        bytes: manifest.data_bytes(),
        fields: schema.map(|schema| schema.columns().to_vec()).unwrap_or_default(),
        versions: schema.map_or(InventoryVersions::Current, Schema::versions),
        ..InventoryInfo::new(location, manifest.format, manifest.created)
    }
}

fn unreadable_info(name: &str, location: Location, not_ready: Option<String>, fault: &Fault) -> InventoryInfo {
    tracing::warn!(inventory = %location, %fault, "a manifest can't be read");
    InventoryInfo {
        not_ready,
        ..InventoryInfo::new(location, InventoryFormat::Csv, names::named_time(name).unwrap_or_default())
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
