//! A small DTLN with random weights: its ONNX files, of the published models' structure, and what it computes in f64.

#[path = "../../../../tests/common/onnx_file.rs"]
#[allow(dead_code)]
pub mod onnx_file;

use std::f64::consts::TAU;

use onnx_file::{Graph, Node, floats, ints};
use wgru_dtln::{BLOCK, HOP};

pub const HIDDEN: usize = 6;
pub const FEATURES: usize = 10;
pub const BINS: usize = BLOCK / 2 + 1;
pub const EPSILON: f32 = 1e-3;

/// The order of an LSTM's gates in a file, by their places among i, f, g, o.
pub const KERAS: [usize; 4] = [0, 1, 2, 3];

/// One LSTM in the crate's layout: rows of gates i, f, g, o.
pub struct Lstm {
    pub w: Vec<Vec<f32>>,
    pub r: Vec<Vec<f32>>,
    pub b: Vec<f32>,
}

pub struct Dense {
    /// `[N][K]`.
    pub w: Vec<Vec<f32>>,
    pub b: Vec<f32>,
}

pub struct Network {
    pub lstms: [[Lstm; 2]; 2],
    pub masks: [Dense; 2],
    pub encoder: Vec<Vec<f32>>,
    pub decoder: Vec<Vec<f32>>,
    pub gamma: Vec<f32>,
    pub beta: Vec<f32>,
}

