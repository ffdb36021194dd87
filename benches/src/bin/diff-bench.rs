//! What a comparison costs, as a whole process.
//!
//! ```text
//! diff-bench generate FOLDER ROWS sorted|runs|shuffled|backdated FILES [csv]
//! diff-bench inventories FOLDER [MEMORY_MIB]
//! diff-bench catalog FOLDER [MEMORY_MIB]
//! ```
//!
//! `generate` puts a pair of S3 inventories, in Parquet or CSV, into a folder, unless they are
//! there, and a vault whose catalog has a snapshot of the first day; on the second
//! day a hundredth of all rows is changed, added or deleted. `inventories` compares
//! the two reports, `catalog` the snapshot with the second. Both do so twice: the
//! first reading of a data file checks its MD5, the second does without, so the
//! checksums' share can be told apart. Peak memory is that of the whole process.
//! `peers/diff.py` runs all of it beside DuckDB.

#![allow(clippy::print_stdout, reason = "its figures are what it is for")]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use stocktake::compare::{ChangeSet, CompareOptions, Side, compare};
use stocktake::fs::FsVault;
use stocktake::inventory::ManifestReader;
use stocktake::{Catalog, ChangeClass, InventoryReader, OsEntropy, RowDelta};
use stocktake_benches::{Layout, Packed, Spent, commit, open_catalog, peak_memory_bytes};
use stocktake_testkit::inventories::{InventorySpec, Shape, Synthetic, write};
use tokio_util::sync::CancellationToken;

const USAGE: &str = "usage: diff-bench generate FOLDER ROWS sorted|runs|shuffled|backdated FILES [csv], \
    or diff-bench inventories|catalog FOLDER [MEMORY_MIB]";

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (mode, folder, memory) = match arguments[..] {
        ["generate", folder, rows, layout, files, ref format @ ..] => {
            let shape = match format {
                [] => Shape::S3Parquet,
                ["csv"] => Shape::S3Csv,
                _ => return Err(USAGE.into()),
            };
            return runtime.block_on(generate(
                Path::new(folder),
                rows.parse()?,
                layout.parse()?,
                files.parse()?,
                shape,
            ));
        }
        [mode, folder] => (mode, Path::new(folder), None),
        [mode, folder, mebibytes] => (mode, Path::new(folder), Some(mebibytes.parse::<usize>()? << 20)),
        _ => return Err(USAGE.into()),
    };
    let options =
        memory.map_or_else(CompareOptions::default, |bytes| CompareOptions::default().with_memory_bytes(bytes));
    runtime.block_on(async {
        let previous = match mode {
            "inventories" => inventory(folder, "before").await?,
            "catalog" => snapshot(folder).await?,
            _ => return Err(USAGE.into()),
        };
        measure(previous, inventory(folder, "after").await?, options).await
    })
}

async fn generate(folder: &Path, rows: u64, layout: Layout, files: u64, shape: Shape) -> Result<()> {
    let rows_per_file = usize::try_from(rows.div_ceil(files))?;
    let vault = FsVault::new(folder);
    let days = [("before", Synthetic::FIRST_DAY), ("after", Synthetic::SECOND_DAY)];
    for ((day, created), entries) in days.into_iter().zip(layout.two_days(rows, rows_per_file)) {
        let done = folder.join(day).join("done");
        if !done.exists() {
            let spec = InventorySpec { prefix: day.into(), created, rows_per_file, ..InventorySpec::new(shape) };
            write(&vault, &spec, entries).await;
            std::fs::write(done, "")?;
        }
    }
    let catalog = open_catalog(Arc::new(FsVault::new(folder.join("vault"))));
    if catalog.snapshots().await?.is_empty() {
        let [entries, _] = Layout::Sorted.two_days(rows, rows_per_file);
        let mut packed = Packed::default();
        let deltas = entries.map(|entries| RowDelta { puts: packed.rows(entries), ..RowDelta::default() });
        commit(&catalog, 0, None, deltas).await?;
    }
    Ok(())
}

async fn inventory(folder: &Path, day: &str) -> Result<Side> {
    let reader = ManifestReader::new(Arc::new(FsVault::new(folder)), day, "file://bench").with_local_root(folder);
    let newest = reader.inventories().await?.into_iter().next().ok_or("no inventory: generate it first")?;
    Ok(Side::Inventory(reader.open(&newest).await?))
}

async fn snapshot(folder: &Path) -> Result<Side> {
    let catalog = open_catalog(Arc::new(FsVault::new(folder.join("vault"))));
    let record = catalog.snapshots().await?.into_iter().next().ok_or("no snapshot: generate it first")?;
    Ok(Side::Snapshot(catalog.open(record.id).await?))
}

async fn measure(previous: Side, current: Side, options: CompareOptions) -> Result<()> {
    for checksums in ["with MD5", "MD5 known"] {
        let start = Spent::so_far()?;
        let (previous, current, cancel) = (previous.clone(), current.clone(), CancellationToken::new());
        let changes = compare(previous, current, &options, &OsEntropy, &(), &cancel).await?;
        report(checksums, start.until_now()?, &changes);
    }
    println!("peak {} MiB", peak_memory_bytes()? >> 20);
    Ok(())
}

fn report(checksums: &str, spent: Spent, changes: &ChangeSet) {
    let Spent { cpu, wall } = spent;
    let seconds = |duration: Duration| duration.as_secs_f64();
    println!("{checksums}: {:.2} s cpu, {:.2} s wall", seconds(cpu), seconds(wall));
    let (counts, work) = (changes.counts(), changes.work());
    let classes = ChangeClass::ALL.map(|class| format!("{} {}", class.as_str(), counts.class(class).objects));
    println!("  scanned {}, {}", counts.scanned.objects, classes.join(", "));
    println!("  spilled {} bytes, by hash {}, restarts {}", work.spilled_bytes, work.matched_by_hash, work.restarts);
}
