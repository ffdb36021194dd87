//! The screenful: what each step did and cost.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use stocktake::{BackupReport, Clock, Error, Meter, RequestCounts, Result, SystemClock, Tally, Timestamp};
use stocktake_examples::{bytes, count, peak_memory_bytes, seconds};

use crate::sample::Changes;

/// Gathers the lines of the table, a step at a time.
pub(crate) struct Report {
    home: PathBuf,
    kept: bool,
    meter: Meter,
    before: Cost,
    began: Timestamp,
    started: Timestamp,
    text: String,
}

/// What was spent up to a moment.
#[derive(Clone, Copy)]
struct Cost {
    requests: RequestCounts,
    stored: u64,
}

impl Cost {
    fn of(meter: &Meter) -> Self {
        Self { requests: meter.requests(), stored: u64::try_from(meter.written().bytes).unwrap_or(u64::MAX) }
    }
}

impl Report {
    pub(crate) fn new(home: &Path, kept: bool, meter: Meter) -> Self {
        let (now, before) = (SystemClock.now(), Cost::of(&meter));
        Self { home: home.to_owned(), kept, meter, before, began: now, started: now, text: String::new() }
    }

    /// Tells what there is to back up, and begins the table.
    pub(crate) fn begin(&mut self, sample: Tally) {
        let (objects, size) = (count(sample.objects), bytes(sample.bytes));
        self.add(format_args!("A folder of {objects} objects, {size}, on its first day.\n\n"));
        let heads = ["step", "objects", "bytes", "source GET", "vault PUT", "vault GET", "stored", "time"];
        self.row(heads.map(str::to_owned));
    }

    /// Adds the step that has just ended.
    pub(crate) fn step(&mut self, name: &str, done: Tally) {
        let (now, after) = (SystemClock.now(), Cost::of(&self.meter));
        let (before, began) = (self.before, self.began);
        let spent = |of: fn(&RequestCounts) -> u64| count(of(&after.requests) - of(&before.requests));
        self.row([
            name.to_owned(),
            count(done.objects),
            bytes(done.bytes),
            spent(|requests| requests.source_get),
            spent(|requests| requests.vault_put),
            spent(|requests| requests.vault_get),
            bytes(after.stored - before.stored),
            seconds(now.since(began)),
        ]);
        (self.began, self.before) = (now, after);
    }

    /// Tells what all of it means, and prints it.
    pub(crate) fn finish(mut self, changes: &Changes, folders: &[String], second: &BackupReport) -> Result<()> {
        let Changes { added, changed, deleted } = changes;
        let unchanged = count(second.snapshot.summary.counters.changes.unchanged.objects);
        self.add(format_args!(
            "\nBetween the days {added} objects were added, {changed} changed and {deleted} deleted. The second backup\n\
             read those that were added or changed, and none of the {unchanged} others; of the film with a\n\
             new scene it stored what is new. Each snapshot is a whole: its top level has {} folders,\n\
             and what was restored equals, byte for byte, what the folder held on that day.\n\n",
            folders.len()
        ));
        let time = seconds(SystemClock.now().since(self.started));
        let memory =
            peak_memory_bytes().map_or_else(String::new, |peak| format!(", and at most {} of memory", bytes(peak)));
        self.add(format_args!("All of it took {time}{memory}.\n"));
        if self.kept {
            let home = self.home.display().to_string();
            self.add(format_args!("Look at it in {home}; the vault's passphrase is \"quickstart\".\n"));
        }
        std::io::stdout().write_all(self.text.as_bytes()).map_err(Error::local("write to", "standard output"))
    }

    fn row(&mut self, cells: [String; 8]) {
        let [name, objects, size, get, put, read, stored, time] = cells;
        self.add(format_args!(
            "{name:<20} {objects:>8} {size:>10} {get:>11} {put:>10} {read:>10} {stored:>10} {time:>8}\n"
        ));
    }

    fn add(&mut self, text: std::fmt::Arguments<'_>) {
        self.text.write_fmt(text).expect("writing to a string cannot fail");
    }
}

/// Prints a text and ends.
pub(crate) fn print(text: &str, code: ExitCode) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => code,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Prints an error with its causes, and ends.
pub(crate) fn print_error(error: &Error) -> ExitCode {
    let mut text = format!("error: {error}");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    // There is nobody left to tell if this fails.
    let _ = writeln!(std::io::stderr(), "{text}\n  help: {}", error.help());
    ExitCode::FAILURE
}
