//! See `wgru_fuzz::onnx`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    wgru_fuzz::onnx(bytes);
});
