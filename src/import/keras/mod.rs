//! Keras: recurrent layers of `.h5` files of Keras 1, 2 and 3, of `.weights.h5` and of `.keras`.
//!
//! ```text
//! container   what a file consists of: a zip, HDF5, JSON
//! store       arrays and attributes of an HDF5 file
//! graph       the layers of a configuration, and what each stands on
//! spec        the configuration of a recurrent layer: its cell
//! activation  functions by name
//! weights     Keras' layout to the crate's
//! ```
//!
//! Sources: the code of Keras 1.2, 2.2 and 3, and of TensorFlow's `keras/saving/hdf5_format.py`.

mod activation;
mod container;
mod graph;
mod spec;
mod store;
mod weights;

use std::path::Path;

use serde_json::Value;

use self::container::File;
use self::graph::{Graph, Node};
use self::spec::Recurrent;
use super::{Imported, Report, load};
use crate::error::{Error, Result};
use crate::model::{Direction, Model, Readout, ReadoutSteps};

/// The optimizer's own arrays, which belong to training.
const OPTIMIZER: [&str; 2] = ["optimizer_weights/", "optimizer/"];

/// How to read recurrent layers of a Keras file: `.h5` of Keras 1, 2 and 3, `.weights.h5`, `.keras`. Needs the
/// feature `keras`.
///
/// What differs between Keras and the crate, beside the layout of weights:
///
/// * `go_backwards` leaves y reversed in Keras; here y is aligned with the time of x.
/// * A layer without `return_sequences` gives the last output alone: that is `h_n` here, and y has every step.
/// * Under a mask Keras repeats the last output, which is [`crate::io::Fill::Last`]; here 0 is the default. `h_n`
///   is the same.
/// * A GRU without `reset_after` in its configuration, as old files have it, has reset before.
/// * Hard sigmoid is 0.2 x + 0.5 in Keras 1 and 2 and x/6 + 0.5 in Keras 3: the file's version decides.
/// * Dropout is for training and has no part in inference; weights are computed with in f32, whatever the dtype.
///
/// ```no_run
/// # fn main() -> Result<(), wgru::Error> {
/// let keras = wgru::Keras::new().layers(["gru_1", "gru_2"]).readout("dense_1", wgru::ReadoutSteps::Last);
/// let imported = keras.read("model.keras")?;
/// println!("{}, {:?}", imported.model, imported.report.decisions);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keras {
    layers: Vec<String>,
    readout: Option<AskedReadout>,
    config: Option<String>,
    version: Option<u32>,
}

/// A Dense that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct AskedReadout {
    name: String,
    steps: ReadoutSteps,
    /// Whether the caller applies its activation.
    activation_left: bool,
}

impl Keras {
    /// The only recurrent layer of the file, with everything as the file has it.
    pub fn new() -> Self {
        Self::default()
    }

    /// The layer by its name, where the file holds several. A layer of a model inside the model is `inner/gru`.
    pub fn layer(self, name: impl Into<String>) -> Self {
        self.layers([name])
    }

    /// Several layers as one stack, the one on the input first. Each must stand on the one before it, with
    /// nothing between them but layers that hand on what they get, as Dropout does.
    pub fn layers(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.layers = names.into_iter().map(Into::into).collect();
        self
    }

    /// The name of a Dense after the last layer, and the steps it is applied to. Its activation must be linear;
    /// see [`Keras::readout_without_activation`] for others.
    pub fn readout(mut self, name: impl Into<String>, steps: ReadoutSteps) -> Self {
        self.readout = Some(AskedReadout { name: name.into(), steps, activation_left: false });
        self
    }

    /// As [`Keras::readout`], of a Dense with any activation, which the caller applies to `out`.
    pub fn readout_without_activation(mut self, name: impl Into<String>, steps: ReadoutSteps) -> Self {
        self.readout = Some(AskedReadout { name: name.into(), steps, activation_left: true });
        self
    }

    /// The model's configuration as JSON, as `model.to_json()` gives it, for files of weights alone. It takes
    /// the place of the file's own.
    pub fn config(mut self, json: impl Into<String>) -> Self {
        self.config = Some(json.into());
        self
    }

