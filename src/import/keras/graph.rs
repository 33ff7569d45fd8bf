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

#![allow(clippy::indexing_slicing, reason = "places of nodes, which `Graph` itself has handed out")]

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::calls::{Call, Source, ports};
use crate::error::{Error, Result, listed};

/// The deepest nesting of models.
pub(super) const DEEPEST: usize = 16;

/// Layers that hand on their input unchanged when nothing is trained.
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

/// One layer, or a model inside the model.
pub(super) struct Node<'a> {
    /// Its name, below the names of the models it stands in.
    pub(super) name: String,
    /// The last part of that, where the configuration has one.
    pub(super) own_name: Option<&'a str>,
    pub(super) class: Cow<'a, str>,
    pub(super) config: &'a Map<String, Value>,
    /// Where `.keras` and `.weights.h5` keep its weights.
    pub(super) numbered: String,
    /// The calls of it; none of a layer that is an input of its model.
    pub(super) calls: Vec<Call<'a>>,
    /// The innermost model it stands in, and the outermost: their places.
    pub(super) model: Option<usize>,
    pub(super) outermost: Option<usize>,
    /// Which input of its model it is.
    entry: Option<usize>,
    /// Of a model the tensors that it gives.
    outputs: Option<Vec<Source<'a>>>,
}

impl Node<'_> {
    /// A wrapped layer, as its configuration has it.
    pub(super) fn wrapped(&self, key: &str) -> Option<(Cow<'_, str>, &Map<String, Value>)> {
        class_and_config(self.config.get(key)?)
    }

    pub(super) fn is_model(&self) -> bool {
        self.outputs.is_some()
    }

    /// Whether it is a recurrent layer of Keras, also one inside a Bidirectional.
    pub(super) fn is_recurrent(&self) -> bool {
        is_recurrent(&self.class)
            || self.class == "Bidirectional"
                && self.wrapped("layer").is_some_and(|(class, _)| is_recurrent(&class))
    }

    /// Whether it gives an output for every step, as recurrent layers may.
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

/// Every layer of a model, each model inside it before its layers.
pub(super) struct Graph<'a> {
    pub(super) nodes: Vec<Node<'a>>,
}

/// A call that gives a layer its input.
pub(super) struct Feed<'g, 'a> {
    pub(super) call: &'g Call<'a>,
    /// Which of the call's tensors it is; all of them where the call is the layer's own.
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

/// A model whose layers are read.
struct Scope {
    names: String,
    path: String,
    model: Option<usize>,
    outermost: Option<usize>,
    depth: usize,
}

impl<'a> Graph<'a> {
    /// The layer at a place, which is one that this graph has handed out.
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

    /// Notes which layers of a model take its inputs and which give its outputs.
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

    /// The layer that gives a tensor, inside the model where it is one's output, and which of its outputs it is.
    pub(super) fn giver(&self, source: &Source<'a>) -> Option<(usize, usize)> {
        let mut at = *source;
        for _ in 0..=DEEPEST {
            let node = at.node?;
            let Some(outputs) = &self.nodes[node].outputs else { return Some((node, at.output)) };
            at = *outputs.get(at.output)?;
        }
        None
    }

    /// The calls that give a layer its input: its own, or, of an input of a model, those of that model.
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

    /// The tensors that a layer is called on; of an input of a model those that the model is called on.
    pub(super) fn inputs(&self, node: usize) -> Vec<Source<'a>> {
        self.feeds(node).iter().flat_map(|feed| feed.x()).copied().collect()
    }

    /// Holds that `upper` stands on `lower` with nothing between them that changes numbers.
    ///
    /// # Errors
    /// [`Error::Mismatch`], naming what stands between.
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
                    return mismatch(format!("stands on the input \"{input}\", not on \"{lower_name}\""));
                }
                let names: Vec<_> = givers.iter().map(|(node, _)| &nodes[*node].name).collect();
                let on = if names.is_empty() { "no layer".into() } else { listed(&names) };
                let reason =
                    format!("must stand on \"{lower_name}\" alone; \"{}\" stands on {on}", nodes[at].name);
                return mismatch(reason);
            };
            let node = &nodes[below];
            if below == lower && output == 0 {
                return Ok(());
            }
            let passes = PASSES.contains(&&*node.class) || node.class == "InputLayer";
            if below == lower {
                return mismatch(format!("stands on the final state of \"{lower_name}\", not on its y"));
            } else if !passes {
                let reason = format!("does not stand on \"{lower_name}\" directly");
                return mismatch(format!("{reason}: {} \"{}\" comes between", node.class, node.name));
            }
            at = below;
        }
        mismatch(format!("does not stand on \"{lower_name}\""))
    }
}

/// The class of a layer. One that another package registered is called by its registered name, `audiokit>GRU`: it
/// is none of Keras' own, whatever its bare name is.
fn class_of(layer: &Value) -> Option<Cow<'_, str>> {
    let text = |key: &str| layer.get(key).and_then(Value::as_str);
    let (class, module) = (text("class_name")?, text("module"));
    let own = match (module, text("registered_name")) {
        (_, Some(registered)) if registered.contains('>') => return Some(registered.into()),
        (Some(module), _) => KERAS.iter().any(|package| module.split('.').next() == Some(package)),
        // `.h5` has neither; without a module alone it is a class of the script that saved the model.
        (None, registered) => registered.is_none(),
    };
    Some(if own { class.into() } else { format!("{}>{class}", module.unwrap_or("__main__")).into() })
}

/// `class_name` and `config` of a layer; the config of a model in Keras 1 is a list and stands for itself.
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

/// The group that `.keras` and `.weights.h5` keep the weights of a class in, before its number: its bare name in
/// snake case, as `to_snake_case` of Keras has it.
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
