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
//! {readout}.weight         [O, D·P]   an nn.Linear, by name
//! {readout}.bias           [O]
//! ```
//!
//! Row order and conventions are the crate's own, so numbers pass through as they are. Source: the
//! documentation of `torch.nn.GRU`, `torch.nn.LSTM`, `torch.nn.RNN` and `torch.nn.GRUCell`.

mod layer;
mod names;
mod pickle;

use std::collections::HashSet;
use std::path::Path;

use super::tensors::Tensors;
use super::{Imported, Limits, Report, load};
use crate::error::{Error, Result};
use crate::model::{Activation, Activations, Cell, Layer, Model, ReadoutSteps};
use layer::Kind;
use names::Names;

/// The metadata that [`crate::export::pytorch`] leaves for an `nn.RNN` whose `nonlinearity` is not tanh.
const NONLINEARITY: &str = "wgru.nonlinearity";

/// How to read a PyTorch safetensors file.
///
/// ```no_run
/// # fn main() -> Result<(), wgru::Error> {
/// let imported = wgru::PyTorch::new().prefix("encoder.gru.").readout("head", wgru::ReadoutSteps::Last).read("m.safetensors")?;
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
    limits: Limits,
}

impl PyTorch {
    /// Everything found out from the file: one stack in it, its cell from the row count (3·H is
    /// [`Cell::GRU`], 4·H an LSTM, H an RNN with tanh), no readout.
    pub fn new() -> Self {
        Self::default()
    }

    /// What stands before `weight_ih_l0`, or a Cell's `weight_ih`, where the file holds several stacks: `encoder.gru.`, or `encoder.gru`.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = Some(prefix.into());
        self
    }

    /// The cell and its convention; its number of gates is held against the rows.
    pub fn cell(mut self, cell: Cell) -> Self {
        self.cell = Some(cell);
        self
    }

    /// The `nonlinearity` of an `nn.RNN`, which its weights do not show; where not given, what the file's metadata
    /// say in `wgru.nonlinearity`, else tanh.
    pub fn nonlinearity(mut self, activation: Activation) -> Self {
        self.nonlinearity = Some(activation);
        self
    }

    /// The name of an `nn.Linear` after the last layer, and the steps it is applied to.
    pub fn readout(mut self, name: impl Into<String>, steps: ReadoutSteps) -> Self {
        self.readout = Some((name.into(), steps));
        self
    }

    /// How large a file may be; [`Limits::default`] where not given.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Format`] for a file that is not whole or contradicts itself;
    /// [`Error::Ambiguous`] for no stack or several; [`Error::MissingTensor`], [`Error::Shape`],
    /// [`Error::Zero`], [`Error::Mismatch`] and [`Error::NotFinite`] with the tensor's name;
    /// [`Error::Unsupported`] for a file of `torch.save`, with the line of Python that converts it, and for a
    /// projection on another cell than an LSTM.
    pub fn read(&self, path: impl AsRef<Path>) -> Result<Imported> {
        let path = path.as_ref();
        self.parse(&path.display().to_string(), &load(path)?)
    }

    /// Reads a file's bytes; `source` names them in errors.
    ///
    /// # Errors
    /// As [`PyTorch::read`].
    pub fn parse(&self, source: &str, bytes: &[u8]) -> Result<Imported> {
        let tensors = Tensors::parse(source, bytes, &self.limits)
            .map_err(|error| pickle::instead_of(error, source, bytes))?;
        let mut report = Report { metadata: tensors.metadata.clone(), ..Report::default() };
        let names = Names::find(&tensors, self.prefix.as_deref())?;
        let kind = Kind::find(&tensors, &names, self.cell, &mut report)?;

        let mut layers = Vec::new();
        while tensors.has(&names.of("weight_ih", layers.len(), "")) {
            let layer = kind.layer(&tensors, &names, layers.len(), &mut report)?;
            layers.push(self.with_nonlinearity(layer, &mut report)?);
            if names.is_cell() {
                break;
            }
        }
        let mut model = Model::new(layers)?;
        if let Some((name, steps)) = &self.readout {
            let readout = layer::readout(&tensors, name, *steps, model.output(), &mut report)?;
            model = model.with_readout(readout)?;
        }
        let used: HashSet<&str> = report.used.iter().map(String::as_str).collect();
        report.left_over = tensors.names().filter(|name| !used.contains(name)).map(str::to_owned).collect();
        refuse_parts_of_the_stack(&names, &report)?;
        Ok(Imported { model, report })
    }

    /// The layer with the nonlinearity that was asked for, or that the file's metadata name.
    fn with_nonlinearity(&self, layer: Layer, report: &mut Report) -> Result<Layer> {
        let gate = match (self.nonlinearity, report.metadata.get(NONLINEARITY).map(String::as_str)) {
            (Some(gate), _) => gate,
            (None, None | Some("tanh")) => return Ok(layer),
            (None, Some("relu")) => {
                let decision = format!("nonlinearity Relu: metadata {NONLINEARITY}");
                if !report.decisions.contains(&decision) {
                    report.decisions.push(decision);
                }
                Activation::RELU
            }
            (None, Some(other)) => {
                let reason = format!("expected relu or tanh, got {other}");
                return Err(Error::Format { name: NONLINEARITY.into(), reason });
            }
        };
        if layer.cell() != Cell::Rnn {
            let reason = format!("{gate} is for an nn.RNN, the weights are of {}", layer.cell());
            return Err(Error::Mismatch { name: "nonlinearity".into(), reason });
        }
        let count = layer.direction().count();
        layer.with_activations(vec![Activations { gate, ..Activations::of(Cell::Rnn) }; count])
    }
}

/// Tensors of the stack itself must all be used: one that is left over would change the numbers.
fn refuse_parts_of_the_stack(names: &Names, report: &Report) -> Result<()> {
    match report.left_over.iter().find(|name| names.is_part(name)) {
        Some(name) => Err(Error::Format {
            name: name.clone(),
            reason: "belongs to the stack but to none of its layers; a layer below it is missing".into(),
        }),
        None => Ok(()),
    }
}
