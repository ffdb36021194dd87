//! `inventory check`: whether an inventory is whole and true to its checksums, and fits what is to be backed up.
//!
//! First everything that can be told without reading its files, a row a check;
//! then the files are read to their ends. It ends well when nothing of this failed.

use std::time::Duration;

use clap::Args;
use futures::TryStreamExt;
use serde::Serialize;
use stocktake::inventory::{Check, CheckOutcome, DiagnoseOptions, diagnose};
use stocktake::location::OpenSource;
use stocktake::select::{Choice, choose};
use stocktake::{Error, Inventory, InventoryFormat, InventoryReader, Location, Tally, Timestamp};

use crate::exit::{Outcome, Result};
use crate::parse;
use crate::session::Session;
use crate::table::{Table, objects};

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// A manifest.json, a dated folder, the folder of a configuration, or any folder above.
    #[arg(value_name = "LOC")]
    location: String,
    /// The source that it should be of: its bucket must be the one that is listed, and its path must be covered.
    #[arg(long, value_name = "LOC")]
    source: Option<String>,
    /// How often backups are to be made: inventories must come at least as often.
    #[arg(long, value_name = "D", value_parser = parse::duration)]
    interval: Option<Duration>,
    /// The prefix that the inventory is filtered by, which its manifest does not tell; empty for the whole bucket.
    #[arg(long, value_name = "P")]
    inventory_prefix: Option<String>,
    /// How long ago its scan may have begun.
    #[arg(long, value_name = "D", value_parser = parse::duration, default_value = "7d")]
    max_inventory_age: Duration,
}

#[derive(Serialize)]
struct Summary<'a> {
    inventory: &'a Location,
    bucket: &'a str,
    created: Timestamp,
    age_seconds: u64,
    format: InventoryFormat,
    files: u64,
    bytes: u64,
    fields: &'a [String],
    /// Rows of current objects; with a source, of those below its path.
    listed: Tally,
    #[serde(skip_serializing_if = "Option::is_none")]
    outside_rows: Option<u64>,
    checks: Counts,
}

/// How the checks ended.
#[derive(Clone, Copy, Default, Serialize)]
struct Counts {
    passed: u64,
    failed: u64,
    unknown: u64,
}

pub(crate) async fn run(args: CheckArgs, session: &Session) -> Result<Outcome> {
    let reader = session.open_inventories(&args.location)?;
    let source = args.source.as_deref().map(|location| session.open_source(location)).transpose()?;
    let now = session.clock.now();
    let checks = checked(&*reader, &args, source.as_ref(), now, session).await?;
    let infos = reader.inventories().await?;
    let mut choice = Choice::default();
    choice.max_age = Duration::MAX;
    choice.bucket = source.as_ref().map(|source| source.bucket.clone());
    let info = choose(&infos, &choice, now, None, &Location::new(reader.to_string()))?;
    let inventory = reader.open(info).await?;
    let path = source.as_ref().map_or(&b""[..], |source| &source.path);
    let (listed, outside) = read(&*inventory, path).await?;
    let info = inventory.info();
    let summary = Summary {
        inventory: &info.location,
        bucket: &info.bucket,
        created: info.created,
        age_seconds: now.since(info.created).as_secs(),
        format: info.format,
        files: info.files,
        bytes: info.bytes,
        fields: &info.fields,
        listed,
        outside_rows: source.is_some().then_some(outside),
        checks,
    };
    let table = Table::new()
        .line("inventory", summary.inventory)
        .line("bucket", summary.bucket)
        .line("created", summary.created)
        .line("fields", summary.fields.join(", "))
        .line("files", summary.files)
        .line("listed", objects(&listed))
        .line("checks", format!("{} passed, {} failed, {} unknown", checks.passed, checks.failed, checks.unknown));
    session.output.summary(&summary, table)?;
    Ok(if checks.failed > 0 { Outcome::Unfit } else { Outcome::Done })
}

/// Writes a row for each thing that can be told without reading data files.
async fn checked(
    reader: &dyn InventoryReader,
    args: &CheckArgs,
    source: Option<&OpenSource>,
    now: Timestamp,
    session: &Session,
) -> Result<Counts> {
    let mut wants = DiagnoseOptions::new(now).with_max_age(args.max_inventory_age);
    if let Some(source) = source {
        wants = wants.with_source(&*source.bucket, source.path.clone());
    }
    wants.interval = args.interval;
    wants.stated_prefix = args.inventory_prefix.clone().map(Into::into);
    let mut counts = Counts::default();
    for check in &diagnose(reader, &wants).await {
        let Check { outcome, .. } = check;
        *match outcome {
            CheckOutcome::Passed => &mut counts.passed,
            CheckOutcome::Failed => &mut counts.failed,
            CheckOutcome::Unknown => &mut counts.unknown,
        } += 1;
        session.output.row(check, check)?;
    }
    Ok(counts)
}

/// Reads every part to its end, where the verdict on it is given. Counts what lies below `path`, and the other rows.
async fn read(inventory: &dyn Inventory, path: &[u8]) -> Result<(Tally, u64), Error> {
    let (mut listed, mut outside) = (Tally::default(), 0);
    for part in 0..inventory.parts() {
        let mut batches = inventory.read(part);
        while let Some(batch) = batches.try_next().await? {
            for entry in batch.iter() {
                if entry.key.starts_with(path) { listed.add(entry.size) } else { outside += 1 }
            }
        }
    }
    Ok((listed, outside))
}
