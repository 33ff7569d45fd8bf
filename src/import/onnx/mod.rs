//! ONNX: one GRU, LSTM or RNN node of a file, or several that feed each other, with their constants.
//!
//! ```text
//! graph        scopes and names: the graph, the branches of an If, model functions
//! tensor       constant tensors inside the file, external those beside it
//! value        what is known of a name before the run: constants, and sizes known only at run time as symbols
//! ops          operators that move elements; reshape those that keep their order; arithmetic those that compute
//! fold         the value behind a name, by the operators of operators
//! sizes        the sizes of run-time arrays
//! node         attributes and the cell that they describe
//! weights      ONNX's layout to the crate's
//! ports        states and lengths of a node, join those of several layers
//! stack        nodes that feed each other
//! readout      a dense layer after them
//! connect      the arrays that the nodes read and write, by name
//! ```
//!
//! The file's protobuf messages are in `crate::proto`. Only the nodes are run, not the whole graph. Source: the ONNX
//! operator specification, opset 7 and later.

mod arithmetic;
mod connect;
mod external;
mod fold;
mod graph;
mod join;
mod names;
mod node;
mod ops;
mod ports;
mod read;
mod readout;
mod reshape;
mod sizes;
mod stack;
mod tensor;
mod value;
mod weights;

use std::fmt;
use std::path::Path;

use super::{Imported, Limits, Report, Tensor, load};
use crate::error::{Error, Result};
use crate::model::{Direction, Model};

/// How to read a recurrent node of an ONNX file, or a stack of them, as a model. A whole graph is not run.
///
/// ```no_run
/// # fn main() -> Result<(), wgru::Error> {
/// let onnx = wgru::import::Onnx::new().node("encoder/gru").linear_before_reset(true);
/// let imported = onnx.read("m.onnx")?;
/// println!("{}, {:?}", imported.model, imported.report.decisions);
/// # Ok(())
/// # }
/// ```
///
/// A node may read more than X and its weights: lengths and initial states. What [`Onnx::read`] does with them:
///
/// | sequence_lens, initial_h, initial_c | [`Onnx::read`] | [`Onnx::read_graph`] |
/// |---|---|---|
/// | absent, or zeros for a state | begins at 0, all steps | [`OnnxInput::Absent`], or zeros |
/// | an input of the graph | reported; a batch is given `lengths`, `h0`, `c0` | [`OnnxInput::Array`] |
/// | other numbers in the file | refused; the error names it | [`OnnxInput::Constant`], [`OnnxInput::Repeated`] |
/// | computed by other nodes | refused; the error names it | [`OnnxInput::Computed`] |
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Onnx {
    node: Option<String>,
    readout: Option<String>,
    after: Option<bool>,
    limits: Limits,
}

/// The source of a node's lengths or of an initial state. A run that ignores it computes something else than the
/// graph does. `T` is the type of a stored value: `Vec<i64>` for lengths, [`Tensor`] for a state.
#[derive(Debug, Clone, PartialEq)]
pub enum OnnxInput<T> {
    /// The node has no such input: states begin at zero, sequences have all steps.
    Absent,
    /// The array of this name, an input of the graph, provides it at run time. Without it, it is as
    /// [`OnnxInput::Absent`].
    Array(String),
    /// The file stores it, for a batch of this size.
    Constant(T),
    /// The file stores it for one sequence, and the graph repeats it for each: a batch of 1.
    Repeated(T),
    /// The graph computes it with nodes that are not run here. The caller must provide it, or results differ from the
    /// graph's: [`OnnxGraph::check_given`].
    Computed {
        /// The array's name in the operator.
        name: String,
        /// The node that computes it, and why that is not known before the run.
        by: String,
    },
}

