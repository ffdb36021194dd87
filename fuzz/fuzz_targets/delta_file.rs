//! Fuzzes [`stocktake_fuzz::delta_file`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    stocktake_fuzz::delta_file(data);
});
