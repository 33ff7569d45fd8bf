//! PyTorch: the state dict of `nn.GRU`, `nn.LSTM` or `nn.RNN` in a safetensors file.
//!
//! ```text
//! {prefix}weight_ih_l{k}   [G·H, I]   first layer, [G·H, D·H] above    gates r z n, or i f g o
//! {prefix}weight_hh_l{k}   [G·H, H]
//! {prefix}bias_ih_l{k}     [G·H]      absent with bias=False
//! {prefix}bias_hh_l{k}     [G·H]
//! …_reverse                           of a bidirectional layer
//! {readout}.weight         [O, D·H]   an nn.Linear, by name
//! {readout}.bias           [O]
//! ```
//!
//! Row order and conventions are the crate's own, so numbers pass through as they are. Source: the
//! documentation of `torch.nn.GRU`, `torch.nn.LSTM` and `torch.nn.RNN`.

use std::fs;
use std::path::Path;

use super::tensors::Tensors;
use super::{Imported, Report};
use crate::dims::{at_least_one, product};
use crate::error::{Error, Result};
use crate::model::{Activation, Activations, Cell, Direction, Layer, Model, Readout, ReadoutSteps, Weights};

const FIRST: &str = "weight_ih_l0";

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
}

impl PyTorch {
    /// Everything found out from the file: one stack in it, its cell from the row count (3·H is
    /// [`Cell::GRU`], 4·H an LSTM, H an RNN with tanh), no readout.
    pub fn new() -> Self {
        Self::default()
    }

