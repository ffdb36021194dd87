//! The texts that stand in the fields of a report: encoded keys, times, numbers.
//!
//! Everything here is called once a row, so nothing allocates.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::fault::{Fault, Result};

/// Appends the key that `text` encodes.
///
/// A key is URL-encoded (AWS, "Locating your inventory list"; Alibaba Cloud,
/// "Use bucket inventory"). A `+` is a space: a literal plus is always `%2B`, so
/// this is right for writers that use `+` and for those that use `%20`. What
/// comes out is bytes; whether they are UTF-8 is nobody's business here.
///
/// # Errors
/// [`Fault::Corrupt`] for a `%` without two hexadecimal digits behind it. `out` may have grown then.
pub fn decode_key(text: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let mut rest = text;
    while let Some(at) = memchr::memchr2(b'%', b'+', rest) {
        out.extend_from_slice(&rest[..at]);
        if rest[at] == b'+' {
            out.push(b' ');
            rest = &rest[at + 1..];
            continue;
        }
        let byte = rest[at + 1..].first_chunk::<2>().and_then(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
        out.push(byte.ok_or_else(|| Fault::corrupt("a key has a % that encodes nothing"))?);
        rest = &rest[at + 3..];
    }
    out.extend_from_slice(rest);
    Ok(())
}

/// Appends a key as Amazon S3 writes it: a space as `+`, `/` as it is.
pub fn encode_key(key: &[u8], out: &mut Vec<u8>) {
    for byte in key {
        match byte {
            b' ' => out.push(b'+'),
            plain if is_plain(*plain) => out.push(*plain),
            other => push_escape(*other, out),
        }
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/')
}

fn push_escape(byte: u8, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.extend([b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
}

fn digit(hex: u8) -> Option<u8> {
    match hex {
        b'0'..=b'9' => Some(hex - b'0'),
        b'a'..=b'f' => Some(hex - b'a' + 10),
        b'A'..=b'F' => Some(hex - b'A' + 10),
        _ => None,
    }
}

/// Reads a time in UTC: milliseconds since 1970.
///
/// S3 writes `2026-03-01T00:00:00.000Z`, OSS `2026-03-01T00-00-00Z`: the time of
/// day is parted by `:` or by `-`. A fraction of any length is cut to
/// milliseconds; instead of `Z`, `+00:00` may stand.
pub fn parse_time(text: &[u8]) -> Option<i64> {
    parse_time_parted(text, b"T", &[b"Z", b"+00:00"])
}

/// Reads a time in UTC of a cloud that does not document how it writes one (OBS,
/// COS, GCS): as [`parse_time`], with a blank for the `T`, or other names of the zone.
/// A time without a zone is refused, since nobody knows which it is of.
pub(crate) fn parse_undocumented_time(text: &[u8]) -> Option<i64> {
    parse_time_parted(text, b"T ", &[b"Z", b"+00:00", b"+0000", b" UTC", b" +0000 UTC"])
}

/// Reads the time of an event in UTC, as incremental inventories of OSS write it:
/// `2024-08-25 18:08:01.024`. The zone is documented, so it need not be named.
pub fn parse_record_time(text: &[u8]) -> Option<i64> {
    parse_time_parted(text, b" T", &[b"", b"Z", b"+00:00"])
}

fn parse_time_parted(text: &[u8], marks: &[u8], zones: &[&[u8]]) -> Option<i64> {
    let (head, rest) = text.split_first_chunk::<19>()?;
    let two = |at: usize| number(&head[at..at + 2]);
    let (year, month, day) = (number(&head[..4])?, two(5)?, two(8)?);
    let (hour, minute, second) = (two(11)?, two(14)?, two(17)?);
    let parted = head[4] == b'-' && head[7] == b'-' && marks.contains(&head[10]);
    let parted = parted && matches!((head[13], head[16]), (b':', b':') | (b'-', b'-'));
    let real = (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day);
    // A leap second is read as the first of the next minute.
    if !parted || !real || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (millis, zone) = fraction(rest)?;
    if !zones.contains(&zone) {
        return None;
    }
    let seconds = days_since_1970(year, month, day) * 86_400 + i64::from(hour * 3600 + minute * 60 + second);
    Some(seconds * 1000 + i64::from(millis))
}

/// Milliseconds of a fraction at the start of `text`, if there is one, and what follows.
fn fraction(text: &[u8]) -> Option<(u32, &[u8])> {
    let Some((b'.', digits)) = text.split_first() else { return Some((0, text)) };
    let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let millis = digits[..length]
        .iter()
        .take(3)
        .fold((0, 100), |(sum, unit), byte| (sum + u32::from(byte - b'0') * unit, unit / 10));
    (length > 0).then_some((millis.0, &digits[length..]))
}

fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value, byte| byte.is_ascii_digit().then(|| value * 10 + u32::from(byte - b'0')))
}

fn days_in(year: u32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date of the Gregorian calendar.
fn days_since_1970(year: u32, month: u32, day: u32) -> i64 {
    // Years that begin in March put the leap day at their end.
    let year = i64::from(year) - i64::from(month <= 2);
    let month = i64::from((month + 9) % 12);
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let days = year * 365 + leap_days + (month * 153 + 2) / 5 + i64::from(day) - 1;
    days - 719_468
}

/// Reads a decimal size in bytes, up to what 63 bits hold.
pub fn parse_size(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 19 {
        return None;
    }
    let size = text
        .iter()
        .try_fold(0_u64, |value, byte| byte.is_ascii_digit().then(|| value * 10 + u64::from(byte - b'0')))?;
    (size <= i64::MAX as u64).then_some(size)
}

/// Reads `true` or `false` in any case.
pub fn parse_bool(text: &[u8]) -> Option<bool> {
    match text {
        b"true" => Some(true),
        b"false" => Some(false),
        _ if text.eq_ignore_ascii_case(b"true") => Some(true),
        _ if text.eq_ignore_ascii_case(b"false") => Some(false),
        _ => None,
    }
}

/// Reads an MD5 in Base64, as GCS and Azure write it.
pub(crate) fn parse_md5_base64(text: &[u8]) -> Option<[u8; 16]> {
    /// What the decoder takes for room for 24 digits.
    const ROOM: usize = 18;
    let mut decoded = [0; ROOM];
    let length = STANDARD.decode_slice(text, &mut decoded).ok().filter(|_| text.len() == 24)?;
    decoded.get(..length)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use stocktake_core::Timestamp;

    fn decoded(text: &str) -> Result<Vec<u8>> {
        let mut key = Vec::new();
        decode_key(text.as_bytes(), &mut key)?;
        Ok(key)
    }

    #[test]
    fn keys_decode_as_the_formats_page_says() {
        let cases = [
            ("a+b", "a b"),
            ("a%20b", "a b"),
            ("a%2Bb", "a+b"),
            ("a%252Bb", "a%2Bb"),
            ("dt%3D2026/x", "dt=2026/x"),
            ("%E6%97%A5%2F.%0A", "日/.\n"),
            ("100%25", "100%"),
            ("%2e%2E", ".."),
        ];
        for (text, key) in cases {
            assert_eq!(decoded(text).unwrap(), key.as_bytes(), "{text}");
        }
        assert_eq!(decoded("%FF%FE").unwrap(), b"\xff\xfe");
        for malformed in ["bad%ZZ", "bad%4", "%", "a%", "%+1", "% 1"] {
            assert!(decoded(malformed).is_err(), "{malformed}");
        }
    }

    #[test]
    fn times_of_both_clouds_are_read() {
        let cases = [
            ("2026-03-01T00:00:00.000Z", "2026-03-01T00:00:00.000Z"),
            ("2026-03-01T16-05-59Z", "2026-03-01T16:05:59.000Z"),
            ("2024-02-29T23:59:59.9999Z", "2024-02-29T23:59:59.999Z"),
            ("1969-12-31T23:59:59.5+00:00", "1969-12-31T23:59:59.500Z"),
        ];
        for (text, time) in cases {
            assert_eq!(
                parse_time(text.as_bytes()),
                Some(Timestamp::parse_rfc3339(time).unwrap().as_millis()),
                "{text}"
            );
        }
        for malformed in [
            "",
            "2026-03-01",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-03-01T24:00:00Z",
            "2026-03-01T00:00-00Z",
            "2026-03-01 00:00:00Z",
            "2026-03-01T00:00:00",
            "2026-03-01T00:00:00+01:00",
            "2026-03-01T00:00:00.Z",
            "2026-03-01T00:00:00Zx",
            "1772326800",
        ] {
            assert_eq!(parse_time(malformed.as_bytes()), None, "{malformed}");
        }
    }

    #[test]
    fn undocumented_times_have_a_zone() {
        let expected = parse_time(b"2026-03-01T16:05:59.120Z");
        for text in ["2026-03-01 16:05:59.12 UTC", "2026-03-01 16:05:59.120+00:00", "2026-03-01T16:05:59.120+0000"] {
            assert_eq!(parse_undocumented_time(text.as_bytes()), expected, "{text}");
        }
        for text in ["2026-03-01 16:05:59", "2026-03-01T16:05:59+08:00", "2026/03/01 16:05:59Z"] {
            assert_eq!(parse_undocumented_time(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn times_of_events_need_no_zone() {
        let expected = parse_time(b"2024-08-25T18:08:01.024Z");
        for text in ["2024-08-25 18:08:01.024", "2024-08-25T18:08:01.024Z", "2024-08-25T18-08-01.0249"] {
            assert_eq!(parse_record_time(text.as_bytes()), expected, "{text}");
        }
        for text in ["2024-08-25", "2024-08-25 18:08:01.024+08:00", "1724609281"] {
            assert_eq!(parse_record_time(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn an_md5_is_read_from_base64() {
        let digest = parse_md5_base64(b"DMF1ucDxtqgxw5niaXcmYQ==").unwrap();
        assert_eq!(hex::encode(digest), "0cc175b9c0f1b6a831c399e269772661");
        for text in
            [&b""[..], b"DMF1ucDxtqgxw5niaXcmYQ", b"DMF1ucDxtqgxw5niaXcmYWFh", b"DMF1ucDxtqgxw5niaXcmYR==", b"AA=="]
        {
            assert_eq!(parse_md5_base64(text), None);
        }
    }

    #[test]
    fn sizes_do_not_wrap() {
        assert_eq!(parse_size(b"9223372036854775807"), Some(i64::MAX as u64));
        for malformed in [&b""[..], b"-1", b"+1", b"9223372036854775808", b"99999999999999999999", b"1e3", b" 1"] {
            assert_eq!(parse_size(malformed), None, "{malformed:?}");
        }
    }

    proptest! {
        #[test]
        fn encoded_keys_decode_to_themselves(key in proptest::collection::vec(any::<u8>(), 0..200)) {
            let (mut text, mut back) = (Vec::new(), Vec::new());
            encode_key(&key, &mut text);
            prop_assert!(text.is_ascii());
            decode_key(&text, &mut back).unwrap();
            prop_assert_eq!(&back, &key);
        }

        #[test]
        fn every_time_reads_back(millis in -62_000_000_000_000_i64..250_000_000_000_000) {
            let text = Timestamp::from_millis(millis).to_string();
            prop_assert_eq!(parse_time(text.as_bytes()), Some(millis));
        }

        #[test]
        fn no_text_panics(text in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = (parse_time(&text), parse_size(&text), parse_bool(&text), decode_key(&text, &mut Vec::new()));
            let _ = (parse_undocumented_time(&text), parse_record_time(&text), parse_md5_base64(&text));
        }
    }
}
