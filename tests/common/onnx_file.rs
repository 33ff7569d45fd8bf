//! ONNX files for tests: a protobuf writer for the messages that the tests need, with the field numbers of the ONNX
//! specification.

use wgru::import::{Onnx, OnnxGraph};
use wgru::{Direction, Error, ErrorKind};

/// The name that errors give to a file made here.
pub const SOURCE: &str = "test.onnx";

/// A protobuf message.
#[derive(Clone, Default)]
pub struct Message(pub Vec<u8>);

impl Message {
    fn raw_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    pub fn int(mut self, field: u32, value: i64) -> Self {
        self.raw_varint(u64::from(field) << 3);
        self.raw_varint(value as u64);
        self
    }

    pub fn float(mut self, field: u32, value: f32) -> Self {
        self.raw_varint(u64::from(field) << 3 | 5);
        self.0.extend(value.to_le_bytes());
        self
    }

    pub fn bytes(mut self, field: u32, value: impl AsRef<[u8]>) -> Self {
        self.raw_varint(u64::from(field) << 3 | 2);
        self.raw_varint(value.as_ref().len() as u64);
        self.0.extend(value.as_ref());
        self
    }

    pub fn message(self, field: u32, value: &Self) -> Self {
        self.bytes(field, &value.0)
    }
}

/// A `StringStringEntryProto`.
pub fn entry(key: &str, value: &str) -> Message {
    Message::default().bytes(1, key).bytes(2, value)
}

/// A `TensorProto` without data.
pub fn claim(name: &str, data_type: i64, dims: &[i64]) -> Message {
    let tensor = Message::default().int(2, data_type).bytes(8, name);
    dims.iter().fold(tensor, |tensor, &dim| tensor.int(1, dim))
}

/// A tensor of type 1, float, as raw data.
pub fn floats(name: &str, dims: &[i64], data: &[f32]) -> Message {
    claim(name, 1, dims).bytes(9, data.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>())
}

/// A tensor of type 7, int64, as raw data.
pub fn ints(name: &str, dims: &[i64], data: &[i64]) -> Message {
    claim(name, 7, dims).bytes(9, data.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>())
}

/// A float tensor of `len` elements that lie in another file.
pub fn external(name: &str, dims: &[i64], entries: &[(&str, &str)]) -> Message {
    let tensor = claim(name, 1, dims).int(14, 1);
    entries.iter().fold(tensor, |tensor, (key, value)| tensor.message(13, &entry(key, value)))
}

/// A `NodeProto`.
#[derive(Clone)]
pub struct Node(Message);

impl Node {
    pub fn new(op: &str, inputs: &[&str], outputs: &[&str]) -> Self {
        let node = inputs.iter().fold(Message::default(), |node, input| node.bytes(1, input));
        Self(outputs.iter().fold(node, |node, output| node.bytes(2, output)).bytes(4, op))
    }

    pub fn name(self, name: &str) -> Self {
        Self(self.0.bytes(3, name))
    }

    pub fn domain(self, domain: &str) -> Self {
        Self(self.0.bytes(7, domain))
    }

    /// An attribute of a kind (`AttributeProto.type`), its value set by `set`.
    pub fn attribute(self, name: &str, kind: i64, set: impl Fn(Message) -> Message) -> Self {
        Self(self.0.message(5, &set(Message::default().bytes(1, name).int(20, kind))))
    }

    pub fn int(self, name: &str, value: i64) -> Self {
        self.attribute(name, 2, |a| a.int(3, value))
    }

    pub fn float(self, name: &str, value: f32) -> Self {
        self.attribute(name, 1, |a| a.float(2, value))
    }

    pub fn text(self, name: &str, value: &str) -> Self {
        self.attribute(name, 3, |a| a.bytes(4, value))
    }

    pub fn tensor(self, name: &str, value: &Message) -> Self {
        self.attribute(name, 4, |a| a.message(5, value))
    }

    pub fn graph(self, name: &str, value: &Graph) -> Self {
        self.attribute(name, 5, |a| a.message(6, &value.0))
    }

    pub fn floats(self, name: &str, values: &[f32]) -> Self {
        self.attribute(name, 6, |a| values.iter().fold(a, |a, &v| a.float(7, v)))
    }

    pub fn ints(self, name: &str, values: &[i64]) -> Self {
        self.attribute(name, 7, |a| values.iter().fold(a, |a, &v| a.int(8, v)))
    }

    pub fn texts(self, name: &str, values: &[&str]) -> Self {
        self.attribute(name, 8, |a| values.iter().fold(a, |a, v| a.bytes(9, v)))
    }
}

/// A `GraphProto`.
#[derive(Clone, Default)]
pub struct Graph(pub Message);

