//! The weights of a recurrent node, from ONNX's layout to the crate's.
//!
//! ```text
//! W [D, G·H, I]    R [D, G·H, H]    gates z r h (GRU), i o f c (LSTM), one (RNN)
//! B [D, 2·G·H]     the bias on W, then the bias on R
//! P [D, 3·H]       an LSTM's peepholes, i o f
//! ```
//!
//! A DynamicQuantizeLSTM has W `[D, I, 4·H]` and R `[D, H, 4·H]` with 8 bits, each with a scale and a zero point per
//! direction `[D]` or per row `[D, 4·H]`.

#![allow(
    clippy::indexing_slicing,
    reason = "parts of tensors whose shapes have been checked, and indices of inputs"
)]

use super::arithmetic::dequantize;
use super::fold::{Folder, Stop};
use super::graph::Found;
use super::node::{Attributes, INPUTS, Op, is_quantised};
use super::ops::{Why, transpose};
use super::value::{Data, Value};
use crate::dims::{check_finite, product};
use crate::error::{Error, Result};
use crate::import::Tensor;
use crate::model::{Cell, Layer, Weights};

/// The inputs of a node by index; an empty name is no input.
pub(super) fn input<'a>(found: Found<'a>, place: usize) -> Option<&'a str> {
    found.node.input.get(place).map(String::as_str).filter(|name| !name.is_empty())
}

/// Refuses inputs and outputs that the operator does not have.
///
/// # Errors
/// [`Error::Unsupported`], naming the input or output.
pub(super) fn refuse_others(attributes: &Attributes, found: Found<'_>) -> Result<()> {
    let (inputs, outputs) = attributes.op.ports(attributes.quantised);
    let label = &attributes.label;
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

/// The shape of W at index 1, of R at 2, `[D, G·H, ·]`; `None` if it is not a constant.
pub(super) fn shape_of(folder: &mut Folder<'_>, found: Found<'_>, place: usize) -> Option<Vec<usize>> {
    let value = folder.constant(found.scope, input(found, place)?).ok()?;
    match value.shape[..] {
        [d, columns, rows] if is_quantised(found.node) => Some(vec![d, rows, columns]),
        _ => Some(value.shape),
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
/// [`Error::MissingTensor`] for W or R that is not connected, [`Error::Unsupported`] for one that is not a constant,
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
        let mut value = value_of(folder, found, place, &full)?;
        if attributes.quantised && place < 3 {
            let scale = 8 + 2 * (place - 1);
            value = dequantised(folder, found, scale, &full, value)?;
        }
        tensor(full, value).map(Some)
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

/// The constant at a connected input.
fn value_of(folder: &mut Folder<'_>, found: Found<'_>, place: usize, full: &str) -> Result<Value> {
    match folder.constant(found.scope, input(found, place).unwrap_or_default()) {
        Ok(value) => Ok(value),
        Err(Stop::Failed(error)) => Err(error),
        Err(Stop::NotConstant(why)) => {
            Err(Error::Unsupported { what: format!("{full}, which is not a constant: {why}") })
        }
    }
}

/// W or R of a DynamicQuantizeLSTM, `[D, ·, 4·H]`, in f32 and in ONNX's layout, `[D, 4·H, ·]`. Its scale is at input
/// `scale`, its zero point at the next.
fn dequantised(
    folder: &mut Folder<'_>,
    found: Found<'_>,
    scale: usize,
    full: &str,
    w: Value,
) -> Result<Value> {
    let mut spread = |place: usize| -> Result<Option<Value>> {
        if input(found, place).is_none() {
            return Ok(None);
        }
        let name = format!("{} of {full}", INPUTS[place]);
        let value = value_of(folder, found, place, &name)?;
        // [D] and [D, 4·H] beside [D, ·, 4·H].
        let shape = match value.shape[..] {
            [] => vec![1, 1, 1],
            [d] => vec![d, 1, 1],
            [d, rows] => vec![d, 1, rows],
            _ => {
                return Err(Error::format(name, format!("expected [D] or [D, 4·H], got {:?}", value.shape)));
            }
        };
        Ok(Some(Value { open: vec![None; shape.len()], shape, ..value }))
    };
    let scales = spread(scale)?.ok_or_else(|| Error::MissingTensor {
        name: format!("{} of {full}", INPUTS[scale]),
        source: "the node's inputs".into(),
        found: Vec::new(),
    })?;
    let zero = spread(scale + 1)?;
    let turned = dequantize(&w, &scales, zero.as_ref())
        .and_then(|value| transpose(&value, Some(&[0, 2, 1]))?.copy(&value));
    turned.map_err(|why| match why {
        Why::Wrong(reason) => Error::format(full, reason),
        Why::Open => Error::Unsupported { what: format!("{full}, which is not a constant") },
    })
}

/// ONNX's i o f to the crate's i f o.
fn peepholes(p: &[f32]) -> Vec<f32> {
    let hidden = p.len() / 3;
    [&p[..hidden], &p[2 * hidden..], &p[hidden..2 * hidden]].concat()
}

fn last_of_three(tensor: &Tensor) -> Result<usize> {
    match tensor.shape[..] {
        [_, _, last] => Ok(last),
        _ => {
            Err(Error::format(tensor.name.clone(), format!("expected 3 dimensions, got {:?}", tensor.shape)))
        }
    }
}