    /// The major version of Keras that the model is of: 1, 2 or 3. It takes the place of the file's own.
    pub fn keras_version(mut self, major: u32) -> Self {
        self.version = Some(major);
        self
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Format`] for a file that is not whole, contradicts itself or has no configuration
    /// where none is given; [`Error::Ambiguous`] for no such layer or several; [`Error::MissingTensor`],
    /// [`Error::Shape`], [`Error::Zero`], [`Error::Overflow`], [`Error::Mismatch`] and [`Error::NotFinite`] with
    /// the array's path or the layer's name; [`Error::Unsupported`] for every key of a layer's configuration
    /// that is not honoured and would change numbers.
    pub fn read(&self, path: impl AsRef<Path>) -> Result<Imported> {
        let path = path.as_ref();
        self.parse(&path.display().to_string(), &load(path)?)
    }

    /// Reads a file's bytes; `source` names them in errors.
    ///
    /// # Errors
    /// As [`Keras::read`].
    pub fn parse(&self, source: &str, bytes: &[u8]) -> Result<Imported> {
        let mut file = container::open(source, bytes)?;
        if let Some(json) = &self.config {
            file.config = Some(container::json("the given configuration", json.as_bytes())?);
            file.whole = false;
        }
        let Some(config) = &file.config else {
            return Err(Error::Format {
                name: source.into(),
                reason: "holds weights without the model's configuration: give that as JSON".into(),
            });
        };
        let graph = Graph::read(source, config)?;
        let mut report = Report { metadata: file.metadata.clone(), ..Report::default() };
        let version = self.version(&file, config, &mut report.decisions);
        let nodes = self.choose(source, &file, &graph)?;
        let model = stack(&file, &graph, &nodes, version, &mut report)?;
        let model = self.with_readout(model, &file, &graph, nodes.last().copied(), &mut report)?;
        report.left_over = file.store.arrays().to_vec();
        report.left_over.retain(|path| {
            !report.used.contains(path) && !OPTIMIZER.iter().any(|group| path.starts_with(group))
        });
        Ok(Imported { model, report })
    }

    /// The major version as told, as the file has it or as a configuration of Keras 2 has it.
    fn version(&self, file: &File, config: &Value, decisions: &mut Vec<String>) -> Option<u32> {
        let of_config = || {
            let text = config.get("keras_version")?.as_str()?;
            Some((
                text.split('.').next()?.parse().ok()?,
                format!("keras_version {text} of the configuration"),
            ))
        };
        let told = self.version.map(|major| (major, "as told".to_owned()));
        let (major, from) = told.or_else(|| file.version()).or_else(of_config)?;
        decisions.push(format!("Keras {major}: {from}"));
        Some(major)
    }

    /// The layers that are asked for, or the only recurrent one.
    fn choose<'g, 'a>(&self, source: &str, file: &File, graph: &'g Graph<'a>) -> Result<Vec<&'g Node<'a>>> {
        let recurrent: Vec<&Node<'a>> = graph.nodes.iter().filter(|node| node.is_recurrent()).collect();
        let listed = |what: String| Error::Ambiguous {
            what,
            found: recurrent.iter().map(|node| describe(file, node)).collect(),
        };
        if self.layers.is_empty() {
            return match recurrent[..] {
                [only] => Ok(vec![only]),
                _ => Err(listed(format!("recurrent layers in {source}, name one or those of a stack"))),
            };
        }
        let find = |name: &String| {
            let mut found = recurrent.iter().filter(|node| node.name == *name);
            match (found.next(), found.next()) {
                (Some(node), None) => Ok(*node),
                _ => Err(listed(format!("one recurrent layer \"{name}\" in {source}"))),
            }
        };
        self.layers.iter().map(find).collect()
    }

    fn with_readout(
        &self,
        model: Model,
        file: &File,
        graph: &Graph<'_>,
        last: Option<&Node<'_>>,
        report: &mut Report,
    ) -> Result<Model> {
        let (Some(asked), Some(last)) = (&self.readout, last) else { return Ok(model) };
        let AskedReadout { name, steps, activation_left } = asked;
        let Some(node) = graph.node(name).filter(|node| node.class == "Dense") else {
            let dense = graph.nodes.iter().filter(|node| node.class == "Dense");
            return Err(Error::Ambiguous {
                what: format!("a Dense layer \"{name}\" in {}", file.store.source()),
                found: dense.map(|node| node.name.clone()).collect(),
            });
        };
        graph.check_stands_on(node, last)?;
        let sequences = last_gives_sequences(last);
        let direction = model.layers()[0].direction();
        // Without return_sequences Keras' Dense reads the state that the backward pass ends with, at the first
        // step; with them, go_backwards puts that last.
        let reads_other_steps = match direction {
            Direction::Forward => false,
            Direction::Reverse => !sequences || *steps == ReadoutSteps::Last,
            Direction::Bidirectional => !sequences,
        };
        if reads_other_steps {
            let what = format!("readout \"{name}\" of the final state of a {direction} layer");
            return Err(Error::Unsupported { what });
        }
        let dense = spec::Dense::read(node)?;
        match dense.activation {
            Some(activation) if *activation_left => {
                report.decisions.push(format!("activation {activation} of \"{name}\" is left to the caller"));
            }
            Some(activation) => {
                let what = format!("activation {activation} of Dense layer \"{name}\": a readout is linear");
                return Err(Error::Unsupported { what });
            }
            None => {}
        }
        let shape = [model.output(), dense.units];
        let (w, b) = weights::dense(file, node, shape, dense.bias, &mut report.used)?;
        model.with_readout(Readout::new(shape[0], shape[1], *steps, w, b)?)
    }
}

fn last_gives_sequences(node: &Node<'_>) -> bool {
    let config = node.wrapped("layer").map_or(node.config, |(_, config)| config);
    config.get("return_sequences") == Some(&Value::Bool(true))
}

/// The chosen layers as one stack.
fn stack(
    file: &File,
    graph: &Graph<'_>,
    nodes: &[&Node<'_>],
    version: Option<u32>,
    report: &mut Report,
) -> Result<Model> {
    for pair in nodes.windows(2) {
        graph.check_stands_on(pair[1], pair[0])?;
    }
    let mut layers = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        let recurrent = Recurrent::read(node, version, &mut report.decisions)?;
        let layer = weights::layer(file, node, &recurrent, &mut report.used)?;
        let label = &recurrent.label;
        if layer.direction() == Direction::Reverse {
            if nodes.len() > 1 {
                let what = format!("go_backwards of {label} in a stack: Keras hands its y on reversed");
                return Err(Error::Unsupported { what });
            }
            report
                .decisions
                .push(format!("go_backwards: y of {label} is aligned with x, Keras' is reversed"));
        }
        let sequences = recurrent.first().sequences;
        if !sequences && index + 1 < nodes.len() {
            let reason = "gives no sequences, so no recurrent layer can stand on it".into();
            return Err(Error::Mismatch { name: label.clone(), reason });
        }
        if index + 1 == nodes.len() {
            let gives = if sequences { "y" } else { "the last output alone: h_n here" };
            report.decisions.push(format!("return_sequences = {sequences}: Keras gives {gives}"));
        }
        layers.push(layer);
    }
    Model::new(layers)
}

/// `gru_1: GRU forward [1→64]`; sizes as far as they can be read.
fn describe(file: &File, node: &Node<'_>) -> String {
    let (class, config, bidirectional) = match node.wrapped("layer") {
        Some((class, config)) => (class, config, true),
        None => (node.class, node.config, false),
    };
    let direction = match (bidirectional, config.get("go_backwards")) {
        (true, _) => "bidirectional",
        (false, Some(Value::Bool(true))) => "reverse",
        _ => "forward",
    };
    let units = config.get("units").or_else(|| config.get("output_dim")).and_then(Value::as_u64);
    let units = units.map_or("?".to_owned(), |units| units.to_string());
    let input = weights::kernel_shape(file, node, if bidirectional { 2 } else { 1 });
    let input = input.and_then(|shape| shape.first().copied()).map_or("?".to_owned(), |i| i.to_string());
    format!("{}: {class} {direction} [{input}→{units}]", node.name)
}
