//! What upkeep does, decided on the numbers of a root alone.

use std::cmp::Reverse;
use std::ops::Range;

use stocktake_core::ObjectKey;
use stocktake_format::{Fence, StateSum};

use crate::options::CatalogOptions;

/// A base is left alone while fewer than one in this many of its rows have changed.
const WORTH_A_REWRITE: u64 = 50;

/// Neighbouring runs that become one, or a run that stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Merge {
    /// Their places, oldest first.
    pub(crate) runs: Range<usize>,
    /// The level of what becomes of them.
    pub(crate) level: u32,
}

/// Takes the base from fences that hold no row any more, and joins them with each other.
///
/// This writes nothing: what is empty is in the base of a fence without one.
///
/// # Errors
/// The low key of a fence without rows whose state sum is not zero.
pub(crate) fn settle_empty(fences: Vec<Fence>, seq: u64) -> Result<Vec<Fence>, ObjectKey> {
    let mut settled: Vec<Fence> = Vec::with_capacity(fences.len());
    for fence in fences {
        let empty = fence.live.objects == 0;
        if empty && (fence.live.bytes != 0 || fence.sum != StateSum::default()) {
            return Err(fence.low);
        }
        let joins = settled.last_mut().filter(|last| last.live.objects == 0);
        match (joins, empty) {
            (Some(_), true) => {}
            // A base just written reaches back over the emptiness before it, which may begin behind it: rows of
            // a tail come after every segment there is, not after every key there was.
            (Some(last), false) if fence.folded == seq => {
                *last = Fence { low: last.low.clone().min(fence.low.clone()), ..fence };
            }
            (_, true) => settled.push(Fence { low: fence.low, folded: seq, ..Fence::default() }),
            (_, false) => settled.push(fence),
        }
    }
    Ok(settled)
}

/// The groups of neighbouring fences that are rewritten, ascending: those of which
/// most has changed first, as far as `credit` goes.
pub(crate) fn rewrites(fences: &[Fence], credit: &mut u64, options: &CatalogOptions) -> Vec<Range<usize>> {
    let mut candidates: Vec<usize> = (0..fences.len()).filter(|index| is_worth_it(&fences[*index])).collect();
    candidates.sort_by_key(|index| Reverse(ratio(&fences[*index])));
    let mut groups: Vec<Range<usize>> = Vec::new();
    for index in candidates {
        let group = with_neighbours(fences, &groups, index, options.min_segment_rows);
        let cost = fences[group.clone()].iter().map(cost).sum();
        if let Some(left) = credit.checked_sub(cost).filter(|_| is_free(&groups, index)) {
            *credit = left;
            groups.push(group);
        }
    }
    groups.sort_by_key(|group| group.start);
    groups
}

fn base_rows(fence: &Fence) -> u64 {
    fence.base.as_ref().map_or(0, |base| base.rows)
}

/// Rows read to rewrite a fence.
fn cost(fence: &Fence) -> u64 {
    base_rows(fence) + fence.pending
}

fn is_worth_it(fence: &Fence) -> bool {
    fence.pending > 0 && fence.pending.saturating_mul(WORTH_A_REWRITE) >= base_rows(fence)
}

/// Changed rows in a million rows of the base.
fn ratio(fence: &Fence) -> u64 {
    fence.pending.saturating_mul(1_000_000) / base_rows(fence).max(1)
}

fn is_free(groups: &[Range<usize>], index: usize) -> bool {
    groups.iter().all(|group| !group.contains(&index))
}

/// A fence, the empty ones beside it, and if it has few rows the smaller of its neighbours.
fn with_neighbours(fences: &[Fence], groups: &[Range<usize>], index: usize, min_rows: u64) -> Range<usize> {
    let is_empty = |index: usize| fences[index].live.objects == 0;
    let spread = |mut group: Range<usize>| {
        while group.start > 0 && is_free(groups, group.start - 1) && is_empty(group.start - 1) {
            group.start -= 1;
        }
        while group.end < fences.len() && is_free(groups, group.end) && is_empty(group.end) {
            group.end += 1;
        }
        group
    };
    let group = spread(index..index + 1);
    if fences[index].live.objects >= min_rows {
        return group;
    }
    let before = group.start.checked_sub(1).filter(|index| is_free(groups, *index));
    let after = Some(group.end).filter(|index| *index < fences.len() && is_free(groups, *index));
    match [before, after].into_iter().flatten().min_by_key(|index| fences[*index].live.objects) {
        Some(neighbour) => spread(group.start.min(neighbour)..group.end.max(neighbour + 1)),
        None => group,
    }
}

/// Which runs are merged, given their levels, oldest first, which never rise.
///
/// As many runs of one level as the fan-out make one of the next. If there are
/// still more than the most allowed, the lowest levels are merged early.
pub(crate) fn merges(levels: &[u32], options: &CatalogOptions) -> Vec<Merge> {
    let mut runs: Vec<Merge> =
        levels.iter().enumerate().map(|(index, level)| Merge { runs: index..index + 1, level: *level }).collect();
    while let Some(block) = full_level(&runs, options.fan_out).or_else(|| surplus(&runs, options.max_runs)) {
        let merged = Merge {
            runs: runs[block.start].runs.start..runs[block.end - 1].runs.end,
            level: runs[block.start].level + 1,
        };
        runs.splice(block, [merged]);
    }
    runs
}

/// The newest block of at least `fan_out` runs of one level.
fn full_level(runs: &[Merge], fan_out: usize) -> Option<Range<usize>> {
    let mut end = runs.len();
    for block in runs.chunk_by(|a, b| a.level == b.level).rev() {
        if block.len() >= fan_out.max(2) {
            return Some(end - block.len()..end);
        }
        end -= block.len();
    }
    None
}

