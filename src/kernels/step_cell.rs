//! Which step kernel: the cell with the flags that its pipeline is specialised for.

use super::{Shader, step_gru_after, step_gru_before, step_lstm, step_rnn};

/// Which step, or part of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StepCell {
    /// A GRU's whole step, reset after.
    GruAfter {
        /// z takes the candidate.
        takes: bool,
    },
    /// A GRU's gates, reset before.
    GruBeforeGates,
    /// A GRU's candidate and update, reset before.
    GruBeforeCandidate {
        /// z takes the candidate.
        takes: bool,
    },
    /// An LSTM's whole step.
    Lstm,
    /// An RNN's whole step.
    Rnn {
        /// relu, else tanh.
        relu: bool,
    },
}

impl StepCell {
    pub(super) fn shader(self) -> &'static Shader {
        match self {
            Self::GruAfter { .. } => &step_gru_after::SHADER,
            Self::GruBeforeGates => &step_gru_before::GATES,
            Self::GruBeforeCandidate { .. } => &step_gru_before::CANDIDATE,
            Self::Lstm => &step_lstm::SHADER,
            Self::Rnn { .. } => &step_rnn::SHADER,
        }
    }

    pub(super) fn constant(self) -> Option<(&'static str, f64)> {
        let flag = |on: bool| f64::from(u8::from(on));
        match self {
            Self::GruAfter { takes } | Self::GruBeforeCandidate { takes } => Some(("TAKES", flag(takes))),
            Self::Rnn { relu } => Some(("RELU", flag(relu))),
            Self::GruBeforeGates | Self::Lstm => None,
        }
    }

    /// The gates whose recurrent product this kernel computes.
    pub(super) fn products(self) -> u32 {
        match self {
            Self::GruBeforeGates => 2,
            Self::GruBeforeCandidate { .. } => 1,
            Self::GruAfter { .. } | Self::Lstm | Self::Rnn { .. } => self.gates(),
        }
    }

    /// G.
    pub fn gates(self) -> u32 {
        match self {
            Self::GruAfter { .. } | Self::GruBeforeGates | Self::GruBeforeCandidate { .. } => 3,
            Self::Lstm => 4,
            Self::Rnn { .. } => 1,
        }
    }
}
