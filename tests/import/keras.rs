//! Keras files: imported models give Keras' own numbers on the reference, the CPU path and every adapter; settings
//! that would change numbers and are not supported are refused by name.
//!
//! The files and Keras' results are created by `tests/goldens/make_keras.py` and `make_keras_graphs.py`.

mod graphs;
mod hdf5;
mod hostile;
mod laid_out;
mod stored;

use std::fs;
use std::path::PathBuf;

use crate::common::everywhere;
use crate::common::onnx_file::of_file;
use serde_json::{Value, json};
use wgru::import::Keras;
use wgru::model::{Activation, Function, Reset, Update};
use wgru::reference::Tolerance;
use wgru::{Batch, Cell, Direction, Error, Imported, Model, ReadoutActivation, ReadoutSteps};

// keras1.h5 holds big-endian f32, f64 and f16; cudnn.h5 has an array in chunks, shuffled and deflated.

/// The layers of the file of branches.
const BRANCHES: [&str; 12] = [
    "gru_after",
    "gru_before",
    "gru_hard",
    "gru_no_bias",
    "lstm",
    "lstm_softsign",
    "rnn_leaky",
    "rnn_backwards",
    "bidirectional_lstm",
    "bidirectional_gru",
    "cell_in_rnn",
    "inner/deep",
];

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/keras").join(name)
}

