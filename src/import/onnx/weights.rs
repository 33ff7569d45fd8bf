//! The weights of a recurrent node, from ONNX's layout to the crate's.
//!
//! ```text
//! W [D, G·H, I]    R [D, G·H, H]    gates z r h (GRU), i o f c (LSTM), one (RNN)
//! B [D, 2·G·H]     the bias on W, then the bias on R
//! P [D, 3·H]       an LSTM's peepholes, i o f
//! ```

use super::fold::{Folder, Stop};
use super::graph::Found;
use super::node::{Attributes, Op};
use super::tensor::{Data, Value};
use crate::dims::{check_finite, product};
use crate::error::{Error, Result};
use crate::import::Tensor;
use crate::model::{Cell, Layer, Weights};

/// The inputs of a node by their place, an empty name being no input.
pub(super) fn input<'a>(found: Found<'a>, place: usize) -> Option<&'a str> {
    found.node.input.get(place).map(String::as_str).filter(|name| !name.is_empty())
}

/// Refuses inputs and outputs that the operator does not have.
///
/// # Errors
/// [`Error::Unsupported`], naming the input or output.
pub(super) fn refuse_others(op: Op, label: &str, found: Found<'_>) -> Result<()> {
    let (inputs, outputs) = op.ports();
    let beyond = |names: &[String], known: usize| {
        names.iter().enumerate().skip(known).find(|(_, name)| !name.is_empty()).map(|(at, _)| at)
    };
    let what = if let Some(at) = beyond(&found.node.input, inputs.len()) {
        format!("input {at} of {label}, \"{}\"", found.node.input[at])
    } else if let Some(at) = beyond(&found.node.output, outputs.len()) {
        format!("output {at} of {label}, \"{}\"", found.node.output[at])
    } else {
        return Ok(());
    };
    Err(Error::Unsupported { what })
}

/// The constant at an input of a node: none where it is not connected, or where it is computed at run time.
///
/// # Errors
/// What is wrong with the file on the way.
pub(super) fn constant(folder: &mut Folder<'_>, found: Found<'_>, place: usize) -> Result<Option<Value>> {
    let Some(name) = input(found, place) else { return Ok(None) };
    match folder.value(found.scope, name) {
        Ok(value) => Ok(Some(value)),
        Err(Stop::NotConstant(_)) => Ok(None),
        Err(Stop::Failed(error)) => Err(error),
    }
}

/// A constant of floats as a tensor named `name`.
///
/// # Errors
/// [`Error::Unsupported`] for integers, [`Error::NotFinite`].
pub(super) fn tensor(name: String, value: Value) -> Result<Tensor> {
    let Data::Floats(data) = value.data else {
        return Err(Error::Unsupported { what: format!("{name} of integers") });
    };
    check_finite(&name, &value.shape, &data)?;
    Ok(Tensor { name, shape: value.shape, data })
}

/// The node's weights as one layer.
///
/// # Errors
/// [`Error::MissingTensor`] for W or R that is not connected, [`Error::Unsupported`] for one that is no constant,
/// [`Error::Shape`], [`Error::Mismatch`] and [`Error::NotFinite`] with the input's name, [`Error::Zero`].
pub(super) fn layer(
    attributes: &Attributes,
    cell: Cell,
    folder: &mut Folder<'_>,
    found: Found<'_>,
    source: &str,
) -> Result<Layer> {
    let label = &attributes.label;
    let mut take = |letter: &str, place: usize| -> Result<Option<Tensor>> {
        let Some(name) = input(found, place) else { return Ok(None) };
        let full = format!("{letter} of {label}, \"{name}\"");
        match folder.value(found.scope, name) {
            Ok(value) => tensor(full, value).map(Some),
            Err(Stop::Failed(error)) => Err(error),
            Err(Stop::NotConstant(why)) => {
                Err(Error::Unsupported { what: format!("{full}, which is no constant: {why}") })
            }
        }
    };
    let missing = |letter: &str| Error::MissingTensor {
        name: format!("{letter} of {label}"),
        source: source.into(),
        found: Vec::new(),
    };
    let r = take("R", 2)?.ok_or_else(|| missing("R"))?;
    let w = take("W", 1)?.ok_or_else(|| missing("W"))?;
    let b = take("B", 3)?;
    let p = if attributes.op == Op::Lstm { take("P", 7)? } else { None };

    let directions = attributes.direction.count();
    let (hidden, input) = (last_of_three(&r)?, last_of_three(&w)?);
    if let Some(claimed) = attributes.hidden.filter(|&claimed| usize::try_from(claimed) != Ok(hidden)) {
        return Err(Error::Mismatch {
            name: format!("hidden_size of {label}"),
            reason: format!("is {claimed}, R is {:?}", r.shape),
        });
    }
    let gates = cell.gates();
    let rows = product(&r.name, &[gates, hidden])?;
    let r = r.with_shape(&[directions, rows, hidden])?;
    let w = w.with_shape(&[directions, rows, input])?;
    let b = b.map(|b| b.with_shape(&[directions, product("2·G·H", &[2, rows])?])).transpose()?;
    let p = p.map(|p| p.with_shape(&[directions, product("3·H", &[3, hidden])?])).transpose()?;
    let part = |tensor: &Tensor, index: usize, len: usize| tensor.data[index * len..][..len].to_vec();
    let weights = |d: usize| {
        let stacked = Weights {
            w_ih: part(&w, d, rows * input),
            w_hh: part(&r, d, rows * hidden),
            b_ih: b.as_ref().map(|b| part(b, 2 * d, rows)),
            b_hh: b.as_ref().map(|b| part(b, 2 * d + 1, rows)),
            peepholes: p.as_ref().map(|p| peepholes(&part(p, d, 3 * hidden))),
            w_hr: None,
        };
        attributes.op.gate_order().map_or(Ok(stacked.clone()), |order| stacked.from_order(order))
    };
    let weights = (0..directions).map(weights).collect::<Result<_>>()?;
    Layer::new(cell, attributes.direction, input, hidden, weights)
}

/// ONNX's i o f to the crate's i f o.
fn peepholes(p: &[f32]) -> Vec<f32> {
    let hidden = p.len() / 3;
    [&p[..hidden], &p[2 * hidden..], &p[hidden..2 * hidden]].concat()
}

fn last_of_three(tensor: &Tensor) -> Result<usize> {
    match tensor.shape[..] {
        [_, _, last] => Ok(last),
        _ => Err(Error::Format {
            name: tensor.name.clone(),
            reason: format!("expected 3 dimensions, got {:?}", tensor.shape),
        }),
    }
}

/// A constant initial state, of which D and H are known: `[D, B, H]`, with layout 1 `[B, D, H]`.
///
/// # Errors
/// [`Error::Mismatch`] for another shape.
pub(super) fn check_state(state: &Tensor, attributes: &Attributes, hidden: usize) -> Result<()> {
    let directions = attributes.direction.count();
    let (letters, fits) = match (attributes.layout, &state.shape[..]) {
        (0, &[d, _, h]) => ("[D, B, H]", d == directions && h == hidden),
        (_, &[_, d, h]) => ("[B, D, H]", d == directions && h == hidden),
        _ => ("three dimensions", false),
    };
    if fits {
        return Ok(());
    }
    let reason = format!("expected {letters} with D = {directions} and H = {hidden}, got {:?}", state.shape);
    Err(Error::Mismatch { name: state.name.clone(), reason })
}
