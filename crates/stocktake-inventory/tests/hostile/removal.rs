//! Removal of an inventory that names what others need, or what is none of its own.

use bytes::Bytes;
use serde_json::{Value, json};
use stocktake_core::{Error, InventoryReader, Vault};
use stocktake_testkit::inventories::Shape;

use crate::support::fixture;

#[tokio::test]
async fn removal_spares_what_lies_outside_of_the_configurations_folder() {
    let fixture = fixture(Shape::S3Csv).await;
    let elsewhere = "precious/only-copy.csv.gz";
    let bytes = Bytes::from(fixture.file(0).await);
    fixture.vault.create(elsewhere, bytes).await.unwrap();
    fixture.edit(|manifest| manifest["files"][0]["key"] = json!(elsewhere)).await;
    fixture.reader.discard(&fixture.newest().await).await.unwrap();
    assert_eq!(fixture.vault.names(), [fixture.written.files[0].as_str(), elsewhere]);
}

#[tokio::test]
async fn removal_spares_what_another_inventory_names() {
    let fixture = fixture(Shape::S3Csv).await;
    // The next day's inventory still names the first file.
    let manifest = fixture.vault.read(&fixture.written.manifest, None).await.unwrap();
    let mut next: Value = serde_json::from_slice(&manifest).unwrap();
    next["files"].as_array_mut().unwrap().truncate(1);
    next["creationTimestamp"] = json!("1772413200000");
    let day = "inv/photo-store/daily/2026-03-02T01-00Z";
    let create = |name: String, bytes: Vec<u8>| {
        let vault = fixture.vault.clone();
        async move { vault.create(&name, Bytes::from(bytes)).await.unwrap() }
    };
    create(format!("{day}/manifest.json"), serde_json::to_vec(&next).unwrap()).await;
    create("inv/photo-store/daily/hive/dt=2026-03-01-01-00/symlink.txt".into(), vec![]).await;
    create("inv/photo-store/daily/data/stranger.csv.gz".into(), vec![]).await;

    let infos = fixture.reader.inventories().await.unwrap();
    fixture.reader.discard(&infos[1]).await.unwrap();
    let mut left = vec![
        format!("{day}/manifest.json"),
        fixture.written.files[0].clone(),
        "inv/photo-store/daily/data/stranger.csv.gz".to_owned(),
    ];
    left.sort();
    assert_eq!(fixture.vault.names(), left);
}

#[tokio::test]
async fn nothing_is_removed_while_another_manifest_cannot_be_read() {
    let fixture = fixture(Shape::S3Csv).await;
    fixture.vault.create("inv/photo-store/daily/2026-03-02T01-00Z/manifest.json", "{".into()).await.unwrap();
    let before = fixture.vault.names();
    let mine = fixture.reader.inventories().await.unwrap().remove(1);
    assert!(matches!(fixture.reader.discard(&mine).await, Err(Error::InventoryCorrupt { .. })));
    assert_eq!(fixture.vault.names(), before);
}
