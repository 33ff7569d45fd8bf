//! The graph around the nodes: its inputs and outputs, the operators that join the layers, the readout.

use super::Onnx;
use super::node::{self, int, int_list, ints, size};
use crate::error::{Error, Result};
use crate::model::{Model, Readout, ReadoutActivation, ReadoutSteps};
use crate::proto::{
    AttributeProto, DimensionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorShapeProto,
    TensorTypeProto, TypeProto, ValueInfoProto, dtype,
};

/// The opset, and the format version that introduced it.
const OPSET: i64 = 14;
const IR_VERSION: i64 = 7;

/// One size of an array at run time.
#[derive(Clone, Copy)]
enum Dim {
    Open(&'static str),
    Of(usize),
}
use Dim::{Of, Open};

/// # Errors
/// As [`Onnx::write`].
pub(super) fn model(how: Onnx, model: &Model) -> Result<ModelProto> {
    Ok(ModelProto {
        ir_version: IR_VERSION,
        producer_name: "wgru".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        graph: Some(graph(how, model)?),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
        ..ModelProto::default()
    })
}

fn graph(how: Onnx, model: &Model) -> Result<GraphProto> {
    let mut graph = GraphProto { name: "wgru".into(), ..GraphProto::default() };
    let layers = model.layers();
    let last = layers.len() - 1;
    let has_c = model.cell().has_c();
    let dirs = layers[0].direction().count();
    let states = [Of(model.num_states()), Open("B"), Of(model.hidden())];

    let initial = inputs(&mut graph, how, model)?;
    let (mut x, mut finals) = ("X".to_owned(), [Vec::new(), Vec::new()]);
    for (index, layer) in layers.iter().enumerate() {
        let (mut node, tensors) = node::node(layer, index)?;
        connect(&mut node, &x, how.lengths, [&initial[0][index], &initial[1][index]]);
        let y = if index == last { "Y".into() } else { format!("y_{index}") };
        node.output.push(y.clone());
        for (state, names) in ["h", "c"].into_iter().zip(&mut finals).take(if has_c { 2 } else { 1 }) {
            let name = if last == 0 { format!("Y_{state}") } else { format!("{state}_{index}") };
            node.output.push(name.clone());
            names.push(name);
        }
        graph.node.push(node);
        graph.initializer.extend(tensors);
        if index < last || model.readout().is_some() {
            x = side_by_side(&mut graph, &y, index, layer.output())?;
        }
    }
    graph.output.push(value("Y", dtype::FLOAT, &[Open("T"), Of(dirs), Open("B"), Of(model.hidden())])?);
    for (name, finals) in ["Y_h", "Y_c"].into_iter().zip(finals).filter(|(_, finals)| !finals.is_empty()) {
        if last > 0 {
            let finals: Vec<&str> = finals.iter().map(String::as_str).collect();
            add(&mut graph, "Concat", &finals, &[name], vec![int("axis", 0)]);
        }
        graph.output.push(value(name, dtype::FLOAT, &states)?);
    }
    if let Some(own) = model.readout() {
        readout(&mut graph, own, &x, how.lengths)?;
    }
    Ok(graph)
}

/// Declares the run-time inputs, and returns the names of each layer's initial h and c; empty if there are none.
fn inputs(graph: &mut GraphProto, how: Onnx, model: &Model) -> Result<[Vec<String>; 2]> {
    let (layers, dirs) = (model.layers().len(), model.layers()[0].direction().count());
    graph.input.push(value("X", dtype::FLOAT, &[Open("T"), Open("B"), Of(model.input())])?);
    if how.lengths {
        graph.input.push(value("sequence_lens", dtype::INT32, &[Open("B")])?);
    }
    let mut initial = [(); 2].map(|()| vec![String::new(); layers]);
    let states = if model.cell().has_c() { &["initial_h", "initial_c"][..] } else { &["initial_h"] };
    for (name, initial) in states.iter().zip(&mut initial).filter(|_| how.states) {
        graph.input.push(value(
            name,
            dtype::FLOAT,
            &[Of(model.num_states()), Open("B"), Of(model.hidden())],
        )?);
        *initial = split(graph, name, layers, dirs)?;
    }
    Ok(initial)
}

fn value(name: &str, elem_type: i32, shape: &[Dim]) -> Result<ValueInfoProto> {
    let dim = |dim: &Dim| {
        Ok(match *dim {
            Open(letter) => DimensionProto { dim_param: Some(letter.into()), dim_value: None },
            Of(len) => DimensionProto { dim_value: Some(size(name, len)?), dim_param: None },
        })
    };
    let shape = Some(TensorShapeProto { dim: shape.iter().map(dim).collect::<Result<_>>()? });
    let r#type = Some(TypeProto { tensor_type: Some(TensorTypeProto { elem_type, shape }) });
    Ok(ValueInfoProto { name: name.into(), r#type })
}

fn add(graph: &mut GraphProto, op: &str, input: &[&str], output: &[&str], attribute: Vec<AttributeProto>) {
    let own = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    graph.node.push(NodeProto {
        input: own(input),
        output: own(output),
        name: format!("{}_of_{}", op.to_lowercase(), output[0]),
        op_type: op.into(),
        attribute,
        ..NodeProto::default()
    });
}

/// An initial state `[L·D, B, H]` as one name per layer.
fn split(graph: &mut GraphProto, name: &str, layers: usize, dirs: usize) -> Result<Vec<String>> {
    if layers == 1 {
        return Ok(vec![name.into()]);
    }
    let (parts, sizes) = ((0..layers).map(|index| format!("{name}_{index}")), format!("{name}_sizes"));
    let parts: Vec<String> = parts.collect();
    graph.initializer.push(ints(&sizes, &[layers], &vec![size("D", dirs)?; layers])?);
    let outputs: Vec<&str> = parts.iter().map(String::as_str).collect();
    add(graph, "Split", &[name, &sizes], &outputs, vec![int("axis", 0)]);
    Ok(parts)
}

/// Sets X, sequence_lens, initial_h and initial_c beside the existing constants, and removes empty names at the end.
fn connect(node: &mut NodeProto, x: &str, lengths: bool, [h, c]: [&str; 2]) {
    const PLACES: usize = 7;
    if node.input.len() < PLACES {
        node.input.resize(PLACES, String::new());
    }
    node.input[0] = x.into();
    node.input[4] = if lengths { "sequence_lens".into() } else { String::new() };
    (node.input[5], node.input[6]) = (h.into(), c.into());
    while node.input.last().is_some_and(String::is_empty) {
        node.input.pop();
    }
}

/// Y `[T, D, B, H]` as `[T, B, D·H]`.
fn side_by_side(graph: &mut GraphProto, y: &str, index: usize, features: usize) -> Result<String> {
    let [turned, shape, flat] = ["turned", "shape", "x"].map(|part| format!("{part}_{}", index + 1));
    add(graph, "Transpose", &[y], &[&turned], vec![int_list("perm", &[0, 2, 1, 3])]);
    // 0 keeps the existing size.
    graph.initializer.push(ints(&shape, &[3], &[0, 0, size("D·H", features)?])?);
    add(graph, "Reshape", &[&turned, &shape], &[&flat], Vec::new());
    Ok(flat)
}

/// The operator of the readout's activation, with its attributes; `None` for a linear one.
fn operator(activation: ReadoutActivation) -> Option<(&'static str, Vec<AttributeProto>)> {
    let over_outputs = || vec![int("axis", -1)];
    Some(match activation {
        ReadoutActivation::Linear => return None,
        ReadoutActivation::Relu => ("Relu", Vec::new()),
        ReadoutActivation::Sigmoid => ("Sigmoid", Vec::new()),
        ReadoutActivation::Tanh => ("Tanh", Vec::new()),
        ReadoutActivation::Softmax => ("Softmax", over_outputs()),
        ReadoutActivation::LogSoftmax => ("LogSoftmax", over_outputs()),
    })
}

/// `out = f(W y + b)`.
///
/// # Errors
/// [`Error::Unsupported`] for the last step of sequences that end before T.
fn readout(graph: &mut GraphProto, readout: &Readout, y: &str, lengths: bool) -> Result<()> {
    let (input, outputs) = (readout.input(), readout.outputs());
    let (mut y, mut shape) = (y, vec![Open("T"), Open("B"), Of(outputs)]);
    if readout.steps() == ReadoutSteps::Last {
        if lengths {
            let what = "an ONNX file with lengths and a readout of each sequence's last step".into();
            return Err(Error::Unsupported { what });
        }
        graph.initializer.push(ints("last", &[], &[-1])?);
        add(graph, "Gather", &[y, "last"], &["y_last"], vec![int("axis", 0)]);
        (y, shape) = ("y_last", vec![Open("B"), Of(outputs)]);
    }
    // [O, D·H] transposed to [D·H, O], since y is the left factor of the product.
    let turned = (0..input).flat_map(|i| readout.w().iter().skip(i).step_by(input)).copied();
    let turned: Vec<f32> = turned.collect();
    graph.initializer.push(node::floats("readout_W", &[input, outputs], &turned)?);
    let activation = operator(readout.activation());
    let sum = if activation.is_some() { "logits" } else { "out" };
    match readout.b() {
        None => add(graph, "MatMul", &[y, "readout_W"], &[sum], Vec::new()),
        Some(b) => {
            graph.initializer.push(node::floats("readout_b", &[outputs], b)?);
            add(graph, "MatMul", &[y, "readout_W"], &["product"], Vec::new());
            add(graph, "Add", &["product", "readout_b"], &[sum], Vec::new());
        }
    }
    if let Some((operator, attributes)) = activation {
        add(graph, operator, &[sum], &["out"], attributes);
    }
    graph.output.push(value("out", dtype::FLOAT, &shape)?);
    Ok(())
}
