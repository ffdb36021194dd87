//! Where an inventory's data files are: the manifest has their keys as the cloud wrote
//! them, and what was copied elsewhere keeps only the end of its path.

use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use stocktake_core::{BlobInfo, Error, Location, Result};

use crate::manifest::{DataFile, InventoryManifest};
use crate::names;
use crate::part::{Part, fetch_error, missing, other_size};
use crate::reader::{InventoryRoot, ManifestReader};

/// Requests sent at once while data files are looked at or removed.
pub(crate) const CONCURRENCY: usize = 16;

impl ManifestReader {
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
    pub(crate) async fn find(&self, location: &Location, root: &str, file: &DataFile) -> Result<BlobInfo> {
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
}

/// The folders above a name, from the nearest to the root.
pub(crate) fn ancestors(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(names::folder(name)), |folder| (!folder.is_empty()).then(|| names::folder(folder)))
}
