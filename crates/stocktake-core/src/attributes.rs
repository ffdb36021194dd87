//! What a store keeps about an object beside its bytes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The content headers and user metadata of an object, as they came with its bytes.
///
/// Stored as JSON with absent fields left out, so that any reader of the
/// catalog can read them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Attributes {
    /// `Content-Type`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// `Content-Encoding`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<String>,
    /// `Content-Language`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_language: Option<String>,
    /// `Content-Disposition`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_disposition: Option<String>,
    /// `Cache-Control`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<String>,
    /// User metadata, without the store's header prefix.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub user: BTreeMap<String, String>,
}

impl Attributes {
    /// Whether nothing was captured.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The stored form; empty when nothing was captured.
    pub fn encode(&self) -> Vec<u8> {
        if self.is_empty() {
            return Vec::new();
        }
        serde_json::to_vec(self).expect("a map of strings is valid JSON")
    }

    /// Reads the stored form. `None` when it is not one.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() {
            return Some(Self::default());
        }
        serde_json::from_slice(bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_form_reads_back() {
        let attributes = Attributes {
            content_type: Some("text/plain".into()),
            user: BTreeMap::from([("owner".into(), "a \"b\"".into())]),
            ..Attributes::default()
        };
        assert_eq!(Attributes::decode(&attributes.encode()), Some(attributes));
        assert_eq!(Attributes::default().encode(), b"");
        assert_eq!(Attributes::decode(b""), Some(Attributes::default()));
        assert_eq!(Attributes::decode(b"{"), None);
    }
}
