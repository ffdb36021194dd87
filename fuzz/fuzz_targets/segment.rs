//! Fuzzes [`stocktake_fuzz::segment`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    stocktake_fuzz::segment(data);
});
