//! Where a bucket is, as people write it.

use std::fmt;

use stocktake_core::{Error, Location, Result};

/// A protocol that a bucket speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Amazon S3 and what speaks its protocol: `s3://`.
    S3,
    /// Alibaba Cloud OSS, by its S3-compatible endpoint: `oss://`.
    Oss,
}

impl Scheme {
    const ALL: [Self; 2] = [Self::S3, Self::Oss];

    /// The word before `://`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Oss => "oss",
        }
    }
}

/// A bucket, or a folder of one: `s3://bucket/prefix`.
///
/// The prefix is plain text, as in the tools of the clouds: nothing in it is
/// percent-decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreUrl {
    scheme: Scheme,
    bucket: String,
    // INVARIANT: no slash at either end, no empty segment.
    prefix: String,
}

impl StoreUrl {
    /// Reads a location. `None` when its scheme is not one of [`Scheme`].
    ///
    /// # Errors
    /// [`InvalidInput`](stocktake_core::Error::InvalidInput) when the bucket is
    /// missing, or the prefix has a segment that is empty, `.` or `..`.
    pub fn parse(text: &str) -> Result<Option<Self>> {
        let Some((scheme, rest)) = text.split_once("://") else { return Ok(None) };
        let Some(scheme) = Scheme::ALL.into_iter().find(|known| known.as_str() == scheme) else { return Ok(None) };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        if bucket.is_empty() || !bucket.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) {
            return Err(Error::invalid(format!("{text} does not name a bucket")));
        }
        if !prefix.is_empty() && prefix.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
            return Err(Error::invalid(format!("the prefix of {text} has a segment that is empty, . or ..")));
        }
        Ok(Some(Self { scheme, bucket: bucket.to_owned(), prefix: prefix.to_owned() }))
    }

    /// Which protocol.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The bucket.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The folder in the bucket, without a slash at either end; empty for all of it.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The same bucket, whole.
    #[must_use]
    pub fn without_prefix(&self) -> Self {
        Self { prefix: String::new(), ..self.clone() }
    }

    /// The text, for messages and records.
    pub fn location(&self) -> Location {
        Location::new(self.to_string())
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, bucket, prefix } = self;
        write!(f, "{}://{bucket}", scheme.as_str())?;
        if prefix.is_empty() { Ok(()) } else { write!(f, "/{prefix}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_bucket_and_prefix_as_they_stand() {
        let url = StoreUrl::parse("s3://my-bucket/a b/c%20d/").unwrap().unwrap();
        assert_eq!((url.scheme(), url.bucket(), url.prefix()), (Scheme::S3, "my-bucket", "a b/c%20d"));
        assert_eq!(url.to_string(), "s3://my-bucket/a b/c%20d");
        assert_eq!(url.without_prefix().to_string(), "s3://my-bucket");
        assert_eq!(StoreUrl::parse("oss://b").unwrap().unwrap().to_string(), "oss://b");
        assert_eq!(StoreUrl::parse("oss://b/").unwrap().unwrap().prefix(), "");
    }

    #[test]
    fn other_locations_are_for_others_to_open() {
        for text in ["/a/b", "file:///a", "s3:bucket", "http://host/bucket", ""] {
            assert_eq!(StoreUrl::parse(text).unwrap(), None, "{text}");
        }
    }

    #[test]
    fn a_prefix_that_names_no_folder_is_refused() {
        for text in
            ["s3://", "s3:///a", "s3://b//a", "s3://b/a//", "s3://b/../a", "s3://b/.", "s3://b c/a", "s3://u:p@b/a"]
        {
            assert!(StoreUrl::parse(text).is_err(), "{text}");
        }
    }
}
