//! The input of a run.

use super::{Layout, Padding, RunShape, Strides, check_states};
use crate::dims::{Dims, check_finite, check_len};
use crate::dtype::Storage;
use crate::error::{Error, Place, Result, count};
use crate::model::Model;
use crate::sync::Interrupt;

/// A batch of sequences, borrowed from the caller.
///
/// NaN and infinities in x or an initial state are ordinary inputs. From that step on the outputs of their own sequence are NaN
/// and infinite where the reference's are, and no other sequence is affected. The CPU path guarantees it. On a GPU the driver's
/// compiler controls the arithmetic, and WGSL allows it to assume that neither occurs. The kernels limit that to sums and
/// products.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    run_shape: RunShape,
    /// Features of one step of x.
    features: usize,
    x: &'a [f32],
    h0: Option<&'a [f32]>,
    c0: Option<&'a [f32]>,
    lengths: Option<&'a [u32]>,
    resets: Option<&'a [u32]>,
    interrupt: Option<&'a Interrupt<'a>>,
}

impl<'a> Batch<'a> {
    /// `x`: `[B, T, I]`, row-major; `shape` is `[B, T, I]`.
    ///
    /// ```
    /// # fn main() -> Result<(), wgru::Error> {
    /// let x = vec![0.5; 2 * 10 * 3];
    /// let h0 = vec![0.0; 2 * 4]; // [L·D, B, P] of one forward layer of 4 units
    /// let batch = wgru::Batch::new(&x, [2, 10, 3])?.lengths(&[10, 7]).h0(&h0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Zero`] for a size of 0, [`Error::Length`] for a length other than B·T·I, [`Error::Overflow`].
    pub fn new(x: &'a [f32], shape: [usize; 3]) -> Result<Self> {
        let [batch, steps, _] = shape;
        Self::of(Dims::new(batch, steps)?.into(), x, shape)
    }

    /// `x`: `[T, B, I]`, row-major; `shape` is `[T, B, I]`. y is time-major too, unless
    /// [`Batch::output_layout`] says otherwise.
    ///
    /// # Errors
    /// Those of [`Batch::new`].
    pub fn time_major(x: &'a [f32], shape: [usize; 3]) -> Result<Self> {
        let [steps, batch, _] = shape;
        let dims = Dims::new(batch, steps)?;
        Self::of(RunShape { x: Layout::TimeMajor, y: Layout::TimeMajor, ..dims.into() }, x, shape)
    }

    /// A batch whose first layer has been projected already: `xw` holds `w_ih x` without biases, which the run adds, for every
    /// direction, in place of x. So a lookup in a table can replace the product of an embedding, and models that share a
    /// projection can share its result. Everything else is as with [`Batch::new`]; w_ih of the first layer is not read.
    ///
    /// `xw`: `[B, T, D·G·H]`, row-major; `shape` is `[B, T, D·G·H]`, and [`Model::projected_input`] is D·G·H. Each step has its
    /// directions (forward first), each direction its gates in the crate's order (r z n of a GRU, i f g o of an LSTM), each gate
    /// its units: the rows of [`crate::Weights::w_ih`]. With activations stored in 16 bits xw is rounded as x is.
    ///
    /// # Errors
    /// Those of [`Batch::new`], for B·T·D·G·H.
    pub fn projected(xw: &'a [f32], shape: [usize; 3]) -> Result<Self> {
        let [batch, steps, _] = shape;
        Self::of(RunShape { projected: true, ..Dims::new(batch, steps)?.into() }, xw, shape)
    }

    /// [`Batch::projected`] with `xw` `[T, B, D·G·H]`; `shape` is `[T, B, D·G·H]`. y is time-major too, unless
    /// [`Batch::output_layout`] says otherwise.
    ///
    /// # Errors
    /// Those of [`Batch::projected`].
    pub fn projected_time_major(xw: &'a [f32], shape: [usize; 3]) -> Result<Self> {
        let [steps, batch, _] = shape;
        let [x, y] = [Layout::TimeMajor; 2];
        Self::of(RunShape { x, y, projected: true, ..Dims::new(batch, steps)?.into() }, xw, shape)
    }

    /// A batch of `run_shape`, with so many features.
    #[cfg(feature = "gpu")]
    pub(crate) fn of_form(run_shape: RunShape, features: usize, x: &'a [f32]) -> Result<Self> {
        let Dims { batch, steps } = Dims::new(run_shape.dims.batch, run_shape.dims.steps)?;
        let shape = match run_shape.x {
            Layout::BatchMajor => [batch, steps, features],
            Layout::TimeMajor | Layout::DirectionMajor => [steps, batch, features],
        };
        Self::of(run_shape, x, shape)
    }

