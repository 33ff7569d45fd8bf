//! The inputs of a node beside X and its weights: sequence_lens, initial_h, initial_c. A connected input is a
//! constant, an input of the graph, or computed by a node of the graph, which is named.

#![allow(clippy::indexing_slicing, reason = "indices of inputs, and dimensions checked against the rank")]

use super::fold::{Folder, Stop};
use super::graph::{Found, Origin};
use super::names::label_of;
use super::node::{Attributes, INPUTS};
use super::ops::expand;
use super::value::{Data, Int, Value};
use super::weights::{input, tensor};
use crate::error::{Error, Result};
use crate::import::Tensor;

/// The indices of sequence_lens and the states among a node's inputs.
pub(super) const LENGTHS: usize = 4;
pub(super) const STATES: [usize; 2] = [5, 6];

/// The source of one of these inputs.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Port<T> {
    /// Not connected.
    Absent,
    /// An input of the graph, by its name.
    Input(String),
    /// Elements `start` to `end` of the first dimension of an input of the graph, cut out by `by`.
    Part {
        name: String,
        start: i64,
        end: i64,
        by: String,
    },
    /// As many steps as X has, as counted by the graph.
    Full,
    Constant(T),
    /// One row, which the graph repeats to the size of the batch.
    Repeated(T),
    /// Computed by the graph: by which node, and why its value is unknown.
    Computed(String),
}

/// The name at input `place`, if it is an input of the graph.
pub(super) fn graph_input<'a>(folder: &Folder<'a>, found: Found<'a>, place: usize) -> Option<&'a str> {
    let name = input(found, place)?;
    matches!(folder.scopes.find(found.scope, name), Some((0, Origin::Input(_)))).then_some(name)
}

/// The port of an input that is not a constant.
fn runtime<'a, T>(folder: &mut Folder<'a>, found: Found<'a>, place: usize, why: String) -> Port<T> {
    if let Some(name) = graph_input(folder, found, place) {
        return Port::Input(name.into());
    }
    let name = input(found, place).unwrap_or_default();
    let by = match folder.scopes.find(found.scope, name) {
        Some((_, Origin::Node(node, _))) => {
            let label = label_of(node);
            match why.strip_prefix(&label) {
                Some(" is not folded") => label,
                Some(_) => why,
                None => format!("{label} ({why})"),
            }
        }
        _ => format!("the graph around the subgraph or function of the node, as \"{name}\""),
    };
    match part_of_input(folder, found, place) {
        Some((name, start, end)) => Port::Part { name, start, end, by },
        None => Port::Computed(by),
    }
}

/// The part that Split and Slice take of an input of the graph along its first dimension.
fn part_of_input<'a>(folder: &mut Folder<'a>, found: Found<'a>, place: usize) -> Option<(String, i64, i64)> {
    let (scope, Origin::Node(node, output)) = folder.scopes.find(found.scope, input(found, place)?)? else {
        return None;
    };
    let from = Found { scope, node };
    let name = graph_input(folder, from, 0)?.to_owned();
    let mut ints = |attribute: &str, place: usize| -> Option<Vec<i64>> {
        if let Some(attribute) = node.attribute.iter().find(|a| a.name == attribute) {
            return attribute.ints().map(<[i64]>::to_vec);
        }
        match folder.constant(scope, input(from, place)?).ok()?.data {
            Data::Ints(data) => data.into_iter().map(Int::known).collect(),
            Data::Floats(_) => None,
        }
    };
    match node.op_type.as_str() {
        "Split" => {
            let axis = node.attribute.iter().find(|a| a.name == "axis").map_or(Some(0), |a| a.int());
            let sizes = ints("split", 1)?;
            let size = *sizes.get(output)?;
            let start = sizes[..output].iter().try_fold(0i64, |sum, &size| sum.checked_add(size))?;
            (axis == Some(0)).then_some((name, start, start.checked_add(size)?))
        }
        "Slice" => {
            let (starts, ends) = (ints("starts", 1)?, ints("ends", 2)?);
            let axes = ints("axes", 3).unwrap_or_else(|| vec![0]);
            let steps = if input(from, 4).is_some() { ints("steps", 4)? } else { vec![1] };
            match (&starts[..], &ends[..], &axes[..], &steps[..]) {
                (&[start], &[end], [0], [1]) if start >= 0 => Some((name, start, end)),
                _ => None,
            }
        }
        _ => None,
    }
}

