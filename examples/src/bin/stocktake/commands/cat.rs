//! `cat`: writes one object, or a range of its bytes, straight from the vault.

use clap::Args;
use futures::TryStreamExt;
use serde::Serialize;
use stocktake::{ContentReader, Error, Location, ObjectKey};

use crate::args::SnapshotArgs;
use crate::exit::{Outcome, Result};
use crate::parse;
use crate::row::{Named, base64};
use crate::session::Session;

#[derive(Debug, Args)]
pub(crate) struct CatArgs {
    #[command(flatten)]
    snapshot: SnapshotArgs,
    /// The object.
    #[arg(long, value_name = "K")]
    key: String,
    /// Only these bytes, from the first to the last, both included, counted from 0.
    #[arg(long, value_name = "A-B", value_parser = parse::byte_range)]
    range: Option<(u64, u64)>,
}

/// A stretch of the object; with `--json` only.
#[derive(Serialize)]
struct Stretch {
    offset: u64,
    data_base64: String,
}

#[derive(Serialize)]
struct Summary<'a> {
    #[serde(flatten)]
    key: Named<'a>,
    size: u64,
    bytes: u64,
}

pub(crate) async fn run(args: CatArgs, session: &Session) -> Result<Outcome> {
    let (opened, snapshot) = session.open_snapshot(&args.snapshot).await?;
    let key = args.key.as_bytes();
    let found = snapshot.lookup(&std::iter::once(key).collect()).await?;
    let Some(row) = found.iter().next().map(|row| row.to_row()) else {
        let location = Location::new(format!("snapshot {}", snapshot.record().name));
        return Err(Error::ObjectNotFound { key: ObjectKey::from(key), location }.into());
    };
    let range = args.range.map(|(start, end)| start..end);
    let start = range.as_ref().map_or(0, |range| range.start);
    let reader = ContentReader::new(opened.vault.vault, opened.vault.key);
    let (mut body, mut written) = (reader.read(&row, range), 0);
    while let Some(bytes) = body.try_next().await? {
        if session.output.is_json() {
            let stretch = Stretch { offset: start + written, data_base64: base64(&bytes) };
            session.output.row(&stretch, "")?;
        } else {
            session.output.bytes(&bytes)?;
        }
        written += bytes.len() as u64;
    }
    // For people, standard output holds the object and nothing else.
    session.output.summary(&Summary { key: Named::key(key), size: row.entry.size, bytes: written }, "")?;
    Ok(Outcome::Done)
}
