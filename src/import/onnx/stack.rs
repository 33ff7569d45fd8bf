//! Recurrent nodes that feed each other: X of one is Y of the previous, brought from `[T, D, B, H]` to `[T, B, D·H]`
//! by operators that only move elements. For each array between them, the dimensions of Y that it is made of are
//! tracked:
//!
//! ```text
//! Y [T][D][B][H]   Transpose 0 2 1 3   [T][B][D][H]   Reshape 0 0 -1   [T][B][D H]   X
//! ```
//!
//! Dimensions of 1 are left out, so that Squeeze and Unsqueeze of D = 1 fit in.

#![allow(
    clippy::indexing_slicing,
    reason = "indices of recurrent nodes, and dimensions of a shape with its sizes"
)]

use std::collections::HashMap;

use super::fold::{Folder, Operator};
use super::graph::{Found, Origin};
use super::names::is_of_onnx;
use super::node::Op;
use super::ops::order;
use super::reshape::{gone_dims, new_dims, regroup};
use super::value::{Data, Int};
use super::weights::input;
use crate::proto::NodeProto;

/// The most operators between two layers.
const MOST_BETWEEN: usize = 32;

/// Operators that move elements and compute none.
const MOVING: [&str; 16] = [
    "Constant",
    "ConstantOfShape",
    "Shape",
    "Identity",
    "Cast",
    "Slice",
    "Split",
    "Gather",
    "Concat",
    "Transpose",
    "Expand",
    "Tile",
    "Reshape",
    "Unsqueeze",
    "Squeeze",
    "Dropout",
];

/// The recurrent nodes of a model by their output Y.
pub(super) struct Stacks<'a> {
    made: HashMap<(usize, &'a str), usize>,
}

/// The part of Y that an array has, with the features of a step in its last dimension.
pub(super) enum Reached {
    /// Every step.
    Every,
    /// The last step alone.
    Last,
}

/// How X of a node comes from Y of another.
pub(super) struct Feed<'a> {
    /// The index of the recurrent node that outputs Y.
    pub(super) from: usize,
    /// The nodes between.
    pub(super) between: Vec<&'a NodeProto>,
}

impl<'a> Stacks<'a> {
    pub(super) fn new(recurrent: &[Found<'a>]) -> Self {
        let made = recurrent.iter().enumerate().filter_map(|(index, found)| {
            let y = found.node.output.first().filter(|name| !name.is_empty())?;
            Some(((found.scope, y.as_str()), index))
        });
        Self { made: made.collect() }
    }

    /// The node whose Y is X of `found`, if that is certain.
    pub(super) fn feed(&self, folder: &mut Folder<'a>, found: Found<'a>) -> Option<Feed<'a>> {
        let (feed, sizes, dims) = self.origin(folder, found.scope, input(found, 0)?)?;
        let roles = roles(folder.scopes.recurrent[feed.from].node)?;
        // T, B and the features, in the order of the layout.
        let own = &roles_of_x(found.node);
        (dims == arranged(&roles, &sizes, own)?).then_some(feed)
    }

    /// What the array `name` of the graph has of Y of `last`, if that is certain.
    pub(super) fn reached(&self, folder: &mut Folder<'a>, name: &'a str, last: Found<'a>) -> Option<Reached> {
        let (feed, sizes, dims) = self.origin(folder, 0, name)?;
        let from = folder.scopes.recurrent[feed.from];
        let roles = roles(from.node)?;
        let every = [['T', 'B'], ['B', 'T']].map(|own| arranged(&roles, &sizes, &own));
        let [whole, _] = &every;
        let last_step: Option<Dims> = whole.as_ref().map(|dims| dims[1..].to_vec());
        if !std::ptr::eq(from.node, last.node) || from.scope != last.scope {
            None
        } else if every.contains(&Some(dims.clone())) {
            Some(Reached::Every)
        } else {
            (Some(dims) == last_step).then_some(Reached::Last)
        }
    }

