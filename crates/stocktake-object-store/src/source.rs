//! Objects of a bucket, read by exact version.
//!
//! The condition goes with the request, and the answer is compared with the
//! entry again: a store that ignores a condition can't pass another version off.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use object_store::path::Path;
use object_store::{Error as StoreError, GetOptions, GetRange, GetResult, ObjectMeta, ObjectStore};
use stocktake_core::{ETag, Entry, Error, Location, ObjectKey, ObjectRead, Result, Source, Timestamp, Wanted};

use crate::attributes;
use crate::error::{Meaning, failure};
use crate::key::Prefix;

/// A bucket, or a folder of one, as a [`Source`].
///
/// One call is one GET; `object_store` repeats it, or its rest, within the limits
/// the store was built with. Memory is what the transport holds.
#[derive(Clone)]
pub struct ObjectStoreSource {
    store: Arc<dyn ObjectStore>,
    location: Location,
    prefix: Prefix,
    etag_case: ETagCase,
}

/// How a store writes the hex digits of its ETags. Conditions are compared as text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ETagCase {
    /// As the entries do that are asked for.
    #[default]
    AsListed,
    /// In lower case, as Amazon S3 and most of those that imitate it.
    Lower,
    /// In upper case, as Alibaba OSS.
    Upper,
}

impl ObjectStoreSource {
    /// The whole of `store`. The location is for messages and records.
    pub fn new(store: Arc<dyn ObjectStore>, location: Location) -> Self {
        Self { store, location, prefix: Prefix::default(), etag_case: ETagCase::default() }
    }

    /// The same store, known to write its ETags like this. An inventory may come from
    /// elsewhere and write the same tags in the other case.
    #[must_use]
    pub fn with_etag_case(mut self, case: ETagCase) -> Self {
        self.etag_case = case;
        self
    }

    /// The same store, where `prefix/` stands before every key.
    #[must_use]
    pub fn with_prefix(mut self, prefix: &str) -> Self {
        self.prefix = Prefix::new(prefix);
        self
    }

    fn path_of(&self, key: &ObjectKey) -> Result<Path> {
        let unsupported =
            |problem| Error::KeyUnsupported { key: key.clone(), location: self.location.clone(), problem };
        self.prefix.path_of(key.as_bytes()).map_err(unsupported)
    }

    fn options(&self, wanted: Wanted<'_>, range: Option<&Range<u64>>) -> GetOptions {
        let mut options = GetOptions { range: range.cloned().map(GetRange::Bounded), ..GetOptions::default() };
        if let Wanted::Exactly(entry) = wanted {
            options.version.clone_from(&entry.version);
            if entry.version.is_none() {
                options.if_match = entry.etag.as_ref().map(|etag| quoted(etag, self.etag_case));
            }
        }
        options
    }

    fn read_failed(&self, wanted: Wanted<'_>, error: StoreError) -> Error {
        let (key, location) = (wanted.key().clone(), self.location.clone());
        match Meaning::of(&error) {
            Meaning::NotFound => Error::ObjectNotFound { key, location },
            Meaning::Archived => Error::ObjectArchived { key, location },
            Meaning::Precondition => Error::ObjectChanged { key, location, expected: expected(wanted) },
            _ => failure(&location, format!("read {key}"), error),
        }
    }
}

#[async_trait]
impl Source for ObjectStoreSource {
    async fn read(&self, wanted: Wanted<'_>, range: Option<Range<u64>>) -> Result<ObjectRead> {
        let key = wanted.key();
        let path = self.path_of(key)?;
        if range.as_ref().is_some_and(Range::is_empty) {
            return Err(Error::invalid(format!("an empty range of {key}")));
        }
        let answer = self.store.get_opts(&path, self.options(wanted, range.as_ref())).await;
        let GetResult { payload, meta, range: given, attributes: with, .. } =
            answer.map_err(|error| self.read_failed(wanted, error))?;
        if let Wanted::Exactly(entry) = wanted
            && !is_of(&meta, entry)
        {
            let (key, location) = (key.clone(), self.location.clone());
            return Err(Error::ObjectChanged { key, location, expected: expected(wanted) });
        }
        if range.as_ref().is_some_and(|range| *range != given) {
            return Err(Error::invalid(format!("{range:?} is not within {key}, of {} bytes", meta.size)));
        }
        let read = GetResult { payload, meta, range: given, attributes: with, extensions: Default::default() };
        Ok(self.opened(wanted, read))
    }
}

impl ObjectStoreSource {
    fn opened(&self, wanted: Wanted<'_>, answer: GetResult) -> ObjectRead {
        let (key, location) = (wanted.key().clone(), self.location.clone());
        let meta = answer.meta.clone();
        ObjectRead {
            size: meta.size,
            last_modified: Timestamp::from_millis(meta.last_modified.timestamp_millis()),
            etag: meta.e_tag.as_deref().map(ETag::new),
            version: meta.version,
            class: String::new(),
            attributes: attributes::from_store(&answer.attributes),
            range: answer.range.clone(),
            body: Body { key, location, expected: expected(wanted), left: answer.range.end - answer.range.start }
                .over(answer.into_stream()),
        }
    }
}

