//! ONNX: one GRU, LSTM or RNN node of a file, with the constants that reach it.
//!
//! ```text
//! graph    scopes and names: the graph, the branches of an If, model functions
//! tensor   constant tensors, inside the file or beside it
//! ops      array operators on constants, as pure functions
//! fold     the constant behind a name
//! node     attributes and the cell they ask for
//! weights  ONNX's layout to the crate's
//! ```
//!
//! The messages of the file stand in `crate::proto`. A whole graph is not run, only the one node. Source: the ONNX operator specification, opset 7 and later.

mod fold;
mod graph;
mod node;
mod ops;
mod read;
mod tensor;
mod weights;

use std::fmt;
use std::path::Path;

use super::{Report, Tensor, load};
use crate::error::Result;
use crate::model::{Direction, Model};

/// How to read a recurrent node of an ONNX file.
///
/// ```no_run
/// # fn main() -> Result<(), wgru::Error> {
/// let onnx = wgru::import::Onnx::new().node("encoder/gru").linear_before_reset(true);
/// let imported = onnx.read("m.onnx")?;
/// println!("{}, {:?}", imported.model, imported.report.decisions);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Onnx {
    node: Option<String>,
    after: Option<bool>,
}

/// What a node reads beside X and its weights.
#[derive(Debug, Clone, PartialEq)]
pub enum OnnxInput<T> {
    /// The node leaves it out.
    Absent,
    /// It is given at run time, by the array of this name.
    Array(String),
    /// The file holds it.
    Constant(T),
}

/// A recurrent node as a model of one layer, and how the file connects it.
///
/// Names of arrays are the graph's own where the graph is that one node (and constants), else the operator's:
/// X, sequence_lens, initial_h, initial_c, Y, Y_h, Y_c.
#[derive(Debug, Clone, PartialEq)]
pub struct OnnxImported {
    /// The model: one layer.
    pub model: Model,
    /// How it was read.
    pub report: Report,
    /// The node, as [`Onnx::node`] takes it.
    pub node: String,
    /// Its operator: `GRU`, `LSTM` or `RNN`.
    pub op: String,
    /// Attribute `layout`: 0 for X `[T, B, I]`, Y `[T, D, B, H]` and states `[D, B, H]`;
    /// 1 for X `[B, T, I]`, Y `[B, T, D, H]` and states `[B, D, H]`.
    pub layout: u8,
    /// Whether the graph is this one node, so that names are the graph's.
    pub whole_graph: bool,
    /// The array X.
    pub x: String,
    /// Steps of each sequence.
    pub sequence_lens: OnnxInput<Vec<i64>>,
    /// The state before the first step, in the node's layout.
    pub initial_h: OnnxInput<Tensor>,
    /// An LSTM's cell state before the first step, in the node's layout.
    pub initial_c: OnnxInput<Tensor>,
    /// The array Y, where the node writes it.
    pub y: Option<String>,
    /// The array Y_h, where the node writes it.
    pub y_h: Option<String>,
    /// The array Y_c, where the node writes it.
    pub y_c: Option<String>,
}

/// A recurrent node that a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnnxNode {
    /// Its name, as [`Onnx::node`] takes it.
    pub name: String,
    /// Its operator: `GRU`, `LSTM` or `RNN`.
    pub op: String,
    /// Its direction; none where the attributes cannot be read.
    pub direction: Option<Direction>,
    /// The shape of W, `[D, G·H, I]`; none where W is no constant.
    pub w: Option<Vec<usize>>,
    /// The shape of R, `[D, G·H, H]`; none where R is no constant.
    pub r: Option<Vec<usize>>,
}

impl fmt::Display for OnnxNode {
    /// `encoder: GRU forward [3·64, 32→64]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.op)?;
        if let Some(direction) = self.direction {
            write!(f, " {direction}")?;
        }
        match (self.w.as_deref(), self.r.as_deref()) {
            (Some(&[_, rows, input]), Some(&[_, _, hidden])) if hidden > 0 && rows % hidden == 0 => {
                write!(f, " [{}·{hidden}, {input}→{hidden}]", rows / hidden)
            }
            (Some(w), Some(r)) => write!(f, " [W {w:?}, R {r:?}]"),
            _ => write!(f, " [weights that are no constants]"),
        }
    }
}

impl Onnx {
    /// The only recurrent node of the file, with every attribute as the file has it.
    pub fn new() -> Self {
        Self::default()
    }

    /// The node by its name, where the file holds several. A node without a name goes by its first output; one
    /// whose name is not the only one of its kind by the way down to it: `If_0/then_branch/gru`.
    pub fn node(mut self, name: impl Into<String>) -> Self {
        self.node = Some(name.into());
        self
    }

    /// Reads a GRU's reset as after the product (`true`) or before it (`false`), whatever the file says: some
    /// exporters leave `linear_before_reset` out although the weights need it.
    pub fn linear_before_reset(mut self, after: bool) -> Self {
        self.after = Some(after);
        self
    }

    /// Reads a file; external data are looked for in its folder.
    ///
    /// # Errors
    /// [`crate::Error::Io`]; [`crate::Error::Format`] for a file that is not whole, contradicts itself or points
    /// outside its folder; [`crate::Error::Ambiguous`] for no such node or several; [`crate::Error::MissingTensor`],
    /// [`crate::Error::Shape`], [`crate::Error::Length`], [`crate::Error::Zero`], [`crate::Error::Overflow`],
    /// [`crate::Error::Mismatch`] and [`crate::Error::NotFinite`] with the name of the tensor or attribute;
    /// [`crate::Error::Unsupported`] for an opset before 7 and for every attribute or input that is not honoured;
    /// [`crate::Error::Memory`].
    pub fn read(&self, path: impl AsRef<Path>) -> Result<OnnxImported> {
        let path = path.as_ref();
        let bytes = load(path)?;
        read::import(self, &path.display().to_string(), bytes, Some(folder_of(path)))
    }

    /// Reads a file's bytes; `source` names them in errors and `folder` is where external data may lie.
    ///
    /// # Errors
    /// As [`Onnx::read`].
    pub fn parse(&self, source: &str, bytes: &[u8], folder: Option<&Path>) -> Result<OnnxImported> {
        read::import(self, source, bytes.to_vec(), folder)
    }

    /// The recurrent nodes of a file, also inside the branches of an If and inside model functions.
    ///
    /// # Errors
    /// [`crate::Error::Io`]; [`crate::Error::Format`] for a file that is not whole or whose graph is not sound.
    pub fn list(path: impl AsRef<Path>) -> Result<Vec<OnnxNode>> {
        let path = path.as_ref();
        let bytes = load(path)?;
        read::list(&path.display().to_string(), bytes, Some(folder_of(path)))
    }

    /// The recurrent nodes of a file's bytes; arguments as for [`Onnx::parse`].
    ///
    /// # Errors
    /// As [`Onnx::list`].
    pub fn list_parsed(source: &str, bytes: &[u8], folder: Option<&Path>) -> Result<Vec<OnnxNode>> {
        read::list(source, bytes.to_vec(), folder)
    }
}

/// The folder a path lies in; the current one for a bare file name.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}
