//! The attributes of a GRU, LSTM or RNN node, and the cell that they describe. Every attribute is either supported or
//! refused by its name and value.
//!
//! ```text
//! all    hidden_size  direction  layout (opset 14)  activations  activation_alpha  activation_beta  clip
//! GRU    linear_before_reset     0, and absent: reset before; else reset after
//! LSTM   input_forget; DynamicQuantizeLSTM of com.microsoft is one with weights of 8 bits
//! ```
//!
//! Source: the ONNX operator specification of GRU, LSTM and RNN, opset 7 to 22.

use super::names::{is_of_onnx, label_of};
use crate::error::{Error, Result, listed};
use crate::model::{Activation, Activations, Cell, Direction, Forget, Function, GateOrder, Reset, Update};
use crate::proto::{AttributeProto, NodeProto};

/// The first opset whose recurrent nodes are read, and the one that brought `layout`.
const FIRST_OPSET: i64 = 7;
const LAYOUT_OPSET: i64 = 14;

/// A recurrent operator.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Gru,
    Lstm,
    Rnn,
}

impl Op {
    pub(super) fn of(node: &NodeProto) -> Option<Self> {
        match node.op_type.as_str() {
            "GRU" if is_of_onnx(node) => Some(Self::Gru),
            "LSTM" if is_of_onnx(node) => Some(Self::Lstm),
            "RNN" if is_of_onnx(node) => Some(Self::Rnn),
            _ if is_quantised(node) => Some(Self::Lstm),
            _ => None,
        }
    }

    /// ONNX's order of gates: its `z r h` and `i o f c`; an RNN has one gate.
    pub(super) fn gate_order(self) -> Option<GateOrder> {
        match self {
            Self::Gru => Some(GateOrder::Zrn),
            Self::Lstm => Some(GateOrder::Iofg),
            Self::Rnn => None,
        }
    }

    /// The activations of one direction if the node names none.
    fn activations(self) -> &'static [&'static str] {
        match self {
            Self::Gru => &["Sigmoid", "Tanh"],
            Self::Lstm => &["Sigmoid", "Tanh", "Tanh"],
            Self::Rnn => &["Tanh"],
        }
    }

    /// The names of its inputs and of its outputs.
    pub(super) fn ports(self, quantised: bool) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Self::Lstm if quantised => (&INPUTS, &OUTPUTS),
            Self::Lstm => (&INPUTS[..8], &OUTPUTS),
            Self::Gru | Self::Rnn => (&INPUTS[..6], &OUTPUTS[..2]),
        }
    }
}

/// The inputs of every recurrent operator; the last four are only the quantised LSTM's.
pub(super) const INPUTS: [&str; 12] = [
    "X",
    "W",
    "R",
    "B",
    "sequence_lens",
    "initial_h",
    "initial_c",
    "P",
    "W_scale",
    "W_zero_point",
    "R_scale",
    "R_zero_point",
];
/// The outputs; Y_c is an LSTM's.
pub(super) const OUTPUTS: [&str; 3] = ["Y", "Y_h", "Y_c"];

/// Whether a node is the LSTM that ONNX Runtime's dynamic quantisation creates.
pub(super) fn is_quantised(node: &NodeProto) -> bool {
    node.domain == "com.microsoft" && node.op_type == "DynamicQuantizeLSTM"
}

/// The attributes of one node, with the file's values.
pub(super) struct Attributes {
    pub(super) op: Op,
    /// The name of the node in errors: `GRU node "encoder"`.
    pub(super) label: String,
    /// Whether its weights have 8 bits, which are stored transposed.
    pub(super) quantised: bool,
    pub(super) hidden: Option<i64>,
    pub(super) direction: Direction,
    direction_given: bool,
    linear_before_reset: Option<i64>,
    pub(super) layout: u8,
    activations: Option<Vec<String>>,
    alpha: Option<Vec<f32>>,
    beta: Option<Vec<f32>>,
    clip: Option<f32>,
    input_forget: i64,
}

