//! The graph of an ONNX file, followed from its outputs to its inputs.
//!
//! A core computes one step of one stream, so every array of it is one vector. Operators that only move elements leave a vector as it
//! is, and [`Graph::maker`] steps over them.

use std::collections::HashMap;

use prost::Message;

use crate::error::{Error, Result};
use crate::file::{FLOAT, GraphProto, INT64, ModelProto, NodeProto, TensorProto};

/// Operators that leave a vector as it is.
const MOVES: [&str; 5] = ["Transpose", "Reshape", "Squeeze", "Unsqueeze", "Identity"];

/// A constant matrix or vector.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Constant {
    /// Sizes other than 1, the outermost first.
    pub(crate) shape: Vec<usize>,
    pub(crate) data: Vec<f32>,
}

/// The source of an array.
#[derive(Clone, Copy)]
pub(crate) enum Maker<'a> {
    /// An input of the graph, by its place.
    Input(usize),
    /// A constant of the file.
    Constant(&'a TensorProto),
    /// A node, and the place of the array among its outputs.
    Node(&'a NodeProto, usize),
}

/// The graph of one core.
pub(crate) struct Graph {
    core: u8,
    graph: GraphProto,
}

impl Graph {
    /// # Errors
    /// [`Error::Core`] for bytes that are no ONNX file, and for a graph without outputs.
    pub(crate) fn read(core: u8, bytes: &[u8]) -> Result<Self> {
        let refuse = |reason: String| Error::Core { core, reason };
        let advice = "fetch the models again (uses/dtln/fetch.py)";
        let model = ModelProto::decode(bytes)
            .map_err(|error| refuse(format!("not a readable ONNX file ({error}): {advice}")))?;
        match model.graph {
            Some(graph) if !graph.output.is_empty() => Ok(Self { core, graph }),
            _ => Err(refuse(format!("an ONNX file without a graph: {advice}"))),
        }
    }

    pub(crate) fn refuse<T>(&self, reason: impl Into<String>) -> Result<T> {
        Err(Error::Core { core: self.core, reason: reason.into() })
    }

    /// The names of arrays with their sources.
    pub(crate) fn arrays(&self) -> Arrays<'_> {
        let mut makers = HashMap::new();
        for (place, input) in self.graph.input.iter().enumerate() {
            makers.insert(input.name.as_str(), Maker::Input(place));
        }
        // An initialiser may be listed among the inputs too.
        for tensor in &self.graph.initializer {
            makers.insert(tensor.name.as_str(), Maker::Constant(tensor));
        }
        for node in &self.graph.node {
            for (place, name) in node.output.iter().enumerate() {
                makers.insert(name.as_str(), Maker::Node(node, place));
            }
        }
        Arrays { graph: self, makers }
    }
}

/// The arrays of a graph by name.
pub(crate) struct Arrays<'a> {
    pub(crate) graph: &'a Graph,
    makers: HashMap<&'a str, Maker<'a>>,
}