/// sequence_lens of a node.
///
/// # Errors
/// [`Error::Format`] for a constant that is not a list of lengths, and errors in the file on the way.
pub(super) fn lengths<'a>(
    folder: &mut Folder<'a>,
    found: Found<'a>,
    attributes: &Attributes,
) -> Result<Port<Vec<i64>>> {
    let Some(name) = input(found, LENGTHS) else { return Ok(Port::Absent) };
    let value = match folder.value(found.scope, name) {
        Ok(value) => value,
        Err(Stop::Failed(error)) => return Err(error),
        Err(Stop::NotConstant(why)) => return Ok(runtime(folder, found, LENGTHS, why)),
    };
    let wrong = || {
        Error::format(
            format!("sequence_lens of {}", attributes.label),
            format!("must be a list of integers, none below 0, got shape {:?}", value.shape),
        )
    };
    let Data::Ints(data) = &value.data else { return Err(wrong()) };
    if !value.uniform && value.shape.len() != 1 {
        return Err(wrong());
    }
    let x = input(found, 0).and_then(|x| folder.sizes_of(found.scope, x, 0));
    let steps = x.and_then(|sizes| sizes.get(usize::from(attributes.layout)).copied());
    let known: Option<Vec<i64>> = data.iter().map(|length| length.known()).collect();
    match known {
        Some(data) if data.iter().any(|&length| length < 0) => Err(wrong()),
        Some(data) if value.is_open() => Ok(Port::Repeated(data)),
        Some(data) => Ok(Port::Constant(data)),
        None if data.iter().all(|&length| Some(length) == steps) => Ok(Port::Full),
        None => Ok(runtime(folder, found, LENGTHS, "it depends on values known only at run time".into())),
    }
}

/// initial_h or initial_c of a node: `[D, B, H]`, with layout 1 `[B, D, H]`.
///
/// # Errors
/// [`Error::Mismatch`] for a constant of another shape, [`Error::NotFinite`], and errors in the file on the way.
pub(super) fn state<'a>(
    folder: &mut Folder<'a>,
    found: Found<'a>,
    place: usize,
    attributes: &Attributes,
    hidden: usize,
) -> Result<Port<Tensor>> {
    let Some(name) = input(found, place) else { return Ok(Port::Absent) };
    let value = match folder.value(found.scope, name) {
        Ok(value) => value,
        Err(Stop::Failed(error)) => return Err(error),
        Err(Stop::NotConstant(why)) => return Ok(runtime(folder, found, place, why)),
    };
    let directions = attributes.direction.count();
    let name = format!("{} of {}, \"{name}\"", INPUTS[place], attributes.label);
    let (batch, letters) = if attributes.layout == 0 { (1, "[D, B, H]") } else { (0, "[B, D, H]") };
    // One number of an unknown shape is open along every dimension.
    let value = match value.uniform {
        true => {
            let open = [(); 3].map(|()| Some(folder.symbols.fresh()));
            Value { uniform: false, shape: vec![1; 3], open: open.into(), ..value }
        }
        false => value,
    };
    let repeated = value.open.get(batch).is_some_and(Option::is_some);
    // Dimensions open along D or H have those sizes, or the run would fail.
    let mut sizes = vec![Int::Is(directions as i64), Int::Is(hidden as i64)];
    sizes.insert(batch, value.sizes().get(batch).copied().unwrap_or(Int::Is(1)));
    let fits = value.shape.len() == 3
        && (0..3).all(|at| {
            value.open[at].is_some() || at == batch || Int::Is(value.shape[at] as i64) == sizes[at]
        });
    let wrong = || Error::Mismatch {
        name: name.clone(),
        reason: format!("expected {letters} with D = {directions} and H = {hidden}, got {:?}", value.shape),
    };
    if !fits {
        return Err(wrong());
    }
    let fitted = expand(&value, &sizes, &mut folder.symbols).and_then(|view| view.copy(&value));
    let fitted = fitted.map_err(|_| wrong())?;
    let state = tensor(name.clone(), fitted)?;
    Ok(if repeated { Port::Repeated(state) } else { Port::Constant(state) })
}
