//! The weights of a nested model in `.h5`: one flat list, `weight_names` of the outermost nested model.
//!
//! ```text
//! first the trainable weights, layer by layer in the order of the configuration, then all others:
//! those of frozen layers and the statistics of BatchNormalization
//! ```
//!
//! Keras reads the list by its order alone. Names need not be those of the layers: a model built in a scope of its
//! own has `enc/gru/kernel:0` for its layer `gru_1`. So the number of weights of every layer is counted. If the class
//! of a layer does not determine that number, names are used, provided that every other layer is found by its own
//! name.
//!
//! Source: `_legacy_weights` and `save_weights_to_hdf5_group` of Keras 3, `save_weights_to_hdf5_group` of Keras 2.

#![allow(clippy::indexing_slicing, reason = "indices of nodes that `Graph` returned")]

use std::collections::HashMap;
use std::ops::Range;

use serde_json::{Map, Value};

use super::graph::{Graph, PASSES, class_and_config};
use crate::error::{Error, Result, listed};

/// Layers without weights, in addition to [`PASSES`] and those whose class name shows it.
const NONE: [&str; 20] = [
    "InputLayer",
    "Masking",
    "Activation",
    "Flatten",
    "Reshape",
    "Permute",
    "RepeatVector",
    "Lambda",
    "Add",
    "Subtract",
    "Multiply",
    "Average",
    "Maximum",
    "Minimum",
    "Concatenate",
    "Dot",
    "ReLU",
    "LeakyReLU",
    "ELU",
    "Softmax",
];
const NONE_WITH: [&str; 4] = ["Pooling", "ZeroPadding", "Cropping", "UpSampling"];

/// The ranges of each layer's weights in the list of the outermost model `model`, by the layers' indices.
///
/// # Errors
/// [`Error::Format`] if neither numbers nor names determine them.
pub(super) fn ranges(
    graph: &Graph<'_>,
    model: usize,
    names: &[String],
) -> Result<HashMap<usize, Range<usize>>> {
    let nodes = &graph.nodes;
    let leaves: Vec<usize> = (model + 1..nodes.len())
        .take_while(|place| nodes[*place].outermost == Some(model))
        .filter(|place| !nodes[*place].is_model())
        .collect();
    let counts: Vec<Option<[usize; 2]>> = leaves
        .iter()
        .map(|place| {
            let node = &nodes[*place];
            let [trained, rest] = weights_of(&node.class, node.config)?;
            let mut models = std::iter::successors(node.model, |place| nodes[*place].model);
            let frozen = is_frozen(node.config) || models.any(|place| is_frozen(nodes[place].config));
            Some(if frozen { [0, trained + rest] } else { [trained, rest] })
        })
        .collect();
    if let Some(counts) = counts.iter().copied().collect::<Option<Vec<_>>>() {
        let [trained, rest] = counts.iter().fold([0, 0], |sum, of| [sum[0] + of[0], sum[1] + of[1]]);
        if trained + rest == names.len() {
            let mut at = [0, trained];
            let place = |(place, of): (&usize, [usize; 2])| {
                // All weights of a layer that is read are in one part.
                let part = if of[0] == 0 { 1 } else { 0 };
                let range = at[part]..at[part] + of[part];
                at = [at[0] + of[0], at[1] + of[1]];
                (*place, range)
            };
            return Ok(leaves.iter().zip(counts).map(place).collect());
        }
    }
    by_names(graph, model, names, &leaves, &counts)
}

/// The range of names that have a layer's own name in their path, for every layer whose number of weights is known.
fn by_names(
    graph: &Graph<'_>,
    model: usize,
    names: &[String],
    leaves: &[usize],
    counts: &[Option<[usize; 2]>],
) -> Result<HashMap<usize, Range<usize>>> {
    let mut runs: HashMap<&str, Vec<usize>> = HashMap::new();
    for (at, name) in names.iter().enumerate() {
        for part in name.split('/') {
            let places = runs.entry(part).or_default();
            // A part that occurs twice in one path counts once.
            if places.last() != Some(&at) {
                places.push(at);
            }
        }
    }
    let mut found = HashMap::new();
    for (place, count) in leaves.iter().zip(counts) {
        let Some([trained, rest]) = count else { continue };
        let node = graph.node(*place);
        let run = node.own_name.and_then(|own| runs.get(own)).map_or(&[][..], Vec::as_slice);
        let count = trained + rest;
        match run {
            [] if count == 0 => {}
            [first, .., last] if run.len() == count && last - first == count - 1 => {
                found.insert(*place, *first..*last + 1);
            }
            [first] if count == 1 => {
                found.insert(*place, *first..*first + 1);
            }
            // Trainable weights and others are far apart: this is no layer that is read.
            _ if *trained > 0 && *rest > 0 && run.len() == count => {}
            _ => {
                let outer = &graph.node(model).name;
                let what = "the order and the names of the weights do not say which are this layer's";
                let reason = format!("{what}; weight_names of \"{outer}\": {}", listed(names));
                return Err(Error::format(node.label(), reason));
            }
        }
    }
    Ok(found)
}

fn is_frozen(config: &Map<String, Value>) -> bool {
    config.get("trainable") == Some(&Value::Bool(false))
}

/// The number of a layer's trainable and of its other weights; `None` if unknown.
fn weights_of(class: &str, config: &Map<String, Value>) -> Option<[usize; 2]> {
    let flag = |key: &str, otherwise: bool| config.get(key).and_then(Value::as_bool).unwrap_or(otherwise);
    let biased = usize::from(flag("use_bias", flag("bias", true)));
    let wrapped =
        |key: &str| class_and_config(config.get(key)?).and_then(|(class, of)| weights_of(&class, of));
    // Keras 1 has three arrays for each gate, unless consume_less = "gpu".
    let by_gate = config.contains_key("output_dim") && config.get("consume_less") != Some(&"gpu".into());
    let gates = |gates: usize| Some([if by_gate { 3 * gates } else { 2 + biased }, 0]);
    match class {
        "GRU" => gates(3),
        "LSTM" => gates(4),
        "SimpleRNN" | "GRUCell" | "LSTMCell" | "SimpleRNNCell" => Some([2 + biased, 0]),
        "CuDNNGRU" | "CuDNNLSTM" => Some([3, 0]),
        "RNN" => wrapped("cell"),
        "TimeDistributed" => wrapped("layer"),
        "Bidirectional" => {
            let [forward, _] = wrapped("layer")?;
            let [backward, _] = wrapped("backward_layer").unwrap_or([forward, 0]);
            Some([forward + backward, 0])
        }
        "Dense" | "Conv1D" | "Conv2D" | "Convolution1D" | "DepthwiseConv1D" => Some([1 + biased, 0]),
        "SeparableConv1D" => Some([2 + biased, 0]),
        "Embedding" | "PReLU" => Some([1, 0]),
        "LayerNormalization" | "BatchNormalization" => {
            let trained = usize::from(flag("center", true)) + usize::from(flag("scale", true));
            Some([trained, if class == "BatchNormalization" { 2 } else { 0 }])
        }
        _ if PASSES.contains(&class) || NONE.contains(&class) => Some([0, 0]),
        _ if NONE_WITH.iter().any(|part| class.contains(part)) => Some([0, 0]),
        _ => None,
    }
}
