//! Inventories in ORC keep what every inventory promises, and damage to them never reads as fewer objects.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use futures::TryStreamExt;
use md5::{Digest, Md5};
use orc_rust::ArrowWriterBuilder;
use orc_rust::compression::CompressionType;
use serde_json::json;
use stocktake_core::memory::MemoryVault;
use stocktake_core::{
    Entry, EntryBatch, EntryFlags, Error, InventoryReader, InventoryVersions, Result, Timestamp, Vault,
};
use stocktake_inventory::ManifestReader;
use stocktake_orc::OrcFormat;
use stocktake_testkit::conformance::{InventoryUnderTest, keys, run};
use stocktake_testkit::inventories::{InventorySpec, Shape, batches, with_past, write};
use stocktake_testkit::inventory_conformance;

const FOLDER: &str = "inv/photo-store/daily";

/// Entries with keys of all kinds that are text.
fn entries() -> Vec<Entry> {
    let ordinary = (0..20_000).map(|n| format!("photos/{n:06}.jpg").as_str().into());
    let odd = keys::hostile().into_iter().filter(|key| key.as_str().is_some());
    let mut entries: Vec<Entry> = ordinary
        .chain(odd)
        .enumerate()
        .map(|(n, key)| {
            let time = Timestamp::from_millis(1_772_326_800_000 + 1000 * n as i64);
            let mut entry = Entry::new(key, n as u64 * 7, time).with_class("STANDARD").with_etag(&*format!("{n:032x}"));
            entry.flags = EntryFlags::ETAG_IS_MD5;
            entry
        })
        .collect();
    entries.sort_by(|a, b| a.key.cmp(&b.key));
    entries
}

/// A data file. Odd columns and their order are no concern of a reader.
fn file(entries: &[Entry]) -> Vec<u8> {
    let text = |value: fn(&Entry) -> &str| -> ArrayRef {
        Arc::new(entries.iter().map(|e| Some(value(e))).collect::<StringArray>())
    };
    let micros = entries.iter().map(|entry| Some(entry.last_modified.as_millis() * 1000));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("size", Arc::new(entries.iter().map(|entry| Some(entry.size as i64)).collect::<Int64Array>())),
        ("bucket", text(|_| "photo-store")),
        ("key", text(|entry| entry.key.as_str().unwrap())),
        ("last_modified_date", Arc::new(micros.collect::<TimestampMicrosecondArray>())),
        ("e_tag", text(|entry| entry.etag.as_ref().unwrap().as_str())),
        ("something_new", text(|_| "whatever")),
        ("storage_class", text(|entry| &entry.class)),
        ("is_multipart_uploaded", Arc::new(entries.iter().map(|_| Some(false)).collect::<BooleanArray>())),
        ("encryption_status", text(|_| "SSE-S3")),
    ];
    let fields = columns.iter().map(|(name, array)| match array.data_type() {
        DataType::Timestamp(..) => Field::new(*name, DataType::Timestamp(TimeUnit::Microsecond, None), true),
        kind => Field::new(*name, kind.clone(), true),
    });
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let batch =
        RecordBatch::try_new(Arc::clone(&schema), columns.into_iter().map(|(_, array)| array).collect()).unwrap();
    let mut bytes = Vec::new();
    let writer = ArrowWriterBuilder::new(&mut bytes, schema).with_compression(CompressionType::Zlib);
    let mut writer = writer.try_build().unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

