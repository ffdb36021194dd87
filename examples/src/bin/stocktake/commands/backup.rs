//! `backup`: backs up a bucket or folder, by its inventory or by listing it.

use std::time::Duration;

use clap::{ArgGroup, Args, ValueEnum};
use serde::Serialize;
use stocktake::{
    Backup, BackupMode, BackupOptions, BackupPlan, BackupReport, ChangeCounts, DeleteInventories, Forecast,
    JobCounters, JobStatus, ListingBudget, Location, Meter, OnArchived, OnChanged, RequestCounts, SnapshotId,
    SnapshotMode, Tally, Timestamp, ViewChoice, ViewFacts, ViewRule, choose_view,
};
use stocktake_examples::{bytes, count, peak_memory_bytes, seconds};

use crate::args::VaultArgs;
use crate::exit::{Outcome, Result};
use crate::parse;
use crate::progress::Progress;
use crate::session::Session;
use crate::table::{Table, objects};

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("view").args(["inventory", "traverse"]))]
pub(crate) struct BackupArgs {
    /// What to back up.
    #[arg(long, value_name = "LOC")]
    source: String,
    #[command(flatten)]
    vault: VaultArgs,
    /// Take the newest inventory at this location: a manifest.json, a dated folder, or any folder above. At a folder
    /// incremental_inventory of OSS, what incremental inventories say is added to the full one before them.
    #[arg(long, value_name = "LOC")]
    inventory: Option<String>,
    /// The prefix that the inventory was filtered by, which its manifest does not tell. Default: the whole bucket.
    #[arg(
        long,
        value_name = "P",
        requires = "inventory",
        conflicts_with = "traverse",
        default_value = "",
        hide_default_value = true
    )]
    inventory_prefix: String,
    /// List the source instead. This is also done where no inventory is given.
    #[arg(long)]
    traverse: bool,
    /// What to do when no inventory is there, young enough and newer than the last one used: fail, list the source
    /// instead, or, when it is merely the last one used again, skip the backup.
    #[arg(
        long,
        value_name = "fail|skip|traverse",
        requires = "inventory",
        conflicts_with = "traverse",
        default_value = "fail",
        hide_default_value = true
    )]
    on_stale: OnStale,
    /// Choose between the inventory and listing the source by what a listing would cost, which is measured; the
    /// summary and the dry run say why.
    #[arg(long, requires = "inventory", conflicts_with_all = ["on_stale", "traverse"])]
    choose: bool,
    /// List at most by so many requests when choosing.
    #[arg(long, value_name = "N", requires = "choose", default_value = "1000")]
    max_list_requests: u64,
    /// List for at most so long when choosing.
    #[arg(long, value_name = "D", value_parser = parse::duration, requires = "choose", default_value = "1m")]
    max_list_time: Duration,
    /// What a thousand LIST requests cost, in any currency, to be told when choosing.
    #[arg(long, value_name = "PRICE", requires = "choose")]
    list_price: Option<f64>,
    /// LIST requests, or threads in a folder, at once. Default: 16 and 4.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    list_concurrency: Option<u16>,
    /// The line of snapshots that this one continues.
    #[arg(long, value_name = "NAME", default_value = "default")]
    plan: String,
    /// The snapshot's name. Default: one is made up.
    #[arg(long, value_name = "N")]
    name: Option<String>,
    /// Build on no earlier snapshot: read every object again.
    #[arg(long)]
    full: bool,
    /// Say what would be done, and write nothing.
    #[arg(long)]
    dry_run: bool,
    /// How long ago the inventory's scan may have begun.
    #[arg(long, value_name = "D", value_parser = parse::duration, default_value = "7d")]
    max_inventory_age: Duration,
    /// Once the snapshot is committed, delete the inventory that was used, or it and all older ones of its configuration.
    #[arg(
        long,
        value_name = "no|current|all",
        requires = "inventory",
        conflicts_with = "traverse",
        default_value = "no",
        hide_default_value = true
    )]
    delete_inventory: DeleteInventory,
    /// Only keys that match; without a `/` in it, at any depth. May be repeated.
    #[arg(long, value_name = "GLOB")]
    include: Vec<String>,
    /// No keys that match. May be repeated.
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
    /// Stop if a larger share of the parent's objects was deleted.
    #[arg(long, value_name = "FRACTION", value_parser = parse::fraction, default_value = "0.5")]
    max_deleted: f64,
    /// Stop if a larger share of the parent's objects was changed.
    #[arg(long, value_name = "FRACTION", value_parser = parse::fraction, default_value = "0.5")]
    max_changed: f64,
    /// Go past these guards: the change is meant.
    #[arg(long)]
    allow_mass_change: bool,
    /// What to do with an object that changed since the inventory: store the newer one, skip it, or count it as failed.
    #[arg(long, value_name = "newer|skip|fail", default_value = "newer")]
    on_changed: Changed,
    /// What to do with an archived object: list it without its bytes, or count it as failed.
    #[arg(long, value_name = "skip|fail", default_value = "skip")]
    archived: Archived,
    /// Objects read at once.
    #[arg(long, value_name = "N", default_value = "32", value_parser = clap::value_parser!(u16).range(1..))]
    concurrency: u16,
    /// Memory for the comparison; what does not fit goes to temporary files.
    #[arg(long, value_name = "SIZE", value_parser = parse::memory, default_value = "512MiB")]
    memory: usize,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum DeleteInventory {
    No,
    Current,
    All,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OnStale {
    Fail,
    Skip,
    Traverse,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Changed {
    Newer,
    Skip,
    Fail,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Archived {
    Skip,
    Fail,
}

/// What was done, or what is known of it before it is.
#[derive(Serialize)]
struct Summary<'a> {
    status: &'static str,
    snapshot: Option<SnapshotId>,
    name: Option<&'a str>,
    parent: Option<SnapshotId>,
    mode: SnapshotMode,
    as_of_start: Timestamp,
    as_of_end: Option<Timestamp>,
    inventory: &'a str,
    /// Why the source was listed or not, where that was not forced.
    #[serde(skip_serializing_if = "Option::is_none")]
    view: Option<&'a ViewChoice>,
    #[serde(flatten)]
    changes: &'a ChangeCounts,
    #[serde(flatten)]
    copied: Option<Copied>,
    requests: RequestCounts,
    #[serde(skip_serializing_if = "Option::is_none")]
    forecast: Option<Forecast>,
    /// Inventories that were deleted after use, or would be.
    deleted_inventories: u64,
    seconds: f64,
    peak_memory_bytes: Option<u64>,
}

/// What only a run can tell.
#[derive(Serialize)]
struct Copied {
    copied: Tally,
    vanished: Tally,
    newer: Tally,
    skipped: Tally,
    archived: Tally,
    failed: Tally,
    deduplicated: Tally,
    written: Tally,
    retries: u64,
}

/// A backup that there was no need of.
#[derive(Serialize)]
struct Skipped {
    status: &'static str,
    reason: String,
    seconds: f64,
}

/// An inventory that a run would delete after its use.
#[derive(Serialize)]
struct WouldDelete<'a> {
    inventory: &'a Location,
    created: Timestamp,
    /// Its data files; those that other inventories name as well would stay.
    files: u64,
    bytes: u64,
}

pub(crate) async fn run(args: BackupArgs, session: &Session) -> Result<Outcome> {
    let source = session.open_source(&args.source)?;
    let listing = session.open_listing(&args.source, args.list_concurrency)?;
    let inventories = match &args.inventory {
        Some(location) => session.open_inventories(location)?,
        None => listing.clone(),
    };
    let opened = session.open_vault(&args.vault).await?;
    let meter = opened.vault.meter.clone();
    let mut options = source.options();
    args.apply(&mut options);
    let progress = Progress::new(session, "copy");
    let (clock, entropy) = (session.clock.clone(), session.entropy.clone());
    let backup = Backup::new(source.source, inventories, opened.vault, opened.catalog, clock, entropy)
        .listing(listing)
        .observer(progress.clone())
        .cancel(session.cancel.clone());
    let plan = match backup.plan(options).await {
        Err(stale @ stocktake::Error::InventoryStale { .. }) if args.on_stale == OnStale::Skip => {
            progress.finish();
            return skipped(stale.to_string(), session);
        }
        outcome => outcome?,
    };
    // With nothing forced and nothing to choose from, that is the reason.
    let only_listing = args.inventory.is_none() && !args.traverse;
    let only_listing = only_listing.then(|| choose_view(&ViewFacts::without_inventory(session.clock.now())));
    let view = plan.view().or(only_listing.as_ref()).cloned();
    if args.dry_run {
        progress.finish();
        return forecast(&plan, view.as_ref(), &meter, session);
    }
    session.end_by_itself();
    let report = plan.run().await;
    progress.finish();
    done(&report?, view.as_ref(), session)
}

impl BackupArgs {
    fn budget(&self) -> ListingBudget {
        let mut budget = ListingBudget::default();
        budget.requests = self.max_list_requests;
        budget.seconds = self.max_list_time.as_secs_f64();
        budget.price_per_thousand = self.list_price;
        budget
    }

    /// Carries the arguments over into the library's options.
    fn apply(&self, options: &mut BackupOptions) {
        options.plan.clone_from(&self.plan);
        options.name.clone_from(&self.name);
        options.mode = if self.full { BackupMode::Full } else { BackupMode::Incremental };
        options.inventory.max_age = self.max_inventory_age;
        options.view = match self.on_stale {
            _ if self.choose => ViewRule::Choose(self.budget()),
            OnStale::Traverse => ViewRule::TraverseIfStale,
            OnStale::Fail | OnStale::Skip => ViewRule::Inventories,
        };
        options.delete_inventories = match self.delete_inventory {
            DeleteInventory::No => DeleteInventories::No,
            DeleteInventory::Current => DeleteInventories::Current,
            DeleteInventory::All => DeleteInventories::All,
        };
        options.compare.inventory_prefix = self.inventory_prefix.clone().into();
        options.compare.memory_bytes = self.memory;
        options.filters.include.clone_from(&self.include);
        options.filters.exclude.clone_from(&self.exclude);
        options.guards.max_deleted = self.max_deleted;
        options.guards.max_changed = self.max_changed;
        options.guards.allow_mass_change = self.allow_mass_change;
        options.copy.concurrency = self.concurrency.into();
        options.copy.on_changed = match self.on_changed {
            Changed::Newer => OnChanged::Newer,
            Changed::Skip => OnChanged::Skip,
            Changed::Fail => OnChanged::Fail,
        };
        options.copy.on_archived = match self.archived {
            Archived::Skip => OnArchived::Skip,
            Archived::Fail => OnArchived::Fail,
        };
    }
}

/// Tells that there was nothing to do.
fn skipped(reason: String, session: &Session) -> Result<Outcome> {
    let table = Table::new().line("skipped", &reason);
    let summary = Skipped { status: "skipped", reason, seconds: session.elapsed().as_secs_f64() };
    session.output.summary(&summary, table)?;
    Ok(Outcome::Done)
}

/// Tells what a run would do.
fn forecast(plan: &BackupPlan, view: Option<&ViewChoice>, meter: &Meter, session: &Session) -> Result<Outcome> {
    let (changes, forecast) = (plan.changes().counts(), plan.forecast());
    let doomed = plan.inventories_to_delete();
    for info in doomed {
        let row =
            WouldDelete { inventory: &info.location, created: info.created, files: info.files, bytes: info.bytes };
        let text = format!("inventory to be deleted: {} with {} files", row.inventory, count(row.files));
        session.output.event("inventory_to_delete", &row, Some(&text))?;
    }
    let summary = Summary {
        status: "planned",
        snapshot: None,
        name: None,
        parent: plan.parent().map(|parent| parent.id),
        mode: if plan.parent().is_some() { SnapshotMode::Incremental } else { SnapshotMode::Full },
        as_of_start: plan.inventory().created,
        as_of_end: None,
        inventory: plan.inventory().location.as_str(),
        view,
        changes,
        copied: None,
        requests: meter.requests(),
        forecast: Some(*forecast),
        deleted_inventories: doomed.len() as u64,
        seconds: session.elapsed().as_secs_f64(),
        peak_memory_bytes: peak_memory_bytes(),
    };
    let head = view_line(Table::new().line("inventory", summary.inventory), view);
    let table = change_lines(head, changes)
        .line("would copy", objects(&forecast.tally))
        .line("source requests", format!("{} GET", count(forecast.source_get)))
        .tally("archived", &forecast.archived);
    session.output.summary(&summary, table)?;
    Ok(Outcome::Done)
}

/// Tells what a run did.
fn done(report: &BackupReport, view: Option<&ViewChoice>, session: &Session) -> Result<Outcome> {
    let record = &report.snapshot;
    let JobCounters { changes, copied, newer, skipped, vanished, archived, failed, deduplicated, retries, .. } =
        record.summary.counters;
    let written = report.written;
    let deleted = report.removals.iter().filter(|removal| removal.problem.is_none()).count();
    let (status, outcome) = match report.status() {
        JobStatus::Completed => ("completed", Outcome::Done),
        JobStatus::CompletedWithIssues => ("completed_with_issues", Outcome::Issues),
    };
    let summary = Summary {
        status,
        snapshot: Some(record.id),
        name: Some(&record.name),
        parent: record.parent,
        mode: record.mode(),
        as_of_start: record.summary.as_of_start,
        as_of_end: Some(record.summary.as_of_end),
        inventory: record.summary.inventory.location.as_str(),
        view,
        changes: &changes,
        copied: Some(Copied { copied, vanished, newer, skipped, archived, failed, deduplicated, written, retries }),
        requests: report.requests,
        forecast: None,
        deleted_inventories: deleted as u64,
        seconds: session.elapsed().as_secs_f64(),
        peak_memory_bytes: peak_memory_bytes(),
    };
    let RequestCounts { source_get, source_list, vault_put, .. } = report.requests;
    let head = view_line(Table::new().line("snapshot", format!("{} ({})", record.name, record.id)), view);
    let source = format!("{} GET and {} LIST to the source", count(source_get), count(source_list));
    let table = change_lines(head, &changes)
        .line("copied", objects(&copied))
        .tally("newer than inventory", &newer)
        .tally("skipped", &skipped)
        .tally("vanished", &vanished)
        .tally("archived", &archived)
        .tally("failed", &failed)
        .line("written", format!("{} in {} vault objects", bytes(written.bytes), count(written.objects)))
        .line("requests", format!("{source}, {} PUT to the vault", count(vault_put)))
        .line("time", seconds(session.elapsed()));
    session.output.summary(&summary, table)?;
    Ok(outcome)
}

fn view_line(table: Table, view: Option<&ViewChoice>) -> Table {
    match view {
        Some(ViewChoice { view, reason, .. }) => table.line("view", format!("{view}: {reason}")),
        None => table,
    }
}

fn change_lines(table: Table, changes: &ChangeCounts) -> Table {
    table
        .line("scanned", objects(&changes.scanned))
        .tally("unchanged", &changes.unchanged)
        .tally("added", &changes.added)
        .tally("changed", &changes.changed)
        .tally("metadata changed", &changes.metadata_changed)
        .tally("class changed", &changes.class_changed)
        .tally("deleted", &changes.deleted)
}
