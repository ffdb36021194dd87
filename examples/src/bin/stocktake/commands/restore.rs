//! `restore`: writes objects of a snapshot to a bucket or folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use serde::Serialize;
use stocktake::filter::FilterRules;
use stocktake::{
    ConflictPolicy, Error, Event, ObjectKey, Observer, OnlyKeys, RequestCounts, Restore, RestoreOptions, Snapshot,
    SnapshotId, Tally,
};
use stocktake_examples::{count, peak_memory_bytes, seconds};

use crate::args::SnapshotArgs;
use crate::exit::{Outcome, Result};
use crate::progress::Progress;
use crate::session::Session;
use crate::table::{Table, objects};

#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    #[command(flatten)]
    snapshot: SnapshotArgs,
    /// Where to restore to.
    #[arg(long, value_name = "LOC")]
    to: String,
    /// Only keys that begin with this. May be repeated.
    #[arg(long, value_name = "P")]
    prefix: Vec<String>,
    /// Only keys that match; without a `/` in it, at any depth. May be repeated.
    #[arg(long, value_name = "GLOB")]
    include: Vec<String>,
    /// Only the keys in this file, one a line.
    #[arg(long, value_name = "F")]
    keys_file: Option<PathBuf>,
    /// Remove this from the beginning of every key that has it.
    #[arg(long, value_name = "P", default_value = "", hide_default_value = true)]
    strip_prefix: String,
    /// Put this before every key.
    #[arg(long, value_name = "P", default_value = "", hide_default_value = true)]
    add_prefix: String,
    /// What to do where the target has an object of the same key.
    #[arg(long, default_value = "skip")]
    conflict: Conflict,
    /// Say what would be done, and write nothing.
    #[arg(long)]
    dry_run: bool,
    /// Read every object back and compare its hash.
    #[arg(long)]
    verify: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Conflict {
    /// Leave it.
    Skip,
    /// Replace it.
    Overwrite,
    /// Replace it unless size and ETag, or size and time, are the same.
    OverwriteIfDifferent,
    /// Replace it if it was modified before the one in the snapshot.
    OverwriteIfOlder,
    /// Leave it, and write the restored one beside it.
    KeepBoth,
}

#[derive(Serialize)]
struct Summary {
    status: &'static str,
    snapshot: SnapshotId,
    restored: Tally,
    skipped: Tally,
    failed: Tally,
    requests: RequestCounts,
    seconds: f64,
    peak_memory_bytes: Option<u64>,
}

pub(crate) async fn run(args: RestoreArgs, session: &Session) -> Result<Outcome> {
    let options = args.options(session)?;
    let target = session.open_target(&args.to)?;
    let keys = args.keys_file.as_deref().map(read_keys).transpose()?;
    let (opened, snapshot) = session.open_snapshot(&args.snapshot).await?;
    let progress = Progress::new(session, "restore");
    let (snapshot, missing) = select(snapshot, keys, &*progress).await?;
    let id = snapshot.record().id;
    let mut restore =
        Restore::new(&opened.vault, snapshot, target.target).observer(progress.clone()).cancel(session.cancel.clone());
    if args.verify {
        restore = restore.verify_through(target.written);
    }
    let report = restore.run(options).await;
    progress.finish();
    let mut report = report?;
    report.failed += missing;
    let issues = report.failed.objects > 0;
    let summary = Summary {
        status: if issues { "completed_with_issues" } else { "completed" },
        snapshot: id,
        restored: report.restored,
        skipped: report.skipped,
        failed: report.failed,
        requests: opened.vault.meter.requests(),
        seconds: session.elapsed().as_secs_f64(),
        peak_memory_bytes: peak_memory_bytes(),
    };
    let verb = if args.dry_run { "would restore" } else { "restored" };
    let RequestCounts { vault_get, target_put, .. } = summary.requests;
    let table = Table::new()
        .line(verb, objects(&summary.restored))
        .tally("skipped", &summary.skipped)
        .tally("failed", &summary.failed)
        .line("requests", format!("{} GET to the vault, {} PUT to the target", count(vault_get), count(target_put)))
        .line("time", seconds(session.elapsed()));
    session.output.summary(&summary, table)?;
    Ok(if issues { Outcome::Issues } else { Outcome::Done })
}

impl RestoreArgs {
    fn options(&self, session: &Session) -> Result<RestoreOptions> {
        let mut options = RestoreOptions::default();
        options.prefixes = self.prefix.iter().map(|prefix| prefix.clone().into_bytes()).collect();
        if !self.include.is_empty() {
            let mut rules = FilterRules::default();
            rules.include.clone_from(&self.include);
            options.filter = Some(rules.compile(session.clock.now())?);
        }
        options.strip_prefix = self.strip_prefix.clone().into_bytes();
        options.add_prefix = self.add_prefix.clone().into_bytes();
        options.conflict = self.conflict.into();
        options.dry_run = self.dry_run;
        Ok(options)
    }
}

impl From<Conflict> for ConflictPolicy {
    fn from(conflict: Conflict) -> Self {
        match conflict {
            Conflict::Skip => Self::Skip,
            Conflict::Overwrite => Self::Overwrite,
            Conflict::OverwriteIfDifferent => Self::OverwriteIfDifferent,
            Conflict::OverwriteIfOlder => Self::OverwriteIfOlder,
            Conflict::KeepBoth => Self::KeepBoth,
        }
    }
}

/// The keys in a file, one a line, as the bytes they are.
fn read_keys(path: &Path) -> Result<Vec<ObjectKey>> {
    let text = std::fs::read(path).map_err(Error::local("read the list of keys", path))?;
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    Ok(lines.map(ObjectKey::from).collect())
}

/// The snapshot, narrowed to a list of keys where there is one; keys it does not have count as failed.
async fn select(
    snapshot: Arc<dyn Snapshot>,
    keys: Option<Vec<ObjectKey>>,
    observer: &dyn Observer,
) -> Result<(Arc<dyn Snapshot>, Tally)> {
    let Some(keys) = keys else { return Ok((snapshot, Tally::default())) };
    let location = stocktake::Location::new(format!("snapshot {}", snapshot.record().name));
    let only = OnlyKeys::new(snapshot, keys);
    let mut missing = Tally::default();
    for key in only.missing().await? {
        let error = Error::ObjectNotFound { key: key.clone(), location: location.clone() };
        observer.on_event(&Event::ObjectFailed { key: &key, error: &error });
        missing.add(0);
    }
    Ok((Arc::new(only), missing))
}