impl Graph {
    pub fn node(self, node: &Node) -> Self {
        Self(self.0.message(1, &node.0))
    }

    pub fn tensor(self, tensor: &Message) -> Self {
        Self(self.0.message(5, tensor))
    }

    pub fn inputs(self, names: &[&str]) -> Self {
        Self(names.iter().fold(self.0, |graph, name| graph.message(11, &Message::default().bytes(1, name))))
    }

    pub fn outputs(self, names: &[&str]) -> Self {
        Self(names.iter().fold(self.0, |graph, name| graph.message(12, &Message::default().bytes(1, name))))
    }

    /// A `ModelProto` of an opset.
    pub fn model(&self, opset: i64) -> Vec<u8> {
        let set = Message::default().bytes(1, "").int(2, opset);
        Message::default().int(1, 8).message(8, &set).message(7, &self.0).0
    }

    pub fn read(&self) -> Result<OnnxGraph, Error> {
        self.read_with(&Onnx::new())
    }

    pub fn read_with(&self, how: &Onnx) -> Result<OnnxGraph, Error> {
        how.parse_graph(SOURCE, &self.model(22), None)
    }

    /// The error of reading the file.
    pub fn refused(&self) -> Error {
        of_file(self.read().expect_err("it must be refused"))
    }
}

/// The error of a file, after a check that its kind is a bad file.
#[track_caller]
pub fn of_file(error: Error) -> Error {
    let kind = error.kind();
    let is_of_file = matches!(kind, ErrorKind::BadFile | ErrorKind::Unsupported | ErrorKind::Limit);
    assert!(is_of_file && !error.to_string().is_empty(), "{kind:?}: {error}");
    match error {
        Error::File { fault } => *fault,
        error => error,
    }
}

/// Element `i`, all different within 4,096 and exact in f32, small.
pub fn value(i: usize) -> f32 {
    (i as f32 - 100.0) / 128.0
}

pub fn ramp(from: usize, len: usize) -> Vec<f32> {
    (from..from + len).map(value).collect()
}

/// A recurrent layer in ONNX's own layout, with all numbers different.
#[derive(Clone)]
pub struct Layer {
    pub op: &'static str,
    pub gates: usize,
    pub direction: Direction,
    pub input: usize,
    pub hidden: usize,
    pub w: Vec<f32>,
    pub r: Vec<f32>,
    pub b: Vec<f32>,
}

impl Layer {
    pub fn new(op: &'static str, direction: Direction, input: usize, hidden: usize) -> Self {
        let gates = match op {
            "GRU" => 3,
            "LSTM" => 4,
            _ => 1,
        };
        let rows = direction.count() * gates * hidden;
        let w = ramp(0, rows * input);
        let r = ramp(w.len(), rows * hidden);
        let b = ramp(w.len() + r.len(), 2 * rows);
        Self { op, gates, direction, input, hidden, w, r, b }
    }

    /// A forward GRU, I = 2 and H = 3.
    pub fn gru() -> Self {
        Self::new("GRU", Direction::Forward, 2, 3)
    }

    pub fn w_dims(&self) -> [i64; 3] {
        [self.direction.count() as i64, (self.gates * self.hidden) as i64, self.input as i64]
    }

    pub fn r_dims(&self) -> [i64; 3] {
        [self.direction.count() as i64, (self.gates * self.hidden) as i64, self.hidden as i64]
    }

    pub fn b_dims(&self) -> [i64; 2] {
        [self.direction.count() as i64, 2 * (self.gates * self.hidden) as i64]
    }

    /// The node on X, W, R, B, with hidden_size and, where it is not the default, direction.
    pub fn node(&self) -> Node {
        self.node_on(&["X", "W", "R", "B"])
    }

    pub fn node_on(&self, inputs: &[&str]) -> Node {
        let node =
            Node::new(self.op, inputs, &["Y", "Y_h"]).name("rec").int("hidden_size", self.hidden as i64);
        match self.direction {
            Direction::Forward => node,
            other => node.text("direction", &other.to_string()),
        }
    }

    pub fn tensors(&self, graph: Graph) -> Graph {
        graph
            .tensor(&floats("W", &self.w_dims(), &self.w))
            .tensor(&floats("R", &self.r_dims(), &self.r))
            .tensor(&floats("B", &self.b_dims(), &self.b))
    }

    /// The graph of `node` alone with this layer's weights as initialisers.
    pub fn graph_of(&self, node: &Node) -> Graph {
        self.tensors(Graph::default().node(node).inputs(&["X"]).outputs(&["Y", "Y_h"]))
    }

    pub fn graph(&self) -> Graph {
        self.graph_of(&self.node())
    }
}
