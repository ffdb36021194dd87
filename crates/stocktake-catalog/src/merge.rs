//! Merges delta runs with each other, and their result with base segments.
//!
//! All inputs ascend strictly by key, and so does the output. A merge holds one
//! batch of each input and one of output.

use std::sync::Arc;

use futures::stream::{self, BoxStream, StreamExt};
use stocktake_core::{BATCH_ROWS, Result};
use stocktake_format::Root;
use stocktake_format::segment::SegmentBatch;

use crate::scan::Batches;
use crate::table::{Builder, Table, slice};

/// A run to be merged: its number, and its rows.
pub(crate) struct RunBatches<B> {
    pub(crate) seq: u64,
    pub(crate) batches: Batches<B>,
}

/// Merges runs: of rows with one key, that of the newest run. Rows that are in the
/// base of their fence already are left out.
pub(crate) fn merge_runs<B: Table>(root: Arc<Root>, runs: Vec<RunBatches<B>>) -> Batches<B> {
    let inputs = runs.into_iter().map(|run| (run.seq, Input::new(run.batches))).collect();
    let merge = RunMerge { root, inputs, fence: 0 };
    stream::try_unfold(merge, async |mut merge| Ok(merge.next().await?.map(|batch| (batch, merge)))).boxed()
}

/// Lays changes over base rows: rows put replace or join them, deleted keys take them away.
pub(crate) fn overlay<B: Table>(base: Batches<B>, changes: Batches<B>) -> BoxStream<'static, Result<B>> {
    let overlay = Overlay { base: Input::new(base), changes: Input::new(changes), out: B::Builder::default() };
    stream::try_unfold(overlay, async |mut overlay| Ok(overlay.next().await?.map(|batch| (batch, overlay)))).boxed()
}

/// An input: the batch at hand, and the next row in it.
struct Input<B> {
    batches: Batches<B>,
    batch: SegmentBatch<B>,
    next: usize,
}

impl<B: Table> Input<B> {
    fn new(batches: Batches<B>) -> Self {
        Self { batches, batch: SegmentBatch { rows: B::default(), deleted: Vec::new() }, next: 0 }
    }

