//! A change set as the list of objects that S3 Batch Operations works through.
//!
//! The format is that of AWS, "Specifying a manifest" for S3 Batch Operations: CSV
//! with bucket, URL-encoded key and, if wanted, version id, and no header. Every
//! byte of a key but letters, digits and `-._~/` is escaped, so that no field
//! needs quotes.

use std::io::{self, Write};

use percent_encoding::percent_encode;
use stocktake_core::{Change, ChangeClass, Error, Result};

use crate::text::ESCAPED;

/// What a manifest for S3 Batch Operations lists, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchManifestOptions {
    /// The bucket that the objects are in. Entries don't tell it.
    pub bucket: String,
    /// The classes of changes whose objects are listed. Default: those by which there is
    /// something new to read: added, changed, version added and recreated.
    ///
    /// A deleted object is listed as it was; without its version there is nothing to work on.
    pub classes: Vec<ChangeClass>,
    /// Whether version ids are listed. Default: no, so that the operation takes the
    /// version that is current when it runs.
    pub versions: ManifestVersions,
}

/// Whether a manifest names versions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ManifestVersions {
    /// Keys only.
    #[default]
    Omitted,
    /// A version id in every row; a change without one is refused.
    Listed,
}

impl BatchManifestOptions {
    /// New and changed objects of `bucket`, by their keys.
    pub fn new(bucket: impl Into<String>) -> Self {
        let classes = vec![ChangeClass::Added, ChangeClass::Changed, ChangeClass::VersionAdded, ChangeClass::Recreated];
        Self { bucket: bucket.into(), classes, versions: ManifestVersions::default() }
    }

    /// Lists changes of these classes.
    #[must_use]
    pub fn with_classes(self, classes: impl Into<Vec<ChangeClass>>) -> Self {
        Self { classes: classes.into(), ..self }
    }

    /// Lists version ids, or not.
    #[must_use]
    pub fn with_versions(self, versions: ManifestVersions) -> Self {
        Self { versions, ..self }
    }

    /// What a job has to be told of the manifest: the names of its fields.
    pub fn fields(&self) -> &'static [&'static str] {
        match self.versions {
            ManifestVersions::Omitted => &["Bucket", "Key"],
            ManifestVersions::Listed => &["Bucket", "Key", "VersionId"],
        }
    }
}

/// Writes a manifest for S3 Batch Operations, some changes at a time.
///
/// Holds nothing. Blocks while it writes.
pub struct BatchManifestWriter<W: Write> {
    out: W,
    options: BatchManifestOptions,
    rows: u64,
}

impl<W: Write> BatchManifestWriter<W> {
    /// What a job has to be told of the manifest: the name of its format.
    pub const FORMAT: &str = "S3BatchOperations_CSV_20180820";

    /// Begins a manifest; wrap `out` in a `BufWriter` if it is a file.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for a name that is not that of a bucket.
    pub fn new(options: BatchManifestOptions, out: W) -> Result<Self> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        if options.bucket.is_empty() || !options.bucket.bytes().all(legal) {
            return Err(Error::invalid(format!("{:?} is not the name of a bucket", options.bucket)));
        }
        Ok(Self { out, options, rows: 0 })
    }

    /// Appends the objects of those changes whose class was chosen.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for one without a version id where they are to be
    /// listed; [`Error::LocalStorage`] when `out` fails.
    pub fn write(&mut self, changes: &[Change]) -> Result<()> {
        for change in changes.iter().filter(|change| self.options.classes.contains(&change.class)) {
            let entry = change.entry();
            let (bucket, key) = (&self.options.bucket, percent_encode(entry.key.as_bytes(), ESCAPED));
            match (self.options.versions, &entry.version) {
                (ManifestVersions::Omitted, _) => writeln!(self.out, "{bucket},{key}"),
                (ManifestVersions::Listed, Some(version)) => {
                    let version = percent_encode(version.as_bytes(), ESCAPED);
                    writeln!(self.out, "{bucket},{key},{version}")
                }
                (ManifestVersions::Listed, None) => {
                    let problem = format!("object {} has no version id; list without them", entry.key);
                    return Err(Error::invalid(problem));
                }
            }
            .map_err(failed)?;
            self.rows += 1;
        }
        Ok(())
    }

    /// Ends the manifest, and gives back what it was written to, flushed, with the
    /// number of objects in it. A job takes no empty manifest.
    ///
    /// # Errors
    /// [`Error::LocalStorage`] when it can't be flushed.
    pub fn finish(mut self) -> Result<(W, u64)> {
        self.out.flush().map_err(failed)?;
        Ok((self.out, self.rows))
    }
}

fn failed(error: io::Error) -> Error {
    Error::local("write", "the manifest")(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use stocktake_core::{Entry, Timestamp};

    fn changes() -> Vec<Change> {
        let entry = |key: &[u8]| Entry { version: Some("v/1".into()), ..Entry::new(key, 3, Timestamp::default()) };
        let change = |class, key: &[u8]| match class {
            ChangeClass::Deleted => Change { class, current: None, previous: Some(entry(key)) },
            _ => Change { class, current: Some(entry(key)), previous: None },
        };
        vec![
            change(ChangeClass::Added, "2026/a b+é,\".jpg".as_bytes()),
            change(ChangeClass::Changed, b"line\nfeed\xff"),
            change(ChangeClass::MetadataChanged, b"meta"),
            change(ChangeClass::Deleted, b"gone"),
        ]
    }

    fn written(options: BatchManifestOptions) -> (String, u64) {
        let mut writer = BatchManifestWriter::new(options, Vec::new()).unwrap();
        changes().chunks(3).for_each(|some| writer.write(some).unwrap());
        let (bytes, rows) = writer.finish().unwrap();
        (String::from_utf8(bytes).unwrap(), rows)
    }

    #[test]
    fn added_and_changed_objects_are_listed_by_encoded_keys() {
        let expected = "photos,2026/a%20b%2B%C3%A9%2C%22.jpg\nphotos,line%0Afeed%FF\n";
        assert_eq!(written(BatchManifestOptions::new("photos")), (expected.to_owned(), 2));
    }

    #[test]
    fn classes_and_versions_are_chosen() {
        let options = BatchManifestOptions::new("photos")
            .with_classes([ChangeClass::Deleted])
            .with_versions(ManifestVersions::Listed);
        assert_eq!(options.fields(), ["Bucket", "Key", "VersionId"]);
        assert_eq!(written(options), ("photos,gone,v/1\n".to_owned(), 1));
    }

    #[test]
    fn a_row_without_its_version_is_refused() {
        let options = BatchManifestOptions::new("photos").with_versions(ManifestVersions::Listed);
        let mut writer = BatchManifestWriter::new(options, Vec::new()).unwrap();
        let entry = Entry::new("a", 1, Timestamp::default());
        let change = Change { class: ChangeClass::Added, current: Some(entry), previous: None };
        assert_eq!(writer.write(&[change]).unwrap_err().code(), "invalid_input");
    }

    #[test]
    fn what_is_no_bucket_is_refused() {
        for bucket in ["", "a,b", "arn:aws:s3:::photos", "a\nb"] {
            assert!(BatchManifestWriter::new(BatchManifestOptions::new(bucket), Vec::new()).is_err(), "{bucket}");
        }
    }
}
