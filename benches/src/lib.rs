//! One file per question asked of stocktake's speed and size.
//!
//! Benchmarks of single stages stand in `benches/` and run under criterion; what
//! only a whole process can tell (CPU seconds, peak memory, beside other programs
//! on the same input) stands in `src/bin/` and `peers/`. Times of a shared machine
//! mean little by themselves: ratios within one run are what is compared.
//!
//! # Figures
//! Two cores of an Intel Xeon at a cloud provider, 24 GiB, shared with others: the
//! same program took between 4.3 and 6.0 CPU seconds from one run to the next, and
//! DuckDB between 6.2 and 9.6. Each block is one run of the command above it, on an
//! otherwise idle machine. The MD5 of the data files is not in the figures: it adds
//! 2.6 s to two inventories, or 1.3 to 1.6 s beside our catalog, at 10 million rows.
//!
//! ```text
//! python3 benches/peers/diff.py target/release/diff-bench 10000000 target/bench-diff sorted shuffled backdated
//!
//! 10,000,000 rows a side in ten Parquet files, of which a hundredth differs; DuckDB 2.0
//! sorted     DuckDB                   6.35 s cpu   2302 MiB
//!            inventories              2.52 s cpu    185 MiB   0.40 of DuckDB's cpu
//!            beside our catalog       2.72 s cpu    202 MiB   0.43
//! shuffled   DuckDB                   6.57 s cpu   2342 MiB
//!            inventories              4.48 s cpu    385 MiB   0.68
//!            beside our catalog       4.14 s cpu    397 MiB   0.63
//!            nothing was put down: the digests of one side fit in memory
//! backdated  DuckDB                   6.22 s cpu   2337 MiB
//!            inventories              5.95 s cpu    329 MiB   0.96
//!
//! diff-bench inventories target/bench-diff/10000000-shuffled 128
//!
//! shuffled   inventories              6.94 s cpu    220 MiB   16.6 bytes a row put down
//!
//! diff-bench generate target/bench-diff/100000000-shuffled 100000000 shuffled 100
//! diff-bench inventories target/bench-diff/100000000-shuffled [128], and the same sorted
//!
//! sorted     inventories             31.0  s cpu    371 MiB   only what differs put down: 80 MB
//! shuffled   inventories             76.2  s cpu    645 MiB   16.8 bytes a row put down
//!            with 128 MiB            78.8  s cpu    356 MiB   17.1
//! ```
//!
//! `backdated` is `shuffled` with changed objects whose times do not tell that they
//! changed. As a rule they do, and then the rows of the current side that differ are
//! at hand when they are needed, and no side is read twice: a quarter of the time.
//!
//! Where the time of the shuffled pair goes, by samples: 36 % Snappy, 17 % looking up
//! digests, 9 % sorting them, 7 % copying from the page cache, 4 % hashing keys, 4 %
//! hex digits of tags, 3 % copying keys. Steps that mattered, beside each other in one
//! run: decoding hex digits without a table or branch, 17 to 7 ns a tag; a second
//! reading that decodes keys first and the rest only of rows that may differ, and
//! looking digests up in the order of their table, together 10 to 15 % of the whole;
//! putting young rows aside, 25 to 30 %. Steps that
//! did not pay: a thread for each batch rather than for each file (decoded pages change
//! processors), another allocator (twice the memory), optimising across crates, an
//! open table in place of the sorted one, sorting digests by radix. A look-up takes
//! 50 to 80 ns however it is done, as memory has to be waited for.
//!
//! Resident memory is for the larger part what the system's allocator keeps for its
//! threads: with `MALLOC_ARENA_MAX=1` the sorted pair takes 58 MiB and the shuffled one
//! 244, with 2 they take 83 and 280.
//!
//! ```text
//! python3 benches/peers/diff.py target/release/diff-bench 1000000 target/bench-diff sorted-csv shuffled-csv
//!
//! 1,000,000 rows a side in ten files of gzipped CSV
//! sorted     DuckDB                   5.40 s cpu    452 MiB
//!            inventories              1.69 s cpu     44 MiB   0.31 of DuckDB's cpu; a second time 0.26
//!            beside our catalog       0.96 s cpu     57 MiB   0.18
//! shuffled   DuckDB                   5.88 s cpu    458 MiB
//!            inventories              1.63 s cpu     94 MiB   0.28; a second time 0.30
//!            beside our catalog       1.06 s cpu     90 MiB   0.18
//! ```
//!
//! Almost half of the time of that pair goes to inflating.
//!
//! ```text
//! cargo bench -p stocktake-benches --bench catalog --bench pack
//!
//! a catalog of a million objects: first commit 1.9 s; 9.9 ms where a thousandth changed, 5.6 ms where nothing did
//! all entries in 71 ms, all rows in 166 ms; the catalog opened and a key looked up in 2.1 ms, 1.9 ms if open
//! blocks of text: hashed and compressed 174 MiB/s, opened and verified 689 MiB/s
//! blocks of noise: hashed and left as they are 2.3 GiB/s, sealed 2.7 GiB/s, opened and verified 2.0 GiB/s
//! ```
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
