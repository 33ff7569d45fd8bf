//! Combines the inputs that several layers read beside X: states of all layers one after the other, lengths shared by
//! all.
//!
//! ```text
//! initial_h, initial_c   [L·D, B, H], with layout 1 [B, L·D, H]
//! ```

use super::ports::Port;
use crate::error::{Error, Result};
use crate::import::Tensor;

/// The sizes of the states of one layer.
#[derive(Clone, Copy)]
pub(super) struct StateSizes {
    pub(super) layout: u8,
    pub(super) directions: usize,
    pub(super) hidden: usize,
}

/// The sequence_lens of all layers, each with the name of its node for errors.
///
/// # Errors
/// [`Error::Unsupported`] if they differ.
pub(super) fn lengths(all: Vec<(String, Port<Vec<i64>>)>) -> Result<Port<Vec<i64>>> {
    let mut all = all.into_iter();
    let Some((first, port)) = all.next() else { return Ok(Port::Absent) };
    match all.find(|(_, other)| *other != port) {
        Some((other, _)) => {
            let what = format!("a stack whose layers have different sequence_lens: {first} and {other}");
            Err(Error::Unsupported { what })
        }
        None => Ok(port),
    }
}

/// The states of all layers, and whether they are one input of the graph unchanged.
///
/// # Errors
/// [`Error::Unsupported`] for constants of different batches.
pub(super) fn states(role: &str, all: Vec<Port<Tensor>>, sizes: StateSizes) -> Result<(Port<Tensor>, bool)> {
    if let Some(Port::Computed(by)) = all.iter().find(|port| matches!(port, Port::Computed(_))) {
        return Ok((Port::Computed(by.clone()), false));
    }
    let runtime = |port: &&Port<Tensor>| matches!(port, Port::Input(_) | Port::Part { .. } | Port::Full);
    let constant = |port: &&Port<Tensor>| matches!(port, Port::Constant(_) | Port::Repeated(_));
    match (&all[..], all.iter().filter(runtime).count(), all.iter().filter(constant).count()) {
        (_, 0, 0) => Ok((Port::Absent, true)),
        // For one layer alone, a part of an input is not the input.
        ([Port::Part { by, .. }], ..) => Ok((Port::Computed(by.clone()), false)),
        ([_], ..) => Ok((all.into_iter().next().unwrap_or(Port::Absent), true)),
        (_, _, 0) => Ok(inputs(&all, sizes)),
        (_, 0, _) => constants(role, all, sizes).map(|port| (port, true)),
        _ => {
            let by = "constants for some layers and by inputs of the graph for others".into();
            Ok((Port::Computed(by), false))
        }
    }
}

fn inputs(all: &[Port<Tensor>], sizes: StateSizes) -> (Port<Tensor>, bool) {
    let mut names: Vec<&str> = Vec::new();
    let mut in_order = sizes.layout == 0;
    let d = sizes.directions as i64;
    for (port, from) in all.iter().zip((0..).step_by(sizes.directions)) {
        let name = match port {
            Port::Part { name, start, end, .. } => {
                in_order &= *start == from
                    && (*end == from + d || *end > from + d && from + d == all.len() as i64 * d);
                name
            }
            Port::Input(name) => {
                in_order = false;
                name
            }
            _ => {
                in_order = false;
                continue;
            }
        };
        if names.last() != Some(&name.as_str()) {
            names.push(name);
        }
    }
    if let ([name], true) = (&names[..], in_order) {
        return (Port::Input((*name).into()), true);
    }
    // The input is not [L·D, B, H] in the order of the layers: used directly, it would give layers each other's
    // states.
    let by = format!(
        "the graph from \"{}\", which is not the states of all layers in their order",
        names.join("\", \"")
    );
    (Port::Computed(by), false)
}

#[expect(
    clippy::indexing_slicing,
    reason = "states whose shape, [L·D, B, H] or [B, L·D, H], was checked when they were read"
)]
fn constants(role: &str, all: Vec<Port<Tensor>>, sizes: StateSizes) -> Result<Port<Tensor>> {
    let StateSizes { layout, directions, hidden } = sizes;
    let place = usize::from(layout == 0);
    let mut batches = all.iter().filter_map(|port| match port {
        Port::Constant(tensor) => Some(tensor.shape[place]),
        _ => None,
    });
    let batch = batches.next();
    if let (Some(one), Some(other)) = (batch, batches.find(|&other| Some(other) != batch)) {
        let what = format!("a stack whose layers have {role} for batches of {one} and of {other}");
        return Err(Error::Unsupported { what });
    }
    let rows = batch.unwrap_or(1);
    let each = directions * hidden;
    let layers = all.into_iter().map(|port| match port {
        Port::Constant(tensor) => tensor.data,
        Port::Repeated(tensor) => repeated(&tensor.data, rows, sizes),
        _ => vec![0.0; rows * each],
    });
    let layers: Vec<Vec<f32>> = layers.collect();
    let states = layers.len() * directions;
    let (shape, data) = match layout {
        0 => (vec![states, rows, hidden], layers.concat()),
        _ => {
            let row = |row: usize| layers.iter().flat_map(move |layer| &layer[row * each..(row + 1) * each]);
            (vec![rows, states, hidden], (0..rows).flat_map(row).copied().collect())
        }
    };
    let tensor = Tensor { name: role.into(), shape, data };
    Ok(if batch.is_some() { Port::Constant(tensor) } else { Port::Repeated(tensor) })
}

/// `[D, 1, H]` as `[D, B, H]`, with layout 1 `[1, D, H]` as `[B, D, H]`.
fn repeated(row: &[f32], rows: usize, StateSizes { layout, hidden, .. }: StateSizes) -> Vec<f32> {
    match layout {
        0 => row.chunks_exact(hidden.max(1)).flat_map(|unit| unit.repeat(rows)).collect(),
        _ => row.repeat(rows),
    }
}
