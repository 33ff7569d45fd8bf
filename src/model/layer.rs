//! One layer: a cell, its direction, its sizes and one set of weights per direction.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

use super::{Activations, Cell, Reset, Update};
use crate::dims::{at_least_one, check_finite, check_len, product};
use crate::error::{Error, Result, count};

/// The order in which a layer walks over the steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the first step to the last.
    Forward,
    /// From the last step to the first; the output stays aligned with the input's time.
    Reverse,
    /// Both, their outputs side by side, `[forward, reverse]`, or merged ([`Merge`]).
    Bidirectional,
}

impl Direction {
    /// D, the number of directions: 1 or 2.
    pub fn count(self) -> usize {
        if self == Self::Bidirectional { 2 } else { 1 }
    }

    /// Whether direction `index` of D walks from the last step to the first.
    pub fn is_reverse(self, index: usize) -> bool {
        index >= self.reverse_from()
    }

    /// The first direction that walks backwards; D if none does.
    pub(crate) fn reverse_from(self) -> usize {
        if self == Self::Reverse { 0 } else { 1 }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Forward => "forward",
            Self::Reverse => "reverse",
            Self::Bidirectional => "bidirectional",
        })
    }
}

/// How the outputs of a bidirectional layer's two directions are merged, the `merge_mode` of Keras' `Bidirectional`. States are
/// never merged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Merge {
    /// Side by side, `[forward, reverse]`: D·P features.
    #[default]
    Concat,
    /// `forward + reverse`: P features.
    Sum,
    /// `forward ⊙ reverse`: P features.
    Mul,
    /// `(forward + reverse) / 2`: P features.
    Average,
}

impl Merge {
    /// The layer's output from both directions' outputs; for [`Merge::Concat`] the forward one.
    #[inline(always)]
    pub(crate) fn of(self, forward: f32, reverse: f32) -> f32 {
        match self {
            Self::Concat => forward,
            Self::Sum => forward + reverse,
            Self::Mul => forward * reverse,
            Self::Average => (forward + reverse) * 0.5,
        }
    }
}

impl fmt::Display for Merge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Concat => "concat",
            Self::Sum => "sum",
            Self::Mul => "mul",
            Self::Average => "ave",
        })
    }
}

/// The weights of one direction of one layer, in the crate's layout (see [`crate::model`]).
///
/// A GRU with a single bias has it in `b_ih`. Then c_n, the part of `b_hh` inside the reset product when reset is after, is 0.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Weights {
    /// `[G·H, I]`, on the input.
    pub w_ih: Vec<f32>,
    /// `[G·H, P]`, on the state.
    pub w_hh: Vec<f32>,
    /// `[G·H]`, added to `w_ih x`.
    pub b_ih: Option<Vec<f32>>,
    /// `[G·H]`, added to `w_hh h`; a GRU's n part stays inside the reset product when reset is after.
    pub b_hh: Option<Vec<f32>>,
    /// `[3·H]`, an LSTM's p_i, p_f and p_o: `p_i ⊙ c`, `p_f ⊙ c` and `p_o ⊙ c'` are added to the inputs of i, f
    /// and o (Gers and Schmidhuber 2000).
    pub peepholes: Option<Vec<f32>>,
    /// `[P, H]`, an LSTM's projection: `h' = w_hr (o ⊙ tanh(c'))` (Sak et al. 2014).
    pub w_hr: Option<Vec<f32>>,
}

/// Sets of weights, shared in memory: those of a layer, or one of them.
#[derive(Clone)]
struct Sets {
    all: Arc<[Weights]>,
    own: Range<usize>,
}

impl Deref for Sets {
    type Target = [Weights];

    fn deref(&self) -> &[Weights] {
        &self.all[self.own.clone()]
    }
}

impl PartialEq for Sets {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl fmt::Debug for Sets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// One recurrent layer. Clones share the weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    cell: Cell,
    direction: Direction,
    merge: Merge,
    input: usize,
    hidden: usize,
    state: usize,
    weights: Sets,
    activations: Vec<Activations>,
    clip: Option<f32>,
    state_clip: Option<f32>,
}

