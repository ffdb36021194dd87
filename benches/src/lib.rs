//! One file per question asked of stocktake's speed and size.
//!
//! Benchmarks of single stages stand in `benches/` and run under criterion; what
//! only a whole process can tell (CPU seconds, peak memory, beside other programs
//! on the same input) stands in `src/bin/` and `peers/`. Times of a shared machine
//! mean little by themselves: ratios within one run are what is compared.
//!
//! # Figures
//! Two cores of an Intel Xeon at a cloud provider, 24 GiB, shared with others: the
//! same program took between 6.1 and 8.4 CPU seconds from one run to the next, and
//! DuckDB between 7.9 and 12.0. Each block is one run of the command above it.
//!
//! ```text
//! python3 benches/peers/diff.py target/release/diff-bench 10000000 target/bench-diff sorted shuffled
//!
//! 10,000,000 rows a side in ten Parquet files, of which a hundredth differs; DuckDB 2.0
//! sorted     DuckDB                   8.37 s cpu   2308 MiB
//!            inventories, MD5 known   3.26 s cpu    172 MiB   0.39 of DuckDB's cpu
//!            beside our catalog       3.57 s cpu    185 MiB   0.43
//!            the MD5 of the files adds 2.9 s, or 1.7 s beside our catalog
//! shuffled   DuckDB                   7.93 s cpu   2274 MiB
//!            inventories, MD5 known   7.78 s cpu    382 MiB   0.98 of DuckDB's cpu
//!            beside our catalog       6.97 s cpu    443 MiB   0.88
//!            nothing was put down: the digests of one side fit in memory
//! ```
//!
//! Where the time of the shuffled pair goes, by samples: 35 % Snappy (one side is
//! read twice), 9 % looking up digests, 8 % hashing, 6 % copying from the page
//! cache, 5 % sorting digests, 4 % copying keys, 3 % hex digits of tags. Steps that
//! mattered, beside each other in one run: decoding hex digits without a table or
//! branch, 17 to 7 ns a tag; a second reading that decodes keys first and the rest
//! only of rows that may differ, and looking digests up in the order of their table,
//! together 10 to 15 % of the whole. Taking a thread for each batch rather than for
//! each file cost as much again, since decoded pages change processors. Resident
//! memory is for the larger part what the system's allocator keeps for its threads:
//! with `MALLOC_ARENA_MAX=2` the sorted pair takes 83 MiB, with 1 it takes 58.
//!
//! ```text
//! python3 benches/peers/backup.py target/release/stocktake 200000
//!
//! 200,000 files, 2,238 MB, in a folder; restic 0.14
//!                        stocktake                        restic
//! first backup           18.4 s, 29.9 s cpu, 291 MiB      23.4 s, 41.6 s cpu, 190 MiB
//! unchanged, walked       0.6 s,  0.6 s cpu,  74 MiB       6.7 s,  9.5 s cpu, 142 MiB
//! unchanged, inventory    0.2 s,  0.2 s cpu,  75 MiB
//! verify all data         3.8 s,  5.4 s cpu, 235 MiB      12.8 s, 20.9 s cpu, 142 MiB
//! restore                40.3 s, 54.8 s cpu, 416 MiB      26.1 s, 37.8 s cpu, 202 MiB
//! stored                  1,237 MB                         1,341 MB
//! ```
//!
//! A restore spends four fifths of its CPU time in the kernel, by samples most of it
//! in making files and renaming them. The same one took 32 to 61 s of CPU; why it
//! differs so much was not found out.

mod catalog;
mod layout;
mod spent;

pub use catalog::{Packed, commit, open_catalog};
pub use layout::Layout;
pub use spent::{Spent, peak_memory_bytes};
