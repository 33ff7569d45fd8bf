//! PyTorch: the state dict of `nn.GRU`, `nn.LSTM` or `nn.RNN`, or of their Cell classes, in a safetensors file.
//!
//! ```text
//! {prefix}weight_ih_l{k}   [G·H, I]   first layer, [G·H, D·P] above    gates r z n, or i f g o
//! {prefix}weight_hh_l{k}   [G·H, P]   P is H unless an LSTM projects its h
//! {prefix}bias_ih_l{k}     [G·H]      absent with bias=False
//! {prefix}bias_hh_l{k}     [G·H]
//! {prefix}weight_hr_l{k}   [P, H]     an nn.LSTM of proj_size P
//! …_reverse                           of a bidirectional layer
//! {prefix}weight_ih, …                of a Cell: the same without `_l{k}`, one forward layer
//! {prefix}bias                        of a hand-written LSTM or RNN cell: one bias for both products
//! {readout}.weight         [O, D·P]   an nn.Linear, by name
//! {readout}.bias           [O]
//! ```
//!
//! A weight may be stored as the tensors that weight_norm, spectral_norm or pruning compute it from (`stored`). Any
//! other tensor under the stack's prefix makes it another cell and is refused (`belongs`).
//!
//! Row order and conventions are the crate's own, so numbers are copied unchanged. Source: the
//! documentation of `torch.nn.GRU`, `torch.nn.LSTM`, `torch.nn.RNN` and `torch.nn.GRUCell`.

mod belongs;
mod layer;
mod names;
mod pickle;
mod shards;
mod stored;

use std::collections::HashSet;
use std::path::Path;

use super::tensors::Tensors;
use super::{Imported, Limits, Report, load};
use crate::error::{Error, Result};
use crate::model::{Activation, Activations, Cell, Model, ReadoutActivation, ReadoutSteps};
use layer::Kind;
use names::Names;
use shards::{Found, Shards};
use stored::Stored;

/// The metadata that [`crate::export::pytorch`] leaves for an `nn.RNN` whose `nonlinearity` is not tanh.
const NONLINEARITY: &str = "wgru.nonlinearity";
/// The metadata with the activation of a readout.
const READOUT_ACTIVATION: &str = "wgru.readout_activation";

/// How to read a PyTorch safetensors file.
///
/// ```no_run
/// # fn main() -> Result<(), wgru::Error> {
/// let imported = wgru::import::PyTorch::new().prefix("encoder.gru.").readout("head", wgru::ReadoutSteps::Last).read("m.safetensors")?;
/// println!("{}, left over: {:?}", imported.model, imported.report.left_over);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PyTorch {
    prefix: Option<String>,
    cell: Option<Cell>,
    nonlinearity: Option<Activation>,
    readout: Option<(String, ReadoutSteps)>,
    readout_activation: Option<ReadoutActivation>,
    limits: Limits,
}

impl PyTorch {
    /// Everything determined from the file: its only stack, its cell from the row count (3·H is
    /// [`Cell::GRU`], 4·H an LSTM, H an RNN with tanh), no readout.
    pub fn new() -> Self {
        Self::default()
    }

