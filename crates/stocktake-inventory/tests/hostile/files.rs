//! Data files that are missing, others than stated, or named oddly.

use std::sync::Arc;

use serde_json::{Value, json};
use stocktake_core::memory::MemoryVault;
use stocktake_core::{Error, InventoryReader, Vault};
use stocktake_inventory::{InventoryRoot, ManifestReader};
use stocktake_testkit::conformance::inventory::read_all;
use stocktake_testkit::inventories::{InventorySpec, Shape, Synthetic, write};

use crate::support::fixture;

#[tokio::test]
async fn a_missing_data_file_is_never_an_empty_one() {
    for shape in Shape::ALL {
        let fixture = fixture(shape).await;
        fixture.vault.delete(&fixture.written.files[1]).await.unwrap();
        let info = fixture.newest().await;
        match fixture.reader.open(&info).await {
            Err(Error::InventoryIncomplete { problem, .. }) => assert!(problem.contains(&fixture.written.files[1])),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_data_file_that_vanishes_after_opening_is_an_error() {
    let fixture = fixture(Shape::S3Csv).await;
    let opened = fixture.reader.open(&fixture.newest().await).await.unwrap();
    fixture.vault.delete(&fixture.written.files[2]).await.unwrap();
    assert!(matches!(read_all(&*opened).await, Err(Error::InventoryIncomplete { .. })));
}

#[tokio::test]
async fn a_size_or_checksum_that_differs_names_the_file() {
    for shape in Shape::ALL {
        let altered = fixture(shape).await;
        let mut bytes = altered.file(1).await;
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        altered.vault.tamper(&altered.written.files[1], bytes.clone());
        assert!(altered.corrupt().await.contains(&altered.written.files[1]));

        let longer = fixture(shape).await;
        bytes.push(0);
        longer.vault.tamper(&longer.written.files[1], bytes);
        let problem = longer.corrupt().await;
        assert!(
            problem.contains(&longer.written.files[1]) && problem.contains("bytes, the manifest says"),
            "{problem}"
        );
    }
}

#[tokio::test]
async fn a_file_named_twice_is_read_once_or_refused() {
    let fixture = fixture(Shape::S3Csv).await;
    let twice = |manifest: &mut Value| {
        let file = manifest["files"][0].clone();
        manifest["files"].as_array_mut().unwrap().push(file);
    };
    fixture.edit(twice).await;
    assert_eq!(fixture.read().await.unwrap().len(), 250);
    fixture.edit(|manifest| manifest["files"][3]["size"] = json!(1)).await;
    assert!(fixture.corrupt().await.contains("named twice"));
}

#[tokio::test]
async fn a_file_key_is_never_a_path() {
    let fixture = fixture(Shape::S3Csv).await;
    for key in ["../../etc/passwd", "/etc/passwd", "inv//x", "inv/./x"] {
        fixture.edit(|manifest| manifest["files"][0]["key"] = json!(key)).await;
        let outcome = fixture.read().await;
        assert!(matches!(outcome, Err(Error::InventoryCorrupt { .. } | Error::InventoryIncomplete { .. })), "{key}");
    }
}

#[tokio::test]
async fn a_copied_inventory_is_found_under_its_nearest_ancestor() {
    let spec = InventorySpec { rows_per_file: 100, ..InventorySpec::new(Shape::S3Csv) };
    let (vault, source) = (MemoryVault::new(), MemoryVault::new());
    let written = write(&source, &spec, Synthetic::new(250).before()).await;
    for name in source.names() {
        let bytes = source.read(&name, None).await.unwrap();
        vault.create(&format!("home/me/copy/{name}"), bytes).await.unwrap();
    }
    let path = format!("home/me/copy/{}", written.manifest);
    let reader = |root| ManifestReader::new(Arc::new(vault.clone()), &*path, "file://").with_root(root);
    let near = reader(InventoryRoot::NearestAncestor);
    let info = near.inventories().await.unwrap().remove(0);
    assert_eq!(info.location.as_str(), format!("file:///{path}"));
    assert_eq!(read_all(&*near.open(&info).await.unwrap()).await.unwrap().len(), 250);
    let bucket = reader(InventoryRoot::BucketRoot);
    assert!(matches!(bucket.open(&info).await, Err(Error::InventoryIncomplete { .. })));
    near.discard(&info).await.unwrap();
    assert_eq!(vault.names(), Vec::<String>::new());
}
