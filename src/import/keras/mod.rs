//! Keras: recurrent layers of `.h5` files of Keras 1, 2 and 3, of `.weights.h5` and of `.keras`.
//!
//! ```text
//! container   the parts of a file: a zip, HDF5, JSON
//! store       arrays and attributes of an HDF5 file
//! graph       the layers of a configuration, and the input of each
//! calls       the tensors that a layer is called on
//! reaches     masks and initial states that reach a layer
//! choose      the layers that the caller names
//! spec        the configuration of a recurrent layer: its cell
//! activation  functions by name
//! weights     Keras' layout to the crate's
//! flat        which layers the weights in the list of a nested model belong to
//! ```
//!
//! Sources: the code of Keras 1.2, 2.2 and 3, and of TensorFlow's `keras/saving/hdf5_format.py`.

mod activation;
mod calls;
mod choose;
mod container;
mod flat;
mod graph;
mod reaches;
mod spec;
mod store;
mod weights;

use std::collections::HashSet;
use std::path::Path;

use serde_json::Value;

use self::container::File;
use self::graph::Graph;
use self::spec::Recurrent;
use self::weights::Finder;
use super::{Imported, Limits, Report, load};
use crate::error::{Error, Result};
use crate::model::{Direction, Layer, Merge, Model, Readout, ReadoutActivation, ReadoutSteps};

/// The optimizer's arrays, which are for training only.
const OPTIMIZER: [&str; 2] = ["optimizer_weights/", "optimizer/"];

/// How to read recurrent layers of a Keras file: `.h5` of Keras 1, 2 and 3, `.weights.h5`, `.keras`. Needs the
/// feature `keras`.
///
/// Differences between Keras and the crate, beside the layout of weights:
///
/// * `go_backwards` leaves y reversed in Keras; here y is aligned with the time of x. In a stack, the layer above one
///   with a reversed y runs in the opposite direction.
/// * A layer without `return_sequences` outputs the last step alone: that is `h_n` here, and y has every step. A
///   Bidirectional merges the last outputs of both directions; `h_n` has them apart.
/// * A mask that reaches the layer (Masking, `Embedding(mask_zero=True)`) is not applied: the report says so, and a
///   batch needs lengths. At masked steps Keras repeats the last output, which is [`crate::io::Padding::Last`], or
///   outputs 0, as a Bidirectional that returns sequences does; here 0 is the default. `h_n` is the same.
/// * An `initial_state` from another layer or an input of the model is refused, unless the caller gives it to every
///   batch: [`Keras::states_given`].
/// * A class that another package registered is not a Keras class, even if it is called `GRU`.
/// * A GRU without `reset_after` in its configuration, as in old files, has reset before.
/// * Hard sigmoid is 0.2 x + 0.5 in Keras 1 and 2 and x/6 + 0.5 in Keras 3: the file's version decides.
/// * Dropout is for training and is left out; weights are computed with in f32, whatever the dtype.
///
/// ```no_run
/// # fn main() -> Result<(), wgru::Error> {
/// let keras = wgru::import::Keras::new().layers(["gru_1", "gru_2"]).readout("dense_1", wgru::ReadoutSteps::Last);
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
    states_given: bool,
    limits: Limits,
}

/// The Dense of the readout.
#[derive(Debug, Clone, PartialEq, Eq)]
struct AskedReadout {
    name: String,
    steps: ReadoutSteps,
    /// Whether the caller applies its activation.
    activation_left: bool,
}

impl Keras {
    /// The only recurrent layer of the file, with all settings from the file.
    pub fn new() -> Self {
        Self::default()
    }

    /// The layer by its name, if the file holds several. A layer of a nested model is `inner/gru`.
    pub fn layer(self, name: impl Into<String>) -> Self {
        self.layers([name])
    }

    /// Several layers as one stack, the one nearest to the input first. Each must read the one before it, with
    /// nothing between them but layers that pass on their input unchanged, as Dropout does.
    pub fn layers(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.layers = names.into_iter().map(Into::into).collect();
        self
    }

    /// Declares that the caller gives every batch the initial states that the file's graph computes: `h0`, and `c0`
    /// of an LSTM. [`Report::initial_states`] then lists the layers that need them, and their sources in Keras.
    /// Without this call, a layer with such an `initial_state` is refused, since a run would begin at 0.
    pub fn states_given(mut self) -> Self {
        self.states_given = true;
        self
    }

    /// Limits on the size of a file.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The name of a Dense, or of a TimeDistributed of one, after the last layer, and the steps it is applied to. Its
    /// activation must be one of [`ReadoutActivation`]; see [`Keras::readout_without_activation`] for others.
    pub fn readout(mut self, name: impl Into<String>, steps: ReadoutSteps) -> Self {
        self.readout = Some(AskedReadout { name: name.into(), steps, activation_left: false });
        self
    }

