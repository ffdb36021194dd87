//! ListObjectsV2 with keys as they are.
//!
//! `object_store` signs the request, and this reads the answer; which pages are
//! asked for is decided in [`sharded`](crate::sharded). Keys come percent-encoded, so that any byte string survives the XML, and each entry has
//! its storage class. A page that says it is not the last and does not say how to
//! go on ends the listing in an error.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::Error as StoreError;
use object_store::aws::AmazonS3;
use object_store::client::{HttpClient, HttpRequest, HttpRequestBody};
use object_store::path::Path;
use object_store::signer::{SignedUrlOptions, Signer};
use serde::Deserialize;
use stocktake_core::{ETag, ETagCode, Entry, EntryFlags, Error, Location, ObjectKey, Result, Timestamp};

use crate::error::{Meaning, failure};
use crate::listing::ListObjects;
use crate::sharded::{self, Ask, Limits, ListPages, Page, Start};

/// How often a page is asked for again.
const RETRIES: u32 = 5;
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
    /// Requests sent, repeated ones included.
    sent: Arc<AtomicU64>,
}

impl S3List {
    pub(crate) fn new(store: Arc<AmazonS3>, http: HttpClient, location: Location) -> Self {
        Self { store, http, location, sent: Arc::default() }
    }

    async fn page_once(&self, ask: &Ask<'_>) -> Result<Answer, StoreError> {
        let limit = ask.limit.map(|limit| limit.to_string());
        let mut query = vec![("list-type", "2"), ("encoding-type", "url"), ("prefix", ask.prefix)];
        match &ask.start {
            Start::Beginning => {}
            Start::After(key) => query.push(("start-after", key)),
            Start::Token(token) => query.push(("continuation-token", token)),
        }
        query.extend(ask.by_folder.then_some(("delimiter", "/")));
        query.extend(limit.as_deref().map(|limit| ("max-keys", limit)));
        let options = SignedUrlOptions::default().with_query(query);
        let mut get = HttpRequest::new(HttpRequestBody::empty());
        let url = self.store.signed_url_opts(get.method().clone(), &Path::ROOT, SIGNATURE_AGE, &options).await?;
        *get.uri_mut() = url.as_str().parse().map_err(generic)?;
        self.sent.fetch_add(1, Relaxed);
        let (head, body) = self.http.execute(get).await.map_err(generic)?.into_parts();
        let body = body.bytes().await.map_err(generic)?;
        let text = String::from_utf8_lossy(&body);
        if !head.status.is_success() {
            // Written as `object_store` does, for the one place that reads it.
            return Err(generic(format!("status code: {}: {text}", head.status)));
        }
        quick_xml::de::from_str(&text).map_err(generic)
    }

    fn unreadable(&self, problem: String) -> Error {
        Error::Rejected { location: self.location.clone(), action: "list".into(), source: problem.into() }
    }
}

#[async_trait]
impl ListPages for S3List {
    async fn page(&self, ask: Ask<'_>) -> Result<Page> {
        let mut attempt = 0;
        let answer = loop {
            match self.page_once(&ask).await {
                Err(error) if attempt < RETRIES && Meaning::of(&error) == Meaning::Passing => {
                    tokio::time::sleep(RETRY_PAUSE * 2_u32.pow(attempt)).await;
                    attempt += 1;
                }
                outcome => break outcome.map_err(|error| failure(&self.location, "list", error))?,
            }
        };
        answer.page().map_err(|problem| self.unreadable(problem))
    }

    fn location(&self) -> &Location {
        &self.location
    }
}

impl ListObjects for S3List {
    fn list(&self, prefix: &str, concurrency: usize, sent: &Arc<AtomicU64>) -> BoxStream<'static, Result<Vec<Entry>>> {
        let pages = Self { sent: Arc::clone(sent), ..self.clone() };
        sharded::list(Arc::new(pages), prefix, Limits::new(concurrency))
    }

    fn fields(&self) -> &'static [&'static str] {
        &["Key", "Size", "LastModifiedDate", "ETag", "StorageClass"]
    }
}

fn generic(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::Generic { store: "S3", source: error.into() }
}

/// An answer to ListObjectsV2.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    is_truncated: bool,
    next_continuation_token: Option<String>,
    encoding_type: Option<String>,
    #[serde(default)]
    contents: Vec<Object>,
    #[serde(default)]
    common_prefixes: Vec<Folder>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Folder {
    prefix: String,
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

impl Answer {
    /// How to ask for the next page; `None` after the last.
    fn next_token(&mut self) -> Result<Option<String>, String> {
        match self.next_continuation_token.take() {
            Some(token) if self.is_truncated && !token.is_empty() => Ok(Some(token)),
            _ if self.is_truncated => Err("a page is not the last and names no next one".to_owned()),
            _ => Ok(None),
        }
    }

    fn page(mut self) -> Result<Page, String> {
        let next = self.next_token()?;
        let encoded = self.encoding_type.as_deref() == Some("url");
        let entries = self.contents.into_iter().map(|object| object.entry(encoded)).collect::<Result<_, _>>()?;
        let folders = self.common_prefixes.into_iter().map(|folder| key(folder.prefix, encoded)).collect();
        Ok(Page { entries, folders, next })
    }
}

impl Object {
    fn entry(self, encoded: bool) -> Result<Entry, String> {
        let Self { key, size, last_modified, e_tag, storage_class } = self;
        let time =
            Timestamp::parse_rfc3339(&last_modified).ok_or_else(|| format!("{last_modified:?} is not a time"))?;
        let key = self::key(key, encoded);
        let mut entry = Entry::new(ObjectKey::new(key), size, time).with_class(storage_class.unwrap_or_default());
        entry.etag = e_tag.as_deref().map(ETag::new);
        entry.flags = entry.etag.as_ref().map_or(EntryFlags::NONE, |etag| flags(etag.code()));
        Ok(entry)
    }
}

fn key(text: String, encoded: bool) -> Vec<u8> {
    if encoded { decode(&text) } else { text.into_bytes() }
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

    fn page(truncated: &str, contents: &str) -> Answer {
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
        let entries = page("<IsTruncated>false</IsTruncated>", &contents).page().unwrap().entries;
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
        assert!(quick_xml::de::from_str::<Answer>("<ListBucketResult><Name>b</Name></ListBucketResult>").is_err());
    }
}
