//! ListObjectsV2 with keys as they are.
//!
//! `object_store` signs the request, and this reads the answer: keys come
//! percent-encoded, so that any byte string survives the XML, and each entry has
//! its storage class. A page that says it is not the last and does not say how to
//! go on ends the listing in an error.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::Error as StoreError;
use object_store::aws::AmazonS3;
use object_store::client::{HttpClient, HttpRequest, HttpRequestBody};
use object_store::path::Path;
use object_store::signer::{SignedUrlOptions, Signer};
use serde::Deserialize;
use stocktake_core::{ETag, ETagCode, Entry, EntryFlags, Error, Location, ObjectKey, Result, Timestamp};

use crate::error::{Meaning, failure};
use crate::listing::ListObjects;

/// How often a page is asked for again.
const RETRIES: u32 = 3;
/// How long to wait before the first repetition; twice as long before each further one.
const RETRY_PAUSE: Duration = Duration::from_millis(200);
/// How long a signed request may take to arrive.
const SIGNATURE_AGE: Duration = Duration::from_secs(900);

/// Lists a bucket that speaks the protocol of Amazon S3.
#[derive(Clone)]
pub(crate) struct S3List {
    store: Arc<AmazonS3>,
    http: HttpClient,
    location: Location,
}

impl S3List {
    pub(crate) fn new(store: Arc<AmazonS3>, http: HttpClient, location: Location) -> Self {
        Self { store, http, location }
    }

    /// One page, asked for again while the store is in passing trouble.
    async fn page(&self, prefix: &str, token: Option<&str>) -> Result<Page> {
        let mut attempt = 0;
        loop {
            match self.page_once(prefix, token).await {
                Err(error) if attempt < RETRIES && Meaning::of(&error) == Meaning::Passing => {
                    tokio::time::sleep(RETRY_PAUSE * 2_u32.pow(attempt)).await;
                    attempt += 1;
                }
                outcome => return outcome.map_err(|error| failure(&self.location, "list", error)),
            }
        }
    }

    async fn page_once(&self, prefix: &str, token: Option<&str>) -> Result<Page, StoreError> {
        let mut query = vec![("list-type", "2"), ("encoding-type", "url"), ("prefix", prefix)];
        query.extend(token.map(|token| ("continuation-token", token)));
        let options = SignedUrlOptions::default().with_query(query);
        let mut get = HttpRequest::new(HttpRequestBody::empty());
        let url = self.store.signed_url_opts(get.method().clone(), &Path::ROOT, SIGNATURE_AGE, &options).await?;
        *get.uri_mut() = url.as_str().parse().map_err(generic)?;
        let (head, body) = self.http.execute(get).await.map_err(generic)?.into_parts();
        let body = body.bytes().await.map_err(generic)?;
        let text = String::from_utf8_lossy(&body);
        if !head.status.is_success() {
            // Written as `object_store` does, for the one place that reads it.
            return Err(generic(format!("status code: {}: {text}", head.status)));
        }
        quick_xml::de::from_str(&text).map_err(generic)
    }
}

impl ListObjects for S3List {
    fn list(&self, prefix: &str) -> BoxStream<'static, Result<Entry>> {
        let first = Some((self.clone(), prefix.to_owned(), None::<String>));
        let pages = stream::try_unfold(first, |state| async {
            let Some((list, prefix, token)) = state else { return Ok(None) };
            let mut page = list.page(&prefix, token.as_deref()).await?;
            let next = page.next_token().map_err(|problem| list.unreadable(problem))?;
            let entries = page.entries().map_err(|problem| list.unreadable(problem))?;
            let state = next.map(|token| (list, prefix, Some(token)));
            Ok(Some((stream::iter(entries.into_iter().map(Ok)), state)))
        });
        pages.try_flatten().boxed()
    }

    fn fields(&self) -> &'static [&'static str] {
        &["Key", "Size", "LastModifiedDate", "ETag", "StorageClass"]
    }
}

impl S3List {
    fn unreadable(&self, problem: String) -> Error {
        Error::Rejected { location: self.location.clone(), action: "list".into(), source: problem.into() }
    }
}

fn generic(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::Generic { store: "S3", source: error.into() }
}

