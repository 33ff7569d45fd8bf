//! The cell of a recurrent kernel, or a part of one, with the flags that its pipeline is specialised for.

use std::fmt;

use super::product::{self, Product};
use super::recurrence::{Arrays, Params, Sizes};
use super::source::{self, INTERLEAVE, wgsl};
use super::{Binding, Rows, Shader, gru_after, gru_before, lstm, pipelining, rnn};
use crate::dtype::{Precision, Storage};
use crate::model::{Activations, Cell, Forget, Layer, Reset, Update};

/// The cell of a step, or which part of one where a step takes two dispatches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StepCell {
    /// A GRU's whole step, reset after.
    GruAfter {
        /// z weighs the candidate, not the old state.
        takes: bool,
    },
    /// A GRU's gates, reset before.
    GruBeforeGates,
    /// A GRU's candidate and update, reset before.
    GruBeforeCandidate {
        /// z weighs the candidate, not the old state.
        takes: bool,
    },
    /// An LSTM's whole step.
    Lstm {
        /// f = 1 − i.
        coupled: bool,
        /// It has peepholes.
        peepholes: bool,
    },
    /// An LSTM's step up to the h before its projection.
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
    /// The bits of the bound to which the activations' inputs are clamped.
    clip: Option<u32>,
    /// The bits of the bound to which the new state is clamped.
    state_clip: Option<u32>,
}

impl Functions {
    /// The functions of `layer`.
    pub fn of(layer: &Layer) -> Self {
        let activations = layer.activations();
        let dirs = [0, 1].map(|dir: usize| activations[dir.min(activations.len() - 1)]);
        let bits = |clip: Option<f32>| clip.map(f32::to_bits);
        Self { dirs, clip: bits(layer.clip()), state_clip: bits(layer.state_clip()) }
    }

