//! Several threads that walk one folder.
//!
//! A thread that has nothing left to walk is hungry. A thread that walks looks
//! after each file whether one is, and gives away half of the names that are
//! before it, of the folder that is highest up. So threads stay busy whatever the
//! shape of the tree, no name is with two of them, and what they hold together is
//! what one would hold, a level of names more for each.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::walk::Walk;

/// What the threads share.
#[derive(Debug)]
pub(crate) struct Gang {
    threads: usize,
    state: Mutex<State>,
    changed: Condvar,
    /// Threads that wait for a walk that nobody has given yet.
    hungry: AtomicUsize,
    ended: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    given: Vec<Walk>,
    waiting: usize,
    /// Whether all has been walked, or a thread failed.
    over: bool,
}

impl Gang {
    /// So many threads, all of which call [`next`](Self::next) until it gives nothing.
    pub(crate) fn new(threads: usize) -> Self {
        let (state, changed) = (Mutex::default(), Condvar::new());
        Self { threads, state, changed, hungry: AtomicUsize::new(0), ended: AtomicBool::new(false) }
    }

    /// Waits for something to walk; `None` when all has been walked, or the gang was ended.
    pub(crate) fn next(&self) -> Option<Walk> {
        let mut state = self.state();
        state.waiting += 1;
        loop {
            if state.over || (state.given.is_empty() && state.waiting == self.threads) {
                state.over = true;
                self.changed.notify_all();
                return None;
            }
            if let Some(walk) = state.given.pop() {
                state.waiting -= 1;
                self.count_hungry(&state);
                return Some(walk);
            }
            self.count_hungry(&state);
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Gives a walk to whoever is hungry.
    pub(crate) fn give(&self, walk: Walk) {
        let mut state = self.state();
        state.given.push(walk);
        self.count_hungry(&state);
        self.changed.notify_one();
    }

    /// Gives half of `walk` away where somebody is hungry and there is a half worth giving.
    pub(crate) fn share(&self, walk: &mut Walk) {
        if self.hungry.load(Relaxed) > 0
            && let Some(half) = walk.split()
        {
            self.give(half);
        }
    }

    /// Whether a thread has ended while others walk: it failed.
    pub(crate) fn is_ended(&self) -> bool {
        self.ended.load(Relaxed)
    }

    fn end(&self) {
        self.ended.store(true, Relaxed);
        self.state().over = true;
        self.changed.notify_all();
    }

    fn count_hungry(&self, state: &State) {
        self.hungry.store(state.waiting.saturating_sub(state.given.len()), Relaxed);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the gang when it is dropped: also when a thread panics, for whom the others would wait.
#[derive(Debug)]
pub(crate) struct EndOnDrop<'a>(pub(crate) &'a Gang);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dir::Dir;

    /// A thread that walks until it has seen `patience` files, and then fails.
    fn walk(gang: &Gang, patience: usize) -> Result<usize, usize> {
        let _end = EndOnDrop(gang);
        let mut seen = 0;
        while let Some(mut walk) = gang.next() {
            while !gang.is_ended() && walk.next().unwrap().is_some() {
                seen += 1;
                gang.share(&mut walk);
                if seen == patience {
                    return Err(seen);
                }
            }
        }
        Ok(seen)
    }

    fn walk_all(patience: [usize; 3]) -> Vec<Result<usize, usize>> {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..900 {
            let path = folder.path().join(format!("{}/{}", number % 30, number % 7));
            std::fs::create_dir_all(&path).unwrap();
            std::fs::write(path.join(number.to_string()), "").unwrap();
        }
        let gang = Gang::new(patience.len());
        gang.give(Walk::new(Dir::root(folder.path()).unwrap(), b"", b"").unwrap());
        std::thread::scope(|scope| {
            let gang = &gang;
            let threads = patience.map(|patience| scope.spawn(move || walk(gang, patience)));
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    }

    #[test]
    fn all_that_is_there_is_walked_by_all() {
        let seen = walk_all([usize::MAX; 3]);
        assert_eq!(seen.into_iter().map(Result::unwrap).sum::<usize>(), 900);
    }

    #[test]
    fn a_thread_that_fails_ends_the_others() {
        let outcomes = walk_all([1, 1, 1]);
        assert!(outcomes.iter().any(Result::is_err), "{outcomes:?}");
        let seen: usize = outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(|seen| seen)).sum();
        assert!(seen < 900);
    }
}
