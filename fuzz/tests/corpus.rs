//! Every target runs over its kept corpus, and over many alterations of it.

#![allow(clippy::print_stderr, reason = "what failed is told before the panic goes on")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use stocktake_core::{Entropy, SeededEntropy};
use stocktake_fuzz::{TARGETS, Target};

/// Kept inputs stay small, so that a fuzzer gets far with them.
const MAX_SEED_BYTES: usize = 16 << 10;
const MAX_CORPUS_BYTES: usize = 1 << 20;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Names and bytes of a target's seeds, by name.
fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let files = fs::read_dir(folder("corpus").join(target)).unwrap().map(|file| file.unwrap());
    let mut seeds: Vec<_> =
        files.map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap())).collect();
    seeds.sort();
    seeds
}

#[test]
fn every_target_has_a_binary_and_a_corpus_and_nothing_else_has() {
    let names = |folder: PathBuf| {
        let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        let mut names: Vec<_> = files.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    let mut targets: Vec<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    targets.sort();
    assert_eq!(names(folder("fuzz_targets")), targets);
    assert_eq!(names(folder("corpus")), targets);
}

#[test]
fn seeds_are_small_and_the_good_ones_accepted() {
    let mut total = 0;
    for (name, target) in TARGETS {
        for (seed, bytes) in seeds(name) {
            assert!(bytes.len() <= MAX_SEED_BYTES, "{name}/{seed} has {} bytes", bytes.len());
            total += bytes.len();
            let accepted = target(&bytes);
            assert!(accepted || !seed.starts_with("ok-"), "{name}/{seed} is refused");
        }
    }
    assert!(total <= MAX_CORPUS_BYTES, "the corpus has {total} bytes");
}

/// Makes a test of each target, so that they run side by side. The number says how often each seed is altered.
macro_rules! alterations {
    ($($target:ident: $rounds:literal,)*) => {
        mod alterations_of {
            $(
                #[test]
                fn $target() {
                    super::alter(stringify!($target), stocktake_fuzz::$target, $rounds);
                }
            )*

            #[test]
            fn all_targets_are_tested() {
                let tested = [$(stringify!($target)),*];
                assert!(super::TARGETS.iter().map(|(name, _)| *name).eq(tested));
            }
        }
    };
}

alterations! {
    etag: 3000,
    key: 3000,
    id: 3000,
    time: 3000,
    attributes: 3000,
    document: 2000,
    pack: 400,
    directory: 3000,
    chunk_list: 3000,
    config: 3000,
    wrapped_key: 3000,
    records: 2000,
    segment: 300,
    parquet: 200,
    manifest: 2000,
    schema: 2000,
    csv_file: 30,
    parquet_file: 150,
    orc_file: 300,
    delta_manifest: 2000,
    delta_file: 60,
}

fn alter(name: &str, target: Target, rounds: usize) {
    let seeds = seeds(name);
    let dice = Dice(SeededEntropy::new(seeds.len() as u64));
    for (seed, bytes) in &seeds {
        for round in 0..rounds {
            let mut altered = bytes.clone();
            for _ in 0..=dice.below(3) {
                alter_once(&mut altered, &seeds[dice.below(seeds.len())].1, &dice);
            }
            let shown = Shown { name, seed, round, bytes: &altered };
            target(&altered);
            std::mem::forget(shown);
        }
    }
}

fn alter_once(bytes: &mut Vec<u8>, other: &[u8], dice: &Dice) {
    let at = dice.below(bytes.len() + 1);
    let end = (at + dice.below(40)).min(bytes.len());
    match dice.below(8) {
        0 => bytes.truncate(at),
        1 => drop(bytes.drain(at..end)),
        2 => bytes.extend_from_within(at..end),
        3 => {
            let from = dice.below(other.len() + 1);
            let to = (from + dice.below(200)).min(other.len());
            bytes.splice(at..end, other[from..to].iter().copied());
        }
        4 => {
            // A length that says far too much, or a little.
            let lengths = [u32::MAX, i32::MAX as u32, 1 << 30, bytes.len() as u32 + 1, 0];
            let length = lengths[dice.below(lengths.len())].to_le_bytes();
            bytes.iter_mut().skip(at).zip(length).for_each(|(byte, new)| *byte = new);
        }
        5 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = dice.below(256) as u8),
        6 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = byte.wrapping_add(1)),
        _ => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << dice.below(8)),
    }
}

/// Numbers that are the same in every run.
struct Dice(SeededEntropy);

impl Dice {
    fn below(&self, end: usize) -> usize {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        (u64::from_le_bytes(bytes) % end as u64) as usize
    }
}

/// Shows what a target failed on: dropped only by a panic.
struct Shown<'a> {
    name: &'a str,
    seed: &'a str,
    round: usize,
    bytes: &'a [u8],
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        let Self { name, seed, round, bytes } = self;
        let file = std::env::temp_dir().join(format!("stocktake-{name}-{seed}-{round}"));
        let kept = fs::write(&file, bytes).is_ok();
        eprintln!("{name} failed on {seed}, alteration {round}; kept in {}: {kept}", file.display());
    }
}
