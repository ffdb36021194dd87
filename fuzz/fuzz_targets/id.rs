//! Fuzzes [`stocktake_fuzz::id`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    stocktake_fuzz::id(data);
});
