//! One step of an LSTM that is written out in the graph:
//!
//! ```text
//! s  = x W + h R + b          [G·H], split into four gates in any order
//! c' = σ(s_f) ⊙ c + σ(s_i) ⊙ tanh(s_g)
//! h' = σ(s_o) ⊙ tanh(c')
//! ```
//!
//! Which part of s is which gate follows from its use. States come from input 1 of the graph; the session keeps them.

use wgru::{Cell, Direction, Layer, Weights};

use crate::cores::transpose;
use crate::error::Result;
use crate::file::NodeProto;
use crate::graph::{Arrays, Constant, Maker, attribute, describe};

const ROLE: &str = "an LSTM of core 2";

/// The layer whose h' is `name`, and the name of its input x.
pub(crate) fn read<'a>(arrays: &Arrays<'a>, name: &str) -> Result<(Layer, &'a str)> {
    let (o, new_c) = gated(arrays, arrays.node(name, &["Mul"], ROLE)?)?;
    let Maker::Node(new_c, _) = new_c else {
        return arrays.graph.refuse(format!("{ROLE}: its c' is {}, expected an Add", describe(new_c)));
    };
    let [one, other] = arrays.operands(arrays.expect(Maker::Node(new_c, 0), &["Add"], ROLE)?)?;
    let [one, other] = [arrays.expect(one, &["Mul"], ROLE)?, arrays.expect(other, &["Mul"], ROLE)?];
    // σ(s_i) ⊙ tanh(s_g) has a tanh, σ(s_f) ⊙ c has a state.
    let ((i, g), (f, c)) = match gated(arrays, one) {
        Ok(product) => (product, state_gated(arrays, other)?),
        Err(_) => (gated(arrays, other)?, state_gated(arrays, one)?),
    };
    if !is_state(arrays, c)? {
        return arrays.graph.refuse(format!("{ROLE}: c does not come from input 1 of the graph"));
    }
    let gates = [i, f, g, o];
    let Maker::Node(split, _) = i else {
        return arrays.graph.refuse(format!("{ROLE}: gate i is {}, expected a part of a Split", describe(i)));
    };
    let mut places = [0; 4];
    for (gate, place) in gates.into_iter().zip(&mut places) {
        match gate {
            Maker::Node(node, at) if std::ptr::eq(node, split) => *place = at,
            other => {
                let found = describe(other);
                return arrays
                    .graph
                    .refuse(format!("{ROLE}: a gate is {found}, expected a part of one Split"));
            }
        }
    }
    weights(arrays, split, places)
}

/// The layer from the sum that is split into gates i, f, g, o at `places`.
fn weights<'a>(arrays: &Arrays<'a>, split: &'a NodeProto, places: [usize; 4]) -> Result<(Layer, &'a str)> {
    let refuse = |reason: &str| arrays.graph.refuse(format!("{ROLE}: {reason}"));
    let mut seen = places;
    seen.sort_unstable();
    if split.op_type != "Split" || split.output.len() != 4 || seen != [0, 1, 2, 3] {
        return refuse("its gates are not the four parts of a Split");
    }
    let (bias, products) = terms(arrays, arrays.operand(split, 0)?)?;
    let [one, other] = &products[..] else {
        return refuse("expected a sum of x W, h R and a bias");
    };
    let [from_one, from_other] = [one.1, other.1].map(|name| is_state(arrays, name));
    let ((w, x), (r, _)) = match (from_one?, from_other?) {
        (false, true) => (one, other),
        (true, false) => (other, one),
        _ => return refuse("one of its two products should be of h, from input 1 of the graph"),
    };
    let [hidden, columns] = r.shape[..] else { return refuse("its R is not a matrix") };
    let sizes = attribute(split, "split");
    if w.shape[1] != columns
        || Some(columns) != hidden.checked_mul(4)
        || sizes.iter().any(|&size| size != hidden as i64)
    {
        let reason = format!("W {:?} and R {:?} do not have four gates of one size", w.shape, r.shape);
        return refuse(&reason);
    }
    let bias = match bias {
        Some(Constant { data, .. }) if data.len() == columns => Some(ordered(&data, hidden, places)),
        Some(_) => return refuse("its bias does not fit its gates"),
        None => None,
    };
    let matrix =
        |matrix: &Constant| ordered(&transpose(&matrix.data, columns), hidden * matrix.shape[0], places);
    let weights = Weights { w_ih: matrix(w), w_hh: matrix(r), b_ih: bias, ..Weights::default() };
    let layer = Layer::new(Cell::LSTM, Direction::Forward, w.shape[0], hidden, vec![weights])?;
    Ok((layer, x))
}