impl Network {
    pub fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut row = |len: usize, scale: f32| -> Vec<f32> {
            (0..len).map(|_| (rng.f32() * 2.0 - 1.0) * scale).collect()
        };
        let mut matrix = |rows: usize, columns: usize, scale: f32| -> Vec<Vec<f32>> {
            (0..rows).map(|_| row(columns, scale)).collect()
        };
        let mut lstm = |inputs: usize| {
            let scale = 2.0 / (inputs as f32).sqrt();
            let mut b = matrix(1, 4 * HIDDEN, 0.5);
            Lstm { w: matrix(4 * HIDDEN, inputs, scale), r: matrix(4 * HIDDEN, HIDDEN, 0.8), b: b.remove(0) }
        };
        let lstms = [[lstm(BINS), lstm(HIDDEN)], [lstm(FEATURES), lstm(HIDDEN)]];
        let mut dense =
            |outputs: usize| Dense { w: matrix(outputs, HIDDEN, 2.0), b: matrix(1, outputs, 1.0).remove(0) };
        let masks = [dense(BINS), dense(FEATURES)];
        let encoder = matrix(FEATURES, BLOCK, 0.3);
        let decoder = matrix(BLOCK, FEATURES, 0.2);
        let gamma = matrix(1, FEATURES, 2.0).remove(0);
        Self { lstms, masks, encoder, decoder, gamma, beta: matrix(1, FEATURES, 1.0).remove(0) }
    }

    /// Core 1, with LSTM nodes.
    pub fn core_1(&self) -> Graph {
        let mut graph = Graph::default()
            .inputs(&["magnitudes", "states"])
            .outputs(&["mask", "new_states"])
            .node(&Node::new("Transpose", &["magnitudes"], &["X_0"]).ints("perm", &[1, 0, 2]));
        for (layer, lstm) in self.lstms[0].iter().enumerate() {
            let name = |what: &str| format!("{what}_{layer}");
            // ONNX's gates are i, o, f, g.
            let gates = |matrix: &[Vec<f32>]| {
                places(ONNX, matrix.len() / 4).map(|row| matrix[row].clone()).collect::<Vec<_>>().concat()
            };
            let bias: Vec<f32> = places(ONNX, HIDDEN).map(|row| lstm.b[row]).collect();
            let inputs = lstm.w[0].len() as i64;
            let rows = 4 * HIDDEN as i64;
            graph = slice(graph, &name("h"), layer, 0);
            graph = slice(graph, &name("c"), layer, 1);
            graph = graph
                .tensor(&floats(&name("W"), &[1, rows, inputs], &gates(&lstm.w)))
                .tensor(&floats(&name("R"), &[1, rows, HIDDEN as i64], &gates(&lstm.r)))
                .tensor(&floats(&name("B"), &[1, 2 * rows], &[bias, vec![0.0; rows as usize]].concat()))
                .node(&Node::new("Unsqueeze", &[&name("h")], &[&name("h1")]).ints("axes", &[0]))
                .node(&Node::new("Unsqueeze", &[&name("c")], &[&name("c1")]).ints("axes", &[0]))
                .node(
                    &Node::new(
                        "LSTM",
                        &[&name("X"), &name("W"), &name("R"), &name("B"), "", &name("h1"), &name("c1")],
                        &[&name("Y"), &name("Y_h"), &name("Y_c")],
                    )
                    .name(&name("lstm"))
                    .int("hidden_size", HIDDEN as i64)
                    .texts("activations", &["Sigmoid", "Tanh", "Tanh"]),
                )
                .node(&Node::new("Transpose", &[&name("Y")], &[&name("Yt")]).ints("perm", &[2, 1, 0, 3]))
                .node(&Node::new("Squeeze", &[&name("Yt")], &[&name("Ys")]).ints("axes", &[1]));
            if layer == 0 {
                graph = graph.node(&Node::new("Transpose", &["Ys_0"], &["X_1"]).ints("perm", &[1, 0, 2]));
            }
        }
        self.mask(graph, 0, "Ys_1", "mask")
            .node(&Node::new("Concat", &["Y_h_0", "Y_h_1", "Y_c_0", "Y_c_1"], &["new_states"]).int("axis", 0))
    }

    /// Core 2, its LSTMs written out with gates in this order.
    pub fn core_2(&self, order: [usize; 4]) -> Graph {
        let turned = |from: &str, to: &str| Node::new("Transpose", &[from], &[to]).ints("perm", &[0, 2, 1]);
        let node = |op: &str, inputs: &[&str], output: &str| Node::new(op, inputs, &[output]);
        let mean = |from: &str, to: &str| {
            Node::new("ReduceMean", &[from], &[to]).ints("axes", &[-1]).int("keepdims", 1)
        };
        let (f, b) = (FEATURES as i64, BLOCK as i64);
        let mut graph = Graph::default()
            .inputs(&["block", "states"])
            .outputs(&["decoded", "new_states"])
            .tensor(&floats("encoder", &[f, b, 1], &self.encoder.concat()))
            .tensor(&floats("decoder", &[b, f, 1], &self.decoder.concat()))
            .tensor(&floats("gamma", &[f], &self.gamma))
            .tensor(&floats("beta", &[f], &self.beta))
            .tensor(&floats("epsilon", &[], &[EPSILON]))
            .tensor(&ints("pads", &[6], &[0; 6]))
            .node(&turned("block", "block_t"))
            .node(&node("Conv", &["block_t", "encoder"], "features_t").ints("kernel_shape", &[1]))
            .node(&turned("features_t", "features"))
            .node(&mean("features", "mean"))
            .node(&node("Sub", &["features", "mean"], "centred"))
            .node(&node("Sub", &["features", "mean"], "centred_too"))
            .node(&node("Mul", &["centred", "centred"], "square"))
            .node(&mean("square", "variance"))
            .node(&node("Add", &["variance", "epsilon"], "shifted"))
            .node(&node("Sqrt", &["shifted"], "deviation"))
            .node(&node("Div", &["centred_too", "deviation"], "quotient"))
            .node(&node("Mul", &["quotient", "gamma"], "scaled"))
            .node(&node("Add", &["scaled", "beta"], "normed"))
            .node(&Node::new("Transpose", &["normed"], &["normed_t"]).ints("perm", &[1, 0, 2]))
            .node(&Node::new("Split", &["normed_t"], &["normed_1"]).int("axis", 0))
            .node(&Node::new("Squeeze", &["normed_1"], &["x_0"]).ints("axes", &[0]));
        for (layer, lstm) in self.lstms[1].iter().enumerate() {
            let name = |what: &str| format!("{what}_{layer}");
            // [K, 4·H], the gates in the order of the file.
            let columns = |matrix: &[Vec<f32>]| -> Vec<f32> {
                (0..matrix[0].len())
                    .flat_map(|k| places(order, HIDDEN).map(move |row| matrix[row][k]))
                    .collect()
            };
            let bias: Vec<f32> = places(order, HIDDEN).map(|row| lstm.b[row]).collect();
            let part = |gate: usize| {
                format!("part_{layer}_{}", order.iter().position(|&g| g == gate).expect("a gate"))
            };
            let [i, f, g, o] = [0, 1, 2, 3].map(part);
            let all = [0, 1, 2, 3].map(|place| format!("part_{layer}_{place}"));
            let all: Vec<&str> = all.iter().map(String::as_str).collect();
            graph = slice(graph, &name("h"), layer, 0);
            graph = slice(graph, &name("c"), layer, 1);
            graph = graph
                .tensor(&floats(&name("W"), &[lstm.w[0].len() as i64, 4 * HIDDEN as i64], &columns(&lstm.w)))
                .tensor(&floats(&name("R"), &[HIDDEN as i64, 4 * HIDDEN as i64], &columns(&lstm.r)))
                .tensor(&floats(&name("B"), &[4 * HIDDEN as i64], &bias))
                .node(&node("MatMul", &[&name("x"), &name("W")], &name("xw")))
                .node(&node("MatMul", &[&name("h"), &name("R")], &name("hr")))
                .node(&node("Add", &[&name("xw"), &name("hr")], &name("su")))
                .node(&node("Add", &[&name("su"), &name("B")], &name("sb")))
                .node(&Node::new("Split", &[&name("sb")], &all).int("axis", 1))
                .node(&node("Sigmoid", &[&i], &name("i")))
                .node(&node("Sigmoid", &[&f], &name("f")))
                .node(&node("Tanh", &[&g], &name("g")))
                .node(&node("Sigmoid", &[&o], &name("o")))
                .node(&node("Mul", &[&name("f"), &name("c")], &name("fc")))
                .node(&node("Mul", &[&name("i"), &name("g")], &name("ig")))
                .node(&node("Add", &[&name("fc"), &name("ig")], &name("new_c")))
                .node(&node("Tanh", &[&name("new_c")], &name("tanh_c")))
                .node(&node("Mul", &[&name("o"), &name("tanh_c")], &name("new_h")))
                .node(&node("Unsqueeze", &[&name("new_h")], &name("y")).ints("axes", &[0]))
                .node(&node("Concat", &[&name("y")], &format!("x_{}", layer + 1)).int("axis", 0));
        }
        self.mask(graph, 1, "x_2", "mask")
            .node(&node("Mul", &["features", "mask"], "masked"))
            .node(&node("Pad", &["masked", "pads"], "padded"))
            .node(&turned("padded", "padded_t"))
            .node(
                &node("Conv", &["padded_t", "decoder"], "decoded_t")
                    .ints("kernel_shape", &[1])
                    .ints("pads", &[0, 0]),
            )
            .node(&turned("decoded_t", "decoded"))
            .node(&node("Concat", &["new_h_0", "new_h_1", "new_c_0", "new_c_1"], "new_states").int("axis", 1))
    }

    fn mask(&self, graph: Graph, core: usize, from: &str, to: &str) -> Graph {
        let Dense { w, b } = &self.masks[core];
        let columns: Vec<f32> = (0..HIDDEN).flat_map(|k| w.iter().map(move |row| row[k])).collect();
        let [product, sum] = ["product", "biased"];
        graph
            .tensor(&floats("dense", &[HIDDEN as i64, b.len() as i64], &columns))
            .tensor(&floats("dense_bias", &[b.len() as i64], b))
            .node(&Node::new("MatMul", &[from, "dense"], &[product]))
            .node(&Node::new("Add", &[product, "dense_bias"], &[sum]))
            .node(&Node::new("Sigmoid", &[sum], &[to]))
    }

    pub fn files(&self, order: [usize; 4]) -> [Vec<u8>; 2] {
        [self.core_1().model(11), self.core_2(order).model(11)]
    }

    /// What comes out for whole hops in, in f64, delayed as a stream is.
    pub fn reference(&self, samples: &[f32]) -> Vec<f64> {
        let (mut input, mut output, mut out) = (vec![0.0; BLOCK], vec![0.0; BLOCK], Vec::new());
        let mut states = [[(); 2]; 2].map(|core| core.map(|()| [vec![0.0; HIDDEN], vec![0.0; HIDDEN]]));
        for hop in samples.chunks_exact(HOP) {
            input.drain(..HOP);
            input.extend(hop.iter().map(|&sample| f64::from(sample)));
            let mut spectrum = dft(&input);
            let magnitudes: Vec<f64> = spectrum.iter().map(|(re, im)| re.hypot(*im)).collect();
            let mask = self.core(0, &magnitudes, &mut states[0]);
            for (bin, mask) in spectrum.iter_mut().zip(mask) {
                *bin = (bin.0 * mask, bin.1 * mask);
            }
            let features = product(&self.encoder, &inverse(&spectrum));
            let mean = features.iter().sum::<f64>() / FEATURES as f64;
            let variance = features.iter().map(|f| (f - mean).powi(2)).sum::<f64>() / FEATURES as f64;
            let scale = 1.0 / (variance + f64::from(EPSILON)).sqrt();
            let constants = self.gamma.iter().zip(&self.beta);
            let normed: Vec<f64> = features
                .iter()
                .zip(constants)
                .map(|(f, (&g, &b))| f64::from(g) * (f - mean) * scale + f64::from(b))
                .collect();
            let mask = self.core(1, &normed, &mut states[1]);
            let masked: Vec<f64> = features.iter().zip(mask).map(|(f, m)| f * m).collect();
            output.drain(..HOP);
            output.extend([0.0; HOP]);
            for (sum, sample) in output.iter_mut().zip(product(&self.decoder, &masked)) {
                *sum += sample;
            }
            out.extend(&output[..HOP]);
        }
        out
    }

    fn core(&self, core: usize, x: &[f64], states: &mut [[Vec<f64>; 2]; 2]) -> Vec<f64> {
        let mut x = x.to_vec();
        for (lstm, [h, c]) in self.lstms[core].iter().zip(states) {
            let (w, r) = (product(&lstm.w, &x), product(&lstm.r, h));
            let sum = |gate: usize, unit: usize| {
                let row = gate * HIDDEN + unit;
                w[row] + r[row] + f64::from(lstm.b[row])
            };
            for unit in 0..HIDDEN {
                let [i, f, o] = [0, 1, 3].map(|gate| sigmoid(sum(gate, unit)));
                c[unit] = f * c[unit] + i * sum(2, unit).tanh();
                h[unit] = o * c[unit].tanh();
            }
            x.clone_from(h);
        }
        let Dense { w, b } = &self.masks[core];
        product(w, &x).iter().zip(b).map(|(y, &b)| sigmoid(y + f64::from(b))).collect()
    }
}

