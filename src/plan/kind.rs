//! The key of a measurement: a shape and a kind of kernel, their texts, and their distances from others.

use std::fmt;
use std::str::FromStr;

use super::{Recurrence, Strategy};
use crate::dims::Dims;
use crate::dtype::{Precision, Storage};
use crate::kernels::{Recurrent, Rows, matrices, persistent};
use crate::model::{Cell, Forget, Layer, Reset};

/// A doubling, in distances.
pub(super) const OCTAVE: u64 = 256;
/// The distance of a kernel from another of its strategy and rows.
const SIBLING: u64 = OCTAVE / 2;
/// The distance from all others.
const OTHER: u64 = OCTAVE;

/// A kind of layer: all kernels for it do the same work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Family {
    GruAfter,
    GruBefore,
    Lstm,
    Rnn,
}

/// A layer and a batch. Its text is as `wgru bench` names cases: `gru-b16-t50-i64-h64`, then `-bi` for both
/// directions, and `-before` for a GRU that resets before the product. `-f16` or `-bf16` stands for weights and
/// activations, `-f16-f32` for weights in f16 and activations in f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    family: Family,
    /// D
    dirs: usize,
    /// B
    batch: usize,
    /// T
    steps: usize,
    /// I, as the projection has it.
    input: usize,
    /// H
    hidden: usize,
    precision: Precision,
}

impl Shape {
    /// The shape of `layer` with so many columns to project. `None` for LSTMs with a projection or a coupled gate: no
    /// samples are taken of them, since their kernels do other work.
    pub(super) fn new(layer: &Layer, input: usize, dims: Dims, precision: Precision) -> Option<Self> {
        let family = match layer.cell() {
            Cell::Gru { reset: Reset::After, .. } => Family::GruAfter,
            Cell::Gru { reset: Reset::Before, .. } => Family::GruBefore,
            Cell::Lstm { forget: Forget::Coupled } => return None,
            Cell::Lstm { .. } => Family::Lstm,
            Cell::Rnn => Family::Rnn,
        };
        let (dirs, hidden) = (layer.direction().count(), layer.hidden());
        let Dims { batch, steps } = dims;
        let shape = Self { family, dirs, batch, steps, input, hidden, precision };
        layer.projection().is_none().then_some(shape)
    }

    /// The distance in octaves. H changes a kernel most, B its tiles, I and T the balance of its parts. `None` where
    /// the two shapes are not comparable.
    pub(super) fn distance(&self, other: &Self) -> Option<u64> {
        let of = |one: usize, other: usize| octaves(one).abs_diff(octaves(other));
        let near = 4 * of(self.hidden, other.hidden)
            + 4 * of(self.dirs, other.dirs)
            + 2 * of(self.batch, other.batch)
            + of(self.input, other.input)
            + of(self.steps, other.steps);
        (self.family == other.family && self.precision == other.precision).then_some(near / 4)
    }
}

/// log₂ of a size, linear between powers of two.
fn octaves(size: usize) -> u64 {
    let size = size.max(1) as u128;
    let whole = size.ilog2();
    u64::from(whole) * OCTAVE + ((size * u128::from(OCTAVE)) >> whole) as u64 - OCTAVE
}

/// A kind of kernel, which tells a candidate from the others whatever their number and order. Its text is the
/// strategy and these parts:
///
/// * `-r` rows side by side;
/// * of a step `-t` tiles of rows and `-u` units of a thread, or `-m` rows of its cooperative matrices in place of units;
/// * `-s` threads of a unit, of a step only where there are several;
/// * `-gates` where each gate of a unit has so many threads;
/// * of a multi-workgroup kernel `-g` workgroups;
/// * `-packed` for two weights to a register;
/// * `-k` blocks of a thread's share of k in registers, where it loads the rest in every step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Way {
    strategy: Strategy,
    rows: u32,
    /// 1 where the strategy has no tiles; likewise below.
    tiles: u32,
    units: u32,
    split: u32,
    groups: u32,
    /// Whether a thread has one gate of its unit.
    one_gate: bool,
    packed: bool,
    /// Rows of the cooperative matrices of a step, 0 without them.
    side: u32,
    /// 0 where it keeps all weights, or none.
    held: u32,
}

impl Way {
    fn plain(strategy: Strategy, rows: u32) -> Self {
        let one_gate = false;
        Self {
            strategy,
            rows,
            tiles: 1,
            units: 1,
            split: 1,
            groups: 1,
            one_gate,
            packed: false,
            side: 0,
            held: 0,
        }
    }

