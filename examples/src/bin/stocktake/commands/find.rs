//! `find`: finds objects in one snapshot or in all.
//!
//! An exact key is looked up; a glob that begins with plain text is sought below
//! that text only. Everything else reads the rows of the snapshot once.

use std::sync::Arc;

use clap::Args;
use futures::TryStreamExt;
use serde::Serialize;
use stocktake::filter::{Filter, FilterRules};
use stocktake::{ETag, KeyRange, RowBatch, RowRef, Snapshot, Timestamp};

use crate::args::VaultArgs;
use crate::exit::{Outcome, Result};
use crate::parse;
use crate::row::ObjectRow;
use crate::session::Session;

#[derive(Debug, Args)]
pub(crate) struct FindArgs {
    #[command(flatten)]
    vault: VaultArgs,
    /// Which snapshot: an id or enough of it, a name, or `latest`.
    #[arg(long, value_name = "ID|NAME|latest", default_value = "latest", conflicts_with = "all")]
    snapshot: String,
    /// Look into every snapshot of the vault.
    #[arg(long)]
    all: bool,
    /// Keys that match; without a `/` in it, at any depth.
    #[arg(long, value_name = "G")]
    glob: Option<String>,
    /// This very key.
    #[arg(long, value_name = "K")]
    key: Option<String>,
    /// Objects with this ETag.
    #[arg(long, value_name = "E")]
    etag: Option<String>,
    /// Objects of more bytes than this.
    #[arg(long, value_name = "S", value_parser = parse::size)]
    larger: Option<u64>,
    /// Objects last modified after this time.
    #[arg(long, value_name = "T", value_parser = parse::time)]
    modified_after: Option<Timestamp>,
}

#[derive(Serialize)]
struct Summary {
    objects: u64,
    snapshots: u64,
}

/// The conditions of a search, ready to be applied.
struct Search {
    keys: Keys,
    filter: Option<Filter>,
    etag: Option<ETag>,
    larger: Option<u64>,
    modified_after: Option<Timestamp>,
}

/// Which rows have to be looked at.
enum Keys {
    One(Vec<u8>),
    Within(KeyRange),
}

pub(crate) async fn run(args: FindArgs, session: &Session) -> Result<Outcome> {
    let search = Search::new(&args, session.clock.now())?;
    let opened = session.open_vault(&args.vault).await?;
    let mut snapshots = Vec::new();
    if args.all {
        for record in opened.catalog.snapshots().await? {
            snapshots.push(opened.catalog.open(record.id).await?);
        }
    } else {
        snapshots.push(opened.snapshot(&args.snapshot).await?);
    }
    let mut objects = 0;
    for snapshot in &snapshots {
        objects += search.run(snapshot, session).await?;
    }
    session.output.summary(&Summary { objects, snapshots: snapshots.len() as u64 }, "")?;
    Ok(Outcome::Done)
}

impl Search {
    fn new(args: &FindArgs, now: Timestamp) -> Result<Self> {
        let filter = match &args.glob {
            Some(glob) => {
                let mut rules = FilterRules::default();
                rules.include.push(glob.clone());
                Some(rules.compile(now)?)
            }
            None => None,
        };
        let keys = match &args.key {
            Some(key) => Keys::One(key.clone().into_bytes()),
            None => Keys::Within(KeyRange::prefix(args.glob.as_deref().map_or(b"", plain_beginning))),
        };
        let etag = args.etag.as_deref().map(ETag::new);
        Ok(Self { keys, filter, etag, larger: args.larger, modified_after: args.modified_after })
    }

    /// Writes what is found in a snapshot, and counts it.
    async fn run(&self, snapshot: &Arc<dyn Snapshot>, session: &Session) -> Result<u64> {
        match &self.keys {
            Keys::One(key) => {
                let key = std::iter::once(&key[..]).collect();
                self.write(&snapshot.lookup(&key).await?, snapshot, session)
            }
            Keys::Within(range) => {
                let (mut found, mut rows) = (0, snapshot.rows(range.clone()));
                while let Some(batch) = rows.try_next().await? {
                    found += self.write(&batch, snapshot, session)?;
                }
                Ok(found)
            }
        }
    }

    fn write(&self, batch: &RowBatch, snapshot: &Arc<dyn Snapshot>, session: &Session) -> Result<u64> {
        let mut found = 0;
        for row in batch.iter().filter(|row| self.fits(row)) {
            let row = ObjectRow::new(&row).within(snapshot.record().id);
            session.output.row(&row, &row)?;
            found += 1;
        }
        Ok(found)
    }

    fn fits(&self, row: &RowRef<'_>) -> bool {
        let entry = &row.entry;
        self.filter.as_ref().is_none_or(|filter| filter.passes(entry))
            && self.etag.as_ref().is_none_or(|etag| entry.etag.to_etag().is_some_and(|has| has.code() == etag.code()))
            && self.larger.is_none_or(|size| entry.size > size)
            && self.modified_after.is_none_or(|time| entry.last_modified > time)
    }
}

/// What every key that a glob matches begins with. A glob without a `/` matches at any depth.
fn plain_beginning(glob: &str) -> &[u8] {
    let end = if glob.contains('/') { glob.find(['*', '?', '[', '{', '\\']).unwrap_or(glob.len()) } else { 0 };
    &glob.as_bytes()[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plain_beginning_of_a_glob_narrows_the_search() {
        let cases =
            [("a/b*.jpg", "a/b"), ("*.jpg", ""), ("a/{b,c}/d", "a/"), ("a/b", "a/b"), ("plain", ""), ("**/x", "")];
        for (glob, beginning) in cases {
            assert_eq!(plain_beginning(glob), beginning.as_bytes(), "{glob}");
        }
    }
}
