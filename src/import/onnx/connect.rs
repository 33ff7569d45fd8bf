//! How the graph connects the nodes that are run: the arrays that they read and write, and their names.

#![allow(
    clippy::indexing_slicing,
    reason = "indices of recurrent nodes and of their inputs, computed by the walk itself"
)]

use std::collections::HashSet;
use std::ptr::from_ref;

use super::fold::Folder;
use super::graph::{Found, Scopes};
use super::join::{self, StateSizes};
use super::node::{Attributes, INPUTS, OUTPUTS, Op};
use super::ports::{self, LENGTHS, Port, STATES, graph_input};
use super::weights::{input, layer, refuse_others};
use super::{Onnx, OnnxInput};
use crate::error::{Error, Result};
use crate::import::{Report, Tensor};
use crate::model::Layer;
use crate::proto::NodeProto;

/// One node that is run.
pub(super) struct Member<'a> {
    pub(super) found: Found<'a>,
    pub(super) attributes: Attributes,
    pub(super) layer: Layer,
    lengths: Port<Vec<i64>>,
    states: [Port<Tensor>; 2],
}

impl<'a> Member<'a> {
    /// # Errors
    /// As [`Onnx::read`].
    pub(super) fn read(
        how: &Onnx,
        found: Found<'a>,
        folder: &mut Folder<'a>,
        (source, opset): (&str, i64),
        report: &mut Report,
        said: &mut HashSet<String>,
    ) -> Result<Self> {
        let op = Op::of(found.node).ok_or_else(|| Error::Unsupported { what: found.node.op_type.clone() })?;
        let attributes = Attributes::read(op, found.node, opset)?;
        let mut decisions = Vec::new();
        let cell = attributes.cell(how.after, &mut decisions)?;
        decisions.insert(0, format!("cell {cell}: {}", attributes.label));
        refuse_others(&attributes, found)?;
        let activations = attributes.activations(&mut decisions)?;
        let clip = attributes.clip(&mut decisions);
        let mut layer = layer(&attributes, cell, folder, found, source)?.with_activations(activations)?;
        if let Some(clip) = clip {
            layer = layer.with_clip(clip)?;
        }
        if attributes.quantised {
            let how = "weights of 8 bits are dequantised, activations are not quantised";
            decisions.push(format!("{}: {how}", attributes.label));
        }
        // Layers mostly have the same decisions; each is reported once.
        decisions.retain(|decision| said.insert(decision.clone()));
        report.decisions.append(&mut decisions);
        folder.know_three(found);
        let lengths = ports::lengths(folder, found, &attributes)?;
        let mut states = [Port::Absent, Port::Absent];
        for (state, place) in states.iter_mut().zip(STATES).take(if op == Op::Lstm { 2 } else { 1 }) {
            *state = ports::state(folder, found, place, &attributes, layer.hidden())?;
        }
        Ok(Self { found, attributes, layer, lengths, states })
    }
}

/// The arrays of the nodes that are run.
pub(super) struct Arrays {
    pub(super) whole: bool,
    pub(super) x: String,
    pub(super) lengths: OnnxInput<Vec<i64>>,
    pub(super) states: [OnnxInput<Tensor>; 2],
    pub(super) outputs: [Option<String>; 3],
}