    /// What stands before `weight_ih_l0`, where the file holds several stacks: `encoder.gru.`, or `encoder.gru`.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = Some(prefix.into());
        self
    }

    /// The cell and its convention; its number of gates is held against the rows.
    pub fn cell(mut self, cell: Cell) -> Self {
        self.cell = Some(cell);
        self
    }

    /// The `nonlinearity` of an `nn.RNN`, which its weights do not show; tanh where not given.
    pub fn nonlinearity(mut self, activation: Activation) -> Self {
        self.nonlinearity = Some(activation);
        self
    }

    /// The name of an `nn.Linear` after the last layer, and the steps it is applied to.
    pub fn readout(mut self, name: impl Into<String>, steps: ReadoutSteps) -> Self {
        self.readout = Some((name.into(), steps));
        self
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Format`] for a file that is not whole or contradicts itself;
    /// [`Error::Ambiguous`] for no stack or several; [`Error::MissingTensor`], [`Error::Shape`],
    /// [`Error::Zero`], [`Error::Mismatch`] and [`Error::NotFinite`] with the tensor's name;
    /// [`Error::Unsupported`] for an LSTM with a projection.
    pub fn read(&self, path: impl AsRef<Path>) -> Result<Imported> {
        let path = path.as_ref();
        let source = path.display().to_string();
        let bytes =
            fs::read(path).map_err(|error| Error::Io { path: source.clone(), reason: error.to_string() })?;
        self.parse(&source, &bytes)
    }

    /// Reads a file's bytes; `source` names them in errors.
    ///
    /// # Errors
    /// As [`PyTorch::read`].
    pub fn parse(&self, source: &str, bytes: &[u8]) -> Result<Imported> {
        let tensors = Tensors::parse(source, bytes)?;
        let mut report = Report { metadata: tensors.metadata.clone(), ..Report::default() };
        let prefix = self.find_prefix(&tensors)?;
        refuse_projection(&tensors, &prefix)?;
        let cell = self.find_cell(&tensors, &prefix, &mut report)?;

        let mut layers = Vec::new();
        while tensors.has(&format!("{prefix}weight_ih_l{}", layers.len())) {
            let layer = read_layer(&tensors, &prefix, layers.len(), cell, &mut report)?;
            layers.push(self.with_nonlinearity(layer)?);
        }
        let mut model = Model::new(layers)?;
        if let Some((name, steps)) = &self.readout {
            let readout = read_readout(&tensors, name, *steps, model.output(), &mut report)?;
            model = model.with_readout(readout)?;
        }
        report.left_over = tensors.names();
        report.left_over.retain(|name| !report.used.contains(name));
        refuse_parts_of_the_stack(&prefix, &report)?;
        Ok(Imported { model, report })
    }

    fn find_prefix(&self, tensors: &Tensors<'_>) -> Result<String> {
        if let Some(prefix) = &self.prefix {
            let dotted = format!("{prefix}.");
            return [prefix, &dotted]
                .into_iter()
                .find(|prefix| tensors.has(&format!("{prefix}{FIRST}")))
                .cloned()
                .ok_or_else(|| Error::MissingTensor {
                    name: if prefix.is_empty() || prefix.ends_with('.') {
                        format!("{prefix}{FIRST}")
                    } else {
                        format!("{dotted}{FIRST}")
                    },
                    source: tensors.source().into(),
                });
        }
        let names = tensors.names();
        let mut found: Vec<&str> = names.iter().filter_map(|name| name.strip_suffix(FIRST)).collect();
        match found.pop() {
            Some(prefix) if found.is_empty() => Ok(prefix.into()),
            last => {
                found.extend(last);
                Err(Error::Ambiguous {
                    what: format!(
                        "recurrent stacks (…{FIRST}) in {}, name one by its prefix",
                        tensors.source()
                    ),
                    found: found.into_iter().map(|prefix| format!("\"{prefix}\"")).collect(),
                })
            }
        }
    }

    fn with_nonlinearity(&self, layer: Layer) -> Result<Layer> {
        let Some(gate) = self.nonlinearity else { return Ok(layer) };
        if layer.cell() != Cell::Rnn {
            let reason = format!("{gate} is for an nn.RNN, the weights are of {}", layer.cell());
            return Err(Error::Mismatch { name: "nonlinearity".into(), reason });
        }
        let count = layer.direction().count();
        layer.with_activations(vec![Activations { gate, ..Activations::of(Cell::Rnn) }; count])
    }

    /// The cell, as told or from the rows of `weight_hh_l0`.
    fn find_cell(&self, tensors: &Tensors<'_>, prefix: &str, report: &mut Report) -> Result<Cell> {
        let name = format!("{prefix}weight_hh_l0");
        let shape = tensors.shape(&name)?;
        let &[rows, hidden] = &shape[..] else {
            return Err(Error::Format { name, reason: format!("expected 2 dimensions, got {shape:?}") });
        };
        at_least_one(&format!("H (hidden units), the columns of {name}"), hidden)?;
        let gates = if rows % hidden == 0 { rows / hidden } else { 0 };
        let (cell, from) = match (self.cell, gates) {
            (Some(cell), _) if cell.gates() == gates => (cell, "as told".into()),
            (Some(cell), _) => {
                let expected = vec![product(&name, &[cell.gates(), hidden])?, hidden];
                return Err(Error::Shape { name: format!("{name} for {cell}"), expected, got: shape });
            }
            (None, 1) => (Cell::Rnn, String::new()),
            (None, 3) => (Cell::GRU, String::new()),
            (None, 4) => (Cell::LSTM, String::new()),
            (None, _) => {
                let reason = format!("rows must be 1, 3 or 4 times the columns, got {shape:?}");
                return Err(Error::Format { name, reason });
            }
        };
        let from = if from.is_empty() { format!("{name} has {gates}·{hidden} rows") } else { from };
        report.decisions.push(format!("cell {cell}: {from}"));
        Ok(cell)
    }
}

fn read_layer(
    tensors: &Tensors<'_>,
    prefix: &str,
    index: usize,
    cell: Cell,
    report: &mut Report,
) -> Result<Layer> {
    let name = |part: &str, suffix: &str| format!("{prefix}{part}_l{index}{suffix}");
    let bidirectional = tensors.has(&name("weight_ih", "_reverse"));
    let (direction, suffixes) = match bidirectional {
        true => (Direction::Bidirectional, &["", "_reverse"][..]),
        false => (Direction::Forward, &[""][..]),
    };
    let hh_shape = tensors.shape(&name("weight_hh", ""))?;
    let hidden = hh_shape.last().copied().unwrap_or(0);
    let ih_shape = tensors.shape(&name("weight_ih", ""))?;
    let input = ih_shape.last().copied().unwrap_or(0);
    let rows = product(&name("weight_hh", ""), &[cell.gates(), hidden])?;

    let mut take = |name: String, shape: &[usize]| -> Result<Vec<f32>> {
        let tensor = tensors.read(&name)?.with_shape(shape)?;
        report.used.push(name);
        Ok(tensor.data)
    };
    let mut weights = Vec::new();
    for suffix in suffixes {
        let w_ih = take(name("weight_ih", suffix), &[rows, input])?;
        let w_hh = take(name("weight_hh", suffix), &[rows, hidden])?;
        // bias=False leaves both out; one without the other is a file that lacks a tensor.
        let biased = ["bias_ih", "bias_hh"].iter().any(|bias| tensors.has(&name(bias, suffix)));
        let mut bias = |part| -> Result<Option<Vec<f32>>> {
            if biased { take(name(part, suffix), &[rows]).map(Some) } else { Ok(None) }
        };
        let (b_ih, b_hh) = (bias("bias_ih")?, bias("bias_hh")?);
        weights.push(Weights { w_ih, w_hh, b_ih, b_hh, ..Weights::default() });
    }
    Layer::new(cell, direction, input, hidden, weights)
}

fn read_readout(
    tensors: &Tensors<'_>,
    name: &str,
    steps: ReadoutSteps,
    input: usize,
    report: &mut Report,
) -> Result<Readout> {
    let (weight, bias) = (format!("{name}.weight"), format!("{name}.bias"));
    let outputs = tensors.shape(&weight)?.first().copied().unwrap_or(0);
    let w = tensors.read(&weight)?.with_shape(&[outputs, input])?;
    report.used.push(weight);
    let b = match tensors.has(&bias) {
        true => {
            let b = tensors.read(&bias)?.with_shape(&[outputs])?;
            report.used.push(bias);
            Some(b.data)
        }
        false => None,
    };
    Readout::new(input, outputs, steps, w.data, b)
}

/// An LSTM with `proj_size` has a matrix more, and a `weight_hh` whose rows fit no cell.
fn refuse_projection(tensors: &Tensors<'_>, prefix: &str) -> Result<()> {
    let part = format!("{prefix}weight_hr_l");
    match tensors.names().iter().find(|name| name.starts_with(&part)) {
        Some(name) => Err(Error::Unsupported { what: format!("{name}: LSTM projection (proj_size)") }),
        None => Ok(()),
    }
}

/// Tensors of the stack itself must all be used: one that is left over would change the numbers.
fn refuse_parts_of_the_stack(prefix: &str, report: &Report) -> Result<()> {
    let parts = ["weight_ih_l", "weight_hh_l", "bias_ih_l", "bias_hh_l"];
    let of_the_stack = |name: &&String| {
        name.strip_prefix(prefix).is_some_and(|rest| parts.iter().any(|part| rest.starts_with(part)))
    };
    match report.left_over.iter().find(of_the_stack) {
        Some(name) => Err(Error::Format {
            name: name.clone(),
            reason: "belongs to the stack but to none of its layers; a layer below it is missing".into(),
        }),
        None => Ok(()),
    }
}
