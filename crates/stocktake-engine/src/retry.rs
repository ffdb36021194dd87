//! Repeating calls that may succeed the second time.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder, Retryable};
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use stocktake_core::{BlobInfo, Error, Result, Vault, VaultCapabilities};

use crate::Meter;

/// How often a call is repeated and how long is waited before: four times,
/// from a tenth of a second on, doubling.
fn policy() -> ExponentialBuilder {
    ExponentialBuilder::default().with_min_delay(Duration::from_millis(100)).with_max_times(4)
}

/// Runs `call` until it succeeds, fails for good, or was repeated often enough.
pub(crate) async fn retried<T, F, Fut>(meter: &Meter, call: F) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T>>,
{
    call.retry(policy())
        .when(stocktake_core::Error::is_retryable)
        .notify(|error, after| {
            meter.retried();
            tracing::debug!(%error, ?after, "repeating");
        })
        .await
}

/// A vault whose calls are repeated when the store did not answer.
///
/// A creation whose outcome is unknown is found out: if the name is taken after
/// that, and by the very bytes that were to be written, the first attempt
/// succeeded. A listing goes on after the last name it yielded. So a caller of
/// this vault sees a clear outcome, or an outage that lasted.
#[derive(Debug)]
pub struct RetryingVault {
    inner: Arc<dyn Vault>,
    meter: Meter,
}

impl RetryingVault {
    /// Wraps `inner`, and counts repeated calls on `meter`.
    pub fn new(inner: Arc<dyn Vault>, meter: Meter) -> Self {
        Self { inner, meter }
    }
}

impl fmt::Display for RetryingVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Vault for RetryingVault {
    fn capabilities(&self) -> VaultCapabilities {
        self.inner.capabilities()
    }

    async fn create(&self, name: &str, bytes: Bytes) -> Result<()> {
        let first = self.inner.create(name, bytes.clone()).await;
        let Err(Error::Unavailable { .. }) = first else { return first };
        self.meter.retried();
        match retried(&self.meter, || self.inner.create(name, bytes.clone())).await {
            Err(taken @ Error::BlobExists { .. }) => {
                let found = self.read(name, None).await?;
                if found != bytes {
                    return Err(taken);
                }
                self.meter.taken(bytes.len() as u64);
                Ok(())
            }
            result => result,
        }
    }

    async fn read(&self, name: &str, range: Option<Range<u64>>) -> Result<Bytes> {
        retried(&self.meter, || self.inner.read(name, range.clone())).await
    }

    async fn stat(&self, name: &str) -> Result<BlobInfo> {
        retried(&self.meter, || self.inner.stat(name)).await
    }

    fn list(&self, prefix: &str, start_after: Option<&str>) -> BoxStream<'static, Result<BlobInfo>> {
        let listing = Listing {
            inner: self.inner.clone(),
            meter: self.meter.clone(),
            prefix: prefix.to_owned(),
            after: start_after.map(str::to_owned),
            blobs: self.inner.list(prefix, start_after),
            waits: policy().build(),
        };
        stream::try_unfold(listing, Listing::next).boxed()
    }

    async fn delete(&self, name: &str) -> Result<()> {
        retried(&self.meter, || self.inner.delete(name)).await
    }
}

/// A listing that is taken up after the last name it yielded.
struct Listing {
    inner: Arc<dyn Vault>,
    meter: Meter,
    prefix: String,
    after: Option<String>,
    blobs: BoxStream<'static, Result<BlobInfo>>,
    waits: ExponentialBackoff,
}

impl Listing {
    async fn next(mut self) -> Result<Option<(BlobInfo, Self)>> {
        loop {
            let error = match self.blobs.next().await {
                None => return Ok(None),
                Some(Ok(blob)) => {
                    self.after = Some(blob.name.clone());
                    self.waits = policy().build();
                    return Ok(Some((blob, self)));
                }
                Some(Err(error)) => error,
            };
            match self.waits.next() {
                Some(wait) if error.is_retryable() => tokio::time::sleep(wait).await,
                _ => return Err(error),
            }
            self.meter.retried();
            self.blobs = self.inner.list(&self.prefix, self.after.as_deref());
        }
    }
}
