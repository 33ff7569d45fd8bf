//! Which step kernel: the cell with the flags that its pipeline is specialised for.

use std::fmt;

use super::{Binding, Shader, step_gru_after, step_gru_before, step_lstm, step_rnn};
use crate::model::{Activations, Layer};

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
    Lstm {
        /// f = 1 − i.
        coupled: bool,
        /// It has peepholes.
        peepholes: bool,
    },
    /// An LSTM's step up to the h that is to be projected.
    LstmCell {
        /// f = 1 − i.
        coupled: bool,
        /// It has peepholes.
        peepholes: bool,
    },
    /// The projection of an LSTM's h.
    Project,
    /// An RNN's whole step.
    Rnn,
}

/// The functions of a layer that its pipeline is specialised for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Functions {
    /// The activations of each direction; the second is not used where D is 1.
    pub dirs: [Activations; 2],
    /// The bits of what the activations' inputs are clamped to.
    clip: Option<u32>,
    /// The bits of what the new state is clamped to.
    state_clip: Option<u32>,
}

impl Functions {
    /// Those of `layer`.
    pub fn of(layer: &Layer) -> Self {
        let activations = layer.activations();
        let dirs = [0, 1].map(|dir: usize| activations[dir.min(activations.len() - 1)]);
        let bits = |clip: Option<f32>| clip.map(f32::to_bits);
        Self { dirs, clip: bits(layer.clip()), state_clip: bits(layer.state_clip()) }
    }

    pub(super) fn constants(self) -> Vec<(&'static str, f64)> {
        const NAMES: [[[&str; 3]; 3]; 2] = [
            [
                ["GATE0", "GATE0_ALPHA", "GATE0_BETA"],
                ["CANDIDATE0", "CANDIDATE0_ALPHA", "CANDIDATE0_BETA"],
                ["OUTPUT0", "OUTPUT0_ALPHA", "OUTPUT0_BETA"],
            ],
            [
                ["GATE1", "GATE1_ALPHA", "GATE1_BETA"],
                ["CANDIDATE1", "CANDIDATE1_ALPHA", "CANDIDATE1_BETA"],
                ["OUTPUT1", "OUTPUT1_ALPHA", "OUTPUT1_BETA"],
            ],
        ];
        let mut constants = Vec::new();
        for (names, activations) in NAMES.iter().zip(self.dirs) {
            let all = [activations.gate, activations.candidate, activations.output];
            for ([function, alpha, beta], activation) in names.iter().zip(all) {
                // Function::ALL is in the shaders' order, which is the order of declaration.
                constants.push((*function, f64::from(activation.function() as u8)));
                constants.push((*alpha, f64::from(activation.alpha())));
                constants.push((*beta, f64::from(activation.beta())));
            }
        }
        constants.push(("ONE_SET", f64::from(u8::from(self.dirs[0] == self.dirs[1]))));
        for (clips, bound, clip) in
            [("CLIPS", "CLIP", self.clip), ("STATE_CLIPS", "STATE_CLIP", self.state_clip)]
        {
            constants.push((clips, f64::from(u8::from(clip.is_some()))));
            constants.push((bound, f64::from(clip.map_or(0.0, f32::from_bits))));
        }
        constants
    }
}

impl fmt::Display for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second] = self.dirs;
        let one = |a: Activations| format!("{}, {}, {}", a.gate, a.candidate, a.output);
        f.write_str(&one(first))?;
        if second != first {
            write!(f, " and {}", one(second))?;
        }
        for (name, clip) in [("clip", self.clip), ("state clip", self.state_clip)] {
            if let Some(clip) = clip {
                write!(f, ", {name} {}", f32::from_bits(clip))?;
            }
        }
        Ok(())
    }
}

impl StepCell {
    pub(super) fn shader(self) -> &'static Shader {
        match self {
            Self::GruAfter { .. } => &step_gru_after::SHADER,
            Self::GruBeforeGates => &step_gru_before::GATES,
            Self::GruBeforeCandidate { .. } => &step_gru_before::CANDIDATE,
            Self::Lstm { .. } => &step_lstm::STEP,
            Self::LstmCell { .. } => &step_lstm::CELL,
            Self::Project => &step_lstm::PROJECT,
            Self::Rnn => &step_rnn::SHADER,
        }
    }

    /// The bindings of its shader; of an LSTM without peepholes, all but those.
    pub(super) fn bindings(self) -> &'static [Binding] {
        let all = self.shader().bindings;
        match self.peepholes() {
            Some(false) => &all[..all.len() - 1],
            Some(true) | None => all,
        }
    }

    /// Whether an LSTM has peepholes; none of another cell.
    pub(super) fn peepholes(self) -> Option<bool> {
        match self {
            Self::Lstm { peepholes, .. } | Self::LstmCell { peepholes, .. } => Some(peepholes),
            _ => None,
        }
    }

    pub(super) fn constant(self) -> Option<(&'static str, f64)> {
        let flag = |on: bool| f64::from(u8::from(on));
        match self {
            Self::GruAfter { takes } | Self::GruBeforeCandidate { takes } => Some(("TAKES", flag(takes))),
            Self::Lstm { coupled, .. } | Self::LstmCell { coupled, .. } => Some(("COUPLED", flag(coupled))),
            Self::GruBeforeGates | Self::Project | Self::Rnn => None,
        }
    }

    /// Whether the array of this name is the vector of the product, or lies as it does.
    pub(super) fn is_vector(self, name: &str) -> bool {
        match self {
            Self::LstmCell { .. } => name == "h_prev",
            Self::Project => name == "unprojected",
            _ => false,
        }
    }

    /// The gates whose recurrent product this kernel computes.
    pub(super) fn products(self) -> u32 {
        match self {
            Self::GruBeforeGates => 2,
            Self::GruBeforeCandidate { .. } => 1,
            _ => self.gates(),
        }
    }

    /// G: the columns of its matrix are G times the units.
    pub fn gates(self) -> u32 {
        match self {
            Self::GruAfter { .. } | Self::GruBeforeGates | Self::GruBeforeCandidate { .. } => 3,
            Self::Lstm { .. } | Self::LstmCell { .. } => 4,
            Self::Project | Self::Rnn => 1,
        }
    }
}
