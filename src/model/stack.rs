//! A stack of layers with an optional readout: everything that an engine computes.

use std::fmt;

use super::{Activations, Cell, Direction, Layer, Merge, Readout, ReadoutActivation, ReadoutSteps};
use crate::error::{Error, Result, count};

/// Recurrent layers, the first on the input, each other on the one before it; then an optional readout. Clones share the weights.
///
/// ```
/// use wgru::{Cell, Direction, Layer, Model, Readout, ReadoutSteps, Weights};
/// # fn main() -> Result<(), wgru::Error> {
/// let (input, hidden, outputs) = (8, 16, 2);
/// // w_ih [3·H, I], w_hh [3·H, H]; no biases.
/// let weights = Weights { w_ih: vec![0.1; 3 * 16 * 8], w_hh: vec![0.1; 3 * 16 * 16], ..Weights::default() };
/// let layer = Layer::new(Cell::GRU, Direction::Forward, input, hidden, vec![weights])?;
/// let readout = Readout::new(hidden, outputs, ReadoutSteps::Last, vec![0.1; 2 * 16], None)?;
/// let model = Model::new(vec![layer])?.with_readout(readout)?;
/// assert_eq!(model.to_string(), "GRU (reset after, update keeps) 8→16, 1 forward layer, readout of 2 on the last step");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    layers: Vec<Layer>,
    readout: Option<Readout>,
}

impl Model {
    /// A stack of layers. All have the same cell, number of directions, H and P, since their states share one array `[L·D, B,
    /// P]`; forward and reverse layers may be mixed.
    ///
    /// # Errors
    /// [`Error::Zero`] for no layer; [`Error::Mismatch`] for a layer whose input is not the output of the one before, and for
    /// mixed cells, D, H or P.
    pub fn new(layers: Vec<Layer>) -> Result<Self> {
        let Some(first) = layers.first() else {
            return Err(Error::Zero { name: "L (layers)".into() });
        };
        for (index, pair) in layers.windows(2).enumerate() {
            let (below, layer) = (&pair[0], &pair[1]);
            let mismatch = |what: &str, expected: String, got: String| {
                Err(Error::Mismatch {
                    name: format!("{what} of layer {}", index + 1),
                    reason: format!("expected {expected} as layer {index} has it, got {got}"),
                })
            };
            if layer.cell() != first.cell() {
                return mismatch("cell", first.cell().to_string(), layer.cell().to_string());
            }
            if layer.direction().count() != first.direction().count() {
                let (want, got) = (first.direction(), layer.direction());
                return mismatch("D, the number of directions,", want.to_string(), got.to_string());
            }
            for (what, want, got) in
                [("H", first.hidden(), layer.hidden()), ("P", first.state_size(), layer.state_size())]
            {
                if want != got {
                    return mismatch(what, want.to_string(), got.to_string());
                }
            }
            if layer.input() != below.output() {
                return mismatch("input", below.output().to_string(), layer.input().to_string());
            }
        }
        Ok(Self { layers, readout: None })
    }

    /// Adds a readout after the last layer.
    ///
    /// # Errors
    /// [`Error::Mismatch`] where its input is not the last layer's output ([`Layer::output`]).
    pub fn with_readout(mut self, readout: Readout) -> Result<Self> {
        let output = self.output();
        if readout.input() != output {
            return Err(Error::Mismatch {
                name: "readout".into(),
                reason: format!("reads {}, the stack gives {output}", count(readout.input(), "feature")),
            });
        }
        self.readout = Some(readout);
        Ok(self)
    }

    /// Features of a layer's h, P, and of its c: H, or 0 where the cell has none.
    pub(crate) fn state_widths(&self) -> [usize; 2] {
        [self.state_size(), if self.cell().has_c() { self.hidden() } else { 0 }]
    }

    /// Refuses models that a session cannot run.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for layers that are not forward: they begin at the end, and a stream has none.
    pub(crate) fn check_streamable(&self) -> Result<()> {
        let Some(direction) = self.layers.iter().map(Layer::direction).find(|d| *d != Direction::Forward)
        else {
            return Ok(());
        };
        let what =
            format!("a session or a pool of {direction} layers: a stream has no end for them to begin at");
        Err(Error::Unsupported { what })
    }

    /// The layers, the one on the input first.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The readout after the last layer, where there is one.
    pub fn readout(&self) -> Option<&Readout> {
        self.readout.as_ref()
    }

    /// The cell of every layer.
    pub fn cell(&self) -> Cell {
        self.layers[0].cell()
    }

    /// I, features of one step of input.
    pub fn input(&self) -> usize {
        self.layers[0].input()
    }

    /// D·G·H, features of one step of the first layer's `w_ih x`, which can replace x in a run.
    pub fn projected_input(&self) -> usize {
        let first = &self.layers[0];
        first.direction().count() * first.cell().gates() * first.hidden()
    }

    /// H of every layer.
    pub fn hidden(&self) -> usize {
        self.layers[0].hidden()
    }

    /// P of every layer, features of one direction's h: H, unless an LSTM projects it.
    pub fn state_size(&self) -> usize {
        self.layers[0].state_size()
    }

    /// Features of one step of `y`, of the last layer: D·P, or P where it merges its directions.
    pub fn output(&self) -> usize {
        self.layers[self.layers.len() - 1].output()
    }

    /// L·D, the number of states.
    pub fn num_states(&self) -> usize {
        self.layers.iter().map(|layer| layer.direction().count()).sum()
    }
}

impl Model {
    /// The direction of all layers, or that of each where they differ, from the input on; with the merge modes.
    fn directions(&self) -> String {
        let name = |layer: &Layer| match layer.merge() {
            Merge::Concat => layer.direction().to_string(),
            merge => format!("{} ({merge})", layer.direction()),
        };
        let mut names: Vec<String> = self.layers.iter().map(name).collect();
        if names.iter().all(|name| *name == names[0]) {
            names.truncate(1);
        }
        names.join("/")
    }

    /// The options of the layers beyond the cell's definition. Where layers differ, those of the first that has any.
    fn fmt_options(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = Activations::of(self.cell());
        let sets = || self.layers.iter().flat_map(|layer| layer.activations());
        if let Some(set) = sets().find(|set| **set != own) {
            let names: Vec<String> = set.places(self.cell()).iter().map(ToString::to_string).collect();
            write!(f, ", {}", names.join(" "))?;
            if sets().any(|other| other != set) {
                f.write_str(" (not in every direction and layer)")?;
            }
        }
        if let Some(state) = self.layers.iter().find_map(Layer::projection) {
            write!(f, ", projection to {state}")?;
        }
        if self.layers.iter().any(Layer::has_peepholes) {
            f.write_str(", peepholes")?;
        }
        if let Some(clip) = self.layers.iter().find_map(Layer::clip) {
            write!(f, ", clip {clip}")?;
        }
        if let Some(clip) = self.layers.iter().find_map(Layer::state_clip) {
            write!(f, ", state clip {clip}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}→{}, {} {} layer{}",
            self.cell(),
            self.input(),
            self.hidden(),
            self.layers.len(),
            self.directions(),
            if self.layers.len() == 1 { "" } else { "s" },
        )?;
        self.fmt_options(f)?;
        if let Some(readout) = &self.readout {
            let steps = match readout.steps() {
                ReadoutSteps::Every => "every step",
                ReadoutSteps::Last => "the last step",
            };
            write!(f, ", readout of {} on {steps}", readout.outputs())?;
            if readout.activation() != ReadoutActivation::Linear {
                write!(f, ", {}", readout.activation())?;
            }
        }
        Ok(())
    }
}
