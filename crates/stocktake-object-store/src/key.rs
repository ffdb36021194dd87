//! Keys and prefixes as paths of `object_store`, exactly or not at all.
//!
//! `Path::from` encodes, and `Path::parse` drops a slash at either end: each
//! names another object than the one that was meant. So a key is parsed, and the
//! result must be the key again, byte for byte.

use object_store::path::Path;

/// What stands before every key: nothing, or folders that end in `/`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Prefix(String);

impl Prefix {
    /// The folder `text`, with or without slashes at its ends.
    pub(crate) fn new(text: &str) -> Self {
        let text = text.trim_matches('/');
        Self(if text.is_empty() { String::new() } else { format!("{text}/") })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The path of `key` below the prefix, or why it has none.
    pub(crate) fn path_of(&self, key: &[u8]) -> Result<Path, String> {
        let key = std::str::from_utf8(key).map_err(|_| "it is not UTF-8".to_owned())?;
        exact_path(&format!("{}{key}", self.0))
    }

    /// The part of a path that is below the prefix.
    pub(crate) fn strip<'a>(&self, path: &'a Path) -> Option<&'a str> {
        path.as_ref().strip_prefix(&self.0)
    }
}

/// The path that is `text`, byte for byte.
pub(crate) fn exact_path(text: &str) -> Result<Path, String> {
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    let path = Path::parse(text).map_err(|error| error.to_string())?;
    if path.as_ref() == text { Ok(path) } else { Err("it begins or ends with a slash".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_itself_or_nothing() {
        let prefix = Prefix::new("/in/here/");
        for key in ["a", "a b/ü%20+", "a%2Fb", "x\\y", "#?*", "...", "~"] {
            assert_eq!(prefix.path_of(key.as_bytes()).unwrap().as_ref(), format!("in/here/{key}"));
        }
        for key in [&b""[..], b"/a", b"a/", b"/", b"a//b", b".", b"a/../b", b"a\n", b"a\x7f", b"\xff"] {
            assert!(prefix.path_of(key).is_err(), "{key:?}");
            assert!(Prefix::default().path_of(key).is_err(), "{key:?}");
        }
    }
}
