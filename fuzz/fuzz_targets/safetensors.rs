//! See `wgru_fuzz::safetensors`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    wgru_fuzz::safetensors(bytes);
});