impl Attributes {
    /// # Errors
    /// [`Error::Format`] for an attribute of another type or given twice; [`Error::Unsupported`] for an unknown one,
    /// and for an opset before 7.
    pub(super) fn read(op: Op, node: &NodeProto, opset: i64) -> Result<Self> {
        let label = label_of(node);
        if opset < FIRST_OPSET {
            let what = format!("{label} of opset {opset}: opset {FIRST_OPSET} and later are read");
            return Err(Error::Unsupported { what });
        }
        let mut all = Self {
            op,
            label,
            quantised: is_quantised(node),
            hidden: None,
            direction: Direction::Forward,
            direction_given: false,
            linear_before_reset: None,
            layout: 0,
            activations: None,
            alpha: None,
            beta: None,
            clip: None,
            input_forget: 0,
        };
        for (index, attribute) in node.attribute.iter().enumerate() {
            if node.attribute.iter().take(index).any(|other| other.name == attribute.name) {
                return Err(all.format(attribute, "is given twice"));
            }
            all.set(attribute, opset)?;
        }
        Ok(all)
    }

    fn set(&mut self, attribute: &AttributeProto, opset: i64) -> Result<()> {
        if !attribute.ref_attr_name.is_empty() {
            let what = format!("set by the caller of a model function ({})", attribute.ref_attr_name);
            return Err(self.unsupported(&attribute.name, what));
        }
        let int = || attribute.int().ok_or_else(|| self.format(attribute, "is not an integer"));
        match (attribute.name.as_str(), self.op) {
            ("hidden_size", _) => self.hidden = Some(int()?),
            ("direction", _) => {
                let text = attribute.string().ok_or_else(|| self.format(attribute, "is not a string"))?;
                self.direction = match text {
                    "forward" => Direction::Forward,
                    "reverse" => Direction::Reverse,
                    "bidirectional" => Direction::Bidirectional,
                    other => return Err(self.unsupported("direction", format!("= \"{other}\""))),
                };
                self.direction_given = true;
            }
            ("layout", _) => {
                self.layout = match int()? {
                    0 => 0,
                    1 if opset >= LAYOUT_OPSET => 1,
                    1 => {
                        let what = format!("= 1 in opset {opset}, which has none before {LAYOUT_OPSET}");
                        return Err(self.unsupported("layout", what));
                    }
                    other => return Err(self.unsupported("layout", format!("= {other}"))),
                };
            }
            ("linear_before_reset", Op::Gru) => self.linear_before_reset = Some(int()?),
            ("input_forget", Op::Lstm) => self.input_forget = int()?,
            ("activations", _) => {
                let names = attribute.strings().ok_or_else(|| self.format(attribute, "are not strings"))?;
                self.activations = Some(names.into_iter().map(str::to_owned).collect());
            }
            ("activation_alpha", _) => {
                let floats = attribute.floats().ok_or_else(|| self.format(attribute, "are not floats"))?;
                self.alpha = Some(floats.to_vec());
            }
            ("activation_beta", _) => {
                let floats = attribute.floats().ok_or_else(|| self.format(attribute, "are not floats"))?;
                self.beta = Some(floats.to_vec());
            }
            ("clip", _) => {
                self.clip = Some(attribute.float().ok_or_else(|| self.format(attribute, "is not a float"))?);
            }
            _ => return Err(self.unsupported(&attribute.name, "is not known".into())),
        }
        Ok(())
    }

    fn format(&self, attribute: &AttributeProto, reason: &str) -> Error {
        Error::format(format!("{} of {}", attribute.name, self.label), reason)
    }

    fn unsupported(&self, name: &str, what: String) -> Error {
        Error::Unsupported { what: format!("attribute {name} of {} {what}", self.label) }
    }

    /// The cell, with the decisions and their reasons; `after` overrides `linear_before_reset`.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for an override on a node that has no reset.
    pub(super) fn cell(&self, after: Option<bool>, decisions: &mut Vec<String>) -> Result<Cell> {
        let from = if self.direction_given {
            "attribute direction"
        } else {
            "attribute direction absent, ONNX's default"
        };
        decisions.push(format!("direction {}: {from}", self.direction));
        match self.op {
            Op::Gru => Ok(Cell::Gru { reset: self.reset(after, decisions), update: Update::Keeps }),
            _ if after.is_some() => Err(Error::Mismatch {
                name: self.label.clone(),
                reason: "an override of linear_before_reset is for a GRU".into(),
            }),
            Op::Lstm if self.input_forget != 0 => {
                decisions
                    .push(format!("forget gate coupled: attribute input_forget = {}", self.input_forget));
                Ok(Cell::Lstm { forget: Forget::Coupled })
            }
            Op::Lstm => Ok(Cell::LSTM),
            Op::Rnn => Ok(Cell::Rnn),
        }
    }

