//! A short table of names and values, for the end of a command.

use std::fmt;

use stocktake::Tally;
use stocktake_examples::{bytes, count};

/// Lines of a name and its value, in columns.
#[derive(Default)]
pub(crate) struct Table(Vec<(String, String)>);

impl Table {
    /// An empty table.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// The same table with one more line.
    pub(crate) fn line(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.0.push((name.to_owned(), value.to_string()));
        self
    }

    /// The same table with a line for a count, unless it is zero.
    pub(crate) fn tally(self, name: &str, tally: &Tally) -> Self {
        if tally.objects == 0 { self } else { self.line(name, objects(tally)) }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.0.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        self.0.iter().try_for_each(|(name, value)| writeln!(f, "{name:<width$}  {value}"))
    }
}

/// A count as people read it.
pub(crate) fn objects(tally: &Tally) -> String {
    let word = if tally.objects == 1 { "object" } else { "objects" };
    format!("{} {word}, {}", count(tally.objects), bytes(tally.bytes))
}