/// A recurrent node as a model of one layer, or a stack of them as a model of several, with everything that the graph
/// connects to it: the result of [`Onnx::read_graph`].
///
/// Names of arrays are the graph's own if the graph consists of those nodes (and constants); otherwise they are the
/// operator's: X, sequence_lens, initial_h, initial_c, Y, Y_h, Y_c. States of several layers lie one after the other,
/// in the order from the input on: `[L·D, B, H]`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct OnnxGraph {
    /// The model: a layer for each node.
    pub model: Model,
    /// How it was read.
    pub report: Report,
    /// The name of the node, as [`Onnx::node`] takes it; for a stack its nodes with commas between.
    pub node: String,
    /// Its operator: `GRU`, `LSTM`, `RNN` or `DynamicQuantizeLSTM`.
    pub op: String,
    /// Attribute `layout`: 0 for X `[T, B, I]`, Y `[T, D, B, H]` and states `[L·D, B, H]`;
    /// 1 for X `[B, T, I]`, Y `[B, T, D, H]` and states `[B, L·D, H]`.
    pub layout: u8,
    /// Whether the graph consists of these nodes, so that names are the graph's.
    pub whole_graph: bool,
    /// The array X.
    pub x: String,
    /// Steps of each sequence, `[B]`.
    pub sequence_lens: OnnxInput<Vec<i64>>,
    /// The state h before the first step, in the node's layout: see [`OnnxGraph::layout`].
    pub initial_h: OnnxInput<Tensor>,
    /// An LSTM's cell state before the first step, in the node's layout.
    pub initial_c: OnnxInput<Tensor>,
    /// The array Y of the last layer, if the node outputs it, in the node's layout.
    pub y: Option<String>,
    /// The array Y_h, every layer's final h, if every node outputs it.
    pub y_h: Option<String>,
    /// The array Y_c, every layer's final c, if every node outputs it.
    pub y_c: Option<String>,
}

impl OnnxGraph {
    /// Checks the arrays that the caller gives against those that the graph computes.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for an input that is [`OnnxInput::Computed`] and not among the names `given`, with its role
    /// and the node that computes it.
    pub fn check_given(&self, given: &[&str]) -> Result<()> {
        fn computed<T>(input: &OnnxInput<T>) -> Option<(&str, &str)> {
            match input {
                OnnxInput::Computed { name, by } => Some((name, by)),
                _ => None,
            }
        }
        let all = [computed(&self.sequence_lens), computed(&self.initial_h), computed(&self.initial_c)];
        match all.into_iter().flatten().find(|(name, _)| !given.contains(name)) {
            Some((name, by)) => {
                let (op, node) = (&self.op, &self.node);
                let what =
                    format!("{name} of {op} \"{node}\", which is computed by {by}: give {name} as an array");
                Err(Error::Unsupported { what })
            }
            None => Ok(()),
        }
    }
}

impl OnnxGraph {
    /// The model, if a run of it alone computes what the graph does.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for lengths that the file stores or computes, and for such a state other than zero.
    fn into_model_alone(self) -> Result<Imported> {
        let not_zero = |state: &Tensor| state.data.iter().any(|&value| value != 0.0);
        self.check_alone(&self.sequence_lens, ["sequence_lens", "lengths"], |_| true)?;
        self.check_alone(&self.initial_h, ["initial_h", "h0"], not_zero)?;
        self.check_alone(&self.initial_c, ["initial_c", "c0"], not_zero)?;
        Ok(Imported { model: self.model, report: self.report })
    }

    /// Checks that the file does not give `role` to the node, if it `matters`; `of_batch` is its name in a batch.
    fn check_alone<T>(
        &self,
        input: &OnnxInput<T>,
        [role, of_batch]: [&str; 2],
        matters: impl Fn(&T) -> bool,
    ) -> Result<()> {
        let from = match input {
            OnnxInput::Constant(value) | OnnxInput::Repeated(value) if matters(value) => {
                "which the file holds".to_owned()
            }
            OnnxInput::Computed { by, .. } => format!("which is computed by {by}"),
            _ => return Ok(()),
        };
        let (op, node) = (&self.op, &self.node);
        let what = format!(
            "{role} of {op} \"{node}\", {from}: a run of the model alone would be without it; read the file by \
             import::Onnx::read_graph and give every batch {of_batch}"
        );
        Err(Error::Unsupported { what })
    }
}

/// A recurrent node of a file: an entry of [`Onnx::list`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OnnxNode {
    /// Its name, as [`Onnx::node`] takes it.
    pub name: String,
    /// Its operator: `GRU`, `LSTM`, `RNN` or `DynamicQuantizeLSTM`.
    pub op: String,
    /// Its direction; `None` if the attributes cannot be read.
    pub direction: Option<Direction>,
    /// The shape of W, `[D, G·H, I]`; `None` if W is not a constant.
    pub w: Option<Vec<usize>>,
    /// The shape of R, `[D, G·H, H]`; `None` if R is not a constant.
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
            _ => write!(f, " [weights that are not constants]"),
        }
    }
}

impl Onnx {
    /// The only recurrent node of the file, or the stack that is the whole graph, with every attribute from the file.
    pub fn new() -> Self {
        Self::default()
    }

