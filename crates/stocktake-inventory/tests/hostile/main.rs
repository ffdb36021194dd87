//! Broken, contradictory and hostile inventories: none of them ever reads as fewer objects.
//!
//! The rules stand in `stocktake_inventory::hostile`, under the same numbers. Where a
//! case is not for a reader to decide, its test is with what decides it: *core*,
//! *engine* and *program* are the crates `stocktake-core`, `stocktake-engine` and
//! `stocktake-examples`. Clouds that don't write as S3 does are in `clouds.rs`,
//! incremental inventories in `chain_faults.rs`.
//!
//! | Case | What it is | Test |
//! | --- | --- | --- |
//! | 1 | `manifest.checksum` is missing | `readiness::without_its_checksum_it_is_listed_but_not_opened` |
//! | 2 | checksum and manifest differ | `readiness::a_checksum_that_differs_is_corruption` |
//! | 3 | MD5 of a data file differs | `files::a_size_or_checksum_that_differs_names_the_file` |
//! | 4 | size of a data file differs | the same |
//! | 5 | a data file is missing | `files::a_missing_data_file_is_never_an_empty_one`, `..._vanishes_after_opening_...` |
//! | 6 | gzip is cut short | `compression::a_truncated_gzip_is_never_the_end_of_the_file` |
//! | 7 | several gzip members | `compression::all_gzip_members_are_read_and_garbage_is_refused` |
//! | 8 | garbage or padding behind them | the same |
//! | 9 | a file is listed twice | `files::a_file_named_twice_is_read_once_or_refused` |
//! | 10 | two rows of one key | `order::order_is_never_assumed_...`; program: `bad_input::two_rows_for_one_key` |
//! | 11 | two rows both the latest | `order::of_versions_the_latest_are_read_...`; then as 10 |
//! | 12 | columns in another order | `columns::columns_may_come_in_any_order_with_unknown_ones_between` |
//! | 13 | a column is missing | `columns::a_missing_field_is_named_before_anything_is_read` |
//! | 14 | an unknown column | as 12 |
//! | 15 | names in other case, with blanks | as 12 |
//! | 16 | a column comes twice | `columns::a_column_named_twice_is_refused` |
//! | 17 | too few or too many fields | `rows::a_row_with_too_few_or_too_many_fields_is_refused` |
//! | 18 | a key that does not decode | `rows::a_bad_row_is_named_by_file_and_number`, `rows::odd_keys_are_carried_...` |
//! | 19 | a key that is empty or too long | `rows::a_bad_row_is_named_by_file_and_number` |
//! | 20 | odd keys | `rows::odd_keys_are_carried_unchanged_...`, and the conformance suites |
//! | 21 | `a`, `a/` and `a/b` | the same |
//! | 22 | sizes that are none | `rows::a_size_that_is_none_is_refused_on_an_object`; of markers `order::of_versions_...` |
//! | 23 | sums beyond 64 bits | `manifest::sizes_that_no_sum_holds_do_not_wrap`; core: `counters::sums_stop_at_the_greatest_number` |
//! | 24 | tags of any form | `rows::tags_of_any_form_are_kept`; core: `change::etag_and_size_decide_before_time_and_class` |
//! | 25 | times of any form | `rows::times_are_read_as_clouds_write_them_and_no_clock_judges_them` |
//! | 26 | times behind the scan | the same |
//! | 27 | creation time in a wrong unit, odd folder | `manifest::creation_times_in_a_wrong_unit_are_refused_and_odd_folders_are_not` |
//! | 28 | of another bucket | `rows::a_bad_row_...`; engine: `select::age_staleness_and_bucket_are_refused_by_name`; program: `bad_input::an_inventory_of_another_bucket` |
//! | 29 | of a narrower prefix | engine: `select::a_prefix_must_contain_the_source_path`, `compare::a_key_outside_the_stated_prefix_is_refused_by_name`; program: `bad_input::an_inventory_of_a_narrower_prefix` |
//! | 30 | not newer than the last one | engine: `select::age_staleness_...`; program: `bad_input::an_inventory_not_newer_than_that_of_the_last_snapshot` |
//! | 31 | suddenly empty, or much smaller | `manifest::an_empty_list_of_files_is_legal`; engine: `guards`; program: `bad_input::an_inventory_that_is_empty_...`, `bad_input::more_than_half_...` |
//! | 32 | all versions after current ones | engine: `select::only_what_changes_the_meaning_of_a_comparison_is_a_scope_change`; program: `diffs::lists_of_all_versions_...` |
//! | 33 | a delete marker on both days | `order::of_versions_the_latest_are_read_and_of_delete_markers_nothing`: no entry, so no change |
//! | 34 | rewritten with equal bytes | core: `change::etag_and_size_decide_...`; engine: `days::a_rewrite_of_equal_bytes_...` |
//! | 35 | same size and time, other tag | core: `change::etag_and_size_decide_before_time_and_class` |
//! | 36 | only the class differs | the same |
//! | 37 | gone or changed before it is copied | engine: `faults::an_object_gone_since_...`, `faults::an_object_changed_since_...` |
//! | 38 | archived or denied | engine: `faults::an_archived_object_...`, `faults::an_object_that_is_denied_...` |
//! | 39 | a huge manifest | `manifest::a_manifest_beyond_its_limit_is_not_read`, `manifest::a_manifest_that_is_nested_...` |
//! | 40 | a decompression bomb | `compression::a_bomb_is_decompressed_piece_by_piece` |
//! | 41 | a mark of byte order | `rows::a_mark_of_byte_order_is_dropped_in_json_and_csv` |
//! | 42 | a file's key is a path | `files::a_file_key_is_never_a_path`; `removal::removal_spares_...` |
//! | 43 | footer and manifest differ | `columns::the_footer_of_parquet_files_wins_over_the_manifest` |
//! | 44 | statistics are missing or wrong | nothing here reads any; engine: `compare::disorder_found_late_voids_what_was_concluded` |
//! | 45 | it lists its own files | engine: `filter::exclusion_wins_over_inclusion`; program: `folders::filters_decide_what_is_in_scope` |

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod columns;
mod compression;
mod files;
mod manifest;
mod order;
mod readiness;
mod removal;
mod rows;
#[path = "../support/mod.rs"]
mod support;
