//! A change as a row of the answer.

use std::fmt;

use serde::{Serialize, Serializer};
use stocktake::export::change_to_json;
use stocktake::{Change, ChangeClass};

/// A change: for scripts the object now and as it was, for people a line.
pub(super) struct Row<'a>(pub(super) &'a Change);

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        change_to_json(self.0).serialize(serializer)
    }
}

impl fmt::Display for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (entry, class) = (self.0.entry(), self.0.class);
        let sign = match class {
            ChangeClass::Added => '+',
            ChangeClass::Deleted => '-',
            _ => '~',
        };
        write!(f, "{sign} {:16}  {:>11}  {}", class.as_str(), stocktake_examples::bytes(entry.size), entry.key)
    }
}