/// When there are more than `max` runs: the runs of the lowest levels, as few as bring the number down to it.
fn surplus(runs: &[Merge], max: usize) -> Option<Range<usize>> {
    if runs.len() <= max.max(1) {
        return None;
    }
    let mut start = runs.len();
    for block in runs.chunk_by(|a, b| a.level == b.level).rev() {
        start -= block.len();
        if start < max && runs.len() - start > 1 {
            break;
        }
    }
    Some(start..runs.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use stocktake_core::{ContentHash, Tally};
    use stocktake_format::SegmentRef;

    /// A fence of `rows` base rows, `live` of them or others still there, and `pending` changes.
    fn fence(low: &str, rows: u64, live: u64, pending: u64) -> Fence {
        let base = SegmentRef {
            name: String::new(),
            hash: [0; 32],
            bytes: 1,
            rows,
            deletes: 0,
            low: low.into(),
            high: low.into(),
            tail_bytes: 1,
            tail_hash: ContentHash::default(),
        };
        let live = Tally { objects: live, bytes: 0 };
        Fence { low: low.into(), live, pending, base: (rows > 0).then_some(base), ..Fence::default() }
    }

    fn check_rewrites(fences: &[Fence], credit: u64, expected: &[(usize, usize)], left: u64) {
        let options = CatalogOptions::default().with_segment_rows(100, 400, 800);
        let mut credit = credit;
        let groups = rewrites(fences, &mut credit, &options);
        assert_eq!(groups.iter().map(|group| (group.start, group.end)).collect::<Vec<_>>(), expected);
        assert_eq!(credit, left);
    }

    #[test]
    fn the_most_changed_bases_are_rewritten_while_the_budget_lasts() {
        let fences = [fence("", 400, 400, 40), fence("b", 400, 400, 80), fence("c", 400, 400, 60)];
        check_rewrites(&fences, 1000, &[(1, 2), (2, 3)], 60);
        check_rewrites(&fences, 450, &[(0, 1)], 10);
        check_rewrites(&fences, 100, &[], 100);
    }

    #[test]
    fn a_base_of_which_little_changed_is_left_alone() {
        check_rewrites(&[fence("", 400, 400, 7), fence("b", 400, 400, 0)], 10_000, &[], 10_000);
        check_rewrites(&[fence("", 400, 400, 8)], 10_000, &[(0, 1)], 9592);
    }

    #[test]
    fn a_small_base_is_rewritten_with_its_smaller_neighbour() {
        let fences = [fence("", 300, 300, 0), fence("b", 200, 90, 110), fence("c", 200, 200, 0)];
        check_rewrites(&fences, 1000, &[(1, 3)], 490);
    }

    #[test]
    fn empty_fences_are_rewritten_along() {
        let fences = [fence("", 0, 0, 0), fence("b", 200, 200, 50), fence("c", 0, 0, 0), fence("d", 200, 200, 50)];
        check_rewrites(&fences, 1000, &[(0, 3), (3, 4)], 500);
    }

    #[test]
    fn what_holds_no_row_loses_its_base_and_is_joined() {
        let fences = vec![fence("", 5, 5, 0), fence("b", 9, 0, 9), fence("c", 9, 0, 9), fence("d", 9, 1, 0)];
        let settled = settle_empty(fences, 7).unwrap();
        let shape = settled.iter().map(|fence| (fence.low.as_str().unwrap(), fence.base.is_some(), fence.folded));
        assert_eq!(shape.collect::<Vec<_>>(), [("", true, 0), ("b", false, 7), ("d", true, 0)]);
        let mut new = fence("a", 5, 5, 0);
        new.folded = 7;
        let settled = settle_empty(vec![fence("", 0, 0, 0), new], 7).unwrap();
        assert_eq!((settled.len(), settled[0].low.as_bytes(), settled[0].live.objects), (1, &b""[..], 5));
        let mut behind = fence("b", 5, 5, 0);
        behind.folded = 7;
        let settled = settle_empty(vec![fence("", 5, 5, 0), fence("d", 0, 0, 0), behind], 7).unwrap();
        assert_eq!(settled.iter().map(|fence| fence.low.as_bytes()).collect::<Vec<_>>(), [&b""[..], b"b"]);
        let mut wrong = fence("x", 5, 0, 5);
        wrong.live.bytes = 3;
        assert_eq!(settle_empty(vec![wrong], 7), Err("x".into()));
    }

    fn check_merges(levels: &[u32], fan_out: usize, max: usize, expected: &[(Range<usize>, u32)]) {
        let options = CatalogOptions::default().with_runs(fan_out, max);
        let expected: Vec<_> =
            expected.iter().map(|(runs, level)| Merge { runs: runs.clone(), level: *level }).collect();
        assert_eq!(merges(levels, &options), expected);
    }

    #[test]
    fn a_full_level_makes_one_run_of_the_next() {
        check_merges(&[1, 0, 0], 3, 24, &[(0..1, 1), (1..2, 0), (2..3, 0)]);
        check_merges(&[1, 0, 0, 0], 3, 24, &[(0..1, 1), (1..4, 1)]);
        check_merges(&[1, 1, 0, 0, 0], 3, 24, &[(0..5, 2)]);
    }

    #[test]
    fn there_are_never_more_runs_than_allowed() {
        check_merges(&[2, 1, 0, 0, 0], 8, 4, &[(0..1, 2), (1..2, 1), (2..5, 1)]);
        check_merges(&[3, 2, 1, 0], 8, 3, &[(0..1, 3), (1..2, 2), (2..4, 2)]);
        check_merges(&[0, 0], 8, 1, &[(0..2, 1)]);
    }
}
