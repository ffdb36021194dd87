//! Turns a stream of rows into base segments.
//!
//! Where a segment is cut depends on the keys, not on what was written before:
//! from two thirds of the target size on, the first key whose keyed hash begins
//! with enough zero bits begins the next segment. So histories that differ tend
//! to the same fences again, and deleting the key of a fence moves nothing.
//! At four thirds of the target it is cut in any case, and before that where its rows
//! refer to more packs than a sidecar should name.

use stocktake_core::{ObjectKey, Result, RowBatch};
use stocktake_format::segment::SegmentKind;
use stocktake_format::{Fence, VaultKey};

use crate::sum::RowSum;
use crate::table::slice;
use crate::upload::{SegmentSink, Uploads, Written};

/// How many keys in the window of a cut are expected to qualify.
const CUTS_EXPECTED: u64 = 8;

/// Writes rows, ascending, as base segments. Memory: one segment, encoded.
pub(crate) struct BaseBuilder {
    cutter: Cutter,
    sink: Option<SegmentSink>,
    written: Vec<Written>,
}

impl BaseBuilder {
    /// A builder for `total` rows, where that is known: then the last segment is not too small.
    pub(crate) fn new(uploads: &Uploads, total: Option<u64>) -> Self {
        let options = uploads.options();
        let cutter =
            Cutter::new(options.min_segment_rows, options.target_segment_rows, options.max_segment_rows, total);
        Self { cutter, sink: None, written: Vec::new() }
    }

    /// Appends rows.
    pub(crate) async fn push(&mut self, uploads: &mut Uploads, rows: RowBatch) -> Result<()> {
        let key = std::sync::Arc::clone(uploads.store().key());
        let cuts = self.cutter.cuts(&key, &rows);
        let mut start = 0;
        for cut in cuts {
            self.write(uploads, &key, slice(&rows, start..cut)?)?;
            self.cut(uploads).await?;
            start = cut;
        }
        if start == 0 {
            self.write(uploads, &key, rows)?;
        } else {
            self.write(uploads, &key, slice(&rows, start..rows.len())?)?;
        }
        if self.sink.as_ref().is_some_and(SegmentSink::is_full) {
            self.cutter.rows = 0;
            self.cut(uploads).await?;
        }
        Ok(())
    }

    /// The segments, each behind a fence of its own, all folded up to run `folded`.
    pub(crate) async fn finish(mut self, uploads: &mut Uploads, folded: u64) -> Result<Vec<Fence>> {
        self.cut(uploads).await?;
        let fences = self.written.into_iter().map(|Written { segment, sum: RowSum { tally, sum } }| Fence {
            low: ObjectKey::new(segment.low.clone().into_bytes()),
            folded,
            pending: 0,
            live: tally,
            sum,
            base: Some(segment),
        });
        Ok(fences.collect())
    }

    fn write(&mut self, uploads: &mut Uploads, key: &VaultKey, rows: RowBatch) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        self.sink.get_or_insert_with(|| uploads.begin(SegmentKind::Base)).write(key, rows, Vec::new())
    }

    async fn cut(&mut self, uploads: &mut Uploads) -> Result<()> {
        if let Some(sink) = self.sink.take() {
            self.written.push(uploads.upload(sink).await?);
        }
        Ok(())
    }
}

/// Decides before which keys segments are cut.
#[derive(Debug)]
struct Cutter {
    min: u64,
    /// The rows of a segment among which it is cut.
    window: std::ops::Range<u64>,
    zero_bits: u32,
    /// Rows since the last cut.
    rows: u64,
    /// Rows still to come, where known.
    remaining: Option<u64>,
    /// Whether all rows go into one segment, since they fit.
    whole: bool,
}

impl Cutter {
    fn new(min: u64, target: u64, max: u64, total: Option<u64>) -> Self {
        let window = (target * 2 / 3).max(1)..(target * 4 / 3).max(2);
        let zero_bits = ((window.end - window.start) / CUTS_EXPECTED).checked_ilog2().unwrap_or(0);
        let whole = total.is_some_and(|total| total <= max);
        Self { min, window, zero_bits, rows: 0, remaining: total, whole }
    }

    /// The rows of a batch that begin a new segment.
    fn cuts(&mut self, key: &VaultKey, rows: &RowBatch) -> Vec<usize> {
        let mut cuts = Vec::new();
        for row in 0..rows.len() {
            if self.is_cut(key, rows.key(row)) {
                cuts.push(row);
                self.rows = 0;
            }
            self.rows += 1;
            self.remaining = self.remaining.map(|rows| rows.saturating_sub(1));
        }
        cuts
    }

    fn is_cut(&self, key: &VaultKey, object: &[u8]) -> bool {
        let enough_left = self.remaining.is_none_or(|rows| rows >= self.min);
        !self.whole
            && enough_left
            && self.rows >= self.window.start
            && (self.rows >= self.window.end || leading_zeros(key, object) >= self.zero_bits)
    }
}

/// The zero bits that the keyed hash of an object's key begins with.
fn leading_zeros(key: &VaultKey, object: &[u8]) -> u32 {
    let mut hasher = key.content_hasher();
    hasher.update(object);
    u128::from_be_bytes(hasher.finish().0).leading_zeros()
}

#[cfg(test)]
mod tests {
    use super::*;
    use stocktake_format::VaultId;
    use stocktake_testkit::states;

    fn sizes(total: u64, known: bool, prefix: &str) -> Vec<u64> {
        let key = VaultKey::unencrypted(VaultId([1; 16]));
        let mut cutter = Cutter::new(16, 48, 96, known.then_some(total));
        let rows = (0..total).map(|n| states::row(format!("{prefix}{n:06}").as_str(), n));
        let batch = states::batch(rows.map(|row| (row.entry.key.clone(), row)).collect());
        let cuts = cutter.cuts(&key, &batch);
        let ends = cuts.iter().map(|cut| *cut as u64).chain([total]);
        ends.scan(0, |start, end| Some(end - std::mem::replace(start, end))).collect()
    }

    #[test]
    fn segments_stay_within_their_bounds() {
        for prefix in ["a", "b", "c"] {
            let pieces = sizes(2000, true, prefix);
            assert!(pieces.iter().all(|rows| (16..=64 + 16).contains(rows)), "{pieces:?}");
            let pieces = sizes(2000, false, prefix);
            assert!(pieces.split_last().unwrap().1.iter().all(|rows| (32..=64).contains(rows)), "{pieces:?}");
        }
    }

    #[test]
    fn what_fits_one_segment_is_not_cut() {
        assert_eq!(sizes(96, true, ""), [96]);
        assert!(sizes(97, true, "").len() > 1);
    }

    #[test]
    fn most_cuts_are_where_hashes_say() {
        let all = sizes(20_000, false, "");
        let forced = all.iter().filter(|rows| **rows == 64).count();
        assert!(forced * 10 < all.len(), "{forced} of {}", all.len());
    }
}