impl<'a> Arrays<'a> {
    /// The source of the graph's first output.
    pub(crate) fn output(&self) -> Result<Maker<'a>> {
        match self.graph.graph.output.first() {
            Some(output) => self.maker(&output.name),
            None => self.graph.refuse("a graph without outputs"),
        }
    }

    /// The source of an array, beyond operators that leave a vector as it is.
    pub(crate) fn maker(&self, name: &str) -> Result<Maker<'a>> {
        let mut name = name;
        // A graph with a cycle would have no end.
        for _ in 0..=self.graph.graph.node.len() {
            match self.makers.get(name) {
                Some(&Maker::Node(node, place)) if self.is_move(node)? => {
                    debug_assert_eq!(place, 0);
                    name = self.operand(node, 0)?;
                }
                Some(maker) => return Ok(*maker),
                None => return self.graph.refuse(format!("the array \"{name}\" has no source")),
            }
        }
        self.graph.refuse(format!("the graph has a cycle at the array \"{name}\""))
    }

    fn is_move(&self, node: &NodeProto) -> Result<bool> {
        Ok(match node.op_type.as_str() {
            op if MOVES.contains(&op) => true,
            "Concat" => node.input.len() == 1,
            "Split" => node.output.len() == 1,
            "Pad" => {
                let pads = match node.input.get(1) {
                    Some(name) => match self.makers.get(name.as_str()) {
                        Some(Maker::Constant(tensor)) => self.integers(tensor)?,
                        _ => return Ok(false),
                    },
                    None => attribute(node, "pads").to_vec(),
                };
                pads.iter().all(|&pad| pad == 0)
            }
            _ => false,
        })
    }

    /// The node that makes an array, one of the operators `ops`; `role` is what DTLN has there.
    ///
    /// # Errors
    /// [`Error::Core`] for another operator, an input and a constant.
    pub(crate) fn node(&self, name: &str, ops: &[&str], role: &str) -> Result<&'a NodeProto> {
        self.expect(self.maker(name)?, ops, role)
    }

    pub(crate) fn expect(&self, maker: Maker<'a>, ops: &[&str], role: &str) -> Result<&'a NodeProto> {
        match maker {
            Maker::Node(node, _) if ops.contains(&node.op_type.as_str()) => Ok(node),
            other => {
                let (expected, found) = (ops.join(" or "), describe(other));
                self.graph.refuse(format!("{role}: expected {expected}, found {found}"))
            }
        }
    }

    /// The name of an input of a node.
    pub(crate) fn operand(&self, node: &'a NodeProto, place: usize) -> Result<&'a str> {
        match node.input.get(place).filter(|name| !name.is_empty()) {
            Some(name) => Ok(name),
            None => self.graph.refuse(format!("{} has no input {place}", describe(Maker::Node(node, 0)))),
        }
    }

    /// The sources of a node's two inputs.
    pub(crate) fn operands(&self, node: &'a NodeProto) -> Result<[Maker<'a>; 2]> {
        Ok([self.maker(self.operand(node, 0)?)?, self.maker(self.operand(node, 1)?)?])
    }

    /// The constant and the other input of a node whose order does not matter.
    pub(crate) fn with_constant(&self, node: &'a NodeProto, role: &str) -> Result<(Constant, &'a str)> {
        for (constant, other) in [(1, 0), (0, 1)] {
            if let Maker::Constant(tensor) = self.maker(self.operand(node, constant)?)? {
                return Ok((self.floats(tensor)?, self.operand(node, other)?));
            }
        }
        self.graph.refuse(format!("{role}: {} has no constant of the file", describe(Maker::Node(node, 0))))
    }

    /// The matrix, `[K, N]`, and the vector of a product `x W`.
    pub(crate) fn product(&self, node: &'a NodeProto, role: &str) -> Result<(Constant, &'a str)> {
        match self.maker(self.operand(node, 1)?)? {
            Maker::Constant(tensor) => {
                let matrix = self.floats(tensor)?;
                if matrix.shape.len() != 2 {
                    let name = &tensor.name;
                    return self
                        .graph
                        .refuse(format!("{role}: {name} is {:?}, expected a matrix", matrix.shape));
                }
                Ok((matrix, self.operand(node, 0)?))
            }
            other => {
                self.graph.refuse(format!("{role}: expected a matrix of the file, found {}", describe(other)))
            }
        }
    }

    /// A constant in f32.
    ///
    /// # Errors
    /// [`Error::Core`] for another type, data that do not fit the sizes, data in another file, and numbers that are not finite.
    pub(crate) fn floats(&self, tensor: &TensorProto) -> Result<Constant> {
        let name = &tensor.name;
        if tensor.data_type != FLOAT || tensor.data_location != 0 {
            return self
                .graph
                .refuse(format!("the constant \"{name}\" is not of type float inside the file"));
        }
        let data: Vec<f32> = match tensor.raw_data.as_slice() {
            [] => tensor.float_data.clone(),
            raw => raw.as_chunks().0.iter().map(|word| f32::from_le_bytes(*word)).collect(),
        };
        let sizes = tensor.dims.iter().map(|&size| usize::try_from(size).ok()).collect::<Option<Vec<_>>>();
        let elements = |sizes: &[usize]| sizes.iter().try_fold(1usize, |all, &size| all.checked_mul(size));
        let Some(sizes) = sizes.filter(|sizes| elements(sizes) == Some(data.len())) else {
            let (dims, got) = (&tensor.dims, data.len());
            return self.graph.refuse(format!("the constant \"{name}\" of {dims:?} has {got} numbers"));
        };
        if !data.iter().all(|value| value.is_finite()) {
            return self
                .graph
                .refuse(format!("the constant \"{name}\" has a number that is NaN or infinite"));
        }
        Ok(Constant { shape: sizes.into_iter().filter(|&size| size != 1).collect(), data })
    }

    fn integers(&self, tensor: &TensorProto) -> Result<Vec<i64>> {
        if tensor.data_type != INT64 || tensor.data_location != 0 {
            let name = &tensor.name;
            return self
                .graph
                .refuse(format!("the constant \"{name}\" is not of type int64 inside the file"));
        }
        Ok(match tensor.raw_data.as_slice() {
            [] => tensor.int64_data.clone(),
            raw => raw.as_chunks().0.iter().map(|word| i64::from_le_bytes(*word)).collect(),
        })
    }
}

/// The integers of an attribute; none if it is absent.
pub(crate) fn attribute<'a>(node: &'a NodeProto, name: &str) -> &'a [i64] {
    node.attribute.iter().find(|attribute| attribute.name == name).map_or(&[], |attribute| &attribute.ints)
}

/// A source in words.
pub(crate) fn describe(maker: Maker<'_>) -> String {
    match maker {
        Maker::Input(place) => format!("input {place} of the graph"),
        Maker::Constant(tensor) => format!("the constant \"{}\"", tensor.name),
        Maker::Node(node, _) => {
            let name = if node.name.is_empty() { node.output.first() } else { Some(&node.name) };
            format!("{} \"{}\"", node.op_type, name.map_or("", String::as_str))
        }
    }
}
