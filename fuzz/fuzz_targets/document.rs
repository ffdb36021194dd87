//! Fuzzes [`stocktake_fuzz::document`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    stocktake_fuzz::document(data);
});
