//! The number of rows that a manifest states for all its files together.
//!
//! One file can't know its share of it. So each file that is read through tells
//! how many rows it had, and the one that completes the sum gives the verdict;
//! before that, a sum that is already too large is an error. Whoever reads all
//! parts, in whatever order, does not get to the end of a sum that is wrong.

use std::sync::{Mutex, PoisonError};

use crate::fault::{Fault, Result};

/// What is known of the sum so far.
#[derive(Debug)]
pub(crate) struct Total {
    stated: u64,
    /// The rows of each file, and how many of them are of folders, once they are known.
    counts: Mutex<Vec<Option<(u64, u64)>>>,
}

impl Total {
    /// Expects `stated` rows in so many files.
    pub(crate) fn new(stated: u64, files: usize) -> Self {
        Self { stated, counts: Mutex::new(vec![None; files]) }
    }

    /// Takes the rows of one file that was read through, however often it is.
    ///
    /// Whether the sum includes folders is not documented: it may or may not.
    ///
    /// # Errors
    /// [`Fault::Corrupt`] when the sum is too large, or complete and too small.
    pub(crate) fn take(&self, file: usize, (rows, folders): (u64, u64)) -> Result<()> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(file) {
            *count = Some((rows, folders));
        }
        let known = counts.iter().flatten();
        let (rows, folders) = known.fold((0_u64, 0_u64), |(all, of_folders), (rows, folders)| {
            (all.saturating_add(*rows), of_folders.saturating_add(*folders))
        });
        let objects = rows.saturating_sub(folders);
        let complete = counts.iter().all(Option::is_some);
        if objects > self.stated || (complete && rows != self.stated && objects != self.stated) {
            let stated = self.stated;
            return Err(Fault::corrupt(format!("its files have {rows} rows together, the manifest says {stated}")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_file_gives_the_verdict() {
        let total = Total::new(10, 3);
        assert_eq!(total.take(2, (4, 0)), Ok(()));
        assert_eq!(total.take(2, (4, 0)), Ok(()));
        assert_eq!(total.take(0, (5, 0)), Ok(()));
        assert!(total.take(1, (0, 0)).is_err());
        assert!(total.take(1, (2, 0)).is_err());
        assert_eq!(total.take(1, (1, 0)), Ok(()));
        assert!(Total::new(10, 3).take(0, (11, 0)).is_err());
    }

    #[test]
    fn folders_may_count_or_not() {
        for (rows, sound) in [(8, false), (9, true), (10, true), (11, false)] {
            assert_eq!(Total::new(rows, 1).take(0, (10, 1)).is_ok(), sound, "{rows}");
        }
    }
}
