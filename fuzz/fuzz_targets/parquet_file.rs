//! Fuzzes [`stocktake_fuzz::parquet_file`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    stocktake_fuzz::parquet_file(data);
});
