//! Writes the seeds of every corpus: what real writers write, and hostile cases by name.
//!
//! Seeds whose names begin with `ok-` are accepted by their target; the test of
//! the corpus checks that. Others in a corpus, such as inputs that once failed,
//! are left as they are. Encrypted Parquet has random nonces, so those seeds
//! differ from run to run.

#![allow(clippy::unwrap_used, reason = "a generator fails by panicking")]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, BooleanArray, FixedSizeBinaryArray, Int32Array, Int64Array, RecordBatch};
use arrow::array::{StringArray, TimestampMicrosecondArray};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::executor::block_on;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression as PageCompression, Encoding, ZstdLevel};
use parquet::encryption::encrypt::FileEncryptionProperties;
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;
use serde_json::{Value, json};
use stocktake_core::memory::MemoryVault;
use stocktake_core::{
    Attributes, ContentHash, ETagCode, Entry, EntryFlags, Extent, InventoryVersions, JobId, RootRef, SeededEntropy,
    SnapshotRecord, Tally, Timestamp, Vault,
};
use stocktake_format::segment::{SegmentKind, SegmentWriter, key_name};
use stocktake_format::{
    Block, Chunk, ChunkList, Expiry, Fence, Item, ItemFacts, ItemKind, KeyFile, KeyProvider, OpenFlag, PackWriter,
    Root, Run, SegmentRef, Slot, StateSum, VaultConfig, VaultKey, encode_document, names,
};
use stocktake_fuzz::{BUCKET, DOCUMENT, PARQUET_KEY, SEGMENT_KEY_NAME, VAULT, VAULT_KEYS, pack_id};
use stocktake_testkit::inventories::{Action, History, InventorySpec, Shape, Synthetic, batches, write, write_delta};
use stocktake_testkit::states;

const MD5: &str = "0cc175b9c0f1b6a831c399e269772661";

fn main() {
    values();
    vault();
    documents();
    segments();
    parquet_files();
    manifests();
    csv_files();
    data_files();
    deltas();
}

/// Keeps one seed.
fn seed(target: &str, name: &str, bytes: impl AsRef<[u8]>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(name), bytes).unwrap();
}

fn job() -> JobId {
    "0195513d-9a00-7000-8000-0123456789ab".parse().unwrap()
}

fn values() {
    seed("etag", "ok-md5", MD5);
    seed("etag", "ok-parts-upper-case", format!("{}-10000", MD5.to_uppercase()));
    seed("etag", "mixed-case", "0CC175B9c0f1b6a831c399e269772661");
    seed("etag", "too-many-parts", format!("{MD5}-10001"));
    seed("etag", "quoted", format!("\"{MD5}\""));
    seed("etag", "weak", "W/\"abc\"");
    let (digest, kind) = ETagCode::of(&format!("{MD5}-3")).into_parts();
    seed("etag", "stored", [&digest[..], &kind.to_le_bytes()].concat());
    seed("etag", "stored-absent-upper-case", [&[0; 16][..], &[0, 0x80]].concat());

    seed("key", "ok-plus-and-percent", "2026/a+b%2Bc%3D%E6%97%A5%0A");
    seed("key", "ok-dots", "/..//a%00%0D%0A%22%2C/");
    seed("key", "lone-percent", "bad%4");
    seed("key", "no-digits", "bad%ZZ");
    seed("key", "stray-bytes", b"\xff\xfe%FF\x80%");

    seed("id", "ok-job", job().to_string());
    seed("id", "ok-pack", pack_id().to_string());
    seed("id", "ok-vault", VAULT.to_string());
    seed("id", "ok-sum", StateSum::default().to_hex());
    seed("id", "ok-segment", names::base_segment(job(), 7, "0123456789abcdef"));
    seed("id", "leading-zero", format!("{}/0.3-017", job()));

    for (name, text) in [
        ("ok-s3", "2026-03-01T00:00:00.000Z"),
        ("ok-oss", "2026-03-01T16-05-59Z"),
        ("ok-leap-second", "2016-12-31T23:59:60.999Z"),
        ("ok-offset", "2026-03-01T02:00:00+01:00"),
        ("ok-long-fraction", "1969-12-31T23:59:59.9999999999999+00:00"),
        ("ok-event", "2024-08-25 18:08:01.024"),
        ("ok-size", "9223372036854775807"),
        ("ok-truth", "TRUE"),
        ("before-year-0", "0000-01-01T00:00:00+23:59"),
        ("after-year-9999", "9999-12-31T23:59:59-23:59"),
        ("no-such-day", "2026-02-29T00:00:00Z"),
        ("size-overflows", "9223372036854775808"),
        ("size-negative", "-1"),
    ] {
        seed("time", name, text);
    }
}

fn item(key: &VaultKey, raw: &[u8], offset: u32, length: u32, kind: ItemKind) -> Item {
    let mut hasher = key.content_hasher();
    hasher.update(&raw[offset as usize..(offset + length) as usize]);
    Item { offset, length, hash: hasher.finish_full(), kind }
}