    /// The recurrent node whose Y the array `name` is made of, with the sizes of that Y, and for each dimension of the array
    /// those of Y.
    fn origin(
        &self,
        folder: &mut Folder<'a>,
        scope: usize,
        mut name: &'a str,
    ) -> Option<(Feed<'a>, Vec<Int>, Dims)> {
        let mut between = Vec::new();
        let from = loop {
            if let Some(&from) = self.made.get(&(scope, name)) {
                break from;
            }
            let (home, Origin::Node(node, 0)) = folder.scopes.find(scope, name)? else { return None };
            let moves = is_of_onnx(node) && MOVING.contains(&node.op_type.as_str());
            if home != scope || !moves || between.len() == MOST_BETWEEN {
                return None;
            }
            between.push(node);
            name = node.input.first()?;
        };
        let sizes = folder.sizes_of(scope, name, 0)?;
        let mut dims: Dims = (0..sizes.len()).map(|dim| one(&sizes, dim)).collect();
        for &node in between.iter().rev() {
            dims = moved(folder, scope, node, &sizes, dims)?;
        }
        Some((Feed { from, between }, sizes, dims))
    }

    /// The layers of the model in order, if the graph consists of a stack of all its recurrent nodes and of operators
    /// that move elements.
    pub(super) fn whole(&self, folder: &mut Folder<'a>) -> Option<Vec<usize>> {
        let recurrent = &folder.scopes.recurrent;
        if recurrent.iter().any(|found| found.scope != 0) {
            return None;
        }
        let mut next = vec![None; recurrent.len()];
        let mut first = None;
        for (index, &found) in recurrent.iter().enumerate() {
            match self.feed(folder, found) {
                Some(feed) if next[feed.from].is_none() => next[feed.from] = Some(index),
                None if first.is_none() => first = Some(index),
                _ => return None,
            }
        }
        let chain: Vec<usize> = std::iter::successors(first, |&index| next[index]).collect();
        (chain.len() == recurrent.len() && is_moving(folder)).then_some(chain)
    }
}

/// Two dimensions of Y, and the features as one, in this order.
fn arranged(roles: &[char; 4], sizes: &[Int], own: &[char; 2]) -> Option<Dims> {
    let place = |role: char| roles.iter().position(|&other| other == role);
    let [first, second] = [place(own[0])?, place(own[1])?];
    let features = [place('D')?, place('H')?].into_iter().flat_map(|dim| one(sizes, dim)).collect();
    Some(vec![one(sizes, first), one(sizes, second), features])
}

/// Whether every node of the graph is recurrent, moves elements, or computes sizes.
fn is_moving(folder: &mut Folder<'_>) -> bool {
    let moves = |folder: &mut Folder<'_>, node: &NodeProto| {
        Op::of(node).is_some()
            || is_of_onnx(node) && MOVING.contains(&node.op_type.as_str())
            || node.output.iter().all(|name| {
                folder
                    .value(0, name)
                    .is_ok_and(|value| value.is_closed() || matches!(value.data, Data::Ints(_)))
            })
    };
    let nodes = folder.scopes.nodes;
    nodes.iter().all(|node| moves(folder, node))
}

/// The dimensions of Y.
fn roles(node: &NodeProto) -> Option<[char; 4]> {
    let x = roles_of_x(node);
    Some(if x[0] == 'T' { ['T', 'D', 'B', 'H'] } else { ['B', 'T', 'D', 'H'] })
}

fn roles_of_x(node: &NodeProto) -> [char; 2] {
    let layout = node.attribute.iter().find(|attribute| attribute.name == "layout");
    if layout.and_then(|layout| layout.int()).is_some_and(|layout| layout != 0) {
        ['B', 'T']
    } else {
        ['T', 'B']
    }
}

/// For each dimension of an array, the dimensions of Y that it is made of.
type Dims = Vec<Vec<usize>>;

/// A dimension of Y; `None` where it is 1.
fn one(sizes: &[Int], dim: usize) -> Vec<usize> {
    if sizes[dim] == Int::Is(1) { Vec::new() } else { vec![dim] }
}

