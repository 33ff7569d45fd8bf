//! What goes in and what comes out of a run: a [`Batch`] of sequences, an [`Output`] of sequences and
//! final states. Plain slices and vectors, in the layouts a caller has them in.

use crate::dims::{Dims, check_len, product};
use crate::error::{Error, Result};
use crate::model::{Model, ReadoutSteps};

/// A batch of sequences, borrowed from the caller.
///
/// A NaN in x or an initial state comes out as NaN of its own sequence on the reference and the CPU path; on a
/// GPU, whose compilers may assume that there is none, that sequence's numbers are undefined.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    dims: Dims,
    input: usize,
    x: &'a [f32],
    h0: Option<&'a [f32]>,
    c0: Option<&'a [f32]>,
    lengths: Option<&'a [u32]>,
}

impl<'a> Batch<'a> {
    /// `x`: `[B, T, I]`, row-major; `shape` is `[B, T, I]`.
    ///
    /// # Errors
    /// A size of 0, or a length other than B·T·I.
    pub fn new(x: &'a [f32], shape: [usize; 3]) -> Result<Self> {
        let [batch, steps, input] = shape;
        let dims = Dims::new(batch, steps)?;
        crate::dims::at_least_one("I (input features)", input)?;
        check_len("x", &shape, x.len())?;
        Ok(Self { dims, input, x, h0: None, c0: None, lengths: None })
    }

    /// Initial hidden states, `[L·D, B, H]`; zeros where not given.
    pub fn h0(mut self, h0: &'a [f32]) -> Self {
        self.h0 = Some(h0);
        self
    }

    /// Initial cell states of an LSTM, `[L·D, B, H]`; zeros where not given.
    pub fn c0(mut self, c0: &'a [f32]) -> Self {
        self.c0 = Some(c0);
        self
    }

    /// The steps of each sequence, `[B]`, from 0 to T; T for all where not given. A sequence that has ended
    /// keeps its state, which is then its final one, and its y is 0 (the rule of ONNX); a reverse direction
    /// begins at each sequence's own last step, and a readout on the last step reads it. What x holds past a
    /// sequence's end is not read.
    pub fn lengths(mut self, lengths: &'a [u32]) -> Self {
        self.lengths = Some(lengths);
        self
    }

    /// The steps of each sequence, where they were given.
    pub(crate) fn lengths_of(&self) -> Option<&'a [u32]> {
        self.lengths
    }

    /// B and T.
    pub fn dims(&self) -> Dims {
        self.dims
    }

    /// `[B, T, I]`.
    pub fn x(&self) -> &'a [f32] {
        self.x
    }

    /// Writes the initial states, `[L·D, B, H]`, zeros where the batch names none.
    pub(crate) fn initial_states<T: From<f32> + Default>(&self, h: &mut [T], c: &mut [T]) {
        for (to, from) in [(h, self.h0), (c, self.c0)] {
            match from {
                Some(from) => to.iter_mut().zip(from).for_each(|(to, &from)| *to = from.into()),
                None => to.fill_with(T::default),
            }
        }
    }

    /// The initial h and c, where the batch names them.
    pub(crate) fn states(&self) -> [Option<&'a [f32]>; 2] {
        [self.h0, self.c0]
    }

    /// Holds the batch against the model it is to run through.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for a length beyond T, [`Error::Shape`] where I differs, [`Error::Length`] where a state is not `[L·D, B, H]`,
    /// [`Error::Unsupported`] for a `c0` where the cell has none.
    pub fn check(&self, model: &Model) -> Result<()> {
        if self.input != model.input() {
            let Dims { batch, steps } = self.dims;
            return Err(Error::Shape {
                name: "x [B, T, I]".into(),
                expected: vec![batch, steps, model.input()],
                got: vec![batch, steps, self.input],
            });
        }
        if let Some(lengths) = self.lengths {
            check_len("lengths [B]", &[self.dims.batch], lengths.len())?;
            let longest = self.dims.steps;
            if let Some(b) = lengths.iter().position(|&length| length as usize > longest) {
                let reason = format!("sequence {b} has {} steps, x has {longest}", lengths[b]);
                return Err(Error::Mismatch { name: "lengths".into(), reason });
            }
        }
        check_states(model, self.dims.batch, [("h0", self.h0), ("c0", self.c0)])
    }
}