fn facts() -> Box<ItemFacts> {
    Box::new(ItemFacts {
        key: b"2026/\xff\n.jpg".to_vec(),
        size: 12,
        last_modified: 1_772_326_800_000,
        etag: format!("{MD5}-3"),
        class: "STANDARD".into(),
        attributes: attributes().encode(),
    })
}

fn attributes() -> Attributes {
    Attributes {
        content_type: Some("image/jpeg".into()),
        user: [("owner".to_owned(), "a \"b\"".to_owned())].into(),
        ..Attributes::default()
    }
}

fn vault() {
    seed("attributes", "ok-some", attributes().encode());
    seed("attributes", "ok-none", "");
    seed("attributes", "nested", "[".repeat(500));

    for (key, name) in VAULT_KEYS.iter().zip(["ok-encrypted", "ok-plain"]) {
        let mut writer = PackWriter::new(key, pack_id());
        let text = b"some text, some text, some text, some text, some text, some text";
        let items = vec![
            item(key, text, 0, 10, ItemKind::Object(facts())),
            item(key, text, 10, 54, ItemKind::ChunkList(facts())),
        ];
        writer.append(Block::compress(text, items, 3));
        writer.append(Block::compress(b"noise", vec![item(key, b"noise", 0, 5, ItemKind::Chunk)], 3));
        seed("pack", name, writer.finish());
        seed("pack", &format!("{name}-empty"), PackWriter::new(key, pack_id()).finish());
        let slot = Slot::Abort { by: "collector".into(), reason: "the job was silent for 14 days".into() };
        seed("document", name, encode_document(key, DOCUMENT, &slot));
    }
    seed("pack", "directory-longer-than-pack", b"STKP\x01\x00\x00\x00\xff\xff\xff\xffSTKPEND1");

    let directory = directory_bytes();
    seed("directory", "ok-all-kinds", &directory);
    seed("directory", "ok-empty", [0; 4]);
    seed("directory", "absurd-count", [&u32::MAX.to_le_bytes()[..], &directory[4..]].concat());

    let chunk = |seq, length| Chunk {
        extent: Extent {
            pack: stocktake_core::PackId { seq, ..pack_id() },
            block_offset: 8,
            block_length: 100,
            offset: 0,
        },
        length,
        hash: ContentHash([3; 16]),
    };
    let list = ChunkList { hash: [2; 32], size: 30, chunks: vec![chunk(4, 10), chunk(1, 15), chunk(4, 5)] };
    seed("chunk_list", "ok-three", list.encode());
    seed("chunk_list", "ok-empty", ChunkList { hash: [2; 32], size: 0, chunks: vec![] }.encode());
    seed("chunk_list", "other-sum", ChunkList { size: 31, ..list }.encode());

    let config = VaultConfig {
        id: VAULT,
        encrypted: true,
        created: Timestamp::from_millis(1_772_326_800_000),
        software: "stocktake 0.1.0".into(),
        capabilities: MemoryVault::new().capabilities(),
    };
    let text = String::from_utf8(config.encode()).unwrap();
    seed("config", "ok-encrypted", &text);
    seed("config", "newer", text.replace("\"version\": 1", "\"version\": 2"));
    seed("config", "before-year-0", text.replace("2026-03-01T01:00:00.000Z", "0000-01-01T00:00:00+23:59"));

    let provider = KeyFile::new(&[3; 32]).unwrap();
    let wrapped = block_on(provider.wrap(VAULT, "first", &[7; 32], &SeededEntropy::new(1))).unwrap();
    seed("wrapped_key", "ok-key-file", wrapped.encode());
    let mut odd = wrapped;
    odd.parameters = json!({ "kdf": "argon2id", "memory_kib": 65536, "salt": [1e300, null] });
    seed("wrapped_key", "ok-odd-parameters", odd.encode());
    odd.wrapped = "zz".repeat(48);
    seed("wrapped_key", "no-hexadecimal", odd.encode());
}

/// A directory of one block with one item of each kind, laid out as the format says.
fn directory_bytes() -> Vec<u8> {
    let mut out = Vec::new();
    for number in [1_u32, 8, 100, 64, 3] {
        out.extend(number.to_le_bytes());
    }
    for kind in [0_u8, 1, 2] {
        out.push(kind);
        out.extend([u32::from(kind).to_le_bytes(), 1_u32.to_le_bytes()].concat());
        out.extend([9; 32]);
        if kind != 1 {
            out.extend([12_i64.to_le_bytes(), 1_772_326_800_000_i64.to_le_bytes()].concat());
            for text in ["2026/a.jpg", MD5, "STANDARD", "{}"] {
                out.extend((text.len() as u32).to_le_bytes());
                out.extend(text.as_bytes());
            }
        }
    }
    out
}

