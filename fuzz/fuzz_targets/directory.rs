//! Fuzzes [`stocktake_fuzz::directory`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    stocktake_fuzz::directory(data);
});
