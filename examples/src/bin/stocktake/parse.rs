//! Values of options that people write with units: durations, sizes, times, fractions.

use std::time::Duration;

use bytesize::ByteSize;
use stocktake::{DataShare, Timestamp};

/// `90s`, `15m`, `12h`, `7d` or `2w`; a number alone counts seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let seconds = match unit {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return Err(format!("{text:?} is not a duration such as 90s, 15m, 12h, 7d or 2w")),
    };
    let number: u64 = number.parse().map_err(|_| format!("{text:?} does not begin with a number"))?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(|| format!("{text:?} is too long"))
}

/// `500`, `64KB`, `64MiB`: a number of bytes.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    text.parse::<ByteSize>()
        .map(|size| size.0)
        .map_err(|_| format!("{text:?} is not a size such as 500, 64KB or 64MiB"))
}

/// As [`size`], for what has to be held in memory.
pub(crate) fn memory(text: &str) -> Result<usize, String> {
    usize::try_from(size(text)?).map_err(|_| format!("{text:?} is more than this machine can address"))
}

/// `2026-03-01T12:00:00Z`, with any offset, or `2026-03-01`, which is its first moment in UTC.
pub(crate) fn time(text: &str) -> Result<Timestamp, String> {
    let midnight = format!("{text}T00:00:00Z");
    Timestamp::parse_rfc3339(text)
        .or_else(|| Timestamp::parse_rfc3339(&midnight))
        .ok_or_else(|| format!("{text:?} is not a time such as 2026-03-01 or 2026-03-01T12:00:00Z"))
}

/// A number from 0 to 1.
pub(crate) fn fraction(text: &str) -> Result<f64, String> {
    let fraction = text.parse().ok().filter(|fraction| (0.0..=1.0).contains(fraction));
    fraction.ok_or_else(|| format!("{text:?} is not a number from 0 to 1"))
}

/// `all`, a percentage such as `5%`, or a size.
pub(crate) fn share(text: &str) -> Result<DataShare, String> {
    if text == "all" {
        return Ok(DataShare::All);
    }
    let Some(number) = text.strip_suffix('%') else { return size(text).map(DataShare::Bytes) };
    let percent = number.parse().ok().filter(|percent| (0.0..=100.0).contains(percent));
    percent.map(DataShare::Percent).ok_or_else(|| format!("{text:?} is not a percentage from 0% to 100%"))
}

/// `A-B`, both ends included, as the range from `A` to before `B + 1`.
pub(crate) fn byte_range(text: &str) -> Result<(u64, u64), String> {
    let ends = text.split_once('-').and_then(|(a, b)| Some((a.parse().ok()?, b.parse::<u64>().ok()?)));
    match ends {
        Some((first, last)) if first <= last && last < u64::MAX => Ok((first, last + 1)),
        _ => Err(format!("{text:?} is not a range of bytes such as 0-99, both ends included")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_one_unit() {
        assert_eq!(duration("7d"), Ok(Duration::from_secs(604_800)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        for text in ["", "d", "7 d", "1y", "-1s", "1.5h", "99999999999999999999d"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_date_is_its_first_moment() {
        assert_eq!(time("2026-03-01").unwrap().to_string(), "2026-03-01T00:00:00.000Z");
        assert!(time("yesterday").is_err());
    }

    #[test]
    fn shares_are_all_percent_or_bytes() {
        assert_eq!(share("all"), Ok(DataShare::All));
        assert_eq!(share("2.5%"), Ok(DataShare::Percent(2.5)));
        assert_eq!(share("1MiB"), Ok(DataShare::Bytes(1 << 20)));
        assert!(share("101%").is_err() && share("some").is_err());
    }

    #[test]
    fn both_ends_of_a_range_are_in_it() {
        assert_eq!(byte_range("0-0"), Ok((0, 1)));
        assert_eq!(byte_range("5-9"), Ok((5, 10)));
        assert!(byte_range("9-5").is_err() && byte_range("5").is_err() && byte_range("-5").is_err());
    }

    #[test]
    fn fractions_lie_between_none_and_all() {
        assert_eq!(fraction("0.5"), Ok(0.5));
        assert!(fraction("1.1").is_err() && fraction("NaN").is_err());
    }
}
