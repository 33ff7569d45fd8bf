//! What a recurrent kernel is built around: a cell, or a part of one, with the flags that its pipeline is specialised
//! for.

use std::fmt;

use super::unrolled::{self, Product};
use super::{Binding, Shader, gru_after, gru_before, lstm, rnn};
use crate::model::{Activations, Layer};

/// The cell of a step, or which part of one where a step takes two dispatches.
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

/// The cell of a whole chunk of steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WholeCell {
    /// A GRU, reset after.
    GruAfter {
        /// z takes the candidate.
        takes: bool,
    },
    /// A GRU, reset before.
    GruBefore {
        /// z takes the candidate.
        takes: bool,
    },
    /// An LSTM.
    Lstm {
        /// f = 1 − i.
        coupled: bool,
        /// It has peepholes.
        peepholes: bool,
    },
    /// An RNN.
    Rnn,
}

/// A pipeline constant that is a flag.
type Flag = (&'static str, f64);

fn flag(name: &'static str, on: bool) -> Option<Flag> {
    Some((name, f64::from(u8::from(on))))
}

/// Of a shader's bindings those that a cell has: an LSTM without peepholes, `Some(false)`, lacks the last.
fn bindings_of(shader: &'static Shader, peepholes: Option<bool>) -> &'static [Binding] {
    let all = shader.bindings;
    match peepholes {
        Some(false) => &all[..all.len() - 1],
        Some(true) | None => all,
    }
}

impl StepCell {
    pub(super) fn shader(self) -> &'static Shader {
        match self {
            Self::GruAfter { .. } => &gru_after::STEP,
            Self::GruBeforeGates => &gru_before::GATES,
            Self::GruBeforeCandidate { .. } => &gru_before::CANDIDATE,
            Self::Lstm { .. } => &lstm::STEP,
            Self::LstmCell { .. } => &lstm::CELL,
            Self::Project => &lstm::PROJECT,
            Self::Rnn => &rnn::STEP,
        }
    }

    pub(super) fn bindings(self) -> &'static [Binding] {
        bindings_of(self.shader(), self.peepholes())
    }

    /// Whether it is the first of two halves, which makes no new h.
    pub(super) fn is_half(self) -> bool {
        matches!(self, Self::GruBeforeGates | Self::LstmCell { .. })
    }

    /// Whether the vector of its product is h.
    pub(super) fn is_of_h(self) -> bool {
        !matches!(self, Self::GruBeforeCandidate { .. } | Self::Project)
    }

    /// Whether it reads xw, and has activations and clips.
    pub(super) fn has_functions(self) -> bool {
        self != Self::Project
    }

    /// Whether an LSTM has peepholes; none of another cell.
    pub(super) fn peepholes(self) -> Option<bool> {
        match self {
            Self::Lstm { peepholes, .. } | Self::LstmCell { peepholes, .. } => Some(peepholes),
            _ => None,
        }
    }

    pub(super) fn constant(self) -> Option<Flag> {
        match self {
            Self::GruAfter { takes } | Self::GruBeforeCandidate { takes } => flag("TAKES", takes),
            Self::Lstm { coupled, .. } | Self::LstmCell { coupled, .. } => flag("COUPLED", coupled),
            Self::GruBeforeGates | Self::Project | Self::Rnn => None,
        }
    }

    /// The arrays, beside that of a name of its own, that lie as the vector of the product does and not as its units.
    pub(super) fn vectors(self) -> &'static [&'static str] {
        match self {
            Self::LstmCell { .. } => &["h_prev"],
            Self::Project => &["unprojected"],
            _ => &[],
        }
    }

    /// The gates whose recurrent product this kernel computes.
    pub fn products(self) -> u32 {
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

impl WholeCell {
    pub(super) fn shader(self) -> &'static Shader {
        match self {
            Self::GruAfter { .. } => &gru_after::RESIDENT,
            Self::GruBefore { .. } => &gru_before::RESIDENT,
            Self::Lstm { .. } => &lstm::RESIDENT,
            Self::Rnn => &rnn::RESIDENT,
        }
    }

    pub(super) fn bindings(self) -> &'static [Binding] {
        bindings_of(self.shader(), self.peepholes())
    }

    pub(super) fn grouped_shader(self) -> &'static Shader {
        match self {
            Self::GruAfter { .. } => &gru_after::GROUPED,
            Self::GruBefore { .. } => &gru_before::GROUPED,
            Self::Lstm { .. } => &lstm::GROUPED,
            Self::Rnn => &rnn::GROUPED,
        }
    }

    pub(super) fn grouped_bindings(self) -> &'static [Binding] {
        bindings_of(self.grouped_shader(), self.peepholes())
    }

    /// As of [`StepCell::peepholes`].
    pub(super) fn peepholes(self) -> Option<bool> {
        match self {
            Self::Lstm { peepholes, .. } => Some(peepholes),
            _ => None,
        }
    }

    pub(super) fn constant(self) -> Option<Flag> {
        match self {
            Self::GruAfter { takes } | Self::GruBefore { takes } => flag("TAKES", takes),
            Self::Lstm { coupled, .. } => flag("COUPLED", coupled),
            Self::Rnn => None,
        }
    }

    /// The products of a step, one after the other.
    pub(super) fn products(self) -> &'static [Product] {
        const AFTER: &[Product] = &[unrolled::whole(3)];
        const LSTM: &[Product] = &[unrolled::whole(4)];
        const RNN: &[Product] = &[unrolled::whole(1)];
        match self {
            Self::GruAfter { .. } => AFTER,
            Self::GruBefore { .. } => &unrolled::BEFORE,
            Self::Lstm { .. } => LSTM,
            Self::Rnn => RNN,
        }
    }

    /// How many products a step takes, one after the other.
    pub fn product_count(self) -> u32 {
        self.products().len() as u32
    }

    /// G: the columns of its matrix are G times the units.
    pub fn gates(self) -> u32 {
        match self {
            Self::GruAfter { .. } | Self::GruBefore { .. } => 3,
            Self::Lstm { .. } => 4,
            Self::Rnn => 1,
        }
    }
}
