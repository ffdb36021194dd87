//! Which inventories make a chain: pure decisions on times.
//!
//! A chain begins with a full inventory and goes on with the incremental ones
//! that cover, without a gap, the time from the start of its scan to the end of
//! the last of them. Spans may overlap: an event that comes twice counts once.

use stocktake_core::Timestamp;

/// The time that an incremental inventory covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
}

/// What an incremental inventory can be the last of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// A chain: a base, and incremental inventories in the order of their ends, itself the last. By their indices.
    Whole { base: usize, deltas: Vec<usize> },
    /// None: nothing covers the time from the first to the second.
    Gap(Timestamp, Timestamp),
    /// None: no full inventory's scan began before its end.
    NoBase,
}

/// What each of `spans` is the last of. `bases` are the scan starts of full
/// inventories that are ready; the newest that will do is taken, which leaves the
/// fewest events to read.
///
/// The result's own size is that of the chains, so ask for one with [`link`] where one is wanted.
pub(super) fn links(bases: &[Timestamp], spans: &[Span]) -> Vec<Result<(usize, usize), Link>> {
    let mut sweep = Sweep { bases, current: None, covered: Timestamp::default(), deltas: 0 };
    let mut found = vec![Err(Link::NoBase); spans.len()];
    for index in by_end(spans) {
        found[index] = sweep.take(spans[index]);
    }
    found
}

/// What one of `spans` is the last of.
pub(super) fn link(bases: &[Timestamp], spans: &[Span], last: usize) -> Link {
    let (base, count) = match links(bases, spans).swap_remove(last) {
        Ok(whole) => whole,
        Err(broken) => return broken,
    };
    let order = by_end(spans);
    let end = order.iter().position(|index| *index == last).map_or(0, |place| place + 1);
    Link::Whole { base, deltas: order[end - count..end].to_vec() }
}

/// Indices in the order in which chains grow.
pub(super) fn by_end(spans: &[Span]) -> Vec<usize> {
    let mut order: Vec<_> = (0..spans.len()).collect();
    order.sort_by_key(|index| (spans[*index].end, spans[*index].start, *index));
    order
}

/// A walk over spans by their ends.
struct Sweep<'a> {
    bases: &'a [Timestamp],
    current: Option<usize>,
    /// Up to where there is no gap since the base's scan began.
    covered: Timestamp,
    /// How many spans end after the base's scan began.
    deltas: usize,
}

impl Sweep<'_> {
    /// The base of the chain that this span ends, and the number of its deltas.
    fn take(&mut self, span: Span) -> Result<(usize, usize), Link> {
        let newest =
            (0..self.bases.len()).filter(|base| self.bases[*base] < span.end).max_by_key(|base| self.bases[*base]);
        let base = newest.ok_or(Link::NoBase)?;
        if self.current != Some(base) {
            // All before ended when or before this scan began.
            *self = Self { current: Some(base), covered: self.bases[base], deltas: 0, ..*self };
        }
        self.deltas += 1;
        if span.start > self.covered {
            return Err(Link::Gap(self.covered, span.start));
        }
        self.covered = span.end;
        Ok((base, self.deltas))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(time: i64) -> Timestamp {
        Timestamp::from_millis(time)
    }

    fn spans(spans: &[(i64, i64)]) -> Vec<Span> {
        spans.iter().map(|(start, end)| Span { start: at(*start), end: at(*end) }).collect()
    }

    fn whole(base: usize, deltas: &[usize]) -> Link {
        Link::Whole { base, deltas: deltas.to_vec() }
    }

    #[test]
    fn deltas_that_meet_are_a_chain_from_the_newest_base() {
        let (bases, spans) = ([at(5), at(25)], spans(&[(30, 40), (0, 10), (10, 20), (20, 30)]));
        assert_eq!(link(&bases, &spans, 1), whole(0, &[1]));
        assert_eq!(link(&bases, &spans, 2), whole(0, &[1, 2]));
        assert_eq!(link(&bases, &spans, 3), whole(1, &[3]), "the scan began within it");
        assert_eq!(link(&bases, &spans, 0), whole(1, &[3, 0]));
        assert_eq!(link(&[at(30)], &spans, 3), Link::NoBase, "a scan that began at its end is no base of it");
    }

    #[test]
    fn a_gap_breaks_all_chains_up_to_the_next_base() {
        let (bases, spans) = ([at(5), at(35)], spans(&[(0, 10), (20, 30), (30, 40), (40, 50)]));
        assert_eq!(link(&bases, &spans, 0), whole(0, &[0]));
        assert_eq!(link(&bases, &spans, 1), Link::Gap(at(10), at(20)));
        assert_eq!(link(&bases, &spans, 2), whole(1, &[2]));
        assert_eq!(link(&bases[..1], &spans, 3), Link::Gap(at(10), at(40)));
        assert_eq!(link(&[at(5)], &self::spans(&[(6, 10)]), 0), Link::Gap(at(5), at(6)), "behind the scan's start");
    }

    #[test]
    fn spans_may_overlap_and_a_long_one_heals_a_gap() {
        let spans = spans(&[(0, 10), (9, 20), (30, 40), (15, 50)]);
        assert_eq!(link(&[at(0)], &spans, 1), whole(0, &[0, 1]));
        assert_eq!(link(&[at(0)], &spans, 2), Link::Gap(at(20), at(30)));
        assert_eq!(link(&[at(0)], &spans, 3), whole(0, &[0, 1, 2, 3]));
    }

    proptest! {
        #[test]
        fn a_chain_covers_every_moment(
            bases in proptest::collection::vec(0..60_i64, 0..4),
            pairs in proptest::collection::vec((0..60_i64, 0..20_i64), 1..12),
        ) {
            let bases: Vec<_> = bases.into_iter().map(at).collect();
            let spans: Vec<_> = pairs.into_iter().map(|(start, length)| Span { start: at(start), end: at(start + length) }).collect();
            for (last, span) in spans.iter().enumerate() {
                let Link::Whole { base, deltas } = link(&bases, &spans, last) else { continue };
                prop_assert_eq!(deltas.last(), Some(&last));
                prop_assert!(bases[base] < span.end);
                for moment in bases[base].as_millis()..span.end.as_millis() {
                    let covers = |delta: &&usize| spans[**delta].start <= at(moment) && at(moment) < spans[**delta].end;
                    prop_assert!(deltas.iter().any(|delta| covers(&delta)), "{} of {:?}", moment, deltas);
                }
                prop_assert!(deltas.iter().all(|delta| spans[*delta].end <= span.end && spans[*delta].end > bases[base]));
            }
        }
    }
}
