//! What keeps a plan from its inventory, said before a job fails of it.
//!
//! A job stops at the first thing that is wrong. Here all that can be told
//! without reading data files is told at once, each with what to do about it.
//! What can't be told is not passed over: it is [`Unknown`](CheckOutcome::Unknown).

use std::error::Error as _;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use stocktake_core::{Error, Inventory, InventoryFormat, InventoryInfo, InventoryReader, Timestamp};

use crate::cycle::{Cycle, check_interval, span};

/// What a plan wants of its inventory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DiagnoseOptions {
    /// The bucket that it has to list; not checked when `None`.
    pub bucket: Option<String>,
    /// Keys that begin so are to be backed up. Default: all.
    pub path: Bytes,
    /// The prefix that the inventory is filtered to, as its configuration says. The
    /// manifests of S3 and OSS don't tell it, so it is unknown when `None`.
    pub stated_prefix: Option<Bytes>,
    /// How often backups are to be made; not checked when `None`.
    pub interval: Option<Duration>,
    /// How long ago the scan of a usable inventory may have begun. Default: seven days.
    pub max_age: Duration,
    /// The time to judge ages by.
    pub now: Timestamp,
}

impl DiagnoseOptions {
    /// Defaults, at this time.
    pub fn new(now: Timestamp) -> Self {
        let max_age = Duration::from_secs(7 * 24 * 60 * 60);
        Self { bucket: None, path: Bytes::new(), stated_prefix: None, interval: None, max_age, now }
    }

    /// Keys of `bucket` that begin with `path` are to be backed up.
    #[must_use]
    pub fn with_source(self, bucket: impl Into<String>, path: impl Into<Bytes>) -> Self {
        Self { bucket: Some(bucket.into()), path: path.into(), ..self }
    }

    /// The inventory is filtered to this prefix; empty for the whole bucket.
    #[must_use]
    pub fn with_stated_prefix(self, prefix: impl Into<Bytes>) -> Self {
        Self { stated_prefix: Some(prefix.into()), ..self }
    }

    /// Backups are to be made this often.
    #[must_use]
    pub fn with_interval(self, interval: Duration) -> Self {
        Self { interval: Some(interval), ..self }
    }

    /// The scan of a usable inventory began no longer ago than this.
    #[must_use]
    pub fn with_max_age(self, max_age: Duration) -> Self {
        Self { max_age, ..self }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Which.
    pub check: CheckName,
    /// How it ended.
    pub outcome: CheckOutcome,
    /// What was found, in a sentence without a full stop.
    pub found: String,
    /// What to do about it; `None` when it passed.
    pub remedy: Option<String>,
}

/// What is looked at, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CheckName {
    /// There is an inventory.
    Existence,
    /// One is delivered completely: manifest, checksum, and all data files with their sizes.
    Completeness,
    /// Its scan began no longer ago than allowed, and none that is due is missing.
    Current,
    /// It lists the bucket of the source.
    Bucket,
    /// It covers the source path.
    Prefix,
    /// It has the fields that comparison needs.
    Fields,
    /// It is delivered no less often than backups are made.
    Cycle,
}

impl CheckName {
    /// Its stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Existence => "existence",
            Self::Completeness => "completeness",
            Self::Current => "current",
            Self::Bucket => "bucket",
            Self::Prefix => "prefix",
            Self::Fields => "fields",
            Self::Cycle => "cycle",
        }
    }
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckOutcome {
    /// As it should be.
    Passed,
    /// A job would fail of it, or rest on something wrong.
    Failed,
    /// It can't be told from what is there.
    Unknown,
}

impl CheckOutcome {
    /// Its stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { check, outcome, found, remedy } = self;
        write!(f, "{:7}  {:12}  {found}", outcome.as_str(), check.as_str())?;
        remedy.as_ref().map_or(Ok(()), |remedy| write!(f, "\n{:23}{remedy}", ""))
    }
}