impl Layer {
    /// A layer of `hidden` units on `input` features, with one [`Weights`] per direction (forward first). P, the
    /// size of h, is the number of rows of `w_hr`, and H where there is none.
    ///
    /// # Errors
    /// [`Error::Zero`] for a size of 0; [`Error::Length`] for a slice that does not fit its shape (see [`Weights`]);
    /// [`Error::Mismatch`] for a number of weight sets other than D, and for directions of which one projects and one does
    /// not; [`Error::Unsupported`] for peepholes or a projection on another cell than an LSTM; [`Error::NotFinite`] for a
    /// weight that is NaN or infinite; [`Error::Overflow`].
    ///
    /// ```
    /// use wgru::{Cell, Direction, Layer, Weights};
    /// # fn main() -> Result<(), wgru::Error> {
    /// // A bidirectional LSTM, I = 3, H = 4: w_ih [4·H, I], w_hh [4·H, H], b_ih [4·H]; forward, then reverse.
    /// let one = || Weights { w_ih: vec![0.1; 48], w_hh: vec![0.1; 64], b_ih: Some(vec![0.0; 16]), ..Weights::default() };
    /// let layer = Layer::new(Cell::LSTM, Direction::Bidirectional, 3, 4, vec![one(), one()])?;
    /// assert_eq!(layer.output(), 8);
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(
        cell: Cell,
        direction: Direction,
        input: usize,
        hidden: usize,
        weights: Vec<Weights>,
    ) -> Result<Self> {
        at_least_one("I (input features)", input)?;
        at_least_one("H (hidden units)", hidden)?;
        if weights.len() != direction.count() {
            return Err(Error::Mismatch {
                name: format!("weights of a {direction} layer"),
                reason: format!("needs {}, got {}", count(direction.count(), "set"), weights.len()),
            });
        }
        let state = state_of(hidden, &weights)?;
        for set in &weights {
            set.check(cell, input, hidden, state)?;
        }
        let activations = vec![Activations::of(cell); direction.count()];
        Ok(Self {
            cell,
            direction,
            merge: Merge::Concat,
            input,
            hidden,
            state,
            weights: Sets { own: 0..weights.len(), all: weights.into() },
            activations,
            clip: None,
            state_clip: None,
        })
    }

    /// Replaces the activations, one set per direction, forward first.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for a number of sets other than D.
    pub fn with_activations(mut self, activations: Vec<Activations>) -> Result<Self> {
        if activations.len() != self.direction.count() {
            return Err(Error::Mismatch {
                name: format!("activations of a {} layer", self.direction),
                reason: format!("needs {}, got {}", count(self.direction.count(), "set"), activations.len()),
            });
        }
        self.activations = activations;
        Ok(self)
    }

    /// Clamps the input of each gate's and of the candidate's activation to −clip … clip, like ONNX's attribute `clip`. The
    /// output activation of an LSTM gets c' unclamped. The operator's text speaks of the input of every activation, but ONNX
    /// Runtime and OpenVINO do not clamp that one, and models were trained and are run with them.
    ///
    /// # Errors
    /// [`Error::Mismatch`] where it is not a positive finite number.
    pub fn with_clip(mut self, clip: f32) -> Result<Self> {
        self.clip = Some(bound("clip", clip)?);
        Ok(self)
    }

    /// Clamps the new state to −clip … clip, every step: c' of an LSTM before h' is computed from it (`cell_clip` of TensorFlow's
    /// and TensorFlow Lite's LSTM, cuDNN's `cudnnRNNClip`), h' of the other cells.
    ///
    /// # Errors
    /// [`Error::Mismatch`] where it is not a positive finite number.
    pub fn with_state_clip(mut self, clip: f32) -> Result<Self> {
        self.state_clip = Some(bound("state clip", clip)?);
        Ok(self)
    }

