//! What is wrong with a file.

use std::io;

/// The file does not hold what its format demands.
pub(crate) fn damaged(problem: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem.into())
}

/// The file uses something that no inventory does.
pub(crate) fn unsupported(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, what.into())
}

/// The same, with the column's name.
pub(crate) fn in_column(name: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("the column {name}: {error}"))
}
