//! `inventory create`: an inventory of a store that delivers none.

use clap::{Args, ValueEnum};
use serde::Serialize;
use stocktake::inventory::{CreateOptions, create_inventory};
use stocktake::{InventoryFormat, Tally, Timestamp};
use stocktake_examples::{bytes, count, seconds};

use crate::exit::{Outcome, Result};
use crate::session::Session;
use crate::table::{Table, objects};

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// The bucket or folder to be listed.
    #[arg(long, value_name = "LOC")]
    source: String,
    /// The bucket or folder that the inventory is written to.
    #[arg(long, value_name = "LOC")]
    to: String,
    /// How its files are written.
    #[arg(long, default_value = "parquet")]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Parquet,
    Csv,
}

#[derive(Serialize)]
struct Summary {
    inventory: String,
    created: Timestamp,
    format: InventoryFormat,
    listed: Tally,
    files: u64,
    bytes: u128,
    seconds: f64,
}

pub(crate) async fn run(args: CreateArgs, session: &Session) -> Result<Outcome> {
    let bucket = session.open_source(&args.source)?.bucket;
    let listing = session.open_listing(&args.source)?;
    let to = session.open_inventory_store(&args.to)?;
    let format = match args.format {
        Format::Parquet => InventoryFormat::Parquet,
        Format::Csv => InventoryFormat::Csv,
    };
    let options = CreateOptions::new(bucket, to.bucket).with_prefix(to.prefix).with_format(format);
    let [info] = &listing.inventories().await?[..] else {
        return Err(stocktake::Error::invalid(format!("{} can't be listed", args.source)).into());
    };
    let listed = listing.open(info).await?;
    let created = create_inventory(&*listed, &*to.store, &options, &*session.entropy).await?;
    let summary = Summary {
        inventory: format!("{}/{}", to.root, created.manifest),
        created: created.created,
        format,
        listed: created.total,
        files: created.files.objects,
        bytes: created.files.bytes,
        seconds: session.elapsed().as_secs_f64(),
    };
    let table = Table::new()
        .line("inventory", &summary.inventory)
        .line("listed", objects(&summary.listed))
        .line("written", format!("{} in {} files", bytes(summary.bytes), count(summary.files)))
        .line("time", seconds(session.elapsed()));
    session.output.summary(&summary, table)?;
    Ok(Outcome::Done)
}
