//! The goldens of this folder as models and batches of the crate. The scripts beside this file created them.
//!
//! ```text
//! pytorch      state dicts, read by the PyTorch importer          f64, 16 bits rounded by torch
//! onnxruntime  a file of many nodes, read by the ONNX importer    f32
//! keras        get_weights(), changed to the crate's layout here  f32
//! equations    the crate's own layout                             f64
//! ```

use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use safetensors::tensor::Dtype;
use serde_json::Value;
use wgru::dtype::Precision;
use wgru::import::Onnx;
use wgru::import::PyTorch;
use wgru::model::{Activation, Activations, Forget, Function, GateOrder, Reset, Update};
use wgru::{Cell, Dims, Direction, Layer, Layout, Model, Output, Padding, Storage, Weights};

use crate::common::Inputs;
use crate::golden::{Golden, Made};

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens").join(name)
}

/// A file of cases.
struct File {
    bytes: Vec<u8>,
    /// Properties of each case that its arrays do not show, by its name.
    cases: Value,
}

impl File {
    fn read(name: &str) -> Self {
        let bytes = std::fs::read(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let (_, header) = SafeTensors::read_metadata(&bytes).expect("a whole file");
        let cases = header.metadata().as_ref().and_then(|all| all.get("cases")).expect("cases").as_str();
        let cases = serde_json::from_str(cases).expect("JSON");
        Self { bytes, cases }
    }

    /// Every case by its name.
    fn map(&self, of: impl Fn(&Case<'_>) -> Vec<Golden>) -> Vec<Golden> {
        let tensors = SafeTensors::deserialize(&self.bytes).expect("a whole file");
        let cases = self.cases.as_object().expect("an object").iter();
        cases.flat_map(|(name, about)| of(&Case { name, about, tensors: &tensors })).collect()
    }
}

/// One case of a file.
struct Case<'a> {
    name: &'a str,
    about: &'a Value,
    tensors: &'a SafeTensors<'a>,
}

impl Case<'_> {
    fn wide(&self, key: &str) -> Option<Vec<f64>> {
        let tensor = self.tensors.tensor(&format!("{}.{key}", self.name)).ok()?;
        let data = tensor.data();
        Some(match tensor.dtype() {
            Dtype::F64 => {
                let bytes = data.chunks_exact(8);
                bytes.map(|b| f64::from_le_bytes(b.try_into().expect("eight bytes"))).collect()
            }
            Dtype::F32 => {
                let bytes = data.chunks_exact(4);
                bytes.map(|b| f64::from(f32::from_le_bytes(b.try_into().expect("four bytes")))).collect()
            }
            Dtype::F16 => {
                let bytes = data.chunks_exact(2);
                bytes.map(|b| half::f16::from_le_bytes([b[0], b[1]]).to_f64()).collect()
            }
            Dtype::I32 => {
                let bytes = data.chunks_exact(4);
                bytes.map(|b| f64::from(i32::from_le_bytes(b.try_into().expect("four bytes")))).collect()
            }
            other => panic!("{}.{key} is of {other:?}", self.name),
        })
    }

    fn array(&self, key: &str) -> Option<Vec<f32>> {
        Some(self.wide(key)?.into_iter().map(|v| v as f32).collect())
    }

    fn shape(&self, key: &str) -> [usize; 3] {
        let tensor = self.tensors.tensor(&format!("{}.{key}", self.name)).expect("an array");
        tensor.shape().try_into().expect("three dimensions")
    }

    fn flag(&self, key: &str) -> bool {
        self.about[key].as_bool().unwrap_or(false)
    }

    fn number(&self, key: &str) -> Option<f32> {
        self.about[key].as_f64().map(|number| number as f32)
    }

    fn size(&self, key: &str) -> usize {
        self.about[key].as_u64().expect("a size") as usize
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.about[key].as_str()
    }

    fn direction(&self, reverse: &str) -> Direction {
        match (self.flag("both"), self.flag(reverse)) {
            (true, _) => Direction::Bidirectional,
            (_, true) => Direction::Reverse,
            _ => Direction::Forward,
        }
    }

    /// The inputs under the names x, h0, c0 and lengths, with the file's names for them.
    fn inputs(&self, [x, h0, c0, lengths]: [&str; 4], layouts: (Layout, Layout), padding: Padding) -> Inputs {
        let [first, second, input] = self.shape(x);
        let batch_major = layouts.0 == Layout::BatchMajor;
        let (batch, steps) = if batch_major { (first, second) } else { (second, first) };
        let lengths = self.wide(lengths).map(|all| all.into_iter().map(|length| length as u32).collect());
        Inputs {
            dims: Dims::new(batch, steps).expect("not zero"),
            x: self.array(x).expect("x"),
            h0: self.array(h0),
            c0: self.array(c0),
            lengths,
            input,
            layouts,
            padding,
        }
    }

    fn output(&self, [y, h_n, c_n]: [&str; 3]) -> Output<f64> {
        let [y, h_n, c_n] = [y, h_n, c_n].map(|key| self.wide(key));
        Output { y: y.expect("y"), h_n: h_n.expect("h_n"), c_n, out: None }
    }
}

