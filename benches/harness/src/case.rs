//! A case: a cell with its sizes, by a name such as `gru-b16-t100-i256-h256-l2-bi-f16`.
//!
//! ```text
//! gru | lstm | rnn      the cell; a GRU resets after the product
//! -b16 -t100            sequences and steps; -t1 for a session's step
//! -i256 -h256           features and hidden units
//! -l2                   layers [1]
//! -bi                   both directions
//! -before               a GRU that resets before the product
//! -ragged               lengths drawn between 1 and T
//! -f16 | -bf16          weights and activations
//! -wf16 | -wbf16        weights alone
//! ```

use std::fmt;
use std::str::FromStr;

use wgru::model::{Cell, Reset, Update};
use wgru::{Direction, Layer, Model, Options, Storage, Weights};

/// What is timed, apart from the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// The cell.
    pub cell: Cell,
    /// B.
    pub batch: usize,
    /// T.
    pub steps: usize,
    /// I.
    pub input: usize,
    /// H.
    pub hidden: usize,
    /// L.
    pub layers: usize,
    /// Both directions, or forward.
    pub bidirectional: bool,
    /// Lengths between 1 and T.
    pub ragged: bool,
    /// How weights and activations are stored.
    pub storage: Storage,
    /// Activations are in f32 whatever `storage` is.
    pub weights_alone: bool,
}

impl Case {
    /// A plain layer.
    pub fn new(cell: Cell, [batch, steps, input, hidden]: [usize; 4]) -> Self {
        let storage = Storage::F32;
        Self {
            cell,
            batch,
            steps,
            input,
            hidden,
            layers: 1,
            bidirectional: false,
            ragged: false,
            storage,
            weights_alone: false,
        }
    }

    /// The storage options for an engine.
    pub fn options(&self) -> Options {
        let activations = if self.weights_alone { Storage::F32 } else { self.storage };
        Options::default().weights(self.storage).activations(activations)
    }

    fn direction(&self) -> Direction {
        if self.bidirectional { Direction::Bidirectional } else { Direction::Forward }
    }

    /// The model, with weights drawn at the scale PyTorch initialises with, 1/√H.
    ///
    /// # Errors
    /// Sizes of 0, or sizes that overflow.
    pub fn model(&self, rng: &mut fastrand::Rng) -> wgru::Result<Model> {
        let rows = wgru::dims::product("G·H", &[self.cell.gates(), self.hidden])?;
        let scale = 1.0 / (self.hidden as f32).sqrt();
        let direction = self.direction();
        let mut layers = Vec::new();
        for index in 0..self.layers {
            let input = if index == 0 { self.input } else { direction.count() * self.hidden };
            let w_ih = wgru::dims::product("w_ih", &[rows, input])?;
            let w_hh = wgru::dims::product("w_hh", &[rows, self.hidden])?;
            let mut draw = |len| values(rng, len, scale);
            let weights = (0..direction.count()).map(|_| Weights {
                w_ih: draw(w_ih),
                w_hh: draw(w_hh),
                b_ih: Some(draw(rows)),
                b_hh: Some(draw(rows)),
                ..Weights::default()
            });
            let weights = weights.collect();
            layers.push(Layer::new(self.cell, direction, input, self.hidden, weights)?);
        }
        Model::new(layers)
    }

    /// The lengths, where the case is ragged.
    pub fn lengths(&self, rng: &mut fastrand::Rng) -> Option<Vec<u32>> {
        self.ragged.then(|| (0..self.batch).map(|_| rng.u32(1..=self.steps as u32)).collect())
    }

    /// Floating-point operations of so many real steps of a sequence: the products, without activations.
    pub fn flops(&self, steps: u64) -> f64 {
        let dirs = self.direction().count();
        let (gates, hidden) = (self.cell.gates(), self.hidden);
        let of_layer = |index: usize| {
            let input = if index == 0 { self.input } else { dirs * hidden };
            2.0 * (gates * hidden) as f64 * (input + hidden) as f64 * dirs as f64
        };
        (0..self.layers).map(of_layer).sum::<f64>() * steps as f64
    }
}

