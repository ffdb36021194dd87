//! Names and manifests of the clouds that do not write as S3 does.

use serde_json::{Value, json};
use stocktake_core::{InventoryVersions, Vault};

use super::{InventorySpec, Shape, WrittenFile, put_manifest};

/// The account that buckets of COS belong to.
pub(super) const APPID: &str = "1250000000";

/// The id of the report configuration on GCS.
const UUID: &str = "fc95c52f-157a-494f-af4a-d4a53a69ba66";

/// The columns of the clouds that use the words of S3.
pub(super) fn columns(spec: &InventorySpec) -> Vec<&'static str> {
    let columns = spec.columns().into_iter();
    match spec.shape {
        Shape::ObsCsv => {
            columns.map(|column| if column == "IsDeleteMarker" { "DeleteMarker" } else { column }).collect()
        }
        Shape::CosCsv => ["Appid"].into_iter().chain(columns.filter(|column| *column != "EncryptionStatus")).collect(),
        _ => columns.collect(),
    }
}

/// The columns that the clouds with header rows have, and what each is called by S3.
pub(super) fn headed_columns(spec: &InventorySpec) -> Vec<(&'static str, &'static str)> {
    let all = spec.versions == InventoryVersions::All;
    let (columns, versions): (&[_], &[_]) = match spec.shape {
        Shape::GcsCsv | Shape::GcsParquet => (
            &[
                ("project", ""),
                ("bucket", "Bucket"),
                ("name", "Key"),
                ("size", "Size"),
                ("updated", "LastModifiedDate"),
                ("storageClass", "StorageClass"),
                ("etag", "ETag"),
                ("md5Hash", ""),
                ("generation", "VersionId"),
            ],
            &[("timeDeleted", "")],
        ),
        _ => (
            &[
                ("Name", "Key"),
                ("Last-Modified", "LastModifiedDate"),
                ("Etag", "ETag"),
                ("Content-Length", "Size"),
                ("Content-MD5", ""),
                ("AccessTier", "StorageClass"),
                ("hdi_isfolder", ""),
            ],
            &[
                ("VersionId", "VersionId"),
                ("IsCurrentVersion", "IsLatest"),
                ("Deleted", "IsDeleteMarker"),
                ("Snapshot", ""),
            ],
        ),
    };
    let columns = columns.iter().chain(if all { versions } else { &[] }).copied();
    columns.filter(|(_, column)| !spec.without.contains(column)).collect()
}

/// The name of a data file.
pub(super) fn file_name(spec: &InventorySpec, number: usize, id: &str) -> String {
    let folder = spec.folder();
    match spec.shape {
        Shape::S3Parquet => format!("{folder}/data/{id}.parquet"),
        Shape::S3Orc => format!("{folder}/data/{id}.orc"),
        Shape::ObsCsv => format!("{folder}/{}/files/{}_{number}.csv", minute(spec), id.to_uppercase()),
        Shape::CosCsv => format!("{folder}/{id}.csv.gz"),
        Shape::GcsCsv => format!("{}{number}.csv", stem(spec)),
        Shape::GcsParquet => format!("{}{number}.parquet", stem(spec)),
        Shape::AzureCsv => format!("{}_1000000_{number}.csv", rule(spec)),
        Shape::AzureParquet => format!("{}_1000000_{number}.parquet", rule(spec)),
        Shape::S3Csv | Shape::OssCsv => format!("{folder}/data/{id}.csv.gz"),
    }
}

pub(super) async fn write_manifest(vault: &dyn Vault, spec: &InventorySpec, files: &[WrittenFile]) -> String {
    let folder = spec.folder();
    let (name, manifest) = match spec.shape {
        Shape::ObsCsv => (format!("{folder}/{}/manifest.json", minute(spec)), obs(spec, files)),
        Shape::CosCsv => {
            let day = spec.created.to_string()[..10].replace('-', "");
            (format!("{folder}/{day}/manifest.json"), cos(spec, files))
        }
        Shape::GcsCsv | Shape::GcsParquet => (format!("{}manifest.json", stem(spec)), gcs(files)),
        _ => (format!("{}-manifest.json", rule(spec)), azure(spec, files)),
    };
    put_manifest(vault, spec.shape, name, &manifest).await
}