fn documents() {
    let json = |value: Value| value.to_string();
    let spec = states::job(3, Some(job()));
    seed("records", "ok-open", serde_json::to_vec(&OpenFlag::backup(&spec, "stocktake 0.1.0")).unwrap());
    seed("records", "ok-expiry", serde_json::to_vec(&Expiry { expired: spec.started }).unwrap());
    seed("records", "expired-before-year-0", json(json!({ "expired": "0000-01-01T00:00:00+23:59" })));
    let record = SnapshotRecord {
        id: spec.id,
        name: spec.name,
        plan: spec.plan,
        trigger: spec.trigger,
        parent: spec.parent,
        started: spec.started,
        committed: spec.started,
        total: Tally { objects: 3, bytes: u128::from(u64::MAX) * 7 },
        state_sum: StateSum::default().to_hex(),
        root: RootRef { name: names::root(job(), "0123456789abcdef"), hash: "00".repeat(32) },
        software: "stocktake 0.1.0".to_owned(),
        summary: states::summary(),
    };
    seed("records", "ok-commit", serde_json::to_vec(&Slot::Commit { record }).unwrap());
    let abort = Slot::Abort { by: "collector".into(), reason: String::new() };
    seed("records", "ok-abort", serde_json::to_vec(&abort).unwrap());

    let segment = |low: &str, high: &str| SegmentRef {
        name: names::base_segment(job(), 0, "0123456789abcdef"),
        hash: [7; 32],
        bytes: 1000,
        rows: 3,
        deletes: 1,
        low: low.into(),
        high: high.into(),
        tail_bytes: 500,
        tail_hash: ContentHash([9; 16]),
    };
    let fence =
        |low: &str, base| Fence { low: low.into(), live: Tally { objects: 3, bytes: 12 }, base, ..Fence::default() };
    let fences = vec![fence("", Some(segment("a", "c"))), fence("d", None)];
    let runs = vec![Run { seq: 1, level: 0, segments: vec![segment("a", "b"), segment("c", "z")] }];
    let mut root = Root::new(1, 5, fences, runs);
    seed("records", "ok-root", serde_json::to_vec(&root).unwrap());
    seed("records", "ok-root-empty", serde_json::to_vec(&Root::empty()).unwrap());
    for fence in &mut root.fences {
        fence.live = Tally { objects: u64::MAX, bytes: u128::MAX };
    }
    seed("records", "root-sums-overflow", serde_json::to_vec(&root).unwrap());
}

fn segments() {
    let rows = (0..12).map(|n| states::row(format!("key/{:03}", 2 * n).as_str(), n));
    let rows = states::batch(rows.map(|row| (row.entry.key.clone(), row)).collect());
    let deleted: Vec<bool> = (0..12).map(|n| n % 3 == 0).collect();
    assert_ne!(key_name(job(), 1), SEGMENT_KEY_NAME, "seeds are of no real job");
    for (key, key_text) in VAULT_KEYS.iter().zip(["encrypted", "plain"]) {
        for (kind, deleted, name) in [(SegmentKind::Base, &[][..], "base"), (SegmentKind::Delta, &deleted, "delta")] {
            let mut writer = SegmentWriter::new(key, kind, SEGMENT_KEY_NAME, 7);
            writer.write(rows.clone(), deleted.to_vec()).unwrap();
            let segment = writer.finish();
            let tail_bytes = u32::try_from(segment.tail_bytes).unwrap();
            seed("segment", &format!("ok-{key_text}-{name}"), [&tail_bytes.to_le_bytes()[..], &segment.bytes].concat());
            seed("records", "ok-refs", serde_json::to_vec(&segment.refs).unwrap());
        }
    }
}

fn parquet_files() {
    let zstd = PageCompression::ZSTD(ZstdLevel::default());
    let version1 = || WriterProperties::builder().set_writer_version(WriterVersion::PARQUET_1_0);
    let version2 = || WriterProperties::builder().set_writer_version(WriterVersion::PARQUET_2_0);
    let layouts = [
        ("ok-version-1", version1()),
        (
            "ok-version-1-snappy-plain",
            version1().set_compression(PageCompression::SNAPPY).set_dictionary_enabled(false),
        ),
        ("ok-version-2-zstd", version2().set_compression(zstd)),
        ("ok-version-1-gzip", version1().set_compression(PageCompression::GZIP(Default::default()))),
        ("ok-version-2-delta", delta(version2())),
        (
            "ok-encrypted",
            delta(version1()).with_file_encryption_properties(
                FileEncryptionProperties::builder(PARQUET_KEY.to_vec()).build().unwrap(),
            ),
        ),
    ];
    for (name, properties) in layouts {
        let properties = properties
            .set_dictionary_page_size_limit(100)
            .set_data_page_row_count_limit(16)
            .set_write_batch_size(8)
            .set_max_row_group_row_count(Some(40));
        seed("parquet", name, parquet_bytes(&table(), properties.build()));
    }
    let plain = parquet_bytes(&table(), WriterProperties::default());
    seed("parquet", "cut-in-footer", &plain[plain.len() / 2..]);
    seed("parquet", "footer-longer-than-file", [&plain[..plain.len() - 8], b"\xff\xff\xff\x7fPAR1"].concat());
    seed("parquet", "only-magic", b"PAR1\x00\x00\x00\x00PAR1");
    seed("parquet", "schema-of-nested-groups", footer_alone(&[&[1; 300][..], &[0]].concat()));
    let claims = footer_alone(&[i32::MAX]);
    seed("parquet", "schema-claims-children", &claims[..]);
    // The same, with fields that are not of their type: the number of children, the schema.
    for (name, head, other) in [("wide", 0x15, 0x16), ("structure", 0x19, 0x1c)] {
        let at = claims.iter().rposition(|byte| *byte == head).filter(|_| head == 0x15);
        let at = at.or_else(|| claims.iter().position(|byte| *byte == head)).unwrap();
        let mut bytes = claims.clone();
        bytes[at] = other;
        seed("parquet", &format!("schema-claims-children-{name}"), bytes);
    }
    let hidden = b"\x09\x64\xf1\x0f\x05\x02\x02\x19\x1c\x48\x01x\x15\xfe\xff\xff\xff\x0f\x00\x00";
    let length = u32::try_from(hidden.len()).unwrap().to_le_bytes();
    seed("parquet", "schema-behind-booleans", [&b"PAR1"[..], hidden, &length, b"PAR1"].concat());
}

