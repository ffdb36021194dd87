//! `snapshots`: lists the snapshots of a vault.

use clap::Args;
use serde::Serialize;
use stocktake::{Location, SnapshotId, SnapshotRecord, Timestamp, Trigger};
use stocktake_examples::{bytes, count};

use crate::args::VaultArgs;
use crate::exit::{Outcome, Result};
use crate::parse;
use crate::session::Session;

#[derive(Debug, Args)]
pub(crate) struct SnapshotsArgs {
    #[command(flatten)]
    vault: VaultArgs,
    /// Only those of this plan.
    #[arg(long, value_name = "NAME")]
    plan: Option<String>,
    /// Only those whose inventory was begun at this time or later.
    #[arg(long, value_name = "T", value_parser = parse::time)]
    since: Option<Timestamp>,
    /// Only those whose inventory was begun before this time.
    #[arg(long, value_name = "T", value_parser = parse::time)]
    until: Option<Timestamp>,
}

#[derive(Serialize)]
struct Row<'a> {
    snapshot: SnapshotId,
    name: &'a str,
    plan: &'a str,
    parent: Option<SnapshotId>,
    trigger: Trigger,
    as_of_start: Timestamp,
    as_of_end: Timestamp,
    objects: u64,
    bytes: u128,
    inventory: &'a Location,
}

#[derive(Serialize)]
struct Summary {
    snapshots: u64,
}

pub(crate) async fn run(args: SnapshotsArgs, session: &Session) -> Result<Outcome> {
    let opened = session.open_vault(&args.vault).await?;
    let mut listed = 0;
    for record in opened.catalog.snapshots().await?.iter().filter(|record| args.selects(record)) {
        let row = Row::new(record);
        session.output.row(&row, row.text())?;
        listed += 1;
    }
    session.output.summary(&Summary { snapshots: listed }, "")?;
    Ok(Outcome::Done)
}

impl SnapshotsArgs {
    fn selects(&self, record: &SnapshotRecord) -> bool {
        let time = record.summary.as_of_start;
        self.plan.as_ref().is_none_or(|plan| *plan == record.plan)
            && self.since.is_none_or(|since| time >= since)
            && self.until.is_none_or(|until| time < until)
    }
}

impl<'a> Row<'a> {
    fn new(record: &'a SnapshotRecord) -> Self {
        let SnapshotRecord { id, name, plan, trigger, parent, total, summary, .. } = record;
        Self {
            snapshot: *id,
            name,
            plan,
            parent: *parent,
            trigger: *trigger,
            as_of_start: summary.as_of_start,
            as_of_end: summary.as_of_end,
            objects: total.objects,
            bytes: total.bytes,
            inventory: &summary.inventory.location,
        }
    }

    fn text(&self) -> String {
        let (objects, bytes) = (count(self.objects), bytes(self.bytes));
        let Self { snapshot, name, plan, as_of_start, .. } = self;
        format!("{}  {as_of_start}  {objects:>13} objects  {bytes:>11}  {plan}  {name}", snapshot.short())
    }
}
