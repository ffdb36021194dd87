//! What the fields of a row mean, by cloud.
//!
//! Where a cloud's documentation does not say how a value is written, whatever is
//! sure is read and the rest refused: a guess could pass for a change.

use std::sync::{Arc, OnceLock};

use stocktake_core::{ETagCode, EntryFlags, InventoryVersions};

use crate::fault::{Fault, Result};
use crate::manifest::{Dialect, cos};
use crate::text::{decode_key, parse_bool, parse_md5_base64, parse_time, parse_undocumented_time};

/// What a decoder must know beside the file's bytes.
#[derive(Clone, Debug)]
pub(crate) struct RowRules {
    pub(crate) dialect: Dialect,
    /// The bucket that every row must name, where rows name one. Shared by all
    /// files of an inventory: what the manifest does not say, the first row does.
    bucket: Arc<OnceLock<Box<[u8]>>>,
    /// Which versions are read.
    versions: InventoryVersions,
}

impl RowRules {
    /// Rules for rows of this bucket; an empty name is that of any one bucket.
    pub(crate) fn new(dialect: Dialect, bucket: &str) -> Self {
        let known = OnceLock::new();
        if !bucket.is_empty() {
            known.get_or_init(|| bucket.as_bytes().into());
        }
        Self { dialect, bucket: Arc::new(known), versions: InventoryVersions::Current }
    }

    /// The same rules for these versions. The bucket stays that of all files.
    pub(crate) fn with_versions(self, versions: InventoryVersions) -> Self {
        Self { versions, ..self }
    }

    /// Sees that a row is of the bucket that all are of.
    pub(crate) fn check_bucket(&self, found: &[u8]) -> Result<()> {
        let bucket = self.bucket.get_or_init(|| found.into());
        let same = **bucket == *found || (self.dialect == Dialect::Cos && cos::same_bucket(bucket, found));
        if same && !found.is_empty() {
            return Ok(());
        }
        let [found, expected] = [found, bucket].map(|name| String::from_utf8_lossy(name).into_owned());
        Err(Fault::corrupt(format!("it is of the bucket {found:?}, not of {expected:?}")))
    }

    /// Appends the key in a field of a CSV file. The clouds that follow S3 encode
    /// it; the two others write it as it is, and quote what would part fields.
    pub(crate) fn take_key(&self, text: &[u8], out: &mut Vec<u8>) -> Result<()> {
        if self.dialect.has_header() {
            out.extend_from_slice(self.plain_key(text)?);
            return Ok(());
        }
        decode_key(text, out)
    }

    /// The key in a field where none is encoded. On Azure its container stands before it.
    pub(crate) fn plain_key<'a>(&self, text: &'a [u8]) -> Result<&'a [u8]> {
        if self.dialect != Dialect::Azure {
            return Ok(text);
        }
        let (container, key) = split_container(text).ok_or_else(|| Fault::corrupt("its Name has no container"))?;
        self.check_bucket(container)?;
        Ok(key)
    }

    /// Milliseconds since 1970 of a time in text.
    pub(crate) fn time(&self, text: &[u8]) -> Option<i64> {
        match self.dialect {
            Dialect::Obs | Dialect::Cos | Dialect::Gcs => parse_undocumented_time(text),
            Dialect::S3 | Dialect::Oss | Dialect::Azure => parse_time(text),
        }
    }

    /// A truth in text; `None` where nothing is written. S3 and OSS always write one.
    pub(crate) fn truth(&self, name: &str, text: &[u8]) -> Result<Option<bool>> {
        let may_be_empty = !matches!(self.dialect, Dialect::S3 | Dialect::Oss);
        if may_be_empty && text.is_empty() {
            return Ok(None);
        }
        parse_bool(text).map(Some).ok_or_else(|| impossible(name, text))
    }

    /// Whether an ETag without a dash is the MD5 of the content, judged from the encryption status.
    ///
    /// S3 names the algorithm: none, or keys of the store, leave the ETag an MD5. OSS
    /// says `true` or `false` only, and `true` may mean a customer's key. What the
    /// others say is not documented.
    pub(crate) fn etag_is_md5(&self, status: &[u8]) -> bool {
        match self.dialect {
            Dialect::S3 => status.eq_ignore_ascii_case(b"NOT-SSE") || status.eq_ignore_ascii_case(b"SSE-S3"),
            Dialect::Oss => status.eq_ignore_ascii_case(b"false"),
            Dialect::Obs | Dialect::Cos | Dialect::Gcs | Dialect::Azure => false,
        }
    }

    /// The version id that an entry gets: on S3 an empty one is that of the null
    /// version, which is asked for by the word `null` (AWS, "Converting empty version
    /// ID strings in Amazon S3 Inventory reports to null strings"); on OSS it says
    /// that the bucket never had versions.
    pub(crate) fn version_id<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        match self.dialect {
            Dialect::S3 if text.is_empty() => b"null",
            _ => text,
        }
    }

    /// What becomes of a row: whether it is of an object, and of one that is read.
    pub(crate) fn standing(&self, claims: &Claims) -> Standing {
        let Claims { latest, delete_marker, deleted, past, folder, versioned } = *claims;
        // Azure writes nothing for a blob from before versions, and for one that is no longer current.
        let latest = latest.unwrap_or(!(self.dialect == Dialect::Azure && versioned)) && !past;
        // What is deleted there can only be brought back, and snapshots are asked for by no version id.
        let lost = deleted || (past && self.dialect == Dialect::Azure);
        if folder {
            Standing::Folder
        } else if latest && !delete_marker && !lost {
            Standing::Taken(EntryFlags::NONE)
        } else if lost || self.versions == InventoryVersions::Current {
            Standing::LeftOut
        } else {
            let marker = if delete_marker { EntryFlags::DELETE_MARKER } else { EntryFlags::NONE };
            Standing::Taken(if latest { marker } else { marker.with(EntryFlags::NONCURRENT) })
        }
    }
}

