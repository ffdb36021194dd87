//! Removing an inventory that is no longer wanted.
//!
//! Data files are shared on most clouds: only manifests say which day a file belongs
//! to, and a file goes only when no remaining one names it and it lies in the
//! folder of its configuration: no manifest has other objects of the bucket
//! deleted. The manifest goes last, so that a removal that was interrupted can be repeated.

use std::collections::HashSet;

use futures::stream::{self, StreamExt, TryStreamExt};
use stocktake_core::Result;

use crate::discovery::discover;
use crate::locate::{CONCURRENCY, ancestors};
use crate::manifest::{DataFile, InventoryManifest};
use crate::names;
use crate::reader::{InventoryRoot, MANIFESTS_AT_ONCE, ManifestReader};

impl ManifestReader {
    /// Removes the inventory with the manifest of this name.
    pub(crate) async fn remove(&self, name: &str) -> Result<()> {
        let bytes = self.read_manifest(name).await?;
        let manifest = InventoryManifest::parse(name, &bytes).map_err(|fault| fault.of(&self.location(name)))?;
        let others = self.others(name, &manifest).await?;
        let doomed = unshared(&manifest, &others);
        if let Some(root) = &self.remaining_root(name, &manifest).await? {
            let folder = names::sharing_folder(name, manifest.dialect);
            let deletions = stream::iter(doomed).map(|file| async move {
                let name = match &file.other_key {
                    None => Some(names::join(root, &file.key)),
                    Some(_) => self.look_for(root, &file).await?.map(|found| found.name),
                };
                match name {
                    Some(name) if names::is_below(&name, folder) => self.vault.delete(&name).await,
                    Some(name) => {
                        tracing::warn!(name, "a data file lies elsewhere than its inventory, so it stays");
                        Ok(())
                    }
                    None => Ok(()),
                }
            });
            deletions.buffer_unordered(CONCURRENCY).try_collect::<()>().await?;
        }
        // That of OBS is named for the day, and another inventory may be of that day.
        if let Some(symlink) = names::symlink_of(name, manifest.dialect)
            && !others.iter().any(|other| other.symlink.as_ref() == Some(&symlink))
        {
            self.vault.delete(&symlink).await?;
        }
        // Without a checksum it is no longer ready, on clouds that have one.
        if manifest.dialect.has_checksum() {
            self.vault.delete(&names::checksum_of(name)).await?;
        }
        self.vault.delete(name).await
    }

    /// The other inventories that may name the same files, ready or not. One that
    /// can't be read is an error: what it names is not known, so nothing may be removed.
    async fn others(&self, name: &str, manifest: &InventoryManifest) -> Result<Vec<Other>> {
        let mut candidates = discover(&*self.vault, names::sharing_folder(name, manifest.dialect)).await?;
        candidates.retain(|candidate| candidate.manifest != name);
        let files: HashSet<_> = manifest.files.iter().flat_map(DataFile::keys).collect();
        let files = &files;
        let others = stream::iter(candidates).map(|candidate| async move {
            let name = candidate.manifest;
            let bytes = self.read_manifest(&name).await?;
            let other = InventoryManifest::parse(&name, &bytes).map_err(|fault| fault.of(&self.location(&name)))?;
            let shared = other.files.iter().flat_map(DataFile::keys).filter(|key| files.contains(key));
            let shared = shared.map(str::to_owned).collect();
            Ok(Other { symlink: names::symlink_of(&name, other.dialect), shared })
        });
        others.buffer_unordered(MANIFESTS_AT_ONCE).try_collect().await
    }

    /// The folder under which any data file is left; `None` when none is.
    async fn remaining_root(&self, manifest_name: &str, manifest: &InventoryManifest) -> Result<Option<String>> {
        if self.root == InventoryRoot::BucketRoot {
            return Ok(Some(String::new()));
        }
        for folder in ancestors(manifest_name) {
            if self.present(folder, &manifest.files).await? > 0 {
                return Ok(Some(folder.to_owned()));
            }
        }
        Ok(None)
    }
}

/// What another inventory has in common with the one that goes.
struct Other {
    symlink: Option<String>,
    shared: Vec<String>,
}

/// The data files that no other inventory names, by either of their keys.
fn unshared(manifest: &InventoryManifest, others: &[Other]) -> Vec<DataFile> {
    let shared: HashSet<_> = others.iter().flat_map(|other| &other.shared).map(String::as_str).collect();
    manifest.files.iter().filter(|file| !file.keys().any(|key| shared.contains(key))).cloned().collect()
}
