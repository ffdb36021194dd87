//! Removing inventories after the snapshot that used them is committed.
//!
//! An inventory that is removed can't be compared again, so nothing goes before
//! the commit, and what goes is decided with the plan, where it can be looked at.
//! A removal that fails is reported and undoes nothing.

use serde::{Deserialize, Serialize};
use stocktake_core::{Error, Event, InventoryFormat, InventoryInfo, InventoryReader, Location, Observer};
use tokio_util::sync::CancellationToken;

/// Which inventories are removed after a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeleteInventories {
    /// None.
    #[default]
    No,
    /// The one that was used.
    Current,
    /// The one that was used, and every older one of the same configuration and bucket. Where a reader does not
    /// tell the configuration, no other one than the one used.
    All,
}

/// What became of an inventory that was to be removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryRemoval {
    /// Which.
    pub inventory: Location,
    /// Why it, or a part of it, is still there; `None` when it is gone.
    pub problem: Option<String>,
}

/// The inventories of `infos` that go after `used` was used, oldest first. A listing is nothing that could go.
pub(crate) fn doomed(rule: DeleteInventories, used: &InventoryInfo, infos: &[InventoryInfo]) -> Vec<InventoryInfo> {
    let goes = |info: &&InventoryInfo| match rule {
        DeleteInventories::No => false,
        DeleteInventories::Current => info.location == used.location,
        // INVARIANT: nothing newer than what was used goes; the next job needs it.
        DeleteInventories::All => {
            let same = (&info.configuration, &info.bucket) == (&used.configuration, &used.bucket);
            info.location == used.location || (same && !used.configuration.is_empty() && info.created <= used.created)
        }
    };
    let mut doomed: Vec<_> =
        infos.iter().filter(|info| info.format != InventoryFormat::Listing).filter(goes).cloned().collect();
    doomed.sort_by(|a, b| (a.created, a.location.as_str()).cmp(&(b.created, b.location.as_str())));
    doomed
}

/// Removes inventories one after the other, and tells the observer of each. Stops when cancelled.
pub(crate) async fn remove(
    inventories: &dyn InventoryReader,
    doomed: &[InventoryInfo],
    observer: &dyn Observer,
    cancel: &CancellationToken,
) -> Vec<InventoryRemoval> {
    let mut removals = Vec::with_capacity(doomed.len());
    for info in doomed {
        let removed = if cancel.is_cancelled() { Err(Error::Cancelled) } else { inventories.discard(info).await };
        let inventory = &info.location;
        match &removed {
            Ok(()) => observer.on_event(&Event::InventoryRemoved { inventory }),
            Err(error) => observer.on_event(&Event::InventoryKept { inventory, error }),
        }
        removals.push(InventoryRemoval {
            inventory: inventory.clone(),
            problem: removed.err().map(|error| error.to_string()),
        });
    }
    removals
}

#[cfg(test)]
mod tests {
    use super::*;
    use stocktake_core::Timestamp;

    fn info(location: &str, created: i64) -> InventoryInfo {
        InventoryInfo {
            configuration: location.rsplitn(3, '/').last().unwrap().to_owned(),
            bucket: "photos".into(),
            files: 1,
            bytes: 1,
            ..InventoryInfo::new(Location::new(location), InventoryFormat::Csv, Timestamp::from_millis(created))
        }
    }

    #[test]
    fn nothing_newer_and_nothing_of_another_configuration_goes() {
        let infos = [
            info("s3://inv/photos/daily/4/manifest.json", 40),
            info("s3://inv/photos/daily/3/manifest.json", 30),
            info("s3://inv/photos/weekly/2/manifest.json", 20),
            info("s3://inv/photos/daily/1/manifest.json", 10),
        ];
        let gone = |rule| {
            let gone = doomed(rule, &infos[1], &infos);
            gone.iter().map(|info| info.created.as_millis()).collect::<Vec<_>>()
        };
        assert!(gone(DeleteInventories::No).is_empty());
        assert_eq!(gone(DeleteInventories::Current), [30]);
        assert_eq!(gone(DeleteInventories::All), [10, 30]);
    }

    #[test]
    fn of_a_reader_that_tells_no_configuration_only_the_one_used_goes() {
        let nameless = |location, created| InventoryInfo { configuration: String::new(), ..info(location, created) };
        let infos = [nameless("a/b/2", 20), nameless("c/d/1", 10)];
        assert_eq!(doomed(DeleteInventories::All, &infos[0], &infos), infos[..1]);
        let other_bucket = InventoryInfo { bucket: "films".into(), ..info("a/b/c/1", 10) };
        let infos = [info("a/b/c/2", 20), other_bucket];
        assert_eq!(doomed(DeleteInventories::All, &infos[0], &infos), infos[..1]);
    }

    #[test]
    fn a_listing_is_never_removed() {
        let listing = InventoryInfo { format: InventoryFormat::Listing, ..info("s3://photos", 10) };
        assert_eq!(doomed(DeleteInventories::All, &listing, std::slice::from_ref(&listing)), []);
    }
}