    /// Sets how the outputs of both directions are merged.
    ///
    /// # Errors
    /// [`Error::Mismatch`] for anything but [`Merge::Concat`] on a layer of one direction.
    pub fn with_merge(mut self, merge: Merge) -> Result<Self> {
        if merge != Merge::Concat && self.direction != Direction::Bidirectional {
            return Err(Error::Mismatch {
                name: format!("merge mode {merge}"),
                reason: format!("needs a bidirectional layer, this one is {}", self.direction),
            });
        }
        self.merge = merge;
        Ok(self)
    }

    /// The GRU as Cho et al. (2014) define it. Each gate acts on `[h, x]`, there is no bias, reset is before
    /// the product and `h' = (1 − z) ⊙ h + z ⊙ n`.
    ///
    /// `w_r`, `w_z`, `w_n`: `[H, H + I]`, row-major; the first H columns act on h, the last I on x.
    ///
    /// # Errors
    /// Those of [`Layer::new`].
    pub fn original_gru(input: usize, hidden: usize, w_r: &[f32], w_z: &[f32], w_n: &[f32]) -> Result<Self> {
        at_least_one("I (input features)", input)?;
        at_least_one("H (hidden units)", hidden)?;
        let overflow = || Error::Overflow { name: "H + I".into(), sizes: vec![hidden, input] };
        let columns = hidden.checked_add(input).ok_or_else(overflow)?;
        let (mut w_ih, mut w_hh) = (Vec::new(), Vec::new());
        for (name, gate) in [("w_r", w_r), ("w_z", w_z), ("w_n", w_n)] {
            check_len(name, &[hidden, columns], gate.len())?;
            for row in gate.chunks_exact(columns) {
                w_hh.extend_from_slice(&row[..hidden]);
                w_ih.extend_from_slice(&row[hidden..]);
            }
        }
        let cell = Cell::Gru { reset: Reset::Before, update: Update::Takes };
        let weights = Weights { w_ih, w_hh, ..Weights::default() };
        Self::new(cell, Direction::Forward, input, hidden, vec![weights])
    }

    /// Direction `index` of D as a layer of its own, which shares the weights.
    #[cfg(any(feature = "gpu", test))]
    pub(crate) fn one_direction(&self, index: usize) -> Self {
        let reverse = self.direction.is_reverse(index);
        let at = self.weights.own.start + index;
        Self {
            direction: if reverse { Direction::Reverse } else { Direction::Forward },
            merge: Merge::Concat,
            weights: Sets { all: self.weights.all.clone(), own: at..at + 1 },
            activations: vec![self.activations[index]],
            ..*self
        }
    }

    /// The cell, with its convention.
    pub fn cell(&self) -> Cell {
        self.cell
    }

    /// The order in which it walks over the steps.
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// How the outputs of both directions are merged.
    pub fn merge(&self) -> Merge {
        self.merge
    }

    /// I, features of one step of input.
    pub fn input(&self) -> usize {
        self.input
    }

    /// H, hidden units of one direction.
    pub fn hidden(&self) -> usize {
        self.hidden
    }

    /// P, features of one direction's h: H, unless an LSTM projects it.
    pub fn state_size(&self) -> usize {
        self.state
    }

    /// P, where an LSTM projects its h.
    pub fn projection(&self) -> Option<usize> {
        self.weights[0].w_hr.as_ref().map(|_| self.state)
    }

    /// Whether the layer has peepholes.
    pub fn has_peepholes(&self) -> bool {
        self.weights.iter().any(|weights| weights.peepholes.is_some())
    }

    /// Features of one step of output: D·P, or P where the outputs of both directions are merged into one.
    pub fn output(&self) -> usize {
        self.output_dirs() * self.state
    }

    /// Directions that are side by side in the output: D, or 1 where they are merged.
    pub(crate) fn output_dirs(&self) -> usize {
        match self.merge {
            Merge::Concat => self.direction.count(),
            Merge::Sum | Merge::Mul | Merge::Average => 1,
        }
    }

