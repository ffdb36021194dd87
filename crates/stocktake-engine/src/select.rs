//! Choosing the inventory of a job, and whether the last snapshot can be built on.
//!
//! Pure decisions: they take what is there and the time, and return the choice
//! or the reason against it.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stocktake_core::{
    Coverage, Error, InventoryFormat, InventoryInfo, InventoryUse, JobSummary, Location, Result, Scope, Timestamp,
};

/// How old an inventory may be by default: seven days.
pub const DEFAULT_MAX_AGE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Which inventory to use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Choice {
    /// Which of those that are ready. Default: the newest.
    pub which: Which,
    /// How long ago its scan may have begun. Default: seven days.
    pub max_age: Duration,
    /// The bucket it must list; any when `None`.
    pub bucket: Option<String>,
}

impl Default for Choice {
    fn default() -> Self {
        Self { which: Which::Newest, max_age: DEFAULT_MAX_AGE, bucket: None }
    }
}

/// Which of the inventories that are ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// The one whose scan began last.
    Newest,
    /// The one whose scan began last among those up to this time.
    AsOf(Timestamp),
    /// The one whose manifest is here.
    At(Location),
}

/// Chooses an inventory, or says why none will do.
///
/// `last` is the inventory of the snapshot that will be built on, if any; `location` is where `infos` were found.
///
/// # Errors
/// - [`Error::InventoryNotFound`]: none is ready; it says what was there instead.
/// - [`Error::InventoryTooOld`]: the one chosen began longer ago than allowed.
/// - [`Error::InventoryStale`]: it is not newer than `last`.
/// - [`Error::InventoryScopeMismatch`]: it lists another bucket, or several configurations deliver to the location.
pub fn choose<'a>(
    infos: &'a [InventoryInfo],
    choice: &Choice,
    now: Timestamp,
    last: Option<&InventoryUse>,
    location: &Location,
) -> Result<&'a InventoryInfo> {
    let info = pick(infos, choice, location)?;
    // A manifest that can't be read does not tell its bucket; opening it says what is wrong with it.
    if let Some(bucket) = &choice.bucket
        && *bucket != info.bucket
        && !info.bucket.is_empty()
    {
        let problem = format!("it lists the bucket {}, the source is {bucket}", info.bucket);
        return Err(Error::InventoryScopeMismatch { inventory: info.location.clone(), problem });
    }
    if now.since(info.created) > choice.max_age {
        let (inventory, created) = (info.location.clone(), info.created);
        return Err(Error::InventoryTooOld { inventory, created, max_age: choice.max_age });
    }
    match last {
        Some(last) if info.format != InventoryFormat::Listing && info.created <= last.created => {
            Err(Error::InventoryStale {
                inventory: info.location.clone(),
                created: info.created,
                last_inventory: last.location.clone(),
                last_created: last.created,
            })
        }
        _ => Ok(info),
    }
}

fn pick<'a>(infos: &'a [InventoryInfo], choice: &Choice, location: &Location) -> Result<&'a InventoryInfo> {
    let fits = |info: &&InventoryInfo| match &choice.which {
        Which::Newest => true,
        Which::AsOf(time) => info.created <= *time,
        Which::At(location) => info.location == *location,
    };
    // A manifest that can't be read does not tell its bucket, and must not be passed over for an older one.
    let is_of_bucket = |info: &&InventoryInfo| {
        info.bucket.is_empty() || choice.bucket.as_ref().is_none_or(|bucket| *bucket == info.bucket)
    };
    let candidates = || infos.iter().filter(fits);
    let ready = || candidates().filter(|info| info.not_ready.is_none());
    // Other buckets' inventories may be in the same place. Where there are only those, the newest says so.
    if let Some(newest) = ready().filter(is_of_bucket).max_by_key(|info| info.created) {
        if !matches!(choice.which, Which::At(_)) {
            check_one_configuration(newest, ready().filter(is_of_bucket))?;
        }
        return Ok(newest);
    }
    ready().max_by_key(|info| info.created).ok_or_else(|| {
        let newest = candidates().max_by_key(|info| info.created);
        let problem = match newest {
            Some(info) => {
                let reason = info.not_ready.as_deref().unwrap_or("not ready");
                format!("{} is not ready: {reason}", info.location)
            }
            None if infos.is_empty() => "there is none".to_owned(),
            None => format!("none of the {} there is the one asked for", infos.len()),
        };
        Error::InventoryNotFound { location: location.clone(), problem }
    })
}

