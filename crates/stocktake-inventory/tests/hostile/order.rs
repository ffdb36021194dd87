//! Rows in any order, twice, or of several versions.

use serde_json::json;
use stocktake_core::{Entry, InventoryVersions};
use stocktake_testkit::inventories::{InventorySpec, Shape};

use crate::support::{fixture, fixture_of, gzip, row};

#[tokio::test]
async fn versions_are_reduced_to_current_objects() {
    for shape in Shape::ALL {
        let all = fixture_of(InventorySpec { versions: InventoryVersions::All, ..InventorySpec::new(shape) }).await;
        let current = fixture(shape).await;
        assert_eq!(all.newest().await.versions, InventoryVersions::All);
        let strip = |entries: Vec<Entry>| -> Vec<Entry> {
            entries.into_iter().map(|entry| Entry { version: None, ..entry }).collect()
        };
        assert_eq!(strip(all.read().await.unwrap()), strip(current.read().await.unwrap()));
    }
}

#[tokio::test]
async fn order_is_never_assumed_and_both_rows_of_a_key_are_handed_on() {
    let fixture = fixture(Shape::S3Csv).await;
    let later = row("a").replace("2026-01-05", "2026-01-06");
    fixture.replace(0, gzip(&(row("z") + &row("a")))).await;
    fixture.replace(1, gzip(&(row("m") + &later))).await;
    fixture.replace(2, gzip(&(row("a") + &row("b")))).await;
    let keys: Vec<_> = fixture.read().await.unwrap().iter().map(|entry| entry.key.to_string()).collect();
    assert_eq!(keys, ["a", "a", "a", "b", "m", "z"], "the comparison keeps the latest, and counts");
}

#[tokio::test]
async fn of_versions_the_latest_are_read_and_of_delete_markers_nothing() {
    let fixture = fixture(Shape::S3Csv).await;
    let line = |key: &str, version: &str, latest: bool, marker: bool, rest: &str| {
        format!("\"photo-store\",\"{key}\",\"{version}\",\"{latest}\",\"{marker}\",{rest}\n")
    };
    const OBJECT: &str = "\"3\",\"2026-01-05T09:30:02.000Z\",\"abc\",\"STANDARD\"";
    const MARKER: &str = "\"\",\"2026-01-05T09:30:02.000Z\",\"\",\"\"";
    let text = [
        line("a", "2", true, false, OBJECT),
        line("gone", "4", true, true, MARKER),
        line("a", "1", false, false, OBJECT),
        line("gone", "3", false, false, OBJECT),
        line("null", "", true, false, OBJECT),
        // Two that both say they are the latest.
        line("twice", "5", true, false, OBJECT),
        line("twice", "6", true, false, OBJECT),
    ];
    let schema = "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag, StorageClass";
    fixture
        .edit(|manifest| {
            manifest["fileSchema"] = json!(schema);
            manifest["files"].as_array_mut().unwrap().truncate(1);
        })
        .await;
    fixture.replace(0, gzip(&text.concat())).await;
    let entries = fixture.read().await.unwrap();
    let found: Vec<_> =
        entries.iter().map(|entry| (entry.key.as_str().unwrap(), entry.version.as_deref().unwrap())).collect();
    assert_eq!(found, [("a", "2"), ("null", "null"), ("twice", "5"), ("twice", "6")]);
}
