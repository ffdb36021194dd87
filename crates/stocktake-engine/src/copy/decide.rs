//! What is to be done about one change: a pure decision.

use stocktake_core::{Change, ChangeClass, Content, Entry, Provenance, Row};

use super::{OnArchived, RowOp};
use crate::compare::ChangeRef;

/// What is to be done about a change.
#[derive(Debug)]
pub(crate) enum Action {
    /// The row follows from what is known already.
    Row(RowOp),
    /// Read the object, whole.
    Copy { entry: Entry, previous: Option<Row> },
    /// The bytes are in the vault; ask the source for content headers and metadata only.
    Refresh { entry: Entry, previous: Row },
    /// List the object without its bytes, and count it.
    Archive { entry: Entry, previous: Option<Row> },
    /// Count the object as failed because it is archived.
    RefuseArchived { entry: Entry, previous: Option<Row> },
}

/// Decides about `change`; `previous` is the parent's row at the key.
pub(crate) fn decide(change: Change, previous: Option<Row>, on_archived: OnArchived) -> Action {
    let Some(entry) = change.current else {
        return Action::Row(RowOp { previous, put: None });
    };
    let archived = is_archive_class(&entry.class);
    let has_bytes = |row: &Row| row.content != Content::Absent;
    match (change.class, previous) {
        (ChangeClass::ClassChanged, Some(previous)) if has_bytes(&previous) => {
            Action::Row(carried_row(entry, previous))
        }
        (ChangeClass::MetadataChanged, Some(previous)) if has_bytes(&previous) => {
            // An archived object can't be asked for its metadata; what was captured before stands.
            if archived { Action::Row(carried_row(entry, previous)) } else { Action::Refresh { entry, previous } }
        }
        (_, previous) if archived => match on_archived {
            OnArchived::Skip => Action::Archive { entry, previous },
            OnArchived::Fail => Action::RefuseArchived { entry, previous },
        },
        (_, previous) => Action::Copy { entry, previous },
    }
}

/// What a change will ask of the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outlook {
    /// Nothing.
    Nothing,
    /// One request, for this many bytes of the object.
    Read(u64),
    /// Nothing, because the object is archived.
    Archived(u64),
}

/// What [`decide`] will come to, as far as can be told without the parent's row.
///
/// It differs only where the parent could not read an object: that is read now,
/// and was not foreseen.
pub(crate) fn outlook(change: &ChangeRef<'_>) -> Outlook {
    let Some(current) = change.current else { return Outlook::Nothing };
    let archived = is_archive_class(current.class);
    let bytes_are_there = change.previous.is_some_and(|previous| !is_archive_class(previous.class));
    match change.class {
        ChangeClass::ClassChanged if bytes_are_there => Outlook::Nothing,
        ChangeClass::MetadataChanged if bytes_are_there && archived => Outlook::Nothing,
        ChangeClass::MetadataChanged if bytes_are_there => Outlook::Read(0),
        _ if archived => Outlook::Archived(current.size),
        _ => Outlook::Read(current.size),
    }
}

/// The row with the entry's new facts and the bytes it has.
pub(crate) fn carried_row(entry: Entry, previous: Row) -> RowOp {
    let put = Row {
        entry,
        content: previous.content.clone(),
        provenance: Provenance::Exact,
        attributes: previous.attributes.clone(),
    };
    RowOp { put: Some(put), previous: Some(previous) }
}

/// The row of an archived object: its facts, without bytes.
pub(crate) fn archived_row(entry: Entry, previous: Option<Row>) -> RowOp {
    let put = Row { entry, content: Content::Absent, provenance: Provenance::Archived, attributes: Default::default() };
    RowOp { previous, put: Some(put) }
}

/// The row of an object that could not be read: what the parent had, marked.
///
/// Its facts stay those of the parent's version, so the next comparison finds
/// the difference again. Without a parent's row there is none, and the object
/// is found as added again.
pub(crate) fn unreadable_row(previous: Option<Row>) -> RowOp {
    let put = previous.clone().map(|row| Row { provenance: Provenance::Unreadable, ..row });
    RowOp { previous, put }
}

