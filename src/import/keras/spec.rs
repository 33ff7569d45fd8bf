//! The configuration of a recurrent layer: the cell that it describes. Every key is supported, or has no effect on
//! inference, or is refused by its name.
//!
//! ```text
//! GRU    recurrent_activation: gates z, r    activation: candidate
//!        reset_after absent: before (Keras 1 and 2.0); CuDNNGRU: after
//! LSTM   recurrent_activation: i, f, o       activation: candidate and output
//! RNN    activation
//! ```
//!
//! Keras 1 says `output_dim` for `units` and `inner_activation` for `recurrent_activation`.

use serde_json::{Map, Value};

use super::activation::activation;
use super::graph::{Node, class_and_config};
use crate::error::{Error, Result};
use crate::model::{Activation, Activations, Cell, Merge, Reset, Update};

/// Keys that this file and its neighbours read.
const HONOURED: [&str; 14] = [
    "name",
    "units",
    "output_dim",
    "activation",
    "recurrent_activation",
    "inner_activation",
    "use_bias",
    "reset_after",
    "go_backwards",
    "return_sequences",
    "stateful",
    "time_major",
    "dtype",
    "cell",
];

/// Keys that change training, speed or the form of results, but no number of inference.
const WITHOUT_EFFECT: [&str; 42] = [
    "trainable",
    "input_dtype",
    "batch_input_shape",
    "batch_shape",
    "input_shape",
    "input_dim",
    "input_length",
    "return_state",
    "unroll",
    "implementation",
    "consume_less",
    "seed",
    "init",
    "inner_init",
    "forget_bias_init",
    "kernel_initializer",
    "recurrent_initializer",
    "bias_initializer",
    "unit_forget_bias",
    "kernel_regularizer",
    "recurrent_regularizer",
    "bias_regularizer",
    "activity_regularizer",
    "W_regularizer",
    "U_regularizer",
    "b_regularizer",
    "kernel_constraint",
    "recurrent_constraint",
    "bias_constraint",
    "W_constraint",
    "U_constraint",
    "b_constraint",
    "dropout",
    "recurrent_dropout",
    "dropout_W",
    "dropout_U",
    "build_config",
    "module",
    "registered_name",
    "shared_object_id",
    // This concerns masked steps, whose values Keras' rule sets, and here a batch's lengths.
    "zero_output_for_mask",
    "input_spec",
];

/// Storage and computing types by Keras' name of the policy; weights are widened or rounded to f32.
const DTYPES: [&str; 6] = ["float16", "bfloat16", "float32", "float64", "mixed_float16", "mixed_bfloat16"];

/// One direction of a recurrent layer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Spec {
    pub(super) cell: Cell,
    /// Whether the weights are in the layout of Keras 2's CuDNNGRU and CuDNNLSTM.
    pub(super) cudnn: bool,
    pub(super) activations: Activations,
    pub(super) units: usize,
    pub(super) bias: bool,
    pub(super) backwards: bool,
    /// Whether Keras outputs every step of y, or the last alone.
    pub(super) sequences: bool,
}

/// A recurrent layer: one direction, or two.
pub(super) struct Recurrent {
    pub(super) label: String,
    pub(super) directions: Vec<Spec>,
    pub(super) merge: Merge,
}

impl Recurrent {
    /// # Errors
    /// [`Error::Format`] for a key that is missing or of another type; [`Error::Unsupported`] for an unsupported
    /// class, function, way to merge or key; [`Error::Mismatch`] as [`activation`].
    pub(super) fn read(node: &Node<'_>, version: Option<u32>, decisions: &mut Vec<String>) -> Result<Self> {
        let label = node.label();
        if node.class != "Bidirectional" {
            let spec = Keys::new(&label, &node.class, node.config)?.spec(version, decisions)?;
            return Ok(Self { label, directions: vec![spec], merge: Merge::Concat });
        }
        refuse_other_keys(&label, node.config, &["merge_mode", "layer", "backward_layer"])?;
        let merge = match node.config.get("merge_mode") {
            Some(Value::String(mode)) => match mode.as_str() {
                "concat" => Merge::Concat,
                "sum" => Merge::Sum,
                "mul" => Merge::Mul,
                "ave" => Merge::Average,
                other => return Err(Error::Unsupported { what: format!("merge_mode {other} of {label}") }),
            },
            None | Some(Value::Null) => {
                let what = format!(
                    "merge_mode None of {label}, which gives two outputs: concat, sum, mul and ave are supported"
                );
                return Err(Error::Unsupported { what });
            }
            Some(other) => {
                return Err(Error::Unsupported { what: format!("merge_mode {other} of {label}") });
            }
        };
        let part = |key: &str, decisions: &mut Vec<String>| -> Result<Option<Spec>> {
            let Some((class, config)) = node.wrapped(key) else { return Ok(None) };
            let label = format!("{class} {key} of {label}");
            Keys::new(&label, &class, config)?.spec(version, decisions).map(Some)
        };
        let forward = part("layer", decisions)?.ok_or_else(|| missing(&label, "layer"))?;
        let backward = match part("backward_layer", &mut Vec::new())? {
            Some(backward) => backward,
            None => Spec { backwards: !forward.backwards, ..forward.clone() },
        };
        if forward.backwards || !backward.backwards {
            let what =
                format!("go_backwards of {label}: the first layer must go forward, the second backward");
            return Err(Error::Unsupported { what });
        }
        if (forward.cell, forward.units) != (backward.cell, backward.units) {
            let reason = format!(
                "both directions must be of one cell and size, got {} of {} and {} of {}",
                forward.cell, forward.units, backward.cell, backward.units
            );
            return Err(Error::Mismatch { name: label, reason });
        }
        Ok(Self { label, directions: vec![forward, backward], merge })
    }

