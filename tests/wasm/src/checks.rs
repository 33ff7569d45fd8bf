//! Random models of every cell, on the CPU path and on the reference.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use wgru::dtype::Precision;
use wgru::reference::{self, Tolerance, compare};
use wgru::{
    Batch, Cell, CpuOptions, Device, Direction, InstructionSet, Layer, Model, Options, Result, Storage,
    Weights,
};

/// Rows of each run: fewer and more than any tile has, and no multiple of one.
const BATCHES: [usize; 4] = [1, 2, 5, 19];
const STEPS: usize = 7;

/// The result of a future that never waits: on the CPU path a future is ready when first polled.
fn ready<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("a future of the CPU path waits"),
    }
}

/// How weights and activations are stored.
const PRECISIONS: [Precision; 5] = [
    stored(Storage::F32, Storage::F32),
    stored(Storage::F16, Storage::F32),
    stored(Storage::Bf16, Storage::F32),
    stored(Storage::F16, Storage::F16),
    stored(Storage::Bf16, Storage::Bf16),
];

const fn stored(weights: Storage, activations: Storage) -> Precision {
    Precision { weights, activations }
}

/// Every cell in every convention, and the LSTM with peepholes.
fn cells() -> impl Iterator<Item = (Cell, bool)> {
    Cell::ALL.into_iter().map(|cell| (cell, false)).chain([(Cell::LSTM, true)])
}

/// A summary, and a line for each check that failed.
pub fn run(seed: u64) -> (String, Vec<String>) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let (mut runs, mut failures) = (0, Vec::new());
    for (cell, peepholes) in cells() {
        for precision in PRECISIONS {
            for batch in BATCHES {
                let model = model(&mut rng, cell, peepholes).expect("the sizes fit");
                let x = values(&mut rng, batch * STEPS * model.input(), 1.5);
                for set in InstructionSet::available() {
                    runs += 1;
                    let context = format!(
                        "{set}, weights {}, activations {}, {model}, {batch} rows",
                        precision.weights, precision.activations
                    );
                    match check(&model, &x, batch, precision, set) {
                        Ok(wrong) => failures.extend(wrong.map(|wrong| format!("{context}: {wrong}"))),
                        Err(error) => failures.push(format!("{context}: {error}")),
                    }
                }
            }
        }
    }
    let sets: Vec<&str> = InstructionSet::available().map(InstructionSet::name).collect();
    (format!("{}: {runs} runs", sets.join(", ")), failures)
}

/// A sequence run is within the tolerance of the reference, and a session's steps have its bits. Returns the first
/// fault.
fn check(
    model: &Model,
    x: &[f32],
    batch: usize,
    precision: Precision,
    set: InstructionSet,
) -> Result<Option<String>> {
    let device = Device::cpu_with(CpuOptions::default().instructions(set))?;
    let options =
        Options::default().weights(precision.weights).activations(precision.activations).fill_nan(true);
    let engine = device.load_with(model, options)?;
    let input = Batch::new(x, [batch, STEPS, model.input()])?;
    let output = ready(engine.run_async(&input))?;
    let truth = reference::run(model, &input)?;
    // The weights are exact in 16 bits, so only the rounding of activations counts.
    let tolerance = Tolerance::stored(model, &input, stored(Storage::F32, precision.activations));
    for array in compare(&truth, &output, tolerance) {
        if !array.passes() {
            let (error, tolerance) = (array.error, array.tolerance);
            return Ok(Some(format!("{} is off by {error:e}, allowed {tolerance:e}", array.array)));
        }
    }
    if model.layers().iter().any(|layer| layer.direction() != Direction::Forward) {
        return Ok(None);
    }
    let mut session = engine.session(batch)?;
    for step in 0..STEPS {
        let row = |array: &[f32], b: usize, features: usize| {
            array[(b * STEPS + step) * features..][..features].to_vec()
        };
        let frames: Vec<f32> = (0..batch).flat_map(|b| row(x, b, model.input())).collect();
        let expected = (0..batch).flat_map(|b| row(&output.y, b, model.output()));
        let y = ready(session.step_async(&frames))?.y;
        if !y.iter().copied().map(f32::to_bits).eq(expected.map(f32::to_bits)) {
            return Ok(Some(format!("step {step} has other bits than the sequence")));
        }
    }
    Ok(None)
}

/// Two layers, of one direction or of both, with and without partly filled vectors.
fn model(rng: &mut fastrand::Rng, cell: Cell, peepholes: bool) -> Result<Model> {
    let direction = if rng.bool() { Direction::Forward } else { Direction::Bidirectional };
    let (hidden, mut input) = (rng.usize(1..=40), rng.usize(1..=20));
    // A power of two near 1/√H.
    let (rows, scale) = (cell.gates() * hidden, 0.5f32.powi(hidden.ilog2() as i32 / 2));
    let mut layers = Vec::new();
    for _ in 0..2 {
        let weights = (0..direction.count()).map(|_| Weights {
            w_ih: weights_of(rng, rows * input, scale),
            w_hh: weights_of(rng, rows * hidden, scale),
            b_ih: Some(weights_of(rng, rows, scale)),
            b_hh: Some(weights_of(rng, rows, scale)),
            peepholes: peepholes.then(|| weights_of(rng, 3 * hidden, 1.0)),
            ..Weights::default()
        });
        let weights = weights.collect();
        let layer = Layer::new(cell, direction, input, hidden, weights)?;
        input = layer.output();
        layers.push(layer);
    }
    Model::new(layers)
}

/// `len` weights in −scale .. scale, a power of two, that are exact in f16 and bf16.
fn weights_of(rng: &mut fastrand::Rng, len: usize, scale: f32) -> Vec<f32> {
    (0..len).map(|_| rng.i32(-127..=127) as f32 / 128.0 * scale).collect()
}

/// `len` values in −scale .. scale.
fn values(rng: &mut fastrand::Rng, len: usize, scale: f32) -> Vec<f32> {
    (0..len).map(|_| (rng.f32() * 2.0 - 1.0) * scale).collect()
}

/// The checks themselves, with the instructions of the machine that runs the tests.
#[cfg(test)]
mod tests {
    #[test]
    fn every_check_passes() {
        let seed = std::env::var("WGRU_SEED").map_or(20, |seed| seed.parse().expect("WGRU_SEED"));
        let (summary, failures) = super::run(seed);
        assert!(summary.contains("portable"), "{summary}");
        assert!(failures.is_empty(), "seed {seed}: {failures:#?}");
    }
}
