//! Changes as text: a JSON object, or a record of CSV.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use stocktake_core::{Change, ETag};

use crate::changes::class;

/// What is escaped in a key: all but letters, digits and `-._~/`.
pub(crate) const ESCAPED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// The members of a change in JSON, in the order of the columns.
///
/// `key` where it is UTF-8, otherwise `key_base64`; null where there is no such side.
pub fn change_to_json(change: &Change) -> serde_json::Map<String, serde_json::Value> {
    let mut row = serde_json::Map::new();
    let key = &change.entry().key;
    match key.as_str() {
        Some(text) => row.insert("key".into(), text.into()),
        None => row.insert("key_base64".into(), STANDARD.encode(key.as_bytes()).into()),
    };
    row.insert("change".into(), change.class.as_str().into());
    for (prefix, side) in [("", &change.current), ("previous_", &change.previous)] {
        let side = side.as_ref();
        let mut put = |name: &str, value: serde_json::Value| row.insert(format!("{prefix}{name}"), value);
        put("size", side.map(|entry| entry.size).into());
        put("etag", side.and_then(|entry| entry.etag.as_ref()).map(ETag::as_str).into());
        put("last_modified", side.map(|entry| entry.last_modified.to_string()).into());
        put("storage_class", side.and_then(class).into());
    }
    row
}

/// The fields of a change in CSV, in the order of the columns; nothing for a null.
pub(crate) fn csv_fields(change: &Change) -> Vec<String> {
    let key = percent_encode(change.entry().key.as_bytes(), ESCAPED).to_string();
    let mut fields = vec![key, change.class.as_str().to_owned()];
    for side in [&change.current, &change.previous] {
        let side = side.as_ref();
        fields.extend([
            side.map_or_else(String::new, |entry| entry.size.to_string()),
            side.and_then(|entry| entry.etag.as_ref()).map_or_else(String::new, |tag| tag.as_str().to_owned()),
            side.map_or_else(String::new, |entry| entry.last_modified.to_string()),
            side.and_then(class).unwrap_or_default().to_owned(),
        ]);
    }
    fields
}
