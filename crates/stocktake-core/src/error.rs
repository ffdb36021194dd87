//! Failures, as states of the world that a caller can act on.

use std::path::PathBuf;
use std::time::Duration;

use crate::{Location, ObjectKey, SnapshotId, Timestamp};

/// A cause from a layer below, kept whole.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// The result of everything here that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure of a store, an inventory, a catalog or a job.
///
/// A message covers its own level only; what lies below is its
/// [`source`](std::error::Error::source). [`code`](Error::code) gives a stable
/// word for programs, [`help`](Error::help) the advice for people.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No object has this key (any more). Not retryable.
    #[error("object {key} is not in {location}")]
    ObjectNotFound {
        /// The object.
        key: ObjectKey,
        /// Where it was looked for.
        location: Location,
    },

    /// The object is not the version that was asked for. The next inventory has the new one.
    #[error("object {key} in {location} changed since it was listed: expected etag {expected}")]
    ObjectChanged {
        /// The object.
        key: ObjectKey,
        /// Where it is.
        location: Location,
        /// The tag or version that was asked for.
        expected: String,
    },

    /// The object is in an archive class and can't be read until it is thawed.
    #[error("object {key} in {location} is archived")]
    ObjectArchived {
        /// The object.
        key: ObjectKey,
        /// Where it is.
        location: Location,
    },

    /// What arrived is not what was announced: too few bytes, or another checksum. Retryable.
    #[error("object {key} in {location} arrived damaged: {problem}")]
    ObjectDamaged {
        /// The object.
        key: ObjectKey,
        /// Where it was read.
        location: Location,
        /// What differs.
        problem: String,
    },

    /// This client can't name the key exactly, and no other key is used in its place.
    #[error("key {key} can't be named exactly in {location}: {problem}")]
    KeyUnsupported {
        /// The key.
        key: ObjectKey,
        /// The store.
        location: Location,
        /// What about the key.
        problem: String,
    },

    /// The bucket or folder does not exist.
    #[error("{location} does not exist")]
    LocationNotFound {
        /// The bucket, prefix or folder.
        location: Location,
    },

    /// The store refuses: credentials are missing, wrong, or lack a permission.
    #[error("{location} denies access to {action}")]
    AccessDenied {
        /// The store.
        location: Location,
        /// What was tried, on which name.
        action: String,
        /// What the store said.
        source: BoxError,
    },

    /// The store did not answer, or asked to slow down. Repeat the call.
    #[error("{location} is unavailable: could not {action}")]
    Unavailable {
        /// The store.
        location: Location,
        /// What was tried, on which name.
        action: String,
        /// What happened.
        source: BoxError,
    },

    /// The store answered with a failure that repeating won't mend.
    #[error("{location} failed to {action}")]
    Rejected {
        /// The store.
        location: Location,
        /// What was tried, on which name.
        action: String,
        /// What the store said.
        source: BoxError,
    },

    /// A blob of this name is there already; it was left as it is.
    #[error("{name} already exists in {location}")]
    BlobExists {
        /// The blob.
        name: String,
        /// The vault.
        location: Location,
    },

    /// No blob has this name.
    #[error("{name} is not in {location}")]
    BlobNotFound {
        /// The blob.
        name: String,
        /// The vault.
        location: Location,
    },

    /// A blob does not decode to what was written: cut short, altered, or swapped for another.
    #[error("{name} in {location} is damaged: {problem}")]
    BlobDamaged {
        /// The blob.
        name: String,
        /// The vault.
        location: Location,
        /// What is wrong with it.
        problem: String,
    },

    /// There is no vault here.
    #[error("{location} is not a stocktake vault")]
    VaultNotFound {
        /// Where one was looked for.
        location: Location,
    },

    /// A vault is here already.
    #[error("{location} already holds a vault")]
    VaultExists {
        /// Where.
        location: Location,
    },

    /// The vault needs a newer version of this software.
    #[error("the vault {location} can't be used by this version: {problem}")]
    VaultUnsupported {
        /// The vault.
        location: Location,
        /// Its version or feature.
        problem: String,
    },

    /// The key or passphrase does not open the vault, or none was given.
    #[error("the vault {location} does not open: {problem}")]
    WrongKey {
        /// The vault.
        location: Location,
        /// What was tried.
        problem: String,
    },

    /// No snapshot has this id or name.
    #[error("there is no snapshot {snapshot} in {location}")]
    SnapshotNotFound {
        /// What was asked for.
        snapshot: String,
        /// The vault.
        location: Location,
    },

    /// Another snapshot of the vault has this name.
    #[error("a snapshot named {name:?} exists already: {snapshot}")]
    NameTaken {
        /// The name.
        name: String,
        /// Who has it.
        snapshot: SnapshotId,
    },

    /// The job can't commit any more: its slot was decided by somebody else.
    #[error("job {job} was aborted and can't commit: {reason}")]
    JobAborted {
        /// The job.
        job: SnapshotId,
        /// Who decided, and why.
        reason: String,
    },

    /// No inventory, or none that is ready.
    #[error("no usable inventory at {location}: {problem}")]
    InventoryNotFound {
        /// Where one was looked for.
        location: Location,
        /// What was found instead.
        problem: String,
    },

    /// The inventory is not newer than the one the last snapshot used.
    #[error(
        "inventory {inventory} of {created} is not newer than that of the last snapshot, {last_inventory} of {last_created}"
    )]
    InventoryStale {
        /// The inventory that was chosen.
        inventory: Location,
        /// Its scan start.
        created: Timestamp,
        /// The last snapshot's inventory.
        last_inventory: Location,
        /// Its scan start.
        last_created: Timestamp,
    },

    /// The newest inventory is older than the job allows.
    #[error("inventory {inventory} of {created} is older than {}", in_words(max_age))]
    InventoryTooOld {
        /// The newest one there is.
        inventory: Location,
        /// Its scan start.
        created: Timestamp,
        /// The oldest age allowed.
        max_age: Duration,
    },

    /// A part of the inventory is missing or can't be read. Nothing is concluded from it.
    #[error("inventory {inventory} is incomplete: {problem}")]
    InventoryIncomplete {
        /// The inventory.
        inventory: Location,
        /// The part.
        problem: String,
    },

    /// The inventory contradicts itself or can't be decoded. Nothing is concluded from it.
    #[error("inventory {inventory} is corrupt: {problem}")]
    InventoryCorrupt {
        /// The inventory.
        inventory: Location,
        /// File, row and fault.
        problem: String,
    },

    /// The inventory is of another bucket, or does not cover the source path.
    #[error("inventory {inventory} does not fit the source: {problem}")]
    InventoryScopeMismatch {
        /// The inventory.
        inventory: Location,
        /// What differs.
        problem: String,
    },

    /// A field that change detection needs is not in the inventory.
    #[error("inventory {inventory} lacks the field {field}")]
    InventoryMissingField {
        /// The inventory.
        inventory: Location,
        /// The field, as the inventory's owner would tick it.
        field: &'static str,
    },

    /// A guard stopped the job: the change is too large to be taken for granted.
    #[error("stopped by a guard: {problem}")]
    GuardMassChange {
        /// What was counted, and the limit.
        problem: String,
    },

    /// Local disk or folder for temporary files failed.
    #[error("could not {action} {}", path.display())]
    LocalStorage {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },

    /// What the caller gave makes no sense.
    #[error("{problem}")]
    InvalidInput {
        /// What, and why.
        problem: String,
    },

    /// The caller cancelled the job. Nothing was committed.
    #[error("cancelled")]
    Cancelled,
}

