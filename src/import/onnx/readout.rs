//! A dense layer on the last layer's Y: a MatMul or a Gemm with a constant, an Add of a bias, and an activation.
//!
//! ```text
//! Y [T, D, B, H] ── Transpose, Reshape … ──▶ [T, B, D·H] or [B, T, D·H] ── MatMul ── Add ── Softmax …     every step
//!                   and Gather of step −1 ──▶ [B, D·H] ── MatMul or Gemm ── Add ── Softmax …              the last one
//! ```

#![allow(clippy::indexing_slicing, reason = "parts of arrays whose shapes have been checked")]

use super::fold::{Folder, Operator, Stop};
use super::graph::Found;
use super::names::{is_of_onnx, label_of, name_of};
use super::stack::{Reached, Stacks};
use super::value::{Data, Value};
use super::weights::tensor;
use crate::error::{Error, Result};
use crate::model::{Readout, ReadoutActivation, ReadoutSteps};
use crate::proto::NodeProto;

/// The operators that multiply by a matrix.
const DENSE: [&str; 2] = ["MatMul", "Gemm"];

/// The readout named `name` on Y of the recurrent node `last`, whose output has `features`. `opset`: of ONNX's own operators.
///
/// # Errors
/// [`Error::Ambiguous`] for no such node or several; [`Error::Unsupported`] for one that reads something else than Y of `last`, and for a
/// matrix or a bias that is not a constant; [`Error::Format`].
pub(super) fn read<'a>(
    name: &str,
    folder: &mut Folder<'a>,
    (last, features): (Found<'a>, usize),
    (source, opset): (&str, i64),
    decisions: &mut Vec<String>,
) -> Result<Readout> {
    let node = find(name, folder, source)?;
    let label = label_of(node);
    let refused = |why: &str| Error::Unsupported { what: format!("{label} as the readout: {why}") };
    let stacks = Stacks::new(&folder.scopes.recurrent);
    let x = node.input.first().map(String::as_str).unwrap_or_default();
    let steps = match stacks.reached(folder, x, last) {
        Some(Reached::Every) => ReadoutSteps::Every,
        Some(Reached::Last) => ReadoutSteps::Last,
        None => {
            let of = label_of(last.node);
            return Err(refused(&format!(
                "it does not read every step of Y of {of}, nor the last one by a Gather of -1"
            )));
        }
    };
    let is_lasting = last.node.input.get(4).is_some_and(|lengths| !lengths.is_empty());
    if steps == ReadoutSteps::Last && is_lasting {
        return Err(refused("it reads step -1, which is not the last one of a sequence that ends before"));
    }
    let (w, mut b) = matrix(node, folder, features)?;
    let outputs = w.len() / features;
    let mut output = node.output.first().map(String::as_str).unwrap_or_default();
    if let (None, Some(add)) = (&b, user(folder, output)) {
        b = bias(add, folder, output, outputs)?;
        if b.is_some() {
            output = add.output.first().map(String::as_str).unwrap_or_default();
        }
    }
    let mut activation = ReadoutActivation::Linear;
    if let Some((found, by)) =
        user(folder, output).and_then(|node| Some((activation_of(node, steps, opset)?, node)))
    {
        activation = found;
        decisions.push(format!("activation {activation} of {label}: {}", label_of(by)));
    }
    decisions.push(match steps {
        ReadoutSteps::Every => format!("{label} is the readout of every step"),
        ReadoutSteps::Last => format!("{label} is the readout of the last step"),
    });
    Ok(Readout::new(features, outputs, steps, w, b)?.with_activation(activation))
}

fn find<'a>(name: &str, folder: &Folder<'a>, source: &str) -> Result<&'a NodeProto> {
    let is_dense = |node: &&NodeProto| is_of_onnx(node) && DENSE.contains(&node.op_type.as_str());
    let all: Vec<&NodeProto> = folder.scopes.nodes.iter().filter(is_dense).collect();
    let named: Vec<&NodeProto> = all.iter().copied().filter(|node| name_of(node) == name).collect();
    match named[..] {
        [node] => Ok(node),
        _ => Err(Error::Ambiguous {
            what: format!("a MatMul or Gemm node \"{name}\" in {source}"),
            found: all.into_iter().map(|node| name_of(node).to_owned()).collect(),
        }),
    }
}

/// The only node of the graph that reads `name`, unless it is an output of the graph.
fn user<'a>(folder: &Folder<'a>, name: &str) -> Option<&'a NodeProto> {
    let mut users = folder.scopes.nodes.iter().filter(|node| node.input.iter().any(|input| input == name));
    let first = users.next()?;
    (users.next().is_none() && !folder.scopes.outputs.contains(&name)).then_some(first)
}