const OWN: [&str; 4] = ["x", "h0", "c0", "lengths"];

/// A case with `halves` is one golden for each of its types.
pub fn pytorch() -> Vec<Golden> {
    let file = File::read("pytorch.safetensors");
    file.map(|case| {
        let model = pytorch_model(case);
        let layout = if case.flag("batch_first") { Layout::BatchMajor } else { Layout::TimeMajor };
        let inputs = case.inputs(OWN, (layout, layout), Padding::Zero);
        let golden = |name: String, precision, made, expected| Golden {
            name,
            model: model.clone(),
            inputs: inputs.clone(),
            precision,
            expected,
            made,
        };
        let Some(halves) = case.about["halves"].as_array() else {
            let expected = case.output(["y", "h_n", "c_n"]);
            let precision = Precision::default();
            return vec![golden(format!("pytorch {}", case.name), precision, Made::F64, expected)];
        };
        let of = |half: &Value| {
            let half = half.as_str().expect("a type");
            let storage = if half == "f16" { Storage::F16 } else { Storage::Bf16 };
            let [y, h_n, c_n] = ["y", "h_n", "c_n"].map(|key| format!("{half}.{key}"));
            let precision = Precision { weights: storage, activations: storage };
            let expected = case.output([&y, &h_n, &c_n]);
            golden(format!("pytorch {} {half}", case.name), precision, Made::Rounded, expected)
        };
        halves.iter().map(of).collect()
    })
}

/// The file has a case's inputs and outputs beside its weights, which a model's file does not have.
fn pytorch_model(case: &Case<'_>) -> Model {
    let mut how = PyTorch::new().prefix(format!("{}.", case.name));
    if case.text("nonlinearity") == Some("relu") {
        how = how.nonlinearity(Activation::RELU);
    }
    let is_weight = |name: &str| {
        let part = name.strip_prefix(case.name).and_then(|name| name.strip_prefix('.'));
        part.is_some_and(|part| part.starts_with("weight_") || part.starts_with("bias_"))
    };
    let weights = case.tensors.iter().filter(|(name, _)| is_weight(name));
    let bytes = safetensors::serialize(weights, None).expect("a file");
    how.parse("pytorch.safetensors", &bytes).unwrap_or_else(|error| panic!("{}: {error}", case.name)).model
}

/// For a sequence without steps, ONNX Runtime's final state is 0; this crate's is its initial state, which replaces
/// it here.
pub fn onnx_runtime() -> Vec<Golden> {
    let file = File::read("onnxruntime.safetensors");
    file.map(|case| {
        let imported = Onnx::new().node(case.name).read_graph(path("onnxruntime.onnx"));
        let imported = imported.unwrap_or_else(|error| panic!("{}: {error}", case.name));
        assert_eq!(imported.layout, 0, "{}", case.name);
        let layouts = (Layout::TimeMajor, Layout::DirectionMajor);
        let inputs = case.inputs(["X", "initial_h", "initial_c", "sequence_lens"], layouts, Padding::Zero);
        let mut expected = case.output(["Y", "Y_h", "Y_c"]);
        let batch = inputs.dims.batch;
        for b in (0..batch).filter(|&b| inputs.lengths.as_ref().is_some_and(|all| all[b] == 0)) {
            let finals = [Some(&mut expected.h_n), expected.c_n.as_mut()];
            for (last, first) in finals.into_iter().zip([&inputs.h0, &inputs.c0]) {
                let (Some(last), Some(first)) = (last, first) else { continue };
                let features = imported.model.hidden();
                for state in 0..imported.model.num_states() {
                    let at = (state * batch + b) * features..(state * batch + b + 1) * features;
                    assert!(last[at.clone()].iter().all(|&v| v == 0.0), "{}: ONNX Runtime's rule", case.name);
                    for (last, first) in last[at.clone()].iter_mut().zip(&first[at]) {
                        *last = f64::from(*first);
                    }
                }
            }
        }
        vec![Golden {
            name: format!("onnxruntime {}", case.name),
            model: imported.model,
            inputs,
            precision: Precision::default(),
            expected,
            made: Made::F32,
        }]
    })
}

pub fn keras() -> Vec<Golden> {
    File::read("keras_layers.safetensors").map(|case| {
        // Bidirectional sets zero_output_for_mask for both its layers.
        let zero = case.flag("zero_output_for_mask") || case.flag("both");
        let fill = if zero { Padding::Zero } else { Padding::Last };
        vec![Golden {
            name: format!("keras {}", case.name),
            model: keras_model(case),
            inputs: case.inputs(OWN, (Layout::BatchMajor, Layout::BatchMajor), fill),
            precision: Precision::default(),
            expected: case.output(["y", "h_n", "c_n"]),
            made: Made::F32,
        }]
    })
}

