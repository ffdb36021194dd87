//! Rows and counts in the form that scripts read.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use stocktake::{Provenance, RowRef, SnapshotId, Timestamp, display_key};

/// A key under its own name: `key` where it is UTF-8, else `key_base64`.
#[derive(Clone, Copy)]
pub(crate) struct Named<'a> {
    pub(crate) name: &'static str,
    pub(crate) bytes: &'a [u8],
}

impl<'a> Named<'a> {
    /// The bytes as `key`.
    pub(crate) fn key(bytes: &'a [u8]) -> Self {
        Self { name: "key", bytes }
    }
}

impl Serialize for Named<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        match std::str::from_utf8(self.bytes) {
            Ok(text) => map.serialize_entry(self.name, text)?,
            Err(_) => map.serialize_entry(&format!("{}_base64", self.name), &base64(self.bytes))?,
        }
        map.end()
    }
}

/// Bytes as text.
pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// A key as a value in a list: text, or an object with `key_base64`.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum ListedKey<'a> {
    Text(&'a str),
    Bytes { key_base64: String },
}

impl<'a> From<&'a [u8]> for ListedKey<'a> {
    fn from(key: &'a [u8]) -> Self {
        match std::str::from_utf8(key) {
            Ok(text) => Self::Text(text),
            Err(_) => Self::Bytes { key_base64: base64(key) },
        }
    }
}

/// An object of a snapshot.
#[derive(Serialize)]
pub(crate) struct ObjectRow<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    snapshot: Option<SnapshotId>,
    #[serde(flatten)]
    key: Named<'a>,
    size: u64,
    etag: Option<String>,
    last_modified: Timestamp,
    storage_class: Option<&'a str>,
    provenance: Provenance,
}

impl<'a> ObjectRow<'a> {
    pub(crate) fn new(row: &RowRef<'a>) -> Self {
        let RowRef { entry, provenance, .. } = *row;
        Self {
            snapshot: None,
            key: Named::key(entry.key),
            size: entry.size,
            etag: entry.etag.to_etag().map(|etag| etag.as_str().to_owned()),
            last_modified: entry.last_modified,
            storage_class: some_class(entry.class),
            provenance,
        }
    }

    /// The same row, with the snapshot that it is in.
    pub(crate) fn within(self, snapshot: SnapshotId) -> Self {
        Self { snapshot: Some(snapshot), ..self }
    }
}

impl std::fmt::Display for ObjectRow<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(snapshot) = &self.snapshot {
            write!(f, "{}  ", snapshot.short())?;
        }
        let size = stocktake_examples::bytes(self.size);
        write!(f, "{size:>11}  {}  {}", self.last_modified, display_key(self.key.bytes))?;
        match self.provenance {
            Provenance::Exact => Ok(()),
            other => write!(f, "  [{}]", other.as_str()),
        }
    }
}

/// A storage class, where it is known.
pub(crate) fn some_class(class: &str) -> Option<&str> {
    Some(class).filter(|class| !class.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(name: &'static str, bytes: &[u8]) -> String {
        serde_json::to_string(&Named { name, bytes }).unwrap()
    }

    #[test]
    fn a_key_that_is_no_text_is_in_base64() {
        assert_eq!(json("key", "日/a\n".as_bytes()), r#"{"key":"日/a\n"}"#);
        assert_eq!(json("key", b"a\xff"), r#"{"key_base64":"Yf8="}"#);
        assert_eq!(json("prefix", b"\xff/"), r#"{"prefix_base64":"/y8="}"#);
    }
}
