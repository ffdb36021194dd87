//! Fuzzes [`stocktake_fuzz::orc_file`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    stocktake_fuzz::orc_file(data);
});
