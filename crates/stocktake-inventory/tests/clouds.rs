//! Broken and hostile inventories of the clouds that do not write as S3 does: none of them ever reads as fewer objects.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;

use serde_json::{Value, json};
use stocktake_core::memory::MemoryVault;
use stocktake_core::{Entry, Error, InventoryReader, InventoryVersions, Timestamp, Vault};
use stocktake_inventory::ManifestReader;
use stocktake_testkit::conformance::inventory::read_all;
use stocktake_testkit::inventories::{InventorySpec, Shape, Synthetic, write};
use support::{BASE, fixture, fixture_of};

/// The clouds whose manifests state no MD5 of files.
const WITHOUT_MD5: [Shape; 5] = [Shape::ObsCsv, Shape::GcsCsv, Shape::GcsParquet, Shape::AzureCsv, Shape::AzureParquet];

#[tokio::test]
async fn every_shape_is_read_and_says_what_it_is() {
    for shape in Shape::EVERY {
        let fixture = fixture(shape).await;
        assert_eq!(fixture.read().await.unwrap().len(), 250, "{shape:?}");
        let info = fixture.newest().await;
        let bucket = if shape == Shape::CosCsv { "photo-store-1250000000" } else { "photo-store" };
        assert_eq!((info.files, info.bucket.as_str(), info.not_ready), (3, bucket, None), "{shape:?}");
        assert!(info.fields.len() >= 5, "{shape:?}: {:?}", info.fields);
    }
}

#[tokio::test]
async fn versions_are_reduced_to_current_objects_on_every_cloud() {
    for shape in Shape::EVERY {
        let all = fixture_of(InventorySpec { versions: InventoryVersions::All, ..InventorySpec::new(shape) }).await;
        let current = fixture(shape).await;
        assert_eq!(all.newest().await.versions, InventoryVersions::All, "{shape:?}");
        assert_eq!(current.newest().await.versions, InventoryVersions::Current, "{shape:?}");
        let strip = |entries: Vec<Entry>| -> Vec<Entry> {
            entries.into_iter().map(|entry| Entry { version: None, ..entry }).collect()
        };
        assert_eq!(strip(all.read().await.unwrap()), strip(current.read().await.unwrap()), "{shape:?}");
    }
}

#[tokio::test]
async fn a_missing_data_file_is_never_an_empty_one() {
    for shape in Shape::EVERY {
        for file in 0..3 {
            let fixture = fixture(shape).await;
            fixture.vault.delete(&fixture.written.files[file]).await.unwrap();
            let info = fixture.newest().await;
            let opened = fixture.reader.open(&info).await;
            assert!(matches!(opened, Err(Error::InventoryIncomplete { .. })), "{shape:?}: {opened:?}");
        }
    }
}

#[tokio::test]
async fn a_size_that_differs_is_found_where_one_is_stated() {
    for shape in [Shape::ObsCsv, Shape::CosCsv, Shape::AzureCsv, Shape::AzureParquet] {
        let fixture = fixture(shape).await;
        let mut bytes = fixture.vault.read(&fixture.written.files[1], None).await.unwrap().to_vec();
        bytes.push(b'\n');
        fixture.vault.tamper(&fixture.written.files[1], bytes);
        assert!(fixture.corrupt().await.contains("bytes, the manifest says"), "{shape:?}");
    }
}

#[tokio::test]
async fn rows_that_are_missing_or_too_many_are_counted() {
    for shape in [Shape::ObsCsv, Shape::GcsCsv, Shape::AzureCsv] {
        let fixture = fixture(shape).await;
        let text = fixture.text(1).await;
        let (head, last) = text.trim_end().rsplit_once('\n').unwrap();
        fixture.replace(1, &format!("{head}\n")).await;
        assert!(fixture.corrupt().await.contains("the manifest says"), "{shape:?}");
        fixture.replace(1, &format!("{text}{last}\n")).await;
        assert!(fixture.corrupt().await.contains("the manifest says"), "{shape:?}");
    }
    for (shape, member) in [
        (Shape::ObsCsv, "/files/0/inventoriedRecord"),
        (Shape::GcsParquet, "/records_processed"),
        (Shape::AzureParquet, "/summary/objectCount"),
    ] {
        for rows in [0, 99, 249, 251] {
            let fixture = fixture(shape).await;
            fixture.edit(|manifest| *manifest.pointer_mut(member).unwrap() = json!(rows)).await;
            assert!(fixture.corrupt().await.contains("the manifest says"), "{shape:?} {rows}");
        }
    }
}

