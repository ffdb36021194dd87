//! The reader keeps every promise of its trait, for every shape of inventory and every way to reach its files.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use stocktake_core::memory::MemoryVault;
use stocktake_core::{Entry, EntryFlags, InventoryVersions, ObjectKey, Timestamp, Vault};
use stocktake_fs::FsVault;
use stocktake_inventory::{InventoryRoot, ManifestReader};
use stocktake_testkit::conformance::InventoryUnderTest;
use stocktake_testkit::conformance::keys::hostile;
use stocktake_testkit::inventories::{InventorySpec, Shape, Synthetic, batches, with_past, write};

/// Some thousand ordinary objects, and all the odd ones that the shape can say.
fn entries(spec: &InventorySpec) -> Vec<Entry> {
    let ordinary = Synthetic::new(2_500).before();
    let mut entries: Vec<_> =
        ordinary.flat_map(|batch| batch.iter().map(|entry| entry.to_entry()).collect::<Vec<_>>()).collect();
    let odd = hostile().into_iter().filter(|key: &ObjectKey| !spec.utf8_keys || key.as_str().is_some());
    entries.extend(odd.map(|key| Entry::new(key, u64::MAX >> 1, Timestamp::from_millis(-5000)).with_class("GLACIER")));
    entries.push(Entry::new("tagged", 0, Timestamp::from_millis(0)).with_etag("opaque-1").with_class("STANDARD"));
    entries
}

/// What is read of these entries: as they are, but for how clouds write tags and
/// null versions, and what they say of neither parts nor digests.
fn expected(spec: &InventorySpec, entries: Vec<Entry>) -> Vec<Entry> {
    entries.into_iter().filter_map(|entry| expected_of(spec, entry)).collect()
}

fn expected_of(spec: &InventorySpec, mut entry: Entry) -> Option<Entry> {
    let is_md5 = entry.etag.as_ref().is_some_and(|etag| etag.code().md5_shaped().is_some());
    let marks =
        EntryFlags::from_bits(entry.flags.bits() & EntryFlags::NONCURRENT.with(EntryFlags::DELETE_MARKER).bits());
    match spec.shape {
        Shape::S3Csv | Shape::S3Parquet if spec.versions == InventoryVersions::All => {
            entry.version.get_or_insert_with(|| "null".into());
        }
        Shape::OssCsv => {
            entry.etag = entry.etag.as_ref().map(|etag| etag.as_str().to_uppercase().as_str().into());
        }
        Shape::ObsCsv | Shape::CosCsv if entry.flags.has(EntryFlags::MULTIPART) => {
            entry.flags = EntryFlags::MULTIPART.with(marks);
        }
        Shape::ObsCsv | Shape::CosCsv => entry.flags = marks,
        Shape::GcsCsv | Shape::GcsParquet => {
            // What was deleted there is an older generation, and nothing marks it.
            let past = if marks == EntryFlags::NONE { EntryFlags::NONE } else { EntryFlags::NONCURRENT };
            entry.flags = past.with(if is_md5 { EntryFlags::ETAG_IS_MD5 } else { EntryFlags::NONE });
            let number = entry.version.as_ref().and_then(|version| PAST.iter().position(|past| past == version));
            entry.version = Some(number.map_or(GENERATION.into(), |number| (number + 1).to_string()));
        }
        Shape::AzureCsv | Shape::AzureParquet => {
            // A deleted blob can only be brought back.
            if marks.is_delete_marker() {
                return None;
            }
            entry.flags = marks.with(if is_md5 { EntryFlags::ETAG_IS_MD5 } else { EntryFlags::NONE });
        }
        _ => {}
    }
    if entry.flags.is_delete_marker() {
        entry = Entry { size: 0, etag: None, class: String::new(), flags: marks, ..entry };
    }
    Some(entry)
}

/// What older versions are called in what is written.
const PAST: [&str; 3] = ["older.Version_1", "gone.Version_1", "gone.Version_2"];

/// The generation that every current object of GCS has here.
const GENERATION: &str = "1772326800000000";

fn spec(shape: Shape, versions: InventoryVersions) -> InventorySpec {
    let utf8_keys = versions == InventoryVersions::Current;
    InventorySpec { versions, utf8_keys, rows_per_file: 1000, ..InventorySpec::new(shape) }
}

/// Writes an inventory and an older one of the same configuration.
async fn write_two(vault: &dyn Vault, spec: &InventorySpec) {
    write(vault, spec, batches(&entries(spec))).await;
    let yesterday = Timestamp::from_millis(spec.created.as_millis() - 86_400_000);
    write(vault, &InventorySpec { created: yesterday, ..spec.clone() }, Synthetic::new(10).before()).await;
}

async fn in_bucket(shape: Shape, versions: InventoryVersions) -> InventoryUnderTest {
    let spec = spec(shape, versions);
    let vault = Arc::new(MemoryVault::new());
    write_two(&*vault, &spec).await;
    let reader = ManifestReader::new(vault, "inv", "s3://ops-inventories");
    under_test(reader, &spec)
}