/// An answer to ListObjectsV2.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    is_truncated: bool,
    next_continuation_token: Option<String>,
    encoding_type: Option<String>,
    #[serde(default)]
    contents: Vec<Object>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Object {
    key: String,
    size: u64,
    last_modified: String,
    #[serde(rename = "ETag")]
    e_tag: Option<String>,
    storage_class: Option<String>,
}

impl Page {
    /// How to ask for the next page; `None` after the last.
    fn next_token(&mut self) -> Result<Option<String>, String> {
        match self.next_continuation_token.take() {
            Some(token) if self.is_truncated && !token.is_empty() => Ok(Some(token)),
            _ if self.is_truncated => Err("a page is not the last and names no next one".to_owned()),
            _ => Ok(None),
        }
    }

    fn entries(self) -> Result<Vec<Entry>, String> {
        let encoded = self.encoding_type.as_deref() == Some("url");
        self.contents.into_iter().map(|object| object.entry(encoded)).collect()
    }
}

impl Object {
    fn entry(self, encoded: bool) -> Result<Entry, String> {
        let Self { key, size, last_modified, e_tag, storage_class } = self;
        let time =
            Timestamp::parse_rfc3339(&last_modified).ok_or_else(|| format!("{last_modified:?} is not a time"))?;
        let key = if encoded { decode(&key) } else { key.into_bytes() };
        let mut entry = Entry::new(ObjectKey::new(key), size, time).with_class(storage_class.unwrap_or_default());
        entry.etag = e_tag.as_deref().map(ETag::new);
        entry.flags = entry.etag.as_ref().map_or(EntryFlags::NONE, |etag| flags(etag.code()));
        Ok(entry)
    }
}

/// Undoes `encoding-type=url`, which writes a space as `+` or as `%20`, and a plus sign always as `%2B`.
fn decode(key: &str) -> Vec<u8> {
    let spaced: Cow<'_, str> = if key.contains('+') { key.replace('+', " ").into() } else { key.into() };
    percent_encoding::percent_decode_str(&spaced).collect()
}

/// A part count behind the digest tells that an object was uploaded in parts.
fn flags(etag: ETagCode) -> EntryFlags {
    let in_parts = !etag.is_absent() && !etag.is_text() && etag.md5_shaped().is_none();
    if in_parts { EntryFlags::MULTIPART } else { EntryFlags::NONE }
}

impl fmt::Debug for S3List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3List").field("location", &self.location).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(truncated: &str, contents: &str) -> Page {
        let text = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <Name>b</Name>{truncated}<EncodingType>url</EncodingType>{contents}</ListBucketResult>"
        );
        quick_xml::de::from_str(&text).unwrap()
    }

    fn object(key: &str, etag: &str) -> String {
        format!(
            "<Contents><Key>{key}</Key><LastModified>2026-03-01T01:00:00.123Z</LastModified><ETag>&quot;{etag}&quot;</ETag>\
             <Size>3</Size><StorageClass>GLACIER</StorageClass></Contents>"
        )
    }

    #[test]
    fn an_entry_has_its_key_byte_for_byte_and_its_class() {
        let md5 = "0cc175b9c0f1b6a831c399e269772661";
        let contents = object("+a+b%20c%2Bd%25/%E9%0A/", md5) + &object("x//y", &format!("{md5}-3"));
        let entries = page("<IsTruncated>false</IsTruncated>", &contents).entries().unwrap();
        assert_eq!(entries[0].key.as_bytes(), b" a b c+d%/\xe9\n/");
        assert_eq!((entries[0].size, entries[0].class.as_str()), (3, "GLACIER"));
        assert_eq!(entries[0].last_modified.to_string(), "2026-03-01T01:00:00.123Z");
        assert_eq!(entries[0].etag, Some(ETag::new(md5)));
        assert_eq!((entries[0].flags, entries[1].flags), (EntryFlags::NONE, EntryFlags::MULTIPART));
    }

    #[test]
    fn a_page_that_breaks_off_is_not_the_last() {
        let mut last = page("<IsTruncated>false</IsTruncated>", "");
        assert_eq!(last.next_token(), Ok(None));
        let next = "<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>";
        assert_eq!(page(next, "").next_token(), Ok(Some("t".to_owned())));
        assert!(page("<IsTruncated>true</IsTruncated>", "").next_token().is_err());
        assert!(quick_xml::de::from_str::<Page>("<ListBucketResult><Name>b</Name></ListBucketResult>").is_err());
    }
}
