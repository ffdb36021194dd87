//! Documents of jobs read back as they were written.

use stocktake_core::{JobId, JobSummary, RootRef, SnapshotRecord, Tally};
use stocktake_format::{Slot, VaultId, VaultKey, decode_document, encode_document};
use stocktake_testkit::conformance::catalog;

fn record(summary: JobSummary) -> SnapshotRecord {
    let job = catalog::job(3, Some(JobId::from_bytes([1; 16])));
    SnapshotRecord {
        id: job.id,
        name: job.name,
        plan: job.plan,
        trigger: job.trigger,
        parent: job.parent,
        started: job.started,
        committed: job.started,
        total: Tally { objects: 3, bytes: u128::from(u64::MAX) * 7 },
        state_sum: "00".repeat(32),
        root: RootRef { name: "jobs/j/root-0".to_owned(), hash: "00".repeat(32) },
        software: "0.1.0".to_owned(),
        summary,
    }
}

#[test]
fn a_slot_reads_back_with_sums_beyond_64_bits() {
    let key = VaultKey::unencrypted(VaultId([1; 16]));
    let slot = Slot::Commit { record: record(catalog::summary()) };
    let bytes = encode_document(&key, "slots/x", &slot);
    assert_eq!(decode_document::<Slot>(&key, "slots/x", &bytes).unwrap(), slot);
}
