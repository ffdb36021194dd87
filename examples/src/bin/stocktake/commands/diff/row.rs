//! A change as a row of the answer.

use std::fmt;

use serde::{Serialize, Serializer};
use stocktake::export::ChangeColumns;
use stocktake::{Change, ChangeClass};

/// A change: for scripts the object or version now and as it was, for people a line.
pub(super) struct Row<'a> {
    pub(super) change: &'a Change,
    pub(super) columns: ChangeColumns,
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.columns.json(self.change).serialize(serializer)
    }
}

impl fmt::Display for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (entry, class) = (self.change.entry(), self.change.class);
        let sign = match class {
            ChangeClass::Added | ChangeClass::VersionAdded | ChangeClass::Recreated => '+',
            ChangeClass::Deleted | ChangeClass::DeleteMarker => '-',
            _ => '~',
        };
        write!(f, "{sign} {:16}  {:>11}  {}", class.as_str(), stocktake_examples::bytes(entry.size), entry.key)?;
        match (self.columns, &entry.version) {
            (ChangeColumns::Versions, Some(version)) => write!(f, "  {version}"),
            _ => Ok(()),
        }
    }
}
