//! Fuzzes [`stocktake_fuzz::delta_manifest`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    stocktake_fuzz::delta_manifest(data);
});
