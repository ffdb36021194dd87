//! Object keys: byte strings, kept exactly.
//!
//! A key is never normalised, decoded or split. What a person sees is an
//! escaped form; what a store gets is the bytes.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Bound;

use bytes::Bytes;

/// The longest key that S3-compatible stores accept, in bytes.
pub const MAX_KEY_BYTES: usize = 1024;

/// The key of one object: any byte string of 1 to [`MAX_KEY_BYTES`] bytes in practice.
///
/// Keys order by their bytes, which is the order S3-compatible stores list in.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ObjectKey(Bytes);

impl ObjectKey {
    /// Wraps `bytes` unchanged.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }

    /// The key's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The key as text, where it is UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// The key's bytes, without a copy.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }
}

impl From<&str> for ObjectKey {
    fn from(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<&[u8]> for ObjectKey {
    fn from(bytes: &[u8]) -> Self {
        Self(Bytes::copy_from_slice(bytes))
    }
}

impl Borrow<[u8]> for ObjectKey {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for ObjectKey {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", display_key(&self.0))
    }
}

impl fmt::Debug for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// Shows a key on one line: UTF-8 as it is, control characters and stray bytes as `\xNN`.
pub fn display_key(key: &[u8]) -> impl fmt::Display + '_ {
    DisplayKey(key)
}

struct DisplayKey<'a>(&'a [u8]);

impl fmt::Display for DisplayKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                if c.is_control() {
                    let mut utf8 = [0; 4];
                    for byte in c.encode_utf8(&mut utf8).bytes() {
                        write!(f, "\\x{byte:02x}")?;
                    }
                } else {
                    write!(f, "{c}")?;
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// A contiguous range of keys: `start <= key < end`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct KeyRange {
    start: Bytes,
    end: Option<Bytes>,
}

impl KeyRange {
    /// Every key.
    pub fn all() -> Self {
        Self::default()
    }

    /// The keys from `start` on, up to but without `end` where there is one.
    pub fn new(start: impl Into<Bytes>, end: Option<Bytes>) -> Self {
        Self { start: start.into(), end }
    }

    /// The keys that begin with `prefix`.
    pub fn prefix(prefix: &[u8]) -> Self {
        Self { start: Bytes::copy_from_slice(prefix), end: after_prefix(prefix) }
    }

    /// One key alone.
    pub fn key(key: &[u8]) -> Self {
        let mut end = key.to_vec();
        end.push(0);
        Self { start: Bytes::copy_from_slice(key), end: Some(end.into()) }
    }

    /// The first key that may lie in the range.
    pub fn start(&self) -> &[u8] {
        &self.start
    }

    /// The first key after the range; `None` when it has no end.
    pub fn end(&self) -> Option<&[u8]> {
        self.end.as_deref()
    }

    /// Whether `key` lies in the range.
    pub fn contains(&self, key: &[u8]) -> bool {
        key >= self.start() && !self.ends_before(key)
    }

    /// Whether the range ends at or before `key`.
    pub fn ends_before(&self, key: &[u8]) -> bool {
        self.end().is_some_and(|end| end <= key)
    }

    /// Whether any key between `low` and `high`, both included, lies in the range.
    pub fn overlaps(&self, low: &[u8], high: &[u8]) -> bool {
        high >= self.start() && !self.ends_before(low)
    }

    /// The range as standard bounds.
    pub fn bounds(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        (Bound::Included(self.start()), self.end().map_or(Bound::Unbounded, Bound::Excluded))
    }
}

/// The smallest byte string that is greater than every key that begins with `prefix`.
fn after_prefix(prefix: &[u8]) -> Option<Bytes> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_range_holds_exactly_the_keys_with_that_prefix() {
        let range = KeyRange::prefix(b"a/\xff");
        assert!(range.contains(b"a/\xff") && range.contains(b"a/\xff\xff\xff"));
        assert!(!range.contains(b"a0") && !range.contains(b"a/"));
        assert_eq!(KeyRange::prefix(b"\xff\xff").end(), None);
        assert_eq!(KeyRange::prefix(b""), KeyRange::all());
    }

    #[test]
    fn a_single_key_range_holds_that_key_alone() {
        let range = KeyRange::key(b"a");
        assert!(range.contains(b"a") && !range.contains(b"a\0") && !range.contains(b""));
    }

    #[test]
    fn control_characters_and_stray_bytes_are_escaped_for_people() {
        assert_eq!(ObjectKey::from(&b"a\n\xffz"[..]).to_string(), "a\\x0a\\xffz");
        assert_eq!(ObjectKey::from("日/ +%").to_string(), "日/ +%");
    }
}
