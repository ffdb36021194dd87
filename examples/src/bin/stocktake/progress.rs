//! Tells what a job does, while it does it.
//!
//! On a terminal a bar is drawn on standard error; elsewhere there are plain
//! lines, or JSON, at most a few a second. Objects that were left out are told
//! at once, each on a line of its own.

use std::fmt::Display;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use stocktake::{Clock, Event, Location, ObjectKey, Observer, Tally, Timestamp};
use stocktake_examples::{bytes, count};

use crate::exit::chain;
use crate::output::Output;
use crate::row::Named;
use crate::session::Session;

/// Between two lines of progress, in milliseconds.
const JSON_INTERVAL: u128 = 500;
const TEXT_INTERVAL: u128 = 5_000;

/// Writes what happens to the program's output.
pub(crate) struct Progress {
    output: Arc<Output>,
    clock: Arc<dyn Clock>,
    bar: ProgressBar,
    told: Mutex<Timestamp>,
    verb: &'static str,
}

/// How far a job is.
#[derive(Serialize)]
struct Line {
    phase: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    done: Option<Tally>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<Tally>,
}

/// An object that was not done as asked.
#[derive(Serialize)]
struct LeftOut<'a> {
    #[serde(flatten)]
    key: Named<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

impl Progress {
    /// An observer of a job that can be said to `verb` objects.
    pub(crate) fn new(session: &Session, verb: &'static str) -> Arc<Self> {
        let output = session.output.clone();
        let target = if output.is_interactive() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        let (clock, told) = (session.clock.clone(), Mutex::new(session.clock.now()));
        Arc::new(Self { output, clock, bar, told, verb })
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn compared(&self, rows: u64) {
        self.bar.set_message(format!("compared {} rows", count(rows)));
        self.bar.tick();
        let line = Line { phase: "compare", rows: Some(rows), done: None, total: None };
        self.tell(line, || format!("compared {} rows", count(rows)), false);
    }

    fn planned(&self, total: Tally) {
        let style = ProgressStyle::with_template("{msg} [{bar:40}] {percent}%  {eta} left").ok();
        if let Some(style) = style {
            self.bar.set_style(style.progress_chars("=> "));
        }
        self.bar.set_length(weight(total));
        self.bar.set_position(0);
        self.bar.set_message(format!("0 of {} objects", count(total.objects)));
    }

    fn step(&self, done: Tally, total: Tally) {
        if self.bar.length() != Some(weight(total)) {
            self.planned(total);
        }
        self.bar.set_position(weight(done));
        self.bar.set_message(format!("{} of {} objects", count(done.objects), count(total.objects)));
        let line = Line { phase: self.verb, rows: None, done: Some(done), total: Some(total) };
        let text = || {
            let (done_bytes, total_bytes) = (bytes(done.bytes), bytes(total.bytes));
            format!(
                "{}: {} of {} objects, {done_bytes} of {total_bytes}",
                self.verb,
                count(done.objects),
                count(total.objects)
            )
        };
        self.tell(line, text, done == total);
    }

    /// A step of work whose end is not known.
    fn counted(&self, done: Tally) {
        let text = || format!("{}: {} objects, {}", self.verb, count(done.objects), bytes(done.bytes));
        self.bar.set_message(text());
        self.bar.tick();
        self.tell(Line { phase: self.verb, rows: None, done: Some(done), total: None }, text, false);
    }

    /// Writes a line of progress, unless one was written just before.
    fn tell(&self, line: Line, text: impl Fn() -> String, last: bool) {
        let interval = if self.output.is_json() { JSON_INTERVAL } else { TEXT_INTERVAL };
        let now = self.clock.now();
        {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            if !last && now.since(*told).as_millis() < interval {
                return;
            }
            *told = now;
        }
        if self.output.is_json() {
            ignore(self.output.event("progress", &line, None).and_then(|()| self.output.flush()));
        } else if !self.output.is_interactive() && !last {
            ignore(self.output.note(text()));
        }
    }

    fn left_out(&self, event: &str, key: &ObjectKey, reason: Option<&str>) {
        let text = match reason {
            Some(reason) => format!("{event}: {key}: {reason}"),
            None => format!("{event}: {key}"),
        };
        let line = LeftOut { key: Named::key(key.as_bytes()), reason };
        self.say(event, &line, &text);
    }

    /// An inventory went after its use, or stayed for a reason.
    fn inventory(&self, event: &str, inventory: &Location, reason: Option<&str>) {
        #[derive(Serialize)]
        struct Line<'a> {
            inventory: &'a Location,
            #[serde(skip_serializing_if = "Option::is_none")]
            reason: Option<&'a str>,
        }
        let text = match reason {
            Some(reason) => format!("inventory kept: {inventory}: {reason}"),
            None => format!("inventory deleted: {inventory}"),
        };
        self.say(event, &Line { inventory, reason }, &text);
    }

    fn say(&self, event: &str, line: &impl Serialize, text: &dyn Display) {
        self.bar.suspend(|| ignore(self.output.event(event, line, Some(text))));
    }
}

impl Observer for Progress {
    fn on_event(&self, event: &Event<'_>) {
        #[derive(Serialize)]
        struct Notice<'a> {
            message: &'a str,
        }
        match event {
            Event::Notice { message } => self.say("notice", &Notice { message }, &format!("notice: {message}")),
            Event::Compared { rows } => self.compared(*rows),
            Event::Planned { to_copy, .. } => self.planned(*to_copy),
            Event::Progress { done, total } => match total {
                Some(total) => self.step(*done, *total),
                None => self.counted(*done),
            },
            Event::ObjectVanished { key } => self.left_out("vanished", key, None),
            Event::ObjectNewer { key } => self.left_out("newer", key, None),
            Event::ObjectArchived { key } => self.left_out("archived", key, None),
            Event::ObjectFailed { key, error } => self.left_out("failed", key, Some(&chain(error))),
            Event::ObjectSkipped { key, reason } => self.left_out("skipped", key, Some(reason)),
            Event::InventoryRemoved { inventory } => self.inventory("inventory_deleted", inventory, None),
            Event::InventoryKept { inventory, error } => {
                self.inventory("inventory_kept", inventory, Some(&chain(error)));
            }
            _ => {}
        }
    }
}

/// How much of the bar an amount takes: bytes, and a little for each object, so that empty ones count too.
fn weight(tally: Tally) -> u64 {
    u64::try_from(tally.bytes).unwrap_or(u64::MAX).saturating_add(tally.objects.saturating_mul(1024))
}

/// Progress that can't be written is no reason to stop; the summary will find out.
fn ignore(_: io::Result<()>) {}
