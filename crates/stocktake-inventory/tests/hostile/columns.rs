//! Columns in another order, missing, twice, or unknown.

use serde_json::json;
use stocktake_core::{Error, InventoryReader};
use stocktake_testkit::inventories::{InventorySpec, Shape};

use crate::support::{fixture, fixture_of, gzip};

#[tokio::test]
async fn columns_may_come_in_any_order_with_unknown_ones_between() {
    let fixture = fixture(Shape::S3Csv).await;
    fixture
        .edit(|manifest| {
            manifest["fileSchema"] = json!("etag, NewThing ,SIZE,Key,StorageClass,LastModifiedDate");
            manifest["files"].as_array_mut().unwrap().truncate(1);
        })
        .await;
    fixture.replace(0, gzip("abc,x,7,a+b,IA,2026-01-05T09:30:02Z\n")).await;
    let entries = fixture.read().await.unwrap();
    assert_eq!((entries[0].key.as_str(), entries[0].size, entries[0].class.as_str()), (Some("a b"), 7, "IA"));
}

#[tokio::test]
async fn a_missing_field_is_named_before_anything_is_read() {
    for shape in Shape::ALL {
        for field in ["Key", "Size", "LastModifiedDate", "ETag", "StorageClass"] {
            let spec = InventorySpec { without: vec![field], ..InventorySpec::new(shape) };
            let fixture = fixture_of(spec).await;
            let info = fixture.newest().await;
            match fixture.reader.open(&info).await {
                Err(Error::InventoryMissingField { field: named, .. }) => assert_eq!(named, field),
                other => panic!("{shape:?} without {field}: {other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn the_footer_of_parquet_files_wins_over_the_manifest() {
    let fixture = fixture(Shape::S3Parquet).await;
    let other = "message s3.inventory { required binary bucket (UTF8); required binary key (UTF8); }";
    fixture.edit(|manifest| manifest["fileSchema"] = json!(other)).await;
    assert_eq!(fixture.read().await.unwrap().len(), 250);
    assert!(fixture.newest().await.fields.len() == 2);
    let whole = fixture.file(1).await;
    for length in [0, 3, 12, whole.len() / 2, whole.len() - 1] {
        fixture.replace(1, whole[..length].to_vec()).await;
        let problem = fixture.corrupt().await;
        assert!(problem.contains(&fixture.written.files[1]), "{problem}");
    }
}

#[tokio::test]
async fn a_column_named_twice_is_refused() {
    let fixture = fixture(Shape::S3Csv).await;
    for twice in [
        "Key, Size, LastModifiedDate, ETag, StorageClass, key",
        "Key, Size, LastModifiedDate, ETag, e_tag, StorageClass",
    ] {
        fixture.edit(|manifest| manifest["fileSchema"] = json!(twice)).await;
        assert!(fixture.corrupt().await.contains("twice"), "{twice}");
    }
}