/// ONNX's order i, o, f, g.
pub const ONNX: [usize; 4] = [0, 3, 1, 2];

/// The rows of all gates, of `hidden` units each, in an order.
fn places(order: [usize; 4], hidden: usize) -> impl Iterator<Item = usize> {
    order.into_iter().flat_map(move |gate| gate * hidden..(gate + 1) * hidden)
}

/// A state, `[1, H]`, from all, `[1, 2, H, 2]`.
fn slice(graph: Graph, name: &str, layer: usize, which: usize) -> Graph {
    let all = |what: &str| format!("{name}_{what}");
    let (layer, which) = (layer as i64, which as i64);
    graph
        .tensor(&ints(&all("start"), &[4], &[0, layer, 0, which]))
        .tensor(&ints(&all("end"), &[4], &[i64::MAX, layer + 1, i64::MAX, which + 1]))
        .tensor(&ints(&all("axes"), &[4], &[0, 1, 2, 3]))
        .node(&Node::new("Slice", &["states", &all("start"), &all("end"), &all("axes")], &[&all("part")]))
        .node(&Node::new("Squeeze", &[&all("part")], &[name]).ints("axes", &[1, 3]))
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn product(matrix: &[Vec<f32>], x: &[f64]) -> Vec<f64> {
    matrix.iter().map(|row| row.iter().zip(x).map(|(&w, x)| f64::from(w) * x).sum()).collect()
}

fn dft(block: &[f64]) -> Vec<(f64, f64)> {
    let bin = |bin: usize| {
        let turn = |n: usize| TAU * ((bin * n) % BLOCK) as f64 / BLOCK as f64;
        let term =
            |(re, im): (f64, f64), (n, x): (usize, &f64)| (re + x * turn(n).cos(), im - x * turn(n).sin());
        block.iter().enumerate().fold((0.0, 0.0), term)
    };
    (0..BINS).map(bin).collect()
}

fn inverse(spectrum: &[(f64, f64)]) -> Vec<f64> {
    let sample = |n: usize| {
        let term = |(bin, (re, im)): (usize, &(f64, f64))| {
            let turn = TAU * ((bin * n) % BLOCK) as f64 / BLOCK as f64;
            let both = if bin == 0 || bin == BLOCK / 2 { 1.0 } else { 2.0 };
            both * (re * turn.cos() - im * turn.sin())
        };
        spectrum.iter().enumerate().map(term).sum::<f64>() / BLOCK as f64
    };
    (0..BLOCK).map(sample).collect()
}

/// Sound of so many samples: tones and noise.
pub fn sound(samples: usize, seed: u64) -> Vec<f32> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let tone = |at: usize| (at as f32 * 0.11).sin() * (at as f32 * 0.0007).sin() * 0.4;
    (0..samples).map(|at| tone(at) + (rng.f32() - 0.5) * 0.2).collect()
}
