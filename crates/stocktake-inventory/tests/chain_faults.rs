//! Chains that are broken: each fault is named, and the newest that is whole ends before it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use serde_json::{Value, json};
use stocktake_core::memory::MemoryVault;
use stocktake_core::{Error, InventoryInfo, InventoryReader, InventoryVersions, Result, Timestamp, Vault};
use stocktake_fs::FsVault;
use stocktake_inventory::{InventoryRoot, ManifestReader};
use stocktake_testkit::conformance::InventoryUnderTest;
use stocktake_testkit::conformance::inventory::read_all;
use stocktake_testkit::inventories::{
    Action, Event, History, InventorySpec, Shape, WrittenDelta, WrittenInventory, reseal, write_delta, write_history,
};

const BASE: &str = "oss://ops-inventories";
const FOLDER: &str = "inv/photo-store/daily/incremental_inventory";
const START: i64 = 1_772_326_800_000;
/// The length of an incremental inventory.
const SPAN: i64 = 600_000;

/// A base that was scanned in the second span of five, and an incremental inventory of each.
struct Fixture {
    vault: MemoryVault,
    base: WrittenInventory,
    deltas: Vec<WrittenDelta>,
}

fn spec(versions: InventoryVersions) -> InventorySpec {
    let created = Timestamp::from_millis(START + SPAN + 60_000);
    InventorySpec { versions, created, rows_per_file: 20, ..InventorySpec::new(Shape::OssCsv) }
}

/// Fifty keys that are written once or twice, and some deleted.
fn history(versioned: bool) -> History {
    let keys = (0..60).map(|number| format!("{}/%2F+{number}", number % 7));
    let actions = keys.flat_map(|key| [(key.clone(), Action::Put(1)), (key, Action::Put(2))]);
    let deletions = (0..20).map(|number| (format!("{}/%2F+{number}", number % 7), Action::Delete));
    let all = actions.chain(deletions).zip(0..);
    History::new(versioned, all.map(|((key, action), number)| (START + number * 20_000, key, action)).collect())
}

async fn write_all(
    vault: &dyn Vault,
    history: &History,
    spec: &InventorySpec,
) -> (WrittenInventory, Vec<WrittenDelta>) {
    let created = spec.created.as_millis();
    let base = write_history(vault, spec, &history.scan(created, created + 30_000)).await;
    let mut deltas = Vec::new();
    for number in 0..5 {
        let (start, end) = (START + number * SPAN, START + (number + 1) * SPAN);
        deltas.push(write_delta(vault, spec, start, end, &history.events(start, end)).await);
    }
    (base, deltas)
}

async fn fixture() -> Fixture {
    let vault = MemoryVault::new();
    let (base, deltas) = write_all(&vault, &history(false), &spec(InventoryVersions::Current)).await;
    Fixture { vault, base, deltas }
}

impl Fixture {
    fn reader(&self, path: &str) -> ManifestReader {
        ManifestReader::new(Arc::new(self.vault.clone()), path, BASE)
    }

    async fn infos(&self) -> Vec<InventoryInfo> {
        self.reader(FOLDER).inventories().await.unwrap()
    }

    /// Which deltas chains end in, newest first, and why others are not ready, oldest first.
    async fn chains(&self) -> (Vec<usize>, Vec<String>) {
        let infos = self.infos().await;
        let number = |info: &InventoryInfo| {
            self.deltas.iter().position(|delta| info.location.as_str().ends_with(&delta.manifest)).unwrap()
        };
        let ready = infos.iter().filter(|info| info.not_ready.is_none()).map(number).collect();
        (ready, infos.into_iter().rev().filter_map(|info| info.not_ready).collect())
    }

    async fn read(&self, delta: usize) -> Result<usize> {
        let reader = self.reader(&self.deltas[delta].manifest);
        let info = reader.inventories().await?.remove(0);
        read_all(&*reader.open(&info).await?).await.map(|entries| entries.len())
    }

    async fn edit(&self, manifest: &str, change: impl FnOnce(&mut Value)) {
        let mut json = serde_json::from_slice(&self.vault.read(manifest, None).await.unwrap()).unwrap();
        change(&mut json);
        self.vault.tamper(manifest, serde_json::to_vec(&json).unwrap());
        reseal(&self.vault, manifest).await;
    }

