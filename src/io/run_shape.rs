//! How a batch is laid out in memory, and its padding: everything except the numbers.

use crate::dims::Dims;
use crate::error::{Error, Result};
use crate::model::{Direction, Layer, Model};

/// The order of the axes of a sequence array.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Layout {
    /// x `[B, T, I]`, y `[B, T, D·P]`: PyTorch with `batch_first`, Keras.
    #[default]
    BatchMajor,
    /// x `[T, B, I]`, y `[T, B, D·P]`: PyTorch and cuDNN by default.
    TimeMajor,
    /// x `[T, B, I]`, y `[T, D, B, P]`: ONNX by default, WebNN.
    DirectionMajor,
}

/// The strides of a sequence array, in elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Strides {
    /// From one step to the next.
    pub(crate) step: usize,
    /// From one batch row to the next.
    pub(crate) row: usize,
    /// From one direction to the next.
    pub(crate) dir: usize,
}

impl Strides {
    /// The strides of an array of `dirs` directions of `features` each, whose size is known to fit.
    pub(crate) fn of(layout: Layout, dims: Dims, dirs: usize, features: usize) -> Self {
        let Dims { batch, steps } = dims;
        let all = dirs * features;
        match layout {
            Layout::BatchMajor => Self { step: all, row: steps * all, dir: features },
            Layout::TimeMajor => Self { step: batch * all, row: all, dir: features },
            Layout::DirectionMajor => Self { step: batch * all, row: features, dir: batch * features },
        }
    }
}

/// The padding of y past the end of a sequence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Padding {
    /// 0, the rule of ONNX.
    #[default]
    Zero,
    /// The previous output, in the order in which a direction walks. A forward one repeats the last real output; a reverse one,
    /// which walks over the padding first, has 0. This is the rule of masks in Keras, except for its Bidirectional that returns
    /// sequences, which has 0. A sequence of no step has 0. A layer that merges its directions merges these numbers.
    Last,
}

/// The shape of a run: sizes, layouts and the padding rule. A run's kernels and buffers belong to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RunShape {
    /// B and T.
    pub dims: Dims,
    /// The order of x.
    pub x: Layout,
    /// The order of y and of a readout on every step.
    pub y: Layout,
    /// The padding of y past the end of a sequence.
    pub padding: Padding,
    /// Whether x is the first layer's `w_ih x`, see [`crate::Batch::projected`].
    pub projected: bool,
    /// Whether states are reset within sequences, see [`crate::Batch::resets`].
    pub resets: bool,
}

impl RunShape {
    /// Features of one step of x: I, or D·G·H if it is projected.
    pub(crate) fn features(self, model: &Model) -> usize {
        if self.projected { model.projected_input() } else { model.input() }
    }

    /// # Errors
    /// [`Error::Unsupported`] for resets where a layer is not forward.
    pub(crate) fn check(self, model: &Model) -> Result<()> {
        let mut directions = model.layers().iter().map(Layer::direction);
        match directions.find(|direction| *direction != Direction::Forward) {
            Some(direction) if self.resets => {
                let what = format!(
                    "resets with {direction} layers: a reset ends a sequence for layers that walk forward; run the parts \
                     between resets as sequences of their own"
                );
                Err(Error::Unsupported { what })
            }
            _ => Ok(()),
        }
    }

    /// The shape of [`crate::Batch::resets`], with its axes for errors.
    pub(crate) fn resets_shape(self) -> (&'static str, [usize; 2]) {
        let Dims { batch, steps } = self.dims;
        match self.x {
            Layout::BatchMajor => ("resets [B, T]", [batch, steps]),
            Layout::TimeMajor | Layout::DirectionMajor => ("resets [T, B]", [steps, batch]),
        }
    }

    /// The name of x, for errors.
    pub(crate) fn x_name(self) -> &'static str {
        if self.projected { "xw" } else { "x" }
    }

    /// The shape of x, for errors.
    pub(crate) fn x_shape(self) -> &'static str {
        if self.projected { "xw [B, T, D·G·H]" } else { "x [B, T, I]" }
    }
}

/// `[B, T]`, batch-major. A size of 0 is refused where the run shape is used.
impl From<[usize; 2]> for RunShape {
    fn from([batch, steps]: [usize; 2]) -> Self {
        Dims { batch, steps }.into()
    }
}

/// Batch-major, as with [`crate::Batch::new`].
impl From<Dims> for RunShape {
    fn from(dims: Dims) -> Self {
        let (x, y, padding) = (Layout::default(), Layout::default(), Padding::default());
        Self { dims, x, y, padding, projected: false, resets: false }
    }
}
