//! Inventories that a cloud delivered, read by their manifests.
//!
//! Nothing is concluded from an inventory that is not complete and true to its
//! checksums: an object must never be taken as deleted because a part could not
//! be read. [`report`](crate::report) checks what can be checked without reading data files,
//! [`part`](crate::part) the rest.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use md5::{Digest, Md5};
use stocktake_core::{
    Error, Inventory, InventoryFormat, InventoryInfo, InventoryReader, InventoryVersions, Location, Result, Vault,
};

use crate::chain;
use crate::columnar::ColumnarFormat;
use crate::discovery::{Candidate, discover};
use crate::fault::Fault;
use crate::head::{self, Head};
use crate::manifest::{Dialect, InventoryManifest, MAX_MANIFEST_BYTES, parse_md5};
use crate::names;
use crate::schema::Schema;

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
    pub(crate) formats: Vec<Arc<dyn ColumnarFormat>>,
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
    pub(crate) fn configuration(&self, manifest: &str) -> String {
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
    pub(crate) async fn checked_manifest(&self, name: &str) -> Result<InventoryManifest> {
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
}

#[async_trait]
impl InventoryReader for ManifestReader {
    async fn inventories(&self) -> Result<Vec<InventoryInfo>> {
        if let Some(folder) = names::incremental_folder(&self.path) {
            return chain::inventories(self, folder, &self.path).await;
        }
        let candidates = discover(&*self.vault, &self.path).await.map_err(|error| match error {
            // It is the source that is called not found without more words.
            Error::LocationNotFound { location } => {
                Error::InventoryNotFound { location, problem: "there is no such bucket or folder".to_owned() }
            }
            error => error,
        })?;
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

/// What is known of an inventory. `found` is the bucket that files name, where the manifest does not.
pub(crate) fn info(
    manifest: &InventoryManifest,
    location: Location,
    schema: Option<&Schema>,
    found: String,
) -> InventoryInfo {
    let stated = manifest.source_bucket.clone();
    let bucket = if stated.is_empty() { found } else { stated };
    let coverage = match manifest.dialect {
        Dialect::Azure => manifest.coverage.within(Some(&*bucket).filter(|bucket| !bucket.is_empty())),
        _ => manifest.coverage.clone(),
    };
    InventoryInfo {
        bucket,
        files: manifest.files.len() as u64,
        bytes: manifest.data_bytes(),
        rows: manifest.stated_rows(),
        coverage,
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
pub(crate) fn warn_of_folder(name: &str, manifest: &InventoryManifest) {
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
