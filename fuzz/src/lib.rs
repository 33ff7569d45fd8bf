//! The code that each fuzz target runs on its bytes. `fuzz_targets/` runs these functions under the fuzzer,
//! `tests/import/corpus.rs` as an ordinary test. Nothing may panic, take long, or allocate memory for false claims of
//! the file.

use std::sync::LazyLock;

use wgru::import::{Keras, Limits, Onnx, PyTorch, read_tensors};
use wgru::{Cell, Device, Direction, Engine, Layer, Model, PoolOptions, ReadoutSteps, Snapshot, Weights};

/// A target: returns whether anything could be read from the bytes.
pub type Target = fn(&[u8]) -> bool;

/// The targets, by the names of their corpora.
pub const TARGETS: [(&str, Target); 4] =
    [("keras", keras), ("onnx", onnx), ("safetensors", safetensors), ("snapshot", snapshot)];

/// Any bytes as a Keras file: listed, read as one layer, as a layer of a graph with its readout, as a layer of a
/// nested model, and as weights with a separate configuration.
pub fn keras(bytes: &[u8]) -> bool {
    let limits = Limits::default().header(16 << 20).decompressed(64 << 20);
    let keras = || Keras::new().limits(limits);
    let one = keras().parse("fuzzed.h5", bytes);
    let told = keras().layers(["first", "second"]).keras_version(2).parse("fuzzed.keras", bytes);
    let stack = keras().layers(["back", "on_back"]).readout("head", ReadoutSteps::Every);
    let stack = stack.states_given().parse("fuzzed.keras", bytes);
    let inner = keras().layers(["inner/gru_1"]).parse("fuzzed.h5", bytes);
    one.is_ok() || told.is_ok() || stack.is_ok() || inner.is_ok()
}

/// Any bytes as an ONNX file: read directly, listed, and read with every option.
pub fn onnx(bytes: &[u8]) -> bool {
    let mut read = Onnx::new().parse_graph("fuzzed.onnx", bytes, None).is_ok();
    let Ok(nodes) = Onnx::list_parsed("fuzzed.onnx", bytes, None) else { return read };
    for node in nodes.iter().take(3) {
        let told = Onnx::new().node(&node.name).linear_before_reset(true);
        read |= told.parse_graph("fuzzed.onnx", bytes, None).is_ok();
    }
    if let [first, second, ..] = &nodes[..] {
        let stack = Onnx::new().node(format!("{},{}", first.name, second.name));
        read |= stack.parse_graph("fuzzed.onnx", bytes, None).is_ok();
    }
    read
}

/// Any bytes as a safetensors file: as PyTorch weights, with and without a readout, and as plain arrays.
pub fn safetensors(bytes: &[u8]) -> bool {
    let model = PyTorch::new().parse("fuzzed.safetensors", bytes);
    let told = PyTorch::new().cell(Cell::LSTM).prefix("rnn").readout("head", ReadoutSteps::Every);
    let told = told.parse("fuzzed.safetensors", bytes);
    let small = Limits::default().tensors(8).header(512);
    let small = PyTorch::new().prefix("module").limits(small).parse("fuzzed.pt", bytes);
    let arrays = read_tensors("fuzzed.safetensors", bytes);
    model.is_ok() || told.is_ok() || small.is_ok() || arrays.is_ok()
}

/// The model whose streams the seeds hold: `tests/pool/files/snapshot-*.safetensors`.
static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let layer = |input: usize| {
        let weights = Weights { w_ih: vec![0.1; 12 * input], w_hh: vec![0.1; 36], ..Weights::default() };
        Layer::new(Cell::LSTM, Direction::Forward, input, 3, vec![weights]).expect("a layer")
    };
    let model = Model::new(vec![layer(2), layer(3)]).expect("a model");
    Device::cpu().load(&model).expect("the CPU takes it")
});

/// Any bytes as a snapshot of a pool's streams, and a pool created from it: it computes a frame of each stream and is
/// saved again.
pub fn snapshot(bytes: &[u8]) -> bool {
    let Ok(snapshot) = Snapshot::parse("fuzzed.safetensors", bytes) else { return false };
    let Ok(mut pool) = ENGINE.pool_from(&snapshot, PoolOptions::growing(1)) else { return false };
    let streams: Vec<_> = snapshot.streams().map(|(stream, ..)| stream).collect();
    for stream in streams {
        let _ = pool.push(stream, &[0.5, -0.5]);
    }
    let _ = pool.tick();
    let again = pool.snapshot().and_then(|snapshot| snapshot.to_bytes());
    assert!(again.is_ok(), "a pool that was read cannot be saved");
    true
}
