//! From a file's bytes to the nodes that the caller names.

#![allow(clippy::indexing_slicing, reason = "indices of recurrent nodes that `Scopes` returned")]

use std::collections::{HashMap, HashSet};
use std::path::Path;

use prost::Message;
use prost::bytes::Bytes;

use super::connect::{Member, connect};
use super::fold::Folder;
use super::graph::{Found, Scopes};
use super::names::{label_of, name_of};
use super::node::{Attributes, Op};
use super::readout;
use super::stack::Stacks;
use super::weights::shape_of;
use super::{Onnx, OnnxGraph, OnnxInput, OnnxNode};
use crate::error::{Error, Result, listed};
use crate::import::{Limits, Report, Tensor};
use crate::model::Model;
use crate::proto::{ModelProto, NodeProto};

/// The most nodes that an error shows.
const MOST_LISTED: usize = 20;

pub(super) fn import(how: &Onnx, source: &str, bytes: Vec<u8>, folder: Option<&Path>) -> Result<OnnxGraph> {
    let size = bytes.len();
    let file = decode(source, bytes)?;
    let scopes = Scopes::new(source, &file, how.limits)?;
    let mut folder = Folder::new(&scopes, folder, size);
    let labels = labels(&scopes);
    let chosen = choose(how, source, &labels, &mut folder)?;
    let mut report = Report { metadata: metadata(&file), ..Report::default() };
    let opset = opset(source, &file)?;
    let mut members = Vec::with_capacity(chosen.layers.len());
    let mut said = HashSet::new();
    for &index in &chosen.layers {
        let found = scopes.recurrent[index];
        members.push(Member::read(how, found, &mut folder, (source, opset), &mut report, &mut said)?);
    }
    let layers = members.iter().map(|member| member.layer.clone()).collect();
    let model = match Model::new(layers) {
        // Layers that feed each other but do not form a stack.
        Err(Error::Mismatch { .. }) if chosen.unasked => {
            return Err(ambiguous(how, source, &labels, &mut folder));
        }
        model => model?,
    };
    let model = match (&how.readout, members.last()) {
        (Some(name), Some(last)) => {
            let of = (last.found, model.output());
            let readout = readout::read(name, &mut folder, of, (source, opset), &mut report.decisions)?;
            model.with_readout(readout)?
        }
        _ => model,
    };
    let arrays = connect(&folder, &members, &chosen.between, source, &mut report.decisions)?;
    let names: Vec<&str> = chosen.layers.iter().map(|&index| labels[index].as_str()).collect();
    let first = members.first().ok_or_else(|| Error::Zero { name: "nodes to read".into() })?;
    report.left_over = scopes.initialisers();
    report.left_over.retain(|name| !folder.used.contains(name));
    report.used = std::mem::take(&mut folder.used).into_iter().collect();
    report.initial_states = outside_states(&arrays.states, &names.join(","));
    let ([initial_h, initial_c], [y, y_h, y_c]) = (arrays.states, arrays.outputs);
    Ok(OnnxGraph {
        model,
        report,
        node: names.join(","),
        op: first.found.node.op_type.clone(),
        layout: first.attributes.layout,
        whole_graph: arrays.whole,
        x: arrays.x,
        sequence_lens: arrays.lengths,
        initial_h,
        initial_c,
        y,
        y_h,
        y_c,
    })
}

/// The states of `node` that come from outside the node and the file's constants, with their sources.
fn outside_states(states: &[OnnxInput<Tensor>; 2], node: &str) -> Vec<String> {
    let from = |(role, state): (&str, &OnnxInput<Tensor>)| match state {
        OnnxInput::Array(name) => Some(format!("{role} of \"{node}\" from the array \"{name}\"")),
        OnnxInput::Computed { by, .. } => Some(format!("{role} of \"{node}\" from {by}")),
        OnnxInput::Absent | OnnxInput::Constant(_) | OnnxInput::Repeated(_) => None,
    };
    ["initial_h", "initial_c"].into_iter().zip(states).filter_map(from).collect()
}

pub(super) fn list(source: &str, bytes: Vec<u8>, folder: Option<&Path>) -> Result<Vec<OnnxNode>> {
    let size = bytes.len();
    let file = decode(source, bytes)?;
    let scopes = Scopes::new(source, &file, Limits::default())?;
    let mut folder = Folder::new(&scopes, folder, size);
    Ok(entries(&labels(&scopes), &mut folder, usize::MAX))
}

fn decode(source: &str, bytes: Vec<u8>) -> Result<ModelProto> {
    // From `Bytes`, the decoder returns tensors as slices of the file, without copies.
    ModelProto::decode(Bytes::from(bytes))
        .map_err(|error| Error::unreadable(source, "not a readable ONNX file", error))
}

/// The version of ONNX's own operators.
fn opset(source: &str, file: &ModelProto) -> Result<i64> {
    let own = file.opset_import.iter().filter(|set| matches!(set.domain.as_str(), "" | "ai.onnx"));
    own.map(|set| set.version)
        .max()
        .ok_or_else(|| Error::format(source, "no opset of ONNX's own operators is imported"))
}

fn metadata(file: &ModelProto) -> std::collections::BTreeMap<String, String> {
    let props = file.metadata_props.iter().map(|entry| (entry.key.clone(), entry.value.clone()));
    let producer = [("producer_name", &file.producer_name), ("producer_version", &file.producer_version)];
    let producer = producer.into_iter().filter(|(_, value)| !value.is_empty());
    producer.map(|(key, value)| (key.to_owned(), value.clone())).chain(props).collect()
}

