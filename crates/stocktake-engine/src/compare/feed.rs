//! From a reader's stream to a worker thread.
//!
//! A task pulls batches into a short channel, so a reader decodes on while the
//! worker compares. The end of a part is a message of its own: a channel that
//! closes without it means that the reader was stopped, never that the part was
//! shorter.

use futures::StreamExt;
use futures::stream::BoxStream;
use stocktake_core::{EntryBatch, Error, Result};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

type Message = Result<Option<EntryBatch>>;

/// One part being read. Reading stops when it is dropped.
#[derive(Debug)]
pub(super) struct Feed {
    runtime: Handle,
    messages: mpsc::Receiver<Message>,
    ended: bool,
    task: JoinHandle<()>,
}

impl Feed {
    /// Begins to read `stream` on `runtime`, up to `ahead` batches ahead of the worker.
    pub(super) fn open(
        stream: BoxStream<'static, Result<EntryBatch>>,
        ahead: usize,
        runtime: &Handle,
        cancel: &CancellationToken,
    ) -> Self {
        let (sender, messages) = mpsc::channel(ahead);
        let task = runtime.spawn(pull(stream, sender, cancel.clone()));
        Self { runtime: runtime.clone(), messages, ended: false, task }
    }

    /// Waits for the next batch; `None` at the end of the part. Must not be called on the runtime's own threads.
    ///
    /// # Errors
    /// What the reader says, or [`Cancelled`](Error::Cancelled).
    pub(super) fn next(&mut self) -> Result<Option<EntryBatch>> {
        if self.ended {
            return Ok(None);
        }
        let message = self.messages.blocking_recv().unwrap_or_else(|| Err(self.stopped()));
        self.ended = matches!(message, Ok(None));
        message
    }

    fn stopped(&mut self) -> Error {
        match self.runtime.block_on(&mut self.task) {
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The runtime is shutting down.
            _ => Error::Cancelled,
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pull(
    mut stream: BoxStream<'static, Result<EntryBatch>>,
    messages: mpsc::Sender<Message>,
    cancel: CancellationToken,
) {
    loop {
        let message = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(Error::Cancelled),
            batch = stream.next() => batch.transpose(),
        };
        let last = !matches!(message, Ok(Some(_)));
        if messages.send(message).await.is_err() || last {
            return;
        }
    }
}