    /// The node by its name, if the file has several. A node without a name is named by its first output. If several
    /// nodes have the same name, each is named by its path: `If_0/then_branch/gru`.
    ///
    /// Several names with commas between are the layers of one model, the one nearest to the input first. Each must
    /// read Y of the one before, `[T, B, D·H]`, through operators that only move elements (Transpose, Reshape,
    /// Squeeze and the like).
    pub fn node(mut self, name: impl Into<String>) -> Self {
        self.node = Some(name.into());
        self
    }

    /// The name of a MatMul or Gemm node on Y of the last layer, of every step or of the last one (a Gather of -1), with a constant
    /// matrix. An Add of a constant after it is its bias, and the Relu, Sigmoid, Tanh, Softmax or LogSoftmax after that its
    /// activation; each only where nothing else reads what comes before it. A node without a name is named by its output.
    pub fn readout(mut self, name: impl Into<String>) -> Self {
        self.readout = Some(name.into());
        self
    }

    /// Reads a GRU's reset as after the product (`true`) or before it (`false`), whatever the file says: some
    /// exporters omit `linear_before_reset` although the weights need it.
    pub fn linear_before_reset(mut self, after: bool) -> Self {
        self.after = Some(after);
        self
    }

    /// The limits on a file, such as its number of initialisers and nodes; the default is [`Limits::default`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Reads a file; external data are looked for in its folder.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Format`] for a file that is truncated, contradicts itself or points outside its
    /// folder; [`Error::Ambiguous`] for no such node or several; [`Error::MissingTensor`]; [`Error::File`] for
    /// invalid shapes, attributes and numbers, with the name of the tensor or attribute; [`Error::Unsupported`] for
    /// an opset before 7, for every unsupported attribute or input, and for lengths and initial states that the file
    /// stores or computes; [`Error::Memory`]; [`Error::TooLarge`] beyond [`Onnx::limits`].
    pub fn read(&self, path: impl AsRef<Path>) -> Result<Imported> {
        self.read_graph(path)?.into_model_alone()
    }

    /// Reads a file's bytes; `source` names them in errors and `folder` is the folder of external data.
    ///
    /// # Errors
    /// As [`Onnx::read`].
    pub fn parse(&self, source: &str, bytes: &[u8], folder: Option<&Path>) -> Result<Imported> {
        self.parse_graph(source, bytes, folder)?.into_model_alone()
    }

    /// As [`Onnx::read`], with the names and layouts of the graph's arrays, and with lengths and initial states that
    /// the file stores or computes: the caller gives them to every batch.
    ///
    /// # Errors
    /// As [`Onnx::read`], except that lengths and initial states that the file stores or computes are accepted.
    pub fn read_graph(&self, path: impl AsRef<Path>) -> Result<OnnxGraph> {
        let path = path.as_ref();
        let bytes = load(path)?;
        self.import(&path.display().to_string(), bytes, Some(folder_of(path)))
    }

    /// [`Onnx::read_graph`] of a file's bytes; arguments as for [`Onnx::parse`].
    ///
    /// # Errors
    /// As [`Onnx::read_graph`].
    pub fn parse_graph(&self, source: &str, bytes: &[u8], folder: Option<&Path>) -> Result<OnnxGraph> {
        self.import(source, bytes.to_vec(), folder)
    }

    fn import(&self, source: &str, bytes: Vec<u8>, folder: Option<&Path>) -> Result<OnnxGraph> {
        let imported = read::import(self, source, bytes, folder).map_err(Error::in_file)?;
        imported.report.tell(source);
        Ok(imported)
    }

    /// The recurrent nodes of a file, also inside the branches of an If and inside model functions.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Format`] for a file that is truncated or whose graph is invalid.
    pub fn list(path: impl AsRef<Path>) -> Result<Vec<OnnxNode>> {
        let path = path.as_ref();
        let bytes = load(path)?;
        read::list(&path.display().to_string(), bytes, Some(folder_of(path))).map_err(Error::in_file)
    }

    /// The recurrent nodes of a file's bytes; arguments as for [`Onnx::parse`].
    ///
    /// # Errors
    /// As [`Onnx::list`].
    #[cfg(feature = "unstable")]
    pub fn list_parsed(source: &str, bytes: &[u8], folder: Option<&Path>) -> Result<Vec<OnnxNode>> {
        read::list(source, bytes.to_vec(), folder).map_err(Error::in_file)
    }
}

/// The folder of a path; the current one for a bare file name.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}
