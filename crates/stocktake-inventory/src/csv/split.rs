//! The fields of a row.
//!
//! Fields are slices of the window's text; only one with a doubled quote is copied.

use crate::fault::{Fault, Result};

/// The fields of one row: ranges of the row's bytes, or of the text that unescaping gave.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    ranges: Vec<(u32, u32, bool)>,
    unescaped: Vec<u8>,
}

impl Fields {
    #[inline]
    pub(crate) fn get<'a>(&'a self, row: &'a [u8], index: usize) -> &'a [u8] {
        let (start, end, escaped) = self.ranges[index];
        let text = if escaped { &self.unescaped[..] } else { row };
        &text[start as usize..end as usize]
    }

    /// How many fields the row has.
    pub(crate) fn count(&self) -> usize {
        self.ranges.len()
    }

    /// All fields of a row, as names of columns.
    pub(crate) fn texts(&self, row: &[u8]) -> Vec<String> {
        let fields = (0..self.ranges.len()).map(|index| self.get(row, index));
        fields.map(|field| String::from_utf8_lossy(field).trim().to_owned()).collect()
    }
}

/// Splits the row at the start of `bytes` into fields, and tells its length with the end of line.
///
/// `None` when the row does not end in `bytes`, unless this is the `last` of the
/// file, which may do without an end of line; then `None` says that nothing is left.
pub(crate) fn split_row(bytes: &[u8], last: bool, delimiter: u8, fields: &mut Fields) -> Result<Option<usize>> {
    fields.ranges.clear();
    fields.unescaped.clear();
    if bytes.is_empty() {
        return Ok(None);
    }
    let mut at = 0;
    loop {
        let end = match bytes.get(at) {
            Some(b'"') => quoted_field(bytes, at + 1, last, fields)?,
            _ => plain_field(bytes, at, last, delimiter, fields),
        };
        let Some(end) = end else { return Ok(None) };
        at = match &bytes[end..] {
            [next, ..] if *next == delimiter => end + 1,
            [b'\n', ..] => return Ok(Some(end + 1)),
            [b'\r', b'\n', ..] => return Ok(Some(end + 2)),
            [] if last => return Ok(Some(end)),
            [] | [b'\r'] if !last => return Ok(None),
            _ => return Err(Fault::corrupt("text follows a closing quote")),
        };
    }
}

/// Takes the field that begins at `start` behind its quote; tells where its closing quote ends.
#[inline]
fn quoted_field(bytes: &[u8], start: usize, last: bool, fields: &mut Fields) -> Result<Option<usize>> {
    let mut from = start;
    let mut copied: Option<u32> = None;
    loop {
        let Some(found) = bytes.get(from..).and_then(|rest| memchr::memchr(b'"', rest)) else {
            return if last { Err(Fault::corrupt("a quote is not closed")) } else { Ok(None) };
        };
        let quote = from + found;
        if bytes.get(quote + 1) == Some(&b'"') {
            // A doubled quote stands for one: keep the first, go on behind the second.
            copied.get_or_insert(fields.unescaped.len() as u32);
            fields.unescaped.extend_from_slice(&bytes[from..=quote]);
            from = quote + 2;
            continue;
        }
        if quote + 1 == bytes.len() && !last {
            return Ok(None);
        }
        fields.ranges.push(match copied {
            None => (start as u32, quote as u32, false),
            Some(begin) => {
                fields.unescaped.extend_from_slice(&bytes[from..quote]);
                (begin, fields.unescaped.len() as u32, true)
            }
        });
        return Ok(Some(quote + 1));
    }
}

/// Takes the field without quotes that begins at `start`; tells where it ends.
#[inline]
fn plain_field(bytes: &[u8], start: usize, last: bool, delimiter: u8, fields: &mut Fields) -> Option<usize> {
    let found = bytes.get(start..).and_then(|rest| memchr::memchr2(delimiter, b'\n', rest));
    let end = match found {
        Some(length) => start + length,
        None if last => bytes.len(),
        None => return None,
    };
    let ends_line = bytes.get(end) != Some(&delimiter);
    let end = if ends_line && end > start && bytes[end - 1] == b'\r' { end - 1 } else { end };
    fields.ranges.push((start as u32, end as u32, false));
    Some(end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::window::is_blank;
    use super::*;

    proptest! {
        #[test]
        fn fields_are_those_of_a_standard_parser(text in "([a\",\r\n]|\"\"){0,60}") {
            let mut standard = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
            let expected: Vec<Vec<Vec<u8>>> = standard.byte_records()
                .map(|record| record.unwrap().iter().map(<[u8]>::to_vec).collect())
                .collect();
            let (mut at, mut fields, mut rows) = (0, Fields::default(), Vec::new());
            loop {
                match split_row(&text.as_bytes()[at..], true, b',', &mut fields) {
                    Ok(Some(length)) => {
                        let row = &text.as_bytes()[at..at + length];
                        if !is_blank(row) {
                            rows.push((0..fields.ranges.len()).map(|i| fields.get(row, i).to_vec()).collect::<Vec<_>>());
                        }
                        at += length;
                    }
                    Ok(None) => break,
                    // What is malformed is refused here, where the standard parser guesses.
                    Err(_) => return Ok(()),
                }
            }
            // It also takes a lone carriage return for an end of line, which no cloud writes.
            if !text.replace("\r\n", "\n").contains('\r') {
                prop_assert_eq!(rows, expected);
            }
        }

        #[test]
        fn rows_split_the_same_however_they_arrive(text in "([a\",\n]|\r\n|\"\"){0,60}", cut: prop::sample::Index) {
            let mut fields = Fields::default();
            let whole = split_row(text.as_bytes(), true, b',', &mut fields);
            let ranges = fields.ranges.clone();
            let cut = cut.index(text.len() + 1);
            // What is decided on a part of the text stays so.
            if let Ok(Some(length)) = split_row(&text.as_bytes()[..cut], false, b',', &mut fields) {
                prop_assert_eq!(whole, Ok(Some(length)));
                prop_assert_eq!(&fields.ranges, &ranges);
            }
        }
    }
}
