//! A diagnosis says of everything at once what is wrong, and what can't be told.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use stocktake_core::memory::MemoryVault;
use stocktake_core::{Timestamp, Vault};
use stocktake_inventory::{Check, CheckName, CheckOutcome, DiagnoseOptions, ManifestReader, diagnose};
use stocktake_testkit::inventories::{InventorySpec, Shape, Synthetic, WrittenInventory, write};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const NOW: Timestamp = Timestamp::from_millis(1_772_326_800_000 + 12 * 3_600_000);

/// Inventories of three days, the last one of today.
async fn three_days(alter: impl Fn(&mut InventorySpec)) -> (Arc<MemoryVault>, Vec<WrittenInventory>) {
    let vault = Arc::new(MemoryVault::new());
    let mut written = Vec::new();
    for days_ago in [2, 1, 0] {
        let mut spec = InventorySpec::new(Shape::S3Csv);
        spec.created = Timestamp::from_millis(spec.created.as_millis() - days_ago * 86_400_000);
        alter(&mut spec);
        written.push(write(&*vault, &spec, Synthetic::new(20).before()).await);
    }
    (vault, written)
}

fn wants() -> DiagnoseOptions {
    DiagnoseOptions::new(NOW).with_source("photo-store", "2026/").with_stated_prefix("").with_interval(DAY)
}

async fn checks(vault: Arc<MemoryVault>, wants: &DiagnoseOptions) -> Vec<Check> {
    diagnose(&ManifestReader::new(vault, "inv", "s3://ops-inventories"), wants).await
}

/// The only check that did not pass.
#[track_caller]
fn exception(checks: Vec<Check>) -> (CheckName, CheckOutcome, String) {
    let mut exceptions = checks.into_iter().filter(|check| check.outcome != CheckOutcome::Passed);
    let found = exceptions.next().unwrap();
    assert!(found.remedy.is_some());
    assert_eq!(exceptions.next(), None);
    (found.check, found.outcome, found.found)
}

#[tokio::test]
async fn a_plan_that_fits_its_inventory_passes_every_check() {
    let (vault, _) = three_days(|_| ()).await;
    let checks = checks(vault, &wants()).await;
    assert!(checks.iter().all(|check| check.outcome == CheckOutcome::Passed && check.remedy.is_none()), "{checks:?}");
    let names: Vec<_> = checks.iter().map(|check| check.check.as_str()).collect();
    assert_eq!(names, ["existence", "completeness", "current", "bucket", "prefix", "fields", "cycle"]);
    assert_eq!(
        checks[6].to_string(),
        "passed   cycle         backups are to come every 1 d, inventories come every 1 d (daily, median of 2 gaps)"
    );
}

#[tokio::test]
async fn each_thing_that_does_not_fit_fails_alone_with_its_remedy() {
    use CheckName::{Bucket, Current, Cycle, Prefix};
    let cases = [
        (wants().with_source("paintings", "2026/"), Bucket, "it lists the bucket photo-store, the source is paintings"),
        (
            wants().with_stated_prefix("2026/01/"),
            Prefix,
            "it covers \"2026/01/\" only as stated, the source path is \"2026/\"",
        ),
        (
            wants().with_interval(DAY / 4),
            Cycle,
            "backups are to come every 6 h, inventories come every 1 d (daily, median of 2 gaps)",
        ),
        (
            wants().with_max_age(DAY / 4),
            Current,
            "the newest began 12 h ago, on 2026-03-01T01:00:00.000Z; 6 h is allowed",
        ),
    ];
    let (vault, _) = three_days(|_| ()).await;
    for (wants, name, found) in cases {
        let exception = exception(checks(vault.clone(), &wants).await);
        assert_eq!(exception, (name, CheckOutcome::Failed, found.to_owned()));
    }
}

#[tokio::test]
async fn a_daily_inventory_that_stopped_coming_is_not_current() {
    let (vault, _) = three_days(|_| ()).await;
    let mut late = wants();
    late.now = Timestamp::from_millis(NOW.as_millis() + 4 * 86_400_000);
    let (name, outcome, found) = exception(checks(vault, &late).await);
    assert_eq!((name, outcome), (CheckName::Current, CheckOutcome::Failed));
    assert!(found.contains("began 4 d 12 h ago") && found.contains("daily"), "{found}");
}

#[tokio::test]
async fn what_the_manifest_does_not_tell_is_unknown() {
    let (vault, _) = three_days(|_| ()).await;
    let checks = checks(vault, &DiagnoseOptions::new(NOW)).await;
    let unknown: Vec<_> = checks.iter().filter(|check| check.outcome != CheckOutcome::Passed).collect();
    assert!(unknown.iter().all(|check| check.outcome == CheckOutcome::Unknown && check.remedy.is_some()));
    let names: Vec<_> = unknown.iter().map(|check| check.check).collect();
    assert_eq!(names, [CheckName::Bucket, CheckName::Prefix, CheckName::Cycle]);
}

#[tokio::test]
async fn a_field_that_is_missing_is_named() {
    let (vault, _) = three_days(|spec| spec.without = vec!["ETag"]).await;
    let found = exception(checks(vault, &wants()).await);
    assert_eq!(found, (CheckName::Fields, CheckOutcome::Failed, "it lacks the field ETag".to_owned()));
}

#[tokio::test]
async fn an_inventory_under_way_does_not_hide_the_one_before() {
    let (vault, written) = three_days(|_| ()).await;
    vault.delete(&written[2].manifest.replace(".json", ".checksum")).await.unwrap();
    let checks = checks(vault, &wants()).await;
    assert_eq!(checks[1].outcome, CheckOutcome::Passed);
    assert!(checks[1].found.contains("2026-02-28T01-00Z"), "{}", checks[1].found);
    assert!(checks[2].found.contains("1 d 12 h ago"), "{}", checks[2].found);
}

#[tokio::test]
async fn a_missing_data_file_makes_it_incomplete_and_its_fields_unknown() {
    let (vault, written) = three_days(|_| ()).await;
    vault.delete(&written[2].files[0]).await.unwrap();
    let checks = checks(vault, &wants()).await;
    assert_eq!((checks[1].check, checks[1].outcome), (CheckName::Completeness, CheckOutcome::Failed));
    assert!(checks[1].found.contains(&written[2].files[0]), "{}", checks[1].found);
    assert_eq!((checks[5].check, checks[5].outcome), (CheckName::Fields, CheckOutcome::Unknown));
}

#[tokio::test]
async fn without_any_inventory_existence_fails_and_the_rest_is_unknown() {
    let checks = checks(Arc::new(MemoryVault::new()), &wants()).await;
    assert_eq!((checks[0].check, checks[0].outcome), (CheckName::Existence, CheckOutcome::Failed));
    assert_eq!(checks.len(), 7);
    assert!(checks[1..].iter().all(|check| check.outcome == CheckOutcome::Unknown && check.remedy.is_some()));
}
