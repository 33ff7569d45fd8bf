//! Resolves names: the scopes of a model (its graph, the subgraphs in attributes such as the branches of an If, model
//! functions) and what each defines, with the recurrent nodes found on the way.
//!
//! A scope contains its own names and those of the scopes around it. A name that is defined twice and a graph with a
//! cycle are refused, so following names backwards always ends.

#![allow(
    clippy::indexing_slicing,
    reason = "indices of scopes, nodes and values that this file itself returns"
)]

use std::collections::HashMap;

use super::names::name_of;
use super::node::Op;
use crate::error::{Error, Result};
use crate::import::Limits;
use crate::proto::{GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};

/// The longest path of names down to a subgraph, in bytes.
const LONGEST_PATH: usize = 1024;
/// The most subgraphs and recurrent nodes that are searched.
const MOST: usize = 1 << 16;

/// The meaning of a name in the scope that defines it.
#[derive(Clone, Copy)]
pub(super) enum Origin<'a> {
    /// An initialiser.
    Tensor(&'a TensorProto),
    /// A sparse initialiser.
    Sparse,
    /// An output of a node, by its index.
    Node(&'a NodeProto, usize),
    /// An input of the graph, given at run time, with the file's type for it.
    Input(Option<&'a ValueInfoProto>),
}

/// A recurrent node.
#[derive(Clone, Copy)]
pub(super) struct Found<'a> {
    pub(super) scope: usize,
    pub(super) node: &'a NodeProto,
}

struct Scope<'a> {
    parent: Option<usize>,
    /// `If_0/then_branch/`; empty for the graph itself.
    path: String,
    names: HashMap<&'a str, Origin<'a>>,
}

/// Every scope of a model; 0 is its graph.
pub(super) struct Scopes<'a> {
    scopes: Vec<Scope<'a>>,
    pub(super) recurrent: Vec<Found<'a>>,
    /// Every node of the graph itself.
    pub(super) nodes: &'a [NodeProto],
    pub(super) outputs: Vec<&'a str>,
    limits: Limits,
    /// Initialisers and nodes so far.
    count: u64,
}

impl<'a> Scopes<'a> {
    /// # Errors
    /// [`Error::Format`] for a model without a graph, a name defined twice, a cycle, too many subgraphs;
    /// [`Error::TooLarge`] for too many initialisers and nodes.
    pub(super) fn new(source: &str, model: &'a ModelProto, limits: Limits) -> Result<Self> {
        let Some(graph) = &model.graph else {
            return Err(Error::format(source, "an ONNX model without a graph"));
        };
        let outputs = graph.output.iter().map(|value| value.name.as_str()).collect();
        let mut all =
            Self { scopes: Vec::new(), recurrent: Vec::new(), nodes: &graph.node, outputs, limits, count: 0 };
        all.add_graph(source, None, String::new(), graph)?;
        for function in &model.functions {
            let scope = all.open(source, None, format!("{}/", function.name))?;
            for name in &function.input {
                all.define(source, scope, name, Origin::Input(None))?;
            }
            all.add_nodes(source, scope, &function.node)?;
        }
        Ok(all)
    }

    /// The meaning of `name`, seen from `scope`, and the scope that defines it.
    pub(super) fn find(&self, scope: usize, name: &str) -> Option<(usize, Origin<'a>)> {
        let mut at = Some(scope);
        while let Some(scope) = at {
            let here = &self.scopes[scope];
            if let Some(origin) = here.names.get(name) {
                return Some((scope, *origin));
            }
            at = here.parent;
        }
        None
    }

