//! The CPU path's results, bit for bit, by instruction set: stored as hashes, so that a change of any bit is
//! deliberate. If one differs, the test prints the new ones.

use wgru::{
    Batch, Cell, Device, Direction, Layer, Model, Options, Readout, ReadoutSteps, Storage, Weights, model,
};

/// Instruction sets with fused multiply-add.
const FUSED: u64 = 0x2bf7_3929_001b_e42c;

/// Hashes of all results of [`everything`], with each set.
const KNOWN: [(&str, u64); 4] =
    [("avx512", FUSED), ("avx2", FUSED), ("neon", FUSED), ("portable", 0xc187_e2e7_439c_0d37)];

/// Fixed numbers from -1 to 1.
struct Numbers(u64);

impl Numbers {
    fn draw(&mut self, len: usize, scale: f32) -> Vec<f32> {
        let mut next = || {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // 24 bits, which f32 can represent.
            ((self.0 >> 40) as f32 / (1 << 23) as f32 - 1.0) * scale
        };
        (0..len).map(|_| next()).collect()
    }
}

/// A hash of the outputs (y, final states, readout) of runs of every cell. Sizes fill vectors or do not; runs are forward
/// or bidirectional, ragged or not, and stored in 32 or 16 bits.
fn everything(device: &Device) -> u64 {
    let mut numbers = Numbers(1);
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    let original = Cell::Gru { reset: model::Reset::Before, update: model::Update::Keeps };
    for cell in [Cell::GRU, original, Cell::LSTM, Cell::Rnn] {
        for (batch, steps, input, hidden, direction) in [
            (1, 9, 16, 64, Direction::Forward),
            (5, 7, 10, 61, Direction::Bidirectional),
            (33, 4, 7, 24, Direction::Forward),
        ] {
            let scale = 1.5 / (hidden as f32).sqrt();
            let gates = cell.gates() * hidden;
            let mut weights = || Weights {
                w_ih: numbers.draw(gates * input, scale),
                w_hh: numbers.draw(gates * hidden, scale),
                b_ih: Some(numbers.draw(gates, scale)),
                b_hh: Some(numbers.draw(gates, scale)),
                ..Weights::default()
            };
            let dirs = if direction == Direction::Bidirectional { 2 } else { 1 };
            let weights = (0..dirs).map(|_| weights()).collect();
            let layer = Layer::new(cell, direction, input, hidden, weights).unwrap();
            let w = numbers.draw(3 * dirs * hidden, scale);
            let readout = Readout::new(dirs * hidden, 3, ReadoutSteps::Every, w, None).unwrap();
            let model = Model::new(vec![layer]).unwrap().with_readout(readout).unwrap();
            let x = numbers.draw(batch * steps * input, 3.0);
            let lengths: Vec<u32> = (0..batch).map(|row| (row * 7 % steps + 1) as u32).collect();
            for storage in [Storage::F32, Storage::F16, Storage::Bf16] {
                let options = Options::default().weights(storage).activations(storage);
                let engine = device.load_with(&model, options).unwrap();
                let whole = Batch::new(&x, [batch, steps, input]).unwrap();
                for batch in [whole, whole.lengths(&lengths)] {
                    let output = engine.run(&batch).unwrap();
                    let arrays =
                        [Some(&output.y), Some(&output.h_n), output.c_n.as_ref(), output.out.as_ref()];
                    for number in arrays.into_iter().flatten().flatten() {
                        hash = (hash ^ u64::from(number.to_bits())).wrapping_mul(0x100_0000_01b3);
                    }
                }
            }
        }
    }
    hash
}

#[test]
fn the_cpu_paths_bits_are_unchanged() {
    let (mut seen, mut other) = (0, Vec::new());
    for (set, known) in KNOWN {
        for threads in [1, 2] {
            // The hash of a set that this machine lacks is checked on another machine.
            let Ok(device) = Device::open(&format!("cpu:{set}:{threads}")) else { continue };
            let own = everything(&device);
            if own != known {
                other.push(format!("{set} on {threads} threads: {own:#018x}"));
            }
            seen += 1;
        }
    }
    assert!(other.is_empty(), "bits that are not those that are known: {other:?}");
    assert!(seen >= 2, "plain code runs everywhere");
}
