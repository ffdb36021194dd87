//! What do a commit, a look-up, a listing and a scan of the catalog cost by themselves?
//!
//! The vault is in memory, so that no store is measured. A million rows are
//! committed at first; of those a thousandth changes; look-ups and scans are of
//! the snapshot that this leaves, a delta run on top of base segments.

use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use futures::{StreamExt, TryStreamExt};
use stocktake::catalog::{VaultCatalog, browse};
use stocktake::memory::MemoryVault;
use stocktake::{BytesColumn, Catalog, KeyRange, RowBatch, RowDelta, Snapshot, SnapshotRecord};
use stocktake_benches::{Packed, commit, open_catalog};
use stocktake_testkit::inventories::Synthetic;
use tokio::runtime::Runtime;

const ROWS: u64 = 1_000_000;
/// One in so many rows changes from the first snapshot to the second.
const CHANGED: usize = 1_000;

fn bucket() -> Vec<RowBatch> {
    let mut packed = Packed::default();
    Synthetic::new(ROWS).before().map(|entries| packed.rows(entries)).collect()
}

fn first(bucket: &[RowBatch]) -> Vec<RowDelta> {
    bucket.iter().map(|rows| RowDelta { puts: rows.clone(), ..RowDelta::default() }).collect()
}

fn second(bucket: &[RowBatch]) -> Vec<RowDelta> {
    let change = |rows: &RowBatch| {
        let mut delta = RowDelta::default();
        for row in rows.iter().step_by(CHANGED) {
            delta.previous.push(&row).expect("a batch has few storage classes");
            let mut changed = row.to_row();
            changed.entry.size += 1;
            delta.puts.push(&changed.as_ref()).expect("a batch has few storage classes");
        }
        delta
    };
    bucket.iter().map(change).collect()
}

/// A vault with the first snapshot in it.
async fn begun(bucket: &[RowBatch]) -> (MemoryVault, VaultCatalog, SnapshotRecord) {
    let vault = MemoryVault::new();
    let catalog = open_catalog(Arc::new(vault.clone()));
    let record = commit(&catalog, 0, None, first(bucket)).await.expect("memory does not fail");
    (vault, catalog, record)
}

fn commits(criterion: &mut Criterion, runtime: &Runtime, bucket: &[RowBatch]) {
    let mut group = criterion.benchmark_group("commit");
    group.sample_size(10);
    group.throughput(Throughput::Elements(ROWS));
    group.bench_function("first", |bench| bench.iter(|| runtime.block_on(begun(bucket))));
    let mut later = |name: &str, deltas: &dyn Fn() -> Vec<RowDelta>| {
        group.bench_function(name, |bench| {
            bench.iter_batched(
                || (runtime.block_on(begun(bucket)), deltas()),
                |((_, catalog, record), deltas)| runtime.block_on(commit(&catalog, 1, Some(record.id), deltas)),
                BatchSize::PerIteration,
            );
        });
    };
    later("a thousandth changed", &|| second(bucket));
    later("unchanged", &Vec::new);
}

fn reads(criterion: &mut Criterion, runtime: &Runtime, bucket: &[RowBatch]) {
    let (vault, snapshot) = runtime.block_on(async {
        let (vault, catalog, record) = begun(bucket).await;
        let record = commit(&catalog, 1, Some(record.id), second(bucket)).await.expect("memory does not fail");
        (vault, catalog.open(record.id).await.expect("it was just committed"))
    });
    let id = snapshot.record().id;
    let key: BytesColumn = [bucket[bucket.len() / 2].key(17)].into_iter().collect();
    let mut group = criterion.benchmark_group("look-up");
    group.sample_size(20);
    group.bench_function("cold", |bench| {
        bench.iter(|| {
            runtime.block_on(async {
                let catalog = open_catalog(Arc::new(vault.clone()));
                catalog.open(id).await?.lookup(&key).await
            })
        });
    });
    group.bench_function("warm", |bench| bench.iter(|| runtime.block_on(snapshot.lookup(&key))));
    group.bench_function("level of folders", |bench| {
        bench.iter(|| runtime.block_on(browse(Arc::clone(&snapshot), b"photos/2026/", b'/').take(100).count()));
    });
    group.finish();
    scans(criterion, runtime, &*snapshot);
}

fn scans(criterion: &mut Criterion, runtime: &Runtime, snapshot: &dyn Snapshot) {
    let mut group = criterion.benchmark_group("scan");
    group.sample_size(10);
    group.throughput(Throughput::Elements(ROWS));
    group.bench_function("entries", |bench| {
        bench.iter(|| runtime.block_on(snapshot.entries().try_for_each(|_| async { Ok(()) })));
    });
    group.bench_function("rows", |bench| {
        bench.iter(|| runtime.block_on(snapshot.rows(KeyRange::all()).try_for_each(|_| async { Ok(()) })));
    });
}

fn catalog(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("threads start");
    let bucket = bucket();
    commits(criterion, &runtime, &bucket);
    reads(criterion, &runtime, &bucket);
}

criterion_group!(benches, catalog);
criterion_main!(benches);
