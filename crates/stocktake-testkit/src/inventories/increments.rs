//! Inventories of a [`History`](super::History) as OSS writes them: full ones of all versions or current
//! objects, and incremental ones.

use bytes::Bytes;
use serde_json::json;
use stocktake_core::{EntryFlags, InventoryVersions, Timestamp, Vault};

use super::csv::{double_quotes, encode_key, encryption, push_time};
use super::{Event, EventKind, InventorySpec, Shape, Version, WrittenInventory, md5_hex, put_manifest, write_versions};

/// An incremental inventory that was written.
#[derive(Clone, Debug)]
pub struct WrittenDelta {
    /// The name of its `manifest.json`.
    pub manifest: String,
    /// The names of its data files.
    pub files: Vec<String>,
}

/// Writes a full inventory of keys' versions, the newest of each first. One of current objects names no others.
///
/// # Panics
/// As [`write`](super::write()).
pub async fn write_history(vault: &dyn Vault, spec: &InventorySpec, keys: &[Vec<Version>]) -> WrittenInventory {
    let mut entries = Vec::new();
    for versions in keys {
        for (place, Version { entry, marker }) in versions.iter().enumerate() {
            let current = place == 0 && !marker;
            if current || spec.versions == InventoryVersions::All {
                let age = if place == 0 { EntryFlags::NONE } else { EntryFlags::NONCURRENT };
                let marker = if *marker { EntryFlags::DELETE_MARKER } else { EntryFlags::NONE };
                entries.push(entry.clone().with_flags(entry.flags.with(age).with(marker)));
            }
        }
    }
    write_versions(vault, spec, &entries).await
}

/// Writes an incremental inventory of these events, as delivered by the configuration of `spec`.
///
/// Its span is from `start` to `end`, in milliseconds. Events come in any order: the latest first, and every other one
/// in a file of its own.
///
/// # Panics
/// When the vault fails.
pub async fn write_delta(
    vault: &dyn Vault,
    spec: &InventorySpec,
    start: i64,
    end: i64,
    events: &[Event],
) -> WrittenDelta {
    let folder = format!("{}/incremental_inventory/{}", spec.folder(), folder_name(end));
    let mut texts = [Vec::new(), Vec::new()];
    for (place, event) in events.iter().rev().enumerate() {
        push_row(spec, event, &mut texts[place % 2]);
    }
    let (mut files, mut listed) = (Vec::new(), Vec::new());
    for (number, text) in texts.into_iter().enumerate().filter(|(_, text)| !text.is_empty()) {
        let name = format!("{folder}/data/7a1c2b5e_{number}.csv");
        listed.push(json!({ "key": name, "size": text.len(), "MD5checksum": md5_hex(&text, Shape::OssCsv) }));
        vault.create(&name, Bytes::from(text)).await.unwrap();
        files.push(name);
    }
    let manifest = json!({
        "startTimestamp": (start / 1000).to_string(),
        "endTimestamp": (end / 1000).to_string(),
        "destinationBucket": spec.destination_bucket,
        "fileFormat": "CSV",
        "fileSchema": columns(spec).join(", "),
        "files": listed,
        "sourceBucket": spec.source_bucket,
        "version": "2025-09-30",
    });
    let manifest = put_manifest(vault, Shape::OssCsv, format!("{folder}/manifest.json"), &manifest).await;
    WrittenDelta { manifest, files }
}

fn folder_name(end: i64) -> String {
    let text = Timestamp::from_millis(end).to_string();
    format!("{}-{}{}Z", &text[..13], &text[14..16], &text[17..19])
}

/// Those of the full inventory that events have, and those of events.
fn columns(spec: &InventorySpec) -> Vec<&'static str> {
    let own = ["SequenceNumber", "RecordType", "RecordTimestamp", "Requester", "RequestId", "SourceIp"];
    let own = own.into_iter().filter(|column| !spec.without.contains(column));
    spec.columns().into_iter().filter(|column| *column != "IsLatest").chain(own).collect()
}

fn push_row(spec: &InventorySpec, event: &Event, out: &mut Vec<u8>) {
    for (place, column) in columns(spec).into_iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        let mut field = Vec::new();
        match value(spec, event, column, &mut field) {
            Written::Null => out.extend_from_slice(b"null"),
            Written::Bare => out.extend_from_slice(&field),
            Written::Quoted => {
                double_quotes(&mut field, 0);
                out.push(b'"');
                out.extend_from_slice(&field);
                out.push(b'"');
            }
        }
    }
    out.push(b'\n');
}

enum Written {
    Null,
    Bare,
    Quoted,
}

fn value(spec: &InventorySpec, event: &Event, column: &str, out: &mut Vec<u8>) -> Written {
    let Event { sequence, time, kind, version: Version { entry, marker } } = event;
    let gone = *kind == EventKind::Delete;
    let text = match column {
        "Bucket" => {
            out.extend_from_slice(spec.source_bucket.as_bytes());
            return Written::Bare;
        }
        "Key" => {
            encode_key(entry.key.as_bytes(), true, out);
            return Written::Quoted;
        }
        "VersionId" => entry.version.clone().unwrap_or_default(),
        "SequenceNumber" => sequence.to_string(),
        "RecordType" => match kind {
            EventKind::Create => "CREATE".into(),
            EventKind::UpdateMetadata => "UPDATE_METADATA".into(),
            EventKind::Delete => "DELETE".into(),
        },
        "RecordTimestamp" => Timestamp::from_millis(*time).to_string().replace('T', " ").replace('Z', ""),
        _ if gone => return Written::Null,
        "IsDeleteMarker" => marker.to_string(),
        "Requester" => "1234567890".into(),
        "RequestId" => format!("{sequence:024X}"),
        "SourceIp" => "192.0.2.1".into(),
        "LastModifiedDate" => {
            push_time(&entry.last_modified.to_string(), true, out);
            return Written::Quoted;
        }
        _ if *marker => return Written::Null,
        "Size" => entry.size.to_string(),
        "ETag" => entry.etag.as_ref().map(|etag| etag.as_str().to_uppercase()).unwrap_or_default(),
        "StorageClass" => entry.class.clone(),
        "IsMultipartUploaded" => entry.flags.has(EntryFlags::MULTIPART).to_string(),
        "EncryptionStatus" => encryption(entry.flags.has(EntryFlags::ETAG_IS_MD5), true).to_owned(),
        other => panic!("no column {other}"),
    };
    out.extend_from_slice(text.as_bytes());
    Written::Quoted
}
