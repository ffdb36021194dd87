//! A bucket of some cloud on the command line, of which only the name is needed: nothing is opened.

use std::str::FromStr;

use stocktake::inventory::BucketPlace;

/// The clouds whose documents are known, by the schemes of their URLs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cloud {
    S3,
    Oss,
    Obs,
    Cos,
}

impl Cloud {
    pub(super) fn scheme(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Oss => "oss",
            Self::Obs => "obs",
            Self::Cos => "cos",
        }
    }
}

/// `s3://bucket/prefix`, and the same with `oss`, `obs` or `cos`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BucketArg {
    pub(super) cloud: Cloud,
    pub(super) bucket: String,
    /// What keys begin with: empty, or a folder with a slash at its end, as everywhere in this program.
    pub(super) prefix: String,
}

impl BucketArg {
    pub(super) fn place(&self) -> BucketPlace {
        BucketPlace::new(&*self.bucket, &*self.prefix)
    }
}

impl FromStr for BucketArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let problem = || format!("{text:?} is not a bucket such as s3://bucket/prefix, or one of oss, obs or cos");
        let (scheme, rest) = text.split_once("://").ok_or_else(problem)?;
        let cloud = [Cloud::S3, Cloud::Oss, Cloud::Obs, Cloud::Cos].into_iter().find(|cloud| cloud.scheme() == scheme);
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.trim_end_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        match cloud {
            Some(cloud) if !bucket.is_empty() => Ok(Self { cloud, bucket: bucket.to_owned(), prefix }),
            _ => Err(problem()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_a_folder() {
        let bucket = |text: &str| text.parse::<BucketArg>().map(|arg| (arg.bucket, arg.prefix));
        assert_eq!(bucket("s3://b"), Ok(("b".into(), String::new())));
        assert_eq!(bucket("oss://b/x/y"), Ok(("b".into(), "x/y/".into())));
        assert_eq!(bucket("obs://b/x/"), Ok(("b".into(), "x/".into())));
        for text in ["", "/srv/photos", "gs://b", "s3://", "file:///x"] {
            assert!(bucket(text).is_err(), "{text}");
        }
    }
}
