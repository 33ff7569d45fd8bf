//! Any bytes as a Keras file: listed, read as one layer, and as weights whose configuration is told.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wgru::import::Keras;

fuzz_target!(|bytes: &[u8]| {
    let _ = Keras::new().parse("fuzzed.h5", bytes);
    let _ = Keras::new().layers(["first", "second"]).keras_version(2).parse("fuzzed.keras", bytes);
});
