//! The layers of a model's configuration: their names, what they stand on and where their weights are kept.
//!
//! ```text
//! {"class_name": "Sequential", "config": [layer, …]}                     Keras 1, and 2 up to 2.2.2
//! {"class_name": "Sequential", "config": {"layers": [layer, …]}}
//! {"class_name": "Functional", "config": {"layers": [layer, …]}}         "Model" before 2.4
//! layer: {"class_name": "GRU", "config": {…}, "inbound_nodes": […]}      the last of a functional model only
//! ```
//!
//! A layer inside a model inside the model is called `inner/gru`. Where weights are kept by class, the first GRU
//! among the layers of one model is `gru`, the second `gru_1`, whatever their names.

use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// The deepest nesting of models.
const DEEPEST: usize = 16;

/// Layers that hand on their input unchanged when nothing is trained.
const PASSES: [&str; 7] = [
    "Dropout",
    "SpatialDropout1D",
    "AlphaDropout",
    "GaussianDropout",
    "GaussianNoise",
    "ActivityRegularization",
    "Identity",
];

/// One layer.
pub(super) struct Node<'a> {
    /// Its name, below the names of the models it stands in.
    pub(super) name: String,
    pub(super) class: &'a str,
    pub(super) config: &'a Map<String, Value>,
    /// Where `.keras` and `.weights.h5` keep its weights.
    pub(super) numbered: String,
    /// The layers it stands on; none where the model is not one of layers in a row or in a graph.
    below: Vec<String>,
}

impl Node<'_> {
    /// The wrapped layer of a Bidirectional, as its configuration has it.
    pub(super) fn wrapped(&self, key: &str) -> Option<(&str, &Map<String, Value>)> {
        class_and_config(self.config.get(key)?)
    }

    /// Whether it is a recurrent layer, also one inside a Bidirectional.
    pub(super) fn is_recurrent(&self) -> bool {
        let class = match self.class {
            "Bidirectional" => self.wrapped("layer").map_or("", |(class, _)| class),
            class => class,
        };
        ["GRU", "LSTM", "SimpleRNN", "CuDNNGRU", "CuDNNLSTM", "RNN"].contains(&class)
    }
}

/// Every layer of a model.
pub(super) struct Graph<'a> {
    pub(super) nodes: Vec<Node<'a>>,
}

impl<'a> Graph<'a> {
    /// # Errors
    /// [`Error::Format`] for a configuration of another form, [`Error::Unsupported`] for models nested too deep.
    pub(super) fn read(source: &str, config: &'a Value) -> Result<Self> {
        let mut graph = Self { nodes: Vec::new() };
        let layers = layers_of(config).ok_or_else(|| Error::Format {
            name: format!("configuration of {source}"),
            reason: "expected a model's class_name and config with layers, or a list of layers".into(),
        })?;
        graph.add(source, layers, "", "layers", 0)?;
        Ok(graph)
    }

    fn add(
        &mut self,
        source: &str,
        layers: &'a [Value],
        names: &str,
        path: &str,
        depth: usize,
    ) -> Result<()> {
        if depth > DEEPEST {
            let what = format!("models nested deeper than {DEEPEST} in the configuration of {source}");
            return Err(Error::Unsupported { what });
        }
        let mut seen: Vec<&str> = Vec::new();
        let mut before: Option<String> = None;
        for (index, layer) in layers.iter().enumerate() {
            let wrong = |reason: &str| Error::Format {
                name: format!("layer {index} in the configuration of {source}"),
                reason: reason.into(),
            };
            let (class, config) = class_and_config(layer).ok_or_else(|| wrong("no class_name and config"))?;
            let own = layer.get("name").or_else(|| config_of(layer)?.get("name")).and_then(Value::as_str);
            let own = own.ok_or_else(|| wrong("no name"))?;
            let name = format!("{names}{own}");
            let count = seen.iter().filter(|other| **other == class).count();
            seen.push(class);
            let suffix = if count == 0 { String::new() } else { format!("_{count}") };
            let numbered = format!("{path}/{}{suffix}", group_of(class));
            if let Some(layers) = layers_of(layer).filter(|_| is_model(class)) {
                let names = format!("{name}/");
                self.add(source, layers, &names, &format!("{numbered}/layers"), depth + 1)?;
            } else {
                let mut below = Vec::new();
                match layer.get("inbound_nodes") {
                    Some(nodes) => inbound(nodes, names, &mut below),
                    None => below.extend(before),
                }
                self.nodes.push(Node { name: name.clone(), class, config, numbered, below });
            }
            before = Some(name);
        }
        Ok(())
    }