    /// The prefix of `weight_ih_l0`, or of a Cell's `weight_ih`, if the file holds several stacks: `encoder.gru.`, or
    /// `encoder.gru`. The prefixes that DataParallel, `torch.compile` and Lightning add (`module.`, `_orig_mod.`,
    /// `model.`) may be left out.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = Some(prefix.into());
        self
    }

    /// The cell and its convention; its number of gates is checked against the rows.
    pub fn cell(mut self, cell: Cell) -> Self {
        self.cell = Some(cell);
        self
    }

    /// The `nonlinearity` of an `nn.RNN`, which its weights do not show. The default is `wgru.nonlinearity` in the
    /// file's metadata, else tanh.
    pub fn nonlinearity(mut self, activation: Activation) -> Self {
        self.nonlinearity = Some(activation);
        self
    }

    /// The name of an `nn.Linear` after the last layer, and the steps it is applied to. Wrapper prefixes may be left
    /// out.
    pub fn readout(mut self, name: impl Into<String>, steps: ReadoutSteps) -> Self {
        self.readout = Some((name.into(), steps));
        self
    }

    /// The function that the module applies to the readout, which its weights do not show. The default is
    /// `wgru.readout_activation` in the file's metadata, else linear. Without a readout it is refused.
    pub fn readout_activation(mut self, activation: ReadoutActivation) -> Self {
        self.readout_activation = Some(activation);
        self
    }

    /// The limits on the size of a file; the default is [`Limits::default`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Reads a file; for a model in several files, its `model.safetensors.index.json` or their folder.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Format`] for a file that is truncated or contradicts itself; [`Error::Ambiguous`] for
    /// no stack or several; [`Error::MissingTensor`]; [`Error::File`] for invalid shapes and numbers, with the
    /// tensor's name; [`Error::TooLarge`] beyond [`PyTorch::limits`]; [`Error::Unsupported`] for a file of
    /// `torch.save`, with the line of Python that converts it, for a projection on another cell than an LSTM, for
    /// tensors that make the cell another one, and for a weight that is computed in an unknown way.
    pub fn read(&self, path: impl AsRef<Path>) -> Result<Imported> {
        match shards::find(path.as_ref())? {
            Found::File(path) => self.parse(&path.display().to_string(), &load(&path)?),
            Found::Index(path) => {
                let shards = Shards::read(&path, &self.limits)?;
                self.import(&shards.tensors(&path.display().to_string(), &self.limits)?)
            }
        }
    }

    /// Reads a file's bytes; `source` names them in errors.
    ///
    /// # Errors
    /// As [`PyTorch::read`].
    pub fn parse(&self, source: &str, bytes: &[u8]) -> Result<Imported> {
        let tensors = Tensors::parse(source, bytes, &self.limits);
        self.import(&tensors.map_err(|error| pickle::instead_of(error, source, bytes))?)
    }

    fn import(&self, tensors: &Tensors<'_>) -> Result<Imported> {
        let imported = self.model(tensors).map_err(Error::in_file)?;
        imported.report.tell(tensors.source());
        Ok(imported)
    }

    fn model(&self, tensors: &Tensors<'_>) -> Result<Imported> {
        let mut report = Report { metadata: tensors.metadata.clone(), ..Report::default() };
        let names = Names::find(tensors, self.prefix.as_deref(), &mut report)?;
        let mut stored = Stored::new(tensors, names.prefix());
        let kind = Kind::find(&stored, &names, names.project(tensors), self.cell, &mut report)?;
        let gate = self.gate_of_an_rnn(kind.cell, &mut report)?;

        let mut layers = Vec::new();
        while layers.is_empty() || !names.is_cell() && stored.has(&names.leaf("weight_ih", layers.len(), ""))
        {
            let mut layer = kind.layer(&mut stored, &names, layers.len(), &mut report)?;
            if let Some(gate) = gate {
                let count = layer.direction().count();
                layer = layer
                    .with_activations(vec![Activations { gate, ..Activations::of(Cell::Rnn) }; count])?;
            }
            layers.push(layer);
        }
        report.decisions.extend(stored.decisions());
        let mut model = Model::new(layers)?;
        if let Some((name, steps)) = &self.readout {
            let readout = layer::readout(tensors, name, *steps, model.output(), &mut report)?;
            model = model.with_readout(readout.with_activation(self.activation_of_readout(&mut report)?))?;
        } else if let Some(activation) = self.readout_activation {
            let reason = format!("{activation} is given, and no readout is named");
            return Err(Error::Mismatch { name: "readout_activation".into(), reason });
        }
        let used: HashSet<&str> = report.used.iter().map(String::as_str).collect();
        report.left_over = tensors.names().filter(|name| !used.contains(name)).map(str::to_owned).collect();
        belongs::refuse_others(tensors, &names, &report.left_over)?;
        Ok(Imported { model, report })
    }

    /// As given by the caller, or by the file's metadata, else linear.
    ///
    /// # Errors
    /// [`Error::Format`] for an unknown one in the metadata.
    fn activation_of_readout(&self, report: &mut Report) -> Result<ReadoutActivation> {
        let (activation, from) = match (self.readout_activation, report.metadata.get(READOUT_ACTIVATION)) {
            (Some(activation), _) => (activation, "as given by the caller".to_owned()),
            (None, Some(name)) => {
                let activation = name
                    .parse()
                    .map_err(|error: Error| Error::format(READOUT_ACTIVATION, error.to_string()))?;
                (activation, format!("metadata {READOUT_ACTIVATION}"))
            }
            (None, None) => return Ok(ReadoutActivation::Linear),
        };
        report.decisions.push(format!("activation {activation} of the readout: {from}"));
        Ok(activation)
    }

    /// The nonlinearity of an `nn.RNN` if it is not tanh: as given by the caller, or by the file's metadata.
    ///
    /// # Errors
    /// [`Error::Format`] for an unknown one in the metadata, [`Error::Mismatch`] for another cell.
    fn gate_of_an_rnn(&self, cell: Cell, report: &mut Report) -> Result<Option<Activation>> {
        let (gate, from) = match (self.nonlinearity, report.metadata.get(NONLINEARITY).map(String::as_str)) {
            (Some(gate), _) => (gate, "as given by the caller".into()),
            (None, Some("relu")) => (Activation::RELU, format!("metadata {NONLINEARITY}")),
            (None, Some("tanh")) if cell == Cell::Rnn => {
                (Activation::TANH, format!("metadata {NONLINEARITY}"))
            }
            (None, None) if cell == Cell::Rnn => {
                (Activation::TANH, "assumed, the weights do not show whether it is tanh or relu".into())
            }
            (None, None | Some("tanh")) => return Ok(None),
            (None, Some(other)) => {
                let reason = format!("expected relu or tanh, got {other}");
                return Err(Error::format(NONLINEARITY, reason));
            }
        };
        if cell != Cell::Rnn {
            let reason = format!("{gate} is for an nn.RNN, the weights are of {cell}");
            return Err(Error::Mismatch { name: "nonlinearity".into(), reason });
        }
        report.decisions.push(format!("nonlinearity {gate}: {from}"));
        Ok((gate != Activation::TANH).then_some(gate))
    }
}