fn obs(spec: &InventorySpec, files: &[WrittenFile]) -> Value {
    let file = |file: &WrittenFile| json!({ "key": file.name.replace('/', "%2F"), "size": file.size, "inventoriedRecord": file.rows });
    json!({
        "sourceBucket": spec.source_bucket,
        "destinationBucket": spec.destination_bucket,
        "version": "2019-01-03",
        "fileFormat": "CSV",
        "fileSchema": columns(spec).join(","),
        "files": files.iter().map(file).collect::<Vec<_>>(),
    })
}

fn cos(spec: &InventorySpec, files: &[WrittenFile]) -> Value {
    let file = |file: &WrittenFile| json!({ "key": file.name, "size": file.size.to_string(), "md5Checksum": file.md5 });
    json!({
        "sourceAppid": APPID,
        "sourceBucket": spec.source_bucket,
        "destinationAppid": APPID,
        "destinationBucket": spec.destination_bucket,
        "fileFormat": "CSV",
        "listObjectCount": files.iter().map(|file| file.rows).sum::<usize>().to_string(),
        "listStorageSize": "0",
        "filterObjectCount": "0",
        "filterStorageSize": "0",
        "fileSchema": columns(spec).join(", "),
        "files": files.iter().map(file).collect::<Vec<_>>(),
    })
}

fn gcs(files: &[WrittenFile]) -> Value {
    let names: Vec<_> = files.iter().map(|file| file.name.rsplit('/').next().unwrap()).collect();
    json!({
        "report_config": { "display_name": "daily" },
        "records_processed": files.iter().map(|file| file.rows).sum::<usize>(),
        "shard_count": files.len(),
        "report_shards_file_names": names,
    })
}

fn azure(spec: &InventorySpec, files: &[WrittenFile]) -> Value {
    let start = format!("{}Z", &spec.created.to_string()[..19]);
    let format = if spec.shape == Shape::AzureCsv { "csv" } else { "parquet" };
    let columns: Vec<_> = headed_columns(spec).into_iter().map(|(name, _)| name).collect();
    json!({
        "destinationContainer": spec.destination_bucket,
        "endpoint": "https://account.blob.core.windows.net",
        "files": files.iter().map(|file| json!({ "blob": file.name, "size": file.size })).collect::<Vec<_>>(),
        "inventoryCompletionTime": start,
        "inventoryStartTime": start,
        "ruleDefinition": {
            "filters": { "blobTypes": ["blockBlob"], "prefixMatch": [format!("{}/", spec.source_bucket)] },
            "format": format,
            "objectType": "blob",
            "schedule": "daily",
            "schemaFields": columns,
        },
        "ruleName": spec.config,
        "status": "Succeeded",
        "summary": { "objectCount": files.iter().map(|file| file.rows).sum::<usize>(), "totalObjectSize": 0 },
        "version": "1.0",
    })
}

/// The dated folder: `2026-03-01T01-00Z`.
fn minute(spec: &InventorySpec) -> String {
    format!("{}Z", spec.created.to_string()[..16].replace(':', "-"))
}

/// What the names of a report of GCS begin with.
fn stem(spec: &InventorySpec) -> String {
    format!("{}/{UUID}_{}_", spec.folder(), &spec.created.to_string()[..16])
}

/// What the names of a run of Azure begin with. The container is the bucket, so that the prefix is one above it.
fn rule(spec: &InventorySpec) -> String {
    let time = spec.created.to_string();
    let (day, time) = (time[..10].replace('-', "/"), time[11..19].replace(':', "-"));
    let above = if spec.prefix.is_empty() { String::new() } else { format!("{}/", spec.prefix) };
    format!("{above}{day}/{time}/{0}/{0}", spec.config)
}