    /// Replaces the text of a delta's first file, and what its manifest says of that.
    async fn rewrite(&self, delta: usize, change: impl FnOnce(String) -> String) {
        use md5::{Digest, Md5};
        let WrittenDelta { manifest, files } = &self.deltas[delta];
        let text = self.vault.read(&files[0], None).await.unwrap().to_vec();
        let text = change(String::from_utf8(text).unwrap());
        self.edit(manifest, |manifest| {
            manifest["files"][0]["size"] = json!(text.len());
            manifest["files"][0]["MD5checksum"] = json!(hex::encode(Md5::digest(text.as_bytes())));
        })
        .await;
        self.vault.tamper(&files[0], text);
    }
}

#[tokio::test]
async fn every_incremental_inventory_behind_the_base_ends_a_chain() {
    let fixture = fixture().await;
    let (ready, problems) = fixture.chains().await;
    assert_eq!(ready, [4, 3, 2, 1]);
    assert_eq!(problems, ["no full inventory of its configuration that is ready was begun before its end"]);
    let infos = fixture.infos().await;
    assert!(infos.is_sorted_by(|a, b| a.created > b.created));
    let newest = &infos[0];
    assert_eq!(newest.created.as_millis(), START + 5 * SPAN);
    assert_eq!(newest.configuration, format!("{BASE}/{FOLDER}"));
    assert_eq!((newest.bucket.as_str(), newest.versions), ("photo-store", InventoryVersions::Current));
    let files = fixture.base.files.len() + fixture.deltas[1..].iter().map(|delta| delta.files.len()).sum::<usize>();
    assert_eq!(newest.files, files as u64);
    for delta in 1..5 {
        let at = START + (delta as i64 + 1) * SPAN;
        assert_eq!(fixture.read(delta).await.unwrap(), history(false).versions(at).len(), "{delta}");
    }
}

#[tokio::test]
async fn full_inventories_and_chains_are_listed_apart() {
    let fixture = fixture().await;
    for path in ["inv", "inv/photo-store/daily", ""] {
        let infos = fixture.reader(path).inventories().await.unwrap();
        let names: Vec<_> = infos.iter().map(|info| info.location.as_str()).collect();
        assert_eq!(names, [format!("{BASE}/{}", fixture.base.manifest)], "{path}");
    }
    let folder = fixture.deltas[2].manifest.trim_end_matches("/manifest.json");
    for path in [folder, &fixture.deltas[2].manifest] {
        let infos = fixture.reader(path).inventories().await.unwrap();
        assert_eq!(infos.iter().map(|info| info.created.as_millis()).collect::<Vec<_>>(), [START + 3 * SPAN]);
    }
}

#[tokio::test]
async fn a_link_that_is_missing_or_not_ready_ends_the_chain_before_it() {
    for fault in ["removed", "no checksum", "half"] {
        let fixture = fixture().await;
        let manifest = &fixture.deltas[3].manifest;
        let culprit = match fault {
            "removed" => {
                fixture.vault.delete(manifest).await.unwrap();
                ""
            }
            "no checksum" => {
                fixture.vault.delete(&manifest.replace(".json", ".checksum")).await.unwrap();
                "manifest.checksum is missing"
            }
            _ => {
                let half = fixture.vault.read(manifest, Some(0..100)).await.unwrap();
                fixture.vault.tamper(manifest, half);
                "its manifest can't be read"
            }
        };
        let (ready, problems) = fixture.chains().await;
        assert_eq!(ready, [2, 1], "{fault}");
        let gap = "no incremental inventory covers 2026-03-01T01:30:00.000Z to 2026-03-01T01:40:00.000Z";
        let last = problems.last().unwrap();
        assert!(last.starts_with(gap) && last.contains(culprit), "{last}");
        assert!(culprit.is_empty() || last.contains(manifest), "{last}");
        match fixture.read(4).await {
            Err(Error::InventoryIncomplete { inventory, problem }) => {
                assert!(inventory.as_str().ends_with(&fixture.deltas[4].manifest));
                assert_eq!(&problem, last);
            }
            other => panic!("{other:?}"),
        }
        assert!(fixture.read(2).await.is_ok(), "{fault}");
    }
}

