//! How the program ends: exit codes, and failures as scripts and people read them.

use std::error::Error as _;
use std::io;
use std::process::ExitCode;

use stocktake::Error;

/// The exit code of a command that was interrupted.
pub(crate) const CANCELLED: u8 = 130;

/// How a command ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All was done.
    Done,
    /// The work is done, but for objects that were reported.
    Issues,
    /// A check found damage, and reported it.
    Damaged,
    /// A check found an inventory that a backup would refuse, and reported why.
    Unfit,
}

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The library says so.
    Library(Error),
    /// What was asked for can't be: two options that exclude each other, a file that is not there.
    Usage(String),
    /// Standard output can't be written.
    Output(io::Error),
}

/// The result of a command.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Library(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl Failure {
    /// The stable word for it.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Library(error) => error.code(),
            Self::Usage(_) => "usage",
            Self::Output(_) => "output",
        }
    }

    /// The message, and those of all its causes.
    pub(crate) fn message(&self) -> String {
        match self {
            Self::Library(error) => chain(error),
            Self::Usage(problem) => problem.clone(),
            Self::Output(error) => format!("could not write to standard output: {error}"),
        }
    }

    /// What to do about it.
    pub(crate) fn help(&self) -> &'static str {
        match self {
            Self::Library(error) => error.help(),
            Self::Usage(_) => "see the command's --help",
            Self::Output(_) => "check what standard output is connected to",
        }
    }

    /// Whether the reader of standard output has gone away, which is its right.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// An error and its causes, outermost first.
pub(crate) fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        // Some layers repeat their cause in their own message.
        if !text.contains(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        cause = error.source();
    }
    text
}

/// The exit code of a run.
pub(crate) fn code(result: &Result<Outcome>) -> ExitCode {
    ExitCode::from(match result {
        Ok(Outcome::Done) => 0,
        Ok(Outcome::Issues) => 3,
        Ok(Outcome::Damaged) => 1,
        Ok(Outcome::Unfit) => 4,
        Err(Failure::Usage(_)) => 2,
        Err(Failure::Library(Error::Cancelled)) => CANCELLED,
        Err(Failure::Library(error)) if error.is_refusal() => 4,
        Err(failure) if failure.is_broken_pipe() => 0,
        Err(_) => 1,
    })
}
