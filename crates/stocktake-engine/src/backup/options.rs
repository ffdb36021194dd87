//! What a backup is told, and what of it is refused.

use stocktake_core::{Error, InventoryVersions, JobId, Location, Result, Scope, SnapshotRecord, Trigger};

use crate::cleanup::DeleteInventories;
use crate::compare::{CompareOptions, Guards};
use crate::copy::CopyOptions;
use crate::filter::FilterRules;
use crate::select::Choice;
use crate::view::ViewRule;

/// What to back up, and how.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BackupOptions {
    /// The plan whose line of snapshots this one continues. Default `"default"`.
    pub plan: String,
    /// Name of the snapshot; made up from its id when `None`.
    pub name: Option<String>,
    /// What caused the job. Default: somebody asked for it.
    pub trigger: Trigger,
    /// Whether to build on the last snapshot of the plan. Default: where there is one.
    pub mode: BackupMode,
    /// Which inventory to use, how old it may be, and which bucket and prefix it must cover.
    pub inventory: Choice,
    /// Whether the source may be listed instead. Default: it is not, or it is what was given as the inventories.
    pub view: ViewRule,
    /// The source as it is recorded in the snapshot, without credentials. A plan's next snapshot builds on the
    /// last one only where it is written the same.
    pub source: Location,
    /// How the comparison is done: memory, source path, stated prefix of the inventory. What is in scope is said
    /// by [`filters`](Self::filters), and current objects are compared: other settings of a comparison are refused.
    pub compare: CompareOptions,
    /// Which of the source's objects are in scope.
    pub filters: FilterRules,
    /// When to stop before anything is written: what is compared with the parent, and what a full backup finds
    /// beside the plan's last snapshot of the same scope.
    pub guards: Guards,
    /// How objects are copied.
    pub copy: CopyOptions,
    /// Which inventories are removed once the snapshot is committed. Default: none.
    pub delete_inventories: DeleteInventories,
}

impl BackupOptions {
    /// Defaults for the source that people write as `source`.
    ///
    /// They take an inventory of any bucket, and all of its rows: set [`Choice::bucket`] and
    /// [`CompareOptions::path`] to those of the source.
    pub fn new(source: Location) -> Self {
        Self {
            plan: "default".into(),
            name: None,
            trigger: Trigger::Manual,
            mode: BackupMode::Incremental,
            inventory: Choice::default(),
            view: ViewRule::default(),
            source,
            compare: CompareOptions::default(),
            filters: FilterRules::default(),
            guards: Guards::default(),
            copy: CopyOptions::default(),
            delete_inventories: DeleteInventories::default(),
        }
    }
}

/// Whether to build on an earlier snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackupMode {
    /// On the last one of the plan, where there is one and its scope is the same.
    Incremental,
    /// On none: every object is read again, from whatever inventory is young enough, be it the one of the last
    /// snapshot.
    Full,
}

/// Refuses settings that a backup can't honour.
pub(super) fn check_options(options: &BackupOptions) -> Result<()> {
    if options.compare.filter.is_some() {
        return Err(Error::invalid("a backup's filters are given as BackupOptions::filters, which its scope records"));
    }
    if options.compare.versions != InventoryVersions::Current {
        return Err(Error::invalid("a backup compares current objects; other versions can't be copied yet"));
    }
    options.copy.check()
}

pub(super) fn check_name(name: &str, snapshots: &[SnapshotRecord]) -> Result<()> {
    if name.is_empty() || name.len() > 256 || name.chars().any(|c| c.is_control() || c == '#') {
        return Err(Error::invalid(format!(
            "{name:?} can't be the name of a snapshot: it has 1 to 256 printable bytes without a #"
        )));
    }
    // A name would go before what is meant by these.
    let means_another = |record: &SnapshotRecord| record.id.to_string() == name || record.id.short() == name;
    if name == "latest" || snapshots.iter().any(means_another) {
        return Err(Error::invalid(format!("{name:?} can't be the name of a snapshot: it stands for another one")));
    }
    match snapshots.iter().find(|record| record.name == name) {
        Some(record) => Err(Error::NameTaken { name: name.to_owned(), snapshot: record.id }),
        None => Ok(()),
    }
}

/// What the options select.
pub(super) fn scope(options: &BackupOptions) -> Scope {
    Scope {
        source: options.source.clone(),
        path: options.compare.path.escape_ascii().to_string(),
        filters: options.filters.texts(),
    }
}

/// The name of a snapshot that was given none.
pub(super) fn default_name(trigger: Trigger, id: JobId) -> String {
    let kind = match trigger {
        Trigger::Manual => "manualbk",
        Trigger::Scheduled => "autobk",
    };
    format!("{kind}_{}", id.short())
}
