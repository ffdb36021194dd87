//! Fuzzes [`stocktake_fuzz::schema`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    stocktake_fuzz::schema(data);
});
