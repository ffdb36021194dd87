//! What a process has spent, as the operating system counts it.

use std::io::{Error, ErrorKind, Result};
use std::time::{Duration, Instant};

/// What a process has spent.
#[derive(Clone, Copy, Debug)]
pub struct Spent {
    /// On the processors, in user and system mode, by all threads. Counted in hundredths of a second.
    pub cpu: Duration,
    /// By the clock on the wall, from an arbitrary beginning.
    pub wall: Duration,
}

impl Spent {
    /// What this process has spent so far.
    ///
    /// # Errors
    /// Where there is no `/proc` as Linux has it.
    pub fn so_far() -> Result<Self> {
        let text = std::fs::read_to_string("/proc/self/stat")?;
        // The name of the program, in parentheses, may hold blanks.
        let numbers = text.rsplit_once(") ").map_or("", |(_, rest)| rest);
        let ticks = |field: usize| numbers.split(' ').nth(field).and_then(|number| number.parse::<u64>().ok());
        let (Some(user), Some(system)) = (ticks(11), ticks(12)) else { return Err(strange("stat")) };
        // Linux shows ticks of a hundredth of a second, whatever it counts in.
        Ok(Self { cpu: Duration::from_millis(10 * (user + system)), wall: elapsed() })
    }

    /// What was spent from then until now.
    ///
    /// # Errors
    /// As [`so_far`](Self::so_far).
    pub fn until_now(self) -> Result<Self> {
        let now = Self::so_far()?;
        Ok(Self { cpu: now.cpu - self.cpu, wall: now.wall - self.wall })
    }
}

/// The most memory this process has had resident at any time.
///
/// # Errors
/// Where there is no `/proc` as Linux has it.
pub fn peak_memory_bytes() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kibibytes.map(|kibibytes| kibibytes << 10).ok_or_else(|| strange("status"))
}

#[expect(clippy::disallowed_methods, reason = "measuring time is what this crate is for")]
fn elapsed() -> Duration {
    static BEGIN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    BEGIN.get_or_init(Instant::now).elapsed()
}

fn strange(file: &str) -> Error {
    Error::new(ErrorKind::InvalidData, format!("/proc/self/{file} does not read as expected"))
}