    fn reset(&self, after: Option<bool>, decisions: &mut Vec<String>) -> Reset {
        let in_file = match self.linear_before_reset {
            None => "attribute linear_before_reset absent, ONNX's default".into(),
            Some(value) => format!("attribute linear_before_reset = {value}"),
        };
        let (after, from) = match after {
            None => (self.linear_before_reset.is_some_and(|value| value != 0), in_file),
            Some(after) => (after, format!("overridden by the caller ({in_file})")),
        };
        let (reset, word) = if after { (Reset::After, "after") } else { (Reset::Before, "before") };
        decisions.push(format!("reset {word}: {from}"));
        reset
    }

    /// The clip, if there is one.
    pub(super) fn clip(&self, decisions: &mut Vec<String>) -> Option<f32> {
        match self.clip {
            Some(0.0) => {
                decisions.push("no clip: attribute clip = 0".into());
                None
            }
            clip => clip,
        }
    }

    /// The activations of each direction. The functions that have α and β take them in order; after the end of the
    /// lists, they have their defaults.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for a wrong number of names; [`Error::Unsupported`] for a function that is not ONNX's.
    pub(super) fn activations(&self, decisions: &mut Vec<String>) -> Result<Vec<Activations>> {
        let own = self.op.activations();
        let wanted = own.len() * self.direction.count();
        let mut names: Vec<&str> = match &self.activations {
            Some(names) => names.iter().map(String::as_str).collect(),
            None => own.iter().copied().cycle().take(wanted).collect(),
        };
        // The specification's default for an RNN is two names, of which one direction uses only the first.
        let is_one_twice = matches!(&names[..], [one, other] if one.eq_ignore_ascii_case(other));
        if self.op == Op::Rnn && wanted == 1 && is_one_twice {
            names.truncate(1);
        }
        if names.len() != wanted {
            return Err(Error::Mismatch {
                name: format!("activations of {}", self.label),
                reason: format!(
                    "a {} node has {wanted}, got {}: {}",
                    self.direction,
                    names.len(),
                    listed(&names)
                ),
            });
        }
        let mut alphas = self.alpha.iter().flatten().copied();
        let mut betas = self.beta.iter().flatten().copied();
        let all = names
            .iter()
            .map(|name| {
                let (function, alpha, beta) = function_of(name).ok_or_else(|| {
                    self.unsupported(
                        "activations",
                        format!("= {}: {name} is not an ONNX activation", listed(&names)),
                    )
                })?;
                let (takes_alpha, takes_beta) = function.parameters();
                let alpha = if takes_alpha { alphas.next().unwrap_or(alpha) } else { 0.0 };
                let beta = if takes_beta { betas.next().unwrap_or(beta) } else { 0.0 };
                Activation::new(function, alpha, beta)
            })
            .collect::<Result<Vec<_>>>()?;
        for (name, spare) in [("activation_alpha", alphas.count()), ("activation_beta", betas.count())] {
            if spare > 0 {
                decisions.push(format!("{spare} of {name} without effect: no function here takes them"));
            }
        }
        Ok(all.chunks_exact(own.len()).map(in_places).collect())
    }
}

/// A function by ONNX's name in any case, with its default α and β.
fn function_of(name: &str) -> Option<(Function, f32, f32)> {
    let function =
        Function::ALL.into_iter().find(|function| name.eq_ignore_ascii_case(&format!("{function:?}")))?;
    let (alpha, beta) = match function {
        Function::HardSigmoid => (0.2, 0.5),
        Function::LeakyRelu => (0.01, 0.0),
        Function::Affine | Function::ThresholdedRelu | Function::Elu => (1.0, 0.0),
        Function::ScaledTanh => (1.0, 1.0),
        _ => (0.0, 0.0),
    };
    Some((function, alpha, beta))
}

/// ONNX's f, f g, or f g h.
fn in_places(set: &[Activation]) -> Activations {
    let at = |place: usize| set.get(place).copied().unwrap_or(Activation::TANH);
    Activations { gate: at(0), candidate: at(1), output: at(2) }
}
