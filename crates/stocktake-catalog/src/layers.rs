//! The layers of a snapshot, read as one table.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use stocktake_core::{BytesColumn, KeyRange, Result, RowBatch};
use stocktake_format::segment::{SegmentBatch, Wanted};
use stocktake_format::{Root, Run, SegmentRef, VaultKey};

use crate::merge::{RunBatches, merge_runs, overlay};
use crate::scan::{Batches, look_up, scan};
use crate::store::Store;
use crate::table::Table;

/// Reads of the bases under way in a scan.
const BASE_READS: usize = 8;

/// Reads of each run under way in a scan; there may be two dozen runs.
const RUN_READS: usize = 2;

/// How many segments are looked into at once.
const LOOKUPS: usize = 8;

/// Bases and runs of one root, and where to read them.
#[derive(Clone, Debug)]
pub(crate) struct Layers {
    store: Store,
    root: Arc<Root>,
}

/// What was found in a segment of a run (none for a base).
type FoundIn = (Option<u64>, Vec<SegmentBatch<RowBatch>>);

/// What a layer says of a key: which run it is (none for a base), the batch, and the row in it.
type Found<'a> = (Option<u64>, &'a SegmentBatch<RowBatch>, usize);

impl Layers {
    pub(crate) fn new(store: Store, root: Arc<Root>) -> Self {
        Self { store, root }
    }

    pub(crate) fn root(&self) -> &Arc<Root> {
        &self.root
    }

    pub(crate) fn key(&self) -> &VaultKey {
        self.store.key()
    }

    /// Streams the rows or entries in a range.
    ///
    /// Memory: one stream for the bases, one for each run, and a batch of output.
    pub(crate) fn scan<B: Table>(&self, range: KeyRange) -> BoxStream<'static, Result<B>> {
        if range.ends_before(range.start()) {
            return stream::empty().boxed();
        }
        let bases = self.bases(Wanted::Range(&range)).cloned().collect();
        overlay(scan(self.store.clone(), bases, range.clone(), BASE_READS), self.changes(&self.root.runs, range))
    }

    /// Streams what `runs` changed in a range, as far as it is not in the bases yet.
    pub(crate) fn changes<B: Table>(&self, runs: &[Run], range: KeyRange) -> Batches<B> {
        let streams = runs.iter().filter_map(|run| {
            let segments: Vec<_> = self.open_segments(run, Wanted::Range(&range)).cloned().collect();
            let batches = |segments| scan(self.store.clone(), segments, range.clone(), RUN_READS);
            (!segments.is_empty()).then(|| RunBatches { seq: run.seq, batches: batches(segments) })
        });
        merge_runs(Arc::clone(&self.root), streams.collect())
    }

    /// The rows of those of `keys` that exist, ascending. `keys` ascend.
    ///
    /// Memory: the rows found, and eight row groups.
    pub(crate) async fn look_up(&self, keys: &BytesColumn) -> Result<RowBatch> {
        let wanted = Wanted::Keys(keys);
        let bases = self.bases(wanted).map(|segment| (None, segment));
        let runs = self.root.runs.iter();
        let runs = runs.flat_map(|run| self.open_segments(run, wanted).map(|segment| (Some(run.seq), segment)));
        let lookups = bases.chain(runs).map(|(seq, segment)| self.look_up_in(seq, segment, keys));
        let lookups = stream::iter(lookups.collect::<Vec<_>>()).buffer_unordered(LOOKUPS);
        let found: Vec<_> = lookups.try_collect().await?;
        self.resolve(&found)
    }

    async fn look_up_in(&self, seq: Option<u64>, segment: &SegmentRef, keys: &BytesColumn) -> Result<FoundIn> {
        Ok((seq, look_up::<RowBatch>(&self.store, segment, Wanted::Keys(keys)).await?))
    }

    /// Of what the layers say of each key, what the newest says that is not folded.
    fn resolve(&self, found: &[FoundIn]) -> Result<RowBatch> {
        let mut newest: BTreeMap<&[u8], Found<'_>> = BTreeMap::new();
        let batches = found.iter().flat_map(|(seq, batches)| batches.iter().map(move |batch| (*seq, batch)));
        for (seq, batch) in batches {
            for row in 0..batch.rows.len() {
                let key = batch.rows.key(row);
                let fence = self.root.fence_of(key).map(|fence| &self.root.fences[fence]);
                let folded = seq.is_some_and(|seq| fence.is_some_and(|fence| seq <= fence.folded));
                let newer = newest.get(key).is_none_or(|(known, _, _)| *known < seq);
                if newer && !folded {
                    newest.insert(key, (seq, batch, row));
                }
            }
        }
        let mut rows = RowBatch::default();
        let mut present = newest.into_values().filter(|(_, batch, row)| !batch.is_deleted(*row));
        present.try_for_each(|(_, batch, row)| rows.push(&batch.rows.get(row)))?;
        Ok(rows)
    }

    fn bases<'a>(&'a self, wanted: Wanted<'a>) -> impl Iterator<Item = &'a SegmentRef> + 'a {
        let bases = self.root.fences.iter().filter_map(|fence| fence.base.as_ref());
        bases.filter(move |base| wanted.overlaps(base.low.as_bytes(), base.high.as_bytes()))
    }

    /// The segments of a run that may say something about wanted keys.
    fn open_segments<'a>(&'a self, run: &'a Run, wanted: Wanted<'a>) -> impl Iterator<Item = &'a SegmentRef> + 'a {
        run.segments.iter().filter(move |segment| {
            wanted.overlaps(segment.low.as_bytes(), segment.high.as_bytes()) && is_open(&self.root, run.seq, segment)
        })
    }
}

/// Whether some key of a segment of run `seq` may not be in its base yet.
pub(crate) fn is_open(root: &Root, seq: u64, segment: &SegmentRef) -> bool {
    let fences = root.fences_of(segment.low.as_bytes(), segment.high.as_bytes());
    root.fences[fences].iter().any(|fence| fence.folded < seq)
}
