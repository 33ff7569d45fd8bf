//! Any bytes as an ONNX file: listed, read as they are, and read with every option. Nothing may panic, take long
//! or allocate what the file merely claims.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wgru::import::Onnx;

fuzz_target!(|bytes: &[u8]| {
    let _ = Onnx::new().parse("fuzzed.onnx", bytes, None);
    let Ok(nodes) = Onnx::list_parsed("fuzzed.onnx", bytes, None) else { return };
    for node in nodes.iter().take(3) {
        let _ = Onnx::new().node(&node.name).linear_before_reset(true).parse("fuzzed.onnx", bytes, None);
    }
    if let [first, second, ..] = &nodes[..] {
        let _ = Onnx::new().node(format!("{},{}", first.name, second.name)).parse("fuzzed.onnx", bytes, None);
    }
});