/// A reader of the newest inventory that was written.
fn under_test(reader: ManifestReader, spec: &InventorySpec) -> InventoryUnderTest {
    let entries = entries(spec);
    let versions = match spec.versions {
        InventoryVersions::Current => entries.clone(),
        InventoryVersions::All => (0..).zip(&entries).flat_map(|(number, entry)| with_past(entry, number)).collect(),
    };
    InventoryUnderTest::new(reader, expected(spec, entries)).with_versions(expected(spec, versions))
}

mod s3_csv {
    use super::*;
    stocktake_testkit::inventory_conformance!(in_bucket(Shape::S3Csv, InventoryVersions::Current).await);
}

mod s3_csv_versions {
    use super::*;
    stocktake_testkit::inventory_conformance!(in_bucket(Shape::S3Csv, InventoryVersions::All).await);
}

mod s3_parquet {
    use super::*;
    stocktake_testkit::inventory_conformance!(in_bucket(Shape::S3Parquet, InventoryVersions::Current).await);
}

mod s3_parquet_versions {
    use super::*;
    stocktake_testkit::inventory_conformance!(in_bucket(Shape::S3Parquet, InventoryVersions::All).await);
}

mod oss_csv {
    use super::*;
    stocktake_testkit::inventory_conformance!(in_bucket(Shape::OssCsv, InventoryVersions::Current).await);
}

mod oss_csv_versions {
    use super::*;
    stocktake_testkit::inventory_conformance!(in_bucket(Shape::OssCsv, InventoryVersions::All).await);
}

mod obs_csv {
    use super::*;
    stocktake_testkit::inventory_conformance!(in_bucket(Shape::ObsCsv, InventoryVersions::Current).await);
}

mod obs_csv_versions {
    use super::*;
    stocktake_testkit::inventory_conformance!(in_bucket(Shape::ObsCsv, InventoryVersions::All).await);
}

mod cos_csv {
    use super::*;
    stocktake_testkit::inventory_conformance!(in_bucket(Shape::CosCsv, InventoryVersions::Current).await);
}

mod cos_csv_versions {
    use super::*;
    stocktake_testkit::inventory_conformance!(in_bucket(Shape::CosCsv, InventoryVersions::All).await);
}

mod gcs_csv {
    use super::*;
    stocktake_testkit::inventory_conformance!(in_bucket(Shape::GcsCsv, InventoryVersions::Current).await);
}

mod gcs_csv_versions {
    use super::*;
    stocktake_testkit::inventory_conformance!(in_bucket(Shape::GcsCsv, InventoryVersions::All).await);
}

mod gcs_parquet {
    use super::*;
    stocktake_testkit::inventory_conformance!(in_bucket(Shape::GcsParquet, InventoryVersions::Current).await);
}

mod gcs_parquet_versions {
    use super::*;
    stocktake_testkit::inventory_conformance!(in_bucket(Shape::GcsParquet, InventoryVersions::All).await);
}

mod azure_csv {
    use super::*;
    stocktake_testkit::inventory_conformance!(in_bucket(Shape::AzureCsv, InventoryVersions::Current).await);
}

mod azure_csv_versions {
    use super::*;
    stocktake_testkit::inventory_conformance!(in_bucket(Shape::AzureCsv, InventoryVersions::All).await);
}

mod azure_parquet {
    use super::*;
    stocktake_testkit::inventory_conformance!(in_bucket(Shape::AzureParquet, InventoryVersions::Current).await);
}

mod azure_parquet_versions {
    use super::*;
    stocktake_testkit::inventory_conformance!(in_bucket(Shape::AzureParquet, InventoryVersions::All).await);
}

/// An inventory that was copied into some folder, read in place.
async fn in_folder(shape: Shape) -> InventoryUnderTest {
    let spec = spec(shape, InventoryVersions::Current);
    let folder = tempfile::tempdir().unwrap();
    write_two(&FsVault::new(folder.path().join("some/copy")), &spec).await;
    let reader =
        ManifestReader::new(Arc::new(FsVault::new(folder.path())), "some", folder.path().display().to_string())
            .with_root(InventoryRoot::NearestAncestor)
            .with_local_root(folder.path());
    under_test(reader, &spec).holding(folder)
}

mod local_csv {
    use super::*;
    stocktake_testkit::inventory_conformance!(in_folder(Shape::S3Csv).await);
}

mod local_parquet {
    use super::*;
    stocktake_testkit::inventory_conformance!(in_folder(Shape::S3Parquet).await);
}

mod local_obs_csv {
    use super::*;
    stocktake_testkit::inventory_conformance!(in_folder(Shape::ObsCsv).await);
}

mod local_gcs_csv {
    use super::*;
    stocktake_testkit::inventory_conformance!(in_folder(Shape::GcsCsv).await);
}

mod local_azure_parquet {
    use super::*;
    stocktake_testkit::inventory_conformance!(in_folder(Shape::AzureParquet).await);
}
