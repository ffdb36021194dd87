//! A listing in many parts at once, without knowing the keys.
//!
//! The first pages are listed one after the other; most buckets end there. A
//! greater one is taken up by lanes. A lane looks into a folder, by delimiter, and
//! gives each folder in it to the others; or it lists a range from page to page; or,
//! where nothing else is left to do, it cuts a range that has been under way for
//! long and lists its farther half. Where to cut is guessed from the last key, and
//! asked of the store by listing what lies behind; that page is then the first of
//! the new range. So lanes stay busy however keys are spread. Finding out where to cut
//! takes five to ten requests a cut: with 16 lanes some hundreds in all, beside one
//! for each thousand keys.
//!
//! Guesses decide how fast it goes, never what is listed: that is for [`border`]
//! and [`ledger`]. A lane that fails ends the whole listing in its error.

mod border;
mod cut;
mod ledger;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};
use stocktake_core::{Entry, Error, Location, Result};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use border::Border;
use ledger::{Disorder, Ledger, Task, Work};

/// Where a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// With the first key.
    Beginning,
    /// With the first key after this one, which need not be there.
    After(String),
    /// Where the page before ended that gave this.
    Token(String),
}

/// Which page is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Ask<'a> {
    /// What all keys begin with.
    pub(crate) prefix: &'a str,
    pub(crate) start: Start,
    /// Whether keys with a slash after the prefix are told as folders.
    pub(crate) by_folder: bool,
    /// At most so many keys; as many as the store gives when `None`.
    pub(crate) limit: Option<u32>,
}

/// A page of a listing.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// In the store's order.
    pub(crate) entries: Vec<Entry>,
    /// Prefixes that end at a slash, where it was asked for them.
    pub(crate) folders: Vec<Vec<u8>>,
    /// Where the next page begins; `None` after the last.
    pub(crate) next: Option<String>,
}

/// A store that is listed in pages.
#[async_trait]
pub(crate) trait ListPages: Debug + Send + Sync + 'static {
    /// One page, asked for again while the store is in passing trouble. One call at least is one request.
    async fn page(&self, ask: Ask<'_>) -> Result<Page>;

    /// Where it is, for messages.
    fn location(&self) -> &Location;
}

/// The bounds of a listing. Tests make them tiny.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Requests under way at once.
    pub(crate) lanes: usize,
    /// Pages that are listed one after the other, before there are lanes. Their keys are held.
    pub(crate) head_pages: usize,
    /// Folders that are given to lanes out of one; of more, the folder is listed as a whole.
    pub(crate) folders: usize,
    /// How deep folders are looked into.
    pub(crate) depth: usize,
    /// Pages that are listed of a range before it is cut.
    pub(crate) pages_before_cut: u64,
}

impl Limits {
    /// Limits of a listing with so many requests at once.
    pub(crate) fn new(lanes: usize) -> Self {
        Self { lanes: lanes.max(1), head_pages: 2, folders: 32, depth: 4, pages_before_cut: 4 }
    }
}

/// Pages that wait for the reader.
const PAGES_AHEAD: usize = 4;

/// Lists every key that begins with `prefix`, in pages that each are in the store's order.
///
/// At most [`Limits::lanes`] pages are in memory, the few that wait, and the keys of
/// the first. When the stream is dropped, requests under way run to their end.
pub(crate) fn list(pages: Arc<dyn ListPages>, prefix: &str, limits: Limits) -> BoxStream<'static, Result<Vec<Entry>>> {
    let head = Head { pages, prefix: prefix.to_owned(), limits, start: Start::Beginning, listed: Vec::new() };
    stream::try_unfold(Stage::Head(head), Stage::next).boxed()
}

enum Stage {
    Head(Head),
    Lanes(Lanes),
    End,
}

impl Stage {
    async fn next(self) -> Result<Option<(Vec<Entry>, Self)>> {
        match self {
            Self::Head(head) => head.next().await.map(Some),
            Self::Lanes(mut lanes) => Ok(lanes.next().await?.map(|entries| (entries, Self::Lanes(lanes)))),
            Self::End => Ok(None),
        }
    }
}

