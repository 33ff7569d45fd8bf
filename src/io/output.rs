//! The outputs of a run, and of one step of a session.

use super::{Layout, RunShape, zeros};
use crate::dims::{Dims, check_len, product};
use crate::error::{Error, Result};
use crate::model::{Model, ReadoutSteps};

const Y: &str = "y [B, T, D·P]";
const H_N: &str = "h_n [L·D, B, P]";
const C_N: &str = "c_n [L·D, B, H]";

/// The shapes of a run's outputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputShape {
    /// `[B, T, D·P]`, `[T, B, D·P]` or `[T, D, B, P]`; D is 1 where the last layer merges its directions ([`crate::Merge`]).
    pub y: Vec<usize>,
    /// `[L·D, B, P]`.
    pub h: [usize; 3],
    /// `[L·D, B, H]`, where the cell has one.
    pub c: Option<[usize; 3]>,
    /// `[B, T, O]`, `[T, B, O]` or `[B, O]`, where the model has a readout.
    pub out: Option<Vec<usize>>,
}

impl OutputShape {
    /// The shapes for `model` on a batch of `run_shape`, or `[B, T]` alone.
    ///
    /// # Errors
    /// [`crate::Error::Zero`], [`crate::Error::Overflow`] where a product of sizes does not fit. [`crate::Error::Unsupported`]
    /// for a readout across directions in a direction-major y, and for resets where a layer is not forward.
    pub fn new(model: &Model, run_shape: impl Into<RunShape>) -> Result<Self> {
        let run_shape = run_shape.into();
        let Dims { batch, steps } = Dims::new(run_shape.dims.batch, run_shape.dims.steps)?;
        run_shape.check(model)?;
        if run_shape.y == Layout::DirectionMajor
            && model.output() > model.state_size()
            && model.readout().is_some()
        {
            let what = "a readout of a bidirectional stack whose y is direction-major: it reads D·P features in a row";
            return Err(Error::Unsupported { what: what.into() });
        }
        let sequence = |features: usize| match run_shape.y {
            Layout::BatchMajor => vec![batch, steps, features],
            Layout::TimeMajor | Layout::DirectionMajor => vec![steps, batch, features],
        };
        let dirs = model.output() / model.state_size();
        let shape = Self {
            y: match run_shape.y {
                Layout::DirectionMajor => vec![steps, dirs, batch, model.state_size()],
                _ => sequence(model.output()),
            },
            h: [model.num_states(), batch, model.state_size()],
            c: model.cell().has_c().then_some([model.num_states(), batch, model.hidden()]),
            out: model.readout().map(|readout| match readout.steps() {
                ReadoutSteps::Every => sequence(readout.outputs()),
                ReadoutSteps::Last => vec![batch, readout.outputs()],
            }),
        };
        product(Y, &shape.y)?;
        product(H_N, &shape.h)?;
        if let Some(c) = &shape.c {
            product(C_N, c)?;
        }
        if let Some(out) = &shape.out {
            product("out [B, T, O]", out)?;
        }
        Ok(shape)
    }
}

/// What a run returns, row-major. `T` is f32 for every engine and f64 for the reference.
#[derive(Debug, Clone, PartialEq)]
pub struct Output<T = f32> {
    /// The last layer's h at every step, `[B, T, D·P]` or in the order of [`RunShape::y`]; `[B, T, P]` where it merges its
    /// directions.
    pub y: Vec<T>,
    /// Every layer's final h, `[L·D, B, P]`.
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
    /// [`crate::Error::Memory`].
    pub(crate) fn zeros(shape: &OutputShape) -> Result<Self> {
        Ok(Self {
            y: zeros(Y, &shape.y)?,
            h_n: zeros(H_N, &shape.h)?,
            c_n: shape.c.map(|shape| zeros(C_N, &shape)).transpose()?,
            out: shape.out.as_deref().map(|shape| zeros("out [B, T, O]", shape)).transpose()?,
        })
    }

    /// Its arrays.
    pub(crate) fn borrow(&mut self) -> OutputMut<'_, T> {
        let Self { y, h_n, c_n, out } = self;
        OutputMut { y, h_n, c_n: c_n.as_deref_mut(), out: out.as_deref_mut() }
    }
}

/// The arrays of an [`Output`], or arrays of the caller in their place.
#[derive(Debug)]
pub(crate) struct OutputMut<'a, T = f32> {
    pub(crate) y: &'a mut [T],
    pub(crate) h_n: &'a mut [T],
    pub(crate) c_n: Option<&'a mut [T]>,
    pub(crate) out: Option<&'a mut [T]>,
}

impl<T: Copy + Default> OutputMut<'_, T> {
    /// Sets every element to `value`.
    pub(crate) fn fill(&mut self, value: T) {
        self.y.fill(value);
        self.h_n.fill(value);
        self.c_n.iter_mut().chain(&mut self.out).for_each(|array| array.fill(value));
    }

    /// # Errors
    /// [`crate::Error::Length`] where a buffer does not have its shape's length.
    pub(crate) fn check(&self, shape: &OutputShape) -> Result<()> {
        let c_shape = shape.c.as_ref().map_or(&[0][..], |shape| shape);
        let out_shape = shape.out.as_deref().unwrap_or(&[0]);
        check_len(Y, &shape.y, self.y.len())?;
        check_len(H_N, &shape.h, self.h_n.len())?;
        check_len(C_N, c_shape, self.c_n.as_ref().map_or(0, |array| array.len()))?;
        check_len("out [B, T, O]", out_shape, self.out.as_ref().map_or(0, |array| array.len()))
    }
}

/// What one step of a session returns, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct StepOutput {
    /// The last layer's h, `[B, D·P]`.
    pub y: Vec<f32>,
    /// The readout of this step, `[B, O]`; where the model has one.
    pub out: Option<Vec<f32>>,
}

impl StepOutput {
    /// A step's output of the right size for `streams` streams, all zero.
    ///
    /// # Errors
    /// [`crate::Error::Memory`].
    pub(crate) fn zeros(model: &Model, streams: usize) -> Result<Self> {
        let out = model.readout().map(|readout| zeros("out [B, O]", &[streams, readout.outputs()]));
        Ok(Self { y: zeros("y [B, D·P]", &[streams, model.output()])?, out: out.transpose()? })
    }

    /// # Errors
    /// [`crate::Error::Length`] where a buffer does not have its shape's length.
    pub(crate) fn check(&self, model: &Model, streams: usize) -> Result<()> {
        let outputs = model.readout().map_or(0, |readout| readout.outputs());
        check_len("y [B, D·P]", &[streams, model.output()], self.y.len())?;
        check_len("out [B, O]", &[streams, outputs], self.out.as_ref().map_or(0, Vec::len))
    }
}