    /// The first direction; there always is one.
    #[expect(clippy::indexing_slicing, reason = "one or two were given when it was made")]
    pub(super) fn first(&self) -> &Spec {
        &self.directions[0]
    }
}

fn missing(label: &str, key: &str) -> Error {
    Error::format(label, format!("its configuration has no {key}"))
}

/// # Errors
/// [`Error::Unsupported`], naming the key and its value.
fn refuse_other_keys(label: &str, config: &Map<String, Value>, more: &[&str]) -> Result<()> {
    let known = |key: &str| HONOURED.contains(&key) || WITHOUT_EFFECT.contains(&key) || more.contains(&key);
    match config.iter().find(|(key, value)| !known(key) && !value.is_null()) {
        Some((key, value)) => {
            Err(Error::Unsupported { what: format!("{key} = {value} in the configuration of {label}") })
        }
        None => check_dtype(label, config),
    }
}

fn check_dtype(label: &str, config: &Map<String, Value>) -> Result<()> {
    match dtype(config) {
        None => Ok(()),
        Some(Value::String(name)) if DTYPES.contains(&name.as_str()) => Ok(()),
        Some(other) => Err(Error::Unsupported { what: format!("dtype {other} of {label}") }),
    }
}

/// The name of the type, or of the policy, that a layer computes with.
fn dtype(config: &Map<String, Value>) -> Option<&Value> {
    let dtype = config.get("dtype").filter(|dtype| !dtype.is_null())?;
    Some(class_and_config(dtype).and_then(|(_, policy)| policy.get("name")).unwrap_or(dtype))
}

/// The keys of one layer, including those of an RNN's cell.
struct Keys<'a> {
    label: &'a str,
    class: &'a str,
    layer: &'a Map<String, Value>,
    /// The same map, or the cell's in an RNN.
    cell: &'a Map<String, Value>,
}

impl<'a> Keys<'a> {
    fn new(label: &'a str, class: &'a str, layer: &'a Map<String, Value>) -> Result<Self> {
        refuse_other_keys(label, layer, &[])?;
        if class != "RNN" {
            return Ok(Self { label, class, layer, cell: layer });
        }
        let cell = layer.get("cell").and_then(class_and_config).ok_or_else(|| missing(label, "cell"))?;
        let class = match &*cell.0 {
            "GRUCell" => "GRU",
            "LSTMCell" => "LSTM",
            "SimpleRNNCell" => "SimpleRNN",
            other => return Err(Error::Unsupported { what: format!("cell {other} of {label}") }),
        };
        refuse_other_keys(label, cell.1, &[])?;
        Ok(Self { label, class, layer, cell: cell.1 })
    }

    fn spec(&self, version: Option<u32>, decisions: &mut Vec<String>) -> Result<Spec> {
        let cudnn = self.class.starts_with("CuDNN");
        let cell = self.cell_kind(decisions)?;
        let spec = Spec {
            cell,
            cudnn,
            activations: self.activations(cell, cudnn, version, decisions)?,
            units: self.units()?,
            bias: self.flag(self.cell, "use_bias")?.unwrap_or(true),
            backwards: self.flag(self.layer, "go_backwards")?.unwrap_or(false),
            sequences: self.flag(self.layer, "return_sequences")?.unwrap_or(false),
        };
        if let Some(dtype) = dtype(self.layer).filter(|dtype| *dtype != "float32") {
            decisions.push(format!("{} is computed in f32, its dtype is {dtype}", self.label));
        }
        for (key, told) in [
            ("stateful", "the caller passes states from batch to batch"),
            ("time_major", "x is [B, T, I] here"),
        ] {
            if self.flag(self.layer, key)? == Some(true) {
                decisions.push(format!("{key} of {}: {told}", self.label));
            }
        }
        Ok(spec)
    }

