//! Fuzzes [`stocktake_fuzz::wrapped_key`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    stocktake_fuzz::wrapped_key(data);
});
