//! What do order, sort and comparison cost by themselves?
//!
//! Batches are made beforehand and kept in memory, so that no reader is measured:
//! only the copy of each batch that is handed out. `ordering` is a first backup,
//! where there is nothing to compare with; `comparing` are two days of which a
//! hundredth of the rows differ. Ten million rows take some 2.5 GB; to leave them
//! out, run `cargo bench --bench diff -- /1000000`.

use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use stocktake::compare::{CompareOptions, Side, compare};
use stocktake::{
    BATCH_ROWS, EntryBatch, Inventory, InventoryFormat, InventoryInfo, KeyFilter, Location, Result, SeededEntropy,
    Timestamp, keep_wanted,
};
use stocktake_benches::Layout;
use tokio_util::sync::CancellationToken;

const PARTS: u64 = 10;

/// An inventory whose batches are in memory.
#[derive(Debug)]
struct InMemory {
    info: InventoryInfo,
    parts: Vec<Arc<[EntryBatch]>>,
}

impl InMemory {
    /// Cuts entries into parts of `rows_a_part` rows.
    fn new(batches: impl Iterator<Item = EntryBatch>, rows_a_part: usize) -> Arc<Self> {
        let mut parts: Vec<Vec<EntryBatch>> = Vec::new();
        for (rows, entry) in batches.collect::<Vec<_>>().iter().flat_map(EntryBatch::iter).enumerate() {
            if rows % rows_a_part == 0 {
                parts.push(Vec::new());
            }
            let part = parts.last_mut().expect("begun with the first row");
            if part.last().is_none_or(|batch| batch.len() == BATCH_ROWS) {
                part.push(EntryBatch::default());
            }
            part.last_mut().expect("just begun").push(&entry).expect("a batch has few storage classes");
        }
        let parts: Vec<Arc<[EntryBatch]>> = parts.into_iter().map(Into::into).collect();
        let info = InventoryInfo {
            files: parts.len() as u64,
            ..InventoryInfo::new(Location::new("memory"), InventoryFormat::Csv, Timestamp::default())
        };
        Arc::new(Self { info, parts })
    }
}

impl Inventory for InMemory {
    fn info(&self) -> &InventoryInfo {
        &self.info
    }

    fn parts(&self) -> usize {
        self.parts.len()
    }

    fn read(&self, part: usize) -> BoxStream<'static, Result<EntryBatch>> {
        let batches = Arc::clone(&self.parts[part]);
        stream::iter(0..batches.len()).map(move |index| Ok(batches[index].clone())).boxed()
    }

    fn read_wanted(&self, part: usize, wanted: KeyFilter) -> BoxStream<'static, Result<EntryBatch>> {
        keep_wanted(self.read(part), wanted)
    }

    fn read_versions(&self, part: usize) -> BoxStream<'static, Result<EntryBatch>> {
        self.read(part)
    }

    fn source_lists(&self) -> u64 {
        0
    }
}

fn diff(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("threads start");
    let run = |previous: Side, current: Side| {
        let (options, entropy, cancel) = (CompareOptions::default(), SeededEntropy::new(1), CancellationToken::new());
        runtime.block_on(compare(previous, current, &options, &entropy, &(), &cancel)).expect("nothing can fail")
    };
    for rows in [1_000_000, 10_000_000] {
        for layout in Layout::ALL {
            let rows_a_part = usize::try_from(rows / PARTS).expect("fewer rows than addresses");
            let [before, after] = layout.two_days(rows, rows_a_part).map(|day| InMemory::new(day, rows_a_part));
            let side = |inventory: &Arc<InMemory>| Side::Inventory(Arc::clone(inventory) as Arc<dyn Inventory>);
            for (question, previous) in [("ordering", Side::Nothing), ("comparing", side(&before))] {
                let mut group = criterion.benchmark_group(question);
                group.sample_size(10).throughput(Throughput::Elements(rows));
                group.bench_function(BenchmarkId::new(layout.as_str(), rows), |bencher| {
                    bencher.iter(|| run(previous.clone(), side(&after)));
                });
                group.finish();
            }
        }
    }
}

criterion_group!(benches, diff);
criterion_main!(benches);