fn keras_model(case: &Case<'_>) -> Model {
    let (cell, order) = match case.text("kind").expect("a kind") {
        "gru" => {
            let before = case.about["reset_after"] == false;
            let reset = if before { Reset::Before } else { Reset::After };
            (Cell::Gru { reset, update: Update::Keeps }, Some(GateOrder::Zrn))
        }
        "lstm" => (Cell::LSTM, Some(GateOrder::Ifgo)),
        _ => (Cell::Rnn, None),
    };
    let named = |key: &str, default: Activation| match case.text(key) {
        None => default,
        Some("hard_sigmoid") => Activation::hard_sigmoid(1.0 / 6.0, 0.5).expect("finite"),
        Some("softsign") => Activation::new(Function::Softsign, 0.0, 0.0).expect("no parameters"),
        Some("elu") => Activation::new(Function::Elu, 1.0, 0.0).expect("finite"),
        Some(other) => panic!("activation {other}"),
    };
    let tanh = named("activation", Activation::TANH);
    let gate = if cell == Cell::Rnn { tanh } else { named("recurrent_activation", Activation::SIGMOID) };
    let activations = Activations { gate, candidate: tanh, output: tanh };
    let (hidden, direction) = (case.size("hidden"), case.direction("go_backwards"));
    let biased = case.about["use_bias"] != false;
    let mut input = case.shape("x")[2];
    let layer = |index: usize| {
        let rows = cell.gates() * hidden;
        let weights = |direction: usize| {
            let arrays = if biased { 3 } else { 2 };
            let take = |place: usize| case.array(&format!("{index}.{}", direction * arrays + place));
            let mut bias = take(2).filter(|_| biased);
            let b_hh = bias.as_mut().filter(|bias| bias.len() > rows).map(|bias| bias.split_off(rows));
            let weights = Weights {
                w_ih: transposed(&take(0).expect("a kernel"), rows),
                w_hh: transposed(&take(1).expect("a kernel"), rows),
                b_ih: bias,
                b_hh,
                ..Weights::default()
            };
            order.map_or(weights.clone(), |order| weights.from_order(order).expect("whole blocks"))
        };
        let weights = (0..direction.count()).map(weights).collect();
        let layer = Layer::new(cell, direction, input, hidden, weights).expect("sizes fit");
        input = layer.output();
        layer.with_activations(vec![activations; direction.count()]).expect("one set per direction")
    };
    Model::new((0..case.size("layers")).map(layer).collect()).expect("layers fit")
}

/// `[columns, rows]` to `[rows, columns]`.
fn transposed(values: &[f32], rows: usize) -> Vec<f32> {
    (0..rows).flat_map(|row| values[row..].iter().step_by(rows)).copied().collect()
}

pub fn equations() -> Vec<Golden> {
    File::read("equations.safetensors").map(|case| {
        vec![Golden {
            name: format!("equations {}", case.name),
            model: equations_model(case),
            inputs: case.inputs(OWN, (Layout::BatchMajor, Layout::BatchMajor), Padding::Zero),
            precision: Precision::default(),
            expected: case.output(["y", "h_n", "c_n"]),
            made: Made::F64,
        }]
    })
}

fn equations_model(case: &Case<'_>) -> Model {
    let cell = match case.text("kind").expect("a kind") {
        "gru" => {
            let reset = if case.text("reset") == Some("before") { Reset::Before } else { Reset::After };
            let update = if case.text("update") == Some("takes") { Update::Takes } else { Update::Keeps };
            Cell::Gru { reset, update }
        }
        "lstm" => Cell::Lstm { forget: if case.flag("coupled") { Forget::Coupled } else { Forget::Own } },
        _ => Cell::Rnn,
    };
    let (hidden, direction) = (case.size("hidden"), case.direction("reverse"));
    let mut input = case.shape("x")[2];
    let layer = |index: usize| {
        let weights = |direction: usize| {
            let take = |name: &str| case.array(&format!("{index}.{direction}.{name}"));
            Weights {
                w_ih: take("w_ih").expect("given"),
                w_hh: take("w_hh").expect("given"),
                b_ih: take("b_ih"),
                b_hh: take("b_hh"),
                peepholes: take("peepholes"),
                w_hr: take("w_hr"),
            }
        };
        let weights = (0..direction.count()).map(weights).collect();
        let mut layer = Layer::new(cell, direction, input, hidden, weights).expect("sizes fit");
        input = layer.output();
        if let [alpha, beta] = case.about["hard_sigmoid"].as_array().map_or(&[][..], Vec::as_slice) {
            let [alpha, beta] = [alpha, beta].map(|v| v.as_f64().expect("a number") as f32);
            let gate = Activation::hard_sigmoid(alpha, beta).expect("finite");
            let activations = Activations { gate, ..Activations::of(cell) };
            layer = layer.with_activations(vec![activations; direction.count()]).expect("one per direction");
        }
        if let Some(clip) = case.number("clip") {
            layer = layer.with_clip(clip).expect("positive");
        }
        if let Some(clip) = case.number("state_clip") {
            layer = layer.with_state_clip(clip).expect("positive");
        }
        layer
    };
    Model::new((0..case.size("layers")).map(layer).collect()).expect("layers fit")
}
