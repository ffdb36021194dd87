//! Blocking work, off the runtime's own threads.
//!
//! A stream made here ends in an error whenever its work does, and also when the
//! work's thread is lost: what stops early never looks complete.

use std::cell::Cell;
use std::io;

use futures::future;
use futures::stream::{self, BoxStream, StreamExt};
use stocktake_core::{Error, Location, Result};
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;

use crate::threads::DECODERS;

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
/// full, and is stopped at its next item once the stream is dropped. It goes on behind the
/// first item when the second is asked for: who only has a look at the beginning pays for no more.
pub(crate) fn stream<T: Send + 'static>(
    location: Location,
    work: impl FnOnce(&Sender<T>) -> Result<()> + Send + 'static,
) -> BoxStream<'static, Result<T>> {
    let start = async move {
        let (sender, receiver) = mpsc::channel(QUEUE_ITEMS);
        let (go_on, goes_on) = oneshot::channel();
        let started = DECODERS.start(move || work(&Sender { items: sender, goes_on: Cell::new(Some(goes_on)) }));
        let items = stream::unfold((receiver, Some(go_on), 0_u64), |(mut receiver, mut go_on, taken)| async move {
            if taken > 0
                && let Some(go_on) = go_on.take()
            {
                // It ended already, if nobody listens.
                let _ = go_on.send(());
            }
            let item = receiver.recv().await?;
            Some((Ok(item), (receiver, go_on, taken + 1)))
        });
        let end = async move { finish(&location, started).await.err().map(Err) };
        items.chain(stream::once(end).filter_map(future::ready))
    };
    stream::once(start).flatten().boxed()
}

/// The sending end of a stream.
pub(crate) struct Sender<T> {
    items: mpsc::Sender<T>,
    /// Awaited behind the first item.
    goes_on: Cell<Option<oneshot::Receiver<()>>>,
}

impl<T> Sender<T> {
    /// Hands an item over. Fails when nobody reads any more.
    pub(crate) fn send(&self, item: T) -> Result<()> {
        self.items.blocking_send(item).map_err(|_| Error::Cancelled)?;
        self.goes_on.take().map_or(Ok(()), |goes_on| goes_on.blocking_recv().map_err(|_| Error::Cancelled))
    }
}

/// What work on a thread came to.
async fn finish<T>(location: &Location, started: io::Result<oneshot::Receiver<Result<T>>>) -> Result<T> {
    match started {
        Ok(result) => result.await.unwrap_or_else(|lost| Err(lost_thread(location, lost))),
        Err(refused) => Err(lost_thread(location, refused)),
    }
}

fn lost_thread(location: &Location, cause: impl Into<stocktake_core::BoxError>) -> Error {
    Error::Unavailable { location: location.clone(), action: "finish work on a thread".into(), source: cause.into() }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures::TryStreamExt;

    use super::*;

    fn counting(to: u32, sent: &Arc<AtomicU32>) -> BoxStream<'static, Result<u32>> {
        let sent = Arc::clone(sent);
        stream(Location::new("here"), move |sender| {
            (1..=to).try_for_each(|n| {
                sent.store(n, Ordering::SeqCst);
                sender.send(n)
            })
        })
    }

    #[tokio::test]
    async fn all_items_come_and_the_error_behind_them() {
        for count in [0, 1, 2, 100] {
            let items: Vec<_> = counting(count, &Arc::default()).try_collect().await.unwrap();
            assert_eq!(items, (1..=count).collect::<Vec<_>>());
        }
        let failing = stream(Location::new("here"), |sender| {
            sender.send(1)?;
            Err(Error::invalid("broken"))
        });
        let items: Vec<_> = failing.collect().await;
        assert_eq!((items.len(), items[1].as_ref().unwrap_err().code()), (2, "invalid_input"));
    }

    #[tokio::test]
    async fn a_look_at_the_first_item_costs_no_other() {
        let sent = Arc::default();
        let mut items = counting(100, &sent);
        assert_eq!(items.try_next().await.unwrap(), Some(1));
        drop(items);
        // The work ended, or is about to: it holds the other count.
        while Arc::strong_count(&sent) > 1 {
            tokio::task::yield_now().await;
        }
        assert_eq!(sent.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_lost_thread_is_an_error_and_no_end() {
        let lost = stream::<u32>(Location::new("here"), |sender| {
            sender.send(1)?;
            panic!("lost on purpose");
        });
        let items: Vec<_> = lost.collect().await;
        assert_eq!((items.len(), items[1].as_ref().unwrap_err().code()), (2, "unavailable"));
    }
}