/// Looks at everything that a plan wants of its inventory. Reads manifests and the sizes of data files.
///
/// The inventory that is judged is the one that a job would take: the newest that
/// is ready. Returns every [`CheckName`] once, in order. What a store refuses is
/// a result as well, so this does not fail.
pub async fn diagnose(reader: &dyn InventoryReader, wants: &DiagnoseOptions) -> Vec<Check> {
    let infos = match reader.inventories().await {
        Ok(infos) => infos,
        Err(error) => return unreachable_store(&error),
    };
    let newest = infos.iter().filter(|info| info.not_ready.is_none()).max_by_key(|info| info.created);
    let opened = match newest {
        Some(info) => Some(reader.open(info).await),
        None => None,
    };
    vec![
        existence(&infos, reader),
        completeness(&infos, newest, opened.as_ref()),
        current(&infos, newest, wants),
        bucket(newest, wants),
        prefix(newest, wants),
        fields(opened.as_ref()),
        cycle(&infos, wants),
    ]
}

type Opened = Result<Arc<dyn Inventory>, Error>;

fn unreachable_store(error: &Error) -> Vec<Check> {
    let unknown = |check| check_of(check, CheckOutcome::Unknown, "inventories can't be listed", Some("see existence"));
    let names = [
        CheckName::Completeness,
        CheckName::Current,
        CheckName::Bucket,
        CheckName::Prefix,
        CheckName::Fields,
        CheckName::Cycle,
    ];
    let first = check_of(CheckName::Existence, CheckOutcome::Failed, chain(error), Some(error.help()));
    std::iter::once(first).chain(names.map(unknown)).collect()
}

fn existence(infos: &[InventoryInfo], reader: &dyn InventoryReader) -> Check {
    let check = CheckName::Existence;
    if infos.is_empty() {
        let remedy = "enable an inventory that is delivered there, and wait up to 48 hours for the first; \
            OSS delivers none of an empty bucket";
        return failed(check, format!("there is no inventory at {reader}"), remedy);
    }
    passed(check, format!("{} at {reader}", counted(infos.len(), "inventory", "inventories")))
}

fn completeness(infos: &[InventoryInfo], newest: Option<&InventoryInfo>, opened: Option<&Opened>) -> Check {
    let check = CheckName::Completeness;
    let Some(info) = newest else { return none_ready(infos, check) };
    match opened {
        // A missing field is a check of its own; all files had been looked at by then.
        Some(Ok(_) | Err(Error::InventoryMissingField { .. })) => {
            let files = counted(usize::try_from(info.files).unwrap_or(usize::MAX), "data file", "data files");
            passed(check, format!("{} is complete, with {files}", info.location))
        }
        Some(Err(error)) => failed(check, chain(error), error.help()),
        None => unknown(check, "it was not opened", "open it"),
    }
}

fn none_ready(infos: &[InventoryInfo], check: CheckName) -> Check {
    match infos.iter().max_by_key(|info| info.created) {
        Some(info) => {
            let reason = info.not_ready.as_deref().unwrap_or("not ready");
            failed(check, format!("{} is not ready: {reason}", info.location), "wait until its delivery is complete")
        }
        None => no_inventory(check),
    }
}

fn current(infos: &[InventoryInfo], newest: Option<&InventoryInfo>, wants: &DiagnoseOptions) -> Check {
    /// How long a delivery may take: what AWS says of the first one ("Configuring Amazon S3 Inventory").
    const DELIVERY: Duration = Duration::from_secs(48 * 60 * 60);
    let check = CheckName::Current;
    let Some(info) = newest else { return no_inventory(check) };
    let age = wants.now.since(info.created);
    let found = format!("the newest began {} ago, on {}", span(age), info.created);
    let remedy = "see whether the inventory is still enabled and may still write to its bucket";
    if age > wants.max_age {
        return failed(check, format!("{found}; {} is allowed", span(wants.max_age)), remedy);
    }
    match Cycle::of(infos) {
        Some(cycle) if age > 2 * cycle.length() + DELIVERY => {
            failed(check, format!("{found}, and they came {cycle}"), remedy)
        }
        _ => passed(check, found),
    }
}

