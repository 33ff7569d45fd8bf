//! The two cores from their graphs. What does not compute what DTLN computes is refused with the node where it differs.

use wgru::import::{Onnx, OnnxInput};
use wgru::{Cell, Layer, Model, Readout, ReadoutSteps};

use crate::cell;
use crate::error::Result;
use crate::file::NodeProto;
use crate::graph::{Arrays, Constant, Graph, Maker, attribute, describe};
use crate::{BINS, BLOCK};

/// The most LSTMs of a core. DTLN has 2.
const MOST_LAYERS: usize = 16;

/// The mask of the spectrum: `σ(W LSTM(|X|) + b)`.
#[derive(Debug)]
pub(crate) struct Core1 {
    /// The LSTMs, with the dense layer as readout.
    pub(crate) model: Model,
}

/// The mask of learned features.
#[derive(Debug)]
pub(crate) struct Core2 {
    /// `[F, 512]`.
    pub(crate) encoder: Vec<f32>,
    pub(crate) norm: Norm,
    /// The LSTMs, with the dense layer as readout.
    pub(crate) model: Model,
    /// `[512, F]`.
    pub(crate) decoder: Vec<f32>,
}

/// Instant layer normalisation of F features: `γ ⊙ (f − mean) / √(variance + ε) + β`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Norm {
    pub(crate) gamma: Vec<f32>,
    pub(crate) beta: Vec<f32>,
    pub(crate) epsilon: f32,
}

impl Core1 {
    pub(crate) fn read(bytes: &[u8]) -> Result<Self> {
        let graph = Graph::read(1, bytes)?;
        let arrays = graph.arrays();
        let mask = arrays.expect(arrays.output()?, &["Sigmoid"], "the mask at the first output")?;
        let (readout, mut below) = dense(&arrays, arrays.operand(mask, 0)?)?;
        let mut names: Vec<&str> = Vec::new();
        loop {
            match arrays.maker(below)? {
                Maker::Input(0) if !names.is_empty() => break,
                _ if names.len() == MOST_LAYERS => return too_many(&graph),
                maker => {
                    let role = if names.is_empty() {
                        "below the dense layer"
                    } else {
                        "below an LSTM (the network needs the spectrum's magnitudes as they are)"
                    };
                    let node = arrays.expect(maker, &["LSTM"], role)?;
                    let name = if node.name.is_empty() { node.output.first() } else { Some(&node.name) };
                    names.insert(0, name.map_or("", String::as_str));
                    below = arrays.operand(node, 0)?;
                }
            }
        }
        let onnx = Onnx::new().node(names.join(",")).parse_graph("core 1", bytes, None)?;
        // The states are the session's; lengths would end a sequence.
        if onnx.sequence_lens != OnnxInput::Absent {
            return graph.refuse("its LSTMs have sequence_lens, expected none");
        }
        let model = with_readout(onnx.model, readout)?;
        expect_sizes(&graph, "magnitudes in, mask out", [model.input(), outputs(&model)], [BINS; 2])?;
        Ok(Self { model })
    }
}

impl Core2 {
    pub(crate) fn read(bytes: &[u8]) -> Result<Self> {
        let graph = Graph::read(2, bytes)?;
        let arrays = graph.arrays();
        let decoder = arrays.expect(arrays.output()?, &["Conv"], "the decoder at the first output")?;
        let (decoder, masked) = convolution(&arrays, decoder)?;
        let masked = arrays.node(masked, &["Mul"], "below the decoder")?;
        let is = |maker: &Maker<'_>, op: &str| matches!(maker, Maker::Node(node, _) if node.op_type == op);
        let (mask, features) = match arrays.operands(masked)? {
            [mask, features] if is(&mask, "Sigmoid") => (mask, features),
            [features, mask] => (mask, features),
        };
        let mask = arrays.expect(mask, &["Sigmoid"], "the mask")?;
        let features = arrays.expect(features, &["Conv"], "the encoder")?;
        let (encoder, block) = convolution(&arrays, features)?;
        if !matches!(arrays.maker(block)?, Maker::Input(0)) {
            let found = describe(arrays.maker(block)?);
            return graph.refuse(format!("below the encoder: expected input 0 of the graph, found {found}"));
        }
        let (readout, mut below) = dense(&arrays, arrays.operand(mask, 0)?)?;
        let mut layers: Vec<Layer> = Vec::new();
        while is(&arrays.maker(below)?, "Mul") {
            if layers.len() == MOST_LAYERS {
                return too_many(&graph);
            }
            let (layer, input) = cell::read(&arrays, below)?;
            layers.insert(0, layer);
            below = input;
        }
        if layers.is_empty() {
            let found = describe(arrays.maker(below)?);
            return graph.refuse(format!("below the dense layer: expected an LSTM's Mul, found {found}"));
        }
        let norm = norm(&arrays, below, features)?;
        let model = with_readout(Model::new(layers)?, readout)?;
        let size = model.input();
        let sizes = [&encoder.shape[..], &decoder.shape[..]].concat();
        expect_sizes(&graph, "encoder and decoder", sizes, [size, BLOCK, BLOCK, size])?;
        let norms = [norm.gamma.len(), norm.beta.len(), outputs(&model)];
        expect_sizes(&graph, "layer norm and mask", norms, [size; 3])?;
        Ok(Self { encoder: encoder.data, norm, model, decoder: decoder.data })
    }
}