/// A constant of floats: an input of `node`.
fn constant(node: &NodeProto, folder: &mut Folder<'_>, place: usize) -> Result<Value> {
    let name = node.input.get(place).map(String::as_str).unwrap_or_default();
    let label = format!("input {place} of {}, \"{name}\"", label_of(node));
    let value = folder.constant(0, name).map_err(|stop| match stop {
        Stop::Failed(error) => error,
        Stop::NotConstant(why) => {
            Error::Unsupported { what: format!("{label}, which is not a constant: {why}") }
        }
    })?;
    // Checks its type and its numbers.
    tensor(label, value.clone())?;
    Ok(value)
}

fn floats(value: Value) -> Vec<f32> {
    match value.data {
        Data::Floats(data) => data,
        Data::Ints(_) => Vec::new(),
    }
}

/// w `[O, D·H]`, and the bias of a Gemm.
fn matrix<'a>(
    node: &'a NodeProto,
    folder: &mut Folder<'a>,
    features: usize,
) -> Result<(Vec<f32>, Option<Vec<f32>>)> {
    let is_gemm = node.op_type == "Gemm";
    let refused =
        |why: String| Error::Unsupported { what: format!("{} as the readout: {why}", label_of(node)) };
    let mut is_turned = false;
    if is_gemm {
        let at = Operator { folder: &mut *folder, scope: 0, node, place: 0, depth: 0 };
        let flag = |name: &str| at.int(name).ok().flatten().unwrap_or(0);
        is_turned = flag("transB") != 0;
        let scale = |name: &str| node.attribute.iter().find(|a| a.name == name).and_then(|a| a.float());
        let other = ["alpha", "beta"].into_iter().find(|name| scale(name).is_some_and(|scale| scale != 1.0));
        if let Some(name) = other {
            return Err(refused(format!("{name} is not 1")));
        }
        if flag("transA") != 0 {
            return Err(refused("it transposes Y".into()));
        }
    }
    let w = constant(node, folder, 1)?;
    let (outputs, depth) = match (&w.shape[..], is_turned) {
        (&[depth, outputs], false) | (&[outputs, depth], true) => (outputs, depth),
        (shape, _) => return Err(refused(format!("a matrix of the shape {shape:?}"))),
    };
    if depth != features {
        return Err(refused(format!("its matrix is for {depth} features, Y has {features}")));
    }
    let data = floats(w);
    let w = match is_turned {
        true => data,
        false => (0..outputs).flat_map(|o| data.iter().skip(o).step_by(outputs.max(1)).copied()).collect(),
    };
    let has_bias = is_gemm && node.input.get(2).is_some_and(|name| !name.is_empty());
    let b = has_bias.then(|| constant(node, folder, 2)).transpose()?;
    Ok((w, b.map(|b| spread(b, outputs).ok_or_else(|| refused("its bias is not [O]".into()))).transpose()?))
}

/// A bias as `[O]`, which may be a single number or have dimensions of 1 before.
fn spread(value: Value, outputs: usize) -> Option<Vec<f32>> {
    let (last, before) = value.shape.split_last().map_or((1, &[][..]), |(last, before)| (*last, before));
    let fits = before.iter().all(|size| *size == 1) && (last == outputs || last == 1);
    let data = floats(value);
    fits.then(|| if data.len() == outputs { data } else { data.repeat(outputs) })
}

/// The constant that an Add adds to `name`; `None` where `node` does something else.
fn bias<'a>(
    node: &'a NodeProto,
    folder: &mut Folder<'a>,
    name: &str,
    outputs: usize,
) -> Result<Option<Vec<f32>>> {
    if !is_of_onnx(node) || node.op_type != "Add" || node.input.len() != 2 {
        return Ok(None);
    }
    let value = constant(node, folder, usize::from(node.input[0] == name))?;
    let refused =
        || Error::Unsupported { what: format!("{} after the readout: not a bias [O]", label_of(node)) };
    spread(value, outputs).map(Some).ok_or_else(refused)
}

/// The activation that `node` computes over the outputs; `None` where it is another operator, or along another axis.
fn activation_of(node: &NodeProto, steps: ReadoutSteps, opset: i64) -> Option<ReadoutActivation> {
    if !is_of_onnx(node) {
        return None;
    }
    let rank = if steps == ReadoutSteps::Every { 3 } else { 2 };
    let axis = node.attribute.iter().find(|attribute| attribute.name == "axis");
    // Before opset 13 the default was 1, and all axes from it on were one.
    let axis = axis.map_or(if opset < 13 { 1 } else { -1 }, |axis| axis.int().unwrap_or(0));
    let over_outputs = axis == -1 || axis == rank - 1;
    Some(match node.op_type.as_str() {
        "Relu" => ReadoutActivation::Relu,
        "Sigmoid" => ReadoutActivation::Sigmoid,
        "Tanh" => ReadoutActivation::Tanh,
        "Softmax" if over_outputs => ReadoutActivation::Softmax,
        "LogSoftmax" if over_outputs => ReadoutActivation::LogSoftmax,
        _ => return None,
    })
}
