//! The layers of a model's configuration: their names, their inputs and where their weights are stored.
//!
//! ```text
//! {"class_name": "Sequential", "config": [layer, …]}                     Keras 1, and 2 up to 2.2.2
//! {"class_name": "Sequential", "config": {"layers": [layer, …]}}
//! {"class_name": "Functional", "config": {"layers": [layer, …]}}         "Model" before 2.4
//! layer: {"class_name": "GRU", "config": {…}, "inbound_nodes": […]}      the last of a functional model only
//! ```
//!
//! A layer of a nested model is called `inner/gru`. Where weights are stored by class, the first GRU among the layers
//! of one model is `gru`, the second `gru_1`, whatever their names.

#![allow(clippy::indexing_slicing, reason = "indices of nodes that `Graph` returned")]

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::calls::{Call, Source, ports};
use crate::error::{Error, Result, listed};

/// The deepest nesting of models.
pub(super) const DEEPEST: usize = 16;

/// Layers whose output is their input unchanged during inference.
pub(super) const PASSES: [&str; 7] = [
    "Dropout",
    "SpatialDropout1D",
    "AlphaDropout",
    "GaussianDropout",
    "GaussianNoise",
    "ActivityRegularization",
    "Identity",
];

/// Packages whose classes are Keras' own.
const KERAS: [&str; 4] = ["keras", "tensorflow", "tf_keras", "keras_core"];

/// The configuration of a layer that has none.
static NOTHING: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);

/// One layer, or a nested model.
pub(super) struct Node<'a> {
    /// Its name, with the names of the models that contain it as prefix.
    pub(super) name: String,
    /// The last part of that name, if the configuration has one.
    pub(super) own_name: Option<&'a str>,
    pub(super) class: Cow<'a, str>,
    pub(super) config: &'a Map<String, Value>,
    /// The path of its weights in `.keras` and `.weights.h5`.
    pub(super) numbered: String,
    /// Its calls; empty for a layer that is an input of its model.
    pub(super) calls: Vec<Call<'a>>,
    /// The indices of the innermost model that contains it, and of the outermost.
    pub(super) model: Option<usize>,
    pub(super) outermost: Option<usize>,
    /// The index of the model's input that it is.
    entry: Option<usize>,
    /// For a model, its output tensors.
    outputs: Option<Vec<Source<'a>>>,
}

impl Node<'_> {
    /// A wrapped layer, in the form of its configuration.
    pub(super) fn wrapped(&self, key: &str) -> Option<(Cow<'_, str>, &Map<String, Value>)> {
        class_and_config(self.config.get(key)?)
    }

    pub(super) fn is_model(&self) -> bool {
        self.outputs.is_some()
    }

    /// Whether it is a recurrent layer of Keras, or a Bidirectional of one.
    pub(super) fn is_recurrent(&self) -> bool {
        is_recurrent(&self.class)
            || self.class == "Bidirectional"
                && self.wrapped("layer").is_some_and(|(class, _)| is_recurrent(&class))
    }

    /// Whether it outputs every step, as recurrent layers can.
    pub(super) fn gives_sequences(&self) -> bool {
        let config = self.wrapped("layer").map_or(self.config, |(_, config)| config);
        config.get("return_sequences") == Some(&Value::Bool(true))
    }

    /// Its class and name for messages: `GRU layer "g"`.
    pub(super) fn label(&self) -> String {
        format!("{} layer \"{}\"", self.class, self.name)
    }
}

fn is_recurrent(class: &str) -> bool {
    ["GRU", "LSTM", "SimpleRNN", "CuDNNGRU", "CuDNNLSTM", "RNN"].contains(&class)
}

/// Every layer of a model; each nested model comes before its layers.
pub(super) struct Graph<'a> {
    pub(super) nodes: Vec<Node<'a>>,
}

/// A call that provides the input of a layer.
pub(super) struct Feed<'g, 'a> {
    pub(super) call: &'g Call<'a>,
    /// The index of one of the call's tensors; `None` for all of them, if the call is the layer's own.
    entry: Option<usize>,
    /// Whether the call is one of the outermost model.
    pub(super) outermost: bool,
}

impl<'a> Feed<'_, 'a> {
    pub(super) fn x(&self) -> &[Source<'a>] {
        match self.entry {
            Some(entry) => self.call.x.get(entry..=entry).unwrap_or_default(),
            None => &self.call.x,
        }
    }
}

/// A model that is being read.
struct Scope {
    names: String,
    path: String,
    model: Option<usize>,
    outermost: Option<usize>,
    depth: usize,
}

