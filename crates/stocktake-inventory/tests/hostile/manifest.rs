//! What a manifest says of the whole.

use std::sync::Arc;

use serde_json::json;
use stocktake_core::memory::MemoryVault;
use stocktake_core::{Error, InventoryReader};
use stocktake_inventory::{MAX_MANIFEST_BYTES, ManifestReader};
use stocktake_testkit::inventories::{InventorySpec, Shape, write};

use crate::support::{BASE, fixture};

#[tokio::test]
async fn creation_times_in_a_wrong_unit_are_refused_and_odd_folders_are_not() {
    let fixture = fixture(Shape::S3Csv).await;
    fixture.edit(|manifest| manifest["creationTimestamp"] = json!("1772326800000000")).await;
    assert!(fixture.corrupt().await.contains("creation time"));
    fixture.edit(|manifest| manifest["creationTimestamp"] = json!("1772326860000")).await;
    assert_eq!(fixture.read().await.unwrap().len(), 250);
}

#[tokio::test]
async fn an_empty_list_of_files_is_legal() {
    for shape in Shape::ALL {
        let vault = MemoryVault::new();
        let written = write(&vault, &InventorySpec::new(shape), []).await;
        let reader = ManifestReader::new(Arc::new(vault), written.manifest, BASE);
        let opened = reader.open(&reader.inventories().await.unwrap()[0]).await.unwrap();
        assert_eq!(opened.parts(), 0);
    }
}

#[tokio::test]
async fn orc_and_unknown_formats_are_refused_by_name() {
    let fixture = fixture(Shape::S3Csv).await;
    fixture
        .edit(|manifest| {
            manifest["fileFormat"] = json!("ORC");
            manifest["fileSchema"] = json!("struct<bucket:string,key:string>");
        })
        .await;
    assert!(matches!(fixture.read().await, Err(Error::InventoryNotFound { problem, .. }) if problem.contains("ORC")));
    fixture.edit(|manifest| manifest["fileFormat"] = json!("Avro")).await;
    assert!(matches!(fixture.read().await, Err(Error::InventoryNotFound { problem, .. }) if problem.contains("Avro")));
}

#[tokio::test]
async fn a_manifest_beyond_its_limit_is_not_read() {
    let fixture = fixture(Shape::S3Csv).await;
    let info = fixture.newest().await;
    fixture.vault.tamper(&fixture.written.manifest, vec![b' '; MAX_MANIFEST_BYTES as usize + 1]);
    match fixture.reader.open(&info).await {
        Err(Error::InventoryCorrupt { problem, .. }) => assert!(problem.contains("67108865 bytes"), "{problem}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_manifest_that_is_nested_without_end_or_no_object_is_refused() {
    let fixture = fixture(Shape::S3Csv).await;
    for text in [format!("{}{}", "[".repeat(200_000), "]".repeat(200_000)), "{\"a\":".repeat(200_000), "null".into()] {
        fixture.put_manifest(text).await;
        assert!(fixture.corrupt().await.contains("manifest can't be read"));
    }
}

#[tokio::test]
async fn sizes_that_no_sum_holds_do_not_wrap() {
    let fixture = fixture(Shape::S3Csv).await;
    fixture
        .edit(|manifest| {
            for file in manifest["files"].as_array_mut().unwrap() {
                file["size"] = json!(u64::MAX);
            }
        })
        .await;
    assert_eq!(fixture.newest().await.bytes, u64::MAX);
    assert!(fixture.corrupt().await.contains("bytes, the manifest says 18446744073709551615"));
}
