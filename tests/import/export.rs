//! Export: an exported file reads back with the same bits, and features that a format lacks are refused by name.

use wgru::export;
use wgru::import::OnnxInput;
use wgru::import::{Onnx, PyTorch};
use wgru::model::{Activation, Activations, Forget, Function, Reset, Update};
use wgru::reference;
use wgru::{
    Batch, Cell, Direction, Error, Layer, Merge, Model, Readout, ReadoutActivation, ReadoutSteps, Weights,
};

const TAKES: Cell = Cell::Gru { reset: Reset::After, update: Update::Takes };
const BEFORE: Cell = Cell::Gru { reset: Reset::Before, update: Update::Keeps };
const COUPLED: Cell = Cell::Lstm { forget: Forget::Coupled };
const DIRECTIONS: [Direction; 3] = [Direction::Forward, Direction::Reverse, Direction::Bidirectional];

/// Tensor `k`: numbers that use all their bits, none of them 0.
fn v(k: usize, len: usize) -> Vec<f32> {
    (0..len).map(|i| (((i * 7919 + k * 104_729) % 1021) as f32 + 0.1) / 1021.0 - 0.5).collect()
}

/// The varied properties of a layer; I = 2 and H = 3.
#[derive(Clone, Copy)]
struct Kind {
    cell: Cell,
    direction: Direction,
    layers: usize,
    /// Whether there is a `b_ih`, and a `b_hh`.
    biases: [bool; 2],
    peepholes: bool,
    projection: Option<usize>,
}

impl Kind {
    fn new(cell: Cell, direction: Direction) -> Self {
        Self { cell, direction, layers: 1, biases: [true, true], peepholes: false, projection: None }
    }

    fn stack(self) -> Vec<Layer> {
        let (hidden, dirs) = (3, self.direction.count());
        let (rows, state) = (self.cell.gates() * hidden, self.projection.unwrap_or(hidden));
        let layer = |index: usize| {
            let input = if index == 0 { 2 } else { dirs * state };
            let set = |d: usize| {
                let k = 6 * (index * dirs + d);
                Weights {
                    w_ih: v(k, rows * input),
                    w_hh: v(k + 1, rows * state),
                    b_ih: self.biases[0].then(|| v(k + 2, rows)),
                    b_hh: self.biases[1].then(|| v(k + 3, rows)),
                    peepholes: self.peepholes.then(|| v(k + 4, 3 * hidden)),
                    w_hr: self.projection.map(|state| v(k + 5, state * hidden)),
                }
            };
            Layer::new(self.cell, self.direction, input, hidden, (0..dirs).map(set).collect())
        };
        (0..self.layers).map(|index| layer(index).expect("sizes fit")).collect()
    }

    fn model(self) -> Model {
        Model::new(self.stack()).expect("layers fit")
    }

    /// The same layers in the form that both formats share: z keeps, biases both or none.
    fn as_written(self) -> Model {
        let cell = match self.cell {
            Cell::Gru { reset, .. } => Cell::Gru { reset, update: Update::Keeps },
            other => other,
        };
        let biased = self.biases[0] || self.biases[1];
        let convert = |layer: Layer| {
            let hidden = layer.hidden();
            let set = |mut set: Weights| {
                if self.cell != cell {
                    for (values, columns) in
                        [(&mut set.w_ih, layer.input()), (&mut set.w_hh, layer.state_size())]
                    {
                        values[hidden * columns..2 * hidden * columns].iter_mut().for_each(|w| *w = -*w);
                    }
                    for bias in [&mut set.b_ih, &mut set.b_hh].into_iter().flatten() {
                        bias[hidden..2 * hidden].iter_mut().for_each(|w| *w = -*w);
                    }
                }
                let zeros = || biased.then(|| vec![0.0; cell.gates() * hidden]);
                Weights { b_ih: set.b_ih.or_else(zeros), b_hh: set.b_hh.or_else(zeros), ..set }
            };
            let sets = layer.weights().iter().cloned().map(set).collect();
            Layer::new(cell, layer.direction(), layer.input(), hidden, sets).expect("sizes fit")
        };
        Model::new(self.stack().into_iter().map(convert).collect()).expect("layers fit")
    }
}

