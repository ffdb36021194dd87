//! The names of all blobs in a vault.
//!
//! Every name that is written after the vault was made carries the id of the job
//! that writes it, and is used once. So a late deletion can only hit what was
//! dead already, and a name decides which key a blob is sealed with.

use stocktake_core::{JobId, PackId};

/// Settings of the vault, plain JSON: version, id, encryption.
pub const VAULT_CONFIG: &str = "vault.json";
/// Folder of the wrapped copies of the vault's key.
pub const KEYS: &str = "keys/";
/// Folder of the flags of jobs that began.
pub const OPEN: &str = "open/";
/// Folder of decisions: one slot a job, committed or aborted.
pub const SLOTS: &str = "slots/";
/// Folder of the marks of snapshots no longer wanted.
pub const EXPIRE: &str = "expire/";
/// Folder of everything else that jobs write.
pub const JOBS: &str = "jobs/";

/// A wrapped copy of the vault's key.
pub fn key(id: &str) -> String {
    format!("{KEYS}{id}.json")
}

/// The flag of a job: raised before it relies on anything.
pub fn open(job: JobId) -> String {
    format!("{OPEN}{job}")
}

/// The decision about a job: the only commit point.
pub fn slot(job: JobId) -> String {
    format!("{SLOTS}{job}")
}

/// The mark that a snapshot is no longer wanted.
pub fn expire(snapshot: JobId) -> String {
    format!("{EXPIRE}{snapshot}")
}

/// A data pack.
pub fn pack(id: PackId) -> String {
    let PackId { job, own, worker, seq } = id;
    format!("{JOBS}{job}/d/{own}.{worker}-{seq}")
}

/// A base segment: the `seq`-th segment of its job, with the first 16 hex digits of its hash.
pub fn base_segment(job: JobId, seq: u32, hash16: &str) -> String {
    format!("{JOBS}{job}/c/{seq:06}-{hash16}.base")
}

/// A delta run, named as a base segment is.
pub fn delta_run(job: JobId, seq: u32, hash16: &str) -> String {
    format!("{JOBS}{job}/c/{seq:06}-{hash16}.delta")
}

/// What a segment refers to, beside the segment `segment`.
pub fn refs(segment: &str) -> String {
    let stem = segment.rsplit_once('.').map_or(segment, |(stem, _)| stem);
    format!("{stem}.refs")
}

/// The root of a snapshot.
pub fn root(job: JobId, hash16: &str) -> String {
    format!("{JOBS}{job}/root-{hash16}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_the_format_says() {
        let job = JobId::from_bytes([0; 16]);
        let id = "00000000-0000-0000-0000-000000000000";
        assert_eq!(pack(PackId { job, own: 1, worker: 2, seq: 3 }), format!("jobs/{id}/d/1.2-3"));
        assert_eq!(base_segment(job, 7, "abc"), format!("jobs/{id}/c/000007-abc.base"));
        assert_eq!(refs(&delta_run(job, 7, "abc")), format!("jobs/{id}/c/000007-abc.refs"));
        assert_eq!(slot(job), format!("slots/{id}"));
    }
}
