//! Fuzzes [`stocktake_fuzz::records`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    stocktake_fuzz::records(data);
});