/// The effect of a node on the dimensions of its input, if it only moves elements.
fn moved<'a>(
    folder: &mut Folder<'a>,
    scope: usize,
    node: &'a NodeProto,
    sizes: &[Int],
    dims: Dims,
) -> Option<Dims> {
    let mut at = Operator { folder, scope, node, place: 0, depth: 0 };
    match node.op_type.as_str() {
        "Identity" => Some(dims),
        // Without a training mode, or with training off, its output is its input.
        "Dropout" => match node.input.get(2).map(String::as_str) {
            None | Some("") => Some(dims),
            Some(_) => match at.input(2).ok()?.data {
                Data::Ints(mode) => mode.iter().all(|&mode| mode == Int::Is(0)).then_some(dims),
                Data::Floats(_) => None,
            },
        },
        "Transpose" => {
            at.known(&["perm"], 1).ok()?;
            let perm = at.ints("perm", usize::MAX).ok()?;
            let order = order(dims.len(), perm.as_deref()).ok()?;
            Some(order.into_iter().map(|dim| dims[dim].clone()).collect())
        }
        "Squeeze" => {
            at.known(&["axes"], 2).ok()?;
            let axes = at.ints("axes", 1).ok()?;
            let own: Vec<Int> = dims.iter().map(|dim| size(at.folder, sizes, dim)).collect();
            let gone = gone_dims(&own, axes.as_deref()).ok()?;
            // Only dimensions known to be 1.
            let certain = dims.iter().zip(&gone).all(|(dim, gone)| !gone || dim.is_empty());
            certain
                .then(|| dims.into_iter().zip(gone).filter(|(_, gone)| !gone).map(|(dim, _)| dim).collect())
        }
        "Unsqueeze" => {
            at.known(&["axes"], 2).ok()?;
            let axes = at.ints("axes", 1).ok()??;
            let new = new_dims(dims.len(), &axes).ok()?;
            let mut old = dims.into_iter();
            Some(new.into_iter().map(|new| if new { None } else { old.next() }.unwrap_or_default()).collect())
        }
        // The last along a dimension, which is then gone.
        "Gather" => {
            at.known(&["axis"], 2).ok()?;
            let axis = at.int("axis").ok()?.unwrap_or(0);
            let axis = if axis < 0 { axis.checked_add(i64::try_from(dims.len()).ok()?)? } else { axis };
            let axis = usize::try_from(axis).ok().filter(|&axis| axis < dims.len())?;
            let index = at.input(1).ok()?;
            let is_last = index.shape.is_empty() && index.data == Data::ints(&[-1]);
            is_last.then(|| {
                dims.into_iter().enumerate().filter(|(dim, _)| *dim != axis).map(|(_, of)| of).collect()
            })
        }
        "Reshape" => {
            at.known(&["allowzero"], 2).ok()?;
            let keeps = at.int("allowzero").ok()?.unwrap_or(0) == 0;
            let to = at.sizes("shape", 1).ok()??;
            let copied = |(index, to): (usize, Int)| match to {
                Int::Is(0) if keeps => dims.get(index).map(|dim| size(at.folder, sizes, dim)),
                to => Some(to),
            };
            let to = to.into_iter().enumerate().map(copied).collect::<Option<Vec<Int>>>()?;
            let flat: Vec<usize> = dims.into_iter().flatten().collect();
            let of: Vec<Int> = flat.iter().map(|&dim| sizes[dim]).collect();
            let groups = regroup(&of, &to, true)?;
            Some(groups.into_iter().map(|group| group.into_iter().map(|at| flat[at]).collect()).collect())
        }
        _ => None,
    }
}

/// The size of a dimension that is the product of dimensions of Y.
fn size(folder: &mut Folder<'_>, sizes: &[Int], dims: &[usize]) -> Int {
    folder.product(dims.iter().map(|&dim| sizes[dim]))
}
