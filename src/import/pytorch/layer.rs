//! One layer, and the readout, from their tensors.

use super::names::Names;
use crate::dims::{at_least_one, product};
use crate::error::{Error, Result};
use crate::import::Report;
use crate::import::tensors::Tensors;
use crate::model::{Cell, Direction, Layer, Readout, ReadoutSteps, Weights};

/// What the first layer's tensors say of every layer.
pub(super) struct Kind {
    pub(super) cell: Cell,
    /// Whether h is projected: every layer and direction then has its `weight_hr`.
    projected: bool,
}

impl Kind {
    /// The cell, as `told` or from the rows of the first `weight_hh`, which are G·H: H is its columns, or with a
    /// projection those of `weight_hr`.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], [`Error::Format`], [`Error::Shape`], [`Error::Zero`] with the tensor's name.
    pub(super) fn find(
        tensors: &Tensors<'_>,
        names: &Names,
        told: Option<Cell>,
        report: &mut Report,
    ) -> Result<Self> {
        let name = names.of("weight_hh", 0, "");
        let [rows, columns] = two_dimensions(tensors, &name)?;
        let projection = names.of("weight_hr", 0, "");
        let projected = names.project(tensors);
        let (hidden, of) = match projected {
            true => (two_dimensions(tensors, &projection)?[1], &projection),
            false => (columns, &name),
        };
        at_least_one(&format!("H (hidden units), the columns of {of}"), hidden)?;
        let gates = if rows % hidden == 0 { rows / hidden } else { 0 };
        let (cell, from) = match (told, gates) {
            (Some(cell), _) if cell.gates() == gates => (cell, "as told".into()),
            (Some(cell), _) => {
                let expected = vec![product(&name, &[cell.gates(), hidden])?, columns];
                let got = vec![rows, columns];
                return Err(Error::Shape { name: format!("{name} for {cell}"), expected, got });
            }
            (None, 1) if !projected => (Cell::Rnn, String::new()),
            (None, 3) if !projected => (Cell::GRU, String::new()),
            (None, 4) => (Cell::LSTM, String::new()),
            (None, _) => {
                let times = if projected { "4 times (an LSTM)" } else { "1, 3 or 4 times" };
                let reason =
                    format!("rows must be {times} the {hidden} columns of {of}, got [{rows}, {columns}]");
                return Err(Error::Format { name, reason });
            }
        };
        let from = if from.is_empty() { format!("{name} has {gates}·{hidden} rows") } else { from };
        report.decisions.push(format!("cell {cell}: {from}"));
        if projected {
            report.decisions.push(format!("projection to {columns}: {projection} gives H = {hidden}"));
        }
        Ok(Self { cell, projected })
    }

    /// Layer `index`: bidirectional where it has a reverse part.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], [`Error::Format`], [`Error::Shape`], [`Error::NotFinite`] with the tensor's name.
    pub(super) fn layer(
        &self,
        tensors: &Tensors<'_>,
        names: &Names,
        index: usize,
        report: &mut Report,
    ) -> Result<Layer> {
        let bidirectional = !names.is_cell() && tensors.has(&names.of("weight_ih", index, "_reverse"));
        let (direction, ends) = match bidirectional {
            true => (Direction::Bidirectional, &["", "_reverse"][..]),
            false => (Direction::Forward, &[""][..]),
        };
        let last = |part| -> Result<usize> {
            let shape = tensors.shape(&names.of(part, index, ""))?;
            Ok(shape.last().copied().unwrap_or(0))
        };
        let (state, input) = (last("weight_hh")?, last("weight_ih")?);
        let hidden = if self.projected { last("weight_hr")? } else { state };
        let rows = product(&names.of("weight_hh", index, ""), &[self.cell.gates(), hidden])?;

        let mut take = |part: &str, end: &str, shape: &[usize]| -> Result<Vec<f32>> {
            let name = names.of(part, index, end);
            let tensor = tensors.read(&name)?.with_shape(shape)?;
            report.used.push(name);
            Ok(tensor.data)
        };
        let set = |end: &&str| -> Result<Weights> {
            let w_ih = take("weight_ih", end, &[rows, input])?;
            let w_hh = take("weight_hh", end, &[rows, state])?;
            // bias=False leaves both out; one without the other is a file that lacks a tensor.
            let biased = ["bias_ih", "bias_hh"].iter().any(|bias| tensors.has(&names.of(bias, index, end)));
            let mut bias = |part| biased.then(|| take(part, end, &[rows])).transpose();
            let (b_ih, b_hh) = (bias("bias_ih")?, bias("bias_hh")?);
            let w_hr = self.projected.then(|| take("weight_hr", end, &[state, hidden])).transpose()?;
            Ok(Weights { w_ih, w_hh, b_ih, b_hh, w_hr, ..Weights::default() })
        };
        let weights = ends.iter().map(set).collect::<Result<_>>()?;
        Layer::new(self.cell, direction, input, hidden, weights)
    }
}

fn two_dimensions(tensors: &Tensors<'_>, name: &str) -> Result<[usize; 2]> {
    let shape = tensors.shape(name)?;
    <[usize; 2]>::try_from(shape).map_err(|_| Error::Format {
        name: name.into(),
        reason: format!("expected 2 dimensions, got {shape:?}"),
    })
}

/// The `nn.Linear` by its name.
///
/// # Errors
/// [`Error::MissingTensor`], [`Error::Shape`], [`Error::Zero`], [`Error::NotFinite`] with the tensor's name.
pub(super) fn readout(
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
