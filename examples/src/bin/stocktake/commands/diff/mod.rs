//! `diff`: what differs between two inventories or snapshots.

mod export;
mod row;
mod side;

use clap::Args;
use futures::TryStreamExt;
use serde::Serialize;
use stocktake::compare::{ChangeSet, CompareOptions, Side, compare};
use stocktake::{ChangeClass, ChangeCounts};
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
    #[command(flatten)]
    export: ExportArgs,
    #[command(flatten)]
    key: KeyArgs,
}

#[derive(Serialize)]
struct Summary<'a> {
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
    let changes = compared(previous, current, session).await?;
    let manifest_objects = match &export {
        Some(export) => export.write(&changes).await?,
        None => {
            write_rows(&changes, session).await?;
            None
        }
    };
    let counts = changes.counts();
    let (seconds_taken, peak_memory_bytes) = (session.elapsed().as_secs_f64(), peak_memory_bytes());
    let summary = Summary { counts, manifest_objects, seconds: seconds_taken, peak_memory_bytes };
    let table = ChangeClass::ALL
        .iter()
        .fold(Table::new(), |table, class| table.line(class.as_str(), objects(&counts.class(*class))))
        .line("unchanged", objects(&counts.unchanged))
        .line("time", seconds(session.elapsed()));
    session.output.summary(&summary, table)?;
    Ok(Outcome::Done)
}

async fn compared(previous: Side, current: Side, session: &Session) -> Result<ChangeSet> {
    let progress = Progress::new(session, "compare");
    let options = CompareOptions::default();
    let changes = compare(previous, current, &options, &*session.entropy, &*progress, &session.cancel).await;
    progress.finish();
    Ok(changes?)
}

/// Writes every change to standard output.
async fn write_rows(changes: &ChangeSet, session: &Session) -> Result<()> {
    let mut batches = changes.changes();
    while let Some(batch) = batches.try_next().await? {
        for change in batch.iter().map(|change| change.to_change()) {
            let row = Row(&change);
            session.output.row(&row, &row)?;
        }
    }
    Ok(())
}
