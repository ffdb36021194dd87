//! Which inventory or listing a job rests on: asking for what [`choose_view`] needs, and doing what it says.

use std::sync::Arc;

use stocktake_core::{
    Error, Event, Inventory, InventoryInfo, InventoryReader, Location, Result, Scope, SnapshotRecord, Timestamp,
};

use super::{Backup, BackupOptions};
use crate::select::{self, Choice, Which};
use crate::view::{InventoryState, ListingProbe, View, ViewChoice, ViewFacts, ViewRule, choose_view, probe_listing};

/// How a job sees its source.
pub(super) struct Seen {
    pub(super) reader: Arc<dyn InventoryReader>,
    pub(super) infos: Vec<InventoryInfo>,
    pub(super) info: InventoryInfo,
    pub(super) choice: Option<ViewChoice>,
    /// A listing that was begun and dropped. Its requests are counted once they have ended.
    pub(super) probed: Option<Arc<dyn Inventory>>,
}

impl Backup {
    /// The inventory or listing that the job rests on.
    pub(super) async fn see(
        &self,
        options: &BackupOptions,
        now: Timestamp,
        last: Option<&SnapshotRecord>,
        scope: &Scope,
    ) -> Result<Seen> {
        let given = use_of(&self.inventories, &options.inventory, now, last).await;
        let (listing, budget) = match (&self.listing, &options.view) {
            (_, ViewRule::Inventories) => return given,
            (None, _) => {
                return Err(Error::invalid("the source can't be listed instead: the backup was given no listing"));
            }
            (Some(listing), ViewRule::TraverseIfStale) => (listing, None),
            (Some(listing), ViewRule::Choose(budget)) => (listing, Some(budget)),
        };
        let (given, inventory) = match (given, budget) {
            (Err(error), _) if is_stale(&error) => (None, InventoryState::Unfit(error.to_string())),
            (given @ Err(_), _) | (given @ Ok(_), None) => return given,
            (Ok(given), Some(_)) => {
                let info = given.info.clone();
                (Some(given), InventoryState::Fresh(Box::new(info)))
            }
        };
        let probed = match &given {
            Some(_) => Some(self.probe(listing).await?),
            None => None,
        };
        let same_scope = |record: &&SnapshotRecord| record.summary.scope == *scope;
        let facts = ViewFacts {
            inventory,
            now,
            last_objects: last.filter(same_scope).map(|record| record.total.objects),
            probe: probed.as_ref().map(|(probe, _)| *probe),
            budget: budget.cloned().unwrap_or_default(),
        };
        let choice = choose_view(&facts);
        let message = format!("{}: {}", choice.view, choice.reason);
        self.observer.on_event(&Event::Notice { message: &message });
        let seen = match given.filter(|_| choice.view == View::Inventory) {
            Some(given) => given,
            // A listing is always of now, whichever inventory was asked for.
            None => use_of(listing, &Choice { which: Which::Newest, ..options.inventory.clone() }, now, last).await?,
        };
        Ok(Seen { choice: Some(choice), probed: probed.map(|(_, listing)| listing), ..seen })
    }

    /// Begins to list the source, to see what that costs.
    async fn probe(&self, listing: &Arc<dyn InventoryReader>) -> Result<(ListingProbe, Arc<dyn Inventory>)> {
        let infos = listing.inventories().await?;
        let info = infos.first().ok_or_else(|| Error::invalid(format!("{listing} can't be listed")))?;
        let opened = listing.open(info).await?;
        let probe = tokio::select! {
            () = self.cancel.cancelled() => Err(Error::Cancelled),
            probe = probe_listing(&*opened, &*self.clock) => probe,
        };
        Ok((probe?, opened))
    }
}

/// The inventory to use, of those that `reader` has.
async fn use_of(
    reader: &Arc<dyn InventoryReader>,
    choice: &Choice,
    now: Timestamp,
    last: Option<&SnapshotRecord>,
) -> Result<Seen> {
    let infos = reader.inventories().await?;
    let last_use = last.map(|record| &record.summary.inventory);
    let location = Location::new(reader.to_string());
    let info = select::choose(&infos, choice, now, last_use, &location)?.clone();
    Ok(Seen { reader: reader.clone(), infos, info, choice: None, probed: None })
}

/// Whether a listing may do instead: there is no inventory, or none that is young enough. One that is damaged, or of something else, is for its owner to see to.
fn is_stale(error: &Error) -> bool {
    matches!(error, Error::InventoryNotFound { .. } | Error::InventoryTooOld { .. } | Error::InventoryStale { .. })
}