/// Equal, and every weight bit by bit.
fn assert_same(got: &Model, expected: &Model) {
    assert_eq!(got, expected);
    let bits = |model: &Model| -> Vec<u32> {
        let sets = model.layers().iter().flat_map(Layer::weights);
        let all = sets.flat_map(|set| {
            let optional = [&set.b_ih, &set.b_hh, &set.peepholes, &set.w_hr].into_iter().flatten();
            [&set.w_ih, &set.w_hh].into_iter().chain(optional).flatten()
        });
        all.map(|v| v.to_bits()).collect()
    };
    assert_eq!(bits(got), bits(expected), "{expected}");
}

fn from_pytorch(model: &Model) -> Model {
    let bytes = export::pytorch(model).unwrap_or_else(|error| panic!("{model}: {error}"));
    assert_eq!(export::pytorch(model).ok().as_ref(), Some(&bytes), "one model gives one file");
    let imported =
        PyTorch::new().parse("x.safetensors", &bytes).unwrap_or_else(|error| panic!("{model}: {error}"));
    assert!(imported.report.left_over.is_empty(), "{:?}", imported.report.left_over);
    imported.model
}

fn from_onnx(model: &Model) -> Model {
    let bytes = export::onnx(model).unwrap_or_else(|error| panic!("{model}: {error}"));
    let imported =
        Onnx::new().parse_graph("x.onnx", &bytes, None).unwrap_or_else(|error| panic!("{model}: {error}"));
    assert!(imported.whole_graph && imported.layout == 0, "{model}");
    assert_eq!((imported.y.as_deref(), imported.y_h.as_deref()), (Some("Y"), Some("Y_h")));
    assert_eq!(imported.sequence_lens, OnnxInput::Absent);
    imported.model
}

const BIASES: [[bool; 2]; 4] = [[false, false], [true, false], [false, true], [true, true]];

#[test]
fn pytorch_and_back_to_the_bit() {
    for cell in [Cell::GRU, TAKES, Cell::LSTM, Cell::Rnn] {
        for direction in [Direction::Forward, Direction::Bidirectional] {
            for (layers, biases) in
                [1, 2, 11].into_iter().flat_map(|layers| BIASES.map(|biases| (layers, biases)))
            {
                let kind = Kind { layers, biases, ..Kind::new(cell, direction) };
                assert_same(&from_pytorch(&kind.model()), &kind.as_written());
                let projected = Kind { projection: Some(2), ..kind };
                if cell == Cell::LSTM {
                    assert_same(&from_pytorch(&projected.model()), &projected.as_written());
                }
            }
        }
    }
}

#[test]
fn pytorch_keeps_the_nonlinearity_and_the_readout() {
    let relu = Activations { gate: Activation::RELU, ..Activations::of(Cell::Rnn) };
    let kind = Kind { layers: 2, ..Kind::new(Cell::Rnn, Direction::Bidirectional) };
    let layers = kind.stack().into_iter().map(|layer| layer.with_activations(vec![relu; 2]));
    let model = Model::new(layers.collect::<Result<_, _>>().expect("two directions")).expect("layers fit");
    assert_same(&from_pytorch(&model), &model);

    for (steps, at) in [(ReadoutSteps::Every, "every"), (ReadoutSteps::Last, "last")] {
        for b in [None, Some(v(8, 4))] {
            let readout = Readout::new(6, 4, steps, v(7, 24), b).expect("sizes fit");
            let how = PyTorch::new().readout("readout", steps);
            for activation in ReadoutActivation::ALL {
                let readout = readout.clone().with_activation(activation);
                let model = kind.model().with_readout(readout).expect("it fits");
                let bytes = export::pytorch(&model).expect("it can be written");
                assert_same(&how.parse("x.safetensors", &bytes).expect("it can be read").model, &model);
                let read =
                    how.clone().readout_activation(ReadoutActivation::Tanh).parse("x.safetensors", &bytes);
                let read = read.expect("it can be read").model;
                assert_eq!(read.readout().map(Readout::activation), Some(ReadoutActivation::Tanh));
            }
            let model = kind.model().with_readout(readout).expect("it fits");
            let bytes = export::pytorch(&model).expect("it can be written");
            let imported = how.parse("x.safetensors", &bytes).expect("it can be read");
            assert_same(&imported.model, &model);
            let metadata = |key: &str| imported.report.metadata.get(key).map(String::as_str);
            assert_eq!([metadata("wgru.readout"), metadata("wgru.readout_at")], [Some("readout"), Some(at)]);
        }
    }
}

