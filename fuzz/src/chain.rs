//! Incremental inventories of OSS: manifests, and files of events read as a backup reads them.

use std::sync::Arc;

use md5::{Digest, Md5};
use serde_json::json;
use stocktake_core::memory::MemoryVault;
use stocktake_core::{Entry, Error, InventoryReader, Result};
use stocktake_inventory::{DeltaManifest, ManifestReader};

use crate::BUCKET;
use crate::inventory::{RUNTIME, read_part};

/// The manifest of an incremental inventory.
pub fn delta_manifest(data: &[u8]) -> bool {
    let Ok(delta) = DeltaManifest::parse(data) else { return false };
    assert!(delta.start <= delta.end && delta.manifest.created == delta.end);
    assert!(delta.start.to_string().starts_with("20"), "{}", delta.start);
    assert!(delta.manifest.files.iter().all(|file| file.size.is_some() && file.md5.is_some()));
    true
}

/// A file of events, behind a base of three keys. Bits of the first byte say whether events and base tell versions apart.
pub fn delta_file(data: &[u8]) -> bool {
    let Some((choice, file)) = data.split_first() else { return false };
    let (events, base) = (choice & 1 != 0, choice & 2 != 0);
    let (once, twice) = (chain(events, base, &[file]), chain(events, base, &[file, file]));
    // An event counts once, however often it comes.
    match (once, twice) {
        (Ok(once), Ok(twice)) => {
            assert_eq!(once, twice);
            assert!(once.is_sorted_by(|a, b| a.key < b.key), "a key comes once");
            true
        }
        (Err(_), Err(_)) => false,
        (once, twice) => panic!("{once:?} once, {twice:?} twice"),
    }
}

/// The entries of a chain with these files of events, by key.
fn chain(versioned: bool, base_versioned: bool, files: &[&[u8]]) -> Result<Vec<Entry>> {
    const FOLDER: &str = "all/incremental_inventory/2026-03-01T01-1000Z";
    let vault = MemoryVault::new();
    let (version, flags) = if base_versioned { (",v1", ",true,false") } else { ("", "") };
    let rows = ["a", "b", "c"].map(|key| {
        format!("{BUCKET},{key}{version}{flags},1,Standard,2026-02-01T01-00-00Z,0CC175B9C0F1B6A831C399E269772661\n")
    });
    let columns = |versions: &str| format!("Bucket, Key{versions}, Size, StorageClass, LastModifiedDate, ETag");
    let versions = if base_versioned { ", VersionId, IsLatest, IsDeleteMarker" } else { "" };
    let full = json!({ "creationTimestamp": "1772326800", "version": "2019-09-01", "fileSchema": columns(versions) });
    put(&vault, "all/2026-03-01T01-00Z", full, &[rows.concat().as_bytes()]);
    let versions = if versioned { ", VersionId, IsDeleteMarker" } else { "" };
    let schema = format!("{}, SequenceNumber, RecordType, RecordTimestamp", columns(versions));
    let span = json!({
        "startTimestamp": "1772326800", "endTimestamp": "1772327400", "version": "2025-09-30", "fileSchema": schema,
    });
    put(&vault, FOLDER, span, files);
    let read = RUNTIME.block_on(async {
        let reader = ManifestReader::new(Arc::new(vault), "all/incremental_inventory", "memory:");
        let inventory = reader.open(&reader.inventories().await?[0]).await?;
        let mut entries = Vec::new();
        for part in 0..inventory.parts() {
            let batches = read_part(&*inventory, part).await?;
            entries.extend(
                batches.iter().flat_map(|batch| batch.iter().map(|entry| entry.to_entry()).collect::<Vec<_>>()),
            );
        }
        entries.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(entries)
    });
    // What becomes of a thread that panicked, and nothing else here.
    assert!(!matches!(read, Err(Error::Unavailable { .. })), "{read:?}");
    read
}

/// Puts files into a folder, with a manifest that is true to them.
fn put(vault: &MemoryVault, folder: &str, mut manifest: serde_json::Value, files: &[&[u8]]) {
    let listed = files.iter().enumerate().map(|(number, file)| {
        let name = format!("{folder}/data/{number}.csv");
        vault.tamper(&name, file.to_vec());
        json!({ "key": name, "size": file.len(), "MD5checksum": hex::encode(Md5::digest(file)) })
    });
    manifest["files"] = listed.collect();
    manifest["sourceBucket"] = BUCKET.into();
    manifest["destinationBucket"] = "ops".into();
    manifest["fileFormat"] = "CSV".into();
    let manifest = manifest.to_string().into_bytes();
    vault.tamper(&format!("{folder}/manifest.checksum"), hex::encode(Md5::digest(&manifest)));
    vault.tamper(&format!("{folder}/manifest.json"), manifest);
}
