//! The values of one column in one stripe. (ORC specification v1, "Column Encodings".)

use std::io;

use stocktake_core::BytesColumn;
use stocktake_inventory::RawColumn;

use crate::bits::{Bits, Bytes};
use crate::error::{damaged, unsupported};
use crate::integers::{Integers, Version};
use crate::stream::Stream;

/// The longest text that is read. A field of an inventory that is read has at most 1,024 bytes.
const MAX_TEXT_BYTES: usize = 8 << 10;

/// The largest dictionary that is read: bytes of its texts, and how many they are.
const MAX_DICTIONARY_BYTES: usize = 64 << 20;
const MAX_DICTIONARY_SIZE: u64 = 8 << 20;

/// 2015-01-01 in UTC, which the seconds of timestamps are counted from, in seconds since 1970.
const BASE_SECONDS: i64 = 1_420_070_400;

/// Zones that are UTC.
const UTC: [&str; 8] = ["", "UTC", "GMT", "Etc/UTC", "Etc/GMT", "UCT", "Zulu", "Z"];

/// What a column is read from. Numbers are those of the specification.
pub(crate) struct Parts<'a> {
    pub(crate) kind: u64,
    pub(crate) encoding: u64,
    pub(crate) present: Option<Bits>,
    pub(crate) data: Stream,
    pub(crate) length: Stream,
    pub(crate) dictionary: Stream,
    pub(crate) secondary: Stream,
    /// Never more than the stripe has rows.
    pub(crate) dictionary_size: u64,
    /// The writer's zone, by whose clock timestamps without a zone are stored.
    pub(crate) zone: &'a str,
}

/// Reads a column from the first row of its stripe to the last.
pub(crate) struct Column {
    present: Option<Bits>,
    values: Values,
}

enum Values {
    Texts { lengths: Integers, data: Stream },
    Dictionary { indexes: Integers, texts: BytesColumn },
    Integers(Integers),
    Bytes(Bytes),
    Times { seconds: Integers, nanos: Integers },
    Bools(Bits),
}

/// Whether columns of this type, in the numbers of the specification, can be read.
pub(crate) fn check_kind(kind: u64) -> io::Result<()> {
    match kind {
        0..=4 | 7..=9 | 16..=18 => Ok(()),
        _ => Err(unsupported("it is of a type that no field of an inventory has")),
    }
}

impl Column {
    pub(crate) fn new(parts: Parts<'_>) -> io::Result<Self> {
        check_kind(parts.kind)?;
        let (version, has_dictionary) = match parts.encoding {
            0 => (Version::One, false),
            1 => (Version::One, true),
            2 => (Version::Two, false),
            3 => (Version::Two, true),
            other => return Err(unsupported(format!("it is encoded in the unknown way {other}"))),
        };
        let Parts { data, length, secondary, .. } = parts;
        let values = match parts.kind {
            0 => Values::Bools(Bits::new(data)),
            1 => Values::Bytes(Bytes::new(data)),
            2..=4 => Values::Integers(Integers::signed(data, version)),
            9 if !UTC.contains(&parts.zone) => {
                return Err(unsupported(format!("its times are by the clock of {}, not in UTC", parts.zone)));
            }
            9 | 18 => Values::Times {
                seconds: Integers::signed(data, version),
                nanos: Integers::unsigned(secondary, version),
            },
            _ if has_dictionary => {
                let lengths = Integers::unsigned(length, version);
                let texts = dictionary(lengths, parts.dictionary, parts.dictionary_size)?;
                Values::Dictionary { indexes: Integers::unsigned(data, version), texts }
            }
            _ => Values::Texts { lengths: Integers::unsigned(length, version), data },
        };
        Ok(Self { present: parts.present, values })
    }

    /// The next `rows` values.
    pub(crate) fn read(&mut self, rows: usize) -> io::Result<RawColumn> {
        let present = &mut self.present;
        Ok(match &mut self.values {
            Values::Texts { lengths, data } => {
                let (mut bytes, mut ends) = (Vec::new(), Vec::with_capacity(rows));
                for _ in 0..rows {
                    if is_present(present)? {
                        data.append(text_length(lengths)?, &mut bytes)?;
                    }
                    ends.push(end(&bytes)?);
                }
                texts(bytes, ends)?
            }
            Values::Dictionary { indexes, texts } => {
                let mut column = BytesColumn::default();
                for _ in 0..rows {
                    match is_present(present)? {
                        true => column.push(texts.get(index(indexes, texts)?)),
                        false => column.push(b""),
                    }
                }
                RawColumn::Bytes(column)
            }
            Values::Integers(integers) => RawColumn::Integers(each(rows, present, || integers.next())?),
            Values::Bytes(bytes) => RawColumn::Integers(each(rows, present, || Ok(i64::from(bytes.next()? as i8)))?),
            Values::Times { seconds, nanos } => {
                RawColumn::Millis(each(rows, present, || millis(seconds.next()?, nanos.next()?))?)
            }
            Values::Bools(bits) => RawColumn::Bools(each(rows, present, || bits.next())?),
        })
    }
}