/// `len` values in −scale .. scale.
pub fn values(rng: &mut fastrand::Rng, len: usize, scale: f32) -> Vec<f32> {
    (0..len).map(|_| (rng.f32() * 2.0 - 1.0) * scale).collect()
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.cell {
            Cell::Gru { .. } => "gru",
            Cell::Lstm { .. } => "lstm",
            _ => "rnn",
        };
        let Self { batch, steps, input, hidden, layers, .. } = self;
        write!(f, "{name}-b{batch}-t{steps}-i{input}-h{hidden}")?;
        if *layers > 1 {
            write!(f, "-l{layers}")?;
        }
        if self.bidirectional {
            f.write_str("-bi")?;
        }
        if matches!(self.cell, Cell::Gru { reset: Reset::Before, .. }) {
            f.write_str("-before")?;
        }
        if self.ragged {
            f.write_str("-ragged")?;
        }
        if self.storage != Storage::F32 {
            write!(f, "-{}{}", if self.weights_alone { "w" } else { "" }, self.storage)?;
        }
        Ok(())
    }
}

impl FromStr for Case {
    type Err = String;

    /// # Errors
    /// The part of the name that is wrong, and why.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |reason: String| format!("case \"{text}\": {reason}");
        let mut words = text.trim().split('-');
        let cell = match words.next() {
            Some("gru") => Cell::GRU,
            Some("lstm") => Cell::LSTM,
            Some("rnn") => Cell::Rnn,
            other => {
                return Err(wrong(format!("begins with gru, lstm or rnn, not \"{}\"", other.unwrap_or(""))));
            }
        };
        let mut case = Self::new(cell, [0; 4]);
        for word in words {
            case.set(word).map_err(wrong)?;
        }
        for (letter, size) in [("b", case.batch), ("t", case.steps), ("i", case.input), ("h", case.hidden)] {
            if size == 0 {
                return Err(wrong(format!("needs a size of 1 or more after -{letter}")));
            }
        }
        if case.layers == 0 {
            return Err(wrong("needs 1 layer or more after -l".into()));
        }
        Ok(case)
    }
}

impl Case {
    fn set(&mut self, word: &str) -> Result<(), String> {
        match word {
            "bi" => self.bidirectional = true,
            "ragged" => self.ragged = true,
            "f16" | "bf16" | "wf16" | "wbf16" => {
                self.storage = if word.ends_with("bf16") { Storage::Bf16 } else { Storage::F16 };
                self.weights_alone = word.starts_with('w');
            }
            "before" if self.cell == Cell::GRU => {
                self.cell = Cell::Gru { reset: Reset::Before, update: Update::Keeps };
            }
            _ => {
                let unknown = || format!("\"-{word}\" is not known; see `wgru bench --help`");
                let letter = word.chars().next().ok_or_else(unknown)?;
                let place = match letter {
                    'b' => &mut self.batch,
                    't' => &mut self.steps,
                    'i' => &mut self.input,
                    'h' => &mut self.hidden,
                    'l' => &mut self.layers,
                    _ => return Err(unknown()),
                };
                *place = word[1..].parse().map_err(|_| unknown())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_there_and_back() {
        for name in [
            "gru-b16-t100-i256-h256",
            "lstm-b1-t1-i64-h64-l2-bi-f16",
            "rnn-b3-t2-i1-h5-ragged-bf16",
            "gru-b16-t100-i64-h64-before",
            "lstm-b4-t2-i8-h8-wf16",
            "gru-b4-t2-i8-h8-wbf16",
        ] {
            assert_eq!(name.parse::<Case>().unwrap().to_string(), name);
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (name, word) in [
            ("conv-b1", "conv"),
            ("", "gru, lstm or rnn"),
            ("gru-b16-t100-i256", "-h"),
            ("gru-b0-t1-i1-h1", "-b"),
            ("gru-b1-t1-i1-h1-x", "-x"),
            ("gru-b1-t1-i1-h1-b", "-b"),
            ("gru-b1-t1-i1-h1-é", "-é"),
            ("lstm-b1-t1-i1-h1-before", "-before"),
            ("gru-b1-t1-i1-h-5", "-h"),
            ("gru-b1-t1-i1-h1-l0", "-l"),
        ] {
            let error = name.parse::<Case>().unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn operations_are_counted() {
        let case: Case = "gru-b1-t1-i2-h4".parse().unwrap();
        // Three gates of 4 units over 2 + 4 terms, a product and an addition each.
        assert_eq!(case.flops(1), 144.0);
        let case: Case = "lstm-b1-t1-i2-h4-l2-bi".parse().unwrap();
        assert_eq!(case.flops(10), 10.0 * 2.0 * (2.0 * 16.0 * 6.0 + 2.0 * 16.0 * 12.0));
    }
}
