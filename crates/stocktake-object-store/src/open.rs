//! Opening a bucket by its location and settings.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, S3ConditionalPut, S3CopyIfNotExists};
use object_store::client::{HttpClient, HttpConnector, ReqwestConnector};
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use stocktake_core::{Clock, Error, Location, Result};
use url::Url;

use crate::s3_list::S3List;
use crate::{
    Addressing, ETagCase, ObjectStoreListing, ObjectStoreSource, ObjectStoreTarget, ObjectStoreVault, Scheme,
    StoreSettings, StoreUrl,
};

/// How often a request is repeated here. The engine repeats for longer.
const RETRIES: usize = 3;
/// How long a request and its repetitions may take together.
const RETRY_TIMEOUT: Duration = Duration::from_secs(60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the store may send nothing. There is no limit to a whole request, since bodies may be long.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// A bucket, or a folder of one, that was opened by its location.
///
/// Nothing is sent until something is asked of it.
#[derive(Clone)]
pub struct OpenStore {
    store: Arc<AmazonS3>,
    http: HttpClient,
    url: StoreUrl,
    conditional_put: bool,
}

impl OpenStore {
    /// Opens the bucket at `url`.
    ///
    /// # Errors
    /// [`InvalidInput`](stocktake_core::Error::InvalidInput) when the settings don't
    /// name a store, as an OSS bucket without an endpoint.
    pub fn open(url: &StoreUrl, settings: &StoreSettings) -> Result<Self> {
        let invalid = |error: object_store::Error| Error::invalid(format!("{url} can't be opened: {error}"));
        let store = builder(url, settings)?.build().map_err(invalid)?;
        let http = ReqwestConnector::default().connect(&client_options(settings.allow_http)).map_err(invalid)?;
        let conditional_put = has_conditional_put(url.scheme(), settings);
        Ok(Self { store: Arc::new(store), http, url: url.clone(), conditional_put })
    }

    /// The same bucket, whole: for keys that are counted from its root, as those of an inventory are.
    #[must_use]
    pub fn without_prefix(&self) -> Self {
        Self { url: self.url.without_prefix(), ..self.clone() }
    }

    /// Where it is.
    pub fn url(&self) -> &StoreUrl {
        &self.url
    }

    /// The store itself, from the bucket's root.
    pub fn store(&self) -> Arc<dyn ObjectStore> {
        self.store.clone()
    }

    /// The **whole bucket** as a source: its keys are those that inventories and listings show.
    pub fn source(&self) -> ObjectStoreSource {
        let etag_case = match self.url.scheme() {
            Scheme::S3 => ETagCase::Lower,
            Scheme::Oss => ETagCase::Upper,
        };
        ObjectStoreSource::new(self.store(), self.url.without_prefix().location()).with_etag_case(etag_case)
    }

    /// A listing of the keys below the folder, each whole and byte for byte as the bucket has it.
    pub fn listing(&self, clock: Arc<dyn Clock>) -> ObjectStoreListing {
        let scope = if self.url.prefix().is_empty() { String::new() } else { format!("{}/", self.url.prefix()) };
        let objects = S3List::new(Arc::clone(&self.store), self.http.clone(), self.url.without_prefix().location());
        ObjectStoreListing::over(Arc::new(objects), self.location(), clock)
            .with_bucket(self.url.bucket())
            .with_scope(&scope)
    }

    /// The folder as a vault.
    pub fn vault(&self) -> ObjectStoreVault {
        let vault = ObjectStoreVault::new(self.store(), self.location()).with_prefix(self.url.prefix());
        if self.conditional_put { vault } else { vault.without_create_if_absent() }
    }

    /// The folder as a target: the key `a` is written to `prefix/a`.
    pub fn target(&self) -> ObjectStoreTarget {
        let target = ObjectStoreTarget::new(self.store(), self.location()).with_prefix(self.url.prefix());
        if self.conditional_put { target } else { target.without_create_if_absent() }
    }

    fn location(&self) -> Location {
        self.url.location()
    }
}

/// Alibaba OSS refuses `If-None-Match` at its S3-compatible endpoint.
fn has_conditional_put(scheme: Scheme, settings: &StoreSettings) -> bool {
    settings.conditional_put.unwrap_or(scheme == Scheme::S3)
}

fn builder(url: &StoreUrl, settings: &StoreSettings) -> Result<AmazonS3Builder> {
    let StoreSettings { endpoint, region, access_key, secret_key, session_token, allow_http, addressing, .. } =
        settings;
    let conditional = has_conditional_put(url.scheme(), settings);
    let in_host = match addressing {
        Addressing::Path => false,
        Addressing::VirtualHost => true,
        Addressing::Usual => endpoint.is_none() || url.scheme() == Scheme::Oss,
    };
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(url.bucket())
        .with_client_options(client_options(*allow_http))
        .with_retry(retries())
        .with_virtual_hosted_style_request(in_host)
        .with_conditional_put(if conditional { S3ConditionalPut::ETagMatch } else { S3ConditionalPut::Disabled })
        // Blobs are deleted one by one, and not every store knows the bulk request.
        .with_disable_bulk_delete(true);
    if conditional {
        builder = builder.with_copy_if_not_exists(S3CopyIfNotExists::Multipart);
    }
    match endpoint {
        Some(endpoint) => builder = builder.with_endpoint(bucket_endpoint(endpoint, url.bucket(), in_host)?),
        None if url.scheme() == Scheme::Oss => return Err(Error::invalid(format!("{url} needs an endpoint"))),
        None => {}
    }
    if let Some(region) = region {
        builder = builder.with_region(region);
    }
    if let (Some(access_key), Some(secret_key)) = (access_key, secret_key) {
        builder = builder.with_access_key_id(access_key).with_secret_access_key(secret_key);
    }
    if let Some(token) = session_token {
        builder = builder.with_token(token);
    }
    Ok(builder)
}

fn client_options(allow_http: bool) -> ClientOptions {
    ClientOptions::new()
        .with_allow_http(allow_http)
        .with_timeout_disabled()
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_read_timeout(READ_TIMEOUT)
}

fn retries() -> RetryConfig {
    RetryConfig { backoff: BackoffConfig::default(), max_retries: RETRIES, retry_timeout: RETRY_TIMEOUT }
}

/// The endpoint, with the bucket in its host where that is wanted.
fn bucket_endpoint(endpoint: &str, bucket: &str, in_host: bool) -> Result<String> {
    let whole = if endpoint.contains("://") { endpoint.to_owned() } else { format!("https://{endpoint}") };
    let mut url = Url::parse(&whole).map_err(|error| Error::invalid(format!("the endpoint {endpoint}: {error}")))?;
    if in_host {
        let host = url.host_str().ok_or_else(|| Error::invalid(format!("the endpoint {endpoint} has no host")))?;
        let host = format!("{bucket}.{host}");
        url.set_host(Some(&host)).map_err(|error| Error::invalid(format!("the host {host}: {error}")))?;
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

impl fmt::Display for OpenStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(f)
    }
}

impl fmt::Debug for OpenStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenStore").field("url", &self.url).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stocktake_core::Vault;

    fn open(url: &str, settings: &StoreSettings) -> Result<OpenStore> {
        OpenStore::open(&StoreUrl::parse(url)?.expect("a scheme of this crate"), settings)
    }

    #[test]
    fn the_bucket_stands_in_the_host_only_where_that_is_wanted() {
        let endpoint = |endpoint, in_host| bucket_endpoint(endpoint, "b", in_host).unwrap();
        assert_eq!(endpoint("http://127.0.0.1:9000/", false), "http://127.0.0.1:9000");
        assert_eq!(endpoint("oss-cn-hangzhou.aliyuncs.com", true), "https://b.oss-cn-hangzhou.aliyuncs.com");
        assert!(bucket_endpoint("http://127.0.0.1:9000", "b", true).is_err());
    }

    #[test]
    fn oss_needs_an_endpoint_and_has_no_conditional_put() {
        assert!(open("oss://bucket/a", &StoreSettings::default()).is_err());
        let settings = StoreSettings::default().with_endpoint("oss-cn-hangzhou.aliyuncs.com").with_keys("a", "b");
        let store = open("oss://bucket/a", &settings).unwrap();
        assert!(!store.vault().capabilities().create_if_absent);
        assert_eq!(store.vault().to_string(), "oss://bucket/a");
        assert_eq!(store.source().to_string(), "oss://bucket");
    }

    #[test]
    fn a_store_can_be_said_to_have_no_conditional_put() {
        let vault = |settings| open("s3://bucket", &settings).unwrap().vault().capabilities();
        assert!(vault(StoreSettings::default()).create_if_absent);
        assert!(!vault(StoreSettings::default().with_conditional_put(false)).create_if_absent);
    }
}
