//! Any bytes as a safetensors file: as weights of PyTorch, with and without a readout, and as plain arrays.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wgru::import::{Limits, PyTorch, read_tensors};
use wgru::{Cell, ReadoutSteps};

fuzz_target!(|bytes: &[u8]| {
    let _ = PyTorch::new().parse("fuzzed.safetensors", bytes);
    let told = PyTorch::new().cell(Cell::LSTM).prefix("rnn").readout("head", ReadoutSteps::Every);
    let _ = told.parse("fuzzed.safetensors", bytes);
    let small = Limits { tensors: 8, header: 512, ..Limits::default() };
    let _ = PyTorch::new().prefix("module").limits(small).parse("fuzzed.pt", bytes);
    let _ = read_tensors("fuzzed.safetensors", bytes);
});
