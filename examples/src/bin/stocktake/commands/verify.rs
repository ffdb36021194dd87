//! `verify`: checks that what a vault holds can be restored.

use clap::Args;
use serde::Serialize;
use stocktake::{Damage, DataShare, KeyRange, Tally, Verify, display_key, find_snapshot};

use crate::args::VaultArgs;
use crate::exit::{Outcome, Result};
use crate::parse;
use crate::progress::Progress;
use crate::row::ListedKey;
use crate::session::Session;
use crate::table::{Table, objects};

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    vault: VaultArgs,
    /// Only this snapshot: an id or enough of it, a name, or `latest`. Default: all.
    #[arg(long, value_name = "ID|NAME|latest")]
    snapshot: Option<String>,
    /// How much of the data to read: `all`, a percentage or a size. Default: none, only that it is there.
    #[arg(long, value_name = "all|N%|SIZE", value_parser = parse::share)]
    data: Option<DataShare>,
}

#[derive(Serialize)]
struct DamageRow<'a> {
    object: &'a str,
    problem: &'a str,
    keys: Vec<ListedKey<'a>>,
    key_count: u64,
    /// For an object of the catalog: the keys whose rows can't be relied on.
    key_ranges: Vec<ListedRange<'a>>,
}

/// Keys from one on, up to and without another; no end is `null`.
#[derive(Serialize)]
struct ListedRange<'a> {
    start: ListedKey<'a>,
    end: Option<ListedKey<'a>>,
}

#[derive(Serialize)]
struct Summary {
    checked: Tally,
    packs: u64,
    damaged: Tally,
    damaged_vault_objects: u64,
}

pub(crate) async fn run(args: VerifyArgs, session: &Session) -> Result<Outcome> {
    let opened = session.open_vault(&args.vault).await?;
    let mut chosen = Vec::new();
    if let Some(text) = &args.snapshot {
        chosen.push(find_snapshot(&*opened.catalog, text).await?.id);
    }
    let progress = Progress::new(session, "verify");
    let verify = Verify::new(&opened.vault, opened.catalog, session.entropy.clone())
        .observer(progress.clone())
        .cancel(session.cancel.clone());
    let report = verify.run(&chosen, args.data.unwrap_or(DataShare::None)).await;
    progress.finish();
    let report = report?;
    for damage in &report.damage {
        session.output.event("damage", &DamageRow::new(damage), Some(&text(damage)))?;
    }
    let summary = Summary {
        checked: report.checked,
        packs: report.packs,
        damaged: report.damaged,
        damaged_vault_objects: report.damage.len() as u64,
    };
    let table = Table::new()
        .line("checked", objects(&summary.checked))
        .line("packs read", summary.packs)
        .line("damaged", objects(&summary.damaged))
        .line("damaged vault objects", summary.damaged_vault_objects);
    session.output.summary(&summary, table)?;
    Ok(if report.damage.is_empty() { Outcome::Done } else { Outcome::Damaged })
}

impl<'a> DamageRow<'a> {
    fn new(damage: &'a Damage) -> Self {
        let Damage { blob, problem, keys, key_count, key_ranges, .. } = damage;
        let keys = keys.iter().map(|key| ListedKey::from(key.as_bytes())).collect();
        let range = |range: &'a KeyRange| ListedRange { start: range.start().into(), end: range.end().map(Into::into) };
        Self { object: blob, problem, keys, key_count: *key_count, key_ranges: key_ranges.iter().map(range).collect() }
    }
}

/// The damage as people read it: the blob, and the keys below it.
fn text(damage: &Damage) -> String {
    let mut text = format!("damaged: {}: {}", damage.blob, damage.problem);
    for key in &damage.keys {
        text.push_str(&format!("\n  {key}"));
    }
    for range in &damage.key_ranges {
        let end = range.end().map_or_else(|| "the last key".to_owned(), |end| display_key(end).to_string());
        text.push_str(&format!("\n  rows from {:?} up to {end:?}", display_key(range.start()).to_string()));
    }
    let unlisted = damage.key_count.saturating_sub(damage.keys.len() as u64);
    if unlisted > 0 {
        text.push_str(&format!("\n  and {unlisted} more keys"));
    }
    text
}
