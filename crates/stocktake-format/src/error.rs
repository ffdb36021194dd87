//! What can be wrong with stored bytes.

/// Why stored bytes can't be understood.
///
/// The blob's name and place are the caller's to add.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// Cut short, altered, swapped for another blob, or sealed with another key.
    #[error("{0}")]
    Damaged(String),
    /// Written by a newer version.
    #[error("{0}")]
    Unsupported(String),
}

impl FormatError {
    /// A [`FormatError::Damaged`].
    pub fn damaged(problem: impl Into<String>) -> Self {
        Self::Damaged(problem.into())
    }
}

/// The result of decoding.
pub type Result<T, E = FormatError> = std::result::Result<T, E>;
