//! Rows of CSV data files that name their columns in the first row: GCS and Azure.

use super::clouds::headed_columns;
use super::csv::{double_quotes, push_bool};
use super::{FileEncoder, InventorySpec, PAST_VERSIONS, ReportRow, Shape};

pub(super) struct CsvEncoder {
    delimiter: u8,
    bucket: String,
    columns: Vec<(&'static str, &'static str)>,
    file: Vec<u8>,
}

impl CsvEncoder {
    pub(super) fn new(spec: &InventorySpec) -> Self {
        let columns = headed_columns(spec);
        let delimiter = if spec.shape == Shape::GcsCsv { b';' } else { b',' };
        let names: Vec<_> = columns.iter().map(|(name, _)| name.as_bytes()).collect();
        let mut file = names.join(&delimiter);
        file.push(b'\n');
        Self { delimiter, bucket: spec.source_bucket.clone(), columns, file }
    }

    fn push_field(&mut self, column: &str, row: &ReportRow<'_>) {
        let (entry, out) = (&row.entry, &mut self.file);
        match column {
            "project" => out.extend_from_slice(b"1234567890"),
            "bucket" => out.extend_from_slice(self.bucket.as_bytes()),
            "name" => out.extend_from_slice(entry.key),
            "Name" => {
                out.extend_from_slice(self.bucket.as_bytes());
                out.push(b'/');
                out.extend_from_slice(entry.key);
            }
            "size" | "Content-Length" => out.extend_from_slice(entry.size.to_string().as_bytes()),
            "updated" | "Last-Modified" => out.extend_from_slice(entry.last_modified.to_string().as_bytes()),
            "etag" | "Etag" => {
                let tag = entry.etag.to_etag().map(|tag| tag.to_string()).unwrap_or_default();
                out.extend_from_slice(tag.as_bytes());
            }
            "storageClass" | "AccessTier" => out.extend_from_slice(entry.class.as_bytes()),
            "md5Hash" | "Content-MD5" => out.extend_from_slice(content_md5(row).as_bytes()),
            "generation" => out.extend_from_slice(generation(row).to_string().as_bytes()),
            "VersionId" => out.extend_from_slice(row.version.as_bytes()),
            "IsCurrentVersion" => push_bool(row.is_latest, out),
            "Deleted" if row.is_delete_marker => push_bool(true, out),
            "timeDeleted" if is_past(row) => out.extend_from_slice(b"2026-02-28T12:00:00.123Z"),
            "hdi_isfolder" => push_bool(false, out),
            "Deleted" | "timeDeleted" | "Snapshot" => {}
            other => panic!("no column {other}"),
        }
    }
}

impl FileEncoder for CsvEncoder {
    fn push(&mut self, row: &ReportRow<'_>) {
        for (index, (column, _)) in self.columns.clone().into_iter().enumerate() {
            if index > 0 {
                self.file.push(self.delimiter);
            }
            let start = self.file.len();
            self.push_field(column, row);
            let text = &self.file[start..];
            // Only what needs them has quotes.
            if text.iter().any(|byte| [self.delimiter, b'"', b'\n', b'\r'].contains(byte)) {
                double_quotes(&mut self.file, start);
                self.file.insert(start, b'"');
                self.file.push(b'"');
            }
        }
        self.file.push(b'\n');
    }

    fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.file)
    }
}

/// Whether there is no such object any more.
pub(super) fn is_past(row: &ReportRow<'_>) -> bool {
    !row.is_latest || row.is_delete_marker
}

/// The generation of an object: one of its own for every past version.
pub(super) fn generation(row: &ReportRow<'_>) -> i64 {
    let past = PAST_VERSIONS.iter().position(|version| *version == row.version);
    past.map_or(CURRENT_GENERATION, |past| 1 + past as i64)
}

/// The generation of everything that is there.
pub(super) const CURRENT_GENERATION: i64 = 1_772_326_800_000_000;

/// The MD5 in Base64 that stands beside a tag: of a plain tag its own digest.
pub(super) fn content_md5(row: &ReportRow<'_>) -> String {
    let digest = row.entry.etag.code.md5_shaped();
    digest.map(|digest| base64(&digest)).unwrap_or_default()
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().chain(&[0; 2]).take(3).fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        for digit in 0..4 {
            let place = (bits >> (18 - 6 * digit)) as usize & 63;
            text.push(if digit <= chunk.len() { char::from(DIGITS[place]) } else { '=' });
        }
    }
    text
}
