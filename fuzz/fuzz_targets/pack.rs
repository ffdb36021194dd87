//! Fuzzes [`stocktake_fuzz::pack`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    stocktake_fuzz::pack(data);
});
