//! One layer, and the readout, from their tensors.

use super::names::{self, Names};
use super::stored::Stored;
use crate::dims::{at_least_one, product};
use crate::error::{Error, Result};
use crate::import::Report;
use crate::import::tensors::Tensors;
use crate::model::{Cell, Direction, Layer, Readout, ReadoutSteps, Weights};

/// The sizes in the first layer's tensors that hold for every layer.
pub(super) struct Kind {
    pub(super) cell: Cell,
    /// Whether h is projected: every layer and direction then has its `weight_hr`.
    projected: bool,
}

impl Kind {
    /// The cell, as `told` or from the rows of the first `weight_hh`, which are G·H. H is its number of columns, or
    /// with a projection that of `weight_hr`.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], [`Error::Format`], [`Error::Shape`], [`Error::Zero`] and [`Error::Unsupported`]
    /// with the tensor's name.
    pub(super) fn find(
        stored: &Stored<'_>,
        names: &Names,
        projected: bool,
        told: Option<Cell>,
        report: &mut Report,
    ) -> Result<Self> {
        let two_dimensions = |part| {
            let shape = stored.shape(&names.leaf(part, 0, ""))?;
            <[usize; 2]>::try_from(shape).map_err(|_| {
                Error::format(names.of(part, 0, ""), format!("expected 2 dimensions, got {shape:?}"))
            })
        };
        let name = names.of("weight_hh", 0, "");
        let [rows, columns] = two_dimensions("weight_hh")?;
        let projection = names.of("weight_hr", 0, "");
        let (hidden, of) = match projected {
            true => (two_dimensions("weight_hr")?[1], &projection),
            false => (columns, &name),
        };
        at_least_one(&format!("H (hidden units), the columns of {of}"), hidden)?;
        let gates = if rows % hidden == 0 { rows / hidden } else { 0 };
        let (cell, from) = match (told, gates) {
            (Some(cell), _) if cell.gates() == gates => (cell, "as given by the caller".into()),
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
                return Err(Error::format(name, reason));
            }
        };
        let from = if from.is_empty() { format!("{name} has {gates}·{hidden} rows") } else { from };
        report.decisions.push(format!("cell {cell}: {from}"));
        if projected {
            report.decisions.push(format!("projection to {columns}: {projection} gives H = {hidden}"));
        }
        Ok(Self { cell, projected })
    }

    /// Layer `index`: bidirectional if it has a reverse part.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], [`Error::Format`], [`Error::Shape`], [`Error::NotFinite`] and
    /// [`Error::Unsupported`] with the tensor's name.
    pub(super) fn layer(
        &self,
        stored: &mut Stored<'_>,
        names: &Names,
        index: usize,
        report: &mut Report,
    ) -> Result<Layer> {
        let bidirectional = !names.is_cell() && stored.has(&names.leaf("weight_ih", index, "_reverse"));
        let (direction, ends) = match bidirectional {
            true => (Direction::Bidirectional, &["", "_reverse"][..]),
            false => (Direction::Forward, &[""][..]),
        };
        let last = |part| -> Result<usize> {
            let shape = stored.shape(&names.leaf(part, index, ""))?;
            Ok(shape.last().copied().unwrap_or(0))
        };
        let (state, input) = (last("weight_hh")?, last("weight_ih")?);
        let hidden = if self.projected { last("weight_hr")? } else { state };
        let rows = product(&names.of("weight_hh", index, ""), &[self.cell.gates(), hidden])?;

        let set = |end: &&str| -> Result<Weights> {
            let mut take = |part, shape: &[usize]| stored.take(&names.leaf(part, index, end), shape, report);
            let w_ih = take("weight_ih", &[rows, input])?;
            let w_hh = take("weight_hh", &[rows, state])?;
            let w_hr = self.projected.then(|| take("weight_hr", &[state, hidden])).transpose()?;
            let [b_ih, b_hh] = self.biases(stored, names, (index, end), rows, report)?;
            Ok(Weights { w_ih, w_hh, b_ih, b_hh, w_hr, ..Weights::default() })
        };
        let weights = ends.iter().map(set).collect::<Result<_>>()?;
        Layer::new(self.cell, direction, input, hidden, weights)
    }

    /// The biases of a layer's direction, as `bias_ih` and `bias_hh` or, in a hand-written cell, as one `bias` for
    /// both products. bias=False leaves them out; one of the two without the other is a file that lacks a tensor.
    ///
    /// A GRU's single bias could be inside or outside the reset product, so it is refused.
    fn biases(
        &self,
        stored: &mut Stored<'_>,
        names: &Names,
        (index, end): (usize, &str),
        rows: usize,
        report: &mut Report,
    ) -> Result<[Option<Vec<f32>>; 2]> {
        let [ih, hh, joint] = ["bias_ih", "bias_hh", "bias"].map(|part| names.leaf(part, index, end));
        if stored.has(&ih) || stored.has(&hh) {
            return Ok([Some(stored.take(&ih, &[rows], report)?), Some(stored.take(&hh, &[rows], report)?)]);
        }
        if matches!(self.cell, Cell::Gru { .. }) || !stored.has(&joint) {
            return Ok([None, None]);
        }
        if index == 0 && end.is_empty() {
            let name = names.of("bias", index, end);
            report.decisions.push(format!("{name}: one bias for both products"));
        }
        Ok([Some(stored.take(&joint, &[rows], report)?), None])
    }
}

/// The `nn.Linear` by its name.
///
/// # Errors
/// [`Error::MissingTensor`], [`Error::Ambiguous`], [`Error::Shape`], [`Error::Zero`], [`Error::NotFinite`] and
/// [`Error::Unsupported`] with the tensor's name.
pub(super) fn readout(
    tensors: &Tensors<'_>,
    name: &str,
    steps: ReadoutSteps,
    input: usize,
    report: &mut Report,
) -> Result<Readout> {
    let prefix = format!("{}.", names::linear(tensors, name, report)?);
    let mut stored = Stored::new(tensors, &prefix);
    let outputs = stored.shape("weight")?.first().copied().unwrap_or(0);
    let w = stored.take("weight", &[outputs, input], report)?;
    let b = stored.has("bias").then(|| stored.take("bias", &[outputs], report)).transpose()?;
    report.decisions.extend(stored.decisions());
    Readout::new(input, outputs, steps, w, b)
}