#[test]
fn onnx_and_back_to_the_bit() {
    let before_takes = Cell::ORIGINAL_GRU;
    for cell in [Cell::GRU, TAKES, BEFORE, before_takes, Cell::LSTM, COUPLED, Cell::Rnn] {
        for direction in DIRECTIONS {
            for biases in BIASES {
                let kind = Kind { biases, ..Kind::new(cell, direction) };
                assert_same(&from_onnx(&kind.model()), &kind.as_written());
                let peepholes = Kind { peepholes: true, ..kind };
                if cell.has_c() {
                    assert_same(&from_onnx(&peepholes.model()), &peepholes.as_written());
                }
            }
        }
    }
}

#[test]
fn onnx_keeps_activations_and_clip() {
    for cell in [Cell::GRU, COUPLED, Cell::Rnn] {
        for direction in DIRECTIONS {
            // Every function in every position, each with parameters of its own.
            for from in 0..Function::ALL.len() {
                let activation = |at: usize| {
                    let function = Function::ALL[(from + at) % Function::ALL.len()];
                    let (alpha, beta) = function.parameters();
                    let number = |takes: bool, value: f32| if takes { value } else { 0.0 };
                    let (alpha, beta) = (number(alpha, 0.1 + at as f32), number(beta, 0.3 - at as f32));
                    Activation::new(function, alpha, beta).expect("what it takes")
                };
                let set = |d: usize| {
                    let mut set = Activations::of(cell);
                    let places = [&mut set.gate, &mut set.candidate, &mut set.output];
                    let count = Activations::of(cell).places(cell).len();
                    for (place, at) in places.into_iter().take(count).zip(3 * d..) {
                        *place = activation(at);
                    }
                    set
                };
                let layer = Kind::new(cell, direction).stack().remove(0);
                let sets = (0..direction.count()).map(set).collect();
                let layer = layer.with_activations(sets).and_then(|layer| layer.with_clip(2.5));
                let model = Model::new(vec![layer.expect("it fits")]).expect("one layer");
                assert_same(&from_onnx(&model), &model);
            }
        }
    }
}

#[test]
fn what_one_direction_lacks_is_zeros_in_onnx() {
    let layer = Kind { peepholes: true, ..Kind::new(Cell::LSTM, Direction::Bidirectional) }.stack().remove(0);
    let mut sets = layer.weights().to_vec();
    (sets[0].b_ih, sets[0].b_hh, sets[1].peepholes) = (None, None, None);
    let model = |sets: Vec<Weights>| {
        let layer = Layer::new(Cell::LSTM, Direction::Bidirectional, 2, 3, sets).expect("sizes fit");
        Model::new(vec![layer]).expect("one layer")
    };
    let written = from_onnx(&model(sets.clone()));
    (sets[0].b_ih, sets[0].b_hh) = (Some(vec![0.0; 12]), Some(vec![0.0; 12]));
    sets[1].peepholes = Some(vec![0.0; 9]);
    assert_same(&written, &model(sets));
}