/// A tag as it stands in a condition. A weak one brings its own quotes.
fn quoted(etag: &ETag, case: ETagCase) -> String {
    // Only tags that are hex digits have a case that does not matter.
    let is_hex = !etag.code().is_text();
    let text = match case {
        ETagCase::Lower if is_hex => etag.as_str().to_ascii_lowercase(),
        ETagCase::Upper if is_hex => etag.as_str().to_ascii_uppercase(),
        _ => etag.to_string(),
    };
    if text.ends_with('"') { text } else { format!("\"{text}\"") }
}

/// Whether the answer is the version that `entry` describes.
fn is_of(meta: &ObjectMeta, entry: &Entry) -> bool {
    let found = meta.e_tag.as_deref().map(ETag::new);
    let same_version = match (&entry.version, &entry.etag) {
        // The request asked for the version by its id.
        (Some(_), None) => true,
        (Some(_), Some(_)) if found.is_none() => true,
        (_, Some(etag)) => found.is_some_and(|found| found.code() == etag.code()),
        // An answer tells the time in seconds, a listing in milliseconds.
        (None, None) => meta.last_modified.timestamp() == entry.last_modified.as_millis().div_euclid(1000),
    };
    same_version && meta.size == entry.size
}

/// How the wanted version is named, for messages.
fn expected(wanted: Wanted<'_>) -> String {
    match wanted {
        Wanted::Current(_) => "the one that was opened".to_owned(),
        Wanted::Exactly(entry) => {
            let tag = entry.etag.as_ref().map(ETag::to_string);
            tag.or_else(|| entry.version.clone())
                .unwrap_or_else(|| format!("{} bytes of {}", entry.size, entry.last_modified))
        }
    }
}

/// The rest of a body: how much is to come, and whose it is.
struct Body {
    key: ObjectKey,
    location: Location,
    expected: String,
    left: u64,
}

impl Body {
    /// The bytes of `stream`, which ends in an error unless it yields exactly what is left.
    fn over(self, stream: BoxStream<'static, Result<Bytes, StoreError>>) -> BoxStream<'static, Result<Bytes>> {
        stream::unfold(Some((self, stream)), |state| async {
            let (mut body, mut stream) = state?;
            match stream.next().await {
                None if body.left == 0 => None,
                None => Some((Err(body.damaged(format!("{} bytes are missing", body.left))), None)),
                Some(Err(error)) => Some((Err(body.failed(error)), None)),
                Some(Ok(bytes)) => match body.left.checked_sub(bytes.len() as u64) {
                    None => Some((Err(body.damaged("it is longer than announced".to_owned())), None)),
                    Some(left) => {
                        body.left = left;
                        Some((Ok(bytes), Some((body, stream))))
                    }
                },
            }
        })
        .boxed()
    }

    fn damaged(&self, problem: String) -> Error {
        Error::ObjectDamaged { key: self.key.clone(), location: self.location.clone(), problem }
    }

    fn failed(&self, error: StoreError) -> Error {
        let (key, location) = (self.key.clone(), self.location.clone());
        match Meaning::of(&error) {
            Meaning::NotFound => Error::ObjectNotFound { key, location },
            Meaning::Precondition => Error::ObjectChanged { key, location, expected: self.expected.clone() },
            _ => failure(&location, format!("read {key}"), error),
        }
    }
}

impl fmt::Display for ObjectStoreSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.location.fmt(f)
    }
}

impl fmt::Debug for ObjectStoreSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectStoreSource").field("location", &self.location).field("prefix", &self.prefix).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::TryStreamExt;

    async fn read(announced: u64, pieces: &[&'static str]) -> Result<Vec<Bytes>> {
        let (key, location) = (ObjectKey::from("a"), Location::new("memory:"));
        let body = Body { key, location, expected: String::new(), left: announced };
        let pieces: Vec<_> = pieces.iter().map(|piece| Ok(Bytes::from(*piece))).collect();
        body.over(stream::iter(pieces).boxed()).try_collect().await
    }

    #[tokio::test]
    async fn a_body_of_another_length_than_announced_ends_in_an_error() {
        assert_eq!(read(4, &["ab", "cd"]).await.unwrap().concat(), b"abcd");
        assert!(matches!(read(5, &["ab", "cd"]).await, Err(Error::ObjectDamaged { .. })));
        assert!(matches!(read(3, &["ab", "cd"]).await, Err(Error::ObjectDamaged { .. })));
    }

    #[test]
    fn tags_in_conditions_are_quoted_once() {
        let shown = |tag: &str, case| quoted(&ETag::new(tag), case);
        assert_eq!(shown("\"abc\"", ETagCase::AsListed), "\"abc\"");
        assert_eq!(shown("W/\"abc\"", ETagCase::Upper), "W/\"abc\"");
        assert_eq!(shown("*", ETagCase::AsListed), "\"*\"");
        let (lower, upper) = ("\"0cc175b9c0f1b6a831c399e269772661-2\"", "\"0CC175B9C0F1B6A831C399E269772661-2\"");
        assert_eq!((shown(upper, ETagCase::Lower), shown(lower, ETagCase::Upper)), (lower.into(), upper.into()));
        assert_eq!(shown(upper, ETagCase::AsListed), upper);
    }
}
