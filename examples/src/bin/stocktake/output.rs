//! The one writer to standard output: JSON Lines for scripts, lines of text for people.
//!
//! Every command says each thing once, as a value that can be serialised and a
//! text; which of the two is written is decided here.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use crate::exit::Failure;

/// Standard output in one of its two forms.
pub(crate) struct Output {
    json: bool,
    // Locked for a line at a time: progress is told from many tasks.
    writer: Mutex<io::BufWriter<io::Stdout>>,
}

/// A JSON line that tells what kind of line it is.
#[derive(Serialize)]
struct Tagged<'a, T> {
    event: &'a str,
    #[serde(flatten)]
    value: &'a T,
}

impl Output {
    /// Standard output, as JSON Lines or as text.
    pub(crate) fn new(json: bool) -> Self {
        Self { json, writer: Mutex::new(io::BufWriter::new(io::stdout())) }
    }

    /// Whether JSON Lines are written.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Whether a person looks on.
    pub(crate) fn is_interactive(&self) -> bool {
        !self.json && io::stderr().is_terminal()
    }

    /// Writes a row of the answer.
    pub(crate) fn row(&self, row: &impl Serialize, text: impl Display) -> io::Result<()> {
        if self.json { self.json_line(row) } else { self.line(text) }
    }

    /// Writes something that happened; people get it if they have a text for it.
    pub(crate) fn event(&self, event: &str, value: &impl Serialize, text: Option<&dyn Display>) -> io::Result<()> {
        match (self.json, text) {
            (true, _) => self.json_line(&Tagged { event, value }),
            (false, Some(text)) => self.line(text),
            (false, None) => Ok(()),
        }
    }

    /// Writes the last line of a command that did not fail.
    pub(crate) fn summary(&self, summary: &impl Serialize, text: impl Display) -> io::Result<()> {
        self.event("summary", summary, Some(&text))?;
        self.flush()
    }

    /// Writes bytes as they are. Not for JSON.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> io::Result<()> {
        self.writer().write_all(bytes)
    }

    /// Writes why the command failed: for scripts to standard output, for people to standard error.
    pub(crate) fn failure(&self, failure: &Failure) -> io::Result<()> {
        #[derive(Serialize)]
        struct Line<'a> {
            code: &'a str,
            message: &'a str,
            help: &'a str,
        }
        let (code, message, help) = (failure.code(), &failure.message(), failure.help());
        self.flush()?;
        if self.json {
            self.event("error", &Line { code, message, help }, None)?;
            return self.flush();
        }
        writeln!(io::stderr(), "error: {message}\n  help: {help}\n  code: {code}")
    }

    /// Writes a line about the work itself to standard error, for people.
    pub(crate) fn note(&self, text: impl Display) -> io::Result<()> {
        if self.json { Ok(()) } else { writeln!(io::stderr(), "{text}") }
    }

    pub(crate) fn flush(&self) -> io::Result<()> {
        self.writer().flush()
    }

    fn line(&self, text: impl Display) -> io::Result<()> {
        let mut text = text.to_string();
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        self.writer().write_all(text.as_bytes())
    }

    fn json_line(&self, value: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        self.writer().write_all(&line)
    }

    fn writer(&self) -> std::sync::MutexGuard<'_, io::BufWriter<io::Stdout>> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