fn too_many<T>(graph: &Graph) -> Result<T> {
    graph.refuse(format!("more than {MOST_LAYERS} LSTMs in a row, or a cycle of them; DTLN has 2"))
}

fn outputs(model: &Model) -> usize {
    model.readout().map_or(0, Readout::outputs)
}

fn expect_sizes(
    graph: &Graph,
    what: &str,
    got: impl AsRef<[usize]>,
    expected: impl AsRef<[usize]>,
) -> Result<()> {
    let (got, expected) = (got.as_ref(), expected.as_ref());
    if got == expected {
        return Ok(());
    }
    graph.refuse(format!(
        "sizes of {what}: expected {expected:?}, found {got:?}; only blocks of {BLOCK} samples are supported"
    ))
}

fn with_readout(model: Model, (weights, bias): (Constant, Constant)) -> Result<Model> {
    if model.cell() != Cell::LSTM {
        let what = format!("a stack of {}: DTLN has LSTMs", model.cell());
        return Err(wgru::Error::Unsupported { what }.into());
    }
    let outputs = weights.shape[1];
    let rows = transpose(&weights.data, outputs);
    let readout = Readout::new(weights.shape[0], outputs, ReadoutSteps::Every, rows, Some(bias.data))?;
    Ok(model.with_readout(readout)?)
}

/// A dense layer: its matrix `[K, N]`, its bias, and the name of its input.
fn dense<'a>(arrays: &Arrays<'a>, name: &str) -> Result<((Constant, Constant), &'a str)> {
    let role = "the dense layer below the mask";
    let (bias, product) = arrays.with_constant(arrays.node(name, &["Add"], role)?, role)?;
    let (weights, input) = arrays.product(arrays.node(product, &["MatMul"], role)?, role)?;
    Ok(((weights, bias), input))
}

/// A convolution of one sample, which is a dense layer without bias: its matrix `[N, K]` and the name of its input.
fn convolution<'a>(arrays: &Arrays<'a>, node: &'a NodeProto) -> Result<(Constant, &'a str)> {
    let found = || describe(Maker::Node(node, 0));
    let Maker::Constant(kernel) = arrays.maker(arrays.operand(node, 1)?)? else {
        return arrays.graph.refuse(format!("{}: its kernel is no constant of the file", found()));
    };
    let kernel_dims = &kernel.dims;
    let matrix = arrays.floats(kernel)?;
    let is_dense = kernel_dims.len() == 3 && kernel_dims[2] == 1 && matrix.shape.len() == 2;
    if !is_dense || node.input.len() > 2 || attribute(node, "pads").iter().any(|&pad| pad != 0) {
        let reason = format!("expected a kernel [N, K, 1] without bias and padding, found {kernel_dims:?}");
        return arrays.graph.refuse(format!("{}: {reason}", found()));
    }
    Ok((matrix, arrays.operand(node, 0)?))
}

/// The layer norm whose output is `name` and whose input is made by `features`.
fn norm(arrays: &Arrays<'_>, name: &str, features: &NodeProto) -> Result<Norm> {
    let role = "the layer norm";
    let node = |name: &str, ops: &[&str]| arrays.node(name, ops, role);
    let is_features = |name: &str| -> Result<bool> {
        Ok(matches!(arrays.maker(name)?, Maker::Node(node, _) if std::ptr::eq(node, features)))
    };
    // The mean of an array, over its features.
    let mean_of = |mean: &NodeProto| match attribute(mean, "axes") {
        [-1 | 2] => Ok(()),
        axes => arrays.graph.refuse(format!("{role}: a mean over axes {axes:?}, expected the last")),
    };
    // f − mean(f).
    let centred = |name: &str| -> Result<()> {
        let sub = node(name, &["Sub"])?;
        let mean = node(arrays.operand(sub, 1)?, &["ReduceMean"])?;
        mean_of(mean)?;
        if is_features(arrays.operand(sub, 0)?)? && is_features(arrays.operand(mean, 0)?)? {
            return Ok(());
        }
        arrays.graph.refuse(format!("{role}: it does not read the encoder's features"))
    };
    let (beta, scaled) = arrays.with_constant(node(name, &["Add"])?, role)?;
    let (gamma, quotient) = arrays.with_constant(node(scaled, &["Mul"])?, role)?;
    let quotient = node(quotient, &["Div"])?;
    centred(arrays.operand(quotient, 0)?)?;
    let root = node(arrays.operand(quotient, 1)?, &["Sqrt"])?;
    let (epsilon, variance) = arrays.with_constant(node(arrays.operand(root, 0)?, &["Add"])?, role)?;
    let variance = node(variance, &["ReduceMean"])?;
    mean_of(variance)?;
    let square = node(arrays.operand(variance, 0)?, &["Mul"])?;
    centred(arrays.operand(square, 0)?)?;
    centred(arrays.operand(square, 1)?)?;
    match epsilon.data[..] {
        [epsilon] if epsilon > 0.0 => Ok(Norm { gamma: gamma.data, beta: beta.data, epsilon }),
        _ => arrays.graph.refuse(format!("{role}: its epsilon is not one positive number")),
    }
}

/// `[K, N]` as `[N, K]`.
pub(crate) fn transpose(matrix: &[f32], columns: usize) -> Vec<f32> {
    let column = |n: usize| matrix.iter().skip(n).step_by(columns).copied();
    (0..columns).flat_map(column).collect()
}
