//! From a file's bytes to the one node that is asked for.

use std::collections::HashMap;
use std::path::Path;

use prost::Message;
use prost::bytes::Bytes;

use super::fold::Folder;
use super::graph::{Found, Origin, Scopes, name_of};
use super::node::{Attributes, Op};
use super::tensor::Data;
use super::weights::{check_state, constant, input, layer, refuse_others, tensor};
use super::{Onnx, OnnxImported, OnnxInput, OnnxNode};
use crate::error::{Error, Result};
use crate::import::Report;
use crate::model::Model;
use crate::proto::ModelProto;

/// The most nodes that an error lists.
const MOST_LISTED: usize = 64;

pub(super) fn import(
    how: &Onnx,
    source: &str,
    bytes: Vec<u8>,
    folder: Option<&Path>,
) -> Result<OnnxImported> {
    let size = bytes.len();
    let file = decode(source, bytes)?;
    let scopes = Scopes::new(source, &file)?;
    let mut folder = Folder::new(&scopes, folder, size);
    let labels = labels(&scopes);
    let (found, node) = choose(how, source, &scopes, &labels, &mut folder)?;
    let op = Op::of(found.node).ok_or_else(|| Error::Unsupported { what: found.node.op_type.clone() })?;
    let attributes = Attributes::read(op, found.node, opset(source, &file)?)?;
    let mut report = Report { metadata: metadata(&file), ..Report::default() };
    let cell = attributes.cell(how.after, &mut report.decisions)?;
    report.decisions.insert(0, format!("cell {cell}: {}", attributes.label));
    refuse_others(op, &attributes.label, found)?;
    let activations = attributes.activations(&mut report.decisions)?;
    let clip = attributes.clip(&mut report.decisions);
    let layer = layer(&attributes, cell, &mut folder, found, source)?.with_activations(activations)?;
    let layer = match clip {
        Some(clip) => layer.with_clip(clip)?,
        None => layer,
    };

    let mut ports = Ports { scopes: &scopes, folder, found, op, whole: false };
    let lengths = ports.lengths(&attributes)?;
    let initial_h = ports.state(5, &attributes, layer.hidden())?;
    let initial_c = match op {
        Op::Lstm => ports.state(6, &attributes, layer.hidden())?,
        _ => None,
    };
    ports.whole = ports.is_whole_graph([lengths.is_none(), initial_h.is_none(), initial_c.is_none()]);
    let result = OnnxImported {
        model: Model::new(vec![layer])?,
        node,
        op: found.node.op_type.clone(),
        layout: attributes.layout,
        whole_graph: ports.whole,
        x: ports.array(0).ok_or_else(|| Error::MissingTensor {
            name: format!("X of {}", attributes.label),
            source: source.into(),
            found: Vec::new(),
        })?,
        sequence_lens: ports.input(4, lengths),
        initial_h: ports.input(5, initial_h),
        initial_c: if op == Op::Lstm { ports.input(6, initial_c) } else { OnnxInput::Absent },
        y: ports.output(0),
        y_h: ports.output(1),
        y_c: ports.output(2),
        report: Report::default(),
    };
    report.left_over = scopes.initialisers();
    report.left_over.retain(|name| !ports.folder.used.contains(name));
    report.used = ports.folder.used.into_iter().collect();
    Ok(OnnxImported { report, ..result })
}

pub(super) fn list(source: &str, bytes: Vec<u8>, folder: Option<&Path>) -> Result<Vec<OnnxNode>> {
    let size = bytes.len();
    let file = decode(source, bytes)?;
    let scopes = Scopes::new(source, &file)?;
    let mut folder = Folder::new(&scopes, folder, size);
    Ok(entries(&scopes, &labels(&scopes), &mut folder))
}

fn decode(source: &str, bytes: Vec<u8>) -> Result<ModelProto> {
    // From `Bytes` the decoder hands tensors out as parts of the file, without copies.
    ModelProto::decode(Bytes::from(bytes)).map_err(|error| Error::Format {
        name: source.into(),
        reason: format!("not a readable ONNX file: {error}"),
    })
}

/// The version of ONNX's own operators.
fn opset(source: &str, file: &ModelProto) -> Result<i64> {
    let own = file.opset_import.iter().filter(|set| matches!(set.domain.as_str(), "" | "ai.onnx"));
    own.map(|set| set.version).max().ok_or_else(|| Error::Format {
        name: source.into(),
        reason: "no opset of ONNX's own operators is imported".into(),
    })
}

fn metadata(file: &ModelProto) -> std::collections::BTreeMap<String, String> {
    let props = file.metadata_props.iter().map(|entry| (entry.key.clone(), entry.value.clone()));
    let producer = [("producer_name", &file.producer_name), ("producer_version", &file.producer_version)];
    let producer = producer.into_iter().filter(|(_, value)| !value.is_empty());
    producer.map(|(key, value)| (key.to_owned(), value.clone())).chain(props).collect()
}

/// What each recurrent node is called: its name where no other has it, else its path, else with a number.
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

