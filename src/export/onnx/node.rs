//! One layer as a node with its weights: from the crate's layout to ONNX's.
//!
//! ```text
//! W [D, G·H, I]    R [D, G·H, H]    gates z r h (GRU), i o f c (LSTM), one (RNN)
//! B [D, 2·G·H]     the bias on W, then the bias on R; absent where no direction has one
//! P [D, 3·H]       an LSTM's peepholes, i o f; absent where no direction has them
//! ```

use crate::error::{Error, Result};
use crate::export::{converted, is_biased};
use crate::model::{Activation, Activations, Cell, Forget, GateOrder, Layer, Merge, Reset, Weights};
use crate::proto::{AttributeProto, NodeProto, TensorProto, dtype, kind};

/// ONNX's name for the cell, and its gate order.
fn operator(cell: Cell) -> (&'static str, Option<GateOrder>) {
    match cell {
        Cell::Gru { .. } => ("GRU", Some(GateOrder::Zrn)),
        Cell::Lstm { .. } => ("LSTM", Some(GateOrder::Iofg)),
        Cell::Rnn => ("RNN", None),
    }
}

/// A size as ONNX writes it.
///
/// # Errors
/// [`Error::Overflow`].
pub(super) fn size(name: &str, size: usize) -> Result<i64> {
    i64::try_from(size).map_err(|_| Error::Overflow { name: name.into(), sizes: vec![size] })
}

/// A constant of floats.
///
/// # Errors
/// [`Error::Overflow`].
pub(super) fn floats(name: &str, shape: &[usize], values: &[f32]) -> Result<TensorProto> {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    tensor(name, dtype::FLOAT, shape, bytes)
}

/// A constant of integers.
///
/// # Errors
/// [`Error::Overflow`].
pub(super) fn ints(name: &str, shape: &[usize], values: &[i64]) -> Result<TensorProto> {
    tensor(name, dtype::INT64, shape, values.iter().flat_map(|value| value.to_le_bytes()).collect())
}

fn tensor(name: &str, data_type: i32, shape: &[usize], bytes: Vec<u8>) -> Result<TensorProto> {
    let dims = shape.iter().map(|&dim| size(name, dim)).collect::<Result<_>>()?;
    Ok(TensorProto { dims, data_type, name: name.into(), raw_data: bytes.into(), ..TensorProto::default() })
}

/// The node of layer `index` without its X and states, and the constants it reads.
///
/// # Errors
/// [`Error::Unsupported`] for a projection, a clip of the state, merged directions, and the errors of [`converted`].
pub(super) fn node(layer: &Layer, index: usize) -> Result<(NodeProto, Vec<TensorProto>)> {
    let (op, order) = operator(layer.cell());
    let refused = match (layer.projection(), layer.state_clip(), layer.merge()) {
        (Some(state), ..) => Some(format!("projection (to {state})")),
        (None, Some(clip), _) => Some(format!("state clip {clip}")),
        (None, None, Merge::Sum | Merge::Mul | Merge::Average) => {
            Some(format!("directions that are merged (merge mode {})", layer.merge()))
        }
        (None, None, Merge::Concat) => None,
    };
    if let Some(what) = refused {
        return Err(Error::Unsupported { what: format!("layer {index}: ONNX's {op} has no {what}") });
    }
    let sets = converted(layer, is_biased(layer))?;
    let sets = sets.into_iter().map(|set| order.map_or(Ok(set.clone()), |order| set.into_order(order)));
    let sets = sets.collect::<Result<Vec<_>>>()?;

    let (directions, hidden) = (layer.direction().count(), layer.hidden());
    let rows = layer.cell().gates() * hidden;
    let all = |part: fn(&Weights) -> Vec<f32>| sets.iter().flat_map(part).collect::<Vec<_>>();
    let name = |letter: &str| format!("{letter}_{index}");
    let mut tensors = vec![
        floats(&name("W"), &[directions, rows, layer.input()], &all(|set| set.w_ih.clone()))?,
        floats(&name("R"), &[directions, rows, hidden], &all(|set| set.w_hh.clone()))?,
    ];
    let mut input = vec![String::new(), name("W"), name("R")];
    if is_biased(layer) {
        let b = all(|set| [&set.b_ih, &set.b_hh].into_iter().flatten().flatten().copied().collect());
        tensors.push(floats(&name("B"), &[directions, 2 * rows], &b)?);
        input.push(name("B"));
    }
    if layer.has_peepholes() {
        let p: Vec<f32> = sets.iter().flat_map(|set| peepholes(set, hidden)).collect();
        tensors.push(floats(&name("P"), &[directions, 3 * hidden], &p)?);
        input.resize(7, String::new());
        input.push(name("P"));
    }
    let node = NodeProto {
        input,
        name: format!("{}_{index}", op.to_lowercase()),
        op_type: op.into(),
        attribute: attributes(layer)?,
        ..NodeProto::default()
    };
    Ok((node, tensors))
}

