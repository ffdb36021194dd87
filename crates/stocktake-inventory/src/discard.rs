//! Removing an inventory that is no longer wanted.
//!
//! Data files are shared: only manifests say which day a file belongs to, and a
//! file goes only when no remaining one names it. The manifest goes last, so
//! that a removal that was interrupted can be repeated.

use std::collections::HashSet;

use futures::stream::{self, StreamExt, TryStreamExt};
use stocktake_core::Result;

use crate::discovery::discover;
use crate::manifest::InventoryManifest;
use crate::names;
use crate::reader::{CONCURRENCY, InventoryRoot, MANIFESTS_AT_ONCE, ManifestReader, ancestors};

impl ManifestReader {
    /// Removes the inventory with the manifest of this name.
    pub(crate) async fn remove(&self, name: &str) -> Result<()> {
        let bytes = self.read_manifest(name).await?;
        let manifest = InventoryManifest::parse(&bytes).map_err(|fault| fault.of(&self.location(name)))?;
        let doomed = self.unshared_files(name, &manifest).await?;
        if let Some(root) = self.remaining_root(name, &manifest).await? {
            let doomed: Vec<_> = doomed.iter().map(|key| names::join(&root, key)).collect();
            let deletions = stream::iter(doomed).map(|name| async move { self.vault.delete(&name).await });
            deletions.buffer_unordered(CONCURRENCY).try_collect::<()>().await?;
        }
        if let Some(symlink) = names::symlink_of(name) {
            self.vault.delete(&symlink).await?;
        }
        // Without a checksum it is no longer ready.
        self.vault.delete(&names::checksum_of(name)).await?;
        self.vault.delete(name).await
    }

    /// The data files of a manifest that no other of the same configuration names,
    /// ready or not. One that can't be read is an error: what it names is not
    /// known, so nothing may be removed.
    async fn unshared_files(&self, name: &str, manifest: &InventoryManifest) -> Result<HashSet<String>> {
        let mut candidates = discover(&*self.vault, names::configuration(name)).await?;
        candidates.retain(|candidate| candidate.manifest != name);
        let others = stream::iter(candidates).map(|candidate| async move {
            let bytes = self.read_manifest(&candidate.manifest).await?;
            InventoryManifest::parse(&bytes).map_err(|fault| fault.of(&self.location(&candidate.manifest)))
        });
        let files: HashSet<_> = manifest.files.iter().map(|file| file.key.clone()).collect();
        let spare = |mut files: HashSet<String>, other: InventoryManifest| async move {
            other.files.iter().for_each(|file| {
                files.remove(&file.key);
            });
            Ok(files)
        };
        others.buffer_unordered(MANIFESTS_AT_ONCE).try_fold(files, spare).await
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
