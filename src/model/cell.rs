//! The cells and the conventions that change their numbers. The documentation of [`crate::model`] has their equations and
//! sources; [`super::Layer`] has the options of a layer (peepholes, a projection, other activations, clips).

use std::fmt;

/// Where the reset gate acts in a GRU's candidate. There is no exact conversion between the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reset {
    /// On h, before the product: `R_n (r ⊙ h) + c_n`. The original definition, ONNX's default, old Keras.
    Before,
    /// On the product: `r ⊙ (R_n h + c_n)`. PyTorch, cuDNN, today's Keras.
    After,
}

/// What a GRU's update gate z weighs. Negating the z rows of weights and biases converts one into the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Update {
    /// z keeps the old state: `h' = z ⊙ h + (1 − z) ⊙ n`. PyTorch, cuDNN, ONNX, Keras.
    Keeps,
    /// z takes the new candidate: `h' = (1 − z) ⊙ h + z ⊙ n`. The original definition.
    Takes,
}

/// Where an LSTM's forget gate comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Forget {
    /// It has rows of its own.
    Own,
    /// It is coupled to the input gate, `f = 1 − i`. Its rows exist and have no effect.
    Coupled,
}

/// A recurrent cell with its convention; see [`crate::model`] for its equation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cell {
    /// Gated recurrent unit, gates r z n (Cho et al. 2014): `h' = z ⊙ h + (1 − z) ⊙ n` or with z and 1 − z exchanged.
    Gru {
        /// Where r acts.
        reset: Reset,
        /// What z weighs.
        update: Update,
    },
    /// Long short-term memory, gates i f g o (Hochreiter and Schmidhuber 1997, Gers et al. 2000): `c' = f ⊙ c + i ⊙ g`,
    /// `h' = o ⊙ tanh(c')`.
    Lstm {
        /// Where f comes from.
        forget: Forget,
    },
    /// Plain RNN (Elman 1990): `h' = tanh(w_ih x + b_ih + w_hh h + b_hh)`.
    Rnn,
}

impl Cell {
    /// PyTorch's and cuDNN's GRU: reset after, z keeps the old state.
    pub const GRU: Self = Self::Gru { reset: Reset::After, update: Update::Keeps };
    /// The GRU of Cho et al. 2014: reset before, z takes the candidate.
    pub const ORIGINAL_GRU: Self = Self::Gru { reset: Reset::Before, update: Update::Takes };
    /// The LSTM of every framework: a forget gate of its own.
    pub const LSTM: Self = Self::Lstm { forget: Forget::Own };

    // The place of each is its number in `bytes.rs`.
    /// Every cell in every convention.
    pub const ALL: [Self; 7] = [
        Self::GRU,
        Self::Gru { reset: Reset::After, update: Update::Takes },
        Self::Gru { reset: Reset::Before, update: Update::Keeps },
        Self::ORIGINAL_GRU,
        Self::LSTM,
        Self::Lstm { forget: Forget::Coupled },
        Self::Rnn,
    ];

    /// `gru`, `lstm` or `rnn`, whatever its convention.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gru { .. } => "gru",
            Self::Lstm { .. } => "lstm",
            Self::Rnn => "rnn",
        }
    }

    /// G, the number of gates: row blocks of H in each weight matrix.
    pub fn gates(self) -> usize {
        match self {
            Self::Gru { .. } => 3,
            Self::Lstm { .. } => 4,
            Self::Rnn => 1,
        }
    }

    /// Whether the cell has a cell state c in addition to h.
    pub fn has_c(self) -> bool {
        matches!(self, Self::Lstm { .. })
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gru { reset, update } => {
                let reset = if *reset == Reset::Before { "before" } else { "after" };
                let update = if *update == Update::Keeps { "keeps" } else { "takes" };
                write!(f, "GRU (reset {reset}, update {update})")
            }
            Self::Lstm { forget: Forget::Own } => write!(f, "LSTM"),
            Self::Lstm { forget: Forget::Coupled } => write!(f, "LSTM (forget coupled)"),
            Self::Rnn => write!(f, "RNN"),
        }
    }
}