    /// The kind of a recurrence.
    pub(super) fn of(recurrence: &Recurrence) -> Option<Self> {
        let whole = |strategy, rows: Rows, shape: persistent::Shape| {
            let packed = shape.keep == persistent::Keep::Packed;
            let held = if shape.rest > 0 { shape.held() } else { 0 };
            let one_gate = shape.has_one_gate();
            Self { split: shape.split, one_gate, packed, held, ..Self::plain(strategy, rows.count()) }
        };
        match recurrence {
            Recurrence::Step(kernels) => match kernels.first() {
                Some(Recurrent::StepMatrices(kernel)) => {
                    let shape = kernel.shape;
                    let plain = Self::plain(Strategy::Step, matrices::ROWS.count());
                    Some(Self { tiles: shape.tiles(), side: shape.matrices.side, ..plain })
                }
                Some(Recurrent::Step(kernel)) => {
                    let shape = kernel.shape;
                    let plain = Self::plain(Strategy::Step, kernel.rows.count());
                    Some(Self { tiles: shape.tiles, units: shape.units, split: shape.split, ..plain })
                }
                _ => None,
            },
            Recurrence::Persistent(kernel) => {
                let streamed = kernel.shape.keep == persistent::Keep::Streamed;
                let strategy = if streamed { Strategy::Streamed } else { Strategy::Persistent };
                Some(whole(strategy, kernel.rows, kernel.shape))
            }
            Recurrence::MultiWorkgroup { kernel, .. } => {
                let whole = whole(Strategy::MultiWorkgroup, kernel.rows, kernel.shape);
                Some(Self { groups: kernel.groups(), ..whole })
            }
        }
    }

    pub(super) fn distance(&self, other: &Self) -> u64 {
        match self {
            _ if self == other => 0,
            _ if (self.strategy, self.rows, self.side) == (other.strategy, other.rows, other.side) => SIBLING,
            _ => OTHER,
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, before) = match self.family {
            Family::GruAfter => ("gru", ""),
            Family::GruBefore => ("gru", "-before"),
            Family::Lstm => ("lstm", ""),
            Family::Rnn => ("rnn", ""),
        };
        let Self { dirs, batch, steps, input, hidden, .. } = self;
        let both = if *dirs > 1 { "-bi" } else { "" };
        write!(f, "{name}-b{batch}-t{steps}-i{input}-h{hidden}{both}{before}")?;
        let Precision { weights, activations } = self.precision;
        match (weights, activations) {
            (Storage::F32, Storage::F32) => Ok(()),
            (weights, activations) if weights == activations => write!(f, "-{weights}"),
            (weights, activations) => write!(f, "-{weights}-{activations}"),
        }
    }
}

impl FromStr for Shape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || format!("{text} is no shape as gru-b16-t50-i64-h64");
        let mut words = text.split('-');
        let family = match words.next() {
            Some("gru") => Family::GruAfter,
            Some("lstm") => Family::Lstm,
            Some("rnn") => Family::Rnn,
            _ => return Err(unknown()),
        };
        let precision = Precision::default();
        let mut shape = Self { family, dirs: 1, batch: 0, steps: 0, input: 0, hidden: 0, precision };
        let mut stored = 0;
        for word in words {
            let storage = [Storage::F32, Storage::F16, Storage::Bf16];
            match storage.into_iter().find(|storage| storage.to_string() == word) {
                Some(storage) if stored == 0 => {
                    (stored, shape.precision) = (1, Precision { weights: storage, activations: storage });
                }
                Some(storage) => shape.precision.activations = storage,
                None if word == "bi" => shape.dirs = 2,
                None if word == "before" => shape.family = Family::GruBefore,
                None => {
                    let place = match word.chars().next() {
                        Some('b') => &mut shape.batch,
                        Some('t') => &mut shape.steps,
                        Some('i') => &mut shape.input,
                        Some('h') => &mut shape.hidden,
                        _ => return Err(unknown()),
                    };
                    *place = word[1..].parse().map_err(|_| unknown())?;
                }
            }
        }
        let sizes = [shape.batch, shape.steps, shape.input, shape.hidden];
        // Each shape has exactly one text.
        if sizes.contains(&0) || shape.to_string() != text { Err(unknown()) } else { Ok(shape) }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { strategy, rows, tiles, units, split, groups, one_gate, packed, side, held } = self;
        write!(f, "{strategy}-r{rows}")?;
        match strategy {
            Strategy::Step if *side > 0 => write!(f, "-t{tiles}-m{side}")?,
            Strategy::Step if *split > 1 => write!(f, "-t{tiles}-u{units}-s{split}")?,
            Strategy::Step => write!(f, "-t{tiles}-u{units}")?,
            Strategy::Persistent | Strategy::Streamed => write!(f, "-s{split}")?,
            Strategy::MultiWorkgroup => write!(f, "-s{split}-g{groups}")?,
        }
        f.write_str(if *one_gate { "-gates" } else { "" })?;
        f.write_str(if *packed { "-packed" } else { "" })?;
        match strategy {
            Strategy::Persistent | Strategy::MultiWorkgroup if *held > 0 => write!(f, "-k{held}"),
            _ => Ok(()),
        }
    }
}