fn bucket(newest: Option<&InventoryInfo>, wants: &DiagnoseOptions) -> Check {
    let check = CheckName::Bucket;
    let Some(info) = newest else { return no_inventory(check) };
    let found = format!("it lists the bucket {}", info.bucket);
    match &wants.bucket {
        _ if info.bucket.is_empty() => unknown(check, "it does not tell its bucket", "look into its configuration"),
        None => unknown(check, found, "say which bucket the source is"),
        Some(bucket) if *bucket == info.bucket => passed(check, found),
        Some(bucket) => {
            let remedy = "use the folder of the configuration that lists this bucket";
            failed(check, format!("{found}, the source is {bucket}"), remedy)
        }
    }
}

fn prefix(newest: Option<&InventoryInfo>, wants: &DiagnoseOptions) -> Check {
    let check = CheckName::Prefix;
    let Some(info) = newest else { return no_inventory(check) };
    let path = wants.path.escape_ascii();
    if let Some(reason) = info.coverage.refuses(&wants.path) {
        let found = format!("{reason}, and the source path is \"{path}\"");
        return failed(check, found, "widen the inventory's prefixes, or narrow the source path");
    }
    match &wants.stated_prefix {
        _ if info.format == InventoryFormat::Listing => passed(check, "the source itself is listed".to_owned()),
        None => unknown(
            check,
            "its manifest does not tell which prefix it is filtered to",
            "look it up in the inventory's configuration and state it",
        ),
        Some(prefix) if wants.path.starts_with(prefix) => {
            passed(check, format!("\"{}\" as stated contains \"{path}\"", prefix.escape_ascii()))
        }
        Some(prefix) => failed(
            check,
            format!("it covers \"{}\" only as stated, the source path is \"{path}\"", prefix.escape_ascii()),
            "widen the inventory's prefix, or narrow the source path",
        ),
    }
}

fn fields(opened: Option<&Opened>) -> Check {
    let check = CheckName::Fields;
    match opened {
        Some(Ok(inventory)) => passed(check, format!("it has {}", inventory.info().fields.join(", "))),
        Some(Err(error @ Error::InventoryMissingField { field, .. })) => {
            failed(check, format!("it lacks the field {field}"), error.help())
        }
        Some(Err(_)) => unknown(check, "it can't be opened", "see completeness"),
        None => no_inventory(check),
    }
}

fn cycle(infos: &[InventoryInfo], wants: &DiagnoseOptions) -> Check {
    let check = CheckName::Cycle;
    let Some(interval) = wants.interval else {
        let found = match Cycle::of(infos) {
            Some(cycle) => format!("inventories come {cycle}"),
            None => "fewer than two inventories tell no cycle".to_owned(),
        };
        return unknown(check, found, "say how often backups are to be made");
    };
    let fit = check_interval(interval, infos);
    match fit.outcome() {
        CheckOutcome::Passed => passed(check, fit.to_string()),
        CheckOutcome::Failed => {
            failed(check, fit.to_string(), "back up less often, or have inventories delivered more often")
        }
        CheckOutcome::Unknown => unknown(check, fit.to_string(), "check again after the next delivery"),
    }
}

fn no_inventory(check: CheckName) -> Check {
    unknown(check, "there is no inventory that is ready", "see existence and completeness")
}

fn passed(check: CheckName, found: String) -> Check {
    check_of(check, CheckOutcome::Passed, found, None)
}

fn failed(check: CheckName, found: String, remedy: &str) -> Check {
    check_of(check, CheckOutcome::Failed, found, Some(remedy))
}

fn unknown(check: CheckName, found: impl Into<String>, remedy: &str) -> Check {
    check_of(check, CheckOutcome::Unknown, found, Some(remedy))
}

fn check_of(check: CheckName, outcome: CheckOutcome, found: impl Into<String>, remedy: Option<&str>) -> Check {
    Check { check, outcome, found: found.into(), remedy: remedy.map(str::to_owned) }
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// An error and its causes in one line.
fn chain(error: &Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