/// A file that is only a footer, with a schema whose elements have so many children.
fn footer_alone(children: &[i32]) -> Vec<u8> {
    let varint = |mut number: u64| {
        let mut bytes = Vec::new();
        while number >= 0x80 {
            bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        bytes.push(number as u8);
        bytes
    };
    // Thrift's compact protocol: the version, the list of elements, no rows, no row groups.
    let mut footer = [&[0x15, 0x02, 0x19, 0xfc][..], &varint(children.len() as u64)].concat();
    for children in children {
        footer.extend_from_slice(b"\x48\x01x\x15");
        footer.extend(varint(2 * u64::from(children.unsigned_abs())));
        footer.push(0);
    }
    footer.extend([0x16, 0, 0x19, 0x0c, 0]);
    let length = u32::try_from(footer.len()).unwrap().to_le_bytes();
    [&b"PAR1"[..], &footer, &length, b"PAR1"].concat()
}

fn delta(
    builder: parquet::file::properties::WriterPropertiesBuilder,
) -> parquet::file::properties::WriterPropertiesBuilder {
    let encodings = [
        ("Key", Encoding::DELTA_BYTE_ARRAY),
        ("text", Encoding::DELTA_LENGTH_BYTE_ARRAY),
        ("size", Encoding::DELTA_BINARY_PACKED),
        ("small", Encoding::DELTA_BINARY_PACKED),
        ("flag", Encoding::RLE),
        ("digest", Encoding::DELTA_BYTE_ARRAY),
    ];
    let builder = builder.set_dictionary_enabled(false);
    encodings
        .into_iter()
        .fold(builder, |builder, (column, encoding)| builder.set_column_encoding(ColumnPath::from(column), encoding))
}

/// One column of each kind, with nulls and without.
fn table() -> RecordBatch {
    let rows = 0..70_i64;
    let keys: Vec<String> =
        rows.clone().map(|row| format!("prefix/{:03}/{}", row, "x".repeat(row as usize % 9))).collect();
    let digests = rows.clone().map(|row| (row % 3 > 0).then(|| (row * 0x0101_0101).to_le_bytes()[..5].to_vec()));
    let columns: [(&str, ArrayRef, bool); 6] = [
        ("Key", Arc::new(BinaryArray::from_iter_values(&keys)), false),
        (
            "text",
            Arc::new(
                rows.clone()
                    .map(|row| (row % 4 > 0).then(|| ["A", "B", "日本"][row as usize % 3]))
                    .collect::<StringArray>(),
            ),
            true,
        ),
        (
            "size",
            Arc::new(rows.clone().map(|row| (row % 7 > 0).then_some(row << (row % 60))).collect::<Int64Array>()),
            true,
        ),
        ("small", Arc::new(rows.clone().map(|row| -row as i32).collect::<Int32Array>()), false),
        (
            "flag",
            Arc::new(rows.clone().map(|row| (row % 5 > 0).then_some(row % 3 == 0)).collect::<BooleanArray>()),
            true,
        ),
        ("digest", Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(digests, 5).unwrap()), true),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

fn parquet_bytes(batch: &RecordBatch, properties: WriterProperties) -> Vec<u8> {
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    file
}

fn s3_manifest() -> Value {
    json!({
        "sourceBucket": BUCKET,
        "destinationBucket": "arn:aws:s3:::ops-inventories",
        "version": "2016-11-30",
        "creationTimestamp": "1772326800000",
        "fileFormat": "CSV",
        "fileSchema": "Bucket, Key, Size, LastModifiedDate, ETag, StorageClass",
        "files": [{ "key": "inv/data/3b0d9f6e.csv.gz", "size": 4_294_967_296_u64, "MD5checksum": MD5 }]
    })
}

/// Manifests of the clouds that do not write as S3 does.
const OTHER_MANIFESTS: [(&str, &str); 10] = [
    (
        "ok-obs",
        r#"{"sourceBucket":"media-store","destinationBucket":"ops","version":"2019-01-03","fileFormat":"CSV","fileSchema":"Bucket,Key,Size,LastModifiedDate,ETag,StorageClass","files":[{"key":"inv%2Fa+b%2Ffiles%2F1.csv","size":10485760,"inventoriedRecord":110376,}]}"#,
    ),
    (
        "obs-without-rows",
        r#"{"sourceBucket":"media-store","destinationBucket":"ops","version":"2019-01-03","fileFormat":"CSV","fileSchema":"Bucket,Key,Size,LastModifiedDate,ETag,StorageClass","files":[{"key":"inv%2Fa+b%2Ffiles%2F1.csv","size":10485760}]}"#,
    ),
    ("commas-without-values", r#"{"files":[,],,}"#),
    (
        "ok-cos",
        r#"{"sourceAppid":"1250000000","sourceBucket":"photos","destinationAppid":"1250000000","destinationBucket":"ops","fileFormat":"CSV","listObjectCount":"3","creationTimestamp":"1772326800","fileSchema":"Appid, Bucket, Key, Size, LastModifiedDate, ETag, StorageClass","files":[{"key":"inv/ab.csv.gz","size":"12586","md5Checksum":"0cc175b9c0f1b6a831c399e269772661"}]}"#,
    ),
    (
        "ok-gcs-beside",
        r#"{"report_shards_file_names":["f0e1_2026-03-01T07:00_0.csv","f0e1_2026-03-01T07:00_1.csv"],"records_processed":"12","shard_count":2}"#,
    ),
    ("ok-gcs-urls", r#"{"reportNames":["gs://ops/reports/x_0.parquet"],"snapshot_time":"2026-03-01T06:59:58.5Z"}"#),
    ("gcs-other-count", r#"{"report_shards_file_names":["a.csv"],"shard_count":18446744073709551615}"#),
    (
        "ok-azure",
        r#"{"destinationContainer":"ops","files":[{"blob":"2026/03/01/13-25-36/daily/daily.csv","size":12710092}],"inventoryStartTime":"2026-03-01T13:25:36Z","ruleDefinition":{"filters":{"prefixMatch":["photos/a","photos/b"]},"format":"csv","objectType":"blob","schemaFields":["Name","Content-Length","Last-Modified","Etag","AccessTier"]},"status":"Succeeded","summary":{"objectCount":110000}}"#,
    ),
    (
        "ok-azure-pending",
        r#"{"destinationContainer":"ops","inventoryStartTime":"2026-03-01T13:25:36Z","ruleDefinition":{"filters":{"prefixMatch":["photos/a","photos/b"]},"format":"csv","objectType":"blob","schemaFields":["Name","Content-Length","Last-Modified","Etag","AccessTier"]},"status":"Pending","summary":{"objectCount":110000}}"#,
    ),
    (
        "azure-containers",
        r#"{"destinationContainer":"ops","files":[{"blob":"2026/03/01/13-25-36/daily/daily.csv","size":12710092}],"inventoryStartTime":"2026-03-01T13:25:36Z","ruleDefinition":{"filters":{"prefixMatch":["photos/a","photos/b"]},"format":"csv","objectType":"container","schemaFields":["Name","Content-Length","Last-Modified","Etag","AccessTier"]},"status":"Succeeded","summary":{"objectCount":110000}}"#,
    ),
];

/// Data files that name their columns, or have those of the documentation.
const HEADED_FILES: [(&str, &str); 5] = [
    (
        "ok-gcs",
        "9timeDeleted;name;bucket;generation;size;updated;etag;storageClass;md5Hash\n;\"a+b%20\n;\"\"c\"\"\";photo-store;17;1;2026-01-05T09:30:02.5Z;CJj4=;STANDARD;\n2026-01-06T00:00:00Z;gone;photo-store;16;3;2026-01-05 09:30:02 UTC;CJj6=;NEARLINE;DMF1ucDxtqgxw5niaXcmYQ==\n",
    ),
    (
        "ok-gcs-no-header",
        "9123,photo-store,a,EU,7,2026-01-05T09:30:02Z,,2026-01-06T09:30:02Z,NEARLINE,CJj4=,,AAAAAA==,DMF1ucDxtqgxw5niaXcmYQ==,17,1,image/jpeg,,2026-01-05T09:30:02Z\n",
    ),
    (
        "gcs-two-buckets",
        "9name|bucket|size|timeCreated|etag|storageClass\na|b|1|2026-01-05T09:30:02Z|x|S\na|c|1|2026-01-05T09:30:02Z|x|S\n",
    ),
    (
        "ok-azure",
        "8Name,Content-Length,Last-Modified,Etag,AccessTier,VersionId,IsCurrentVersion,Deleted,Snapshot,hdi_isfolder,Content-MD5\nphotos/a,1,2026-01-05T09:30:02Z,0x8D,Hot,2026-01-05T09:30:02.1Z,true,,,,\nphotos/b,,2026-01-05T09:30:02Z,0x8E,,,,,,true,\nphotos/c,3,2026-01-05T09:30:02Z,0x8F,Hot,,,true,,,\n",
    ),
    (
        "azure-without-container",
        "8Name,Content-Length,Last-Modified,Etag,AccessTier\na,1,2026-01-05T09:30:02Z,0x8D,Hot\n",
    ),
];

fn manifests() {
    seed("manifest", "ok-s3", s3_manifest().to_string());
    let oss = json!({
        "creationTimestamp": "1772380800",
        "destinationBucket": "ops-inventories",
        "fileFormat": "CSV",
        "fileSchema": "Bucket, Key, Size, StorageClass, LastModifiedDate, ETag",
        "files": [{ "MD5checksum": MD5.to_uppercase(), "key": "inv/data/7a1c2b5e.csv.gz", "size": 12586 }],
        "sourceBucket": "media-store",
        "version": "2019-09-01"
    });
    seed("manifest", "ok-oss", oss.to_string());
    for (name, text) in OTHER_MANIFESTS {
        seed("manifest", name, text);
    }
    seed("manifest", "ok-byte-order-mark", [b"\xef\xbb\xbf", s3_manifest().to_string().as_bytes()].concat());
    let parquet = "message s3.inventory { required binary bucket (STRING); required binary key (STRING); \
        optional int64 size; optional int64 last_modified_date (TIMESTAMP(MILLIS,true)); \
        optional binary e_tag (STRING); optional binary storage_class (STRING);}";
    let orc =
        "struct<bucket:string,key:string,size:bigint,last_modified_date:timestamp,e_tag:string,storage_class:string>";
    let file = |key: &str, size: Value| json!({ "key": key, "size": size, "MD5checksum": MD5 });
    for (name, member, value) in [
        ("ok-no-files", "files", json!([])),
        ("ok-file-twice", "files", json!([file("a", json!(1)), file("a", json!(1))])),
        ("ok-dots-in-key", "files", json!([file("../../etc/passwd", json!(1))])),
        ("file-twice-differing", "files", json!([file("a", json!(1)), file("a", json!(2))])),
        ("ok-sizes-overflow", "files", json!([file("a", json!(u64::MAX)), file("b", json!(u64::MAX))])),
        ("size-negative", "files", json!([file("a", json!(-1))])),
        ("created-in-seconds-and-more", "creationTimestamp", json!("17723268000")),
        ("ok-created-as-number", "creationTimestamp", json!(1_772_326_800_000_u64)),
        ("created-negative", "creationTimestamp", json!("-999999999999")),
        ("column-twice", "fileSchema", json!("Bucket, Key, key")),
        ("unknown-format", "fileFormat", json!("Avro")),
        ("ok-nested-unknown", "more", json!([[[[[[[[1]]]]]]]])),
    ] {
        let mut manifest = s3_manifest();
        manifest[member] = value;
        seed("manifest", name, manifest.to_string());
    }
    seed("manifest", "deeply-nested", "[".repeat(2000));

    seed("schema", "ok-csv", "Bucket, Key, Size, LastModifiedDate, ETag, StorageClass");
    seed("schema", "ok-other-order-and-case", "KEY,etag ,  size,storageclass,LASTMODIFIEDDATE,NewThing");
    seed("schema", "column-twice", "Key, ETag, e_tag");
    seed("schema", "column-missing", "Bucket, Key, Size");
    seed("schema", "ok-parquet", parquet);
    seed("schema", "parquet-not-closed", &parquet[..parquet.len() - 1]);
    seed("schema", "ok-orc", orc);
    seed("schema", "ok-gcs", "project,bucket,name,size,timeCreated,updated,storageClass,etag,md5Hash,generation");
    seed("schema", "ok-azure", "Name,Creation-Time,Last-Modified,Etag,Content-Length,AccessTier,hdi_isfolder");
    seed("schema", "ok-events", "Bucket, Key, Size, StorageClass, LastModifiedDate, ETag, SequenceNumber, RecordType");
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// The row of one object of S3, with fields replaced.
fn row(key: &str, size: &str, time: &str, etag: &str) -> String {
    format!("\"{BUCKET}\",\"{key}\",\"{size}\",\"{time}\",\"{etag}\",\"STANDARD\",\"false\",\"SSE-S3\"\n")
}

fn csv_files() {
    const TIME: &str = "2026-01-05T09:30:02.000Z";
    let plain = |key: &str| row(key, "1", TIME, MD5);
    let good = [plain("a"), plain("a/"), plain("a/b")].concat();
    let s3 = |name: &str, text: &str| seed("csv_file", name, format!("0{text}"));
    s3("ok-siblings", &good);
    for (name, text) in HEADED_FILES {
        seed("csv_file", name, text);
    }
    s3("ok-byte-order-mark", &format!("\u{feff}{good}"));
    s3("ok-no-end-of-line", good.trim_end());
    s3("ok-carriage-returns", &good.replace('\n', "\r\n"));
    s3("ok-blank-lines", &format!("\n{good}\n\r\n"));
    s3(
        "ok-odd-keys",
        &[plain("%0A%0D%00%22%2C%09"), plain("..%2F..%2F"), plain("//"), plain("%C3%A9"), plain("e%CC%81")].concat(),
    );
    s3("ok-key-not-utf-8", &plain("%FF%FE"));
    s3("ok-raw-newline-and-quotes", &plain("a\n\"\"b\"\",c"));
    s3("ok-longest-key", &plain(&"k".repeat(1024)));
    s3("key-too-long", &plain(&"k".repeat(1025)));
    s3("key-empty", &plain(""));
    s3("key-lone-percent", &plain("a%"));
    s3("key-no-digits", &plain("a%ZZ"));
    s3("size-empty", &row("a", "", TIME, MD5));
    s3("size-negative", &row("a", "-1", TIME, MD5));
    s3("size-overflows", &row("a", "9223372036854775808", TIME, MD5));
    s3(
        "ok-etags",
        &["", "abc", &format!("{MD5}-3"), &format!("\"\"{MD5}\"\""), &MD5.to_uppercase()]
            .map(|tag| row("a", "1", TIME, tag))
            .concat(),
    );
    s3(
        "ok-times",
        &["2026-01-05T09-30-02Z", "2026-01-05T09:30:02+00:00", "2099-01-05T09:30:02.123456Z"]
            .map(|time| row("a", "1", time, MD5))
            .concat(),
    );
    s3("time-no-date", &row("a", "1", "yesterday", MD5));
    s3("too-few-fields", "\"photo-store\",\"a\"\n");
    s3("too-many-fields", &plain("a").replace('\n', ",\"x\"\n"));
    s3("other-bucket", &plain("a").replace(BUCKET, "elsewhere"));
    s3("quote-not-closed", &good[..good.len() - 2]);
    s3("text-behind-quote", &plain("a").replace("\"a\"", "\"a\"b"));
    let versions = format!(
        "\"{BUCKET}\",\"a\",\"v2\",\"true\",\"false\",\"1\",\"{TIME}\",\"{MD5}\",\"STANDARD\",\"\",\"\"\n\
         \"{BUCKET}\",\"a\",\"\",\"false\",\"false\",\"9\",\"{TIME}\",\"{MD5}\",\"STANDARD\",\"\",\"\"\n\
         \"{BUCKET}\",\"gone\",\"v3\",\"true\",\"true\",\"\",\"{TIME}\",\"\",\"\",\"\",\"\"\n"
    );
    seed("csv_file", "ok-versions", format!("2{versions}"));

    let zipped = |name: &str, bytes: &[u8]| seed("csv_file", name, [b"4", bytes].concat());
    let member = gzip(good.as_bytes());
    zipped("ok-gzip", &member);
    zipped("ok-gzip-members", &[&member[..], &gzip(b""), &gzip(plain("z").as_bytes())].concat());
    zipped("ok-gzip-padding", &[&member[..], &[0; 512]].concat());
    zipped("gzip-garbage-behind", &[&member[..], b"garbage"].concat());
    zipped("gzip-cut", &member[..member.len() - 9]);
    zipped("gzip-no-trailer", &member[..member.len() - 8]);
    zipped("gzip-bomb-of-one-row", &gzip(&vec![b'a'; 2 << 20]));
    zipped("gzip-bomb-of-blank-lines", &gzip(&vec![b'\n'; 1 << 20]));
    let cos = plain("a").replacen('"', "\"1250000000\",\"", 1);
    seed("csv_file", "ok-cos", format!("q{cos}"));
    zipped("ok-empty-gzip", &gzip(b""));
    zipped("empty-file", b"");
}

/// Data files as the inventory writer of tests makes them.
fn data_files() {
    for (shape, choice, target, name) in [
        (Shape::S3Csv, b'4', "csv_file", "ok-s3"),
        (Shape::OssCsv, b'5', "csv_file", "ok-oss"),
        (Shape::ObsCsv, b'p', "csv_file", "ok-obs"),
        (Shape::CosCsv, b'u', "csv_file", "cos-without-encryption"),
        (Shape::S3Parquet, 0, "parquet_file", "ok-s3"),
        (Shape::GcsParquet, 0, "parquet_file", "ok-gcs"),
        (Shape::AzureParquet, 0, "parquet_file", "ok-azure"),
        (Shape::S3Orc, 0, "orc_file", "ok-s3"),
    ] {
        for versions in [InventoryVersions::Current, InventoryVersions::All] {
            let all = versions == InventoryVersions::All;
            let spec = InventorySpec { versions, ..InventorySpec::new(shape) };
            let file = data_file(&spec, Synthetic::new(40).before().collect());
            let name = if all { format!("{name}-versions") } else { name.to_owned() };
            let choice = if all { choice | 2 } else { choice };
            let choice = if target == "csv_file" { &[choice][..] } else { &[] };
            seed(target, &name, [choice, &file].concat());
        }
    }
    let spec = InventorySpec { utf8_keys: false, ..InventorySpec::new(Shape::S3Parquet) };
    let odd: Vec<Entry> = [&b"\xff\n\0"[..], b"a/", b"a/b"]
        .map(|key| {
            let mut entry = Entry::new(key, 7, Timestamp::from_millis(-1)).with_etag("W/odd").with_class("GLACIER");
            entry.flags = EntryFlags::MULTIPART;
            entry
        })
        .into();
    seed("parquet_file", "ok-odd-keys", data_file(&spec, batches(&odd)));
    let without = InventorySpec { without: vec!["ETag"], ..InventorySpec::new(Shape::S3Parquet) };
    seed("parquet_file", "column-missing", data_file(&without, batches(&odd[1..])));
    let whole = data_file(&spec, batches(&odd));
    seed("parquet_file", "cut", &whole[..whole.len() - 20]);

    // Microseconds, small integers, and names as a CSV schema spells them.
    let columns: [(&str, ArrayRef); 5] = [
        ("Key", Arc::new(StringArray::from(vec!["a", "b", ""]))),
        ("Size", Arc::new(Int32Array::from(vec![1, -1, 2]))),
        ("LastModifiedDate", Arc::new(TimestampMicrosecondArray::from(vec![Some(1), None, Some(i64::MIN)]))),
        ("ETag", Arc::new(StringArray::from(vec![Some(MD5), None, Some("\"x\"")]))),
        ("StorageClass", Arc::new(StringArray::from(vec![None, Some("STANDARD"), None]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    seed("parquet_file", "ok-microseconds", parquet_bytes(&batch.slice(0, 1), WriterProperties::default()));
    seed("parquet_file", "nulls-and-negative-size", parquet_bytes(&batch, WriterProperties::default()));
}

fn data_file(spec: &InventorySpec, entries: Vec<stocktake_core::EntryBatch>) -> Vec<u8> {
    let vault = MemoryVault::new();
    let written = block_on(write(&vault, spec, entries));
    block_on(vault.read(&written.files[0], None)).unwrap().to_vec()
}

/// Incremental inventories of OSS.
fn deltas() {
    const START: i64 = 1_772_326_800_000;
    let manifest = |name: &str, change: &dyn Fn(&mut Value)| {
        let mut manifest = json!({
            "startTimestamp": "1772326800", "endTimestamp": "1772327400", "destinationBucket": "ops-inventories",
            "fileFormat": "CSV", "sourceBucket": "media-store", "version": "2025-09-30",
            "fileSchema": "Bucket, Key, VersionId, IsDeleteMarker, Size, StorageClass, LastModifiedDate, ETag, \
                SequenceNumber, RecordType, RecordTimestamp, Requester, RequestId, SourceIp",
            "files": [{ "key": "inv/all/incremental_inventory/2026-03-01T01-1000Z/data/7a1c_0.csv", "size": 12586,
                "MD5checksum": MD5.to_uppercase() }],
        });
        change(&mut manifest);
        seed("delta_manifest", name, manifest.to_string());
    };
    manifest("ok", &|_| ());
    manifest("ok-no-events", &|manifest| manifest["files"] = json!([]));
    manifest("ok-numbers", &|manifest| manifest["startTimestamp"] = json!(1_772_326_800));
    manifest("ends-before-it-begins", &|manifest| manifest["endTimestamp"] = json!("1772326799"));
    manifest("without-a-span", &|manifest| manifest["endTimestamp"] = json!(null));
    manifest("not-csv", &|manifest| manifest["fileFormat"] = json!("Parquet"));

    for (versions, choice) in [(InventoryVersions::Current, '0'), (InventoryVersions::All, '3')] {
        let versioned = versions == InventoryVersions::All;
        let actions =
            [Action::Put(1), Action::Touch(0), Action::Put(2), Action::Delete, Action::Remove(1), Action::Put(3)];
        let keys = ["a", "b", "new", "b", "odd/+ \n\""].into_iter().cycle();
        let times = (1..).map(|number| START + number * 7_001);
        let all = times.zip(keys).zip(actions.iter().cycle().take(24));
        let history = History::new(versioned, all.map(|((time, key), action)| (time, key.into(), *action)).collect());
        let without = vec!["IsMultipartUploaded", "EncryptionStatus", "Requester", "RequestId", "SourceIp"];
        let spec = InventorySpec { versions, without, ..InventorySpec::new(Shape::OssCsv) };
        let vault = MemoryVault::new();
        let end = START + 600_000;
        let written = block_on(write_delta(&vault, &spec, START, end, &history.events(START, end)));
        let text = |file: &String| String::from_utf8(block_on(vault.read(file, None)).unwrap().to_vec()).unwrap();
        let text: String = written.files.iter().map(text).collect();
        let name = |name: &str| if versioned { format!("{name}-versions") } else { name.to_owned() };
        let keep = |what: &str, text: &str| seed("delta_file", &name(what), format!("{choice}{text}"));
        keep("ok", &text);
        keep("ok-twice", &text.repeat(2));
        keep("number-twice", &format!("{text}{}", text.replace("Standard", "IA")));
        keep("unknown-type", &text.replace("CREATE", "INVENT"));
        keep("cut", &text[..text.len() - 20]);
    }
}
