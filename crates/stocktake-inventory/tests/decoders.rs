//! Decoders of data files refuse altered bytes or read them, and never panic.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::LazyLock;

use proptest::prelude::*;
use stocktake_core::memory::MemoryVault;
use stocktake_core::{EntryBatch, InventoryFormat, InventoryVersions, Vault};
use stocktake_inventory::fuzzing::{decode_csv, decode_csv_gzip, decode_parquet};
use stocktake_inventory::{Dialect, InventoryManifest, Schema};
use stocktake_testkit::conformance::run;
use stocktake_testkit::inventories::{InventorySpec, Shape, Synthetic, write};

/// A data file of 300 objects of the bucket `b`, and its schema.
fn file(shape: Shape) -> (Schema, Vec<u8>) {
    let vault = MemoryVault::new();
    let spec =
        InventorySpec { source_bucket: "b".into(), versions: InventoryVersions::All, ..InventorySpec::new(shape) };
    run(async {
        let written = write(&vault, &spec, Synthetic::new(300).before()).await;
        let manifest = vault.read(&written.manifest, None).await.unwrap();
        let file = vault.read(&written.files[0], None).await.unwrap();
        (InventoryManifest::parse(&written.manifest, &manifest).unwrap().schema.unwrap(), file.to_vec())
    })
}

static CSV: LazyLock<(Schema, Vec<u8>)> = LazyLock::new(|| file(Shape::S3Csv));
static PARQUET: LazyLock<(Schema, Vec<u8>)> = LazyLock::new(|| file(Shape::S3Parquet));

fn rows(batches: &[EntryBatch]) -> usize {
    batches.iter().map(EntryBatch::len).sum()
}

#[test]
fn unaltered_files_are_read() {
    assert_eq!(rows(&decode_csv_gzip(&CSV.0, Dialect::S3, &CSV.1).unwrap()), 300);
    assert_eq!(rows(&decode_parquet(Dialect::S3, &PARQUET.1).unwrap()), 300);
}

/// Some bytes flipped, and perhaps the end cut off.
fn altered(file: &[u8]) -> impl Strategy<Value = Vec<u8>> + use<> {
    let file = file.to_vec();
    let flips = prop::collection::vec((any::<prop::sample::Index>(), 1..=255_u8), 0..4);
    (flips, prop::option::weighted(0.3, any::<prop::sample::Index>())).prop_map(move |(flips, cut)| {
        let mut bytes = file.clone();
        for (at, flip) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
        }
        bytes.truncate(cut.map_or(bytes.len(), |cut| cut.index(file.len())));
        bytes
    })
}

proptest! {
    #[test]
    fn altered_gzip_never_reads_as_fewer_rows(bytes in altered(&CSV.1)) {
        // A flip in the header's time or system is not seen, and does no harm.
        if let Ok(batches) = decode_csv_gzip(&CSV.0, Dialect::S3, &bytes) {
            prop_assert_eq!(rows(&batches), 300);
        }
    }

    #[test]
    fn altered_parquet_does_not_panic(bytes in altered(&PARQUET.1)) {
        let _ = decode_parquet(Dialect::S3, &bytes);
    }

    #[test]
    fn any_text_is_decoded_or_refused(text in "([a-z0-9\",%+\n]|b,){0,300}") {
        let schema = Schema::parse("Bucket,Key,Size,LastModifiedDate,ETag,StorageClass", InventoryFormat::Csv).unwrap();
        let _ = decode_csv(&schema, Dialect::Oss, text.as_bytes());
    }
}
