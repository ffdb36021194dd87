//! Fuzzes [`stocktake_fuzz::etag`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    stocktake_fuzz::etag(data);
});
