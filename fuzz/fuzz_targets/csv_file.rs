//! Fuzzes [`stocktake_fuzz::csv_file`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    stocktake_fuzz::csv_file(data);
});
