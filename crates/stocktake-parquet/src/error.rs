//! What can be wrong with a Parquet file.

/// A failure to read a Parquet file. A reader that returned one is of no more use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes contradict themselves or end too early.
    #[error("damaged Parquet file: {problem}")]
    Damaged {
        /// What does not add up.
        problem: String,
    },

    /// The file may be sound, but uses something that is not read here.
    #[error("unsupported Parquet file: {problem}")]
    Unsupported {
        /// What it uses.
        problem: String,
    },

    /// The footer could not be parsed or decrypted, or the bytes could not be fetched.
    #[error("the Parquet file can't be read")]
    Read(#[from] parquet::errors::ParquetError),
}

/// The result of everything here that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn damaged(problem: impl Into<String>) -> Self {
        Self::Damaged { problem: problem.into() }
    }

    pub(crate) fn unsupported(problem: impl Into<String>) -> Self {
        Self::Unsupported { problem: problem.into() }
    }
}