/// Refuses to choose between configurations: what one lists and another does not would be taken for deleted.
fn check_one_configuration<'a>(newest: &InventoryInfo, ready: impl Iterator<Item = &'a InventoryInfo>) -> Result<()> {
    let configurations: BTreeSet<&str> = ready.map(|info| &*info.configuration).filter(|id| !id.is_empty()).collect();
    if configurations.len() < 2 {
        return Ok(());
    }
    let list = configurations.into_iter().collect::<Vec<_>>().join(", ");
    let problem = format!("several configurations deliver here; name the location of one of them: {list}");
    Err(Error::InventoryScopeMismatch { inventory: newest.location.clone(), problem })
}

/// Checks that what an inventory was filtered to covers what is to be backed up: by `inventory_prefix`, as its owner
/// states it, and by what it says itself.
///
/// # Errors
/// [`Error::InventoryScopeMismatch`] names what is missing.
pub fn check_prefix(info: &InventoryInfo, path: &[u8], inventory_prefix: &[u8]) -> Result<()> {
    let prefix = inventory_prefix.escape_ascii();
    let stated =
        (!path.starts_with(inventory_prefix)).then(|| format!("it covers keys that begin with \"{prefix}\" only"));
    let Some(reason) = stated.or_else(|| info.coverage.refuses(path)) else { return Ok(()) };
    let problem = format!("{reason}, and the source path is \"{}\"", path.escape_ascii());
    Err(Error::InventoryScopeMismatch { inventory: info.location.clone(), problem })
}

/// What an inventory of this coverage leaves out of a source path, as a snapshot's scope spells it.
pub(crate) fn left_out(coverage: &Coverage, path: &str) -> Vec<String> {
    let Coverage { excluded, kinds, .. } = coverage;
    let within = excluded.iter().filter(|prefix| prefix.as_bytes().escape_ascii().to_string().starts_with(path));
    let mut left_out: Vec<_> = within.map(|prefix| format!("keys that begin with \"{prefix}\"")).collect();
    if !kinds.is_empty() {
        left_out.push(format!("objects that are not of the kind {}", kinds.join(" or ")));
    }
    left_out
}

/// Whether two scopes hold the same objects.
pub(crate) fn is_same_scope(a: &Scope, b: &Scope) -> bool {
    (&a.source, &a.path, &a.filters) == (&b.source, &b.path, &b.filters)
}

/// Why the last snapshot can't be built on, if so: it covers something else, or was
/// made from other facts.
pub fn scope_change(last: &JobSummary, info: &InventoryInfo, scope: &Scope) -> Option<String> {
    let Scope { source, path, filters } = &last.scope;
    if *source != scope.source {
        return Some(format!("the source was {source} and is {} now", scope.source));
    }
    if *path != scope.path {
        return Some(format!("the source path was \"{path}\" and is \"{}\" now", scope.path));
    }
    if *filters != scope.filters {
        return Some("the filters differ from those of the last snapshot".into());
    }
    // Its prefixes contain the path, or it was refused. What it leaves out there would be taken for deleted.
    let (before, now) = (left_out(&last.inventory.coverage, path), left_out(&info.coverage, path));
    if before != now {
        let list = |left_out: &[String]| if left_out.is_empty() { "nothing".into() } else { left_out.join(", ") };
        return Some(format!("the inventory left out {} and leaves out {} now", list(&before), list(&now)));
    }
    if last.inventory.versions != info.versions {
        return Some("one inventory lists all versions and the other current objects only".into());
    }
    // A listing has no fields of its own: it tells all that a comparison rests on.
    if last.inventory.format == InventoryFormat::Listing || info.format == InventoryFormat::Listing {
        return None;
    }
    let (before, now) = (compared_fields(&last.inventory.fields), compared_fields(&info.fields));
    (before != now).then(|| {
        let list = |fields: &BTreeSet<String>| fields.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        format!("the inventory's fields were {} and are {} now", list(&before), list(&now))
    })
}