/// The crate's i f o in ONNX's order i o f; zeros if the direction has none.
fn peepholes(set: &Weights, hidden: usize) -> Vec<f32> {
    let p = set.peepholes.clone().unwrap_or_else(|| vec![0.0; 3 * hidden]);
    [&p[..hidden], &p[2 * hidden..], &p[hidden..2 * hidden]].concat()
}

/// The attributes. Those at ONNX's default are left out, except `linear_before_reset`, which too many exporters omit.
fn attributes(layer: &Layer) -> Result<Vec<AttributeProto>> {
    let mut all = vec![
        int("hidden_size", size("hidden_size", layer.hidden())?),
        AttributeProto {
            name: "direction".into(),
            kind: kind::STRING,
            s: Some(layer.direction().to_string().into_bytes()),
            ..AttributeProto::default()
        },
    ];
    match layer.cell() {
        Cell::Gru { reset, .. } => all.push(int("linear_before_reset", (reset == Reset::After).into())),
        Cell::Lstm { forget: Forget::Coupled } => all.push(int("input_forget", 1)),
        _ => {}
    }
    if let Some(clip) = layer.clip() {
        all.push(AttributeProto {
            name: "clip".into(),
            kind: kind::FLOAT,
            f: Some(clip),
            ..AttributeProto::default()
        });
    }
    all.extend(activations(layer));
    Ok(all)
}

/// f g h of each direction in turn, then the α and β of the functions that have them.
fn activations(layer: &Layer) -> Vec<AttributeProto> {
    let cell = layer.cell();
    let own = Activations::of(cell).places(cell);
    if layer.activations().iter().all(|set| set.places(cell) == own) {
        return Vec::new();
    }
    let functions: Vec<_> = layer.activations().iter().flat_map(|set| set.places(cell)).collect();
    let names = functions.iter().map(|activation| format!("{:?}", activation.function()).into_bytes());
    let mut all = vec![AttributeProto {
        name: "activations".into(),
        kind: kind::STRINGS,
        strings: names.collect(),
        ..AttributeProto::default()
    }];
    let takes = |activation: &&Activation| activation.function().parameters();
    let alpha = functions.iter().filter(|a| takes(a).0).map(|a| a.alpha()).collect();
    let beta = functions.iter().filter(|a| takes(a).1).map(|a| a.beta()).collect();
    for (name, floats) in [("activation_alpha", alpha), ("activation_beta", beta)] {
        let floats: Vec<f32> = floats;
        if !floats.is_empty() {
            all.push(AttributeProto {
                name: name.into(),
                kind: kind::FLOATS,
                floats,
                ..AttributeProto::default()
            });
        }
    }
    all
}

/// An attribute of one integer.
pub(super) fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: name.into(), kind: kind::INT, i: Some(value), ..AttributeProto::default() }
}

/// An attribute of several integers.
pub(super) fn int_list(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto { name: name.into(), kind: kind::INTS, ints: values.to_vec(), ..AttributeProto::default() }
}
