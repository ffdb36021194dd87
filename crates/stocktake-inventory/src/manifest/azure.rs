//! Manifests of Azure Blob Storage (Microsoft, "Azure Storage blob inventory").
//!
//! One lies at `YYYY/MM/DD/HH-MM-SS/<rule>/<rule>-manifest.json`, and is there
//! from the run's beginning: its `status` says how far that is, and only what has
//! `Succeeded` is read. There is a checksum of the manifest and none of files;
//! `summary.objectCount` counts their rows instead.
//!
//! A rule is of an account, and lists containers by `prefixMatch`. Names of blobs
//! begin with their container, and one inventory is read as one container: where
//! the rule doesn't settle which, the first row does, and any other is refused. What
//! the rule confines the container to is told by [`Coverage`].

use serde::Deserialize;
use stocktake_core::{Coverage, Timestamp};

use super::json::{self, Number};
use super::report::lacks;
use super::{DataFile, Dialect, InventoryManifest, distinct, format_of, plausible};
use crate::fault::{Fault, Result};
use crate::schema::Schema;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Json {
    destination_container: String,
    files: Option<Vec<JsonFile>>,
    inventory_start_time: String,
    rule_definition: Rule,
    status: String,
    summary: Option<Summary>,
}

#[derive(Deserialize)]
struct JsonFile {
    blob: String,
    size: Number,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    filters: Option<Filters>,
    format: String,
    object_type: String,
    schema_fields: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Filters {
    blob_types: Option<Vec<String>>,
    creation_time: Option<serde::de::IgnoredAny>,
    exclude_prefix: Option<Vec<String>>,
    prefix_match: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    object_count: Option<Number>,
}

/// All types of blobs, in lower case.
const BLOB_TYPES: [&str; 3] = ["appendblob", "blockblob", "pageblob"];

pub(super) fn read(text: &[u8]) -> Result<InventoryManifest> {
    let json: Json = json::decode(text)?;
    let rule = &json.rule_definition;
    if !rule.object_type.eq_ignore_ascii_case("blob") {
        return Err(Fault::Unsupported(format!("it lists objects of the type {:?}, not blobs", rule.object_type)));
    }
    if rule.filters.as_ref().is_some_and(|filters| filters.creation_time.is_some()) {
        // Day by day, blobs would be taken for deleted as they grow older.
        return Err(Fault::Unsupported("its rule lists only blobs that were created lately (creationTime)".into()));
    }
    let not_ready = not_ready(&json.status);
    let files = match json.files {
        Some(files) => files.into_iter().map(JsonFile::data_file).collect::<Result<_>>()?,
        None if not_ready.is_some() => Vec::new(),
        None => return Err(lacks("files")),
    };
    let rows = json.summary.and_then(|summary| summary.object_count);
    Ok(InventoryManifest {
        dialect: Dialect::Azure,
        source_bucket: container(rule).unwrap_or_default().to_owned(),
        destination_bucket: json.destination_container,
        created: created(&json.inventory_start_time)?,
        format: format_of(&rule.format)?,
        schema: Some(Schema::of_names(rule.schema_fields.clone(), Dialect::Azure)?),
        files: distinct(files)?,
        rows: rows.map(|rows| rows.value("objectCount")).transpose()?,
        not_ready,
        coverage: coverage(rule),
    })
}

impl JsonFile {
    fn data_file(self) -> Result<DataFile> {
        let size = self.size.value("size").map_err(|fault| fault.within(&self.blob))?;
        Ok(DataFile { key: self.blob, other_key: None, size: Some(size), md5: None, rows: None })
    }
}

/// Why a run of this status is not to be read.
fn not_ready(status: &str) -> Option<String> {
    match status.to_ascii_lowercase().as_str() {
        "succeeded" => None,
        "pending" => Some("its status is Pending: it is still being written".into()),
        _ => Some(format!("its status is {status:.40}: it does not list everything")),
    }
}

fn created(text: &str) -> Result<Timestamp> {
    let time = Timestamp::parse_rfc3339(text).and_then(plausible);
    time.ok_or_else(|| Fault::corrupt(format!("its inventoryStartTime is impossible: {text:.40}")))
}

/// The container that the rule is confined to. A prefix without a slash may be
/// the beginning of several containers' names.
fn container(rule: &Rule) -> Option<&str> {
    let prefixes = rule.filters.as_ref()?.prefix_match.as_ref()?;
    let mut containers = prefixes.iter().map(|prefix| prefix.split_once('/').map(|(container, _)| container));
    let first = containers.next()??;
    containers.all(|container| container == Some(first)).then_some(first)
}

/// What the rule confines itself to, with the container before each key.
fn coverage(rule: &Rule) -> Coverage {
    let Some(filters) = &rule.filters else { return Coverage::default() };
    let mut kinds: Vec<_> = filters.blob_types.iter().flatten().map(|kind| kind.to_ascii_lowercase()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    if BLOB_TYPES.iter().all(|kind| kinds.iter().any(|listed| listed == kind)) {
        kinds.clear();
    }
    let list = |prefixes: &Option<Vec<String>>| prefixes.clone().unwrap_or_default();
    Coverage { prefixes: list(&filters.prefix_match), excluded: list(&filters.exclude_prefix), kinds }
}
