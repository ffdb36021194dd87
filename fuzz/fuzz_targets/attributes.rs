//! Fuzzes [`stocktake_fuzz::attributes`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    stocktake_fuzz::attributes(data);
});
