//! A chain that was opened, and how it is read.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use stocktake_core::{
    BATCH_ROWS, EntryBatch, Error, Inventory, InventoryInfo, InventoryVersions, KeyFilter, Location, Result, Timestamp,
    display_key, keep_wanted,
};
use tokio::sync::OnceCell;

use crate::blocking::{self, Sender};
use crate::decoder::csv_text;
use crate::fault::Fault;
use crate::manifest::Dialect;
use crate::part::{Part, Parts};
use crate::report::Report;
use crate::schema::{Field, Schema};

use super::delta::OpenDelta;
use super::fold::Fold;
use super::record::{Kind, Record};
use super::rows::{Columns, RecordReader};
use super::sort::Sorter;
use super::table::{Finder, Table, TableWriter};

/// Files of events that are fetched at once: one is decoded while the next comes.
const FILES_AHEAD: usize = 2;

/// How far the clocks of a store's parts may be apart, in milliseconds: a minute.
const CLOCKS_APART: i64 = 60_000;

/// A base and its deltas, opened.
#[derive(Debug)]
pub(crate) struct Chain {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    info: InventoryInfo,
    base: Report,
    deltas: Vec<OpenDelta>,
    /// Whether events tell versions apart.
    versioned: bool,
    folder: PathBuf,
    table: OnceCell<Arc<Table>>,
}

impl Chain {
    /// A chain of a base and deltas that fit it.
    pub(super) fn new(
        info: InventoryInfo,
        base: Report,
        deltas: Vec<OpenDelta>,
        folder: Option<PathBuf>,
    ) -> Result<Self> {
        if base.shared.rules.dialect != Dialect::Oss {
            return Err(Fault::Unsupported("its full inventory is not one of OSS".into()).of(&info.location));
        }
        let has_versions = |schema: &Schema| schema.place(Field::VersionId).is_some();
        let versioned = deltas.first().is_some_and(|delta| has_versions(&delta.shared.schema));
        for delta in &deltas {
            let schema = &delta.shared.schema;
            delta.check_fits(base.info(), &base.shared.schema)?;
            if has_versions(schema) != versioned {
                let problem = "of it and the incremental inventories before it, only some tell versions apart";
                return Err(Fault::corrupt(problem).of(&delta.shared.inventory));
            }
        }
        let folder = folder.unwrap_or_else(std::env::temp_dir);
        let shared = Shared { info, base, deltas, versioned, folder, table: OnceCell::new() };
        Ok(Self { shared: Arc::new(shared) })
    }
}

impl Inventory for Chain {
    fn info(&self) -> &InventoryInfo {
        &self.shared.info
    }

    fn parts(&self) -> usize {
        self.shared.base.parts() + 1
    }

    fn read(&self, part: usize) -> BoxStream<'static, Result<EntryBatch>> {
        let shared = Arc::clone(&self.shared);
        let parts = self.parts();
        assert!(part < parts, "part {part} of {parts}");
        let start = async move {
            let table = Arc::clone(shared.table.get_or_try_init(|| shared.table()).await?);
            Ok(if part + 1 == parts { shared.came_of(table) } else { shared.untouched(part, &table)? })
        };
        stream::once(start).try_flatten().boxed()
    }

    fn read_wanted(&self, part: usize, wanted: KeyFilter) -> BoxStream<'static, Result<EntryBatch>> {
        keep_wanted(self.read(part), wanted)
    }

    /// A chain tells of current objects only: events do not say which of two older versions is the newer.
    fn read_versions(&self, part: usize) -> BoxStream<'static, Result<EntryBatch>> {
        self.read(part)
    }

    fn source_lists(&self) -> u64 {
        0
    }
}

impl Shared {
    /// Whether the base lists all versions.
    fn lists_versions(&self) -> bool {
        self.base.info().versions == InventoryVersions::All
    }

