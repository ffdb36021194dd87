//! `inventory list`: which inventories there are.

use clap::Args;
use serde::Serialize;
use stocktake::{InventoryFormat, InventoryInfo, Location, Timestamp};
use stocktake_examples::{bytes, count};

use crate::exit::{Outcome, Result};
use crate::session::Session;

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// A manifest.json, a dated folder, the folder of a configuration, or any folder above. At a folder
    /// incremental_inventory of OSS: the instants that can be read, each the end of an incremental inventory.
    #[arg(value_name = "LOC")]
    location: String,
}

#[derive(Serialize)]
struct Row<'a> {
    inventory: &'a Location,
    bucket: &'a str,
    created: Timestamp,
    format: InventoryFormat,
    files: u64,
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<u64>,
    fields: &'a [String],
    ready: bool,
    problem: Option<&'a str>,
}

#[derive(Serialize)]
struct Summary {
    inventories: u64,
    ready: u64,
}

pub(crate) async fn run(args: ListArgs, session: &Session) -> Result<Outcome> {
    let infos = session.open_inventories(&args.location)?.inventories().await?;
    for info in &infos {
        let row = Row::new(info);
        session.output.row(&row, row.text())?;
    }
    let ready = infos.iter().filter(|info| info.not_ready.is_none()).count() as u64;
    session.output.summary(&Summary { inventories: infos.len() as u64, ready }, "")?;
    Ok(Outcome::Done)
}

impl<'a> Row<'a> {
    fn new(info: &'a InventoryInfo) -> Self {
        let InventoryInfo { location, created, bucket, format, files, bytes, rows, fields, not_ready, .. } = info;
        Self {
            inventory: location,
            bucket,
            created: *created,
            format: *format,
            files: *files,
            bytes: *bytes,
            rows: *rows,
            fields,
            ready: not_ready.is_none(),
            problem: not_ready.as_deref(),
        }
    }

    fn text(&self) -> String {
        let (files, bytes, format) = (count(self.files), bytes(self.bytes), self.format.to_string());
        let Self { inventory, bucket, created, problem, .. } = self;
        let state = problem.map_or_else(String::new, |problem| format!("  [not ready: {problem}]"));
        format!("{created}  {format:7}  {files:>5} files  {bytes:>11}  {bucket}  {inventory}{state}")
    }
}
