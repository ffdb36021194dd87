//! What is wrong with an inventory, before it is known which one.

use std::fmt::Display;

use stocktake_core::{Error, Location};

/// A fault in the text of a manifest or in a data file.
///
/// Decoders know the fault, their caller knows the inventory; [`Fault::of`] puts the two together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// It contradicts itself or can't be decoded.
    #[error("{0}")]
    Corrupt(String),
    /// It has not this field, which comparison needs.
    #[error("it lacks the field {0}")]
    MissingField(&'static str),
    /// It may be sound, but this version does not read it.
    #[error("{0}")]
    Unsupported(String),
}

impl Fault {
    pub(crate) fn corrupt(problem: impl Into<String>) -> Self {
        Self::Corrupt(problem.into())
    }

    /// The same fault, with the place where it is in front.
    #[must_use]
    pub(crate) fn within(self, place: impl Display) -> Self {
        match self {
            Self::Corrupt(problem) => Self::Corrupt(format!("{place}: {problem}")),
            Self::Unsupported(problem) => Self::Unsupported(format!("{place}: {problem}")),
            field @ Self::MissingField(_) => field,
        }
    }

    /// The error of an inventory that has this fault.
    pub fn of(self, inventory: &Location) -> Error {
        let inventory = inventory.clone();
        match self {
            Self::Corrupt(problem) => Error::InventoryCorrupt { inventory, problem },
            Self::MissingField(field) => Error::InventoryMissingField { inventory, field },
            Self::Unsupported(problem) => Error::InventoryNotFound { location: inventory, problem },
        }
    }
}

/// The result of a decoder.
pub(crate) type Result<T, E = Fault> = std::result::Result<T, E>;

impl From<stocktake_parquet::Error> for Fault {
    fn from(error: stocktake_parquet::Error) -> Self {
        use std::error::Error as _;
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        Self::Corrupt(format!("{error}{cause}"))
    }
}
