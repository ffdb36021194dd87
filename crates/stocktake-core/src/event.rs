//! What a job does, as it happens.

use crate::{ChangeCounts, Error, Location, ObjectKey, RequestCounts, SnapshotId, Tally};

/// Something a job did.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Something is unusual but does not stop the job, such as a new full comparison because the scope changed.
    Notice {
        /// What, in a sentence.
        message: &'a str,
    },
    /// The comparison has read this much so far.
    Compared {
        /// Rows of the current state read.
        rows: u64,
    },
    /// The comparison is done: what will be copied is known exactly.
    Planned {
        /// What differs.
        counts: &'a ChangeCounts,
        /// What is to be read from the source.
        to_copy: Tally,
    },
    /// An object's bytes are in the vault or on their way; they are durable once the snapshot is committed.
    ObjectCopied {
        /// The object.
        key: &'a ObjectKey,
        /// Bytes read from the source.
        bytes: u64,
    },
    /// The object was gone when it was to be copied. The job goes on.
    ObjectVanished {
        /// The object.
        key: &'a ObjectKey,
    },
    /// The object had changed since the inventory; the newer version was stored and marked.
    ObjectNewer {
        /// The object.
        key: &'a ObjectKey,
    },
    /// The object is in an archive class: its row is kept, its bytes were not copied.
    ObjectArchived {
        /// The object.
        key: &'a ObjectKey,
    },
    /// The object could not be copied or restored. The job goes on and ends with issues.
    ObjectFailed {
        /// The object.
        key: &'a ObjectKey,
        /// Why.
        error: &'a Error,
    },
    /// The object was restored, or in a dry run would be.
    ObjectRestored {
        /// The object, as the snapshot knows it.
        key: &'a ObjectKey,
        /// Its key in the target.
        to: &'a ObjectKey,
        /// Bytes written to the target.
        bytes: u64,
    },
    /// The object was left out, because of a policy: of a restore, or of a copy that finds another version.
    ObjectSkipped {
        /// The object.
        key: &'a ObjectKey,
        /// Why.
        reason: &'a str,
    },
    /// How much is done.
    Progress {
        /// So far; never more than the total.
        done: Tally,
        /// In all, exactly; `None` where that is not known beforehand, as of a verification.
        total: Option<Tally>,
    },
    /// The snapshot is committed: it is there for every reader from now on.
    Committed {
        /// The snapshot.
        snapshot: SnapshotId,
        /// Requests the job sent.
        requests: &'a RequestCounts,
    },
    /// An inventory that was used was removed, as the job was told to.
    InventoryRemoved {
        /// Which.
        inventory: &'a Location,
    },
    /// An inventory could not be removed. The snapshot stays; the job ends with issues.
    InventoryKept {
        /// Which.
        inventory: &'a Location,
        /// Why.
        error: &'a Error,
    },
}

/// Receives events. Called from many tasks at once; must not block and must not panic.
///
/// `()` is the observer for nobody listening.
pub trait Observer: Send + Sync {
    /// Something happened.
    fn on_event(&self, event: &Event<'_>);
}

impl Observer for () {
    fn on_event(&self, _event: &Event<'_>) {}
}
