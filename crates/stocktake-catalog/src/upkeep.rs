//! Keeps the layers of a snapshot in shape while it is written.
//!
//! Three things are done, each in proportion to what changed. Bases of which
//! much has changed are rewritten with their changes, as far as the budget goes.
//! Runs that are in the bases everywhere are dropped. Runs that pile up are
//! merged with each other. What to do is decided by plain functions on the
//! root's numbers, in `plan`; here it is done, and proven.

use std::ops::Range;
use std::sync::Arc;

use futures::TryStreamExt;
use stocktake_core::{KeyRange, Result, RowBatch};
use stocktake_format::{Fence, FormatError, Root, Run};

use crate::bases::BaseBuilder;
use crate::deltas::{DeltaBuilder, First};
use crate::layers::{Layers, is_open};
use crate::plan;
use crate::sum::RowSum;
use crate::upload::Uploads;

/// The layers that come of `root` by upkeep.
pub(crate) async fn keep_up(uploads: &mut Uploads, root: Root, changed: u64) -> Result<Root> {
    let Root { seq, credit, fences, runs, .. } = root;
    let fences = plan::settle_empty(fences, seq).map_err(|low| {
        let problem = format!("no row is left from key {low} on, yet their sum is not zero");
        uploads.store().damaged("the parent's root", FormatError::damaged(problem))
    })?;
    let mut credit = credit.saturating_add(changed.saturating_mul(uploads.options().rewrite_factor));
    let groups = plan::rewrites(&fences, &mut credit, uploads.options());
    let credit = credit.min(2 * uploads.options().max_segment_rows);
    let view = Layers::new(uploads.store().clone(), Arc::new(Root::new(seq, credit, fences, runs)));
    let fences = rewrite(uploads, &view, groups).await?;
    let root = drop_folded(Root::new(seq, credit, fences, view.root().runs.clone()));
    merge_runs(uploads, root).await
}

/// Rewrites groups of neighbouring fences, each with all changes in it.
async fn rewrite(uploads: &mut Uploads, view: &Layers, groups: Vec<Range<usize>>) -> Result<Vec<Fence>> {
    let old = &view.root().fences;
    let (mut fences, mut next) = (Vec::new(), 0);
    for group in groups {
        fences.extend_from_slice(&old[next..group.start]);
        next = group.end;
        fences.extend(rewrite_group(uploads, view, group).await?);
    }
    fences.extend_from_slice(&old[next..]);
    Ok(fences)
}

/// Rewrites one group, and proves that its rows are what the books say.
async fn rewrite_group(uploads: &mut Uploads, view: &Layers, group: Range<usize>) -> Result<Vec<Fence>> {
    let root = view.root();
    let old = &root.fences[group.clone()];
    let end = root.fences.get(group.end).map(|next| next.low.clone().into_bytes());
    let expected = sum_of(old);
    let mut builder = BaseBuilder::new(uploads, Some(expected.tally.objects));
    let mut rows = view.scan::<RowBatch>(KeyRange::new(old[0].low.clone().into_bytes(), end));
    while let Some(batch) = rows.try_next().await? {
        builder.push(uploads, batch).await?;
    }
    let mut fences = builder.finish(uploads, root.seq).await?;
    if sum_of(&fences) != expected {
        return Err(uploads.store().damaged(
            blamed(root, old),
            FormatError::damaged(format!(
                "the rows from key {} on do not add up to what the snapshot's books say",
                old[0].low
            )),
        ));
    }
    if let Some(first) = fences.first_mut() {
        first.low = old[0].low.clone();
    }
    Ok(fences)
}

fn sum_of(fences: &[Fence]) -> RowSum {
    fences.iter().fold(RowSum::default(), |mut total, fence| {
        total.merge(RowSum { tally: fence.live, sum: fence.sum });
        total
    })
}

/// A segment that takes part in a group whose rows don't add up.
fn blamed<'a>(root: &'a Root, group: &'a [Fence]) -> &'a str {
    let bases = group.iter().filter_map(|fence| fence.base.as_ref());
    let runs = root.runs.iter().flat_map(|run| &run.segments);
    bases.chain(runs).next().map_or("the parent's root", |segment| &segment.name)
}

/// Leaves out segments of runs that are in the bases everywhere.
fn drop_folded(mut root: Root) -> Root {
    let mut runs = std::mem::take(&mut root.runs);
    for run in &mut runs {
        run.segments.retain(|segment| is_open(&root, run.seq, segment));
    }
    runs.retain(|run| !run.segments.is_empty());
    root.runs = runs;
    root
}

/// Merges the runs that have piled up.
async fn merge_runs(uploads: &mut Uploads, mut root: Root) -> Result<Root> {
    let runs = std::mem::take(&mut root.runs);
    let levels: Vec<u32> = runs.iter().map(|run| run.level).collect();
    let view = Layers::new(uploads.store().clone(), Arc::new(root.clone()));
    for plan::Merge { runs: merged, level } in plan::merges(&levels, uploads.options()) {
        let merged = &runs[merged];
        let run = match merged {
            [run] => Some(run.clone()),
            _ => merge(uploads, &view, merged, level).await?,
        };
        root.runs.extend(run);
    }
    Ok(root)
}

/// Merges neighbouring runs into one; `None` when nothing is left of them.
async fn merge(uploads: &mut Uploads, view: &Layers, runs: &[Run], level: u32) -> Result<Option<Run>> {
    let mut changes = view.changes::<RowBatch>(runs, KeyRange::all());
    let mut builder = DeltaBuilder::new(First::Stored);
    while let Some(batch) = changes.try_next().await? {
        builder.push_batch(uploads, batch).await?;
    }
    let segments = builder.finish(uploads).await?;
    let seq = runs.iter().map(|run| run.seq).max().unwrap_or_default();
    Ok((!segments.is_empty()).then_some(Run { seq, level, segments }))
}
