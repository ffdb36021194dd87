//! Finding inventories below a folder.
//!
//! A listing is flat, and most of what it would show are data files. Folders
//! that hold nothing but data are left by listing anew from behind them.

use futures::TryStreamExt;
use stocktake_core::{Result, Vault};

use crate::names::{self, CHECKSUM, INCREMENTAL};

/// After this many names in a folder of data, the listing jumps behind the folder.
/// About a page: a shorter folder costs no more than the jump would.
const NAMES_BEFORE_JUMP: u32 = 1000;

/// A manifest that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// Its name.
    pub(crate) manifest: String,
    /// Whether its checksum was there, which says on most clouds that delivery is complete.
    pub(crate) has_checksum: bool,
}

/// The manifests at `path`: a manifest's name, its folder, or any folder above.
pub(crate) async fn discover(vault: &dyn Vault, path: &str) -> Result<Vec<Candidate>> {
    let path = path.trim_matches('/');
    let folder = if names::is_manifest(path) { names::folder(path) } else { path };
    let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    let mut found = Found { folder: folder.to_owned(), ..Found::default() };
    let mut start_after: Option<String> = None;
    'listing: loop {
        let mut blobs = vault.list(&prefix, start_after.as_deref());
        let mut skipping = Skipping::default();
        while let Some(blob) = blobs.try_next().await? {
            if let Some(jump) = skipping.take(&blob.name)
                && start_after.as_ref().is_none_or(|last| *last < jump)
            {
                start_after = Some(jump);
                continue 'listing;
            }
            found.take(&blob.name);
        }
        break;
    }
    found.candidates.retain(|candidate| folder == path || candidate.manifest == path);
    Ok(found.candidates)
}

/// The manifests of incremental inventories, each in a folder of its own right in `folder`.
pub(crate) async fn discover_deltas(vault: &dyn Vault, folder: &str) -> Result<Vec<Candidate>> {
    let mut found = Found::default();
    let mut blobs = vault.list(&format!("{folder}/"), None);
    while let Some(blob) = blobs.try_next().await? {
        let name = blob.name;
        if name.ends_with(CHECKSUM) {
            found.last_checksum = name;
        } else if names::is_manifest(&name) && names::configuration(&name) == folder {
            let has_checksum = names::checksum_of(&name) == found.last_checksum;
            found.candidates.push(Candidate { has_checksum, manifest: name });
        }
    }
    Ok(found.candidates)
}

/// What a listing has shown so far.
#[derive(Default)]
struct Found {
    folder: String,
    candidates: Vec<Candidate>,
    last_checksum: String,
}

impl Found {
    /// Names come in byte order, so that a checksum comes right before its manifest.
    fn take(&mut self, name: &str) {
        if name.ends_with(CHECKSUM) {
            self.last_checksum = name.to_owned();
        } else if names::is_manifest(name) && self.is_inventory(name) {
            let has_checksum = names::checksum_of(name) == self.last_checksum;
            self.candidates.push(Candidate { has_checksum, manifest: name.to_owned() });
        }
    }

    /// A manifest counts where a cloud would put it, or right where it was looked for.
    /// Incremental inventories of OSS list events, not objects.
    fn is_inventory(&self, name: &str) -> bool {
        let folder = names::folder(name);
        let is_dated = names::named_time(name).is_some();
        let is_incremental = folder.split('/').any(|segment| segment == INCREMENTAL);
        (is_dated && !is_incremental) || folder == self.folder
    }
}

/// Counts names in one folder of data.
#[derive(Default)]
struct Skipping {
    folder: String,
    names: u32,
}

impl Skipping {
    /// Takes the next name; tells where to go on listing once enough names of a folder of data have come.
    fn take(&mut self, name: &str) -> Option<String> {
        let folder = data_folder(name)?;
        if folder != self.folder {
            *self = Self { folder: folder.to_owned(), names: 0 };
        }
        self.names += 1;
        // Generated names sort before a tilde; any other is merely listed.
        (self.names == NAMES_BEFORE_JUMP).then(|| format!("{folder}/~"))
    }
}

