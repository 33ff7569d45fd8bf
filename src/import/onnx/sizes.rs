//! The sizes of run-time arrays, as far as they are certain: numbers, or symbols. Equal sizes have the same symbol,
//! so a Reshape to the result of a Shape is known to keep a dimension.

#![allow(clippy::indexing_slicing, reason = "dimensions checked against the rank")]

use super::fold::{DEEPEST, Folder, Operator};
use super::graph::{Found, Origin};
use super::names::is_of_onnx;
use super::node::Op;
use super::ops;
use super::reshape::{gone_dims, new_dims, regroup};
use super::value::Int;
use super::weights::input;
use crate::model::Direction;
use crate::proto::NodeProto;

/// Operators whose output has the sizes of their first input.
const SAME: [&str; 14] = [
    "Identity",
    "Cast",
    "Dropout",
    "Relu",
    "LeakyRelu",
    "Elu",
    "Selu",
    "Gelu",
    "Tanh",
    "Sigmoid",
    "HardSigmoid",
    "Softmax",
    "LayerNormalization",
    "BatchNormalization",
];

impl<'a> Folder<'a> {
    /// X of a recurrent node has three dimensions, whatever the file says of it.
    pub(super) fn know_three(&mut self, found: Found<'a>) {
        let Some(name) = input(found, 0) else { return };
        let Some((home, _)) = self.scopes.find(found.scope, name) else { return };
        if self.sizes_of(found.scope, name, 0).is_none_or(|sizes| sizes.len() != 3) {
            let sizes = [(); 3].map(|()| Int::Size(self.symbols.fresh()));
            self.sizes.insert((home, name), Some(sizes.into()));
        }
    }

    /// The sizes of a run-time array, or `None` if not even its rank is known.
    pub(super) fn sizes_of(&mut self, scope: usize, name: &'a str, depth: usize) -> Option<Vec<Int>> {
        let (home, origin) = self.scopes.find(scope, name)?;
        if let Some(sizes) = self.sizes.get(&(home, name)) {
            return sizes.clone();
        }
        let sizes = match origin {
            Origin::Input(info) => info.and_then(|info| info.sizes()).map(|sizes| {
                let size = |size: Option<i64>| match size.filter(|&size| size >= 0) {
                    Some(size) => Int::Is(size),
                    None => Int::Size(self.symbols.fresh()),
                };
                sizes.into_iter().map(size).collect()
            }),
            Origin::Node(node, place) => self.sizes_made(home, node, place, depth),
            Origin::Tensor(_) | Origin::Sparse => None,
        };
        self.sizes.insert((home, name), sizes.clone());
        sizes
    }

    fn sizes_made(
        &mut self,
        scope: usize,
        node: &'a NodeProto,
        place: usize,
        depth: usize,
    ) -> Option<Vec<Int>> {
        if let (Some(op), true) = (Op::of(node), place < 3) {
            return self.sizes_of_recurrent(op, scope, node, place, depth);
        }
        if depth >= DEEPEST || place != 0 || !is_of_onnx(node) {
            return None;
        }
        let input = node.input.first()?;
        let sizes = self.sizes_of(scope, input, depth + 1)?;
        let mut at = Operator { folder: self, scope, node, place, depth: depth + 1 };
        match node.op_type.as_str() {
            op if SAME.contains(&op) => Some(sizes),
            "Transpose" => {
                let perm = at.ints("perm", usize::MAX).ok()?;
                let order = ops::order(sizes.len(), perm.as_deref()).ok()?;
                Some(order.into_iter().map(|dim| sizes[dim]).collect())
            }
            "Unsqueeze" => {
                let axes = at.ints("axes", 1).ok()??;
                let new = new_dims(sizes.len(), &axes).ok()?;
                let mut old = sizes.into_iter();
                Some(
                    new.into_iter()
                        .map(|new| if new { None } else { old.next() }.unwrap_or(Int::Is(1)))
                        .collect(),
                )
            }
            "Squeeze" => {
                let axes = at.ints("axes", 1).ok()?;
                let gone = gone_dims(&sizes, axes.as_deref()).ok()?;
                Some(sizes.into_iter().zip(gone).filter(|(_, gone)| !gone).map(|(size, _)| size).collect())
            }
            "Reshape" => {
                let to = at.sizes("shape", 1).ok()??;
                let keeps = at.int("allowzero").ok()?.unwrap_or(0) == 0;
                let groups = regroup(&sizes, &to, !keeps);
                let size = |(index, &to): (usize, &Int)| match (to, &groups) {
                    (Int::Is(0), _) if keeps => sizes.get(index).copied(),
                    (Int::Is(-1), Some(groups)) => {
                        Some(self.product(groups[index].iter().map(|&dim| sizes[dim])))
                    }
                    (Int::Is(-1), None) => Some(Int::Size(self.symbols.fresh())),
                    (to, _) => Some(to),
                };
                to.iter().enumerate().map(size).collect()
            }
            _ => None,
        }
    }

    /// Y `[T, D, B, H]` and the final states `[D, B, H]` in layout 0, or transposed for layout 1.
    fn sizes_of_recurrent(
        &mut self,
        op: Op,
        scope: usize,
        node: &'a NodeProto,
        place: usize,
        depth: usize,
    ) -> Option<Vec<Int>> {
        let attribute = |name: &str| node.attribute.iter().find(|attribute| attribute.name == name);
        let batch_first =
            attribute("layout").and_then(|layout| layout.int()).is_some_and(|layout| layout != 0);
        let both = attribute("direction").and_then(|text| text.string()) == Some("bidirectional");
        let directions = if both { Direction::Bidirectional.count() } else { 1 };
        let hidden = attribute("hidden_size").and_then(|size| size.int()).filter(|&size| size > 0)?;
        if place > 1 && op != Op::Lstm {
            return None;
        }
        let x = match node.input.first() {
            Some(x) if depth < DEEPEST => self.sizes_of(scope, x, depth + 1),
            _ => None,
        };
        let [first, second] = match x.as_deref() {
            Some(&[first, second, _]) => [first, second],
            _ => [(); 2].map(|()| Int::Size(self.symbols.fresh())),
        };
        let (d, h) = (Int::Is(directions as i64), Int::Is(hidden));
        Some(match (place, batch_first) {
            (0, false) => vec![first, d, second, h],
            (0, true) => vec![first, second, d, h],
            (_, false) => vec![d, second, h],
            (_, true) => vec![first, d, h],
        })
    }

    /// The size of a dimension that is the product of several.
    pub(super) fn product(&mut self, sizes: impl Iterator<Item = Int>) -> Int {
        let mut product = Int::Is(1);
        for size in sizes {
            product = match (product, size) {
                (Int::Is(1), size) => size,
                (Int::Is(a), Int::Is(b)) => a.checked_mul(b).map_or(Int::Size(self.symbols.fresh()), Int::Is),
                (a, b) => Int::Size(self.symbols.of("Mul", a, b)),
            };
        }
        product
    }
}