/// Gates of `size` numbers, those at `places` in their order.
fn ordered(all: &[f32], size: usize, places: [usize; 4]) -> Vec<f32> {
    places.iter().flat_map(|&place| &all[place * size..][..size]).copied().collect()
}

/// `σ(a) ⊙ tanh(b)`: the sources of a and b.
fn gated<'a>(arrays: &Arrays<'a>, product: &'a NodeProto) -> Result<(Maker<'a>, Maker<'a>)> {
    let [one, other] = arrays.operands(product)?;
    let is_tanh = matches!(one, Maker::Node(node, _) if node.op_type == "Tanh");
    let (gate, value) = if is_tanh { (other, one) } else { (one, other) };
    let gate = arrays.expect(gate, &["Sigmoid"], ROLE)?;
    let value = arrays.expect(value, &["Tanh"], ROLE)?;
    Ok((arrays.maker(arrays.operand(gate, 0)?)?, arrays.maker(arrays.operand(value, 0)?)?))
}

/// `σ(a) ⊙ c`: the source of a, and the name of c.
fn state_gated<'a>(arrays: &Arrays<'a>, product: &'a NodeProto) -> Result<(Maker<'a>, &'a str)> {
    let is_gate = |maker: &Maker<'_>| matches!(maker, Maker::Node(node, _) if node.op_type == "Sigmoid");
    let first_is_gate = is_gate(&arrays.operands(product)?[0]);
    let (gate, state) = if first_is_gate { (0, 1) } else { (1, 0) };
    let gate = arrays.node(arrays.operand(product, gate)?, &["Sigmoid"], ROLE)?;
    Ok((arrays.maker(arrays.operand(gate, 0)?)?, arrays.operand(product, state)?))
}

/// The terms of a sum: at most one constant, and products `y M` with the name of y.
type Terms<'a> = (Option<Constant>, Vec<(Constant, &'a str)>);

fn terms<'a>(arrays: &Arrays<'a>, name: &'a str) -> Result<Terms<'a>> {
    let (mut bias, mut products, mut open) = (None, Vec::new(), vec![name]);
    // Three terms have two sums; more are no LSTM, and a cycle would have no end.
    for _ in 0..5 {
        let Some(name) = open.pop() else { break };
        match arrays.maker(name)? {
            Maker::Constant(tensor) if bias.is_none() => bias = Some(arrays.floats(tensor)?),
            Maker::Node(node, _) if node.op_type == "Add" => {
                open.extend([arrays.operand(node, 0)?, arrays.operand(node, 1)?]);
            }
            maker => products.push(arrays.product(arrays.expect(maker, &["MatMul"], ROLE)?, ROLE)?),
        }
    }
    if open.is_empty() {
        return Ok((bias, products));
    }
    arrays.graph.refuse(format!("{ROLE}: a sum of more than x W, h R and a bias"))
}

/// Whether an array is a part of the states, input 1 of the graph.
fn is_state(arrays: &Arrays<'_>, name: &str) -> Result<bool> {
    Ok(match arrays.maker(name)? {
        Maker::Node(node, _) if node.op_type == "Slice" => {
            matches!(arrays.maker(arrays.operand(node, 0)?)?, Maker::Input(1))
        }
        Maker::Input(1) => true,
        _ => false,
    })
}