/// The folder of data that a name lies in: `data` and `files` hold files directly, the others have folders by date.
fn data_folder(name: &str) -> Option<&str> {
    let folder = names::folder(name);
    if matches!(names::last_segment(folder), "data" | "files") {
        return Some(folder);
    }
    let above = names::folder(folder);
    matches!(names::last_segment(above), "hive" | INCREMENTAL).then_some(above)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use stocktake_core::memory::MemoryVault;

    async fn found(vault: &MemoryVault, path: &str) -> Vec<(String, bool)> {
        let found = discover(vault, path).await.unwrap();
        found.into_iter().map(|candidate| (candidate.manifest, candidate.has_checksum)).collect()
    }

    async fn vault(names: &[&str]) -> MemoryVault {
        let vault = MemoryVault::new();
        for name in names {
            vault.create(name, Bytes::new()).await.unwrap();
        }
        vault
    }

    const DAY: &str = "inv/photos/daily/2026-03-01T01-00Z";

    #[tokio::test]
    async fn a_manifest_is_found_from_itself_its_folder_and_any_above() {
        let manifest = format!("{DAY}/manifest.json");
        let vault = vault(&[
            &manifest,
            &format!("{DAY}/manifest.checksum"),
            "inv/photos/daily/2026-03-02T01-00Z/manifest.json",
            "inv/photos/daily/data/x.csv.gz",
            "inv/photos/daily/hive/dt=2026-03-01-01-00/symlink.txt",
            "inv/photos/daily/notes/manifest.json",
            "inv/photos/daily/incremental_inventory/2026-03-01T01-00Z/manifest.json",
        ])
        .await;
        let whole = [(manifest.clone(), true), ("inv/photos/daily/2026-03-02T01-00Z/manifest.json".to_owned(), false)];
        for path in ["inv/photos/daily", "inv/photos/daily/", "inv", "", "/"] {
            assert_eq!(found(&vault, path).await, whole, "{path}");
        }
        for path in [DAY, &manifest] {
            assert_eq!(found(&vault, path).await, whole[..1], "{path}");
        }
        assert_eq!(found(&vault, "inv/photos/dail").await, []);
        assert_eq!(found(&vault, "inv/photos/daily/notes").await.len(), 1);
    }

    #[tokio::test]
    async fn manifests_of_every_cloud_are_found() {
        let mut names = [
            "inv/photos/daily/2026-03-01T12-28Z/files/0000019C_1.csv",
            "inv/photos/daily/2026-03-01T12-28Z/manifest.json",
            "inv/125/photos/daily/20260301/manifest.json",
            "inv/125/photos/daily/20260301/manifest.checksum",
            "inv/reports/f0e1_2026-03-01T07:00_manifest.json",
            "inv/reports/f0e1_2026-03-01T07:00_0.csv",
            "inv/2026/03/01/13-25-36/daily/daily-manifest.json",
            "inv/2026/03/01/13-25-36/daily/daily-manifest.checksum",
            "inv/2026/03/01/13-25-36/daily/daily_1000000_0.csv",
            "inv/notes/daily-manifest.json",
        ];
        names.sort_unstable();
        let vault = vault(&names).await;
        let expected = [
            ("inv/125/photos/daily/20260301/manifest.json", true),
            ("inv/2026/03/01/13-25-36/daily/daily-manifest.json", true),
            ("inv/photos/daily/2026-03-01T12-28Z/manifest.json", false),
            ("inv/reports/f0e1_2026-03-01T07:00_manifest.json", false),
        ]
        .map(|(name, has_checksum)| (name.to_owned(), has_checksum));
        assert_eq!(found(&vault, "inv").await, expected);
        for one in expected {
            let only = std::slice::from_ref(&one);
            assert_eq!(found(&vault, &one.0).await, only);
            assert_eq!(found(&vault, names::folder(&one.0)).await, only);
        }
        assert_eq!(found(&vault, "inv/notes").await.len(), 1);
    }

    #[tokio::test]
    async fn folders_of_data_are_left_early_and_nothing_behind_them_is_missed() {
        let vault = MemoryVault::new();
        for number in 0..NAMES_BEFORE_JUMP * 3 {
            vault.create(&format!("a/data/{number:08x}.csv.gz"), Bytes::new()).await.unwrap();
        }
        for name in
            ["a/2026-03-01T01-00Z/manifest.json", "b/2026-03-01T01-00Z/manifest.json", "a/data/~odd", "a/data/~odd2"]
        {
            vault.create(name, Bytes::new()).await.unwrap();
        }
        assert_eq!(found(&vault, "").await.len(), 2);
    }
}
