//! One file per question asked of stocktake's speed and size.
//!
//! Benchmarks of single stages stand in `benches/` and run under criterion; what
//! only a whole process can tell (CPU seconds, peak memory, beside other programs
//! on the same input) stands in `src/bin/` and `peers/`. Times of a shared machine
//! mean little by themselves: ratios within one run are what is compared.
//!
//! # Figures
//! Two cores of an Intel Xeon at a cloud provider, 24 GiB, shared with others: the
//! same program took between 3.6 and 5.0 CPU seconds from one run to the next, and
//! DuckDB between 6.2 and 13. Each block is one run of the command above it, on an
//! otherwise idle machine. The MD5 of the data files is not in the figures: it adds
//! 2.7 to 3.2 s to two inventories, or 1.4 to 1.6 s beside our catalog, at 10 million rows.
//!
//! ```text
//! python3 benches/peers/diff.py target/release/diff-bench 10000000 target/bench-diff sorted shuffled backdated
//!
//! 10,000,000 rows a side in ten Parquet files, of which a hundredth differs; DuckDB 2.0
//! sorted     DuckDB                   6.78 s cpu   2280 MiB
//!            inventories              2.58 s cpu     57 MiB   0.38 of DuckDB's cpu
//!            beside our catalog       2.25 s cpu     96 MiB   0.33
//! shuffled   DuckDB                   6.53 s cpu   2348 MiB
//!            inventories              3.58 s cpu    203 MiB   0.55
//!            beside our catalog       3.40 s cpu    247 MiB   0.52
//!            nothing was put down: one side fits in memory
//! backdated  DuckDB                   8.74 s cpu   2258 MiB
//!            inventories              5.79 s cpu    188 MiB   0.66
//!            beside our catalog       5.33 s cpu    239 MiB   0.61
//!
//! diff-bench inventories target/bench-diff/10000000-shuffled 128
//!
//! shuffled   inventories              6.01 s cpu    123 MiB   16.6 bytes a row put down
//!
//! diff-bench generate target/bench-diff/100000000-sorted 100000000 sorted 100
//! diff-bench inventories|catalog target/bench-diff/100000000-sorted [128], and the same shuffled
//!
//! sorted     inventories             27.7  s cpu    101 MiB   only what differs put down: 80 MB
//!            with 128 MiB            27.4  s cpu     88 MiB
//!            beside our catalog      28.5  s cpu    148 MiB
//! shuffled   inventories             63.8  s cpu    528 MiB   16.8 bytes a row put down
//!            with 128 MiB            70.6  s cpu    184 MiB   17.1
//! ```
//!
//! `backdated` is `shuffled` with changed objects whose times do not tell that they
//! changed. As a rule they do, and then the rows of the current side that differ are
//! at hand when they are needed, and no side is read twice: a third of the time.
//!
//! Where the time of the shuffled pair goes, by samples: 38 % Snappy, 14 % finding and
//! comparing rows in the table, 5 % copying from the page cache, 4 % hashing keys, 4 %
//! hex digits of tags, the rest decoding and keys. Steps that mattered, each beside the
//! state before it in one run:
//!
//! - hex digits decoded without a table or branch: 17 to 7 ns a tag;
//! - a second reading that decodes keys first and the rest only of rows that may differ,
//!   and digests looked up in the order of their table: together 10 to 15 % of the whole;
//! - young rows put aside, so that no side is read twice: 25 to 30 %;
//! - eight bytes a row in buckets of one cache line, fetched 64 at a time, in place of
//!   sorted digests: 60 to 85 down to 27 ns a row, 13 % of the whole, and half of the memory;
//! - keys and numbers unpacked straight into a batch, and the catalog's keys, lengths and
//!   tags decoded in bulk: 10 %, of the catalog's side 25 %;
//! - one thread that decodes one file after the other, rather than the runtime's blocking
//!   threads in turn: 5 to 10 %, and 176 to 57 MiB for the sorted pair.
//!
//! Steps that did not pay: a thread for each batch rather than for each file (decoded pages
//! change processors), another allocator (twice the memory), optimising across crates, an
//! open table without fetching ahead, sorting digests by radix, looking for quotes of
//! CSV eight bytes at a time. What limits it: Snappy decompresses tags, which are many short
//! copies, at 1 GB/s, and every row of a table in no order waits once for memory.
//!
//! Of resident memory, 8 bytes a row of the shuffled pair are the table. The system's allocator
//! keeps up to 16 MiB for each thread that worked: with `MALLOC_ARENA_MAX=2` in the
//! environment the shuffled pair beside the catalog took 207 to 224 MiB, at the same speed.
//!
//! ```text
//! python3 benches/peers/diff.py target/release/diff-bench 1000000 target/bench-diff sorted-csv shuffled-csv
//!
//! 1,000,000 rows a side in ten files of gzipped CSV
//! sorted     DuckDB                   4.29 s cpu    475 MiB
//!            inventories              1.09 s cpu     25 MiB   0.25 of DuckDB's cpu
//!            beside our catalog       0.74 s cpu     49 MiB   0.17
//! shuffled   DuckDB                   4.80 s cpu    469 MiB
//!            inventories              1.17 s cpu     38 MiB   0.24
//!            beside our catalog       0.79 s cpu     67 MiB   0.16
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
//! first backup           13.7 s, 23.4 s cpu, 321 MiB      19.4 s, 35.3 s cpu, 210 MiB
//! unchanged, walked       0.5 s,  0.7 s cpu,  75 MiB       5.3 s,  7.4 s cpu, 140 MiB
//! unchanged, inventory    0.2 s,  0.2 s cpu,  75 MiB
//! verify all data         3.3 s,  4.7 s cpu, 239 MiB      10.3 s, 16.9 s cpu, 143 MiB
//! restore                18.1 s, 28.8 s cpu, 405 MiB      21.3 s, 31.1 s cpu, 198 MiB
//! stored                  1,237 MB                         1,341 MB
//! ```
//!
//! A restore spends most of its CPU time in the kernel, making files and renaming them. A
//! file of up to a mebibyte is written by one call on one thread, whose folder is looked up
//! before it is made; when its pieces came to the thread one by one, a restore took 1.45
//! times restic's CPU, now 0.93. Where many files were removed just before, as by a benchmark
//! that clears its folder, ext4 looks for inodes that were not deleted lately, a quarter of
//! the time by samples.

mod catalog;
mod layout;
mod spent;

pub use catalog::{Packed, commit, open_catalog};
pub use layout::Layout;
pub use spent::{Spent, peak_memory_bytes};
