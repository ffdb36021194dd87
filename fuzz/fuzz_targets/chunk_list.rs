//! Fuzzes [`stocktake_fuzz::chunk_list`].

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    stocktake_fuzz::chunk_list(data);
});