    /// Makes sure that there is a next row; `false` at the end.
    async fn fill(&mut self) -> Result<bool> {
        while self.next == self.batch.rows.len() {
            match self.batches.next().await {
                Some(batch) => (self.batch, self.next) = (batch?, 0),
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    /// The key of the next row, if the batch at hand has one.
    fn key(&self) -> Option<&[u8]> {
        (self.next < self.batch.rows.len()).then(|| self.batch.rows.key(self.next))
    }
}

struct RunMerge<B> {
    root: Arc<Root>,
    /// Oldest first, each with its number.
    inputs: Vec<(u64, Input<B>)>,
    /// The fence of the last key.
    fence: usize,
}

impl<B: Table> RunMerge<B> {
    async fn next(&mut self) -> Result<Option<SegmentBatch<B>>> {
        let (mut rows, mut deleted) = (B::Builder::default(), Vec::new());
        while rows.len() < BATCH_ROWS {
            for (_, input) in &mut self.inputs {
                input.fill().await?;
            }
            let Some((winner, folded)) = self.winner() else { break };
            let (seq, input) = &self.inputs[winner];
            if *seq > folded {
                rows.append(&input.batch.rows, input.next..input.next + 1)?;
                deleted.push(input.batch.is_deleted(input.next));
            }
            self.pass_over(winner);
        }
        let rows = rows.take()?;
        Ok((rows.len() > 0).then_some(SegmentBatch { rows, deleted }))
    }

    /// The newest input with the lowest key, and up to which run its fence is folded.
    fn winner(&mut self) -> Option<(usize, u64)> {
        let keys = self.inputs.iter().enumerate().filter_map(|(index, (_, input))| Some((input.key()?, index)));
        let (key, winner) = keys.reduce(|best, other| if other.0 <= best.0 { other } else { best })?;
        let fences = &self.root.fences;
        while fences.get(self.fence + 1).is_some_and(|next| next.low.as_bytes() <= key) {
            self.fence += 1;
        }
        Some((winner, fences.get(self.fence).map_or(0, |fence| fence.folded)))
    }

    /// Goes on beyond the next key of `winner` in all inputs. They are filled.
    fn pass_over(&mut self, winner: usize) {
        let (older, rest) = self.inputs.split_at_mut(winner);
        let Some(((_, input), _)) = rest.split_first_mut() else { return };
        for (_, other) in older {
            if other.key() == input.key() {
                other.next += 1;
            }
        }
        input.next += 1;
    }
}

struct Overlay<B: Table> {
    base: Input<B>,
    changes: Input<B>,
    out: B::Builder,
}

impl<B: Table> Overlay<B> {
    async fn next(&mut self) -> Result<Option<B>> {
        loop {
            let (more_base, more_changes) = (self.base.fill().await?, self.changes.fill().await?);
            if !more_base && !more_changes {
                return if self.out.len() > 0 { self.out.take().map(Some) } else { Ok(None) };
            }
            if self.base_is_untouched() {
                if self.out.len() > 0 {
                    return self.out.take().map(Some);
                }
                return self.take_base().map(Some);
            }
            self.step()?;
            if self.out.len() >= BATCH_ROWS {
                return self.out.take().map(Some);
            }
        }
    }

    /// Whether no change lies within the rest of the base batch.
    fn base_is_untouched(&self) -> bool {
        let rows = &self.base.batch.rows;
        self.base.next < rows.len() && self.changes.key().is_none_or(|change| rows.key(rows.len() - 1) < change)
    }

    /// The rest of the base batch, without a copy if it is whole.
    fn take_base(&mut self) -> Result<B> {
        let batch = std::mem::take(&mut self.base.batch.rows);
        let next = std::mem::take(&mut self.base.next);
        if next == 0 { Ok(batch) } else { slice(&batch, next..batch.len()) }
    }

    /// Takes over base rows up to the next change, and that.
    fn step(&mut self) -> Result<()> {
        let Self { base, changes, out } = self;
        let Some(change) = changes.key() else { return Ok(()) };
        let unchanged = base.batch.rows.count_below(base.next, change);
        out.append(&base.batch.rows, base.next..base.next + unchanged)?;
        base.next += unchanged;
        if base.key() == Some(change) {
            base.next += 1;
        }
        if !changes.batch.is_deleted(changes.next) {
            out.append(&changes.batch.rows, changes.next..changes.next + 1)?;
        }
        changes.next += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::TryStreamExt;
    use stocktake_core::{EntryBatch, EntryRef};
    use stocktake_format::Fence;
    use stocktake_testkit::states;

    /// Batches from a text such as `"a=1 b | c"`: a key without a number is deleted, `|` ends a batch.
    fn batches(text: &str) -> Batches<EntryBatch> {
        let batch = |text: &str| {
            let mut batch = SegmentBatch::<EntryBatch>::default();
            for word in text.split_whitespace() {
                let (key, n) = word.split_once('=').unwrap_or((word, "0"));
                batch.rows.push(&states::row(key, n.parse().unwrap()).as_ref().entry).unwrap();
                batch.deleted.push(!word.contains('='));
            }
            Ok(batch)
        };
        stream::iter(text.split('|').map(batch).collect::<Vec<_>>()).boxed()
    }

    fn word(entry: EntryRef<'_>) -> String {
        format!("{}={}", str::from_utf8(entry.key).unwrap(), entry.size)
    }

    fn check_runs(fences: &[(&str, u64)], runs: &[(u64, &str)], expected: &str) {
        let fences =
            fences.iter().map(|(low, folded)| Fence { low: (*low).into(), folded: *folded, ..Fence::default() });
        let root = Arc::new(Root::new(9, 0, fences.collect(), Vec::new()));
        let runs = runs.iter().map(|(seq, text)| RunBatches { seq: *seq, batches: batches(text) }).collect();
        let merged: Vec<_> = futures::executor::block_on(merge_runs(root, runs).try_collect()).unwrap();
        let words = merged.iter().flat_map(|batch: &SegmentBatch<EntryBatch>| {
            batch.rows.iter().enumerate().map(|(index, entry)| match batch.is_deleted(index) {
                true => str::from_utf8(entry.key).unwrap().to_owned(),
                false => word(entry),
            })
        });
        assert_eq!(words.collect::<Vec<_>>().join(" "), expected);
    }

    #[test]
    fn the_newest_run_decides() {
        check_runs(&[], &[(1, "a=1 b=1 | c=1"), (2, "a=2 c"), (3, "c=3 d=3")], "a=2 b=1 c=3 d=3");
        check_runs(&[], &[(1, ""), (2, "b")], "b");
    }

    #[test]
    fn rows_in_the_base_already_are_left_out() {
        let runs = [(1, "a=1 c=1 e=1"), (2, "b=2 d=2 e")];
        check_runs(&[("", 0), ("c", 1), ("e", 2)], &runs, "a=1 b=2 d=2");
    }

    fn check_overlay(base: &str, changes: &str, expected: &str) {
        let merged: Vec<EntryBatch> =
            futures::executor::block_on(overlay(batches(base), batches(changes)).try_collect()).unwrap();
        let words: Vec<_> = merged.iter().flat_map(|batch| batch.iter().map(word)).collect();
        assert_eq!(words.join(" "), expected);
    }

    #[test]
    fn changes_lie_over_the_base() {
        check_overlay("a=1 b=1 c=1 | d=1", "b=2", "a=1 b=2 c=1 d=1");
        check_overlay("b=1 c=1 d=1", "a=2 c d=2 | e=2 f", "a=2 b=1 d=2 e=2");
        check_overlay("a=1 | b=1 | c=1 d=1", "", "a=1 b=1 c=1 d=1");
        check_overlay("", "a=2 b | c=2", "a=2 c=2");
        check_overlay("a=1 b=1 | c=1", "a b c", "");
    }
}