    fn cell_kind(&self, decisions: &mut Vec<String>) -> Result<Cell> {
        let gru = |reset| Cell::Gru { reset, update: Update::Keeps };
        let (cell, from) = match self.class {
            "GRU" => match self.flag(self.cell, "reset_after")? {
                Some(true) => (gru(Reset::After), "reset_after = true"),
                Some(false) => (gru(Reset::Before), "reset_after = false"),
                None => (gru(Reset::Before), "no reset_after"),
            },
            "CuDNNGRU" => (gru(Reset::After), "as in cuDNN"),
            "LSTM" | "CuDNNLSTM" => (Cell::LSTM, "by its class"),
            "SimpleRNN" => (Cell::Rnn, "by its class"),
            other => return Err(Error::Unsupported { what: format!("{}: class {other}", self.label) }),
        };
        decisions.push(format!("cell {cell}: {}, {from}", self.label));
        Ok(cell)
    }

    fn activations(
        &self,
        cell: Cell,
        cudnn: bool,
        version: Option<u32>,
        decisions: &mut Vec<String>,
    ) -> Result<Activations> {
        if cudnn {
            return Ok(Activations::of(cell));
        }
        let mut read = |keys: [&str; 2]| -> Result<Activation> {
            let found = keys.iter().find_map(|key| Some((*key, self.cell.get(*key)?)));
            let (key, value) = found.ok_or_else(|| missing(self.label, keys[0]))?;
            let read = activation(self.label, key, value, version)?;
            if value == "hard_sigmoid" || value == "leaky_relu" {
                decisions.push(format!("{key} {read}: {}, {value}", self.label));
            }
            Ok(read)
        };
        let own = read(["activation", "activation"])?;
        match cell {
            Cell::Rnn => Ok(Activations { gate: own, ..Activations::of(cell) }),
            _ => {
                let gate = read(["recurrent_activation", "inner_activation"])?;
                let output = if cell.has_c() { own } else { Activations::of(cell).output };
                Ok(Activations { gate, candidate: own, output })
            }
        }
    }

    fn units(&self) -> Result<usize> {
        let value = self.cell.get("units").or_else(|| self.cell.get("output_dim"));
        let value = value.ok_or_else(|| missing(self.label, "units"))?;
        value.as_u64().and_then(|units| usize::try_from(units).ok()).ok_or_else(|| {
            Error::format(format!("units of {}", self.label), format!("{value} is not a number of units"))
        })
    }

    fn flag(&self, config: &Map<String, Value>, key: &str) -> Result<Option<bool>> {
        match config.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => Err(Error::format(
                format!("{key} of {}", self.label),
                format!("{other} is neither true nor false"),
            )),
        }
    }
}

/// A dense layer.
pub(super) struct Dense<'a> {
    pub(super) units: usize,
    pub(super) bias: bool,
    /// Its activation, if that is not linear.
    pub(super) activation: Option<&'a Value>,
}

impl<'a> Dense<'a> {
    /// Whether a layer is a Dense, or a TimeDistributed of one, which computes the same at every step.
    pub(super) fn is(node: &Node<'_>) -> bool {
        node.class == "Dense"
            || node.class == "TimeDistributed"
                && node.wrapped("layer").is_some_and(|(class, _)| class == "Dense")
    }

    /// # Errors
    /// [`Error::Unsupported`] for an unsupported key, [`Error::Format`].
    pub(super) fn read(node: &Node<'a>) -> Result<Self> {
        let label = node.label();
        let config = match node.config.get("layer").and_then(class_and_config) {
            Some((_, wrapped)) => {
                refuse_other_keys(&label, node.config, &["layer"])?;
                wrapped
            }
            None => node.config,
        };
        // Keras 1 says `bias`.
        refuse_other_keys(&label, config, &["bias"])?;
        let keys = Keys { label: &label, class: "Dense", layer: config, cell: config };
        let bias = keys.flag(config, "use_bias")?.or(keys.flag(config, "bias")?);
        let activation = config.get("activation").filter(|value| !value.is_null() && *value != "linear");
        Ok(Self { units: keys.units()?, bias: bias.unwrap_or(true), activation })
    }
}
