//! A backup, from choosing an inventory to the commit: the one file that knows all stages.
//!
//! It comes in two steps. [`Backup::plan`] chooses and checks the inventory,
//! compares it with the parent snapshot and passes the guards; what it returns
//! tells exactly what will be done, and nothing was written. [`BackupPlan::run`]
//! copies, packs, and commits.

mod options;
mod report;
mod see;

use std::fmt;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use stocktake_core::{
    Catalog, Clock, Entropy, Error, Event, Inventory, InventoryInfo, InventoryReader, InventoryUse, JobCounters, JobId,
    JobSpec, JobSummary, Observer, Result, Scope, Snapshot, SnapshotRecord, Source, Tally, Timestamp,
};
use tokio_util::sync::CancellationToken;

use crate::cleanup;
use crate::compare::{ChangeSet, Side, compare};
use crate::copy::{self, CopyJob, Outlook, Progress, outlook};
use crate::meter::Reading;
use crate::select;
use crate::view::ViewChoice;
use crate::{Meter, OpenVault};
use options::{check_name, check_options, default_name, scope};
use see::Seen;

pub use options::{BackupMode, BackupOptions};
pub use report::{BackupReport, JobStatus};

/// The parts of a backup: what does the work.
#[derive(Clone)]
pub struct Backup {
    source: Arc<dyn Source>,
    inventories: Arc<dyn InventoryReader>,
    listing: Option<Arc<dyn InventoryReader>>,
    vault: OpenVault,
    catalog: Arc<dyn Catalog>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    meter: Meter,
    observer: Arc<dyn Observer>,
    cancel: CancellationToken,
}

impl fmt::Debug for Backup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backup").field("source", &self.source).field("vault", &self.vault).finish_non_exhaustive()
    }
}

impl Backup {
    /// A backup from `source`, whose objects `inventories` tell, into `vault`, recorded in `catalog`.
    ///
    /// Its requests are counted on the vault's meter, and a snapshot tells what was counted from the plan to the
    /// commit: of jobs that run at the same time, each should open the vault for itself.
    pub fn new(
        source: Arc<dyn Source>,
        inventories: Arc<dyn InventoryReader>,
        vault: OpenVault,
        catalog: Arc<dyn Catalog>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        let meter = vault.meter.clone();
        let observer = Arc::new(());
        let cancel = CancellationToken::new();
        Self { source, inventories, listing: None, vault, catalog, clock, entropy, meter, observer, cancel }
    }

    /// The listing of the source, for [`BackupOptions::view`] to fall back to or to choose.
    #[must_use]
    pub fn listing(self, listing: Arc<dyn InventoryReader>) -> Self {
        Self { listing: Some(listing), ..self }
    }

    /// Tells `observer` what happens.
    #[must_use]
    pub fn observer(self, observer: Arc<dyn Observer>) -> Self {
        Self { observer, ..self }
    }

    /// Ends with [`Error::Cancelled`] soon after `cancel` is.
    #[must_use]
    pub fn cancel(self, cancel: CancellationToken) -> Self {
        Self { cancel, ..self }
    }

