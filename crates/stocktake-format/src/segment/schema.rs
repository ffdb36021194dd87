//! The columns of a segment, and how each is encoded.

use std::sync::{Arc, LazyLock};

use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterVersion};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::TypePtr;

use super::SegmentKind;

pub(super) const KEY: &str = "key";
pub(super) const SIZE: &str = "size";
pub(super) const LAST_MODIFIED: &str = "last_modified";
pub(super) const ETAG: &str = "etag";
pub(super) const ETAG_KIND: &str = "etag_kind";
pub(super) const ETAG_TEXT: &str = "etag_text";
pub(super) const CLASS: &str = "class";
pub(super) const FLAGS: &str = "flags";
pub(super) const VERSION: &str = "version";
pub(super) const OP: &str = "op";
pub(super) const PROVENANCE: &str = "provenance";
pub(super) const CONTENT: &str = "content";
pub(super) const HASH: &str = "hash";
pub(super) const PACK: &str = "pack";
pub(super) const BLOCK_OFFSET: &str = "block_offset";
pub(super) const BLOCK_LENGTH: &str = "block_length";
pub(super) const OFFSET: &str = "offset";
pub(super) const CHUNK_PACKS: &str = "chunk_packs";
pub(super) const ATTRIBUTES: &str = "attributes";

/// Columns that repeat few values.
const DICTIONARY: [&str; 9] = [ETAG_KIND, CLASS, FLAGS, OP, PROVENANCE, CONTENT, PACK, CHUNK_PACKS, ATTRIBUTES];
/// Columns whose neighbours are near each other.
const DELTA: [&str; 5] = [SIZE, LAST_MODIFIED, BLOCK_OFFSET, BLOCK_LENGTH, OFFSET];
/// Columns of random bytes.
const RANDOM: [&str; 2] = [ETAG, HASH];

const ZSTD_LEVEL: i32 = 3;

/// A chunk has one page, unless its values take more than this many bytes.
const PAGE_BYTES: usize = 16 << 20;

/// How many columns of a segment of `kind` are entry columns; they come first.
pub(super) fn entry_columns(kind: SegmentKind) -> usize {
    match kind {
        SegmentKind::Base => 9,
        SegmentKind::Delta => 10,
    }
}

const ENTRY_COLUMNS: &str = "
    required binary key;
    required int64 size (INTEGER(64,false));
    required int64 last_modified (TIMESTAMP(MILLIS,true));
    optional fixed_len_byte_array(16) etag;
    required int32 etag_kind (INTEGER(16,false));
    optional binary etag_text (STRING);
    required binary class (STRING);
    required int32 flags (INTEGER(8,false));
    optional binary version (STRING);";
const OP_COLUMN: &str = "
    required int32 op (INTEGER(8,false));";
const CONTENT_COLUMNS: &str = "
    required int32 provenance (INTEGER(8,false));
    required int32 content (INTEGER(8,false));
    optional fixed_len_byte_array(16) hash;
    optional binary pack (STRING);
    optional int32 block_offset (INTEGER(32,false));
    optional int32 block_length (INTEGER(32,false));
    optional int32 offset (INTEGER(32,false));
    optional binary chunk_packs (STRING);
    optional binary attributes (STRING);";

/// The schema of segments of `kind`.
pub(super) fn schema(kind: SegmentKind) -> TypePtr {
    static BASE: LazyLock<TypePtr> = LazyLock::new(|| build(""));
    static DELTA: LazyLock<TypePtr> = LazyLock::new(|| build(OP_COLUMN));
    match kind {
        SegmentKind::Base => Arc::clone(&BASE),
        SegmentKind::Delta => Arc::clone(&DELTA),
    }
}

fn build(op: &str) -> TypePtr {
    let text = format!("message segment {{{ENTRY_COLUMNS}{op}{CONTENT_COLUMNS} }}");
    Arc::new(parse_message_type(&text).expect("the schema is well-formed"))
}

/// How the columns are written, but for encryption.
pub(super) fn properties(row_group_rows: usize) -> WriterPropertiesBuilder {
    let level = ZstdLevel::try_new(ZSTD_LEVEL).expect("the level exists");
    let mut builder = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_created_by("stocktake segment version 1".to_owned())
        .set_compression(Compression::ZSTD(level))
        .set_dictionary_enabled(false)
        .set_encoding(Encoding::PLAIN)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_statistics_truncate_length(None)
        .set_offset_index_disabled(true)
        .set_max_row_group_row_count(Some(row_group_rows))
        .set_data_page_row_count_limit(row_group_rows)
        .set_data_page_size_limit(PAGE_BYTES)
        .set_dictionary_page_size_limit(PAGE_BYTES)
        .set_sorting_columns(Some(vec![SortingColumn { column_idx: 0, descending: false, nulls_first: false }]))
        .set_column_encoding(KEY.into(), Encoding::DELTA_BYTE_ARRAY);
    for name in [KEY, SIZE, LAST_MODIFIED] {
        builder = builder.set_column_statistics_enabled(name.into(), EnabledStatistics::Chunk);
    }
    for name in DICTIONARY {
        builder = builder.set_column_dictionary_enabled(name.into(), true);
    }
    for name in DELTA {
        builder = builder.set_column_encoding(name.into(), Encoding::DELTA_BINARY_PACKED);
    }
    for name in RANDOM {
        builder = builder.set_column_compression(name.into(), Compression::UNCOMPRESSED);
    }
    builder
}
