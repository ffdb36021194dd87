//! Opening inventories by where they are.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use stocktake_core::{InventoryReader, Location, Result, Vault};
use stocktake_fs::FsVault;
use stocktake_inventory::{InventoryRoot, ManifestReader};

use super::place::Place;
use super::settings::Settings;

/// Opens the inventories at a location: a `manifest.json`, a dated folder, the
/// folder of a configuration, or any folder above. At the folder
/// `incremental_inventory` of a configuration of OSS, or in it, incremental
/// inventories are read with the full one before them; see [`ManifestReader`].
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
            let reader = ManifestReader::new(Arc::new(bucket.vault()), store.url().prefix(), bucket.to_string());
            Arc::new(with_formats(reader))
        }
    })
}

/// Where inventories are written to.
#[derive(Clone, Debug)]
pub struct OpenInventoryStore {
    /// The bucket, whole, or the folder: names of files are counted from its root.
    pub store: Arc<dyn Vault>,
    /// The bucket's name; of a folder, its last part. What a manifest calls its destination.
    pub bucket: String,
    /// The prefix within the bucket. Empty for a folder.
    pub prefix: String,
    /// The location of the root, behind which names are shown.
    pub root: Location,
}

/// Opens a bucket or folder for inventories to be written to, as
/// [`create_inventory`](crate::inventory::create_inventory) does.
///
/// # Errors
/// As [`open_inventories`].
pub fn open_inventory_store(location: &str, settings: &Settings) -> Result<OpenInventoryStore> {
    let place = Place::open(location, settings)?;
    let bucket = place.bucket();
    Ok(match place {
        Place::Folder(path) => {
            let root = Location::new(path.display().to_string());
            OpenInventoryStore { store: Arc::new(FsVault::new(path)), bucket, prefix: String::new(), root }
        }
        #[cfg(feature = "s3")]
        Place::Bucket(store) => {
            let (whole, prefix) = (store.without_prefix(), store.url().prefix().to_owned());
            let root = whole.url().location();
            OpenInventoryStore { store: Arc::new(whole.vault()), bucket, prefix, root }
        }
    })
}

/// A reader of the inventories below `path`, able to look for data files above it.
fn in_folder(path: &Path) -> ManifestReader {
    // Links are resolved first: below its root a vault follows none.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let (root, below) = split(&path);
    // What was made for inventories to be delivered to is not taken away with the last of them.
    let vault = Arc::new(FsVault::new(&root).keeping(&below));
    let base = root.display().to_string();
    let reader = ManifestReader::new(vault, below, base);
    with_formats(reader.with_root(InventoryRoot::NearestAncestor).with_local_root(root))
}

/// The reader, with every format that was built in.
fn with_formats(reader: ManifestReader) -> ManifestReader {
    #[cfg(feature = "orc")]
    let reader = reader.with_format(Arc::new(stocktake_orc::OrcFormat));
    reader
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