    fn of(run_shape: RunShape, x: &'a [f32], shape: [usize; 3]) -> Result<Self> {
        let features = shape[2];
        let of_a_step =
            if run_shape.projected { "D·G·H (projected features)" } else { "I (input features)" };
        crate::dims::at_least_one(of_a_step, features)?;
        check_len(run_shape.x_name(), &shape, x.len())?;
        let (h0, c0, lengths, resets, interrupt) = Default::default();
        Ok(Self { run_shape, features, x, h0, c0, lengths, resets, interrupt })
    }

    /// The order of y, and of a readout on every step. No copy is made for it.
    pub fn output_layout(mut self, layout: Layout) -> Self {
        self.run_shape.y = layout;
        self
    }

    /// The padding of y past the end of a sequence; 0 by default.
    pub fn padding(mut self, padding: Padding) -> Self {
        self.run_shape.padding = padding;
        self
    }

    /// Initial hidden states, `[L·D, B, P]`; zeros by default.
    pub fn h0(mut self, h0: &'a [f32]) -> Self {
        self.h0 = Some(h0);
        self
    }

    /// Initial cell states of an LSTM, `[L·D, B, H]`; zeros by default.
    pub fn c0(mut self, c0: &'a [f32]) -> Self {
        self.c0 = Some(c0);
        self
    }

    /// The steps of each sequence, `[B]`, from 0 to T; T for all by default. A sequence that has ended keeps its state as the
    /// final one, and its y is [`Batch::padding`]. A reverse direction begins at each sequence's own last step, and a readout on
    /// the last step reads it. The padding of x past a sequence's end is not read.
    pub fn lengths(mut self, lengths: &'a [u32]) -> Self {
        self.lengths = Some(lengths);
        self
    }

    /// The steps before which states are reset: `[B, T]`, or `[T, B]` for a time-major batch, in the order of x. Where the number
    /// of row b and step t is not 0, the state before step t is that row's h0 (and c0), or zero if none is given. So the outputs
    /// have the bits of a run of sequences that were cut there, and one row can hold episodes of any length one after the other.
    /// Resets past a sequence's end are ignored; h_n is the last state. Layers have to be forward.
    pub fn resets(mut self, resets: &'a [u32]) -> Self {
        self.resets = Some(resets);
        self.run_shape.resets = true;
        self
    }

    /// What may end the run before it is done, with [`Error::Interrupted`]: a run of seconds ends within some 100 ms, unless a GPU is
    /// busy with one step for longer. The engine can be used as before; a GPU first completes what was submitted to it. An `_async` run
    /// on a GPU does not ask: drop its future. Nor does a program that is built with `panic = "abort"` on the CPU path.
    pub fn interrupt(mut self, interrupt: &'a Interrupt<'a>) -> Self {
        self.interrupt = Some(interrupt);
        self
    }

    /// What may end the run, if given.
    pub(crate) fn interrupt_of(&self) -> Option<&'a Interrupt<'a>> {
        self.interrupt
    }