#[test]
fn a_stack_in_onnx_has_a_node_per_layer() {
    for cell in [TAKES, COUPLED, Cell::Rnn] {
        for direction in DIRECTIONS {
            let kind = Kind { layers: 3, ..Kind::new(cell, direction) };
            let readout = Readout::new(
                kind.model().output(),
                2,
                ReadoutSteps::Every,
                v(9, 6 * direction.count()),
                None,
            );
            let model = kind.model().with_readout(readout.expect("sizes fit")).expect("it fits");
            let bytes =
                export::Onnx::new().with_lengths().with_states().write(&model).expect("it can be written");
            let nodes = Onnx::list_parsed("x.onnx", &bytes, None).expect("it can be read");
            let op = &nodes[0].op;
            let names: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
            assert_eq!(names, [0, 1, 2].map(|index| format!("{}_{index}", op.to_lowercase())));
            for (name, expected) in names.iter().zip(kind.as_written().layers()) {
                let imported = Onnx::new().node(*name).parse_graph("x.onnx", &bytes, None).expect("a layer");
                assert_same(&imported.model, &Model::new(vec![expected.clone()]).expect("one layer"));
                assert_eq!(imported.sequence_lens, OnnxInput::Array("sequence_lens".into()));
                let cut = |input| matches!(input, OnnxInput::Computed { by, .. } if by.starts_with("Split node \"split_of_initial_h_0\""));
                assert!(cut(imported.initial_h), "{name}");
                assert_eq!(imported.initial_c == OnnxInput::Absent, !cell.has_c());
            }
            // All of them by their names; the readout is no part of it.
            let all = Onnx::new().node(names.join(",")).parse_graph("x.onnx", &bytes, None).expect("a stack");
            assert_same(&all.model, &kind.as_written());
            assert!(!all.whole_graph);
            assert_eq!(all.initial_h, OnnxInput::Array("initial_h".into()));
            let error = Onnx::new().parse_graph("x.onnx", &bytes, None).expect_err("a readout too");
            assert!(matches!(error, Error::Ambiguous { found, .. } if found.len() == 3));
        }
    }
}

/// Every activation, with and without a bias, at every step and at the last.
#[test]
fn a_readout_in_onnx_and_back_to_the_bit() {
    for direction in DIRECTIONS {
        let kind = Kind { layers: 2, ..Kind::new(Cell::Rnn, direction) };
        let features = kind.model().output();
        for (at, activation) in ReadoutActivation::ALL.into_iter().enumerate() {
            let steps = if at % 2 == 0 { ReadoutSteps::Every } else { ReadoutSteps::Last };
            for b in [None, Some(v(8, 4))] {
                let name = match (&b, activation) {
                    (Some(_), _) => "matmul_of_product",
                    (None, ReadoutActivation::Linear) => "matmul_of_out",
                    (None, _) => "matmul_of_logits",
                };
                let readout = Readout::new(features, 4, steps, v(7, 4 * features), b).expect("sizes fit");
                let readout = readout.with_activation(activation);
                let model = kind.as_written().with_readout(readout).expect("it fits");
                let bytes = export::Onnx::new().write(&model).expect("it can be written");
                let how = Onnx::new().node("rnn_0,rnn_1").readout(name);
                let imported =
                    how.parse("x.onnx", &bytes, None).unwrap_or_else(|error| panic!("{model}: {error}"));
                assert_same(&imported.model, &model);
                let below = Onnx::new().node("rnn_0").readout(name).parse("x.onnx", &bytes, None);
                let below = below.map(drop).expect_err("it reads the layer above");
                assert!(matches!(below, Error::Unsupported { .. }), "{below}");
                let other = Onnx::new().node("rnn_0,rnn_1").readout("rnn_0").parse("x.onnx", &bytes, None);
                let other = other.map(drop).expect_err("a node of another kind");
                assert!(matches!(&other, Error::Ambiguous { found, .. } if found == &[name]), "{other}");
            }
        }
    }
}

