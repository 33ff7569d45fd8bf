//! Any bytes as a Keras file: listed, read as one layer, as a layer of a graph with its readout, as one of a model
//! inside the model, and as weights whose configuration is told.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wgru::import::{Keras, Limits};
use wgru::ReadoutSteps;

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { header: 16 << 20, decompressed: 64 << 20, ..Limits::default() };
    let keras = || Keras::new().limits(limits);
    let _ = keras().parse("fuzzed.h5", bytes);
    let _ = keras().layers(["first", "second"]).keras_version(2).parse("fuzzed.keras", bytes);
    let stack = keras().layers(["back", "on_back"]).readout("head", ReadoutSteps::Every);
    let _ = stack.states_given().parse("fuzzed.keras", bytes);
    let _ = keras().layers(["inner/gru_1"]).parse("fuzzed.h5", bytes);
});
