//! Who lists what: the ranges of one listing, those that wait and those that are under way.
//!
//! All lanes share one ledger. A range is a prefix, and where it has been cut, the
//! border at its end. Cutting moves that border under the lock under which every
//! page is entered, so a key belongs to one range at any time: to the one it is
//! cut from while that has not come to the border, to the other from then on.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use stocktake_core::Entry;
use tokio::sync::Notify;

use super::border::Border;
use super::{Limits, Start};

/// A range that nobody lists yet.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) prefix: String,
    pub(super) start: Start,
    /// The last key that was listed of it, empty when none was.
    pub(super) listed_to: Vec<u8>,
    /// How many folders were gone down to it.
    pub(super) depth: usize,
}

/// What a lane is to do next.
#[derive(Debug)]
pub(super) enum Work {
    /// List a range to its end.
    List(u64, Task),
    /// Look into a folder, to list what is in it as ranges of their own.
    LookInto(Task),
    /// Cut a range that has been under way for long, and list its other half.
    Cut(Cut),
    /// Nothing until something changes.
    Wait,
    /// Nothing any more.
    Done,
}

/// A range that could be cut, as it was when it was chosen.
#[derive(Debug)]
pub(super) struct Cut {
    pub(super) range: u64,
    pub(super) prefix: String,
    pub(super) listed_to: Vec<u8>,
    pub(super) end: Option<Border>,
}

/// What became of a page.
#[derive(Debug)]
pub(super) struct Entered {
    /// Those of its entries that belong to the range.
    pub(super) entries: Vec<Entry>,
    /// Whether the range has come to its end.
    pub(super) ended: bool,
}

/// A store that lists in neither of the orders that a border rests on. Names the key.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Disorder(pub(super) Vec<u8>);

#[derive(Debug)]
pub(super) struct Ledger {
    limits: Limits,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<Task>,
    ranges: BTreeMap<u64, Range>,
    next_range: u64,
    /// Lanes that look into a folder.
    looking: usize,
    /// Whether the store begins a listing where it is told to.
    uncuttable: bool,
    failed: bool,
}

#[derive(Debug)]
struct Range {
    prefix: String,
    listed_to: Vec<u8>,
    end: Option<Border>,
    pages: u64,
    /// After how many pages it may be cut.
    cut_from: u64,
    being_cut: bool,
}

impl Ledger {
    pub(super) fn new(limits: Limits, first: Task) -> Self {
        let state = State { waiting: vec![first], ..State::default() };
        Self { limits, state: Mutex::new(state), changed: Notify::new() }
    }

    fn take(&self) -> Work {
        let mut state = self.state();
        if state.failed {
            return Work::Done;
        }
        if let Some(task) = state.waiting.pop() {
            let busy = state.waiting.len() + state.ranges.len() + state.looking;
            if task.depth < self.limits.depth && busy < self.limits.lanes {
                state.looking += 1;
                return Work::LookInto(task);
            }
            return state.begin(task, &self.limits);
        }
        if let Some(cut) = state.choose_cut() {
            return Work::Cut(cut);
        }
        let idle = state.ranges.is_empty() && state.looking == 0;
        if idle { Work::Done } else { Work::Wait }
    }

    /// Ends a look into a folder that is listed as it is, as one range.
    pub(super) fn looked_in_vain(&self, task: Task) -> Work {
        let mut state = self.state();
        state.looking -= 1;
        state.begin(task, &self.limits)
    }

    /// Ends a look into a folder whose content is listed as these ranges.
    pub(super) fn looked(&self, tasks: impl IntoIterator<Item = Task>) {
        let mut state = self.state();
        state.looking -= 1;
        state.waiting.extend(tasks);
        drop(state);
        self.changed.notify_waiters();
    }

    /// Enters a page of a range, listed in the store's order.
    pub(super) fn enter(&self, range: u64, page: Vec<Entry>) -> Result<Entered, Disorder> {
        let mut state = self.state();
        let entered = state.ranges.get_mut(&range).expect("a range is under way until its lane ends it").enter(page)?;
        drop(state);
        self.changed.notify_waiters();
        Ok(entered)
    }

