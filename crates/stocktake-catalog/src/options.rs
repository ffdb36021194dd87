//! Settings of a catalog.

use stocktake_format::segment::SegmentKind;

/// How a catalog divides and keeps up what it stores.
///
/// Every setting is for the writer alone: any snapshot reads back whatever the
/// settings it was written with, and they may change from job to job.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CatalogOptions {
    /// A base segment of fewer rows is merged with a neighbour when it is rewritten. Default 131,072.
    pub min_segment_rows: u64,
    /// About how many rows a base segment is cut at. Default 524,288: some 30 MB, which are held in memory while written.
    pub target_segment_rows: u64,
    /// A base segment of more rows is divided when it is rewritten. Default 1,048,576.
    pub max_segment_rows: u64,
    /// How many rows upkeep may rewrite for each row that changed. Default 10: a base is rewritten
    /// when about a tenth of it has changed. More costs writing, less costs reading.
    pub rewrite_factor: u64,
    /// How many delta runs of one level are merged into one of the next. Default 8.
    pub fan_out: usize,
    /// The most delta runs a snapshot may have, and so what a reader may have to merge. Default 24.
    pub max_runs: usize,
    /// Rows of a row group in base segments: what a look-up reads. Default 16,384.
    pub base_group_rows: usize,
    /// Rows of a row group in delta segments. Default 8,192.
    pub delta_group_rows: usize,
}

impl Default for CatalogOptions {
    fn default() -> Self {
        Self {
            min_segment_rows: 131_072,
            target_segment_rows: 524_288,
            max_segment_rows: 1_048_576,
            rewrite_factor: 10,
            fan_out: 8,
            max_runs: 24,
            base_group_rows: SegmentKind::Base.row_group_rows(),
            delta_group_rows: SegmentKind::Delta.row_group_rows(),
        }
    }
}

impl CatalogOptions {
    /// Sets the bounds of base segments: the fewest rows, the usual number, the most.
    /// Each is taken to be at least twice the one before, and the first at least 1.
    #[must_use]
    pub fn with_segment_rows(mut self, min: u64, target: u64, max: u64) -> Self {
        self.min_segment_rows = min.max(1);
        self.target_segment_rows = target.max(2 * self.min_segment_rows);
        self.max_segment_rows = max.max(2 * self.target_segment_rows);
        self
    }

    /// Sets how many rows upkeep may rewrite for each row that changed.
    #[must_use]
    pub fn with_rewrite_factor(mut self, factor: u64) -> Self {
        self.rewrite_factor = factor;
        self
    }

    /// Sets how many delta runs of one level are merged, at least 2, and the most there may be, at least 1.
    #[must_use]
    pub fn with_runs(mut self, fan_out: usize, max_runs: usize) -> Self {
        self.fan_out = fan_out.max(2);
        self.max_runs = max_runs.max(1);
        self
    }

    /// Sets the rows of row groups, in base and in delta segments. A segment has 6,000 row groups at most, so
    /// more are taken where its rows demand it.
    #[must_use]
    pub fn with_group_rows(mut self, base: usize, delta: usize) -> Self {
        self.base_group_rows = base.max(1);
        self.delta_group_rows = delta.max(1);
        self
    }
}
