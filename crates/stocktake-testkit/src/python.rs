//! Programs from PyPI that tests run or are held against.
//!
//! Each stands in a virtual environment of its own below the build folder, made
//! by the first test that asks for it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// DuckDB, which reads Parquet without us.
pub const DUCKDB: &str = "duckdb==2.0.0";
/// Amazon's own client, which lists buckets without us.
pub const BOTO3: &str = "boto3==1.44.5";

/// A folder below the build folder that all tests share.
pub(crate) fn shared_folder() -> PathBuf {
    let folder = build_folder().join("test-servers");
    fs::create_dir_all(&folder).expect("the build folder can be written");
    folder
}

/// The `bin` folder of an environment with this package, such as `duckdb==2.0.0`, installed if it is not there.
///
/// # Panics
/// When it can't be installed; the message says what to mend.
pub fn programs(package: &str) -> PathBuf {
    let name = package.split_once("==").map_or(package, |(name, _)| name);
    let venv = shared_folder().join(format!("{name}-venv"));
    // Test processes run side by side.
    let lock = File::create(venv.with_extension("lock")).expect("the build folder can be written");
    lock.lock().expect("a file can be locked");
    let (programs, done) = (venv.join("bin"), venv.join("installed"));
    if fs::read_to_string(&done).is_ok_and(|installed| installed == package) {
        return programs;
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv));
    run(Command::new(programs.join("pip")).args(["install", "--quiet", "--disable-pip-version-check", package]));
    fs::write(done, package).expect("the build folder can be written");
    programs
}

/// What a Python script that needs this package writes to standard output.
///
/// # Panics
/// When the package can't be installed, or the script fails.
pub fn script(package: &str, script: &str, arguments: &[&str]) -> String {
    run(Command::new(programs(package).join("python")).args(["-c", script]).args(arguments))
}

fn run(command: &mut Command) -> String {
    let mend = "tests beside other programs need python3 with its venv module, and PyPI for the first run";
    let output = command.output().unwrap_or_else(|error| panic!("{command:?} can't be started: {error}\n{mend}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed: {said}\n{mend}");
    String::from_utf8(output.stdout).expect("it writes UTF-8")
}

/// The folder that cargo builds into: it holds this program, and the tag of a cache folder.
fn build_folder() -> PathBuf {
    let program = std::env::current_exe().expect("this program has a path");
    let folder = program.ancestors().skip(1).find(|folder| folder.join("CACHEDIR.TAG").exists());
    folder.map_or_else(std::env::temp_dir, Path::to_path_buf)
}
