//! Fuzzes [`stocktake_fuzz::parquet`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    stocktake_fuzz::parquet(data);
});
