//! See `wgru_fuzz::snapshot`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    wgru_fuzz::snapshot(bytes);
});