/// A stack that is the whole graph is read as one, by the names of the graph.
#[test]
fn a_stack_in_onnx_and_back_to_the_bit() {
    for cell in [TAKES, COUPLED, Cell::Rnn] {
        for direction in DIRECTIONS {
            for layers in [2, 3, 11] {
                let kind = Kind { layers, ..Kind::new(cell, direction) };
                assert_same(&from_onnx(&kind.model()), &kind.as_written());
                let how = export::Onnx::new().with_lengths().with_states();
                let bytes = how.write(&kind.model()).expect("it can be written");
                let imported = Onnx::new().parse_graph("x.onnx", &bytes, None).expect("it can be read");
                assert_same(&imported.model, &kind.as_written());
                let array = |name: &str| OnnxInput::Array(name.into());
                assert!(imported.whole_graph);
                assert_eq!(imported.sequence_lens, OnnxInput::Array("sequence_lens".into()));
                assert_eq!(imported.initial_h, array("initial_h"));
                let c = if cell.has_c() { array("initial_c") } else { OnnxInput::Absent };
                assert_eq!((imported.initial_c, imported.y_c.is_some()), (c, cell.has_c()));
            }
        }
    }
    // Alternating directions.
    let mut layers = Kind { layers: 4, ..Kind::new(Cell::LSTM, Direction::Forward) }.stack();
    for layer in layers.iter_mut().step_by(2) {
        let sets = layer.weights().to_vec();
        *layer = Layer::new(Cell::LSTM, Direction::Reverse, layer.input(), 3, sets).expect("sizes fit");
    }
    let model = Model::new(layers).expect("layers fit");
    assert_same(&from_onnx(&model), &model);
}

/// Layers of either direction on each other become nodes of either direction; PyTorch has no layers of reverse
/// direction alone.
#[test]
fn a_direction_for_each_layer_is_that_of_its_node() {
    let kind = |direction| Kind { layers: 3, ..Kind::new(Cell::LSTM, direction) };
    let directions = [Direction::Reverse, Direction::Forward, Direction::Reverse];
    let layers = directions.iter().enumerate().map(|(index, &way)| kind(way).stack().remove(index));
    let model = Model::new(layers.collect()).expect("layers fit");
    let bytes = export::onnx(&model).expect("it can be written");
    for (index, layer) in model.layers().iter().enumerate() {
        let node =
            Onnx::new().node(format!("lstm_{index}")).parse_graph("x.onnx", &bytes, None).expect("a layer");
        assert_eq!(node.model.layers()[0].direction(), directions[index]);
        assert_same(&node.model, &Model::new(vec![layer.clone()]).expect("one layer"));
    }
    refused(export::pytorch(&model), &["layer 0", "nn.LSTM has no reverse direction"]);
    // The first unsupported layer is named.
    let layers = [Direction::Forward, Direction::Reverse].into_iter().enumerate();
    let layers = layers.map(|(index, way)| kind(way).stack().remove(index));
    let model = Model::new(layers.collect()).expect("layers fit");
    refused(export::pytorch(&model), &["layer 1", "nn.LSTM has no reverse direction"]);
}

/// Negated z rows give the same numbers, on the reference in f64.
#[test]
fn a_z_that_takes_is_written_as_one_that_keeps() {
    let kind = Kind { layers: 2, ..Kind::new(TAKES, Direction::Bidirectional) };
    let x = v(90, 2 * 5 * 2);
    let batch = Batch::new(&x, [2, 5, 2]).expect("x fits");
    let agree = |own: &Model, written: &Model| {
        assert!((own.cell(), written.cell()) == (TAKES, Cell::GRU));
        let [own, written] = [own, written].map(|model| reference::run(model, &batch).expect("it runs").y);
        for (own, written) in own.iter().zip(&written) {
            assert!((own - written).abs() < 1e-12, "{own} and {written}");
        }
    };
    agree(&kind.model(), &from_pytorch(&kind.model()));

    // Other gates for which 1 − f(a) = f(−a).
    let layer = Kind::new(TAKES, Direction::Bidirectional).stack().remove(0);
    let with = |function: Function, alpha: f32, beta: f32| {
        let gate = Activation::new(function, alpha, beta).expect("what it takes");
        let sets = vec![Activations { gate, ..Activations::of(TAKES) }; 2];
        Model::new(vec![layer.clone().with_activations(sets).expect("two sets")]).expect("one layer")
    };
    for gates in [with(Function::HardSigmoid, 0.2, 0.5), with(Function::Affine, 0.3, 0.5)] {
        agree(&gates, &from_onnx(&gates));
    }
    for (gates, name) in [
        (with(Function::HardSigmoid, 0.2, 0.4), "HardSigmoid(0.2, 0.4)"),
        (with(Function::Affine, 0.3, 0.0), "Affine(0.3, 0)"),
        (with(Function::Relu, 0.0, 0.0), "Relu"),
        (with(Function::Tanh, 0.0, 0.0), "Tanh"),
    ] {
        refused(export::onnx(&gates), &[name, "update takes"]);
    }
}