/// Values of rows, of which those that are null have none.
fn each<T>(
    rows: usize,
    present: &mut Option<Bits>,
    mut next: impl FnMut() -> io::Result<T>,
) -> io::Result<Vec<Option<T>>> {
    (0..rows).map(|_| is_present(present)?.then(&mut next).transpose()).collect()
}

#[inline]
fn is_present(present: &mut Option<Bits>) -> io::Result<bool> {
    present.as_mut().map_or(Ok(true), Bits::next)
}

#[inline]
fn text_length(lengths: &mut Integers) -> io::Result<usize> {
    let length = lengths.next()?;
    let fits = usize::try_from(length).ok().filter(|length| *length <= MAX_TEXT_BYTES);
    fits.ok_or_else(|| damaged(format!("a text of {} bytes, more than {MAX_TEXT_BYTES}", length as u64)))
}

/// Texts and rows are few and short enough to stay far below 4 GiB.
fn end(bytes: &[u8]) -> io::Result<u32> {
    u32::try_from(bytes.len()).map_err(|_| damaged("its texts are too long"))
}

fn texts(bytes: Vec<u8>, ends: Vec<u32>) -> io::Result<RawColumn> {
    BytesColumn::from_parts(bytes, ends).map(RawColumn::Bytes).map_err(|error| damaged(error.to_string()))
}

fn dictionary(mut lengths: Integers, mut data: Stream, size: u64) -> io::Result<BytesColumn> {
    let too_large = || unsupported(format!("its dictionary has more than {MAX_DICTIONARY_BYTES} bytes"));
    if size > MAX_DICTIONARY_SIZE {
        return Err(too_large());
    }
    let (mut texts, mut text) = (BytesColumn::default(), Vec::new());
    for _ in 0..size {
        text.clear();
        data.append(text_length(&mut lengths)?, &mut text)?;
        if texts.data().len() + text.len() > MAX_DICTIONARY_BYTES {
            return Err(too_large());
        }
        texts.push(&text);
    }
    Ok(texts)
}

fn index(indexes: &mut Integers, texts: &BytesColumn) -> io::Result<usize> {
    let index = usize::try_from(indexes.next()?).ok().filter(|index| *index < texts.len());
    index.ok_or_else(|| damaged("a text is not in its dictionary"))
}

/// Milliseconds since 1970. The low three bits of `nanos` tell how many zeros its other bits lack, but one.
fn millis(seconds: i64, nanos: i64) -> io::Result<i64> {
    let (digits, zeros) = (nanos as u64 >> 3, (nanos & 7) as u32);
    let nanos = if zeros == 0 { Some(digits) } else { digits.checked_mul(10_u64.pow(zeros + 1)) };
    let nanos = nanos.filter(|nanos| *nanos < 1_000_000_000).ok_or_else(|| damaged("a time of no second"))?;
    let seconds = seconds.checked_add(BASE_SECONDS);
    // Before 1970 writers round to zero: https://issues.apache.org/jira/browse/ORC-763
    let seconds = seconds.map(|seconds| seconds - i64::from(seconds < 0 && nanos > 999_999));
    let millis = seconds.and_then(|seconds| seconds.checked_mul(1000));
    let millis = millis.and_then(|millis| millis.checked_add((nanos / 1_000_000) as i64));
    millis.ok_or_else(|| damaged("a time too far away"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_since_2015_and_nanoseconds_without_their_zeros() {
        assert_eq!(millis(0, 0).unwrap(), 1_420_070_400_000);
        assert_eq!(millis(1, (123 << 3) | 5).unwrap(), 1_420_070_401_123);
        assert_eq!(millis(-BASE_SECONDS, 0).unwrap(), 0);
        assert_eq!(millis(-BASE_SECONDS - 1, (5 << 3) | 7).unwrap(), -1500);
        assert!(millis(i64::MAX, 0).is_err() && millis(i64::MIN, 0).is_err());
        assert!(millis(0, -1).is_err() && millis(0, 1_000_000_000 << 3).is_err());
    }
}
