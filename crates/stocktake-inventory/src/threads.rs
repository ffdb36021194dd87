//! Threads for blocking work, of which the one that rested last works first.
//!
//! The system's allocator keeps memory for each thread, 16 MiB and more for one that decoded
//! columns. The runtime's blocking threads take turns, so that each of them would come to hold as
//! much; threads made anew for each work come to share the memory of others in turn. Here the work
//! of one stream after the other goes to the same thread.

use std::io;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, Builder, ThreadId};
use std::time::Duration;

use tokio::sync::oneshot;

/// The threads that decode.
pub(crate) static DECODERS: Threads = Threads::new(Duration::from_secs(10));

/// Work, and what is to be told of it once its thread takes other work.
type Work = Box<dyn FnOnce() -> Box<dyn FnOnce()> + Send>;

pub(crate) struct Threads {
    /// The last is the one to work next. As many at most as there was work at one time.
    resting: Mutex<Vec<Resting>>,
    /// How long a thread rests before it ends.
    keep_alive: Duration,
}

struct Resting {
    thread: ThreadId,
    work: Sender<Work>,
}

impl Threads {
    pub(crate) const fn new(keep_alive: Duration) -> Self {
        Self { resting: Mutex::new(Vec::new()), keep_alive }
    }

    /// Starts `work` on a thread. Its result never comes if it panics.
    ///
    /// # Errors
    ///
    /// The system's, when it gives no more threads.
    pub(crate) fn start<T: Send + 'static>(
        &'static self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<oneshot::Receiver<T>> {
        let (teller, result) = oneshot::channel();
        let work: Work = Box::new(move || {
            let result = work();
            Box::new(move || {
                // Nobody waits for it any more, if it was not taken.
                let _ = teller.send(result);
            })
        });
        let rested_last = self.resting().pop();
        match rested_last {
            // Whoever is taken from among those that rest waits for work.
            Some(thread) => thread.work.send(work).map_err(|_| io::Error::other("a resting thread was lost"))?,
            None => {
                let _detached = Builder::new().name("stocktake-read".into()).spawn(move || self.serve(work))?;
            }
        }
        Ok(result)
    }

    fn serve(&self, first: Work) {
        let (sender, receiver) = mpsc::channel();
        let mut next = Some(first);
        while let Some(work) = next {
            let tell = work();
            self.resting().push(Resting { thread: thread::current().id(), work: sender.clone() });
            tell();
            next = self.wait(&receiver);
        }
    }

    /// The next work of a thread that rests; none if it is to end.
    fn wait(&self, receiver: &Receiver<Work>) -> Option<Work> {
        if let Ok(work) = receiver.recv_timeout(self.keep_alive) {
            return Some(work);
        }
        let this = thread::current().id();
        let mut resting = self.resting();
        if let Some(place) = resting.iter().position(|resting| resting.thread == this) {
            resting.remove(place);
            return None;
        }
        // It was just taken, so work is on its way.
        drop(resting);
        receiver.recv().ok()
    }

    fn resting(&self) -> MutexGuard<'_, Vec<Resting>> {
        // Nothing done under the lock leaves the list half changed.
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn work_after_work_goes_to_one_thread() {
        static THREADS: Threads = Threads::new(Duration::from_mins(10));
        let run = || THREADS.start(|| thread::current().id()).unwrap().blocking_recv().unwrap();
        let threads: HashSet<_> = (0..100).map(|_| run()).collect();
        assert_eq!(threads.len(), 1);
    }

    #[test]
    fn work_at_one_time_has_a_thread_each_and_the_last_to_rest_works_next() {
        static THREADS: Threads = Threads::new(Duration::from_mins(10));
        static MET: Barrier = Barrier::new(3);
        let meet = || {
            MET.wait();
            thread::current().id()
        };
        let started: Vec<_> = (0..3).map(|_| THREADS.start(meet).unwrap()).collect();
        let threads: HashSet<_> = started.into_iter().map(|result| result.blocking_recv().unwrap()).collect();
        assert_eq!(threads.len(), 3);
        let resting: Vec<_> = THREADS.resting().iter().map(|resting| resting.thread).collect();
        let next = THREADS.start(|| thread::current().id()).unwrap().blocking_recv().unwrap();
        assert_eq!(Some(&next), resting.last());
    }

    #[test]
    fn a_panic_loses_its_result_and_thread_but_no_other() {
        static THREADS: Threads = Threads::new(Duration::from_mins(10));
        THREADS.start(|| panic!("lost on purpose")).unwrap().blocking_recv().unwrap_err();
        assert_eq!(THREADS.start(|| 7).unwrap().blocking_recv(), Ok(7));
    }

    #[test]
    fn who_rests_too_long_ends_and_work_given_at_that_moment_is_done() {
        static THREADS: Threads = Threads::new(Duration::from_micros(50));
        for n in 0..2_000 {
            assert_eq!(THREADS.start(move || n).unwrap().blocking_recv(), Ok(n));
            // Around the time a thread is kept.
            thread::sleep(Duration::from_micros(n % 100));
        }
        while !THREADS.resting().is_empty() {
            thread::yield_now();
        }
    }
}
