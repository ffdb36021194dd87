//! The first row of a CSV file that may name its columns.
//!
//! Azure always writes such a row (Microsoft, "Azure Storage blob inventory"). On
//! GCS the user chooses whether, and what parts the fields (Google, `CSVOptions`),
//! and no manifest says what was chosen: a first row with a field for keys is a
//! header. Without one, columns are known only if they are as many as Google
//! documents by default (`gcloud storage insights inventory-reports create`).

use crate::csv::{Fields, split_row};
use crate::fault::{Fault, Result};
use crate::manifest::Dialect;
use crate::schema::{Field, Schema};

/// What may part fields.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// The fields of GCS in the documented default order.
const GCS_COLUMNS: [&str; 18] = [
    "project",
    "bucket",
    "name",
    "location",
    "size",
    "timeCreated",
    "timeDeleted",
    "updated",
    "storageClass",
    "etag",
    "retentionExpirationTime",
    "crc32c",
    "md5Hash",
    "generation",
    "metageneration",
    "contentType",
    "contentEncoding",
    "timeStorageClassUpdated",
];

/// How a file is laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) schema: Schema,
    pub(crate) delimiter: u8,
    /// Bytes that the row of names takes; 0 if there is none.
    pub(crate) length: usize,
}

/// Finds the layout of the file that begins with `text`; `None` if more of it is
/// needed, unless this is the `whole`.
///
/// # Errors
/// [`Fault::Corrupt`] when the columns can't be told.
pub(crate) fn sniff(text: &[u8], whole: bool, dialect: Dialect) -> Result<Option<Header>> {
    if text.is_empty() && whole {
        return Err(Fault::corrupt("it is empty, without even a row of names"));
    }
    let mut best: Option<(usize, Header)> = None;
    let (mut needs_more, mut found) = (false, Vec::new());
    for delimiter in DELIMITERS {
        let mut fields = Fields::default();
        // What is malformed with one delimiter may be sound with another.
        let Ok(length) = split_row(text, whole, delimiter, &mut fields) else { continue };
        let Some(length) = length else {
            needs_more = true;
            continue;
        };
        let names = fields.texts(&text[..length]);
        found.push((names.len(), delimiter));
        // Twice the same name is a fault only of what is a header.
        let is_more = best.as_ref().is_none_or(|(count, _)| *count < names.len());
        if is_more
            && has_key(&names, dialect)
            && let Ok(schema) = Schema::of_names(names.clone(), dialect)
        {
            best = Some((names.len(), Header { schema, delimiter, length }));
        }
    }
    if let Some((_, header)) = best {
        return Ok(Some(header));
    }
    if needs_more {
        return Ok(None);
    }
    let most = found.iter().map(|(count, _)| *count).max().unwrap_or_default();
    match found.iter().find(|(count, _)| *count == GCS_COLUMNS.len()) {
        Some((_, delimiter)) if dialect == Dialect::Gcs => {
            let schema = Schema::of_names(GCS_COLUMNS.map(str::to_owned).to_vec(), dialect)?;
            Ok(Some(Header { schema, delimiter: *delimiter, length: 0 }))
        }
        _ => Err(Fault::corrupt(format!(
            "its first row does not name the columns, and its {most} fields can't be told apart: have the report written with a header row"
        ))),
    }
}

fn has_key(names: &[String], dialect: Dialect) -> bool {
    names.iter().any(|name| name.trim().eq_ignore_ascii_case(Field::Key.name(dialect)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delimiter(text: &str) -> Option<(char, usize)> {
        let header = sniff(text.as_bytes(), true, Dialect::Gcs).unwrap()?;
        Some((char::from(header.delimiter), header.length))
    }

    #[test]
    fn delimiters_are_told_by_the_names() {
        assert_eq!(delimiter("bucket,name,size\nb,a;b|c,1\n"), Some((',', 17)));
        assert_eq!(delimiter("bucket;name;size\r\n"), Some((';', 18)));
        assert_eq!(delimiter("\"bucket\"\t\"name\"\t\"size\""), Some(('\t', 22)));
        assert_eq!(delimiter("bucket|name|size\n"), Some(('|', 17)));
    }

    #[test]
    fn a_file_without_names_has_the_documented_columns_or_is_refused() {
        let row = ["x"; 18].join(";");
        assert_eq!(delimiter(&row), Some((';', 0)));
        for text in ["", "a,b,c\n", "\n"] {
            assert!(sniff(text.as_bytes(), true, Dialect::Gcs).is_err(), "{text:?}");
        }
        assert!(sniff(row.as_bytes(), true, Dialect::Azure).is_err());
    }

    #[test]
    fn a_row_that_does_not_end_needs_more() {
        assert_eq!(sniff(b"Name,Et", false, Dialect::Azure), Ok(None));
        assert_eq!(sniff(b"", false, Dialect::Azure), Ok(None));
    }
}
