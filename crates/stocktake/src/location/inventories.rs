//! Opening inventories by where they are.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use stocktake_core::{InventoryReader, Result};
use stocktake_fs::FsVault;
use stocktake_inventory::{InventoryRoot, ManifestReader};

use super::place::Place;
use super::settings::Settings;

/// Opens the inventories at a location: a `manifest.json`, a dated folder, the
/// folder of a configuration, or any folder above.
///
/// The files that a manifest names are looked for from the root of the bucket
/// that the inventory was delivered to. Of an inventory in a local folder they
/// are looked for from the nearest folder above the manifest under which all of
/// them are.
///
/// # Errors
/// [`InvalidInput`](stocktake_core::Error::InvalidInput): it is no location, or its settings make no sense.
pub fn open_inventories(location: &str, settings: &Settings) -> Result<Arc<dyn InventoryReader>> {
    Ok(match Place::open(location, settings)? {
        Place::Folder(path) => Arc::new(in_folder(&path)),
        #[cfg(feature = "s3")]
        Place::Bucket(store) => {
            let bucket = store.without_prefix();
            Arc::new(ManifestReader::new(Arc::new(bucket.vault()), store.url().prefix(), bucket.to_string()))
        }
    })
}

/// A reader of the inventories below `path`, able to look for data files above it.
fn in_folder(path: &Path) -> ManifestReader {
    // Links are resolved first: below its root a vault follows none.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let (root, below) = split(&path);
    let vault = Arc::new(FsVault::new(&root));
    let base = root.display().to_string();
    ManifestReader::new(vault, below, base).with_root(InventoryRoot::NearestAncestor).with_local_root(root)
}

/// Parts a path into the shortest root below which every segment can be part of a blob's name, and the rest.
fn split(path: &Path) -> (PathBuf, String) {
    let mut root = PathBuf::new();
    let mut below: Vec<&str> = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => match name.to_str().filter(|name| is_plain(name)) {
                Some(name) => below.push(name),
                None => {
                    root.extend(below.drain(..));
                    root.push(name);
                }
            },
            other => root.push(other),
        }
    }
    (root, below.join("/"))
}

fn is_plain(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_as_high_as_names_allow() {
        let cases = [
            ("/srv/inv/daily", "/", "srv/inv/daily"),
            ("/home/jürgen/inv/daily", "/home/jürgen", "inv/daily"),
            ("/a/é/b/ü", "/a/é/b/ü", ""),
            ("/", "/", ""),
        ];
        for (path, root, below) in cases {
            assert_eq!(split(Path::new(path)), (root.into(), below.into()), "{path}");
        }
    }
}