impl<'a> Graph<'a> {
    /// The layer at an index that this graph returned.
    pub(super) fn node(&self, place: usize) -> &Node<'a> {
        &self.nodes[place]
    }

    /// # Errors
    /// [`Error::Format`] for a configuration of another form, [`Error::Unsupported`] for models nested too deep.
    pub(super) fn read(source: &str, config: &'a Value) -> Result<Self> {
        let mut graph = Self { nodes: Vec::new() };
        let layers = layers_of(config).ok_or_else(|| {
            Error::format(
                format!("configuration of {source}"),
                "expected a model's class_name and config with layers, or a list of layers",
            )
        })?;
        let scope =
            Scope { names: String::new(), path: "layers".into(), model: None, outermost: None, depth: 0 };
        graph.add(source, layers, &scope)?;
        Ok(graph)
    }

    fn add(&mut self, source: &str, layers: &'a [Value], scope: &Scope) -> Result<()> {
        if scope.depth > DEEPEST {
            let what = format!("models nested deeper than {DEEPEST} in the configuration of {source}");
            return Err(Error::Unsupported { what });
        }
        let mut groups: HashMap<String, usize> = HashMap::new();
        let mut named: HashMap<&str, usize> = HashMap::new();
        let mut places = Vec::new();
        for (index, layer) in layers.iter().enumerate() {
            let class = class_of(layer).ok_or_else(|| {
                Error::format(format!("layer {index} in the configuration of {source}"), "no class_name")
            })?;
            let config = class_and_config(layer).map_or(&*NOTHING, |(_, config)| config);
            let own_name = layer.get("name").or_else(|| config.get("name")).and_then(Value::as_str);
            let name = match own_name {
                Some(own) => format!("{}{own}", scope.names),
                None => format!("{}(layer {index} without a name)", scope.names),
            };
            let group = group_of(&class);
            let count = groups.entry(group.clone()).and_modify(|count| *count += 1).or_insert(0);
            let suffix = if *count == 0 { String::new() } else { format!("_{count}") };
            let numbered = format!("{}/{group}{suffix}", scope.path);
            let place = self.nodes.len();
            let inner = layers_of(layer).filter(|_| is_model(&class));
            let recurrent = is_recurrent(&class) || class == "Bidirectional";
            let calls = match (layer.get("inbound_nodes"), places.last()) {
                (Some(inbound), _) => Call::read(inbound, recurrent),
                (None, Some(before)) => vec![Call::on(*before)],
                (None, None) => Vec::new(),
            };
            self.nodes.push(Node {
                name: name.clone(),
                own_name,
                class,
                config,
                numbered: numbered.clone(),
                calls,
                model: scope.model,
                outermost: scope.outermost,
                entry: None,
                outputs: None,
            });
            if let Some(layers) = inner {
                self.nodes[place].outputs = Some(Vec::new());
                let inner = Scope {
                    names: format!("{name}/"),
                    path: format!("{numbered}/layers"),
                    model: Some(place),
                    outermost: scope.outermost.or(Some(place)),
                    depth: scope.depth + 1,
                };
                self.add(source, layers, &inner)?;
            }
            places.push(place);
            own_name.into_iter().for_each(|own| _ = named.insert(own, place));
        }
        let resolve = |source: &mut Source<'a>| {
            source.node = source.node.or_else(|| named.get(source.name).copied());
        };
        for place in &places {
            self.nodes[*place].calls.iter_mut().flat_map(Call::sources_mut).for_each(resolve);
        }
        self.set_ports(scope, &places, resolve);
        Ok(())
    }

    /// Records which layers of a model are its inputs and which its outputs.
    fn set_ports(&mut self, scope: &Scope, places: &[usize], resolve: impl Fn(&mut Source<'a>)) {
        let Some(model) = scope.model else { return };
        let config = self.nodes[model].config;
        let of = |key: &str, otherwise: Option<&usize>| {
            let mut found = ports(config, key);
            found.iter_mut().for_each(&resolve);
            if found.is_empty() {
                found.extend(otherwise.map(|place| Source { name: "", node: Some(*place), output: 0 }));
            }
            found
        };
        let (inputs, outputs) = (of("input_layers", places.first()), of("output_layers", places.last()));
        for (entry, node) in
            inputs.iter().enumerate().filter_map(|(entry, source)| Some((entry, source.node?)))
        {
            self.nodes[node].entry = Some(entry);
        }
        self.nodes[model].outputs = Some(outputs);
    }

    /// The layer that outputs a tensor, and the index of that output. If a nested model outputs the tensor, the layer
    /// inside it.
    pub(super) fn giver(&self, source: &Source<'a>) -> Option<(usize, usize)> {
        let mut at = *source;
        for _ in 0..=DEEPEST {
            let node = at.node?;
            let Some(outputs) = &self.nodes[node].outputs else { return Some((node, at.output)) };
            at = *outputs.get(at.output)?;
        }
        None
    }

    /// The calls that provide the input of a layer: its own, or for an input of a nested model, the calls of that
    /// model.
    pub(super) fn feeds(&self, node: usize) -> Vec<Feed<'_, 'a>> {
        let (mut at, mut entry) = (node, None);
        for _ in 0..=DEEPEST {
            let this = &self.nodes[at];
            if !this.calls.is_empty() {
                let outermost = this.model.is_none();
                return this.calls.iter().map(|call| Feed { call, entry, outermost }).collect();
            }
            let (Some(place), Some(model)) = (this.entry, this.model) else { break };
            (at, entry) = (model, Some(place));
        }
        Vec::new()
    }

    /// The tensors that a layer is called on; for an input of a nested model, those that the model is called on.
    pub(super) fn inputs(&self, node: usize) -> Vec<Source<'a>> {
        self.feeds(node).iter().flat_map(|feed| feed.x()).copied().collect()
    }

    /// Checks that `upper` reads `lower`, with no layer between them that changes numbers.
    ///
    /// # Errors
    /// [`Error::Mismatch`], naming the layer between them.
    pub(super) fn check_stands_on(&self, upper: usize, lower: usize) -> Result<()> {
        let nodes = &self.nodes;
        let lower_name = &nodes[lower].name;
        let mismatch = |reason: String| {
            Err(Error::Mismatch { name: format!("layer \"{}\"", nodes[upper].name), reason })
        };
        let mut at = upper;
        let mut seen = HashSet::new();
        while seen.insert(at) {
            let inputs = self.inputs(at);
            let givers: Vec<_> = inputs.iter().filter_map(|source| self.giver(source)).collect();
            let [(below, output)] = givers[..] else {
                if inputs.is_empty() && nodes[at].class == "InputLayer" {
                    let input = &nodes[at].name;
                    return mismatch(format!(
                        "reads the input \"{input}\", not the output of \"{lower_name}\""
                    ));
                }
                let names: Vec<_> = givers.iter().map(|(node, _)| &nodes[*node].name).collect();
                let on = if names.is_empty() { "no layer".into() } else { listed(&names) };
                let reason = format!("must read \"{lower_name}\" alone; \"{}\" reads {on}", nodes[at].name);
                return mismatch(reason);
            };
            let node = &nodes[below];
            if below == lower && output == 0 {
                return Ok(());
            }
            let passes = PASSES.contains(&&*node.class) || node.class == "InputLayer";
            if below == lower {
                return mismatch(format!("reads the final state of \"{lower_name}\", not its y"));
            } else if !passes {
                let reason = format!("does not read \"{lower_name}\" directly");
                return mismatch(format!("{reason}: {} \"{}\" comes between", node.class, node.name));
            }
            at = below;
        }
        mismatch(format!("does not read \"{lower_name}\""))
    }
}

