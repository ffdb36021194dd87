//! What the comparison of two inventories costs, as a whole process.
//!
//! ```text
//! diff-bench generate FOLDER ROWS sorted|runs|shuffled FILES
//! diff-bench compare FOLDER [MEMORY_MIB]
//! ```
//!
//! `generate` puts a pair of S3 Parquet inventories into a folder, unless they are
//! there: the second day has a hundredth of all rows changed, added or deleted.
//! `compare` opens and compares them twice: the first reading of a data file checks
//! its MD5, the second does without, so the checksums' share can be told apart.
//! Peak memory is that of the whole process. `peers/diff.py` runs both beside DuckDB.

#![allow(clippy::print_stdout, reason = "its figures are what it is for")]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use stocktake::compare::{ChangeSet, CompareOptions, Side, compare};
use stocktake::fs::FsVault;
use stocktake::inventory::ManifestReader;
use stocktake::{ChangeClass, Inventory, InventoryReader, OsEntropy};
use stocktake_benches::{Layout, Spent, peak_memory_bytes};
use stocktake_testkit::inventories::{InventorySpec, Shape, write};
use tokio_util::sync::CancellationToken;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    match arguments[..] {
        ["generate", folder, rows, layout, files] => {
            runtime.block_on(generate(Path::new(folder), rows.parse()?, layout.parse()?, files.parse()?))
        }
        ["compare", folder] => runtime.block_on(measure(Path::new(folder), CompareOptions::default())),
        ["compare", folder, mebibytes] => {
            let memory = mebibytes.parse::<usize>()? << 20;
            runtime.block_on(measure(Path::new(folder), CompareOptions::default().with_memory_bytes(memory)))
        }
        _ => {
            Err("usage: diff-bench generate FOLDER ROWS sorted|runs|shuffled FILES, or compare FOLDER [MEMORY_MIB]"
                .into())
        }
    }
}

async fn generate(folder: &Path, rows: u64, layout: Layout, files: u64) -> Result<(), Box<dyn Error>> {
    let rows_per_file = usize::try_from(rows.div_ceil(files))?;
    let vault = FsVault::new(folder);
    for (day, entries) in ["before", "after"].into_iter().zip(layout.two_days(rows, rows_per_file)) {
        let done = folder.join(day).join("done");
        if !done.exists() {
            let spec = InventorySpec { prefix: day.into(), rows_per_file, ..InventorySpec::new(Shape::S3Parquet) };
            write(&vault, &spec, entries).await;
            std::fs::write(done, "")?;
        }
    }
    Ok(())
}

async fn measure(folder: &Path, options: CompareOptions) -> Result<(), Box<dyn Error>> {
    let (before, after) = (open(folder, "before").await?, open(folder, "after").await?);
    for checksums in ["with MD5", "MD5 known"] {
        let start = Spent::so_far()?;
        let changes = run(&before, &after, &options).await?;
        report(checksums, start.until_now()?, &changes);
    }
    println!("peak {} MiB", peak_memory_bytes()? >> 20);
    Ok(())
}

async fn open(folder: &Path, day: &str) -> Result<Arc<dyn Inventory>, Box<dyn Error>> {
    let reader = ManifestReader::new(Arc::new(FsVault::new(folder)), day, "file://bench").with_local_root(folder);
    let newest = reader.inventories().await?.into_iter().next().ok_or("no inventory: generate it first")?;
    Ok(reader.open(&newest).await?)
}

async fn run(
    before: &Arc<dyn Inventory>,
    after: &Arc<dyn Inventory>,
    options: &CompareOptions,
) -> stocktake::Result<ChangeSet> {
    let sides = [before, after].map(|inventory| Side::Inventory(Arc::clone(inventory)));
    let [before, after] = sides;
    compare(before, after, options, &OsEntropy, &(), &CancellationToken::new()).await
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