/// Delivers data files as S3 does.
async fn deliver(vault: &MemoryVault, files: &[Vec<u8>]) {
    let mut listed = Vec::new();
    for (n, bytes) in files.iter().enumerate() {
        let key = format!("{FOLDER}/data/{n}.orc");
        let md5 = hex::encode(Md5::digest(bytes));
        listed.push(json!({ "key": key, "size": bytes.len(), "MD5checksum": md5 }));
        vault.create(&key, bytes.clone().into()).await.unwrap();
    }
    let manifest = json!({
        "sourceBucket": "photo-store",
        "destinationBucket": "arn:aws:s3:::ops-inventories",
        "version": "2016-11-30",
        "creationTimestamp": "1772326800000",
        "fileFormat": "ORC",
        "fileSchema": "struct<bucket:string,key:string,size:bigint,last_modified_date:timestamp,e_tag:string,storage_class:string>",
        "files": listed,
    });
    let manifest = manifest.to_string();
    let checksum = hex::encode(Md5::digest(&manifest));
    let folder = format!("{FOLDER}/2026-03-01T01-00Z");
    vault.create(&format!("{folder}/manifest.json"), manifest.into()).await.unwrap();
    vault.create(&format!("{folder}/manifest.checksum"), checksum.into()).await.unwrap();
}

fn reader(vault: &MemoryVault) -> ManifestReader {
    ManifestReader::new(Arc::new(vault.clone()), "inv", "memory://ops").with_format(Arc::new(OrcFormat))
}

async fn delivered() -> InventoryUnderTest {
    let (vault, entries) = (MemoryVault::new(), entries());
    let files: Vec<_> = entries.chunks(7_000).map(file).collect();
    deliver(&vault, &files).await;
    InventoryUnderTest::new(reader(&vault), entries)
}

inventory_conformance!(delivered().await);

/// Older versions and delete markers between the same objects, of which each has the null version.
async fn delivered_versions() -> InventoryUnderTest {
    let (vault, entries) = (MemoryVault::new(), entries());
    let spec =
        InventorySpec { versions: InventoryVersions::All, rows_per_file: 9_000, ..InventorySpec::new(Shape::S3Orc) };
    write(&vault, &spec, batches(&entries)).await;
    let null = |entry: Entry| Entry { version: entry.version.or_else(|| Some("null".to_owned())), ..entry };
    let bare = |entry: Entry| match entry.flags.is_delete_marker() {
        true => Entry { size: 0, etag: None, class: String::new(), flags: EntryFlags::DELETE_MARKER, ..entry },
        false => entry,
    };
    let versions = (0..).zip(&entries).flat_map(|(number, entry)| with_past(entry, number));
    let versions = versions.map(null).map(bare).collect();
    InventoryUnderTest::new(reader(&vault), entries.into_iter().map(null).collect()).with_versions(versions)
}

mod versions {
    use super::*;
    inventory_conformance!(delivered_versions().await);
}

async fn read(vault: &MemoryVault) -> Result<usize> {
    let reader = reader(vault);
    let inventory = reader.open(&reader.inventories().await?[0]).await?;
    let mut rows = 0;
    for part in 0..inventory.parts() {
        let batches: Vec<EntryBatch> = inventory.read(part).try_collect().await?;
        rows += batches.iter().map(EntryBatch::len).sum::<usize>();
    }
    Ok(rows)
}

#[test]
fn a_file_that_does_not_decode_is_an_error_and_never_fewer_rows() {
    run(async {
        let whole = file(&entries()[..2_000]);
        // The checksums are those of the damaged files, so it is the decoder that must notice.
        for at in (0..whole.len()).step_by(whole.len() / 97) {
            let vault = MemoryVault::new();
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            deliver(&vault, &[bytes]).await;
            // A bit in the values themselves can't be told: ORC has no checksums. But no row goes missing.
            assert!(!matches!(read(&vault).await, Ok(rows) if rows != 2_000), "byte {at}");
        }
        for length in [0, 3, whole.len() / 2, whole.len() - 1] {
            let vault = MemoryVault::new();
            deliver(&vault, &[whole[..length].to_vec()]).await;
            assert!(read(&vault).await.is_err(), "cut to {length}");
        }
    });
}

#[test]
fn without_the_format_an_inventory_is_refused() {
    run(async {
        let vault = MemoryVault::new();
        deliver(&vault, &[file(&entries()[..10])]).await;
        let reader = ManifestReader::new(Arc::new(vault), "inv", "memory://ops");
        let newest = reader.inventories().await.unwrap().remove(0);
        assert!(matches!(reader.open(&newest).await, Err(Error::InventoryNotFound { .. })));
    });
}