    fn constants(self) -> Vec<(&'static str, f64)> {
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
        /// z weighs the candidate, not the old state.
        takes: bool,
    },
    /// A GRU, reset before.
    GruBefore {
        /// z weighs the candidate, not the old state.
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

/// A pipeline constant.
type Constant = (&'static str, f64);

fn flag(name: &'static str, on: bool) -> Option<Constant> {
    Some((name, f64::from(u8::from(on))))
}

/// The pipeline constants of sizes.
fn constants_of(sizes: Sizes, gates: u32, threads: u32) -> Vec<Constant> {
    vec![
        ("K", f64::from(sizes.k)),
        ("HIDDEN", f64::from(sizes.hidden)),
        ("UNITS", f64::from(sizes.units)),
        ("N", f64::from(gates) * f64::from(sizes.units)),
        ("WIDTH", f64::from(threads)),
    ]
}

/// The bindings of `shader` that a cell has: an LSTM without peepholes, `Some(false)`, lacks the last.
fn bindings_of(shader: &'static Shader, peepholes: Option<bool>) -> &'static [Binding] {
    let all = shader.bindings;
    match peepholes {
        Some(false) => &all[..all.len() - 1],
        Some(true) | None => all,
    }
}

impl StepCell {
    /// The parts of one step of `layer`, in order.
    pub fn of(layer: &Layer) -> Vec<Self> {
        match layer.cell() {
            Cell::Gru { reset: Reset::After, update } => {
                vec![Self::GruAfter { takes: update == Update::Takes }]
            }
            Cell::Gru { reset: Reset::Before, update } => {
                let takes = update == Update::Takes;
                vec![Self::GruBeforeGates, Self::GruBeforeCandidate { takes }]
            }
            Cell::Lstm { forget } => {
                let (coupled, peepholes) = (forget == Forget::Coupled, layer.has_peepholes());
                match layer.projection() {
                    None => vec![Self::Lstm { coupled, peepholes }],
                    Some(_) => vec![Self::LstmCell { coupled, peepholes }, Self::Project],
                }
            }
            Cell::Rnn => vec![Self::Rnn],
        }
    }

    /// The files around its own, with the file of its product, and frames of a whole step and of a half.
    pub(super) fn around(
        self,
        rows: Rows,
        product: &'static str,
        frames: [&'static str; 2],
        pipelined: bool,
    ) -> Vec<&'static str> {
        let mut parts =
            vec![source::rows(rows), wgsl!("shared/recurrence.wgsl"), pipelining::text(pipelined)];
        parts.extend([wgsl!("shared/order.wgsl"), wgsl!("shared/index.wgsl")]);
        parts.extend([wgsl!("shared/not_finite.wgsl"), product]);
        parts.push(source::peepholes(self.peepholes()));
        if self.has_functions() {
            parts.extend(source::FUNCTIONS);
        }
        if self.peepholes().is_some() {
            parts.push(wgsl!("shared/c_in_place.wgsl"));
        }
        parts.push(frames[usize::from(self.is_half())]);
        parts
    }

    /// The file of the vector of its product, and the array's name.
    pub(super) fn vector(self) -> (&'static str, &'static str) {
        match self {
            Self::GruBeforeCandidate { .. } => (wgsl!("shared/of_rh.wgsl"), "rh"),
            Self::Project => (wgsl!("shared/of_unprojected.wgsl"), "unprojected"),
            _ => (wgsl!("shared/of_h.wgsl"), "h_prev"),
        }
    }

    /// The files that store y, of a kernel that does.
    pub(super) fn stores(self, storage: Storage) -> Vec<&'static str> {
        if self.is_half() { Vec::new() } else { source::stores(storage).to_vec() }
    }

    /// The pipeline constants.
    pub(super) fn constants(self, functions: Functions, sizes: Sizes, threads: u32) -> Vec<Constant> {
        let mut constants = constants_of(sizes, self.gates(), threads);
        constants.extend(self.constant());
        if self.has_functions() {
            constants.extend(functions.constants());
        }
        constants
    }

    /// The extents of its arrays.
    pub(super) fn arrays(self, sizes: Sizes, precision: Precision, rows: Rows) -> Arrays {
        Arrays { vectors: self.vectors(), gates: self.gates(), sizes, precision, rows }
    }

    /// Operations of one direction.
    pub(super) fn flops(self, sizes: Sizes, params: &Params) -> u64 {
        let products = u64::from(self.products()) * u64::from(sizes.units) * u64::from(sizes.k);
        2 * u64::from(params.batch) * products
    }

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

    /// Whether it is the first of two halves, which computes no new h.
    pub(super) fn is_half(self) -> bool {
        matches!(self, Self::GruBeforeGates | Self::LstmCell { .. })
    }

    /// Whether the vector of its product is h.
    pub(super) fn is_of_h(self) -> bool {
        !matches!(self, Self::GruBeforeCandidate { .. } | Self::Project)
    }

    /// Whether it reads xw, and has activations and clips.
    fn has_functions(self) -> bool {
        self != Self::Project
    }

    /// Whether an LSTM has peepholes; `None` for other cells.
    fn peepholes(self) -> Option<bool> {
        match self {
            Self::Lstm { peepholes, .. } | Self::LstmCell { peepholes, .. } => Some(peepholes),
            _ => None,
        }
    }

    fn constant(self) -> Option<Constant> {
        match self {
            Self::GruAfter { takes } | Self::GruBeforeCandidate { takes } => flag("TAKES", takes),
            Self::Lstm { coupled, .. } | Self::LstmCell { coupled, .. } => flag("COUPLED", coupled),
            Self::GruBeforeGates | Self::Project | Self::Rnn => None,
        }
    }

    /// The arrays with the layout of the product's vector, not of its units, that are bound by their own names.
    fn vectors(self) -> &'static [&'static str] {
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
    /// The cell of `layer`.
    pub fn of(layer: &Layer) -> Self {
        match layer.cell() {
            Cell::Gru { reset: Reset::After, update } => Self::GruAfter { takes: update == Update::Takes },
            Cell::Gru { reset: Reset::Before, update } => Self::GruBefore { takes: update == Update::Takes },
            Cell::Lstm { forget } => {
                Self::Lstm { coupled: forget == Forget::Coupled, peepholes: layer.has_peepholes() }
            }
            Cell::Rnn => Self::Rnn,
        }
    }

    /// All files of a kernel with such a frame; for an LSTM `c` is the file that declares c.
    pub(super) fn around(
        self,
        rows: Rows,
        frame: &[&'static str],
        c: &'static str,
        precision: Precision,
        pipelined: bool,
    ) -> Vec<&'static str> {
        let mut parts = vec![INTERLEAVE, source::rows(rows), wgsl!("shared/recurrence.wgsl")];
        parts.extend([pipelining::text(pipelined), source::peepholes(self.peepholes())]);
        parts.extend([wgsl!("shared/order_kept.wgsl"), wgsl!("shared/not_finite.wgsl")]);
        parts.extend(source::FUNCTIONS);
        parts.extend(frame);
        parts.extend(self.peepholes().map(|_| c));
        parts.extend([source::half(precision), source::weights(precision.weights)]);
        parts.extend(source::stores(precision.activations));
        parts.extend(self.shader().parts);
        parts
    }

    /// The pipeline constants.
    pub(super) fn constants(self, functions: Functions, hidden: u32, threads: u32) -> Vec<Constant> {
        let mut constants = constants_of(Sizes::all(hidden, hidden), self.gates(), threads);
        constants.extend(self.constant());
        constants.extend(functions.constants());
        constants
    }

    /// The extents of its arrays.
    pub(super) fn arrays(self, hidden: u32, precision: Precision, rows: Rows) -> Arrays {
        let sizes = Sizes::all(hidden, hidden);
        Arrays { vectors: &[], gates: self.gates(), sizes, precision, rows }
    }

    /// Operations of one direction.
    pub(super) fn flops(self, hidden: u32, params: &Params) -> u64 {
        let products = u64::from(self.gates()) * u64::from(hidden) * u64::from(hidden);
        2 * u64::from(params.batch) * u64::from(params.steps) * products
    }

    pub(super) fn shader(self) -> &'static Shader {
        match self {
            Self::GruAfter { .. } => &gru_after::PERSISTENT,
            Self::GruBefore { .. } => &gru_before::PERSISTENT,
            Self::Lstm { .. } => &lstm::PERSISTENT,
            Self::Rnn => &rnn::PERSISTENT,
        }
    }

    pub(super) fn bindings(self) -> &'static [Binding] {
        bindings_of(self.shader(), self.peepholes())
    }

    /// As of [`StepCell::peepholes`].
    fn peepholes(self) -> Option<bool> {
        match self {
            Self::Lstm { peepholes, .. } => Some(peepholes),
            _ => None,
        }
    }

    fn constant(self) -> Option<Constant> {
        match self {
            Self::GruAfter { takes } | Self::GruBefore { takes } => flag("TAKES", takes),
            Self::Lstm { coupled, .. } => flag("COUPLED", coupled),
            Self::Rnn => None,
        }
    }

    /// The products of a step, one after the other.
    pub(super) fn products(self) -> &'static [Product] {
        const AFTER: &[Product] = &[product::whole(3)];
        const LSTM: &[Product] = &[product::whole(4)];
        const RNN: &[Product] = &[product::whole(1)];
        match self {
            Self::GruAfter { .. } => AFTER,
            Self::GruBefore { .. } => &product::BEFORE,
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