    /// The entries of a part of the base whose keys have no events.
    fn untouched(&self, part: usize, table: &Arc<Table>) -> Result<BoxStream<'static, Result<EntryBatch>>> {
        let state = (self.base.read(part), table.finder()?);
        let (location, end) = (self.info.location.clone(), self.info.created);
        let batches = stream::try_unfold(state, move |(mut batches, mut finder)| {
            let location = location.clone();
            async move {
                while let Some(batch) = batches.try_next().await? {
                    let inventory = location.clone();
                    let sift = move || sift(&batch, &mut finder, end, &inventory).map(|batch| (batch, finder));
                    let (batch, found) = blocking::run(&location, sift).await?;
                    finder = found;
                    if !batch.is_empty() {
                        return Ok(Some((batch, (batches, finder))));
                    }
                }
                Ok(None)
            }
        });
        Ok(batches.boxed())
    }

    /// The entries of keys that have events.
    fn came_of(&self, table: Arc<Table>) -> BoxStream<'static, Result<EntryBatch>> {
        // An inventory of current objects names no versions.
        let names_versions = self.lists_versions();
        blocking::stream(self.info.location.clone(), move |sender| send_current(&table, names_versions, sender))
    }

    /// Reads all events, and puts down what came of their keys.
    async fn table(&self) -> Result<Arc<Table>> {
        let mut sorter = Sorter::new(&self.folder);
        for delta in &self.deltas {
            let parts: Vec<_> = delta.parts.iter().map(|part| (part.fresh(), Arc::clone(&delta.shared))).collect();
            let files = stream::iter(parts).map(|(part, shared)| fetched(part, shared));
            let mut files = files.buffered(FILES_AHEAD);
            while let Some((part, file)) = files.try_next().await? {
                let (shared, columns) = (Arc::clone(&delta.shared), delta.columns.clone());
                let push = move || {
                    each_record(&part, file, &shared, columns, |record| sorter.push(&record))?;
                    Ok(sorter)
                };
                sorter = blocking::run(&self.info.location, push).await?;
            }
        }
        let (sorter, table) = self.folded(sorter, false).await?;
        if table.open_keys() == 0 {
            return Ok(table);
        }
        let sorter = self.with_versions(sorter, &table).await?;
        Ok(self.folded(sorter, true).await?.1)
    }

    /// Adds the base's versions of all keys that events leave open.
    async fn with_versions(&self, mut sorter: Sorter, table: &Arc<Table>) -> Result<Sorter> {
        for part in 0..self.base.parts() {
            let mut finder = table.finder()?;
            let mut versions = self.base.read_versions(part);
            while let Some(batch) = versions.try_next().await? {
                let push = move || {
                    for entry in batch.iter() {
                        if finder.find(entry.key)?.is_some_and(|found| found.kind == Kind::Open) {
                            sorter.push(&Record::listed(&entry))?;
                        }
                    }
                    Ok((sorter, finder))
                };
                (sorter, finder) = blocking::run(&self.info.location, push).await?;
            }
        }
        Ok(sorter)
    }

    /// What came of every key.
    async fn folded(&self, mut sorter: Sorter, has_base: bool) -> Result<(Sorter, Arc<Table>)> {
        let (location, folder, versioned) = (self.info.location.clone(), self.folder.clone(), self.versioned);
        let may_be_open = self.lists_versions();
        let fold = move || {
            let table = fold_all(&mut sorter, &folder, Rules { versioned, has_base, may_be_open }, &location)?;
            Ok((sorter, Arc::new(table)))
        };
        blocking::run(&self.info.location, fold).await
    }
}

async fn fetched(part: Arc<Part>, parts: Arc<Parts>) -> Result<(Arc<Part>, File)> {
    let file = part.checked_file(&parts).await?;
    Ok((part, file))
}

/// Takes every row of a file.
fn each_record(
    part: &Part,
    file: File,
    parts: &Parts,
    columns: Columns,
    mut take: impl FnMut(Record) -> Result<()>,
) -> Result<()> {
    let of_file = |fault: Fault| fault.within(&part.name).of(&parts.inventory);
    let text = csv_text(&part.name, file).map_err(of_file)?;
    let mut reader = RecordReader::new(text, columns, parts.rules.clone());
    while let Some(record) = reader.next_record().map_err(of_file)? {
        take(record)?;
    }
    Ok(())
}

