//! Any bytes as a snapshot of a pool's streams, and a pool of what is read.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use wgru::{Cell, Device, Direction, Engine, Layer, Model, PoolOptions, Snapshot, Weights};

/// The model whose streams the seeds are of: `tests/pool/files/snapshot-*.safetensors`.
static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let layer = |input: usize| {
        let weights = Weights { w_ih: vec![0.1; 12 * input], w_hh: vec![0.1; 36], ..Weights::default() };
        Layer::new(Cell::LSTM, Direction::Forward, input, 3, vec![weights]).expect("a layer")
    };
    let model = Model::new(vec![layer(2), layer(3)]).expect("a model");
    Device::cpu().load(&model).expect("the CPU takes it")
});

fuzz_target!(|bytes: &[u8]| {
    let Ok(snapshot) = Snapshot::parse("fuzzed.safetensors", bytes) else { return };
    let Ok(mut pool) = ENGINE.pool_from(&snapshot, PoolOptions::growing(1)) else { return };
    let streams: Vec<_> = snapshot.streams().map(|(stream, ..)| stream).collect();
    for stream in streams {
        let _ = pool.push(stream, &[0.5, -0.5]);
    }
    let _ = pool.tick();
    let again = pool.save_all().and_then(|snapshot| snapshot.to_bytes());
    assert!(again.is_ok());
});