/// # Errors
/// As [`Batch::check`], for states alone.
pub(crate) fn check_states(
    model: &Model,
    batch: usize,
    [(h_name, h), (c_name, c)]: [(&str, Option<&[f32]>); 2],
) -> Result<()> {
    let shape = [model.states(), batch, model.hidden()];
    if let Some(h) = h {
        check_len(&format!("{h_name} [L·D, B, H]"), &shape, h.len())?;
    }
    if let Some(c) = c {
        if !model.cell().has_c() {
            return Err(Error::Unsupported { what: format!("{c_name}: {} has no cell state", model.cell()) });
        }
        check_len(&format!("{c_name} [L·D, B, H]"), &shape, c.len())?;
    }
    Ok(())
}

/// The shapes of a run's outputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputShape {
    /// `[B, T, D·H]`.
    pub y: [usize; 3],
    /// `[L·D, B, H]`, for h and, where the cell has one, c.
    pub state: [usize; 3],
    /// Whether there is a `c_n`.
    pub has_c: bool,
    /// `[B, T, O]` or `[B, O]`, where the model has a readout.
    pub out: Option<Vec<usize>>,
}

impl OutputShape {
    /// The shapes for `model` on `dims`.
    ///
    /// # Errors
    /// [`Error::Zero`], and [`Error::Overflow`] where a product of sizes does not fit.
    pub fn new(model: &Model, dims: Dims) -> Result<Self> {
        let Dims { batch, steps } = Dims::new(dims.batch, dims.steps)?;
        let shape = Self {
            y: [batch, steps, model.output()],
            state: [model.states(), batch, model.hidden()],
            has_c: model.cell().has_c(),
            out: model.readout().map(|readout| match readout.steps() {
                ReadoutSteps::Every => vec![batch, steps, readout.outputs()],
                ReadoutSteps::Last => vec![batch, readout.outputs()],
            }),
        };
        product("y [B, T, D·H]", &shape.y)?;
        product("h_n [L·D, B, H]", &shape.state)?;
        if let Some(out) = &shape.out {
            product("out [B, T, O]", out)?;
        }
        Ok(shape)
    }
}

/// What a run returns, row-major. `T` is f32 for every engine and f64 for the reference.
#[derive(Debug, Clone, PartialEq)]
pub struct Output<T = f32> {
    /// The last layer's h at every step, `[B, T, D·H]`.
    pub y: Vec<T>,
    /// Every layer's final h, `[L·D, B, H]`.
    pub h_n: Vec<T>,
    /// Every layer's final c, `[L·D, B, H]`; LSTM only.
    pub c_n: Option<Vec<T>>,
    /// The readout, `[B, T, O]` or `[B, O]`; where the model has one.
    pub out: Option<Vec<T>>,
}

impl<T: Copy + Default> Output<T> {
    /// An output of the right size, all zero.
    ///
    /// # Errors
    /// [`Error::Memory`].
    pub(crate) fn zeros(shape: &OutputShape) -> Result<Self> {
        Ok(Self {
            y: zeros("y [B, T, D·H]", &shape.y)?,
            h_n: zeros("h_n [L·D, B, H]", &shape.state)?,
            c_n: shape.has_c.then(|| zeros("c_n [L·D, B, H]", &shape.state)).transpose()?,
            out: shape.out.as_deref().map(|shape| zeros("out [B, T, O]", shape)).transpose()?,
        })
    }

    /// Sets every element to `value`.
    pub(crate) fn fill(&mut self, value: T) {
        self.y.fill(value);
        self.h_n.fill(value);
        self.c_n.iter_mut().chain(&mut self.out).for_each(|array| array.fill(value));
    }

