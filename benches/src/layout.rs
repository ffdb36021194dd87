//! The ways in which inventories are found laid out.

use std::str::FromStr;

use stocktake::{BATCH_ROWS, Entry, EntryBatch};
use stocktake_testkit::inventories::{Order, Rates, Synthetic};

/// In which order the rows of an inventory stand in its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// By key, from the first file to the last.
    Sorted,
    /// By key in each file; every file spans all keys.
    Runs,
    /// In no order.
    Shuffled,
    /// In no order, and what is new on the second day can't be told by its time.
    Backdated,
}

impl Layout {
    /// All layouts.
    pub const ALL: [Self; 4] = [Self::Sorted, Self::Runs, Self::Shuffled, Self::Backdated];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sorted => "sorted",
            Self::Runs => "runs",
            Self::Shuffled => "shuffled",
            Self::Backdated => "backdated",
        }
    }

    /// The rows of a bucket of `rows` objects on the first day and on the second, laid out
    /// for files of `rows_a_file` rows. In between, a hundredth of the objects change.
    pub fn two_days(self, rows: u64, rows_a_file: usize) -> [Box<dyn Iterator<Item = EntryBatch> + Send>; 2] {
        let rates = Rates { added: 2_500, changed: 5_000, deleted: 2_500 };
        let order = if self == Self::Sorted { Order::Sorted } else { Order::Shuffled };
        let bucket = Synthetic::new(rows).in_order(order).changing(rates);
        let bucket = if self == Self::Backdated { bucket.backdated() } else { bucket };
        if self == Self::Runs {
            [
                Box::new(sorted_in_files(bucket.before(), rows_a_file)),
                Box::new(sorted_in_files(bucket.after(), rows_a_file)),
            ]
        } else {
            [Box::new(bucket.before()), Box::new(bucket.after())]
        }
    }
}

impl FromStr for Layout {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|layout| layout.as_str() == text);
        known.ok_or_else(|| format!("{text:?} is none of sorted, runs, shuffled and backdated"))
    }
}

/// Sorts each `rows_a_file` rows by themselves. Holds as many.
fn sorted_in_files(
    batches: impl Iterator<Item = EntryBatch> + Send,
    rows_a_file: usize,
) -> impl Iterator<Item = EntryBatch> + Send {
    let mut entries = batches.flat_map(|batch| batch.iter().map(|entry| entry.to_entry()).collect::<Vec<_>>());
    std::iter::from_fn(move || {
        let mut file: Vec<Entry> = entries.by_ref().take(rows_a_file).collect();
        file.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        (!file.is_empty()).then_some(file)
    })
    .flat_map(|file| {
        let batches = file.chunks(BATCH_ROWS).map(EntryBatch::try_from).collect::<Result<Vec<_>, _>>();
        batches.expect("a batch has few storage classes")
    })
}