/// What a row says of its standing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Claims {
    /// Whether it is the latest version, if that is said.
    pub(crate) latest: Option<bool>,
    pub(crate) delete_marker: bool,
    pub(crate) deleted: bool,
    /// Whether it is a snapshot, or has a time at which it ceased to be current.
    pub(crate) past: bool,
    pub(crate) folder: bool,
    /// Whether it has a version id in a list that says which versions are the latest.
    pub(crate) versioned: bool,
}

/// What becomes of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is an entry, with these flags: of a version, or of a delete marker.
    Taken(EntryFlags),
    /// It is an object that was there, and not read.
    LeftOut,
    /// A folder of an account with a hierarchical namespace, which is no object.
    Folder,
}

/// The parts of a blob's name in `container/name`.
pub(crate) fn split_container(name: &[u8]) -> Option<(&[u8], &[u8])> {
    let slash = memchr::memchr(b'/', name)?;
    Some((&name[..slash], &name[slash + 1..]))
}

/// Whether a tag is the MD5 that stands beside it in Base64. On GCS and Azure a tag is
/// some other text, so that this is rare.
pub(crate) fn etag_is(etag: &[u8], md5: &[u8]) -> bool {
    let Some(digest) = ETagCode::packed(etag).and_then(|code| code.md5_shaped()) else { return false };
    parse_md5_base64(md5) == Some(digest)
}

/// A field that no value can be read from.
pub(crate) fn impossible(name: &str, text: &[u8]) -> Fault {
    let shown = String::from_utf8_lossy(&text[..text.len().min(80)]).into_owned();
    Fault::corrupt(format!("its {name} is {shown:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_row_names_the_bucket_of_all_files() {
        let rules = RowRules::new(Dialect::Gcs, "");
        let elsewhere = rules.clone();
        assert_eq!(rules.check_bucket(b"photos"), Ok(()));
        assert_eq!(elsewhere.check_bucket(b"photos"), Ok(()));
        assert!(elsewhere.check_bucket(b"others").is_err());
        assert!(RowRules::new(Dialect::Gcs, "").check_bucket(b"").is_err());
    }

    #[test]
    fn containers_are_no_part_of_keys() {
        let rules = RowRules::new(Dialect::Azure, "photos");
        assert_eq!(rules.plain_key(b"photos/a/b+%20"), Ok(&b"a/b+%20"[..]));
        assert!(rules.plain_key(b"photos").is_err());
        assert!(rules.plain_key(b"others/a").is_err());
    }

    #[test]
    fn a_tag_is_an_md5_only_if_it_is_that_one() {
        let md5 = b"DMF1ucDxtqgxw5niaXcmYQ==";
        assert!(etag_is(b"0cc175b9c0f1b6a831c399e269772661", md5));
        assert!(!etag_is(b"0cc175b9c0f1b6a831c399e269772662", md5));
        assert!(!etag_is(b"0cc175b9c0f1b6a831c399e269772661-2", md5));
        assert!(!etag_is(b"CJj4i9+t9fcCEAE=", md5) && !etag_is(b"0cc175b9c0f1b6a831c399e269772661", b""));
    }
}