/// How records of a key are put together.
#[derive(Clone, Copy)]
struct Rules {
    versioned: bool,
    /// Whether rows of the base are among the records.
    has_base: bool,
    /// Whether they may be asked for.
    may_be_open: bool,
}

fn fold_all(sorter: &mut Sorter, folder: &Path, rules: Rules, location: &Location) -> Result<Table> {
    let mut table = TableWriter::create(folder, sorter.pushed())?;
    let altered =
        || Error::local("read a temporary file in", folder)(std::io::Error::other("it is not what was written"));
    let mut fold: Option<Fold> = None;
    for record in sorter.sorted()? {
        let record = Record::decode(&record?).ok_or_else(altered)?;
        match &mut fold {
            Some(same) if same.key() == record.key => {
                let taken = same.take(record);
                taken.map_err(|fault| of_key(fault, same.key(), location))?;
            }
            _ => {
                let key = record.key.clone();
                let next = Fold::new(record, rules.versioned).map_err(|fault| of_key(fault, &key, location))?;
                if let Some(whole) = fold.replace(next) {
                    finish(whole, rules, location, &mut table)?;
                }
            }
        }
    }
    fold.map_or(Ok(()), |whole| finish(whole, rules, location, &mut table))?;
    table.finish()
}

/// Puts down what came of a key.
fn finish(fold: Fold, rules: Rules, location: &Location, table: &mut TableWriter) -> Result<()> {
    let key = fold.key().to_vec();
    let record = fold.finish(rules.has_base).map_err(|fault| of_key(fault, &key, location))?;
    if record.kind == Kind::Open && !rules.may_be_open {
        let problem = "which version of it is the current one can't be known: events tell of older versions, which its \
            full inventory does not list; let the configuration list all versions";
        return Err(of_key(Fault::Unsupported(problem.into()), &key, location));
    }
    table.push(&record)
}

fn of_key(fault: Fault, key: &[u8], location: &Location) -> Error {
    fault.within(format_args!("key {}", display_key(key))).of(location)
}

/// Leaves out the entries whose keys have events.
fn sift(batch: &EntryBatch, finder: &mut Finder, end: Timestamp, location: &Location) -> Result<EntryBatch> {
    let mut kept = Vec::with_capacity(batch.len());
    for entry in batch.iter() {
        let came = finder.find(entry.key)?;
        if let Some(came) = &came {
            check_no_event_lacks(came, entry.last_modified, end).map_err(|fault| of_key(fault, entry.key, location))?;
        }
        kept.push(came.is_none());
    }
    Ok(batch.filter(&kept))
}

/// An object that the base shows, and that was modified after the last event of its key and well before the chain's
/// end, must have had an event.
fn check_no_event_lacks(came: &Record, modified: Timestamp, end: Timestamp) -> Result<(), Fault> {
    let same = came.facts.as_ref().is_some_and(|facts| facts.last_modified == modified.as_millis());
    let later = modified.as_millis().div_euclid(1000) > came.time.div_euclid(1000);
    if same || !later || modified.as_millis() + CLOCKS_APART >= end.as_millis() {
        return Ok(());
    }
    Err(Fault::corrupt(format!(
        "the full inventory shows it as modified at {modified}, and no event up to {end} tells of that; its last one is of {}",
        Timestamp::from_millis(came.time)
    )))
}

/// Hands over the entries of all keys that have a current object.
fn send_current(table: &Arc<Table>, names_versions: bool, sender: &Sender<EntryBatch>) -> Result<()> {
    let mut batch = EntryBatch::default();
    for record in table.records()? {
        let record = record?;
        let Some(mut entry) = Some(record).filter(|record| record.kind == Kind::Current).and_then(Record::entry) else {
            continue;
        };
        if !names_versions {
            entry.version = None;
        }
        batch.push(&entry.as_ref())?;
        if batch.len() == BATCH_ROWS {
            sender.send(std::mem::take(&mut batch))?;
        }
    }
    if batch.is_empty() { Ok(()) } else { sender.send(batch) }
}