    /// The resets, if given.
    pub(crate) fn resets_of(&self) -> Option<Resets<'a>> {
        self.resets.map(|words| Resets::of(words, self.run_shape))
    }

    /// The steps of each sequence, if given.
    pub(crate) fn lengths_of(&self) -> Option<&'a [u32]> {
        self.lengths
    }

    /// B and T.
    pub fn dims(&self) -> Dims {
        self.run_shape.dims
    }

    /// Sizes, layouts and the padding rule.
    pub fn run_shape(&self) -> RunShape {
        self.run_shape
    }

    /// `[B, T, I]`, or in the order of [`RunShape::x`]; for a projected batch xw, `[B, T, D·G·H]`.
    pub fn x(&self) -> &'a [f32] {
        self.x
    }

    /// x of every step that is not padding; padding may hold anything.
    pub(crate) fn real_steps(&self) -> impl Iterator<Item = &'a [f32]> {
        let Self { run_shape, features, x, lengths, .. } = *self;
        let Dims { batch, steps } = run_shape.dims;
        let strides = Strides::of(run_shape.x, run_shape.dims, 1, features);
        (0..batch).flat_map(move |b| {
            let length = lengths.map_or(steps, |lengths| lengths[b] as usize);
            (0..length).map(move |t| &x[b * strides.row + t * strides.step..][..features])
        })
    }

    /// The first number of x, by row, step and feature, that is `wrong`: its flat index and its value. Padding is skipped.
    fn first(&self, wrong: impl Fn(f32) -> bool) -> Option<(usize, f32)> {
        let Dims { batch, steps } = self.run_shape.dims;
        let strides = Strides::of(self.run_shape.x, self.run_shape.dims, 1, self.features);
        let steps_of =
            |b: usize| (0..self.lengths.map_or(steps, |lengths| lengths[b] as usize)).map(move |t| (b, t));
        (0..batch).flat_map(steps_of).find_map(|(b, t)| {
            let step = &self.x[b * strides.row + t * strides.step..][..self.features];
            let at = step.iter().position(|&value| wrong(value))?;
            Some(((b * steps + t) * self.features + at, step[at]))
        })
    }

    /// x, its axes and its sizes in the order of [`Batch::first`], for errors.
    fn x_place(&self) -> (String, Vec<usize>) {
        let Dims { batch, steps } = self.run_shape.dims;
        (format!("{} [row, step, feature]", self.run_shape.x_name()), vec![batch, steps, self.features])
    }

    /// Checks x, whose lengths fit, against the range of a storage type.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for a number that is finite and beyond it.
    pub(crate) fn check_range(&self, storage: Storage) -> Result<()> {
        if !storage.is_half() {
            return Ok(());
        }
        match self.first(|value| value.is_finite() && storage.round(value).is_infinite()) {
            Some((index, value)) => {
                let (name, shape) = self.x_place();
                let reason =
                    format!("element {} is {value}, beyond the range of {storage}", Place(index, &shape));
                Err(Error::Mismatch { name, reason })
            }
            None => Ok(()),
        }
    }

    /// Checks the initial states and x for NaN and infinity, except in padding, which is not read. A run accepts both; this is
    /// for callers for whom they are an error in the data.
    ///
    /// # Errors
    /// Those of [`Batch::check`], and [`Error::NotFinite`] at the first: of x by row, step and feature.
    pub fn check_finite(&self, model: &Model) -> Result<()> {
        self.check(model)?;
        if let Some((index, value)) = self.first(|value| !value.is_finite()) {
            let (name, shape) = self.x_place();
            return Err(Error::NotFinite { name, index, shape, value });
        }
        let batch = self.run_shape.dims.batch;
        for (name, values, features) in [("h0", self.h0, model.state_size()), ("c0", self.c0, model.hidden())]
        {
            check_finite(name, &[model.num_states(), batch, features], values.unwrap_or_default())?;
        }
        Ok(())
    }

    /// Writes the initial states, `[L·D, B, P]` and `[L·D, B, H]`; zeros where the batch has none.
    pub(crate) fn initial_states<T: From<f32> + Default>(&self, h: &mut [T], c: &mut [T]) {
        for (to, from) in [(h, self.h0), (c, self.c0)] {
            match from {
                Some(from) => to.iter_mut().zip(from).for_each(|(to, &from)| *to = from.into()),
                None => to.fill_with(T::default),
            }
        }
    }

    /// The initial h and c, if given.
    pub(crate) fn states(&self) -> [Option<&'a [f32]>; 2] {
        [self.h0, self.c0]
    }

    /// Checks the batch against the model.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for a length beyond T. [`Error::Shape`] where I, or D·G·H of a projected batch, differs.
    /// [`Error::Length`] where a state is not `[L·D, B, P]`, c not `[L·D, B, H]`, or resets are not `[B, T]`.
    /// [`Error::Unsupported`] for a `c0` where the cell has none, and for resets where a layer is not forward.
    pub fn check(&self, model: &Model) -> Result<()> {
        let features = self.run_shape.features(model);
        if self.features != features {
            let Dims { batch, steps } = self.run_shape.dims;
            return Err(Error::Shape {
                name: self.run_shape.x_shape().into(),
                expected: vec![batch, steps, features],
                got: vec![batch, steps, self.features],
            });
        }
        if let Some(lengths) = self.lengths {
            check_lengths(lengths, self.run_shape.dims)?;
        }
        self.run_shape.check(model)?;
        if let Some(resets) = self.resets {
            let (name, shape) = self.run_shape.resets_shape();
            check_len(name, &shape, resets.len())?;
        }
        check_states(model, self.run_shape.dims.batch, [("h0", self.h0), ("c0", self.c0)])
    }
}

/// The resets: a word for each row and step, in x's order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Resets<'a> {
    words: &'a [u32],
    strides: Strides,
}