/// The first pages.
struct Head {
    pages: Arc<dyn ListPages>,
    prefix: String,
    limits: Limits,
    start: Start,
    /// The keys of each page so far.
    listed: Vec<Vec<Vec<u8>>>,
}

impl Head {
    async fn next(mut self) -> Result<(Vec<Entry>, Stage)> {
        let ask = Ask { prefix: &self.prefix, start: self.start, by_folder: false, limit: None };
        let page = self.pages.page(ask).await?;
        let Some(token) = page.next else { return Ok((page.entries, Stage::End)) };
        self.start = Start::Token(token);
        if self.limits.lanes == 1 {
            return Ok((page.entries, Stage::Head(self)));
        }
        self.listed.push(page.entries.iter().map(|entry| entry.key.as_bytes().to_vec()).collect());
        let stage = if self.listed.len() < self.limits.head_pages {
            Stage::Head(self)
        } else {
            // Nothing is sent before the next page is asked for.
            Stage::Lanes(Lanes::Idle(self))
        };
        Ok((page.entries, stage))
    }
}

/// The rest.
enum Lanes {
    Idle(Head),
    Running { pages: mpsc::Receiver<Result<Vec<Entry>>>, lanes: Vec<JoinHandle<()>>, location: Location },
}

impl Lanes {
    async fn next(&mut self) -> Result<Option<Vec<Entry>>> {
        if let Self::Idle(head) = self {
            *self = Self::begin(head);
        }
        let Self::Running { pages, lanes, location } = self else { return Ok(None) };
        if let Some(entries) = pages.recv().await {
            return entries.map(Some);
        }
        // Lanes that were lost could not say what they have not listed.
        for lane in lanes {
            lane.await.map_err(|lost| {
                let (location, action) = (location.clone(), "finish a listing".into());
                Error::Unavailable { location, action, source: lost.into() }
            })?;
        }
        Ok(None)
    }

    fn begin(head: &mut Head) -> Self {
        let Head { pages, prefix, limits, start, listed } = head;
        let listed_to = listed.last().and_then(|page| page.last()).cloned().unwrap_or_default();
        let first = Task { prefix: prefix.clone(), start: start.clone(), listed_to, depth: 0 };
        let listing = Arc::new(Listing {
            pages: Arc::clone(pages),
            ledger: Ledger::new(*limits, first),
            limits: *limits,
            head: listed.drain(..).flatten().collect(),
        });
        let (sender, receiver) = mpsc::channel(PAGES_AHEAD);
        let lane = |_| tokio::spawn(Arc::clone(&listing).lane(sender.clone()));
        let lanes = (0..limits.lanes).map(lane).collect();
        Self::Running { pages: receiver, lanes, location: pages.location().clone() }
    }
}

type Sender = mpsc::Sender<Result<Vec<Entry>>>;

/// What the lanes of a listing share.
#[derive(Debug)]
struct Listing {
    pages: Arc<dyn ListPages>,
    ledger: Ledger,
    limits: Limits,
    /// The keys of the first pages, which were listed before.
    head: HashSet<Vec<u8>>,
}

/// A range from some page on.
struct Rest {
    range: u64,
    prefix: String,
    start: Start,
    /// The border that it begins after.
    begin: Option<Border>,
    /// The page at its start, where that is there.
    page: Option<Page>,
}

impl Listing {
    async fn lane(self: Arc<Self>, out: Sender) {
        // Also when it panics: the others would wait for it.
        let fail = FailOnDrop(&self.ledger);
        match self.work(&out).await {
            Ok(()) => std::mem::forget(fail),
            Err(error) => {
                drop(fail);
                // Nobody is there to be told when the stream was dropped.
                out.send(Err(error)).await.ok();
            }
        }
    }

    async fn work(&self, out: &Sender) -> Result<()> {
        loop {
            let work = tokio::select! {
                biased;
                () = out.closed() => return Err(Error::Cancelled),
                work = self.ledger.next_work() => work,
            };
            match work {
                Work::LookInto(task) => self.look_into(task, out).await?,
                Work::List(range, task) => self.list_task(range, task, out).await?,
                Work::Cut(cut) => match self.cut(&cut).await? {
                    Some(rest) => self.list_rest(rest, out).await?,
                    None => self.ledger.cut_in_vain(&cut),
                },
                Work::Wait => {}
                Work::Done => return Ok(()),
            }
        }
    }

