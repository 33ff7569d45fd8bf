//! RTNeural's test models, on the inputs and outputs of the framework that trained them.
//!
//! ```text
//! gru.json   Keras     dense 1 → 8, tanh; GRU 8 (z r h, reset after); dense 8 → 8, sigmoid; dense 8 → 1
//! gru_torch  PyTorch   GRU 1 → 8; GRU 8 of three layers; dense 8 → 1
//! ```
//!
//! The outputs of both are within ±1 and were computed in f32. The tolerance is 1.4e-7, a little more than two f32
//! steps below 1 (6.0e-8). The layers before the Keras GRU and after its first dense layer are computed here in f64.

use std::path::{Path, PathBuf};

use serde_json::Value;
use wgru::import::PyTorch;
use wgru::import::Tensor;
use wgru::model::GateOrder;
use wgru::{Batch, Cell, Device, Direction, Layer, Model, Readout, ReadoutSteps, Weights};

/// The figures in the README of the models.
const TOLERANCE: f64 = 1.4e-7;

fn csv(path: &Path) -> Vec<f64> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(|line| line.trim().parse().expect("a number")).collect()
}

/// An array of the file, `[rows, columns]`, as its transpose.
fn transposed(matrix: &Value) -> Vec<f32> {
    let rows: Vec<Vec<f32>> = matrix.as_array().expect("rows").iter().map(row).collect();
    (0..rows[0].len()).flat_map(|column| rows.iter().map(move |row| row[column])).collect()
}

fn row(values: &Value) -> Vec<f32> {
    values.as_array().expect("a row").iter().map(|v| v.as_f64().expect("a number") as f32).collect()
}

/// `activation(w x + b)` of every row of `x`, `[N, I]`; w is `[O, I]`.
fn dense(x: &[f64], weights: &Value, activation: fn(f64) -> f64) -> Vec<f64> {
    let (w, b) = (transposed(&weights[0]), row(&weights[1]));
    let input = w.len() / b.len();
    let unit = |x: &[f64], o: usize| {
        let w = &w[o * input..][..input];
        activation(x.iter().zip(w).map(|(x, &w)| x * f64::from(w)).sum::<f64>() + f64::from(b[o]))
    };
    x.chunks_exact(input).flat_map(|x| (0..b.len()).map(|o| unit(x, o)).collect::<Vec<_>>()).collect()
}

fn run(model: &Model, device: &Device, x: &[f32]) -> Vec<f32> {
    let steps = x.len() / model.input();
    let batch = Batch::new(x, [1, steps, model.input()]).expect("x fits");
    let engine = device.load_with(model, crate::common::options()).expect("the model fits");
    engine.run(&batch).expect("the model runs").out.expect("a readout")
}

fn holds(name: &str, device: &Device, got: &[f64], expected: &[f64]) {
    assert_eq!(got.len(), expected.len());
    let errors = got.iter().zip(expected).map(|(a, b)| (a - b).abs());
    let error = errors.fold(0.0, |all: f64, e| if e.is_nan() { f64::INFINITY } else { all.max(e) });
    eprintln!("rtneural {name}: off by {error:.3e} on {}", device.info());
    assert!(error <= TOLERANCE, "{name} on {}: off by {error:e}", device.info());
}

pub fn keras_gru(folder: PathBuf) {
    let json = super::json(&folder.join("gru.json"));
    let weights: Vec<&Value> =
        json["layers"].as_array().expect("layers").iter().map(|l| &l["weights"]).collect();
    let [before, gru, dense_1, dense_2] = weights[..] else { panic!("four layers") };
    let set = Weights {
        w_ih: transposed(&gru[0]),
        w_hh: transposed(&gru[1]),
        b_ih: Some(row(&gru[2][0])),
        b_hh: Some(row(&gru[2][1])),
        ..Weights::default()
    };
    let set = set.from_order(GateOrder::Zrn).expect("three gates");
    let readout = Readout::new(8, 8, ReadoutSteps::Every, transposed(&dense_1[0]), Some(row(&dense_1[1])));
    let layer = Layer::new(Cell::GRU, Direction::Forward, 8, 8, vec![set]).expect("8 to 8");
    let model = Model::new(vec![layer]).and_then(|model| model.with_readout(readout?)).expect("a stack");
    let x = dense(&csv(&folder.join("gru_x_python.csv")), before, f64::tanh);
    let x: Vec<f32> = x.iter().map(|&v| v as f32).collect();
    let expected = csv(&folder.join("gru_y_python.csv"));
    for device in crate::common::everywhere() {
        let hidden: Vec<f64> =
            run(&model, &device, &x).iter().map(|&v| 1.0 / (1.0 + f64::from(-v).exp())).collect();
        holds("gru", &device, &dense(&hidden, dense_2, |v| v), &expected);
    }
}

pub fn pytorch_grus(folder: PathBuf) {
    let path = folder.join("gru_torch.safetensors");
    let layers = |prefix: &str| {
        let imported = PyTorch::new().prefix(prefix).read(&path).unwrap_or_else(|error| panic!("{error}"));
        imported.model.layers().to_vec()
    };
    let tensors = super::tensors(&path);
    let tensor = |name: &str| -> Vec<f32> {
        let found = tensors.iter().find(|tensor: &&Tensor| tensor.name == name);
        found.expect("a dense layer").data.clone()
    };
    let readout = Readout::new(8, 1, ReadoutSteps::Every, tensor("dense.weight"), Some(tensor("dense.bias")));
    let model = Model::new([layers("gru"), layers("gru2")].concat());
    let model = model.and_then(|model| model.with_readout(readout?)).expect("a stack");
    assert_eq!(model.layers().len(), 4);
    let x: Vec<f32> = csv(&folder.join("gru_torch_x_python.csv")).iter().map(|&v| v as f32).collect();
    let expected = csv(&folder.join("gru_torch_y_python.csv"));
    for device in crate::common::everywhere() {
        let y: Vec<f64> = run(&model, &device, &x).iter().map(|&v| f64::from(v)).collect();
        holds("gru_torch", &device, &y, &expected);
    }
}
