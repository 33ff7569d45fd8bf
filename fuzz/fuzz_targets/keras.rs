//! See `wgru_fuzz::keras`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    wgru_fuzz::keras(bytes);
});
