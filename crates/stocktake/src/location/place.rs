//! Reading a location.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use percent_encoding::percent_decode_str;
use stocktake_core::{Error, Location, Result};
#[cfg(feature = "s3")]
use stocktake_object_store::{OpenStore, StoreUrl};

use super::settings::Settings;

/// What a location names.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// A folder, or a file in one.
    Folder(PathBuf),
    /// A bucket, or a prefix in one.
    #[cfg(feature = "s3")]
    Bucket(OpenStore),
}

impl Place {
    /// Reads a URL of a known scheme, or else a path. Nothing is sent or made.
    pub(super) fn open(text: &str, settings: &Settings) -> Result<Self> {
        match text.split_once("://") {
            None if text.is_empty() => Err(Error::invalid("a location must not be empty")),
            None => folder(Path::new(text)),
            Some(("file", path)) => file(text, path),
            Some(("s3" | "oss", _)) => bucket(text, settings),
            Some((scheme, _)) => {
                Err(Error::invalid(format!("{text}: the scheme {scheme} is not one of s3, oss and file")))
            }
        }
    }

    /// As people write it.
    pub(super) fn location(&self) -> Location {
        match self {
            Self::Folder(path) => Location::new(path.display().to_string()),
            #[cfg(feature = "s3")]
            Self::Bucket(store) => store.url().location(),
        }
    }

    /// The name of the bucket, or the last part of the folder's path.
    pub(super) fn bucket(&self) -> String {
        match self {
            Self::Folder(path) => folder_name(path),
            #[cfg(feature = "s3")]
            Self::Bucket(store) => store.url().bucket().to_owned(),
        }
    }

    /// What keys below the location begin with.
    pub(super) fn path(&self) -> Bytes {
        match self {
            Self::Folder(_) => Bytes::new(),
            #[cfg(feature = "s3")]
            Self::Bucket(store) if store.url().prefix().is_empty() => Bytes::new(),
            #[cfg(feature = "s3")]
            Self::Bucket(store) => Bytes::from(format!("{}/", store.url().prefix())),
        }
    }
}

/// The path in a `file:///` URL, percent-decoded.
fn file(text: &str, path: &str) -> Result<Place> {
    if !path.starts_with('/') {
        return Err(Error::invalid(format!("{text}: a file URL has three slashes, as in file:///srv/data")));
    }
    let path = percent_decode_str(path).decode_utf8();
    let path = path.map_err(|_| Error::invalid(format!("{text}: its path is not UTF-8; give it as a plain path")))?;
    folder(Path::new(path.as_ref()))
}

/// The folder by its absolute path, so that it is the same one from wherever the program runs.
fn folder(path: &Path) -> Result<Place> {
    let path = std::path::absolute(path).map_err(Error::local("find the folder", path))?;
    // Collecting drops a slash at the end.
    Ok(Place::Folder(path.components().collect()))
}

#[cfg(feature = "s3")]
fn bucket(text: &str, settings: &Settings) -> Result<Place> {
    let url = StoreUrl::parse(text)?.ok_or_else(|| Error::invalid(format!("{text} is not the URL of a bucket")))?;
    settings.open(&url).map(Place::Bucket)
}

#[cfg(not(feature = "s3"))]
fn bucket(text: &str, _settings: &Settings) -> Result<Place> {
    Err(Error::invalid(format!("{text}: this build holds no cloud client; build it with the feature `s3`")))
}

/// The last part of a path, also where that is `..` or a link's name.
fn folder_name(path: &Path) -> String {
    let resolved = if path.file_name().is_some() { path.to_owned() } else { path.canonicalize().unwrap_or_default() };
    resolved.file_name().map_or_else(|| "root".to_owned(), |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> Result<Place> {
        let settings = [("OSS_ENDPOINT".to_owned(), "oss-cn-hangzhou.aliyuncs.com".to_owned())];
        Place::open(text, &Settings::new(settings))
    }

    #[test]
    fn paths_are_made_absolute_and_file_urls_decoded() {
        let location = |text| place(text).unwrap().location().to_string();
        assert_eq!(location("/a b/%20/"), "/a b/%20");
        assert_eq!(location("file:///a%20b"), "/a b");
        assert_eq!(location("x/y"), std::env::current_dir().unwrap().join("x/y").display().to_string());
    }

    #[test]
    fn what_is_no_location_is_refused() {
        for text in ["", "file://host/x", "http://x/y", "gs://bucket", "file:///%ff"] {
            assert!(matches!(place(text), Err(Error::InvalidInput { .. })), "{text}");
        }
    }

    #[cfg(feature = "s3")]
    #[test]
    fn a_prefix_of_a_bucket_is_a_folder() {
        let folder = place("s3://bucket/a/b/").unwrap();
        assert_eq!((folder.bucket().as_str(), &folder.path()[..]), ("bucket", &b"a/b/"[..]));
        assert_eq!(place("oss://bucket").unwrap().path(), "");
    }

    #[cfg(not(feature = "s3"))]
    #[test]
    fn a_build_without_clouds_says_so() {
        let error = place("s3://bucket").unwrap_err();
        assert!(error.to_string().contains("feature `s3`"), "{error}");
    }

    #[test]
    fn a_folder_is_named_by_its_last_part() {
        assert_eq!(folder_name(Path::new("/no/such/photos")), "photos");
        assert_eq!(folder_name(Path::new("/")), "root");
    }
}