#[tokio::test]
async fn an_empty_list_of_files_is_no_inventory_of_rows() {
    for (shape, member) in [(Shape::GcsCsv, "report_shards_file_names"), (Shape::AzureCsv, "files")] {
        let fixture = fixture(shape).await;
        fixture
            .edit(|manifest| {
                manifest[member] = json!([]);
                manifest.as_object_mut().unwrap().remove("shard_count");
            })
            .await;
        assert!(fixture.corrupt().await.contains("no data files"), "{shape:?}");
    }
    for shape in Shape::EVERY {
        let vault = MemoryVault::new();
        let written = write(&vault, &InventorySpec::new(shape), []).await;
        let reader = ManifestReader::new(Arc::new(vault), written.manifest, BASE);
        let opened = reader.open(&reader.inventories().await.unwrap()[0]).await.unwrap();
        assert_eq!(opened.parts(), 0);
    }
}

#[tokio::test]
async fn a_file_without_an_md5_that_changes_after_opening_is_an_error() {
    for shape in WITHOUT_MD5 {
        let fixture = fixture(shape).await;
        let opened = fixture.reader.open(&fixture.newest().await).await.unwrap();
        let longer = [&fixture.vault.read(&fixture.written.files[2], None).await.unwrap()[..], b"\n"].concat();
        fixture.vault.tamper(&fixture.written.files[2], longer);
        let outcome = read_all(&*opened).await;
        assert!(matches!(outcome, Err(Error::InventoryCorrupt { .. })), "{shape:?}: {:?}", outcome.err());
    }
}

