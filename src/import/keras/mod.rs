//! Keras: recurrent layers of `.h5` files of Keras 1, 2 and 3, of `.weights.h5` and of `.keras`.
//!
//! ```text
//! container   what a file consists of: a zip, HDF5, JSON
//! store       arrays and attributes of an HDF5 file
//! graph       the layers of a configuration, and what each stands on
//! calls       what a layer is called on
//! reaches     masks and initial states that come to a layer
//! choose      the layers that are asked for
//! spec        the configuration of a recurrent layer: its cell
//! activation  functions by name
//! weights     Keras' layout to the crate's
//! flat        whose weights are where in the list of a model inside the model
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
use crate::model::{Direction, Layer, Merge, Model, Readout, ReadoutSteps};

/// The optimizer's own arrays, which belong to training.
const OPTIMIZER: [&str; 2] = ["optimizer_weights/", "optimizer/"];

/// How to read recurrent layers of a Keras file: `.h5` of Keras 1, 2 and 3, `.weights.h5`, `.keras`. Needs the
/// feature `keras`.
///
/// What differs between Keras and the crate, beside the layout of weights:
///
/// * `go_backwards` leaves y reversed in Keras; here y is aligned with the time of x. In a stack the layer above one
///   that hands its y on reversed walks the other way round.
/// * A layer without `return_sequences` gives the last output alone: that is `h_n` here, and y has every step. A
///   Bidirectional merges the last outputs of both directions; `h_n` has them apart.
/// * A mask that reaches the layer (Masking, `Embedding(mask_zero=True)`) is not applied: the report says so, a batch
///   needs lengths. Under a mask Keras repeats the last output, which is [`crate::io::Padding::Last`], or gives 0, as a
///   Bidirectional that returns sequences does; here 0 is the default. `h_n` is the same.
/// * An `initial_state` that is another layer's or an input of the model is refused, unless every batch is given it:
///   [`Keras::states_given`].
/// * A class that another package registered is none of Keras' own, though it be called `GRU`.
/// * A GRU without `reset_after` in its configuration, as old files have it, has reset before.
/// * Hard sigmoid is 0.2 x + 0.5 in Keras 1 and 2 and x/6 + 0.5 in Keras 3: the file's version decides.
/// * Dropout is for training and has no part in inference; weights are computed with in f32, whatever the dtype.
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

    /// Says that every batch is given the initial states that the file's graph computes: `h0`, and `c0` of an LSTM.
    /// [`Report::initial_states`] then says which layers need them and where they come from in Keras. Without this a
    /// layer with such an `initial_state` is refused, since a run would begin at 0.
    pub fn states_given(mut self) -> Self {
        self.states_given = true;
        self
    }

    /// How much of a file is taken on.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The name of a Dense, or of a TimeDistributed of one, after the last layer, and the steps it is applied to. Its activation must be linear;
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
    /// [`Error::Io`]; [`Error::TooLarge`] for a file beyond [`Keras::limits`]; [`Error::Format`] for a file that is not
    /// whole, contradicts itself or has no configuration where none is given; [`Error::Ambiguous`] for no such layer
    /// or several; [`Error::MissingTensor`]; [`Error::File`] for shapes, sizes and numbers that no model has, with the array's
    /// path or the layer's name; [`Error::Unsupported`]
    /// for a class of another package, for an `initial_state` that no batch is given, and for every key of a layer's
    /// configuration that is not honoured and would change numbers.
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

    /// Notes the initial states that the graph computes.
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
}

/// Adds the Dense at `place`, which must stand on the layer at `last`.
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
    // Without return_sequences Keras' Dense reads the state that the backward pass ends with, at the first step;
    // with them, a y that is reversed has that last.
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
    match dense.activation {
        Some(activation) if *activation_left => {
            report.decisions.push(format!("activation {activation} of \"{name}\" is left to the caller"));
        }
        Some(activation) => {
            let what = format!("activation {activation} of {}: a readout is linear", node.label());
            return Err(Error::Unsupported { what });
        }
        None => {}
    }
    let shape = [model.output(), dense.units];
    let (w, b) = weights::dense(finder, place, shape, dense.bias, &mut report.used)?;
    model.with_readout(Readout::new(shape[0], shape[1], *steps, w, b)?)
}

/// The chosen layers as one stack.
///
/// Keras' `go_backwards` hands y on in the order in which the layer walked. So a layer on a reversed y walks the other
/// way round in time: forward on reversed is reverse, and its y is reversed; backwards on reversed is forward.
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
                let reason = "gives no sequences, so no recurrent layer can stand on it".into();
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
            let what = format!(
                "the mask of {mask} on a stack with go_backwards: Keras does not turn it round with y"
            );
            return Err(Error::Unsupported { what });
        }
        let last = graph.node(*last);
        let rule = reaches::fill_rule(last, version);
        report.decisions.push(format!(
            "the mask of {mask} reaches {}: give lengths (steps masked before a sequence's end are not served); {rule}",
            last.label()
        ));
    }
    Model::new(layers)
}
