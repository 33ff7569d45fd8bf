//! Times runs on one thread of the CPU path and compares them with `Engine::expected`. The numbers in `src/cpu/times.rs`
//! come from this, and their error.
//!
//! `cargo run --release avx512 avx2 > predictions.csv`, in this folder, on an idle machine. Cases of `use` "fit" are a grid; those of
//! "check" are random, and were not used for fitting.

use std::time::Instant;

use wgru::{Batch, Cell, CpuOptions, Device, Direction, InstructionSet, Layer, Model, Weights};

/// The time of a run, the least time of all runs of a case, and the least number of runs.
const RUN: f64 = 6e-3;
const ALL: f64 = 0.04;
const RUNS: usize = 3;

/// Cell, B, I, H.
type Case = (&'static str, [usize; 3]);

fn cases() -> Vec<(&'static str, Case)> {
    let mut cases = Vec::new();
    for kind in ["gru", "lstm", "rnn"] {
        for batch in [1, 4, 16, 64, 256] {
            for hidden in [16, 64, 128, 256, 512, 1024] {
                for input in [16, hidden] {
                    cases.push(("fit", (kind, [batch, input, hidden])));
                }
            }
        }
        let mut rng = fastrand::Rng::with_seed(19);
        let mut size = |most: f64| (most.ln() * rng.f64()).exp().round() as usize;
        for _ in 0..30 {
            cases.push(("check", (kind, [size(256.0), size(512.0), 16 + size(1008.0)])));
        }
    }
    cases.dedup();
    cases
}

fn model(rng: &mut fastrand::Rng, (kind, [_, input, hidden]): Case) -> Model {
    let cell = match kind {
        "gru" => Cell::GRU,
        "lstm" => Cell::LSTM,
        _ => Cell::Rnn,
    };
    let (rows, scale) = (cell.gates() * hidden, 1.0 / (hidden as f32).sqrt());
    let mut values = |len: usize| (0..len).map(|_| (rng.f32() * 2.0 - 1.0) * scale).collect();
    let weights = Weights {
        w_ih: values(rows * input),
        w_hh: values(rows * hidden),
        b_ih: Some(values(rows)),
        b_hh: Some(values(rows)),
        ..Weights::default()
    };
    let layer = Layer::new(cell, Direction::Forward, input, hidden, vec![weights]);
    Model::new(vec![layer.expect("sizes fit")]).expect("one layer")
}

fn main() {
    let mut rng = fastrand::Rng::with_seed(1);
    let names: Vec<String> = std::env::args().skip(1).collect();
    let sets: Vec<_> =
        InstructionSet::available().filter(|set| names.iter().any(|name| name == set.name())).collect();
    println!("set,use,cell,b,t,i,h,measured_us,expected_us");
    for (of, case) in cases() {
        let (kind, [batch, input, hidden]) = case;
        let model = model(&mut rng, case);
        for &set in &sets {
            let device = Device::cpu_with(CpuOptions::default().threads(1).instructions(set))
                .expect("it is available");
            let engine = device.load(&model).expect("the model fits");
            let run = |steps: usize, least: usize, all: f64| {
                let mut rng = fastrand::Rng::with_seed(2);
                let x: Vec<f32> = (0..batch * steps * input).map(|_| rng.f32() * 2.0 - 1.0).collect();
                let inputs = Batch::new(&x, [batch, steps, input]).expect("x fits");
                let mut output = engine.run(&inputs).expect("the batch runs");
                let (mut times, began) = (Vec::new(), Instant::now());
                while times.len() < least || began.elapsed().as_secs_f64() < all {
                    let began = Instant::now();
                    engine.run_into(&inputs, &mut output).expect("the batch runs");
                    times.push(began.elapsed().as_secs_f64());
                }
                times.sort_by(f64::total_cmp);
                (times[times.len() / 2], engine.expected(inputs.run_shape()).expect("it runs").as_secs_f64())
            };
            let step = run(2, 1, 0.0).0 / 2.0;
            let steps = ((RUN / step) as usize).clamp(2, 4096);
            let (measured, expected) = run(steps, RUNS, ALL);
            let (measured, expected) = (measured * 1e6, expected * 1e6);
            println!("{set},{of},{kind},{batch},{steps},{input},{hidden},{measured:.1},{expected:.1}");
        }
    }
}