impl<'a> Resets<'a> {
    fn of(words: &'a [u32], run_shape: RunShape) -> Self {
        Self { words, strides: Strides::of(run_shape.x, run_shape.dims, 1, 1) }
    }

    /// In x's order.
    #[cfg_attr(not(feature = "gpu"), allow(dead_code, reason = "what a GPU reads"))]
    pub(crate) fn words(self) -> &'a [u32] {
        self.words
    }

    /// Whether the state of `row` is reset before `step`.
    pub(crate) fn at(self, row: usize, step: usize) -> bool {
        self.words[row * self.strides.row + step * self.strides.step] != 0
    }
}

/// # Errors
/// [`Error::Length`] where they are not `[B]`, [`Error::Mismatch`] for one beyond T.
pub(crate) fn check_lengths(lengths: &[u32], Dims { batch, steps }: Dims) -> Result<()> {
    check_len("lengths [B]", &[batch], lengths.len())?;
    if let Some(b) = lengths.iter().position(|&length| length as usize > steps) {
        let reason = format!("sequence {b} has {}, x has {steps}", count(lengths[b] as usize, "step"));
        return Err(Error::Mismatch { name: "lengths".into(), reason });
    }
    Ok(())
}

/// A batch that owns its arrays.
#[derive(Debug)]
pub(crate) struct OwnedBatch {
    run_shape: RunShape,
    features: usize,
    x: Vec<f32>,
    h0: Option<Vec<f32>>,
    c0: Option<Vec<f32>>,
    lengths: Option<Vec<u32>>,
    resets: Option<Vec<u32>>,
}

impl OwnedBatch {
    pub(crate) fn of(batch: &Batch<'_>) -> Self {
        Self {
            run_shape: batch.run_shape,
            features: batch.features,
            x: batch.x.to_vec(),
            h0: batch.h0.map(<[f32]>::to_vec),
            c0: batch.c0.map(<[f32]>::to_vec),
            lengths: batch.lengths.map(<[u32]>::to_vec),
            resets: batch.resets.map(<[u32]>::to_vec),
        }
    }

    /// Rows `first .. first + count` of `batch`, for a model with L·D = `states`.
    #[cfg(feature = "gpu")]
    pub(crate) fn of_rows(batch: &Batch<'_>, states: usize, first: usize, count: usize) -> Self {
        let Dims { batch: rows, steps } = batch.run_shape.dims;
        let run_shape = RunShape { dims: Dims { batch: count, steps }, ..batch.run_shape };
        let x = rows_of_steps(batch.x, batch.run_shape, run_shape, first, batch.features);
        let resets = batch.resets.map(|resets| rows_of_steps(resets, batch.run_shape, run_shape, first, 1));
        // `[L·D, B, features]` each.
        let rows_of = |array: &[f32], len: usize| {
            let features = len / rows;
            array
                .chunks_exact(len)
                .flat_map(|all| &all[first * features..][..count * features])
                .copied()
                .collect()
        };
        let [h0, c0] =
            [batch.h0, batch.c0].map(|array| array.map(|array| rows_of(array, array.len() / states)));
        let lengths = batch.lengths.map(|lengths| lengths[first..first + count].to_vec());
        Self { run_shape, features: batch.features, x, h0, c0, lengths, resets }
    }

    pub(crate) fn borrow(&self) -> Batch<'_> {
        Batch {
            run_shape: self.run_shape,
            features: self.features,
            x: &self.x,
            h0: self.h0.as_deref(),
            c0: self.c0.as_deref(),
            lengths: self.lengths.as_deref(),
            resets: self.resets.as_deref(),
            interrupt: None,
        }
    }
}

/// The rows from `first` on, in the order of `own`, of an array with `features` numbers a step in the order of `all`.
#[cfg(feature = "gpu")]
fn rows_of_steps<T: Copy + Default>(
    from: &[T],
    all: RunShape,
    own: RunShape,
    first: usize,
    features: usize,
) -> Vec<T> {
    let Dims { batch, steps } = own.dims;
    let [all, own] = [all, own].map(|run_shape| Strides::of(run_shape.x, run_shape.dims, 1, features));
    let mut rows = vec![T::default(); batch * steps * features];
    for row in 0..batch {
        for step in 0..steps {
            let at = (first + row) * all.row + step * all.step;
            let to = row * own.row + step * own.step;
            rows[to..to + features].copy_from_slice(&from[at..at + features]);
        }
    }
    rows
}