#[tokio::test]
async fn a_link_that_is_not_what_was_delivered_is_named() {
    let fixture = fixture().await;
    let WrittenDelta { manifest, files } = &fixture.deltas[2];
    let whole = fixture.vault.read(&files[0], None).await.unwrap();
    let mut altered = whole.to_vec();
    altered[10] ^= 1;
    fixture.vault.tamper(&files[0], altered);
    match fixture.read(4).await {
        Err(Error::InventoryCorrupt { inventory, problem }) => {
            assert!(inventory.as_str().ends_with(manifest) && problem.contains(&files[0]), "{inventory} {problem}");
        }
        other => panic!("{other:?}"),
    }
    fixture.vault.tamper(&files[0], whole.slice(1..));
    assert!(matches!(fixture.read(3).await, Err(Error::InventoryCorrupt { .. })));
    fixture.vault.delete(&files[0]).await.unwrap();
    assert!(
        matches!(fixture.read(2).await, Err(Error::InventoryIncomplete { problem, .. }) if problem.contains(&files[0]))
    );
    assert!(fixture.read(1).await.is_ok(), "what comes before is whole");
    fixture.vault.tamper(&files[0], whole);
    assert!(fixture.read(4).await.is_ok());
    fixture.vault.tamper(&manifest.replace(".json", ".checksum"), "0cc175b9c0f1b6a831c399e269772661");
    match fixture.read(4).await {
        Err(Error::InventoryCorrupt { inventory, problem }) => {
            assert!(inventory.as_str().ends_with(manifest) && problem.contains("manifest.checksum"));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_base_that_is_damaged_is_named() {
    let fixture = fixture().await;
    fixture.vault.delete(&fixture.base.files[0]).await.unwrap();
    match fixture.read(4).await {
        Err(Error::InventoryIncomplete { inventory, .. }) => {
            assert!(inventory.as_str().ends_with(&fixture.base.manifest));
        }
        other => panic!("{other:?}"),
    }
    fixture.vault.delete(&fixture.base.manifest.replace(".json", ".checksum")).await.unwrap();
    assert!(fixture.chains().await.0.is_empty(), "without a base there is no chain");
}

#[tokio::test]
async fn what_does_not_fit_the_base_is_refused() {
    let other = fixture().await;
    other.edit(&other.deltas[2].manifest, |manifest| manifest["sourceBucket"] = json!("other-store")).await;
    assert!(
        matches!(other.read(4).await, Err(Error::InventoryCorrupt { problem, .. }) if problem.contains("other-store"))
    );
    for field in ["SequenceNumber", "RecordType", "RecordTimestamp", "ETag", "IsMultipartUploaded", "EncryptionStatus"]
    {
        let fixture = fixture().await;
        let rename = |manifest: &mut Value| {
            let schema = manifest["fileSchema"].as_str().unwrap().replace(field, "Other");
            manifest["fileSchema"] = json!(schema);
        };
        fixture.edit(&fixture.deltas[2].manifest, rename).await;
        match fixture.read(4).await {
            Err(Error::InventoryMissingField { inventory, field: named }) => {
                assert!(inventory.as_str().ends_with(&fixture.deltas[2].manifest));
                assert_eq!(named, field);
            }
            other => panic!("without {field}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn events_that_contradict_each_other_or_cannot_be_read_are_refused() {
    let fixture = fixture().await;
    let row = |text: &str| text.lines().next().unwrap().to_owned();
    fixture.rewrite(2, |text| format!("{text}{}\n", row(&text))).await;
    assert!(fixture.read(4).await.is_ok(), "the same event again");
    fixture.rewrite(2, |text| format!("{text}{}\n", row(&text).replace("\"Standard\"", "\"IA\""))).await;
    let corrupt = async |delta| match fixture.read(delta).await {
        Err(Error::InventoryCorrupt { problem, .. }) => problem,
        other => panic!("{other:?}"),
    };
    assert!(corrupt(2).await.contains("two events of number"));
    fixture.rewrite(3, |text| text.replacen("CREATE", "INVENT", 1)).await;
    assert!(corrupt(3).await.contains("row 1: its RecordType is \"INVENT\""));
    fixture.rewrite(3, |text| text.replacen("INVENT\"", "CREATE\",\"more\"", 1)).await;
    assert!(corrupt(3).await.contains("row 1: it has"));
}

#[tokio::test]
async fn an_event_that_must_be_missing_is_noticed() {
    let vault = MemoryVault::new();
    let spec = spec(InventoryVersions::Current);
    let begun = spec.created.as_millis();
    let history = History::new(
        false,
        vec![
            (START, "a".into(), Action::Put(1)),
            (begun + 1_000, "a".into(), Action::Put(2)),
            (begun + 200_000, "a".into(), Action::Put(3)),
        ],
    );
    // The scan took long, and saw what no event tells of.
    let base = write_history(&vault, &spec, &history.scan(begun + 300_000, begun + 300_000)).await;
    let told: Vec<Event> = history.events(START, begun + 100_000);
    let end = begun + 600_000;
    let deltas = vec![write_delta(&vault, &spec, START, end, &told).await];
    let fixture = Fixture { vault, base, deltas };
    match fixture.read(0).await {
        Err(Error::InventoryCorrupt { problem, .. }) => {
            assert!(problem.starts_with("key a: the full inventory shows it as modified at"), "{problem}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_current_version_that_cannot_be_known_is_refused_and_not_guessed() {
    let remove = |action| {
        let key = || "a".to_owned();
        let begun = START + SPAN + 60_000;
        let actions = vec![
            (START, key(), Action::Put(1)),
            (START + 10_000, key(), Action::Put(2)),
            (begun + 60_000, key(), action),
        ];
        History::new(true, actions)
    };
    for (action, outcome) in
        [(Action::Put(3), Some(1)), (Action::Delete, Some(0)), (Action::Remove(0), None), (Action::Touch(1), None)]
    {
        let history = remove(action);
        let vault = MemoryVault::new();
        let current = spec(InventoryVersions::Current);
        let created = current.created.as_millis();
        let base = write_history(&vault, &current, &history.scan(created, created)).await;
        let all = spec(InventoryVersions::All);
        let deltas =
            vec![write_delta(&vault, &all, START, START + 2 * SPAN, &history.events(created, START + 2 * SPAN)).await];
        let fixture = Fixture { vault, base, deltas };
        match (fixture.read(0).await, outcome) {
            (Ok(count), Some(expected)) => assert_eq!(count, expected, "{action:?}"),
            (Err(Error::InventoryNotFound { problem, .. }), None) => {
                assert!(problem.starts_with("key a: which version of it is the current one"), "{problem}");
            }
            other => panic!("{action:?}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn links_are_not_removed() {
    let fixture = fixture().await;
    let before = fixture.vault.names();
    for info in fixture.infos().await {
        assert!(matches!(fixture.reader(FOLDER).discard(&info).await, Err(Error::InvalidInput { .. })));
    }
    assert_eq!(fixture.vault.names(), before);
}

fn expected(history: &History) -> Vec<stocktake_core::Entry> {
    let keys = history.versions(START + 5 * SPAN).into_iter().map(|mut versions| versions.remove(0));
    keys.filter(|version| !version.marker).map(|version| version.entry).collect()
}

async fn in_bucket(versions: InventoryVersions) -> InventoryUnderTest {
    let history = history(versions == InventoryVersions::All);
    let vault = MemoryVault::new();
    write_all(&vault, &history, &spec(versions)).await;
    InventoryUnderTest::new(ManifestReader::new(Arc::new(vault), FOLDER, BASE), expected(&history))
}

mod current_objects {
    use super::*;
    stocktake_testkit::inventory_conformance!(in_bucket(InventoryVersions::Current).await);
}

mod all_versions {
    use super::*;
    stocktake_testkit::inventory_conformance!(in_bucket(InventoryVersions::All).await);
}

/// Inventories that were copied into some folder, read in place.
async fn in_folder(versions: InventoryVersions) -> InventoryUnderTest {
    let history = history(versions == InventoryVersions::All);
    let folder = tempfile::tempdir().unwrap();
    write_all(&FsVault::new(folder.path().join("some/copy")), &history, &spec(versions)).await;
    let vault = Arc::new(FsVault::new(folder.path()));
    let reader = ManifestReader::new(vault, format!("some/copy/{FOLDER}"), folder.path().display().to_string())
        .with_root(InventoryRoot::NearestAncestor)
        .with_local_root(folder.path());
    InventoryUnderTest::new(reader, expected(&history)).holding(folder)
}

mod local {
    use super::*;
    stocktake_testkit::inventory_conformance!(in_folder(InventoryVersions::Current).await);
}

mod local_all_versions {
    use super::*;
    stocktake_testkit::inventory_conformance!(in_folder(InventoryVersions::All).await);
}