    /// Chooses and checks an inventory, compares it, and says what a run will do. Writes nothing.
    ///
    /// That the source is listed though inventories were given, or the other way
    /// round, is told by an [`Event::Notice`] and by [`BackupPlan::view`].
    ///
    /// # Errors
    /// - [`Error::InvalidInput`]: options that make no sense, a source that is to be listed without a listing.
    /// - Those of choosing and reading an inventory; see [`Error::is_refusal`].
    /// - [`Error::GuardMassChange`]: a guard stopped it.
    /// - [`Error::NameTaken`].
    /// - [`Error::LocalStorage`]: the comparison's temporary files can't be written.
    /// - [`Error::Cancelled`], and whatever the stores say.
    ///
    /// # Cancel safety
    /// Dropping the future leaves nothing behind.
    pub async fn plan(self, options: BackupOptions) -> Result<BackupPlan> {
        let (started, before) = (self.clock.now(), self.meter.reading());
        check_options(&options)?;
        let snapshots = self.catalog.snapshots().await?;
        if let Some(name) = &options.name {
            check_name(name, &snapshots)?;
        }
        let summary_scope = scope(&options);
        let of_plan = snapshots.into_iter().rev().find(|record| record.plan == options.plan);
        let same_rows = |last: &&SnapshotRecord| select::is_same_scope(&last.summary.scope, &summary_scope);
        let last_total = of_plan.as_ref().filter(same_rows).map(|last| last.total);
        let last = of_plan.filter(|_| options.mode == BackupMode::Incremental);
        let Seen { reader, infos, info, choice: view, probed } =
            self.see(&options, started, last.as_ref(), &summary_scope).await?;
        select::check_prefix(&info, &options.compare.path, &options.compare.inventory_prefix)?;
        for left_out in select::left_out(&info.coverage, &summary_scope.path) {
            let message = format!("the inventory leaves out {left_out}, so the snapshot will have none of it");
            self.observer.on_event(&Event::Notice { message: &message });
        }
        let parent = self.parent(last, &info, &summary_scope).await?;
        let doomed = cleanup::doomed(options.delete_inventories, &info, &infos);
        let inventory = reader.open(&info).await?;
        let changes = self.compare(&options, parent.as_ref(), inventory.clone()).await?;
        self.meter.listed(&*inventory);
        probed.iter().for_each(|probed| self.meter.listed(&**probed));
        match (&parent, last_total) {
            (Some(parent), _) => options.guards.check(changes.counts(), &parent.record().total)?,
            // It builds on nothing, but is held against what there was.
            (None, Some(last)) => options.guards.check_totals(&changes.counts().scanned, &last)?,
            (None, None) => {}
        }
        let to_copy = to_copy(&changes).await?;
        self.observer.on_event(&Event::Planned { counts: changes.counts(), to_copy: to_copy.tally });
        let scope = summary_scope;
        Ok(BackupPlan {
            backup: self,
            before,
            options,
            started,
            scope,
            parent,
            inventory,
            view,
            doomed,
            changes,
            to_copy,
        })
    }

    /// The snapshot to build on, unless the scope changed.
    async fn parent(
        &self,
        last: Option<SnapshotRecord>,
        info: &InventoryInfo,
        scope: &Scope,
    ) -> Result<Option<Arc<dyn Snapshot>>> {
        let Some(last) = last else { return Ok(None) };
        if let Some(reason) = select::scope_change(&last.summary, info, scope) {
            let message = format!("{reason}, so this is a full backup");
            self.observer.on_event(&Event::Notice { message: &message });
            return Ok(None);
        }
        self.catalog.open(last.id).await.map(Some)
    }

    async fn compare(
        &self,
        options: &BackupOptions,
        parent: Option<&Arc<dyn Snapshot>>,
        inventory: Arc<dyn Inventory>,
    ) -> Result<ChangeSet> {
        let previous = parent.map_or(Side::Nothing, |parent| Side::Snapshot(parent.clone()));
        let current = Side::Inventory(inventory);
        let rules = &options.filters;
        let mut settings = options.compare.clone();
        if !rules.is_empty() {
            settings = settings.with_filter(rules.compile(self.clock.now())?);
        }
        compare(previous, current, &settings, self.entropy.as_ref(), self.observer.as_ref(), &self.cancel).await
    }
}

/// What is to be read from the source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Forecast {
    /// Objects to be read, and their bytes; objects of which only metadata is read count no bytes.
    pub tally: Tally,
    /// GET requests to the source: one an object, if nothing has to be repeated.
    pub source_get: u64,
    /// Objects in an archive class that will be listed without bytes.
    pub archived: Tally,
}

/// Counts what will be read, before the first byte moves.
async fn to_copy(changes: &ChangeSet) -> Result<Forecast> {
    let mut forecast = Forecast::default();
    let mut batches = changes.changes();
    while let Some(batch) = batches.try_next().await? {
        for change in batch.iter() {
            match outlook(&change) {
                Outlook::Nothing => {}
                Outlook::Read(bytes) => forecast.tally.add(bytes),
                Outlook::Archived(bytes) => forecast.archived.add(bytes),
            }
        }
    }
    forecast.source_get = forecast.tally.objects;
    Ok(forecast)
}

/// A backup that is decided and not yet done.
pub struct BackupPlan {
    backup: Backup,
    /// What the meter showed when the job began.
    before: Reading,
    options: BackupOptions,
    started: Timestamp,
    scope: Scope,
    parent: Option<Arc<dyn Snapshot>>,
    inventory: Arc<dyn Inventory>,
    view: Option<ViewChoice>,
    doomed: Vec<InventoryInfo>,
    changes: ChangeSet,
    to_copy: Forecast,
}

impl fmt::Debug for BackupPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackupPlan")
            .field("backup", &self.backup)
            .field("inventory", self.inventory())
            .field("parent", &self.parent().map(|parent| parent.id))
            .field("forecast", self.forecast())
            .finish_non_exhaustive()
    }
}

impl BackupPlan {
    /// The inventory it rests on.
    pub fn inventory(&self) -> &InventoryInfo {
        self.inventory.info()
    }