#[tokio::test]
async fn a_missing_field_is_named_in_the_words_of_the_cloud() {
    let names = |shape: Shape| match shape {
        Shape::GcsCsv | Shape::GcsParquet => ["size", "updated", "etag", "storageClass"],
        Shape::AzureCsv | Shape::AzureParquet => ["Content-Length", "Last-Modified", "Etag", "AccessTier"],
        _ => ["Size", "LastModifiedDate", "ETag", "StorageClass"],
    };
    for shape in Shape::EVERY {
        for (field, named) in ["Size", "LastModifiedDate", "ETag", "StorageClass"].into_iter().zip(names(shape)) {
            let fixture = fixture_of(InventorySpec { without: vec![field], ..InventorySpec::new(shape) }).await;
            let info = fixture.newest().await;
            match fixture.reader.open(&info).await {
                Err(Error::InventoryMissingField { field, .. }) => assert_eq!(field, named),
                other => panic!("{shape:?} without {field}: {other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn only_a_run_of_azure_that_succeeded_is_read() {
    for status in ["Pending", "Failed", "PartiallySucceeded"] {
        let fixture = fixture(Shape::AzureCsv).await;
        fixture.edit(|manifest| manifest["status"] = json!(status)).await;
        let info = fixture.newest().await;
        assert!(info.not_ready.as_ref().unwrap().contains(status));
        match fixture.reader.open(&info).await {
            Err(Error::InventoryIncomplete { problem, .. }) => assert!(problem.contains(status)),
            other => panic!("{other:?}"),
        }
    }
    let fixture = fixture(Shape::AzureCsv).await;
    fixture.vault.delete(&fixture.written.manifest.replace(".json", ".checksum")).await.unwrap();
    let info = fixture.newest().await;
    assert_eq!(info.not_ready.as_deref(), Some("daily-manifest.checksum is missing"));
    assert!(matches!(fixture.reader.open(&info).await, Err(Error::InventoryIncomplete { .. })));
}

#[tokio::test]
async fn a_comma_behind_the_last_member_is_forgiven() {
    let fixture = fixture(Shape::ObsCsv).await;
    let bytes = fixture.vault.read(&fixture.written.manifest, None).await.unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap().replace("\n    }", ",\n    }");
    assert!(serde_json::from_str::<Value>(&text).is_err());
    fixture.put_manifest(text).await;
    assert_eq!(fixture.read().await.unwrap().len(), 250);
}

#[tokio::test]
async fn the_key_of_a_file_of_obs_is_taken_as_written_before_it_is_decoded() {
    let fixture = fixture(Shape::ObsCsv).await;
    let name = "inv/photo-store/daily/2026-03-01T01-00Z/files/odd%2Bname.csv";
    let bytes = fixture.vault.read(&fixture.written.files[2], None).await.unwrap();
    fixture.vault.create(name, bytes).await.unwrap();
    fixture.edit(|manifest| manifest["files"][2]["key"] = json!(name)).await;
    assert_eq!(fixture.read().await.unwrap().len(), 250);
}

#[tokio::test]
async fn a_header_is_found_whatever_it_looks_like() {
    let fixture = fixture(Shape::GcsCsv).await;
    let text = fixture.text(1).await;
    let expected = fixture.read().await.unwrap();
    for delimiter in [",", "\t", "|"] {
        fixture.replace(1, &format!("\u{feff}{}", text.replace(';', delimiter).replace('\n', "\r\n"))).await;
        assert_eq!(fixture.read().await.unwrap(), expected, "{delimiter:?}");
    }
    // Columns of one file may come in another order than those of the others, with new ones between.
    let turned: String = text
        .lines()
        .map(|line| {
            let mut fields: Vec<_> = line.split(';').collect();
            fields.reverse();
            format!("new{};{}\n", if line == text.lines().next().unwrap() { "" } else { "s" }, fields.join(";"))
        })
        .collect();
    fixture.replace(1, &turned).await;
    assert_eq!(fixture.read().await.unwrap(), expected);
    fixture.replace(1, text.split_once('\n').unwrap().1).await;
    assert!(fixture.corrupt().await.contains("does not name the columns"));
    fixture.replace(1, "").await;
    assert!(fixture.corrupt().await.contains("empty"));
}

#[tokio::test]
async fn a_report_of_gcs_without_a_header_has_the_documented_columns() {
    let fixture = fixture(Shape::GcsCsv).await;
    let row = |key: &str| {
        format!(
            "123,photo-store,\"{key}\",EU,7,2026-01-05T09:30:02Z,,2026-01-06T09:30:02Z,NEARLINE,CJj4=,,AAAAAA==,\
             DMF1ucDxtqgxw5niaXcmYQ==,1700000000000001,1,image/jpeg,,2026-01-05T09:30:02Z\n"
        )
    };
    for file in 0..3 {
        fixture.replace(file, &row(&format!("a+%20\n{file}"))).await;
    }
    fixture.edit(|manifest| manifest["records_processed"] = json!(3)).await;
    let entries = fixture.read().await.unwrap();
    let seen: Vec<_> = entries.iter().map(|entry| entry.key.as_str().unwrap()).collect();
    assert_eq!(seen, ["a+%20\n0", "a+%20\n1", "a+%20\n2"]);
    assert_eq!((entries[0].size, entries[0].class.as_str()), (7, "NEARLINE"));
    assert_eq!(entries[0].last_modified, Timestamp::parse_rfc3339("2026-01-06T09:30:02Z").unwrap());
    assert_eq!(fixture.newest().await.bucket, "photo-store");
}

#[tokio::test]
async fn rows_of_another_bucket_are_refused_in_any_file() {
    for shape in [Shape::ObsCsv, Shape::GcsCsv, Shape::AzureCsv] {
        let fixture = fixture(shape).await;
        let text = fixture.text(2).await.replacen("photo-store", "other-store", 1);
        fixture.replace(2, &text).await;
        assert!(fixture.corrupt().await.contains("it is of the bucket \"other-store\""), "{shape:?}");
    }
}

#[tokio::test]
async fn what_a_rule_of_azure_leaves_out_is_told_whether_or_not_it_names_the_container() {
    for shape in [Shape::AzureCsv, Shape::AzureParquet] {
        let fixture = fixture(shape).await;
        for prefixes in [json!(null), json!(["photo"]), json!(["photo-store/", "films/a"])] {
            fixture
                .edit(|manifest| {
                    let filters = &mut manifest["ruleDefinition"]["filters"];
                    filters["prefixMatch"] = prefixes.clone();
                    filters["excludePrefix"] = json!(["photo-store/tmp/", "films/"]);
                })
                .await;
            let info = fixture.newest().await;
            assert_eq!(fixture.reader.open(&info).await.unwrap().info(), &info);
            assert_eq!(info.bucket, "photo-store", "{shape:?} {prefixes}");
            assert_eq!(info.coverage.excluded, ["tmp/"], "{shape:?} {prefixes}");
            assert_eq!(info.coverage.prefixes, [""; 0], "{shape:?} {prefixes}");
        }
    }
}

#[tokio::test]
async fn folders_of_azure_are_no_objects() {
    let fixture = fixture(Shape::AzureCsv).await;
    let text = fixture.text(1).await;
    let folder = "photo-store/photos/2026,2026-01-05T09:30:02.000Z,0x8D,,,,true\n";
    fixture.replace(1, &format!("{text}{folder}")).await;
    // Whether the cloud's sum has it or not.
    assert_eq!(fixture.read().await.unwrap().len(), 250);
    fixture.edit(|manifest| manifest["summary"]["objectCount"] = json!(251)).await;
    assert_eq!(fixture.read().await.unwrap().len(), 250);
    fixture.edit(|manifest| manifest["summary"]["objectCount"] = json!(252)).await;
    fixture.corrupt().await;
}

#[tokio::test]
async fn removal_takes_an_inventory_and_nothing_else() {
    for shape in Shape::EVERY {
        let spec = InventorySpec { rows_per_file: 100, ..InventorySpec::new(shape) };
        let vault = MemoryVault::new();
        write(&vault, &InventorySpec { created: Timestamp::from_millis(1_772_413_200_000), ..spec.clone() }, {
            Synthetic::new(10).before()
        })
        .await;
        vault.create("inv/photo-store/daily/stranger.csv", "x".into()).await.unwrap();
        let left = vault.names();
        let written = write(&vault, &spec, Synthetic::new(250).before()).await;
        let reader = ManifestReader::new(Arc::new(vault.clone()), "inv", BASE);
        let infos = reader.inventories().await.unwrap();
        let doomed = infos.iter().find(|info| info.location.as_str().ends_with(&written.manifest)).unwrap();
        reader.discard(doomed).await.unwrap();
        assert_eq!(vault.names(), left, "{shape:?}");
    }
}

#[tokio::test]
async fn the_symlink_of_a_day_stays_while_another_inventory_is_of_that_day() {
    let spec = InventorySpec::new(Shape::ObsCsv);
    let vault = MemoryVault::new();
    for created in [1_772_326_800_000, 1_772_330_400_000] {
        let spec = InventorySpec { created: Timestamp::from_millis(created), ..spec.clone() };
        write(&vault, &spec, Synthetic::new(10).before()).await;
    }
    let symlink = "inv/photo-store/daily/hive/dt=2026-03-01-00-00/symlink.txt";
    vault.create(symlink, "x".into()).await.unwrap();
    let reader = ManifestReader::new(Arc::new(vault.clone()), "inv", BASE);
    let infos = reader.inventories().await.unwrap();
    reader.discard(&infos[0]).await.unwrap();
    assert!(vault.names().contains(&symlink.to_owned()));
    reader.discard(&infos[1]).await.unwrap();
    assert_eq!(vault.names(), Vec::<String>::new());
}
