//! `diff`: what differs between two inventories or snapshots.

mod export;
mod row;
mod side;

use clap::{Args, ValueEnum};
use futures::TryStreamExt;
use serde::Serialize;
use stocktake::compare::{ChangeSet, CompareOptions, Side, compare};
use stocktake::export::ChangeColumns;
use stocktake::{ChangeClass, ChangeCounts, InventoryVersions};
use stocktake_examples::{peak_memory_bytes, seconds};

use crate::args::KeyArgs;
use crate::exit::{Outcome, Result};
use crate::progress::Progress;
use crate::session::Session;
use crate::table::{Table, objects};
use export::ExportArgs;
use row::Row;
use side::SideArg;

#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// The earlier state: `inventory:LOC` of a manifest, or `snapshot:VAULT#ID`.
    #[arg(value_name = "A")]
    a: SideArg,
    /// The later state, in the same form.
    #[arg(value_name = "B")]
    b: SideArg,
    /// What to compare: current objects, or all versions where both inventories list them.
    #[arg(long, value_name = "current|all", default_value = "current")]
    versions: Versions,
    #[command(flatten)]
    export: ExportArgs,
    #[command(flatten)]
    key: KeyArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Versions {
    Current,
    All,
}

impl From<Versions> for InventoryVersions {
    fn from(versions: Versions) -> Self {
        match versions {
            Versions::Current => Self::Current,
            Versions::All => Self::All,
        }
    }
}

#[derive(Serialize)]
struct Summary<'a> {
    /// What was compared, whatever was asked for.
    versions: InventoryVersions,
    #[serde(flatten)]
    counts: &'a ChangeCounts,
    /// Objects listed in a manifest.
    #[serde(skip_serializing_if = "Option::is_none")]
    manifest_objects: Option<u64>,
    seconds: f64,
    peak_memory_bytes: Option<u64>,
}

pub(crate) async fn run(args: DiffArgs, session: &Session) -> Result<Outcome> {
    let export = args.export.export()?;
    let previous = args.a.open(&args.key, session).await?;
    let current = args.b.open(&args.key, session).await?;
    let wanted = args.versions.into();
    let changes = compared(previous, current, wanted, session).await?;
    if changes.versions() != wanted {
        session.output.note("current objects are compared: only inventories of all versions tell the others")?;
    }
    let manifest_objects = match &export {
        Some(export) => export.write(&changes).await?,
        None => {
            write_rows(&changes, session).await?;
            None
        }
    };
    let counts = changes.counts();
    let (seconds_taken, peak_memory_bytes) = (session.elapsed().as_secs_f64(), peak_memory_bytes());
    let versions = changes.versions();
    let summary = Summary { versions, counts, manifest_objects, seconds: seconds_taken, peak_memory_bytes };
    let table = ChangeClass::ALL
        .iter()
        .filter(|class| versions == InventoryVersions::All || !of_versions(**class))
        .fold(Table::new(), |table, class| table.line(class.as_str(), objects(&counts.class(*class))))
        .line("unchanged", objects(&counts.unchanged))
        .line("time", seconds(session.elapsed()));
    session.output.summary(&summary, table)?;
    Ok(Outcome::Done)
}

/// Whether a class is one that objects never have.
fn of_versions(class: ChangeClass) -> bool {
    matches!(class, ChangeClass::VersionAdded | ChangeClass::DeleteMarker | ChangeClass::Recreated)
}

async fn compared(previous: Side, current: Side, versions: InventoryVersions, session: &Session) -> Result<ChangeSet> {
    let progress = Progress::new(session, "compare");
    let options = CompareOptions::default().with_versions(versions);
    let changes = compare(previous, current, &options, &*session.entropy, &*progress, &session.cancel).await;
    progress.finish();
    Ok(changes?)
}

/// Writes every change to standard output.
async fn write_rows(changes: &ChangeSet, session: &Session) -> Result<()> {
    let columns = ChangeColumns::from(changes.versions());
    let mut batches = changes.changes();
    while let Some(batch) = batches.try_next().await? {
        for change in batch.iter().map(|change| change.to_change()) {
            let row = Row { change: &change, columns };
            session.output.row(&row, &row)?;
        }
    }
    Ok(())
}
