//! Fuzzes [`stocktake_fuzz::time`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    stocktake_fuzz::time(data);
});