/// The name of each recurrent node: its own name if it is unique, else its path, else with a number.
fn labels(scopes: &Scopes<'_>) -> Vec<String> {
    let mut names: HashMap<&str, usize> = HashMap::new();
    for found in &scopes.recurrent {
        *names.entry(name_of(found.node)).or_default() += 1;
    }
    let path_or_name = |found: &Found<'_>| match names.get(name_of(found.node)) {
        Some(1) => name_of(found.node).to_owned(),
        _ => scopes.path_of(*found),
    };
    let mut labels: Vec<String> = scopes.recurrent.iter().map(path_or_name).collect();
    let mut seen: HashMap<String, usize> = HashMap::new();
    for label in &mut labels {
        let count = seen.entry(label.clone()).or_default();
        *count += 1;
        if *count > 1 {
            *label = format!("{label}#{count}");
        }
    }
    labels
}

/// The first `most` recurrent nodes.
fn entries(labels: &[String], folder: &mut Folder<'_>, most: usize) -> Vec<OnnxNode> {
    let scopes = folder.scopes;
    let entry = |(&found, label): (&Found<'_>, &String)| {
        // A direction does not depend on the opset.
        let attributes = Op::of(found.node).and_then(|op| Attributes::read(op, found.node, i64::MAX).ok());
        OnnxNode {
            name: label.clone(),
            op: found.node.op_type.clone(),
            direction: attributes.map(|attributes| attributes.direction),
            w: shape_of(folder, found, 1),
            r: shape_of(folder, found, 2),
        }
    };
    scopes.recurrent.iter().zip(labels).take(most).map(entry).collect()
}

/// The nodes that are read, as the layers of one model.
struct Chosen<'a> {
    /// The recurrent nodes, the one nearest to the input first.
    layers: Vec<usize>,
    /// The nodes that join them.
    between: Vec<&'a NodeProto>,
    /// Whether the caller named none of them.
    unasked: bool,
}

/// The nodes that the caller names, or the only one, or the only stack.
fn choose<'a>(how: &Onnx, source: &str, labels: &[String], folder: &mut Folder<'a>) -> Result<Chosen<'a>> {
    let recurrent = &folder.scopes.recurrent;
    let single = |index| Chosen { layers: vec![index], between: Vec::new(), unasked: false };
    let stacks = Stacks::new(recurrent);
    let Some(name) = &how.node else {
        if recurrent.len() == 1 {
            return Ok(single(0));
        }
        let whole = stacks.whole(folder).filter(|layers| !layers.is_empty());
        let layers = whole.ok_or_else(|| ambiguous(how, source, labels, folder))?;
        let between = joined(&layers, &stacks, folder)?;
        return Ok(Chosen { layers, between, unasked: true });
    };
    // A node is found by its label or by its path; not if several have the same.
    let mut known: HashMap<String, Option<usize>> = HashMap::new();
    for (index, (found, label)) in recurrent.iter().zip(labels).enumerate() {
        for name in [label.clone(), folder.scopes.path_of(*found)] {
            let at = known.entry(name).or_insert(Some(index));
            *at = at.filter(|&other| other == index);
        }
    }
    if let Some(Some(index)) = known.get(name) {
        return Ok(single(*index));
    }
    let layers: Option<Vec<usize>> = name.split(',').map(|name| known.get(name).copied().flatten()).collect();
    let layers = layers.ok_or_else(|| ambiguous(how, source, labels, folder))?;
    let between = joined(&layers, &stacks, folder)?;
    Ok(Chosen { layers, between, unasked: false })
}

/// The nodes that join the layers of a stack.
///
/// # Errors
/// [`Error::Unsupported`] for a layer whose X is not Y of the one before.
fn joined<'a>(layers: &[usize], stacks: &Stacks<'a>, folder: &mut Folder<'a>) -> Result<Vec<&'a NodeProto>> {
    let recurrent = &folder.scopes.recurrent;
    let mut between = Vec::new();
    for pair in layers.windows(2) {
        let (below, above) = (recurrent[pair[0]], recurrent[pair[1]]);
        match stacks.feed(folder, above) {
            Some(feed) if feed.from == pair[0] => between.extend(feed.between),
            _ => {
                let maker = folder.scopes.maker(above, 0);
                let from = maker.map_or("an input".into(), label_of);
                let what = format!(
                    "{} as the layer after {}: its X, from {from}, is not that node's Y unchanged",
                    label_of(above.node),
                    label_of(below.node),
                );
                return Err(Error::Unsupported { what });
            }
        }
    }
    Ok(between)
}

/// The error that no node was chosen, with a list of those found.
fn ambiguous(how: &Onnx, source: &str, labels: &[String], folder: &mut Folder<'_>) -> Error {
    let count = labels.len();
    let what = match &how.node {
        Some(name) => format!("a recurrent node \"{name}\" in {source}"),
        None if count == 0 => {
            let nodes = folder.scopes.nodes;
            format!("recurrent nodes (GRU, LSTM, RNN, DynamicQuantizeLSTM) in {source}{}", operators(nodes))
        }
        None => format!("recurrent nodes in {source}, name one, or those of a stack as A,B"),
    };
    // Only the weights of the nodes in the message are read.
    let mut found: Vec<String> =
        entries(labels, folder, MOST_LISTED).iter().map(ToString::to_string).collect();
    found.extend(labels.iter().skip(MOST_LISTED).cloned());
    Error::Ambiguous { what, found }
}

/// The operators of a graph, the most frequent first.
fn operators(nodes: &[NodeProto]) -> String {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for node in nodes {
        *counts.entry(&node.op_type).or_default() += 1;
    }
    let mut counts: Vec<(&str, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|&(name, count)| (usize::MAX - count, name));
    let shown: Vec<String> = counts.iter().map(|(name, count)| format!("{count} {name}")).collect();
    if shown.is_empty() { String::new() } else { format!(" (its operators: {})", listed(&shown)) }
}
