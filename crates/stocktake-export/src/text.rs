//! Changes as text: a JSON object, or a record of CSV.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use stocktake_core::{Change, ETag};

use crate::changes::{ChangeColumns, class};

/// What is escaped in a key: all but letters, digits and `-._~/`.
pub(crate) const ESCAPED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

impl ChangeColumns {
    /// The members of a change in JSON, in the order of the columns.
    ///
    /// `key` where it is UTF-8, otherwise `key_base64`; null where there is no such side.
    pub fn json(self, change: &Change) -> serde_json::Map<String, serde_json::Value> {
        let mut row = serde_json::Map::new();
        let entry = change.entry();
        match entry.key.as_str() {
            Some(text) => row.insert("key".into(), text.into()),
            None => row.insert("key_base64".into(), STANDARD.encode(entry.key.as_bytes()).into()),
        };
        if self == Self::Versions {
            row.insert("version_id".into(), entry.version.as_deref().into());
        }
        row.insert("change".into(), change.class.as_str().into());
        for (prefix, side) in [("", &change.current), ("previous_", &change.previous)] {
            let side = side.as_ref();
            let mut put = |name: &str, value: serde_json::Value| row.insert(format!("{prefix}{name}"), value);
            put("size", side.map(|entry| entry.size).into());
            put("etag", side.and_then(|entry| entry.etag.as_ref()).map(ETag::as_str).into());
            put("last_modified", side.map(|entry| entry.last_modified.to_string()).into());
            put("storage_class", side.and_then(class).into());
            if self == Self::Versions {
                put("is_latest", side.map(|entry| entry.flags.is_latest()).into());
                put("is_delete_marker", side.map(|entry| entry.flags.is_delete_marker()).into());
            }
        }
        row
    }

    /// The fields of a change in CSV, in the order of the columns; nothing for a null.
    pub(crate) fn csv(self, change: &Change) -> Vec<String> {
        let entry = change.entry();
        let mut fields = vec![percent_encode(entry.key.as_bytes(), ESCAPED).to_string()];
        if self == Self::Versions {
            fields.push(entry.version.clone().unwrap_or_default());
        }
        fields.push(change.class.as_str().to_owned());
        for side in [&change.current, &change.previous] {
            let side = side.as_ref();
            fields.extend([
                side.map_or_else(String::new, |entry| entry.size.to_string()),
                side.and_then(|entry| entry.etag.as_ref()).map_or_else(String::new, |tag| tag.as_str().to_owned()),
                side.map_or_else(String::new, |entry| entry.last_modified.to_string()),
                side.and_then(class).unwrap_or_default().to_owned(),
            ]);
            if self == Self::Versions {
                fields.push(side.map_or_else(String::new, |entry| entry.flags.is_latest().to_string()));
                fields.push(side.map_or_else(String::new, |entry| entry.flags.is_delete_marker().to_string()));
            }
        }
        fields
    }
}

/// The members of a change of objects in JSON: those of [`ChangeColumns::Objects`].
pub fn change_to_json(change: &Change) -> serde_json::Map<String, serde_json::Value> {
    ChangeColumns::Objects.json(change)
}