/// `members` are the layers in order, `between` the nodes that join them. Decisions are added to the report.
///
/// # Errors
/// [`Error::MissingTensor`] for a node without X; [`Error::Unsupported`] for layers of different layouts, lengths or batches.
pub(super) fn connect(
    folder: &Folder<'_>,
    members: &[Member<'_>],
    between: &[&NodeProto],
    source: &str,
    decisions: &mut Vec<String>,
) -> Result<Arrays> {
    let (first, last) = match members {
        [] => return Err(Error::Zero { name: "nodes to read".into() }),
        [one] => (one, one),
        [first, .., last] => (first, last),
    };
    let layout = first.attributes.layout;
    if let Some(other) = members.iter().find(|member| member.attributes.layout != layout) {
        let (a, b) = (&first.attributes.label, &other.attributes.label);
        return Err(Error::Unsupported {
            what: format!("a stack whose layers differ in layout: {a} and {b}"),
        });
    }
    let x = input(first.found, 0).ok_or_else(|| Error::MissingTensor {
        name: format!("X of {}", first.attributes.label),
        source: source.into(),
        found: Vec::new(),
    })?;
    let all = |member: &Member<'_>| (member.attributes.label.clone(), member.lengths.clone());
    let lengths = join::lengths(members.iter().map(all).collect())?;
    let sizes =
        StateSizes { layout, directions: first.attributes.direction.count(), hidden: first.layer.hidden() };
    let mut direct = true;
    let mut states = [Port::Absent, Port::Absent];
    for (index, state) in states.iter_mut().enumerate() {
        let all = members.iter().map(|member| member.states[index].clone()).collect();
        let (joined, as_it_is) = join::states(INPUTS[STATES[index]], all, sizes)?;
        (*state, direct) = (joined, direct && as_it_is);
    }
    let finals = Finals::new(folder.scopes, members);
    let whole = direct
        && !matches!(lengths, Port::Computed(_) | Port::Part { .. } | Port::Full | Port::Repeated(_))
        && !states.iter().any(|state| matches!(state, Port::Computed(_) | Port::Repeated(_)))
        && graph_input(folder, first.found, 0).is_some()
        && finals.is_whole(folder, members, between);
    let named = |place: usize, name: &str| if whole { name.to_owned() } else { INPUTS[place].to_owned() };
    let mut given = Vec::new();
    let lengths = public(LENGTHS, lengths, &named, decisions, &mut given);
    let states = {
        let [h, c] = states;
        [
            public(STATES[0], h, &named, decisions, &mut given),
            public(STATES[1], c, &named, decisions, &mut given),
        ]
    };
    let outputs = [0, 1, 2].map(|place| match whole {
        true => finals.names[place].filter(|name| finals.given.contains(name)).map(str::to_owned),
        false => {
            let gives = |member: &Member<'_>| output(member.found.node, place).is_some();
            let gives = if place == 0 { gives(last) } else { members.iter().all(gives) };
            gives.then(|| OUTPUTS[place].to_owned())
        }
    });
    let x = named(0, x);
    if !whole && folder.scopes.nodes.len() > members.len() {
        let what = match members.len() {
            1 => format!("this node alone is run of {} in the graph", folder.scopes.nodes.len()),
            count => {
                format!("this stack of {count} nodes is run of {} in the graph", folder.scopes.nodes.len())
            }
        };
        given.insert(0, x.clone());
        let gives: Vec<&str> = outputs.iter().flatten().map(String::as_str).collect();
        let gives = if gives.is_empty() { "Y".to_owned() } else { gives.join(", ") };
        decisions.push(format!("{what}, on the arrays {}, giving {gives}", given.join(", ")));
    }
    Ok(Arrays { whole, x, lengths, states, outputs })
}

/// The description of an input for the caller. `given`: the arrays that the caller may give.
fn public<T>(
    place: usize,
    port: Port<T>,
    named: &impl Fn(usize, &str) -> String,
    decisions: &mut Vec<String>,
    given: &mut Vec<String>,
) -> OnnxInput<T> {
    let role = INPUTS[place];
    let array = match &port {
        Port::Input(name) => named(place, name),
        _ => role.to_owned(),
    };
    if !matches!(port, Port::Absent | Port::Constant(_) | Port::Repeated(_)) {
        given.push(array.clone());
    }
    match port {
        Port::Absent => OnnxInput::Absent,
        Port::Constant(value) => OnnxInput::Constant(value),
        Port::Input(name) => {
            if array == role && name != role {
                decisions.push(format!("{role}: the graph's input \"{name}\""));
            }
            OnnxInput::Array(array)
        }
        Port::Full => {
            decisions.push(format!("{role}: the graph counts all steps of X"));
            OnnxInput::Array(array)
        }
        Port::Repeated(value) => {
            decisions.push(format!("{role}: one row, which the graph repeats for each sequence"));
            OnnxInput::Repeated(value)
        }
        Port::Computed(by) | Port::Part { by, .. } => {
            decisions.push(format!("{role}: computed by {by}"));
            OnnxInput::Computed { name: array, by }
        }
    }
}

fn output(node: &NodeProto, place: usize) -> Option<&str> {
    node.output.get(place).map(String::as_str).filter(|name| !name.is_empty())
}

/// Y of the last layer and the final states of all, by the graph's names.
struct Finals<'a> {
    names: [Option<&'a str>; 3],
    /// The nodes that join the states of several layers.
    joins: Vec<&'a NodeProto>,
    /// The outputs of the graph.
    given: HashSet<&'a str>,
}

impl<'a> Finals<'a> {
    fn new(scopes: &Scopes<'a>, members: &[Member<'a>]) -> Self {
        let given = scopes.outputs.iter().copied().collect();
        let mut all = Self { names: [None; 3], joins: Vec::new(), given };
        let Some(last) = members.last() else { return all };
        all.names[0] = output(last.found.node, 0);
        for place in 1..3 {
            if let [one] = members {
                all.names[place] = output(one.found.node, place);
                continue;
            }
            let parts: Vec<Option<&str>> =
                members.iter().map(|member| output(member.found.node, place)).collect();
            let joins = |node: &&NodeProto| {
                let axis = node.attribute.iter().find(|a| a.name == "axis").and_then(|a| a.int());
                node.op_type == "Concat"
                    && axis == Some(i64::from(last.attributes.layout))
                    && node.input.len() == parts.len()
                    && node.input.iter().zip(&parts).all(|(input, part)| Some(input.as_str()) == *part)
            };
            if let Some(join) = scopes.nodes.iter().find(joins) {
                all.names[place] = output(join, 0);
                all.joins.push(join);
            }
        }
        all
    }

    /// Whether the graph consists of its members alone: every other node was folded into their constants, is one of
    /// `between`, or splits and joins their states; and the graph outputs nothing but their outputs.
    fn is_whole(&self, folder: &Folder<'_>, members: &[Member<'_>], between: &[&NodeProto]) -> bool {
        let mut known: HashSet<*const NodeProto> =
            members.iter().map(|member| from_ref(member.found.node)).collect();
        known.extend(between.iter().map(|node| from_ref(*node)));
        known.extend(self.joins.iter().map(|node| from_ref(*node)));
        for member in members.iter().filter(|_| members.len() > 1) {
            for (state, place) in member.states.iter().zip(STATES) {
                if matches!(state, Port::Part { .. }) {
                    known.extend(folder.scopes.maker(member.found, place).map(from_ref));
                }
            }
        }
        let accounted = |node: &NodeProto| {
            known.contains(&from_ref(node))
                || node.output.iter().any(|name| folder.folded.contains(name.as_str()))
        };
        members.iter().all(|member| member.found.scope == 0)
            && folder.scopes.nodes.iter().all(accounted)
            && self.given.iter().all(|name| self.names.contains(&Some(*name)))
    }
}
