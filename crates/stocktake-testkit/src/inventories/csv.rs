//! Rows of CSV data files, shaped as S3, OSS, OBS and COS do.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use stocktake_core::EntryFlags;

use super::{FileEncoder, InventorySpec, ReportRow, Shape};

pub(super) struct CsvEncoder {
    oss: bool,
    /// Whether no field is quoted: a row of OBS.
    bare: bool,
    bucket: String,
    columns: Vec<&'static str>,
    row: Vec<u8>,
    file: File,
}

/// The file that is being written: compressed, except on OBS.
enum File {
    Plain(Vec<u8>),
    Gzip(Box<GzEncoder<Vec<u8>>>),
}

impl CsvEncoder {
    pub(super) fn new(spec: &InventorySpec) -> Self {
        Self {
            oss: spec.shape == Shape::OssCsv,
            bare: spec.shape == Shape::ObsCsv,
            bucket: spec.source_bucket.clone(),
            columns: super::clouds::columns(spec),
            row: Vec::new(),
            file: match spec.shape {
                Shape::ObsCsv => File::Plain(Vec::new()),
                _ => File::Gzip(Box::new(GzEncoder::new(Vec::new(), Compression::default()))),
            },
        }
    }

    fn push_field(&mut self, column: &str, row: &ReportRow<'_>) {
        let entry = &row.entry;
        let gone = row.is_delete_marker;
        let out = &mut self.row;
        match column {
            "Appid" => out.extend_from_slice(super::clouds::APPID.as_bytes()),
            "Bucket" => out.extend_from_slice(self.bucket.as_bytes()),
            "Key" => encode_key(entry.key, self.oss, out),
            "VersionId" => out.extend_from_slice(row.version.as_bytes()),
            "IsLatest" => push_bool(row.is_latest, out),
            "IsDeleteMarker" | "DeleteMarker" => push_bool(gone, out),
            "LastModifiedDate" => push_time(&entry.last_modified.to_string(), self.oss, out),
            // A delete marker has nothing else.
            _ if gone => {}
            "Size" => write!(out, "{}", entry.size).unwrap(),
            "ETag" => {
                let tag = entry.etag.to_etag().map(|tag| tag.to_string()).unwrap_or_default();
                out.extend_from_slice(if self.oss { tag.to_uppercase() } else { tag }.as_bytes());
            }
            "StorageClass" => out.extend_from_slice(entry.class.as_bytes()),
            "IsMultipartUploaded" => push_bool(entry.flags.has(EntryFlags::MULTIPART), out),
            "EncryptionStatus" => {
                let known = entry.flags.has(EntryFlags::ETAG_IS_MD5);
                out.extend_from_slice(encryption(known, self.oss).as_bytes());
            }
            other => panic!("no column {other}"),
        }
    }
}

impl FileEncoder for CsvEncoder {
    fn push(&mut self, row: &ReportRow<'_>) {
        self.row.clear();
        for (index, column) in self.columns.clone().into_iter().enumerate() {
            if index > 0 {
                self.row.push(b',');
            }
            if self.bare || (self.oss && column == "Bucket") {
                self.push_field(column, row);
                continue;
            }
            self.row.push(b'"');
            let start = self.row.len();
            self.push_field(column, row);
            double_quotes(&mut self.row, start);
            self.row.push(b'"');
        }
        self.row.push(b'\n');
        match &mut self.file {
            File::Plain(file) => file.extend_from_slice(&self.row),
            File::Gzip(file) => file.write_all(&self.row).unwrap(),
        }
    }

    fn finish(&mut self) -> Vec<u8> {
        match std::mem::replace(&mut self.file, File::Plain(Vec::new())) {
            File::Plain(file) => file,
            File::Gzip(file) => file.finish().unwrap(),
        }
    }
}

/// What each cloud says of an object whose ETag is, or is not known to be, an MD5.
pub(super) fn encryption(etag_is_md5: bool, oss: bool) -> &'static str {
    match (etag_is_md5, oss) {
        (true, false) => "SSE-S3",
        (false, false) => "SSE-KMS",
        (true, true) => "false",
        (false, true) => "true",
    }
}

pub(super) fn encode_key(key: &[u8], oss: bool, out: &mut Vec<u8>) {
    for byte in key {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => out.push(*byte),
            b'/' if !oss => out.push(b'/'),
            b' ' if !oss => out.push(b'+'),
            other => write!(out, "%{other:02X}").unwrap(),
        }
    }
}

pub(super) fn push_time(rfc3339: &str, oss: bool, out: &mut Vec<u8>) {
    if oss {
        let whole_seconds = &rfc3339[..19];
        out.extend_from_slice(whole_seconds.replace(':', "-").as_bytes());
        out.push(b'Z');
    } else {
        out.extend_from_slice(rfc3339.as_bytes());
    }
}

pub(super) fn push_bool(value: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

/// Doubles the quotes in the text from `start` on.
pub(super) fn double_quotes(text: &mut Vec<u8>, start: usize) {
    if text[start..].contains(&b'"') {
        let doubled = text[start..].iter().flat_map(|byte| std::iter::repeat_n(*byte, 1 + usize::from(*byte == b'"')));
        let doubled: Vec<u8> = doubled.collect();
        text.truncate(start);
        text.extend_from_slice(&doubled);
    }
}