    /// A range has been listed.
    pub(super) fn end(&self, range: u64) {
        self.state().ranges.remove(&range);
        self.changed.notify_waiters();
    }

    /// Cuts a range at `border`; its right half is a range of its own from now on. `None` when it has come too far.
    pub(super) fn cut(&self, cut: &Cut, border: &Border) -> Option<u64> {
        let mut state = self.state();
        let left = state.ranges.get_mut(&cut.range)?;
        left.being_cut = false;
        let listed_to = &left.listed_to[..];
        if border.is_before(listed_to) || border.is_disputed(listed_to) {
            left.hold_off();
            return None;
        }
        left.cut_from = left.pages + self.limits.pages_before_cut;
        let end = left.end.replace(border.clone());
        let right = Range {
            prefix: left.prefix.clone(),
            listed_to: border.key().as_bytes().to_vec(),
            end,
            pages: 0,
            cut_from: self.limits.pages_before_cut,
            being_cut: false,
        };
        Some(state.insert(right))
    }

    /// A range could not be cut; it is left alone until it has come twice as far.
    pub(super) fn cut_in_vain(&self, cut: &Cut) {
        if let Some(range) = self.state().ranges.get_mut(&cut.range) {
            range.being_cut = false;
            range.hold_off();
        }
    }

    /// The store does not begin a listing where it is told to: nothing is cut any more.
    pub(super) fn never_cut(&self) {
        self.state().uncuttable = true;
    }

    /// Ends all work.
    pub(super) fn fail(&self) {
        self.state().failed = true;
        self.changed.notify_waiters();
    }

    /// Takes up work, as soon as there is some.
    pub(super) async fn next_work(&self) -> Work {
        loop {
            // From here on no change is missed.
            let changed = self.changed.notified();
            match self.take() {
                Work::Wait => changed.await,
                work => return work,
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn begin(&mut self, task: Task, limits: &Limits) -> Work {
        let range = Range {
            prefix: task.prefix.clone(),
            listed_to: task.listed_to.clone(),
            end: None,
            pages: 0,
            cut_from: limits.pages_before_cut,
            being_cut: false,
        };
        Work::List(self.insert(range), task)
    }

    fn insert(&mut self, range: Range) -> u64 {
        self.next_range += 1;
        self.ranges.insert(self.next_range, range);
        self.next_range
    }

    /// The range that has been under way for longest, of those that may be cut.
    fn choose_cut(&mut self) -> Option<Cut> {
        if self.uncuttable {
            return None;
        }
        let ripe = self.ranges.iter_mut().filter(|(_, range)| !range.being_cut && range.pages >= range.cut_from);
        let (id, range) = ripe.max_by_key(|(_, range)| range.pages)?;
        range.being_cut = true;
        let Range { prefix, listed_to, end, .. } = &*range;
        Some(Cut { range: *id, prefix: prefix.clone(), listed_to: listed_to.clone(), end: end.clone() })
    }
}

impl Range {
    fn hold_off(&mut self) {
        self.cut_from = self.pages.saturating_mul(2).max(1);
    }

    fn enter(&mut self, page: Vec<Entry>) -> Result<Entered, Disorder> {
        self.pages += 1;
        let mut entered = Entered { entries: Vec::with_capacity(page.len()), ended: false };
        for entry in page {
            let key = entry.key.as_bytes();
            match &self.end {
                // It was made since the store was asked whether there is one, so it need not be listed.
                Some(end) if end.is_disputed(key) => {}
                Some(end) if end.is_before(key) => entered.ended = true,
                Some(_) if entered.ended => return Err(Disorder(key.to_vec())),
                _ => entered.entries.push(entry),
            }
        }
        if let Some(last) = entered.entries.last() {
            self.listed_to = last.key.as_bytes().to_vec();
        }
        Ok(entered)
    }
}