/// Those of an inventory's fields that a comparison rests on, spelled alike for all formats.
/// Ticking any other field changes nothing.
fn compared_fields(fields: &[String]) -> BTreeSet<String> {
    const COMPARED: [&str; 5] = ["key", "size", "lastmodifieddate", "etag", "storageclass"];
    let spelled = fields.iter().map(|field| field.trim().to_lowercase().replace('_', ""));
    spelled.filter(|field| COMPARED.contains(&field.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use stocktake_core::{InventoryVersions, JobCounters};

    fn info(name: &str, created: i64) -> InventoryInfo {
        InventoryInfo {
            bucket: "photos".into(),
            files: 1,
            bytes: 1,
            fields: ["Bucket", "Key", "Size", "LastModifiedDate", "ETag", "StorageClass"].map(String::from).to_vec(),
            ..InventoryInfo::new(Location::new(name), InventoryFormat::Csv, Timestamp::from_millis(created))
        }
    }

    fn used(info: &InventoryInfo) -> InventoryUse {
        let InventoryInfo { location, created, format, versions, fields, coverage, .. } = info.clone();
        InventoryUse { location, created, format, versions, fields, coverage }
    }

    fn choose_of(infos: &[InventoryInfo], choice: &Choice, last: Option<&InventoryUse>) -> Result<String> {
        let now = Timestamp::from_millis(1000);
        choose(infos, choice, now, last, &Location::new("inv")).map(|info| info.location.to_string())
    }

    #[test]
    fn the_newest_that_is_ready_is_chosen() {
        let mut unready = info("c", 30);
        unready.not_ready = Some("manifest.checksum is missing".into());
        let infos = [info("a", 10), info("b", 20), unready];
        assert_eq!(choose_of(&infos, &Choice::default(), None).unwrap(), "b");
        let as_of = Choice { which: Which::AsOf(Timestamp::from_millis(15)), ..Choice::default() };
        assert_eq!(choose_of(&infos, &as_of, None).unwrap(), "a");
        let at = Choice { which: Which::At(Location::new("c")), ..Choice::default() };
        let message = choose_of(&infos, &at, None).unwrap_err().to_string();
        assert!(message.contains("manifest.checksum is missing"), "{message}");
    }

    #[test]
    fn age_staleness_and_bucket_are_refused_by_name() {
        let infos = [info("a", 10)];
        let code = |choice: &Choice, last| choose_of(&infos, choice, last).unwrap_err().code();
        assert_eq!(
            code(&Choice { max_age: Duration::from_millis(989), ..Choice::default() }, None),
            "inventory_too_old"
        );
        let last = used(&info("z", 10));
        assert_eq!(code(&Choice::default(), Some(&last)), "inventory_stale");
        let other = Choice { bucket: Some("videos".into()), ..Choice::default() };
        assert_eq!(code(&other, None), "inventory_scope_mismatch");
        assert_eq!(choose_of(&[], &Choice::default(), None).unwrap_err().code(), "inventory_not_found");
    }

    #[test]
    fn other_buckets_in_the_same_place_are_passed_over_and_two_configurations_are_refused() {
        let of = |bucket: &str, configuration: &str, created| InventoryInfo {
            bucket: bucket.into(),
            configuration: configuration.into(),
            ..info(&format!("{configuration}/{created}"), created)
        };
        let mut infos = vec![of("photos", "all", 5), of("videos", "clips", 9), of("photos", "all", 7)];
        let photos = Choice { bucket: Some("photos".into()), ..Choice::default() };
        assert_eq!(choose_of(&infos, &photos, None).unwrap(), "all/7");
        infos.push(of("photos", "logs", 8));
        let error = choose_of(&infos, &photos, None).unwrap_err();
        assert!(error.code() == "inventory_scope_mismatch" && error.to_string().contains("all, logs"), "{error}");
        let named = Choice { which: Which::At(Location::new("logs/8")), ..photos.clone() };
        assert_eq!(choose_of(&infos, &named, None).unwrap(), "logs/8");
        // One that can't be read is not passed over for an older one.
        let broken = [of("photos", "all", 5), of("", "all", 6)];
        assert_eq!(choose_of(&broken, &photos, None).unwrap(), "all/6");
    }

    #[test]
    fn a_prefix_must_contain_the_source_path() {
        assert!(check_prefix(&info("a", 1), b"2026/01/", b"2026/").is_ok());
        assert!(check_prefix(&info("a", 1), b"2026/", b"2026/01/").is_err());
        assert!(check_prefix(&info("a", 1), b"", b"").is_ok());
    }

    #[test]
    fn what_an_inventory_says_of_its_own_filters_counts() {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let of = |prefixes: &[&str], excluded: &[&str]| InventoryInfo {
            coverage: Coverage { prefixes: texts(prefixes), excluded: texts(excluded), kinds: Vec::new() },
            ..info("a", 1)
        };
        let covers = |info: &InventoryInfo, path: &[u8]| check_prefix(info, path, b"").is_ok();
        assert!(covers(&of(&["2025/", "2026/"], &[]), b"2026/01/"));
        assert!(!covers(&of(&["2025/", "2026/01/"], &[]), b"2026/") && !covers(&of(&["2026/"], &[]), b""));
        assert!(!covers(&of(&[], &["tmp/"]), b"tmp/a"));
        let partly = of(&[], &["2026/tmp/", "other/"]);
        assert!(covers(&partly, b"2026/"));
        assert_eq!(left_out(&partly.coverage, "2026/"), ["keys that begin with \"2026/tmp/\""]);

        // A listing leaves nothing out, and neither does an exclusion elsewhere.
        let scope = Scope { source: Location::new("s3://photos"), path: "2026/".into(), filters: Vec::new() };
        let after = |before: &InventoryInfo, now: &InventoryInfo| {
            let last = JobSummary {
                scope: scope.clone(),
                as_of_start: Timestamp::default(),
                as_of_end: Timestamp::default(),
                inventory: used(before),
                counters: JobCounters::default(),
            };
            scope_change(&last, now, &scope)
        };
        let listing = InventoryInfo { format: InventoryFormat::Listing, ..info("a", 1) };
        assert!(after(&listing, &partly).is_some_and(|reason| reason.contains("2026/tmp/")));
        assert_eq!(after(&partly, &partly), None);
        assert_eq!(after(&listing, &of(&["2026/"], &["other/"])), None);
    }

    #[test]
    fn only_what_changes_the_meaning_of_a_comparison_is_a_scope_change() {
        let scope = Scope { source: Location::new("s3://photos"), path: String::new(), filters: Vec::new() };
        let last = JobSummary {
            scope: scope.clone(),
            as_of_start: Timestamp::default(),
            as_of_end: Timestamp::default(),
            inventory: used(&info("a", 1)),
            counters: JobCounters::default(),
        };
        let mut parquet = info("b", 2);
        parquet.fields =
            ["key", "size", "last_modified_date", "e_tag", "storage_class", "object_owner"].map(String::from).to_vec();
        assert_eq!(scope_change(&last, &parquet, &scope), None);
        parquet.versions = InventoryVersions::All;
        assert!(scope_change(&last, &parquet, &scope).is_some());
        let narrower = Scope { path: "2026/".into(), ..scope };
        assert!(scope_change(&last, &info("b", 2), &narrower).unwrap().contains("2026/"));
    }
}