    /// # Errors
    /// [`Error::Length`] where a buffer does not have its shape's length.
    pub(crate) fn check(&self, shape: &OutputShape) -> Result<()> {
        let c_shape = if shape.has_c { &shape.state[..] } else { &[0] };
        let out_shape = shape.out.as_deref().unwrap_or(&[0]);
        check_len("y [B, T, D·H]", &shape.y, self.y.len())?;
        check_len("h_n [L·D, B, H]", &shape.state, self.h_n.len())?;
        check_len("c_n [L·D, B, H]", c_shape, self.c_n.as_ref().map_or(0, Vec::len))?;
        check_len("out [B, T, O]", out_shape, self.out.as_ref().map_or(0, Vec::len))
    }
}

/// # Errors
/// [`Error::Overflow`], and [`Error::Memory`] where the host has none: a caller may ask for any size.
fn zeros<T: Copy + Default>(name: &str, shape: &[usize]) -> Result<Vec<T>> {
    let elements = product(name, shape)?;
    let mut values = Vec::new();
    let bytes = elements * size_of::<T>();
    values.try_reserve_exact(elements).map_err(|_| Error::Memory { name: name.into(), bytes })?;
    values.resize(elements, T::default());
    Ok(values)
}

/// What one step of a session returns, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct StepOutput {
    /// The last layer's h, `[B, D·H]`.
    pub y: Vec<f32>,
    /// The readout of this step, `[B, O]`; where the model has one.
    pub out: Option<Vec<f32>>,
}

impl StepOutput {
    /// A step's output of the right size for `streams` streams, all zero.
    ///
    /// # Errors
    /// [`Error::Memory`].
    pub(crate) fn zeros(model: &Model, streams: usize) -> Result<Self> {
        let out = model.readout().map(|readout| zeros("out [B, O]", &[streams, readout.outputs()]));
        Ok(Self { y: zeros("y [B, D·H]", &[streams, model.output()])?, out: out.transpose()? })
    }

    /// # Errors
    /// [`Error::Length`] where a buffer does not have its shape's length.
    pub(crate) fn check(&self, model: &Model, streams: usize) -> Result<()> {
        let outputs = model.readout().map_or(0, |readout| readout.outputs());
        check_len("y [B, D·H]", &[streams, model.output()], self.y.len())?;
        check_len("out [B, O]", &[streams, outputs], self.out.as_ref().map_or(0, Vec::len))
    }
}

/// The states of B streams: what a session carries from step to step.
#[derive(Debug, Clone, PartialEq)]
pub struct State<T = f32> {
    /// `[L·D, B, H]`.
    pub h: Vec<T>,
    /// `[L·D, B, H]`; LSTM only.
    pub c: Option<Vec<T>>,
}

impl<T: Copy + Default> State<T> {
    /// Zero states.
    ///
    /// # Errors
    /// [`Error::Memory`].
    pub(crate) fn zeros(model: &Model, batch: usize) -> Result<Self> {
        let shape = [model.states(), batch, model.hidden()];
        let c = model.cell().has_c().then(|| zeros("c [L·D, B, H]", &shape));
        Ok(Self { h: zeros("h [L·D, B, H]", &shape)?, c: c.transpose()? })
    }

    /// Sets every state to `value`.
    pub(crate) fn fill(&mut self, value: T) {
        self.h.fill(value);
        self.c.iter_mut().for_each(|c| c.fill(value));
    }

    /// h and c of state `index` of L·D; c is empty where the cell has none.
    pub(crate) fn layer_mut(&mut self, index: usize, len: usize) -> (&mut [T], &mut [T]) {
        let range = index * len..(index + 1) * len;
        let c = self.c.as_mut().map_or(&mut [][..], |c| &mut c[range.clone()]);
        (&mut self.h[range], c)
    }
}