    pub(super) fn node(&self, name: &str) -> Option<&Node<'a>> {
        self.nodes.iter().find(|node| node.name == name)
    }

    /// Holds that `upper` stands on `lower` with nothing between them that changes numbers.
    ///
    /// # Errors
    /// [`Error::Mismatch`], naming what stands between.
    pub(super) fn check_stands_on(&self, upper: &Node<'a>, lower: &Node<'a>) -> Result<()> {
        let mismatch =
            |reason: String| Err(Error::Mismatch { name: format!("layer \"{}\"", upper.name), reason });
        let mut at = upper;
        // No path through the model is longer than its layers are many.
        for _ in 0..=self.nodes.len() {
            let [below] = &at.below[..] else {
                return mismatch(format!(
                    "must stand on \"{}\" alone; \"{}\" stands on {:?}",
                    lower.name, at.name, at.below
                ));
            };
            if *below == lower.name {
                return Ok(());
            }
            match self.node(below) {
                Some(node) if PASSES.contains(&node.class) => at = node,
                Some(node) if node.class == "InputLayer" => {
                    return mismatch(format!("stands on the input \"{below}\", not on \"{}\"", lower.name));
                }
                Some(node) => {
                    let reason = format!("does not stand on \"{}\" directly", lower.name);
                    return mismatch(format!("{reason}: {} \"{}\" comes between", node.class, node.name));
                }
                None => return mismatch(format!("stands on \"{below}\", not on \"{}\"", lower.name)),
            }
        }
        mismatch(format!("does not stand on \"{}\"", lower.name))
    }
}

fn config_of(layer: &Value) -> Option<&Map<String, Value>> {
    layer.get("config")?.as_object()
}

/// `class_name` and `config` of a layer; the config of a model in Keras 1 is a list and stands for itself.
pub(super) fn class_and_config(layer: &Value) -> Option<(&str, &Map<String, Value>)> {
    let class = layer.get("class_name")?.as_str()?;
    match config_of(layer) {
        Some(config) => Some((class, config)),
        None => Some((class, layer.as_object()?)).filter(|_| is_model(class)),
    }
}

fn is_model(class: &str) -> bool {
    ["Sequential", "Functional", "Model"].contains(&class)
}

/// The layers of a model's configuration, in any of its forms.
fn layers_of(model: &Value) -> Option<&[Value]> {
    let config = model.get("config").unwrap_or(model);
    let layers = config.get("layers").unwrap_or(config);
    layers.as_array().map(Vec::as_slice)
}

/// The group that `.keras` and `.weights.h5` keep the weights of a class in, before its number. Classes whose
/// weights are not read stand for themselves.
fn group_of(class: &str) -> &str {
    match class {
        "GRU" => "gru",
        "LSTM" => "lstm",
        "SimpleRNN" => "simple_rnn",
        "RNN" => "rnn",
        "Bidirectional" => "bidirectional",
        "Dense" => "dense",
        "Sequential" => "sequential",
        "Functional" | "Model" => "functional",
        other => other,
    }
}

/// The layers that a functional model's layer stands on: `["gru", 0, 0, …]` in Keras 1 and 2, `"keras_history":
/// ["gru", 0, 0]` in Keras 3.
fn inbound(value: &Value, names: &str, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => match &items[..] {
            [Value::String(name), Value::Number(_), Value::Number(_), ..] => {
                found.push(format!("{names}{name}"));
            }
            items => items.iter().for_each(|item| inbound(item, names, found)),
        },
        Value::Object(fields) => fields.values().for_each(|field| inbound(field, names, found)),
        _ => {}
    }
}