impl Error {
    /// An [`Error::InvalidInput`].
    pub fn invalid(problem: impl Into<String>) -> Self {
        Self::InvalidInput { problem: problem.into() }
    }

    /// An [`Error::LocalStorage`], for `map_err`.
    pub fn local(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::LocalStorage { action, path, source }
    }

    /// Whether the same call may succeed if repeated unchanged.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::ObjectDamaged { .. })
    }

    /// Whether a guard or check refused the job before anything was changed:
    /// the caller may mend the input, or decide to go past.
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::InventoryNotFound { .. }
                | Self::InventoryStale { .. }
                | Self::InventoryTooOld { .. }
                | Self::InventoryIncomplete { .. }
                | Self::InventoryCorrupt { .. }
                | Self::InventoryScopeMismatch { .. }
                | Self::InventoryMissingField { .. }
                | Self::GuardMassChange { .. }
        )
    }

    /// A stable snake_case word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::ObjectNotFound { .. } => "object_not_found",
            Self::ObjectChanged { .. } => "object_changed",
            Self::ObjectArchived { .. } => "object_archived",
            Self::ObjectDamaged { .. } => "object_damaged",
            Self::KeyUnsupported { .. } => "key_unsupported",
            Self::LocationNotFound { .. } => "source_not_found",
            Self::AccessDenied { .. } => "access_denied",
            Self::Unavailable { .. } => "unavailable",
            Self::Rejected { .. } => "store_error",
            Self::BlobExists { .. } => "blob_exists",
            Self::BlobNotFound { .. } => "blob_not_found",
            Self::BlobDamaged { .. } => "corrupt_pack",
            Self::VaultNotFound { .. } => "vault_not_found",
            Self::VaultExists { .. } => "vault_exists",
            Self::VaultUnsupported { .. } => "vault_unsupported",
            Self::WrongKey { .. } => "wrong_key",
            Self::SnapshotNotFound { .. } => "snapshot_not_found",
            Self::NameTaken { .. } => "name_taken",
            Self::JobAborted { .. } => "job_aborted",
            Self::InventoryNotFound { .. } => "inventory_not_found",
            Self::InventoryStale { .. } => "inventory_stale",
            Self::InventoryTooOld { .. } => "inventory_too_old",
            Self::InventoryIncomplete { .. } => "inventory_incomplete",
            Self::InventoryCorrupt { .. } => "inventory_corrupt",
            Self::InventoryScopeMismatch { .. } => "inventory_scope_mismatch",
            Self::InventoryMissingField { .. } => "inventory_missing_field",
            Self::GuardMassChange { .. } => "guard_mass_change",
            Self::LocalStorage { .. } => "local_storage",
            Self::InvalidInput { .. } => "invalid_input",
            Self::Cancelled => "cancelled",
        }
    }

    /// What the person who reads the message can do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::ObjectNotFound { .. } => {
                "check the key; an object that was deleted in the source leaves the backup with the next inventory"
            }
            Self::ObjectChanged { .. } => "the next inventory lists the new version; it is copied then",
            Self::ObjectArchived { .. } => "thaw the object in the source, then back up again",
            Self::ObjectDamaged { .. } => "read it again; if it stays damaged, check the object in the source",
            Self::KeyUnsupported { .. } => {
                "this key needs a client that sends keys unchanged; every other key is unaffected"
            }
            Self::LocationNotFound { .. } => "check the spelling, the endpoint and the region",
            Self::AccessDenied { .. } => "check the credentials of this role and that its policy allows the action",
            Self::Unavailable { .. } => "check the endpoint and the network, then repeat",
            Self::Rejected { .. } => "see the store's own message",
            Self::BlobExists { .. } => "names are used once; if two jobs share an id, give each its own",
            Self::BlobNotFound { .. } => {
                "something deleted it outside of stocktake; run verify to see what it takes away"
            }
            Self::BlobDamaged { .. } => "run verify to see which keys it concerns, and restore the blob from a replica",
            Self::VaultNotFound { .. } => "check the location, or make a vault there with init",
            Self::VaultExists { .. } => "use it, or choose an empty location",
            Self::VaultUnsupported { .. } => "use the version of stocktake that wrote it, or a newer one",
            Self::WrongKey { .. } => "give the passphrase or key file that the vault was made with",
            Self::SnapshotNotFound { .. } => "list the snapshots to see their ids and names",
            Self::NameTaken { .. } => "choose another name",
            Self::JobAborted { .. } => "start the backup again; what was committed before is untouched",
            Self::InventoryNotFound { .. } => {
                "check that the inventory is enabled and delivered there, or list the source instead"
            }
            Self::InventoryStale { .. } => "wait for the next inventory, or make a full backup from this one",
            Self::InventoryTooOld { .. } => "check why no newer inventory is delivered, or allow a greater age",
            Self::InventoryIncomplete { .. } => "wait until delivery is complete, or use an earlier inventory",
            Self::InventoryCorrupt { .. } => "use another inventory, and report this one to its maker",
            Self::InventoryScopeMismatch { .. } => {
                "use the inventory of this bucket, with a prefix that contains the source path"
            }
            Self::InventoryMissingField { .. } => {
                "tick the field in the inventory's configuration and wait for the next delivery"
            }
            Self::GuardMassChange { .. } => "make sure that the change is meant, then run again and allow it",
            Self::LocalStorage { .. } => "check that the path is there and may be used, and that the disk has room",
            Self::InvalidInput { .. } => "correct what was given",
            Self::Cancelled => "run it again; nothing was lost",
        }
    }
}
/// A duration as people say it: in its largest whole unit.
fn in_words(duration: &Duration) -> String {
    const UNITS: [(u64, &str); 3] = [(24 * 60 * 60, "d"), (60 * 60, "h"), (60, "min")];
    let seconds = duration.as_secs();
    match UNITS.iter().find(|(unit, _)| seconds >= *unit && seconds.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{} {name}", seconds / unit),
        None => format!("{seconds} s"),
    }
}
