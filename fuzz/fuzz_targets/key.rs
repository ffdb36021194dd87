//! Fuzzes [`stocktake_fuzz::key`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    stocktake_fuzz::key(data);
});
