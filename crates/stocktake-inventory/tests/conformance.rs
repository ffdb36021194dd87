//! The reader keeps every promise of its trait, for every shape of inventory and every way to reach its files.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use stocktake_core::memory::MemoryVault;
use stocktake_core::{Entry, EntryFlags, InventoryVersions, ObjectKey, Timestamp, Vault};
use stocktake_fs::FsVault;
use stocktake_inventory::{InventoryRoot, ManifestReader};
use stocktake_testkit::conformance::InventoryUnderTest;
use stocktake_testkit::conformance::keys::hostile;
use stocktake_testkit::inventories::{InventorySpec, Shape, Synthetic, batches, write};

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
fn expected(spec: &InventorySpec) -> Vec<Entry> {
    let mut entries = entries(spec);
    for entry in &mut entries {
        let is_md5 = entry.etag.as_ref().is_some_and(|etag| etag.code().md5_shaped().is_some());
        match spec.shape {
            Shape::S3Csv | Shape::S3Parquet if spec.versions == InventoryVersions::All => {
                entry.version = Some("null".into());
            }
            Shape::OssCsv => {
                entry.etag = entry.etag.as_ref().map(|etag| etag.as_str().to_uppercase().as_str().into());
            }
            Shape::ObsCsv | Shape::CosCsv if entry.flags.has(EntryFlags::MULTIPART) => {
                entry.flags = EntryFlags::MULTIPART;
            }
            Shape::ObsCsv | Shape::CosCsv => entry.flags = EntryFlags::NONE,
            Shape::GcsCsv | Shape::GcsParquet | Shape::AzureCsv | Shape::AzureParquet => {
                entry.flags = if is_md5 { EntryFlags::ETAG_IS_MD5 } else { EntryFlags::NONE };
            }
            _ => {}
        }
        if matches!(spec.shape, Shape::GcsCsv | Shape::GcsParquet) {
            entry.version = Some(GENERATION.into());
        }
    }
    entries
}

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
    InventoryUnderTest::new(ManifestReader::new(vault, "inv", "s3://ops-inventories"), expected(&spec))
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
    InventoryUnderTest::new(reader, expected(&spec)).holding(folder)
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