    /// As [`Keras::readout`], for a Dense with any activation, which the caller applies to `out`.
    pub fn readout_without_activation(mut self, name: impl Into<String>, steps: ReadoutSteps) -> Self {
        self.readout = Some(AskedReadout { name: name.into(), steps, activation_left: true });
        self
    }

    /// The model's configuration as JSON, as `model.to_json()` gives it, for files of weights alone. It replaces the
    /// file's own.
    pub fn config(mut self, json: impl Into<String>) -> Self {
        self.config = Some(json.into());
        self
    }

    /// The major version of Keras that the model is of: 1, 2 or 3. It replaces the file's own.
    pub fn keras_version(mut self, major: u32) -> Self {
        self.version = Some(major);
        self
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::TooLarge`] for a file beyond [`Keras::limits`]; [`Error::Format`] for a file that is
    /// truncated, contradicts itself or lacks a configuration if none is given; [`Error::Ambiguous`] for no such
    /// layer or several; [`Error::MissingTensor`]; [`Error::File`] for invalid shapes, sizes and numbers, with the
    /// array's path or the layer's name; [`Error::Unsupported`] for a class of another package, for an
    /// `initial_state` that the caller does not give, and for every unsupported key of a layer's configuration that
    /// would change numbers.
    pub fn read(&self, path: impl AsRef<Path>) -> Result<Imported> {
        let path = path.as_ref();
        self.parse(&path.display().to_string(), &load(path)?)
    }

    /// Reads a file's bytes; `source` names them in errors.
    ///
    /// # Errors
    /// As [`Keras::read`].
    pub fn parse(&self, source: &str, bytes: &[u8]) -> Result<Imported> {
        let imported = self.import(source, bytes).map_err(Error::in_file)?;
        imported.report.tell(source);
        Ok(imported)
    }

    fn import(&self, source: &str, bytes: &[u8]) -> Result<Imported> {
        let mut file = container::open(source, bytes, self.limits)?;
        if let Some(json) = &self.config {
            file.config = Some(container::json("the given configuration", json.as_bytes(), self.limits)?);
            file.whole = false;
        }
        let Some(config) = &file.config else {
            return Err(Error::format(
                source,
                "holds weights without the model's configuration: give that as JSON",
            ));
        };
        let graph = Graph::read(source, config)?;
        self.limits.check_tensors(source, graph.nodes.len() as u64)?;
        let mut report = Report { metadata: file.metadata.clone(), ..Report::default() };
        let version = self.version(&file, config, &mut report.decisions);
        let places = choose::layers(&self.layers, source, &file, &graph)?;
        let readout = match &self.readout {
            Some(asked) => Some((asked, choose::readout(&asked.name, source, &graph)?)),
            None => None,
        };
        let all: Vec<usize> = places.iter().copied().chain(readout.map(|(_, place)| place)).collect();
        let finder = Finder::new(&file, &graph, &all)?;
        self.initial_states(&graph, &places, &mut report)?;
        let mut model = stack(&finder, &graph, &places, version, &mut report)?;
        if let (Some((asked, place)), Some(last)) = (readout, places.last()) {
            model = with_readout(model, &finder, &graph, asked, [place, *last], &mut report)?;
        }
        let used: HashSet<&String> = report.used.iter().collect();
        let optimizer = |path: &str| OPTIMIZER.iter().any(|group| path.starts_with(group));
        let left_over = file.store.arrays().iter().filter(|path| !used.contains(path) && !optimizer(path));
        report.left_over = left_over.cloned().collect();
        Ok(Imported { model, report })
    }

    /// Reports the initial states that the graph computes.
    fn initial_states(&self, graph: &Graph<'_>, places: &[usize], report: &mut Report) -> Result<()> {
        for place in places {
            let Some(origin) = graph.initial_state_of(*place) else { continue };
            let state = format!("initial_state of {} from {origin}", graph.node(*place).label());
            if !self.states_given {
                let what = format!(
                    "{state}: a run would begin at 0; give every batch h0 (and c0 of an LSTM) and say so by \
                     Keras::states_given"
                );
                return Err(Error::Unsupported { what });
            }
            report.decisions.push(format!("{state}: the caller gives it"));
            report.initial_states.push(state);
        }
        Ok(())
    }

    /// The major version: from the caller, from the file, or from a configuration of Keras 2.
    fn version(&self, file: &File, config: &Value, decisions: &mut Vec<String>) -> Option<u32> {
        let of_config = || {
            let text = config.get("keras_version")?.as_str()?;
            Some((
                text.split('.').next()?.parse().ok()?,
                format!("keras_version {text} of the configuration"),
            ))
        };
        let told = self.version.map(|major| (major, "as given by the caller".to_owned()));
        let (major, from) = told.or_else(|| file.version()).or_else(of_config)?;
        decisions.push(format!("Keras {major}: {from}"));
        Some(major)
    }
}

/// Adds the Dense at index `place`, which must read the layer at `last`.
fn with_readout(
    model: Model,
    finder: &Finder<'_, '_>,
    graph: &Graph<'_>,
    asked: &AskedReadout,
    [place, last]: [usize; 2],
    report: &mut Report,
) -> Result<Model> {
    let AskedReadout { name, steps, activation_left } = asked;
    graph.check_stands_on(place, last)?;
    let sequences = graph.node(last).gives_sequences();
    let direction = model.layers().last().map_or(Direction::Forward, Layer::direction);
    // Without return_sequences, Keras' Dense reads the final state of the backward pass, at the first step; with
    // them, it reads a reversed y, whose last step is that state.
    let reads_other_steps = match direction {
        Direction::Forward => false,
        Direction::Reverse => !sequences || *steps == ReadoutSteps::Last,
        Direction::Bidirectional => !sequences,
    };
    if reads_other_steps {
        let what = format!("readout \"{name}\" of the final state of a {direction} layer");
        return Err(Error::Unsupported { what });
    }
    let node = graph.node(place);
    let dense = spec::Dense::read(node)?;
    let activation = match dense.activation {
        Some(activation) if *activation_left => {
            report.decisions.push(format!("activation {activation} of \"{name}\" is left to the caller"));
            ReadoutActivation::Linear
        }
        Some(activation) => {
            let known = activation.as_str().and_then(|name| name.parse().ok());
            known.ok_or_else(|| {
                let all = ReadoutActivation::ALL.map(ReadoutActivation::name).join(", ");
                Error::Unsupported {
                    what: format!("activation {activation} of {}: a readout has one of {all}", node.label()),
                }
            })?
        }
        None => ReadoutActivation::Linear,
    };
    let shape = [model.output(), dense.units];
    let (w, b) = weights::dense(finder, place, shape, dense.bias, &mut report.used)?;
    model.with_readout(Readout::new(shape[0], shape[1], *steps, w, b)?.with_activation(activation))
}

/// The chosen layers as one stack.
///
/// With `go_backwards`, Keras outputs y in the order in which the layer ran. So a layer that reads a reversed y runs
/// in the opposite direction in time: forward on reversed is reverse, and its y is reversed; backward on reversed is
/// forward.
fn stack(
    finder: &Finder<'_, '_>,
    graph: &Graph<'_>,
    places: &[usize],
    version: Option<u32>,
    report: &mut Report,
) -> Result<Model> {
    for (above, below) in places.iter().skip(1).zip(places) {
        graph.check_stands_on(*above, *below)?;
    }
    let mut layers = Vec::new();
    let mut reversed = false;
    let mut any_reversed_below = false;
    for (index, place) in places.iter().enumerate() {
        let recurrent = Recurrent::read(graph.node(*place), version, &mut report.decisions)?;
        let label = &recurrent.label;
        let first = recurrent.first();
        any_reversed_below |= reversed;
        let direction = match recurrent.directions.len() {
            1 => {
                reversed ^= first.backwards;
                if reversed { Direction::Reverse } else { Direction::Forward }
            }
            _ => Direction::Bidirectional,
        };
        let layer = weights::layer(finder, *place, &recurrent, direction, &mut report.used)?;
        let sequences = first.sequences;
        if index + 1 < places.len() {
            if !sequences {
                let reason = "gives no sequences, so no recurrent layer can read it".into();
                return Err(Error::Mismatch { name: label.clone(), reason });
            }
        } else {
            if reversed {
                report
                    .decisions
                    .push(format!("go_backwards: y of {label} is aligned with x, Keras' is reversed"));
            }
            let gives = match (sequences, layer.merge()) {
                (true, _) => "y".to_owned(),
                (false, Merge::Concat) => "the last output alone: h_n here".to_owned(),
                (false, merge) => {
                    format!("the last output alone, {merge} of both directions' h_n here")
                }
            };
            report.decisions.push(format!("return_sequences = {sequences}: Keras gives {gives}"));
        }
        layers.push(layer);
    }
    let ends = [places.first(), places.last()];
    let mask = ends.into_iter().flatten().find_map(|place| graph.mask_of(*place));
    if let (Some(mask), Some(last)) = (mask, places.last()) {
        if any_reversed_below {
            let what =
                format!("the mask of {mask} on a stack with go_backwards: Keras does not reverse it with y");
            return Err(Error::Unsupported { what });
        }
        let last = graph.node(*last);
        let rule = reaches::fill_rule(last, version);
        report.decisions.push(format!(
            "the mask of {mask} reaches {}: give lengths (masked steps before a sequence's end are not supported); {rule}",
            last.label()
        ));
    }
    Model::new(layers)
}