/// Whether objects of the class can't be read without a thaw.
///
/// Sources: the storage classes of the S3 API (GLACIER and DEEP_ARCHIVE; not
/// GLACIER_IR, which reads at once) and of Alibaba OSS (Archive, ColdArchive,
/// DeepColdArchive).
pub fn is_archive_class(class: &str) -> bool {
    ["GLACIER", "DEEP_ARCHIVE", "Archive", "ColdArchive", "DeepColdArchive"].contains(&class)
}

/// Whether the class is known as one whose objects are read without a thaw.
///
/// Sources: the storage classes of the S3 API and of Alibaba OSS. Intelligent-Tiering
/// is among them, though it may have moved an object to a tier that has to be thawed.
pub(crate) fn reads_at_once(class: &str) -> bool {
    const KNOWN: [&str; 10] = [
        "",
        "STANDARD",
        "REDUCED_REDUNDANCY",
        "STANDARD_IA",
        "ONEZONE_IA",
        "INTELLIGENT_TIERING",
        "GLACIER_IR",
        "EXPRESS_ONEZONE",
        "Standard",
        "IA",
    ];
    KNOWN.contains(&class)
}

#[cfg(test)]
mod tests {
    use super::*;
    use stocktake_core::Timestamp;

    fn row(content: Content) -> Row {
        Row { entry: entry("STANDARD"), content, provenance: Provenance::Exact, attributes: Default::default() }
    }

    fn entry(class: &str) -> Entry {
        Entry::new("k", 3, Timestamp::from_millis(1)).with_etag("e").with_class(class)
    }

    fn change(class: ChangeClass, storage_class: &str) -> Change {
        Change { class, current: Some(entry(storage_class)), previous: None }
    }

    #[test]
    fn a_change_of_class_alone_reads_nothing() {
        let action = decide(change(ChangeClass::ClassChanged, "GLACIER"), Some(row(Content::Empty)), OnArchived::Skip);
        let Action::Row(RowOp { put: Some(put), .. }) = action else { panic!("{action:?}") };
        assert_eq!((put.entry.class.as_str(), put.content), ("GLACIER", Content::Empty));
    }

    #[test]
    fn an_object_without_bytes_is_copied_once_it_can_be_read() {
        let action =
            decide(change(ChangeClass::ClassChanged, "STANDARD"), Some(row(Content::Absent)), OnArchived::Skip);
        assert!(matches!(action, Action::Copy { .. }));
        let action = decide(change(ChangeClass::Added, "DEEP_ARCHIVE"), None, OnArchived::Skip);
        assert!(matches!(action, Action::Archive { .. }));
    }

    #[test]
    fn metadata_is_asked_for_without_bytes() {
        let action =
            decide(change(ChangeClass::MetadataChanged, "STANDARD"), Some(row(Content::Empty)), OnArchived::Skip);
        assert!(matches!(&action, Action::Refresh { .. }));
    }

    #[test]
    fn the_outlook_is_what_is_decided() {
        use ChangeClass::*;
        let outlook = |class, from: Option<&str>, to: &str| {
            let (previous, current) = (from.map(entry), entry(to));
            let previous = previous.as_ref().map(Entry::as_ref);
            outlook(&ChangeRef { class, current: Some(current.as_ref()), previous })
        };
        assert_eq!(outlook(Added, None, "STANDARD"), Outlook::Read(3));
        assert_eq!(outlook(Changed, Some("STANDARD"), "GLACIER"), Outlook::Archived(3));
        assert_eq!(outlook(ClassChanged, Some("STANDARD"), "GLACIER"), Outlook::Nothing);
        assert_eq!(outlook(ClassChanged, Some("GLACIER"), "STANDARD"), Outlook::Read(3));
        assert_eq!(outlook(MetadataChanged, Some("STANDARD"), "STANDARD"), Outlook::Read(0));
    }
}
