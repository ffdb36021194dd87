//! Repeating calls that may succeed the second time.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use stocktake_core::Result;

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
