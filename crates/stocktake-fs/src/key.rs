//! Keys as paths below a root.
//!
//! A key names a file only if the file system gives back the same bytes. What
//! it would collapse, resolve or cut is refused here, before any call to it.

/// The longest name of a file or folder, in bytes, on the file systems in use.
const MAX_SEGMENT_BYTES: usize = 255;

/// Names of files that are being written begin and end like this.
const TEMPORARY: (&str, &str) = (".stocktake-", ".tmp");

/// A key that a folder can hold: the folders it goes through, and the file's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyPath<'a> {
    // INVARIANT: every segment names one entry of a folder, exactly.
    folders: &'a [u8],
    name: &'a [u8],
}

impl<'a> KeyPath<'a> {
    /// Splits a key, or says why a folder can't hold it.
    pub(crate) fn parse(key: &'a [u8]) -> Result<Self, &'static str> {
        key.split(|byte| *byte == b'/').try_for_each(check_segment)?;
        let (folders, name) = match key.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => (&key[..slash], &key[slash + 1..]),
            None => (&key[..0], key),
        };
        Ok(Self { folders, name })
    }

    /// The folders from the root down.
    pub(crate) fn folders(&self) -> impl Iterator<Item = &'a [u8]> {
        self.folders.split(|byte| *byte == b'/').filter(|name| !name.is_empty())
    }

    /// The file's name.
    pub(crate) fn name(&self) -> &'a [u8] {
        self.name
    }
}

/// Refuses what is not the name of one entry.
pub(crate) fn check_segment(segment: &[u8]) -> Result<(), &'static str> {
    match segment {
        b"" => Err("a folder has no entry with an empty name"),
        b"." | b".." => Err("the segment names a folder, not an entry of one"),
        _ if segment.contains(&0) => Err("a name can't hold a NUL"),
        _ if segment.len() > MAX_SEGMENT_BYTES => Err("a segment is longer than 255 bytes"),
        _ if is_temporary(segment) => Err("the name is kept for files being written"),
        _ => Ok(()),
    }
}

/// The name of a file that is being written.
pub(crate) fn temporary_name(process: u32, number: u64) -> String {
    let (begin, end) = TEMPORARY;
    format!("{begin}{process}-{number}{end}")
}

/// Whether a file of this name is being written, or was when its writer died.
pub(crate) fn is_temporary(name: &[u8]) -> bool {
    let (begin, end) = TEMPORARY;
    name.starts_with(begin.as_bytes()) && name.ends_with(end.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_split_into_folders_and_a_name() {
        let path = KeyPath::parse(b"a/b\xff/c d").unwrap();
        assert_eq!(path.folders().collect::<Vec<_>>(), [&b"a"[..], b"b\xff"]);
        assert_eq!(path.name(), b"c d");
        assert_eq!(KeyPath::parse(b"a").unwrap().folders().count(), 0);
    }

    #[test]
    fn a_key_that_would_not_come_back_is_refused() {
        let long = [b'x'; 256];
        for key in [&b""[..], b"/", b"/a", b"a/", b"a//b", b"a/./b", b"a/../b", b"..", b"a\0", &long] {
            assert!(KeyPath::parse(key).is_err(), "{key:?}");
        }
        for key in [&b"..."[..], b"..a", b"a\\..", b" ", b"\n", &long[1..]] {
            assert!(KeyPath::parse(key).is_ok(), "{key:?}");
        }
    }

    #[test]
    fn the_name_of_a_file_being_written_is_no_key() {
        let name = temporary_name(12, 34);
        assert!(is_temporary(name.as_bytes()));
        assert!(KeyPath::parse(format!("a/{name}/b").as_bytes()).is_err());
    }
}