fn bytes(name: &str) -> Vec<u8> {
    fs::read(golden(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The configuration of the stack from `model.to_json()`.
fn stack_config() -> Value {
    serde_json::from_slice(&bytes("stack.json")).expect("JSON")
}

/// An array of `expected.json`.
fn expected(name: &str) -> (Vec<usize>, Vec<f32>) {
    array("expected.json", name)
}

/// An array of a file of Keras' results.
fn array(file: &str, name: &str) -> (Vec<usize>, Vec<f32>) {
    let all: Value = serde_json::from_slice(&bytes(file)).expect("JSON");
    let list = |key: &str| all[name][key].as_array().unwrap_or_else(|| panic!("no {name}")).clone();
    let shape = list("shape").iter().map(|v| v.as_u64().expect("a size") as usize).collect();
    (shape, list("data").iter().map(|v| v.as_f64().expect("a number") as f32).collect())
}

/// Keras' result for a layer: y, reversed where it goes backwards, or the last output of both directions.
fn as_keras_gives(layer: &str, shape: &[usize], y: &[f32], h_n: &[f32]) -> Vec<f32> {
    match *shape {
        // [D, B, H] to [B, D·H].
        [batch, features] => {
            let hidden = h_n.len() / 2 / batch;
            assert_eq!(features, 2 * hidden, "{layer}");
            let rows = |b: usize| [b, batch + b].map(|row| &h_n[row * hidden..][..hidden]).concat();
            (0..batch).flat_map(rows).collect()
        }
        [_, steps, features] if layer == "rnn_backwards" => {
            let reversed = |y: &[f32]| y.chunks(features).rev().flatten().copied().collect::<Vec<_>>();
            y.chunks(steps * features).flat_map(reversed).collect()
        }
        _ => y.to_vec(),
    }
}

fn assert_near(model: &Model, batch: &Batch<'_>, got: &[f32], want: &[f32], context: &str) {
    assert_eq!(got.len(), want.len(), "{context}");
    // Keras and the device are each within the tolerance of the true value.
    let largest = want.iter().fold(0.0, |all: f64, v| all.max(f64::from(v.abs())));
    let allowed = 2.0 * Tolerance::of(model, batch).at(largest);
    let error = got.iter().zip(want).fold(0.0, |all: f64, (g, w)| all.max(f64::from((g - w).abs())));
    assert!(error <= allowed, "{context}: off by {error:e}, allowed {allowed:e}");
}

fn read(file: &str, layer: &str) -> Imported {
    let imported = Keras::new().layer(layer).read(golden(file));
    imported.unwrap_or_else(|error| panic!("{layer} of {file}: {error}"))
}

#[test]
fn every_layer_gives_keras_numbers_on_every_device() {
    let (shape, x) = expected("x");
    let batch = Batch::new(&x, [shape[0], shape[1], shape[2]]).expect("x fits");
    let (deep_shape, deep_x) = expected("gru_after");
    let deep = Batch::new(&deep_x, [deep_shape[0], deep_shape[1], deep_shape[2]]).expect("x fits");
    let devices = everywhere();
    for layer in BRANCHES {
        let Imported { model, report } = read("branches.keras", layer);
        assert_eq!(read("branches.h5", layer).model, model, "{layer}: .h5 and .keras");
        assert!(report.decisions[0].starts_with("Keras 3: keras_version 3."), "{:?}", report.decisions);
        let (shape, want) = expected(layer);
        let batch = if layer == "inner/deep" { &deep } else { &batch };
        for device in &devices {
            let context = format!("{layer} on {}", device.info());
            let out = device.load(&model).and_then(|engine| engine.run(batch));
            let out = out.unwrap_or_else(|error| panic!("{context}: {error}"));
            let got = as_keras_gives(layer, &shape, &out.y, &out.h_n);
            assert_near(&model, batch, &got, &want, &context);
        }
    }
}

#[test]
fn a_stack_with_its_readout_gives_keras_numbers_from_every_kind_of_file() {
    let (shape, x) = expected("x");
    let batch = Batch::new(&x, [shape[0], shape[1], shape[2]]).expect("x fits");
    let how = Keras::new().layers(["first", "second"]).readout("head", ReadoutSteps::Last);
    let imported = how.read(golden("stack.keras")).expect("a whole file");
    let weights = how.clone().config(stack_config().to_string()).read(golden("stack.weights.h5"));
    assert_eq!(weights.expect("weights and configuration").model, imported.model);
    assert!(imported.report.left_over.is_empty(), "{:?}", imported.report.left_over);
    assert_eq!(imported.report.used.len(), 8);
    let (_, want) = expected("stack");
    for device in everywhere() {
        let out = device.load(&imported.model).and_then(|engine| engine.run(&batch)).expect("it runs");
        let got = out.out.expect("a readout");
        assert_near(&imported.model, &batch, &got, &want, &device.info().to_string());
    }
}

#[test]
fn layers_are_what_their_configuration_says() {
    let cell = |layer: &str| read("branches.keras", layer).model.cell();
    let before = Cell::Gru { reset: Reset::Before, update: Update::Keeps };
    assert_eq!([cell("gru_after"), cell("cell_in_rnn")], [Cell::GRU; 2]);
    assert_eq!([cell("gru_before"), cell("gru_no_bias")], [before; 2]);
    assert_eq!([cell("lstm"), cell("rnn_leaky")], [Cell::LSTM, Cell::Rnn]);
    let activations = |layer: &str| read("branches.keras", layer).model.layers()[0].activations()[0];
    let hard = Activation::hard_sigmoid(1.0 / 6.0, 0.5).expect("finite");
    let elu = Activation::new(Function::Elu, 1.0, 0.0).expect("finite");
    assert_eq!((activations("gru_hard").gate, activations("gru_hard").candidate), (hard, elu));
    let leaky = Activation::new(Function::LeakyRelu, 0.2, 0.0).expect("finite");
    assert_eq!(activations("rnn_leaky").gate, leaky);
    let softsign = Activation::new(Function::Softsign, 0.0, 0.0).expect("finite");
    let lstm = activations("lstm_softsign");
    assert_eq!((lstm.gate, lstm.candidate, lstm.output), (Activation::SIGMOID, softsign, softsign));
    let model = read("branches.keras", "gru_no_bias").model;
    assert_eq!(model.layers()[0].weights()[0].b_ih, None);
    for (layer, direction) in
        [("rnn_backwards", Direction::Reverse), ("bidirectional_gru", Direction::Bidirectional)]
    {
        assert_eq!(read("branches.keras", layer).model.layers()[0].direction(), direction);
    }
    let report = read("branches.keras", "rnn_backwards").report;
    assert!(report.decisions.iter().any(|line| line.contains("go_backwards")), "{:?}", report.decisions);
    assert!(report.decisions.iter().any(|line| line.contains("return_sequences")), "{:?}", report.decisions);
    assert_eq!((report.used.len(), report.left_over.is_empty()), (3, false));
}

#[test]
fn layouts_of_keras_1_and_of_cudnn_layers_hold_the_same_weights() {
    for (file, layer, same) in [
        ("keras1.h5", "gru_1", "gru_before"),
        ("keras1.h5", "lstm_1", "lstm"),
        ("cudnn.h5", "cu_gru", "gru_after"),
    ] {
        let (old, new) = (read(file, layer).model, read("branches.keras", same).model);
        assert_eq!(old.cell(), new.cell(), "{layer}");
        assert_eq!(old.layers()[0].weights(), new.layers()[0].weights(), "{layer}");
    }
    // This one is stored with 11 bits of mantissa.
    let (old, new) = (read("keras1.h5", "rnn_1").model, read("branches.keras", "rnn_leaky").model);
    let (old, new) = (&old.layers()[0].weights()[0], &new.layers()[0].weights()[0]);
    for (old, new) in old.w_ih.iter().chain(&old.w_hh).zip(new.w_ih.iter().chain(&new.w_hh)) {
        assert!((old - new).abs() <= new.abs() / 2048.0, "{old} for {new}");
    }
    let (old, new) = (read("cudnn.h5", "cu_lstm").model, read("branches.keras", "lstm").model);
    let (old, new) = (&old.layers()[0].weights()[0], &new.layers()[0].weights()[0]);
    assert_eq!((&old.w_ih, &old.w_hh), (&new.w_ih, &new.w_hh));
    assert_eq!(old.b_ih, old.b_hh);
    let doubled = old.b_ih.as_ref().map(|half| half.iter().map(|v| 2.0 * v).collect::<Vec<_>>());
    assert_eq!(doubled, new.b_ih);
    // Hard sigmoid as before Keras 3, and as the caller sets it.
    let gate = |model: &Model| model.layers()[0].activations()[0].gate;
    let hard = |alpha| Activation::hard_sigmoid(alpha, 0.5).expect("finite");
    assert_eq!(gate(&read("keras1.h5", "gru_1").model), hard(0.2));
    let told = Keras::new().layer("gru_1").keras_version(3).read(golden("keras1.h5")).expect("a whole file");
    assert_eq!(gate(&told.model), hard(1.0 / 6.0));
    assert_eq!(told.report.decisions[0], "Keras 3: as given by the caller");
}

#[test]
fn several_layers_are_listed_and_must_be_named() {
    let error = Keras::new().read(golden("branches.keras")).expect_err("which one?");
    let Error::Ambiguous { found, .. } = &error else { panic!("{error}") };
    assert_eq!(found.len(), BRANCHES.len(), "{error}");
    for line in [
        "gru_after: GRU forward [3→4]",
        "rnn_backwards: SimpleRNN reverse [3→4]",
        "bidirectional_lstm: LSTM bidirectional [3→4]",
        "inner/deep: GRU forward [4→4]",
    ] {
        assert!(found.iter().any(|found| found == line), "no \"{line}\": {error}");
    }
    let error = Keras::new().layer("x").read(golden("stack.keras")).expect_err("no such layer");
    assert!(matches!(&error, Error::Ambiguous { what, found } if what.contains("\"x\"") && found.len() == 2));
}

/// The error of reading the stack's weights with another configuration.
fn refused(how: &Keras, change: impl FnOnce(&mut Value)) -> Error {
    let mut config = stack_config();
    change(&mut config);
    let result = how.clone().config(config.to_string()).read(golden("stack.weights.h5"));
    of_file(result.expect_err("it must be refused"))
}

#[test]
fn a_key_that_would_change_numbers_is_refused_by_its_name() {
    let how = Keras::new().layer("first");
    for (key, value, words) in [
        ("zoneout", json!(0.1), "zoneout = 0.1"),
        ("activation", json!("gelu"), "\"gelu\""),
        ("activation", json!({"class_name": "PReLU", "config": {}}), "PReLU"),
        ("recurrent_activation", json!("hard_tanh"), "recurrent_activation"),
        ("dtype", json!("int8_from_float32"), "int8"),
        ("units", json!("four"), "units"),
        ("units", json!(5), "expected [3, 20], got [3, 16]"),
        ("use_bias", json!(false), "use_bias"),
        ("use_bias", json!(1), "use_bias"),
        ("go_backwards", json!("yes"), "go_backwards"),
        ("quantization_config", json!({"bits": 8}), "quantization_config"),
    ] {
        let error = refused(&how, |config| config["config"]["layers"][1]["config"][key] = value).to_string();
        assert!(error.contains(words), "{key}: {error}");
    }
    let error = refused(&how, |config| {
        let layer = config["config"]["layers"][1]["config"].as_object_mut().expect("a layer");
        layer.remove("recurrent_activation");
    });
    assert!(error.to_string().contains("no recurrent_activation"), "{error}");
    let error = refused(&how, |config| config["config"]["layers"][1]["class_name"] = json!("GRU"));
    assert!(error.to_string().contains("\"first\""), "{error}");
}

#[test]
fn a_stack_is_only_what_keras_computes_as_one() {
    let how = Keras::new().layers(["first", "second"]);
    let between =
        |class: &str| refused(&how, |config| config["config"]["layers"][2]["class_name"] = json!(class));
    for class in ["BatchNormalization", "Masking", "Lambda"] {
        let error = between(class).to_string();
        assert!(error.contains(class) && error.contains("between"), "{error}");
    }
    let error = refused(&how, |config| {
        config["config"]["layers"][1]["config"]["return_sequences"] = json!(false);
    });
    assert!(error.to_string().contains("gives no sequences"), "{error}");
    let swapped = Keras::new().layers(["second", "first"]).read(golden("stack.keras"));
    let swapped = of_file(swapped.expect_err("the other way round"));
    assert!(matches!(&swapped, Error::Mismatch { name, .. } if name.contains("first")), "{swapped}");
    // In a graph the connections count.
    let beside = Keras::new().layers(["gru_before", "gru_no_bias"]).read(golden("branches.keras"));
    assert!(beside.expect_err("side by side").to_string().contains("reads the input"));
    // Into a nested model too.
    let above = Keras::new().layers(["gru_after", "inner/deep"]).read(golden("branches.keras"));
    assert_eq!(above.expect("a stack").model.layers().len(), 2);
    let beside = Keras::new().layers(["gru_before", "inner/deep"]).read(golden("branches.keras"));
    assert!(beside.expect_err("another layer").to_string().contains("gru_after"));
}

#[test]
fn a_readout_has_the_activation_and_the_steps_of_keras() {
    let how = Keras::new().layers(["first", "second"]);
    let last = how.clone().readout("head", ReadoutSteps::Last);
    let set = |name: &'static str| {
        move |config: &mut Value| config["config"]["layers"][4]["config"]["activation"] = json!(name)
    };
    let error = refused(&last, set("gelu"));
    assert!(matches!(&error, Error::Unsupported { what } if what.contains("gelu")), "{error}");
    for activation in ReadoutActivation::ALL {
        let mut config = stack_config();
        set(activation.name())(&mut config);
        let imported =
            last.clone().config(config.to_string()).read(golden("stack.weights.h5")).expect("it is known");
        assert_eq!(imported.model.readout().map(wgru::Readout::activation), Some(activation));
    }
    let mut config = stack_config();
    set("sigmoid")(&mut config);
    let left = how.readout_without_activation("head", ReadoutSteps::Last).config(config.to_string());
    let left = left.read(golden("stack.weights.h5")).expect("the activation is the caller's");
    assert!(left.report.decisions.iter().any(|line| line.contains("left to the caller")));
    assert_eq!(left.model.readout().map(wgru::Readout::activation), Some(ReadoutActivation::Linear));
    let first = Keras::new().layer("first").readout("head", ReadoutSteps::Last);
    let error = first.read(golden("stack.keras")).expect_err("the second layer comes between");
    assert!(error.to_string().contains("\"second\""), "{error}");
    let error = Keras::new().layer("second").readout("tail", ReadoutSteps::Last).read(golden("stack.keras"));
    let error = error.expect_err("no such Dense");
    assert!(matches!(&error, Error::Ambiguous { found, .. } if found == &["head"]), "{error}");
    let backwards = Keras::new().layer("second").readout("head", ReadoutSteps::Last);
    let error =
        refused(&backwards, |config| config["config"]["layers"][3]["config"]["go_backwards"] = json!(true));
    assert!(error.to_string().contains("final state of a reverse layer"), "{error}");
}

#[test]
fn weights_alone_need_their_configuration_and_a_version_for_hard_sigmoid() {
    let error = Keras::new().layer("first").read(golden("stack.weights.h5")).expect_err("no configuration");
    assert!(error.to_string().contains("without the model's configuration"), "{error}");
    let mut config = stack_config();
    config["config"]["layers"][1]["config"]["recurrent_activation"] = json!("hard_sigmoid");
    let how = Keras::new().layer("first").config(config.to_string());
    let error = of_file(how.read(golden("stack.weights.h5")).expect_err("which hard sigmoid?"));
    assert!(
        matches!(&error, Error::Mismatch { reason, .. } if reason.contains("give the version")),
        "{error}"
    );
    config["config"]["layers"][1]["config"]["dtype"] = json!("mixed_float16");
    let how = how.config(config.to_string());
    for (version, alpha) in [(2, 0.2), (3, 1.0 / 6.0)] {
        let imported = how.clone().keras_version(version).read(golden("stack.weights.h5")).expect("told");
        let hard = Activation::hard_sigmoid(alpha, 0.5).expect("finite");
        assert_eq!(imported.model.layers()[0].activations()[0].gate, hard);
        let decisions = imported.report.decisions.join("; ");
        assert!(decisions.contains("computed in f32, its dtype is \"mixed_float16\""), "{decisions}");
    }
}