    /// Why the source is seen as it is; `None` where there was nothing to decide.
    pub fn view(&self) -> Option<&ViewChoice> {
        self.view.as_ref()
    }

    /// The snapshot it builds on.
    pub fn parent(&self) -> Option<&SnapshotRecord> {
        self.parent.as_ref().map(|parent| parent.record())
    }

    /// What differs from the parent.
    pub fn changes(&self) -> &ChangeSet {
        &self.changes
    }

    /// What will be read from the source.
    pub fn forecast(&self) -> &Forecast {
        &self.to_copy
    }

    /// The inventories that will be removed once the snapshot is committed, oldest
    /// first. Of their data files, those stay that a remaining inventory names.
    pub fn inventories_to_delete(&self) -> &[InventoryInfo] {
        &self.doomed
    }

    /// Copies what changed and commits the snapshot; then removes inventories, where that was asked for.
    ///
    /// Objects that can't be copied are counted as failed, and the snapshot is
    /// committed without them or with what the parent had.
    ///
    /// # Errors
    /// Whatever keeps the snapshot from being committed. What was written until
    /// then is garbage that nothing refers to.
    /// - [`Error::LocationNotFound`]: the source is gone.
    /// - [`Error::AccessDenied`], [`Error::Unavailable`]: no object can be read. So few denials that they may be
    ///   the objects' own are counted instead, where there is a parent.
    /// - [`Error::InventoryScopeMismatch`]: of a first or full backup, not one object is in the source.
    /// - [`Error::Cancelled`]: until the commit begins.
    ///
    /// # Cancel safety
    /// Dropping the future commits nothing, unless it was already being committed;
    /// the list of snapshots tells.
    pub async fn run(self) -> Result<BackupReport> {
        let Self { backup, before, options, started, scope, parent, inventory, view, doomed, changes, to_copy } = self;
        let id = JobId::generate(started, backup.entropy.as_ref());
        let spec = JobSpec {
            id,
            name: options.name.unwrap_or_else(|| default_name(options.trigger, id)),
            plan: options.plan,
            trigger: options.trigger,
            parent: parent.as_ref().map(|parent| parent.record().id),
            started,
        };
        let parent_is_none = parent.is_none();
        let mut writer = backup.catalog.begin(spec).await?;
        let job = Arc::new(CopyJob {
            job: id,
            source: backup.meter.source(backup.source.clone()),
            vault: backup.vault.vault.clone(),
            key: backup.vault.key.clone(),
            parent,
            options: options.copy,
            meter: backup.meter.clone(),
            cancel: backup.cancel.clone(),
            progress: Progress::new(backup.observer.clone(), to_copy.tally),
        });
        let owned = changes.changes().map_ok(|batch| batch.iter().map(|change| change.to_change()).collect()).boxed();
        copy::copy(job.clone(), owned, writer.as_mut()).await?;
        if parent_is_none && job.progress.all_vanished() {
            return Err(nothing_there(inventory.info(), &backup.source));
        }
        let cost = backup.meter.since(&before);
        let counters = JobCounters {
            changes: *changes.counts(),
            written: cost.written,
            requests: cost.requests,
            retries: cost.retries,
            ..job.progress.counters()
        };
        let as_of_end = backup.clock.now();
        let summary = summary(scope, inventory.info(), as_of_end, counters);
        if backup.cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let record = writer.commit(summary).await?;
        let Reading { requests, written, .. } = backup.meter.since(&before);
        backup.observer.on_event(&Event::Committed { snapshot: record.id, requests: &requests });
        // Only now: without the snapshot, the inventory would be needed again.
        let removals = cleanup::remove(&*backup.inventories, &doomed, &*backup.observer, &backup.cancel).await;
        Ok(BackupReport { snapshot: record, written, requests, view, removals })
    }
}

/// An inventory of which not one object is there is that of another source.
fn nothing_there(info: &InventoryInfo, source: &Arc<dyn Source>) -> Error {
    let problem = format!("not one of the objects it lists is in {source}");
    Error::InventoryScopeMismatch { inventory: info.location.clone(), problem }
}

fn summary(scope: Scope, info: &InventoryInfo, as_of_end: Timestamp, counters: JobCounters) -> JobSummary {
    JobSummary {
        scope,
        as_of_start: info.created,
        as_of_end,
        inventory: InventoryUse {
            location: info.location.clone(),
            created: info.created,
            format: info.format,
            versions: info.versions,
            fields: info.fields.clone(),
            coverage: info.coverage.clone(),
        },
        counters,
    }
}
