//! What a restore does where the target has an object already: a pure decision.

use serde::{Deserialize, Serialize};
use stocktake_core::{IfExists, ObjectKey, Row, TargetObject};

/// What to do where the target has an object of the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ConflictPolicy {
    /// Leave it.
    Skip,
    /// Replace it.
    Overwrite,
    /// Replace it unless it has the same length and the same ETag, or the same length and time.
    OverwriteIfDifferent,
    /// Replace it if it was last modified before the one in the snapshot.
    OverwriteIfOlder,
    /// Leave it, and write the restored object as `KEY.restored-SNAPSHOT`.
    KeepBoth,
}

/// What becomes of an object.
pub(super) enum Decision {
    Write(ObjectKey, IfExists),
    Skip(&'static str),
}

pub(super) const EXISTS: &str = "the target has an object of this key";

/// What to do about an object, given what the target has: pure.
pub(super) fn decide(
    policy: ConflictPolicy,
    row: &Row,
    key: ObjectKey,
    there: Option<&TargetObject>,
    snapshot: &str,
) -> Decision {
    let Some(there) = there else {
        return Decision::Write(key, IfExists::Fail);
    };
    let same_tag = there.etag.is_some()
        && there.etag.as_ref().map(|etag| etag.code()) == row.entry.etag.as_ref().map(|etag| etag.code());
    let same_time = there.last_modified == row.entry.last_modified;
    match policy {
        ConflictPolicy::Skip => Decision::Skip(EXISTS),
        ConflictPolicy::OverwriteIfDifferent if there.size == row.entry.size && (same_tag || same_time) => {
            Decision::Skip("the target has the same object")
        }
        ConflictPolicy::OverwriteIfOlder if there.last_modified >= row.entry.last_modified => {
            Decision::Skip("the target's object is not older")
        }
        ConflictPolicy::Overwrite | ConflictPolicy::OverwriteIfDifferent | ConflictPolicy::OverwriteIfOlder => {
            Decision::Write(key, IfExists::Replace)
        }
        ConflictPolicy::KeepBoth => {
            let beside = [key.as_bytes(), b".restored-", snapshot.as_bytes()].concat();
            Decision::Write(ObjectKey::new(beside), IfExists::Replace)
        }
    }
}
