//! A published model beside the repository, if it is installed: GRU and LSTM of Keras 2.1.4 for traffic flow, MIT.

use std::fs;
use std::path::{Path, PathBuf};

use libtest_mimic::Trial;
use wgru::import::Keras;
use wgru::model::{Reset, Update};
use wgru::reference::Tolerance;
use wgru::{Batch, Cell, Error, Readout, ReadoutActivation, ReadoutSteps};

use crate::common::everywhere;
use crate::{shared, trial};

const WINDOW: usize = 12;

pub fn trials() -> Vec<Trial> {
    let folder = || shared("models/traffic_flow_gru");
    vec![
        trial(
            "published::keras::the_traffic_model_gives_its_published_errors_on_every_device",
            folder,
            published_errors,
        ),
        trial("published::keras::the_traffic_lstm_imports_and_layers_are_listed", folder, lstm_and_list),
    ]
}

/// The column of counts.
fn flow(path: &Path) -> Vec<f64> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let count = |line: &str| line.split(',').nth(1).and_then(|cell| cell.trim().parse().ok()).unwrap_or(0.0);
    text.lines().skip(1).map(count).collect()
}

/// MAE, MSE, RMSE, MAPE over the values above 0, and R².
fn metrics(truth: &[f64], got: &[f64]) -> [f64; 5] {
    let count = truth.len() as f64;
    let mean = truth.iter().sum::<f64>() / count;
    let pairs = || truth.iter().zip(got);
    let mae = pairs().map(|(t, g)| (t - g).abs()).sum::<f64>() / count;
    let mse = pairs().map(|(t, g)| (t - g).powi(2)).sum::<f64>() / count;
    let above = pairs().filter(|(t, _)| **t > 0.0);
    let (sum, n) = above.fold((0.0, 0.0), |(sum, n), (t, g)| (sum + (t - g).abs() / t, n + 1.0));
    let spread = truth.iter().map(|t| (t - mean).powi(2)).sum::<f64>() / count;
    [mae, mse, mse.sqrt(), 100.0 * sum / n, 1.0 - mse / spread]
}

fn traffic(kind: &str) -> Keras {
    let names = [format!("{kind}_1"), format!("{kind}_2")];
    Keras::new().layers(names).readout_without_activation("dense_1", ReadoutSteps::Last)
}

/// The figures of the model's own page, for its 4,308 windows as one batch.
fn published_errors(folder: PathBuf) {
    let imported = traffic("gru").read(folder.join("gru.h5")).expect("a whole file");
    let model = &imported.model;
    assert_eq!(model.cell(), Cell::Gru { reset: Reset::Before, update: Update::Keeps });
    assert_eq!([model.input(), model.hidden(), model.layers().len()], [1, 64, 2]);
    assert_eq!(imported.report.metadata.get("keras_version").map(String::as_str), Some("2.1.4"));
    assert!(imported.report.left_over.is_empty(), "{:?}", imported.report.left_over);
    let decisions = imported.report.decisions.join("; ");
    for word in ["no reset_after", "HardSigmoid(0.2, 0.5)", "sigmoid", "left to the caller"] {
        assert!(decisions.contains(word), "no {word}: {decisions}");
    }

    let train = flow(&folder.join("train.csv"));
    let low = train.iter().copied().fold(f64::INFINITY, f64::min);
    let span = train.iter().copied().fold(f64::NEG_INFINITY, f64::max) - low;
    let test = flow(&folder.join("test.csv"));
    let scaled: Vec<f32> = test.iter().map(|v| ((v - low) / span) as f32).collect();
    let windows: Vec<f32> = scaled.windows(WINDOW + 1).flat_map(|w| &w[..WINDOW]).copied().collect();
    let count = windows.len() / WINDOW;
    assert_eq!(count, 4308);
    let batch = Batch::new(&windows, [count, WINDOW, 1]).expect("windows fit");
    let mut first: Option<Vec<f32>> = None;
    for device in everywhere() {
        let out = device.load(model).and_then(|engine| engine.run(&batch)).expect("it runs");
        let out = out.out.expect("a readout");
        let flow = |v: &f32| span / (1.0 + (-f64::from(*v)).exp()) + low;
        let got: Vec<f64> = out.iter().map(flow).collect();
        let errors = metrics(&test[WINDOW..], &got);
        eprintln!("{}: MAE, MSE, RMSE, MAPE, R² {errors:.4?}", device.info());
        let published = [(7.20, 0.005), (99.32, 0.005), (9.97, 0.005), (16.78, 0.005), (0.9389, 0.00005)];
        for (error, (want, rounding)) in errors.into_iter().zip(published) {
            assert!((error - want).abs() <= rounding, "{}: {errors:?}", device.info());
        }
        let truth = first.get_or_insert_with(|| out.clone());
        let allowed = 2.0 * Tolerance::of(model, &batch).at(10.0);
        let off = truth.iter().zip(&out).fold(0.0, |all: f64, (t, o)| all.max(f64::from((t - o).abs())));
        assert!(off <= allowed, "{}: off by {off:e}, allowed {allowed:e}", device.info());
    }
}

fn lstm_and_list(folder: PathBuf) {
    let model = traffic("lstm").read(folder.join("lstm.h5")).expect("a whole file").model;
    assert_eq!((model.cell(), model.hidden(), model.layers().len()), (Cell::LSTM, 64, 2));
    let error = Keras::new().read(folder.join("gru.h5")).expect_err("two layers");
    let Error::Ambiguous { found, .. } = &error else { panic!("{error}") };
    assert_eq!(found, &["gru_1: GRU forward [1→64]", "gru_2: GRU forward [64→64]"]);
    let dense = Keras::new().layers(["gru_1", "gru_2"]).readout("dense_1", ReadoutSteps::Last);
    let model = dense.read(folder.join("gru.h5")).expect("a whole file").model;
    assert_eq!(model.readout().map(Readout::activation), Some(ReadoutActivation::Sigmoid));
}
