//! ONNX: one GRU, LSTM or RNN node of a file, or several that feed each other, with the constants that reach them.
//!
//! ```text
//! graph        scopes and names: the graph, the branches of an If, model functions
//! tensor       constant tensors inside the file, external those beside it
//! value        what a name is known to stand for before the run: constants, and sizes that the run decides as symbols
//! ops          operators that move numbers; reshape those that keep them in place; arithmetic those that make new ones
//! fold         the value behind a name, by the operators of operators
//! sizes        the sizes of arrays that the run makes
//! node         attributes and the cell they ask for
//! weights      ONNX's layout to the crate's
//! ports        states and lengths of a node, join those of several layers
//! stack        nodes that feed each other
//! connect      the arrays that the nodes read and give, by name
//! ```
//!
//! The messages of the file stand in `crate::proto`. A whole graph is not run, only the nodes. Source: the ONNX operator
//! specification, opset 7 and later.

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
/// | other numbers in the file | refused, by name | [`OnnxInput::Constant`], [`OnnxInput::Repeated`] |
/// | computed by other nodes | refused, by name | [`OnnxInput::Computed`] |
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Onnx {
    node: Option<String>,
    after: Option<bool>,
    limits: Limits,
}

/// Where a node gets its lengths or an initial state. A run without them computes something else than the graph does.
/// `T` is what the file holds: `Vec<i64>` for lengths, [`Tensor`] for a state.
#[derive(Debug, Clone, PartialEq)]
pub enum OnnxInput<T> {
    /// The node leaves it out: states begin at zero, sequences have all steps.
    Absent,
    /// It is given at run time, by the array of this name: an input of the graph. Left out, it is as [`OnnxInput::Absent`].
    Array(String),
    /// The file holds it, for a batch of this size.
    Constant(T),
    /// The file holds it for one sequence, and the graph repeats it for each: a batch of 1.
    Repeated(T),
    /// The graph computes it, from what is not run here. The caller gives it, or the numbers are not the graph's:
    /// [`OnnxGraph::check_given`].
    Computed {
        /// The array's name, the operator's.
        name: String,
        /// The node that computes it, and why that is not known before the run.
        by: String,
    },
}

/// A recurrent node as a model of one layer, or a stack of them as a model of several, with all that the graph connects to it:
/// what [`Onnx::read_graph`] gives.
///
/// Names of arrays are the graph's own where the graph is those nodes alone (and constants), else the operator's:
/// X, sequence_lens, initial_h, initial_c, Y, Y_h, Y_c. States of several layers lie one after the other, from the layer on
/// the input on: `[L·D, B, H]`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct OnnxGraph {
    /// The model: a layer for each node.
    pub model: Model,
    /// How it was read.
    pub report: Report,
    /// The node, as [`Onnx::node`] takes it; of a stack its nodes with commas between.
    pub node: String,
    /// Its operator: `GRU`, `LSTM`, `RNN` or `DynamicQuantizeLSTM`.
    pub op: String,
    /// Attribute `layout`: 0 for X `[T, B, I]`, Y `[T, D, B, H]` and states `[L·D, B, H]`;
    /// 1 for X `[B, T, I]`, Y `[B, T, D, H]` and states `[B, L·D, H]`.
    pub layout: u8,
    /// Whether the graph is these nodes, so that names are the graph's.
    pub whole_graph: bool,
    /// The array X.
    pub x: String,
    /// Steps of each sequence, `[B]`.
    pub sequence_lens: OnnxInput<Vec<i64>>,
    /// The state h before the first step, in the node's layout: see [`OnnxGraph::layout`].
    pub initial_h: OnnxInput<Tensor>,
    /// An LSTM's cell state before the first step, in the node's layout.
    pub initial_c: OnnxInput<Tensor>,
    /// The array Y of the last layer, where the node writes it, in the node's layout.
    pub y: Option<String>,
    /// The array Y_h, every layer's final h, where every node writes it.
    pub y_h: Option<String>,
    /// The array Y_c, every layer's final c, where every node writes it.
    pub y_c: Option<String>,
}

impl OnnxGraph {
    /// Holds the arrays that the caller gives against those that the graph computes.
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
    /// The model, where a run of it alone computes what the graph does.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for lengths that the file holds or computes, and for such a state other than zero.
    fn into_model_alone(self) -> Result<Imported> {
        let not_zero = |state: &Tensor| state.data.iter().any(|&value| value != 0.0);
        self.check_alone(&self.sequence_lens, ["sequence_lens", "lengths"], |_| true)?;
        self.check_alone(&self.initial_h, ["initial_h", "h0"], not_zero)?;
        self.check_alone(&self.initial_c, ["initial_c", "c0"], not_zero)?;
        Ok(Imported { model: self.model, report: self.report })
    }

    /// Holds that the file does not give `role` to the node, where it `matters`; `of_batch` is its name in a batch.
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

/// A recurrent node that a file holds: an entry of [`Onnx::list`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OnnxNode {
    /// Its name, as [`Onnx::node`] takes it.
    pub name: String,
    /// Its operator: `GRU`, `LSTM`, `RNN` or `DynamicQuantizeLSTM`.
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
    /// The only recurrent node of the file, or the stack that is all of the graph, with every attribute as the file has it.
    pub fn new() -> Self {
        Self::default()
    }

    /// The node by its name, where the file holds several. A node without a name goes by its first output; one
    /// whose name is not the only one of its kind by the way down to it: `If_0/then_branch/gru`.
    ///
    /// Several names with commas between are the layers of one model, the one on the input first. Each has to read Y of the
    /// one before, `[T, B, D·H]`, by nothing but operators that move numbers (Transpose, Reshape, Squeeze and the like).
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

    /// How many initialisers and nodes a file may have; [`Limits::default`] where not given.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Reads a file; external data are looked for in its folder.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Format`] for a file that is not whole, contradicts itself or points outside its folder;
    /// [`Error::Ambiguous`] for no such node or several; [`Error::MissingTensor`];
    /// [`Error::File`] for shapes, attributes and numbers that no model has, with the name of the tensor or attribute; [`Error::Unsupported`] for an opset before 7, for every attribute or input that is not honoured, and for
    /// lengths and initial states that the file holds or computes; [`Error::Memory`]; [`Error::TooLarge`] beyond
    /// [`Onnx::limits`].
    pub fn read(&self, path: impl AsRef<Path>) -> Result<Imported> {
        self.read_graph(path)?.into_model_alone()
    }

    /// Reads a file's bytes; `source` names them in errors and `folder` is where external data may lie.
    ///
    /// # Errors
    /// As [`Onnx::read`].
    pub fn parse(&self, source: &str, bytes: &[u8], folder: Option<&Path>) -> Result<Imported> {
        self.parse_graph(source, bytes, folder)?.into_model_alone()
    }

    /// As [`Onnx::read`], with the names and layouts of the graph's arrays, and with lengths and initial states that the file
    /// holds or computes: the caller gives them to every batch.
    ///
    /// # Errors
    /// As [`Onnx::read`], but for what the file holds or computes of lengths and initial states.
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
    /// [`Error::Io`]; [`Error::Format`] for a file that is not whole or whose graph is not sound.
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

/// The folder a path lies in; the current one for a bare file name.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}