/// The class of a layer. A class that another package registered keeps its registered name, `audiokit>GRU`: it is not
/// a Keras class, whatever its bare name.
fn class_of(layer: &Value) -> Option<Cow<'_, str>> {
    let text = |key: &str| layer.get(key).and_then(Value::as_str);
    let (class, module) = (text("class_name")?, text("module"));
    let own = match (module, text("registered_name")) {
        (_, Some(registered)) if registered.contains('>') => return Some(registered.into()),
        (Some(module), _) => KERAS.iter().any(|package| module.split('.').next() == Some(package)),
        // `.h5` has neither. A class without a module is one of the script that saved the model.
        (None, registered) => registered.is_none(),
    };
    Some(if own { class.into() } else { format!("{}>{class}", module.unwrap_or("__main__")).into() })
}

/// `class_name` and `config` of a layer; in Keras 1 the config of a model is a list, which is returned as it is.
pub(super) fn class_and_config(layer: &Value) -> Option<(Cow<'_, str>, &Map<String, Value>)> {
    let class = class_of(layer)?;
    match layer.get("config").and_then(Value::as_object) {
        Some(config) => Some((class, config)),
        None => Some((class, layer.as_object()?)).filter(|(class, _)| is_model(class)),
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

/// The group in which `.keras` and `.weights.h5` store the weights of a class, before its number: its bare name in
/// snake case, by the rule of `to_snake_case` in Keras.
fn group_of(class: &str) -> String {
    let bare = class.rsplit('>').next().unwrap_or(class);
    if bare == "Model" {
        return "functional".into();
    }
    let letters: Vec<char> = bare.chars().filter(|c| c.is_alphanumeric() || *c == '_').collect();
    let mut group = String::new();
    for (at, letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).map(|before| letters[before]);
        let next_is_small = letters.get(at + 1).is_some_and(char::is_ascii_lowercase);
        let begins = letter.is_ascii_uppercase()
            && before.is_some_and(|before| next_is_small || before.is_ascii_lowercase());
        if begins {
            group.push('_');
        }
        group.extend(letter.to_lowercase());
    }
    group
}
