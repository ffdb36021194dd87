//! Fuzzes [`stocktake_fuzz::config`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    stocktake_fuzz::config(data);
});
