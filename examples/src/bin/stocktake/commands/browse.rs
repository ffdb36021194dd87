//! `browse`: looks into a snapshot, a level or a whole tree at a time.

use bytes::Bytes;
use clap::Args;
use futures::TryStreamExt;
use serde::Serialize;
use stocktake::{KeyRange, Listed, Row, browse, display_key};

use crate::args::SnapshotArgs;
use crate::exit::{Outcome, Result};
use crate::row::{Named, ObjectRow};
use crate::session::Session;

#[derive(Debug, Args)]
pub(crate) struct BrowseArgs {
    #[command(flatten)]
    snapshot: SnapshotArgs,
    /// Only keys that begin with this.
    #[arg(default_value = "")]
    prefix: String,
    /// Everything below the prefix, not only its own level.
    #[arg(long)]
    recursive: bool,
}

#[derive(Default, Serialize)]
struct Summary {
    objects: u64,
    prefixes: u64,
}

pub(crate) async fn run(args: BrowseArgs, session: &Session) -> Result<Outcome> {
    let (_, snapshot) = session.open_snapshot(&args.snapshot).await?;
    let mut summary = Summary::default();
    if args.recursive {
        let mut rows = snapshot.rows(KeyRange::prefix(args.prefix.as_bytes()));
        while let Some(batch) = rows.try_next().await? {
            for row in batch.iter().map(|row| ObjectRow::new(&row)) {
                session.output.row(&row, &row)?;
            }
            summary.objects += batch.len() as u64;
        }
    } else {
        let mut items = browse(snapshot, args.prefix.as_bytes(), b'/');
        while let Some(item) = items.try_next().await? {
            match item {
                Listed::Folder(prefix) => write_prefix(&prefix, &mut summary, session)?,
                Listed::Object(row) => {
                    let row = Row::as_ref(&row);
                    let row = ObjectRow::new(&row);
                    session.output.row(&row, &row)?;
                    summary.objects += 1;
                }
            }
        }
    }
    session.output.summary(&summary, "")?;
    Ok(Outcome::Done)
}

fn write_prefix(prefix: &Bytes, summary: &mut Summary, session: &Session) -> Result<()> {
    summary.prefixes += 1;
    let text = format!("{:>11}  {:24}  {}", "", "", display_key(prefix));
    Ok(session.output.row(&Named { name: "prefix", bytes: prefix }, text)?)
}
