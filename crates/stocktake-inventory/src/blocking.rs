//! Blocking work, off the runtime's own threads.
//!
//! A stream made here ends in an error whenever its work does, and also when the
//! work's thread is lost: what stops early never looks complete.

use futures::future;
use futures::stream::{self, BoxStream, StreamExt};
use stocktake_core::{Error, Location, Result};
use tokio::sync::mpsc;
use tokio::task::{JoinError, spawn_blocking};

/// How many items of a stream wait for their reader.
const QUEUE_ITEMS: usize = 2;

/// Runs `work` to its end, also when the future is dropped.
pub(crate) async fn run<T: Send + 'static>(
    location: &Location,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    spawn_blocking(work).await.unwrap_or_else(|lost| Err(lost_thread(location, lost)))
}

/// A stream of what `work` sends, and of the error it ends in.
///
/// The work begins when the stream is first polled, waits while the queue is
/// full, and is stopped at its next item once the stream is dropped.
pub(crate) fn stream<T: Send + 'static>(
    location: Location,
    work: impl FnOnce(&Sender<T>) -> Result<()> + Send + 'static,
) -> BoxStream<'static, Result<T>> {
    let start = async move {
        let (sender, receiver) = mpsc::channel(QUEUE_ITEMS);
        let thread = spawn_blocking(move || work(&Sender(sender)));
        let items = stream::unfold(receiver, |mut receiver| async move {
            let item = receiver.recv().await?;
            Some((Ok(item), receiver))
        });
        let end = async move { thread.await.unwrap_or_else(|lost| Err(lost_thread(&location, lost))).err().map(Err) };
        items.chain(stream::once(end).filter_map(future::ready))
    };
    stream::once(start).flatten().boxed()
}

/// The sending end of a stream.
pub(crate) struct Sender<T>(mpsc::Sender<T>);

impl<T> Sender<T> {
    /// Hands an item over. Fails when nobody reads any more.
    pub(crate) fn send(&self, item: T) -> Result<()> {
        self.0.blocking_send(item).map_err(|_| Error::Cancelled)
    }
}

fn lost_thread(location: &Location, lost: JoinError) -> Error {
    Error::Unavailable { location: location.clone(), action: "finish work on a thread".into(), source: lost.into() }
}