fn entries<'a>(scopes: &Scopes<'a>, labels: &[String], folder: &mut Folder<'a>) -> Vec<OnnxNode> {
    let mut entry = |found: Found<'a>, label: &String| {
        let mut shape = |place| constant(folder, found, place).ok().flatten().map(|value| value.shape);
        let (w, r) = (shape(1), shape(2));
        // A direction does not depend on the opset.
        let attributes = Op::of(found.node).and_then(|op| Attributes::read(op, found.node, i64::MAX).ok());
        let direction = attributes.map(|attributes| attributes.direction);
        OnnxNode { name: label.clone(), op: found.node.op_type.clone(), direction, w, r }
    };
    scopes.recurrent.iter().zip(labels).map(|(found, label)| entry(*found, label)).collect()
}

/// The node that is asked for, or the only one.
fn choose<'a>(
    how: &Onnx,
    source: &str,
    scopes: &Scopes<'a>,
    labels: &[String],
    folder: &mut Folder<'a>,
) -> Result<(Found<'a>, String)> {
    let wanted = |(found, label): &(&Found<'a>, &String)| match &how.node {
        Some(name) => *label == name || scopes.path_of(**found) == *name,
        None => true,
    };
    let mut hits = scopes.recurrent.iter().zip(labels).filter(wanted);
    match (hits.next(), hits.next()) {
        (Some((found, label)), None) => Ok((*found, label.clone())),
        _ => {
            let what = match &how.node {
                Some(name) => format!("a recurrent node \"{name}\" in {source}"),
                None => format!("recurrent nodes (GRU, LSTM, RNN) in {source}, name one"),
            };
            let mut found: Vec<String> =
                entries(scopes, labels, folder).iter().map(ToString::to_string).collect();
            if found.len() > MOST_LISTED {
                let more = format!("and {} more", found.len() - MOST_LISTED);
                found.truncate(MOST_LISTED);
                found.push(more);
            }
            Err(Error::Ambiguous { what, found })
        }
    }
}

/// How the node is connected.
struct Ports<'s, 'a> {
    scopes: &'s Scopes<'a>,
    folder: Folder<'a>,
    found: Found<'a>,
    op: Op,
    whole: bool,
}

impl Ports<'_, '_> {
    fn lengths(&mut self, attributes: &Attributes) -> Result<Option<Vec<i64>>> {
        let Some(value) = constant(&mut self.folder, self.found, 4)? else { return Ok(None) };
        match (value.data, &value.shape[..]) {
            (Data::Ints(data), [_]) if data.iter().all(|&length| length >= 0) => Ok(Some(data)),
            _ => Err(Error::Format {
                name: format!("sequence_lens of {}", attributes.label),
                reason: format!("must be a list of integers, none below 0, got shape {:?}", value.shape),
            }),
        }
    }

    fn state(
        &mut self,
        place: usize,
        attributes: &Attributes,
        hidden: usize,
    ) -> Result<Option<super::Tensor>> {
        let Some(value) = constant(&mut self.folder, self.found, place)? else { return Ok(None) };
        let name = input(self.found, place).unwrap_or_default();
        let state =
            tensor(format!("{} of {}, \"{name}\"", self.op.ports().0[place], attributes.label), value)?;
        check_state(&state, attributes, hidden)?;
        Ok(Some(state))
    }

    /// Whether the graph is this node: what the node reads at run time are the graph's inputs, what the graph
    /// gives are the node's outputs, and every other node was folded into its constants. `runtime` says of
    /// sequence_lens, initial_h and initial_c that they are no constants.
    fn is_whole_graph(&self, runtime: [bool; 3]) -> bool {
        let node = self.found.node;
        let is_input = |place: usize| {
            input(self.found, place)
                .is_none_or(|name| matches!(self.scopes.find(0, name), Some((0, Origin::Input))))
        };
        let folded = |other: &crate::proto::NodeProto| {
            std::ptr::eq(other, node)
                || other.output.iter().all(|name| self.folder.folded.contains(name.as_str()))
        };
        self.found.scope == 0
            && self.scopes.nodes.iter().all(folded)
            && is_input(0)
            && (4..7).zip(runtime).all(|(place, runtime)| !runtime || is_input(place))
            && self.scopes.outputs.iter().all(|name| node.output.iter().any(|output| output == name))
    }

    /// The name of the array at an input that is connected.
    fn array(&self, place: usize) -> Option<String> {
        let name = input(self.found, place)?;
        Some(if self.whole { name } else { self.op.ports().0[place] }.into())
    }

    fn input<T>(&self, place: usize, constant: Option<T>) -> OnnxInput<T> {
        match (constant, self.array(place)) {
            (Some(constant), _) => OnnxInput::Constant(constant),
            (None, Some(name)) => OnnxInput::Array(name),
            (None, None) => OnnxInput::Absent,
        }
    }

    /// The name of the array at an output that is connected; of a whole graph, one that the graph gives.
    fn output(&self, place: usize) -> Option<String> {
        let name = self.found.node.output.get(place).filter(|name| !name.is_empty())?;
        match self.whole {
            true => self.scopes.outputs.contains(&name.as_str()).then(|| name.clone()),
            false => self.op.ports().1.get(place).map(|name| (*name).into()),
        }
    }
}