    /// The node that outputs an input of another, if there is one.
    pub(super) fn maker(&self, found: Found<'a>, place: usize) -> Option<&'a NodeProto> {
        match self.find(found.scope, found.node.input.get(place)?)? {
            (_, Origin::Node(node, _)) => Some(node),
            _ => None,
        }
    }

    /// A node's name with the path of subgraphs down to it.
    pub(super) fn path_of(&self, found: Found<'_>) -> String {
        format!("{}{}", self.scopes[found.scope].path, name_of(found.node))
    }

    /// The names of all initialisers, with their paths, sorted.
    pub(super) fn initialisers(&self) -> Vec<String> {
        let mut all = Vec::new();
        for scope in &self.scopes {
            let tensors = scope.names.iter().filter(|(_, o)| matches!(o, Origin::Tensor(_) | Origin::Sparse));
            all.extend(tensors.map(|(name, _)| format!("{}{name}", scope.path)));
        }
        all.sort();
        all
    }

    /// An initialiser's name with the path of its scope.
    pub(super) fn qualified(&self, scope: usize, name: &str) -> String {
        format!("{}{name}", self.scopes[scope].path)
    }

    fn count(&mut self, source: &str, more: usize) -> Result<()> {
        self.count += more as u64;
        self.limits.check_tensors(source, self.count)
    }

    fn open(&mut self, source: &str, parent: Option<usize>, path: String) -> Result<usize> {
        let refuse = |reason: String| Err(Error::format(source, reason));
        if path.len() > LONGEST_PATH {
            return refuse(format!("names down to a subgraph are {} bytes long", path.len()));
        }
        if self.scopes.len() >= MOST || self.recurrent.len() >= MOST {
            return refuse(format!("more than {MOST} subgraphs or recurrent nodes"));
        }
        self.scopes.push(Scope { parent, path, names: HashMap::new() });
        Ok(self.scopes.len() - 1)
    }

    fn define(&mut self, source: &str, scope: usize, name: &'a str, origin: Origin<'a>) -> Result<()> {
        match self.scopes[scope].names.insert(name, origin) {
            // An initialiser may be listed among the inputs too: it is the input's default.
            None | Some(Origin::Input(_)) => Ok(()),
            Some(_) => {
                let reason = format!("the value \"{name}\" is defined twice");
                Err(Error::format(source, reason))
            }
        }
    }

    // Recursion is bounded by the decoder, which refuses messages nested deeper than 100.
    fn add_graph(
        &mut self,
        source: &str,
        parent: Option<usize>,
        path: String,
        graph: &'a GraphProto,
    ) -> Result<()> {
        let scope = self.open(source, parent, path)?;
        for value in &graph.input {
            self.define(source, scope, &value.name, Origin::Input(Some(value)))?;
        }
        self.count(source, graph.initializer.len())?;
        for tensor in &graph.initializer {
            self.define(source, scope, &tensor.name, Origin::Tensor(tensor))?;
        }
        for sparse in &graph.sparse_initializer {
            let name = sparse.values.as_ref().map_or("", |values| &values.name);
            self.define(source, scope, name, Origin::Sparse)?;
        }
        self.add_nodes(source, scope, &graph.node)
    }

    fn add_nodes(&mut self, source: &str, scope: usize, nodes: &'a [NodeProto]) -> Result<()> {
        self.count(source, nodes.len())?;
        for node in nodes {
            for (place, name) in node.output.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
                self.define(source, scope, name, Origin::Node(node, place))?;
            }
            if Op::of(node).is_some() {
                self.recurrent.push(Found { scope, node });
            }
        }
        refuse_cycles(source, nodes)?;
        for node in nodes {
            for attribute in &node.attribute {
                let graphs = attribute.graphs.iter().enumerate();
                let graphs = graphs.map(|(index, graph)| (format!("[{index}]"), graph));
                for (index, graph) in attribute.g.iter().map(|graph| (String::new(), &**graph)).chain(graphs)
                {
                    let above = &self.scopes[scope].path;
                    let path = format!("{above}{}/{}{index}/", name_of(node), attribute.name);
                    self.add_graph(source, Some(scope), path, graph)?;
                }
            }
        }
        Ok(())
    }
}

/// Removes nodes whose inputs no remaining node outputs, until none or only a cycle is left.
fn refuse_cycles(source: &str, nodes: &[NodeProto]) -> Result<()> {
    let mut makers: HashMap<&str, usize> = HashMap::with_capacity(nodes.len());
    for (index, node) in nodes.iter().enumerate() {
        makers.extend(node.output.iter().filter(|name| !name.is_empty()).map(|name| (name.as_str(), index)));
    }
    let mut users: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    let mut waiting = vec![0usize; nodes.len()];
    for (index, node) in nodes.iter().enumerate() {
        for maker in node.input.iter().filter_map(|name| makers.get(name.as_str())) {
            users[*maker].push(index);
            waiting[index] += 1;
        }
    }
    let mut ready: Vec<usize> = (0..nodes.len()).filter(|&index| waiting[index] == 0).collect();
    let mut done = 0;
    while let Some(index) = ready.pop() {
        done += 1;
        for &user in &users[index] {
            waiting[user] -= 1;
            if waiting[user] == 0 {
                ready.push(user);
            }
        }
    }
    match waiting.iter().position(|&left| left > 0) {
        Some(index) if done < nodes.len() => {
            let reason = format!("the graph has a cycle at node \"{}\"", name_of(&nodes[index]));
            Err(Error::format(source, reason))
        }
        _ => Ok(()),
    }
}