fn refused(result: Result<Vec<u8>, Error>, words: &[&str]) {
    let error = result.expect_err("it must be refused");
    assert!(matches!(error, Error::Unsupported { .. }), "{error:?}");
    for word in words {
        assert!(error.to_string().contains(word), "\"{word}\" in: {error}");
    }
}

#[test]
fn what_pytorch_does_not_have_is_refused_by_name() {
    let one = |layer: Result<Layer, Error>| Model::new(vec![layer.expect("it fits")]).expect("one layer");
    let layer = |cell| Kind::new(cell, Direction::Forward).stack().remove(0);
    let gru = || layer(Cell::GRU);
    let relu = Activations { gate: Activation::RELU, ..Activations::of(Cell::GRU) };
    let soft = Activation::new(Function::Softsign, 0.0, 0.0).expect("no parameters");
    let soft = Activations { gate: soft, ..Activations::of(Cell::Rnn) };
    let reverse = Kind::new(Cell::LSTM, Direction::Reverse).model();
    let peepholes = Kind { peepholes: true, ..Kind::new(Cell::LSTM, Direction::Forward) }.model();
    for (model, words) in [
        (one(Ok(layer(BEFORE))), ["layer 0", "nn.GRU has no reset before"]),
        (one(Ok(layer(Cell::ORIGINAL_GRU))), ["layer 0", "nn.GRU has no reset before"]),
        (one(Ok(layer(COUPLED))), ["layer 0", "nn.LSTM has no coupled"]),
        (reverse, ["layer 0", "nn.LSTM has no reverse direction"]),
        (peepholes, ["layer 0", "nn.LSTM has no peepholes"]),
        (one(gru().with_clip(3.5)), ["nn.GRU has no clip", "3.5"]),
        (one(layer(Cell::Rnn).with_state_clip(2.0)), ["nn.RNN has no state clip", "2"]),
        (one(gru().with_activations(vec![relu])), ["nn.GRU has no activations", "Relu Tanh"]),
        (one(layer(Cell::Rnn).with_activations(vec![soft])), ["nn.RNN has no activations", "Softsign"]),
    ] {
        refused(export::pytorch(&model), &words);
    }
    for merge in [Merge::Sum, Merge::Mul, Merge::Average] {
        let both = Kind::new(Cell::GRU, Direction::Bidirectional).stack().remove(0);
        let model = one(both.with_merge(merge));
        let mode = format!("merge mode {merge}");
        refused(export::pytorch(&model), &["layer 0", "nn.GRU has no directions that are merged", &mode]);
        refused(export::onnx(&model), &["layer 0", "GRU has no directions that are merged", &mode]);
    }
    // A relu in one direction alone.
    let relu = Activations { gate: Activation::RELU, ..Activations::of(Cell::Rnn) };
    let both = Kind::new(Cell::Rnn, Direction::Bidirectional).stack().remove(0);
    let mixed = both.with_activations(vec![Activations::of(Cell::Rnn), relu]);
    refused(export::pytorch(&one(mixed)), &["Tanh, then Relu"]);
}

#[test]
fn what_onnx_does_not_have_is_refused_by_name() {
    let projected = Kind { projection: Some(2), layers: 2, ..Kind::new(Cell::LSTM, Direction::Forward) };
    refused(export::onnx(&projected.model()), &["layer 0", "ONNX's LSTM has no projection", "2"]);
    let gru = Kind::new(Cell::GRU, Direction::Forward);
    let clipped = gru.stack().remove(0).with_state_clip(1.5).expect("a clip");
    refused(
        export::onnx(&Model::new(vec![clipped]).expect("one layer")),
        &["ONNX's GRU has no state clip", "1.5"],
    );
    let last = Readout::new(3, 1, ReadoutSteps::Last, v(9, 3), None).expect("sizes fit");
    let model = gru.model().with_readout(last).expect("it fits");
    refused(export::Onnx::new().with_lengths().write(&model), &["lengths", "last step"]);
    assert!(export::onnx(&model).is_ok());
}