    /// Lists what is in a folder by its folders, where they are few.
    async fn look_into(&self, task: Task, out: &Sender) -> Result<()> {
        let ask = Ask { prefix: &task.prefix, start: Start::Beginning, by_folder: true, limit: None };
        let page = self.pages.page(ask).await?;
        let whole = page.next.is_none() && page.folders.len() <= self.limits.folders;
        let folders: Option<Vec<String>> =
            page.folders.into_iter().map(|folder| String::from_utf8(folder).ok()).collect();
        match folders {
            // A folder that is not below its parent would be looked into for ever.
            Some(folders) if whole && folders.iter().all(|folder| is_below(folder, &task.prefix)) => {
                let depth = task.depth + 1;
                let below = |prefix| Task { prefix, start: Start::Beginning, listed_to: Vec::new(), depth };
                self.ledger.looked(folders.into_iter().map(below));
                self.send(page.entries, out).await
            }
            _ => match self.ledger.looked_in_vain(task) {
                Work::List(range, task) => self.list_task(range, task, out).await,
                _ => Ok(()),
            },
        }
    }

    async fn list_task(&self, range: u64, task: Task, out: &Sender) -> Result<()> {
        let Task { prefix, start, .. } = task;
        self.list_rest(Rest { range, prefix, start, begin: None, page: None }, out).await
    }

    async fn list_rest(&self, rest: Rest, out: &Sender) -> Result<()> {
        let Rest { range, prefix, mut start, begin, mut page } = rest;
        loop {
            let Page { mut entries, next, .. } = match page.take() {
                Some(page) => page,
                None => self.pages.page(Ask { prefix: &prefix, start, by_folder: false, limit: None }).await?,
            };
            if let Some(begin) = &begin {
                after(begin, &mut entries).map_err(|disorder| self.disordered(&disorder))?;
            }
            let entered = self.ledger.enter(range, entries).map_err(|disorder| self.disordered(&disorder))?;
            self.send(entered.entries, out).await?;
            match next {
                Some(token) if !entered.ended => start = Start::Token(token),
                _ => break,
            }
        }
        self.ledger.end(range);
        Ok(())
    }

    async fn send(&self, mut entries: Vec<Entry>, out: &Sender) -> Result<()> {
        entries.retain(|entry| !self.head.contains(entry.key.as_bytes()));
        if entries.is_empty() {
            return Ok(());
        }
        out.send(Ok(entries)).await.map_err(|_| Error::Cancelled)
    }

    fn disordered(&self, Disorder(key): &Disorder) -> Error {
        let key = stocktake_core::display_key(key);
        let source = format!(
            "{key} came where it does not belong: the store lists keys in no order; list it by one request at a time"
        )
        .into();
        Error::Rejected { location: self.pages.location().clone(), action: "list in parts".into(), source }
    }
}

/// Leaves the entries that lie after `begin`; what does not was made since it was found out that nothing is disputed there.
fn after(begin: &Border, entries: &mut Vec<Entry>) -> Result<(), Disorder> {
    let lies_before = |entry: &&Entry| !begin.is_before(entry.key.as_bytes());
    if let Some(stray) = entries.iter().filter(lies_before).find(|entry| !begin.is_disputed(entry.key.as_bytes())) {
        return Err(Disorder(stray.key.as_bytes().to_vec()));
    }
    entries.retain(|entry| begin.is_before(entry.key.as_bytes()));
    Ok(())
}

fn is_below(folder: &str, parent: &str) -> bool {
    folder.len() > parent.len() && folder.starts_with(parent) && folder.ends_with('/')
}

/// Fails the ledger when it is dropped.
struct FailOnDrop<'a>(&'a Ledger);

impl Drop for FailOnDrop<'_> {
    fn drop(&mut self) {
        self.0.fail();
    }
}
