//! `inventory create`: an inventory of a store that delivers none.

use clap::{Args, ValueEnum};
use serde::Serialize;
use stocktake::inventory::{CreateOptions, create_inventory};
use stocktake::{InventoryFormat, Tally, Timestamp};
use stocktake_examples::{bytes, count, peak_memory_bytes, seconds};

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
    /// LIST requests, or threads in a folder, at once. Default: 16 and 4.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    concurrency: Option<u16>,
    /// Rows of a data file at most. A few files are in memory at a time.
    #[arg(long, value_name = "N", default_value = "250000", value_parser = clap::value_parser!(u32).range(1..))]
    rows_per_file: u32,
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
    /// Data files of attempts that were interrupted.
    leftovers: Tally,
    /// LIST requests to the source.
    source_list: u64,
    seconds: f64,
    peak_memory_bytes: Option<u64>,
}

pub(crate) async fn run(args: CreateArgs, session: &Session) -> Result<Outcome> {
    let bucket = session.open_source(&args.source)?.bucket;
    let listing = session.open_listing(&args.source, args.concurrency)?;
    let to = session.open_inventory_store(&args.to)?;
    let format = match args.format {
        Format::Parquet => InventoryFormat::Parquet,
        Format::Csv => InventoryFormat::Csv,
    };
    let options = CreateOptions::new(bucket, to.bucket).with_prefix(to.prefix).with_format(format);
    let options = options.with_rows_per_file(args.rows_per_file as usize);
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
        leftovers: created.leftovers,
        source_list: listed.source_lists(),
        seconds: session.elapsed().as_secs_f64(),
        peak_memory_bytes: peak_memory_bytes(),
    };
    if summary.leftovers.objects > 0 {
        let text = "data files that no manifest names were left by interrupted runs, or belong to one under way";
        session.output.note(format!("{} {text}", count(summary.leftovers.objects)))?;
    }
    let table = Table::new()
        .line("inventory", &summary.inventory)
        .line("listed", objects(&summary.listed))
        .line("written", format!("{} in {} files", bytes(summary.bytes), count(summary.files)))
        .line("requests", format!("{} LIST to the source", count(summary.source_list)))
        .line("time", seconds(session.elapsed()));
    session.output.summary(&summary, table)?;
    Ok(Outcome::Done)
}