impl FromStr for Way {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || format!("{text} is no candidate as step-r4-t2-u1 or persistent-r4-s1");
        let mut words = text.split('-');
        let strategy = words.next().and_then(|word| word.parse().ok()).ok_or_else(unknown)?;
        let mut way = Self::plain(strategy, 1);
        for word in words {
            let place = match word.chars().next() {
                _ if word == "gates" => {
                    way.one_gate = true;
                    continue;
                }
                Some('r') => &mut way.rows,
                Some('t') => &mut way.tiles,
                Some('u') => &mut way.units,
                Some('s') => &mut way.split,
                Some('g') => &mut way.groups,
                Some('m') => &mut way.side,
                Some('k') => &mut way.held,
                _ if word == "packed" => {
                    way.packed = true;
                    continue;
                }
                _ => return Err(unknown()),
            };
            *place = word[1..].parse().map_err(|_| unknown())?;
        }
        // Each candidate has exactly one text, without parts that its strategy does not have.
        if way.to_string() == text { Ok(way) } else { Err(unknown()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_round_trip() {
        for text in [
            "gru-b16-t50-i64-h64",
            "gru-b16-t50-i64-h64-bi-before-bf16",
            "lstm-b1-t1000-i1-h3-f16-f32",
            "rnn-b1-t1-i1-h1-f32-f16",
        ] {
            assert_eq!(text.parse::<Shape>().unwrap().to_string(), text);
        }
        for text in [
            "step-r4-t2-u1",
            "step-r1-t1-u1-s8",
            "step-r4-t8-m16",
            "persistent-r1-s2-packed",
            "streamed-r4-s1",
            "multi_workgroup-r1-s2-g8",
            "persistent-r1-s1-k2",
            "multi_workgroup-r4-s2-g8-packed-k1",
            "persistent-r1-s2-gates",
            "multi_workgroup-r1-s1-g4-gates-packed",
        ] {
            assert_eq!(text.parse::<Way>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "gru",
            "conv-b1-t1-i1-h1",
            "gru-b1-t1-i1",
            "gru-b0-t1-i1-h1",
            "gru-t1-b1-i1-h1",
            "gru-b1-t1-i1-h1-x",
            "gru-b1-t1-i1-h1-f32",
            "gru-b1-t1-i1-h1-é",
            "lstm-b1-t1-i1-h1-before",
            "gru-b01-t1-i1-h1",
            "gru-b1-t1-i1-h-1",
        ] {
            assert!(text.parse::<Shape>().is_err(), "{text}");
        }
        for text in [
            "",
            "fast-r1",
            "step-r4-t2",
            "step-r4-t2-u1-s1",
            "step-r4-t2-u1-m8",
            "step-r4-t2-m0",
            "persistent-r1-s",
            "streamed-r1-s1-é",
            "step-r1-t1-u1-k2",
            "streamed-r1-s1-k2",
            "persistent-r1-s1-k0",
            "persistent-r1-k2-s1",
            "persistent-r1-s1-k2-packed",
            "persistent-r1-s1-packed-gates",
        ] {
            assert!(text.parse::<Way>().is_err(), "{text}");
        }
    }

    #[test]
    fn doublings_are_whole_and_sizes_between_them_in_order() {
        let all: Vec<u64> = (1..=1024).map(octaves).collect();
        assert!(all.is_sorted());
        assert_eq!([1, 2, 3, 64, 1024].map(octaves), [0, OCTAVE, OCTAVE * 3 / 2, 6 * OCTAVE, 10 * OCTAVE]);
        assert!(octaves(usize::MAX) <= 64 * OCTAVE);
    }

    #[test]
    fn layers_of_different_kinds_do_not_correct_each_other() {
        let of = |one: &str, other: &str| one.parse::<Shape>().unwrap().distance(&other.parse().unwrap());
        let all = ["gru-b1-t1-i1-h64", "gru-b1-t1-i1-h64-before", "rnn-b1-t1-i1-h64", "gru-b1-t1-i1-h64-f16"];
        for one in all {
            for other in all {
                assert_eq!(of(one, other), (one == other).then_some(0));
            }
        }
        assert_eq!(of("gru-b1-t1-i1-h64", "gru-b1-t1-i1-h128"), Some(OCTAVE));
        assert_eq!(of("gru-b1-t1-i1-h64", "gru-b4-t1-i1-h64"), Some(OCTAVE));
        assert_eq!(of("gru-b1-t16-i1-h64", "gru-b1-t1-i1-h64-bi"), Some(2 * OCTAVE));
    }
}