    /// One set per direction, forward first.
    pub fn activations(&self) -> &[Activations] {
        &self.activations
    }

    /// The clip of the inputs of the gates' and the candidate's activations.
    pub fn clip(&self) -> Option<f32> {
        self.clip
    }

    /// The clip of the new state.
    pub fn state_clip(&self) -> Option<f32> {
        self.state_clip
    }

    /// One set per direction, forward first.
    pub fn weights(&self) -> &[Weights] {
        &self.weights
    }
}

/// P: the number of rows of `w_hr`, the same for every direction.
fn state_of(hidden: usize, weights: &[Weights]) -> Result<usize> {
    let of = |set: &Weights| set.w_hr.as_ref().map_or(hidden, |w_hr| w_hr.len() / hidden);
    let state = of(&weights[0]);
    at_least_one("P (projection), the rows of w_hr", state)?;
    match weights.iter().find(|set| of(set) != state || set.w_hr.is_some() != weights[0].w_hr.is_some()) {
        Some(other) => Err(Error::Mismatch {
            name: "w_hr of the reverse direction".into(),
            reason: format!("gives {}, the forward one {state}", count(of(other), "feature")),
        }),
        None => Ok(state),
    }
}

/// # Errors
/// [`Error::Mismatch`] where `value` is not a positive finite number.
fn bound(name: &str, value: f32) -> Result<f32> {
    if value.is_finite() && value > 0.0 {
        return Ok(value);
    }
    let reason = format!("needs a positive finite number, got {value}");
    Err(Error::Mismatch { name: name.into(), reason })
}

impl Weights {
    fn check(&self, cell: Cell, input: usize, hidden: usize, state: usize) -> Result<()> {
        let of_an_lstm =
            [("peepholes", self.peepholes.is_some()), ("w_hr (projection)", self.w_hr.is_some())];
        if let Some((name, _)) = of_an_lstm.iter().find(|(_, given)| *given && !cell.has_c()) {
            return Err(Error::Unsupported { what: format!("{name} on {cell}: only an LSTM has them") });
        }
        let rows = product("G·H", &[cell.gates(), hidden])?;
        let check = |name: &str, values: Option<&Vec<f32>>, shape: &[usize]| match values {
            Some(values) => {
                check_len(name, shape, values.len()).and_then(|()| check_finite(name, shape, values))
            }
            None => Ok(()),
        };
        check("w_ih", Some(&self.w_ih), &[rows, input])?;
        check("w_hh", Some(&self.w_hh), &[rows, state])?;
        check("b_ih", self.b_ih.as_ref(), &[rows])?;
        check("b_hh", self.b_hh.as_ref(), &[rows])?;
        check("peepholes", self.peepholes.as_ref(), &[3, hidden])?;
        check("w_hr", self.w_hr.as_ref(), &[state, hidden])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_direction_by_itself_shares_its_weights() {
        let set = |value| Weights { w_ih: vec![value; 6], w_hh: vec![value; 4], ..Weights::default() };
        let layer = Layer::new(Cell::Rnn, Direction::Bidirectional, 3, 2, vec![set(1.0), set(2.0)]).unwrap();
        assert_eq!(layer.weights().len(), 2);
        for (index, direction) in [Direction::Forward, Direction::Reverse].into_iter().enumerate() {
            let own = layer.one_direction(index);
            assert_eq!((own.direction(), own.weights()), (direction, &layer.weights()[index..=index]));
            assert!(std::ptr::eq(own.weights(), &layer.weights()[index..=index]));
            // It is a layer like any other: its one direction is itself.
            assert_eq!(own.one_direction(0), own);
            let copy = Layer::new(Cell::Rnn, direction, 3, 2, own.weights().to_vec()).unwrap();
            assert_eq!(copy, own);
            assert_ne!(copy.weights().as_ptr(), own.weights().as_ptr());
        }
    }
}
