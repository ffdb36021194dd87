//! Numbers as people read them.

use std::time::Duration;

use bytesize::ByteSize;

/// A number of bytes, such as `1.5 MiB`.
pub fn bytes(bytes: impl Into<u128>) -> String {
    ByteSize(u64::try_from(bytes.into()).unwrap_or(u64::MAX)).display().iec().to_string()
}

/// A number with its thousands set apart, such as `1,250`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A duration in seconds, such as `0.42 s`.
pub fn seconds(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}

/// The most memory that this process ever had, in bytes, where the system tells (Linux).
pub fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        let shown = [0, 999, 1_000, 12_345, 1_000_000].map(count);
        assert_eq!(shown, ["0", "999", "1,000", "12,345", "1,000,000"]);
    }

    #[test]
    fn bytes_have_binary_units() {
        assert_eq!(bytes(0_u64), "0 B");
        assert_eq!(bytes(3_u64 << 19), "1.5 MiB");
    }
}
