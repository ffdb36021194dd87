//! Blocking work, off the runtime's own threads.
//!
//! A stream made here ends in an error whenever its work does, and also when the
//! work's thread is lost: what stops early never looks complete.

use std::thread::Builder;

use futures::future;
use futures::stream::{self, BoxStream, StreamExt};
use stocktake_core::{Error, Location, Result};
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;

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
///
/// It has a thread of its own, which ends with it. The system's allocator keeps some memory for
/// each thread: that of a thread that ended goes to the next, while that of the runtime's
/// threads, which take turns, would be kept once for each of them, 16 MiB and more.
pub(crate) fn stream<T: Send + 'static>(
    location: Location,
    work: impl FnOnce(&Sender<T>) -> Result<()> + Send + 'static,
) -> BoxStream<'static, Result<T>> {
    let start = async move {
        let (sender, receiver) = mpsc::channel(QUEUE_ITEMS);
        let (finish, finished) = oneshot::channel();
        let thread = Builder::new().name("stocktake-read".into()).spawn(move || {
            let result = work(&Sender(sender));
            // Nobody waits for it once the stream is dropped.
            let _ = finish.send(result);
        });
        let items = stream::unfold(receiver, |mut receiver| async move {
            let item = receiver.recv().await?;
            Some((Ok(item), receiver))
        });
        let end = async move {
            let result = match thread {
                Ok(_) => finished.await.unwrap_or_else(|lost| Err(lost_thread(&location, lost))),
                Err(refused) => Err(lost_thread(&location, refused)),
            };
            result.err().map(Err)
        };
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

fn lost_thread(location: &Location, cause: impl Into<stocktake_core::BoxError>) -> Error {
    Error::Unavailable { location: location.clone(), action: "finish work on a thread".into(), source: cause.into() }
}
