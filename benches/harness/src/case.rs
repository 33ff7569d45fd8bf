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
//!
//! deep-b96-t1667-h384   LSTM layers of which every other one is reverse, the first included: 5 [-l5], and I = H [-i384]
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
    /// Every other layer is reverse, the first included, and the others forward.
    pub alternating: bool,
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
            alternating: false,
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

    /// The shape of a basecaller's recurrent part: five LSTM layers as wide as their input, in alternating directions.
    pub fn deep([batch, steps, hidden]: [usize; 3]) -> Self {
        Self { layers: 5, alternating: true, ..Self::new(Cell::LSTM, [batch, steps, hidden, hidden]) }
    }

    /// Whether it is a stream: steps of it can be computed one by one.
    pub fn is_step(&self) -> bool {
        self.steps == 1 && !self.bidirectional && !self.alternating && !self.ragged
    }

    fn direction(&self, layer: usize) -> Direction {
        match (self.bidirectional, self.alternating) {
            (true, _) => Direction::Bidirectional,
            (false, true) if layer.is_multiple_of(2) => Direction::Reverse,
            _ => Direction::Forward,
        }
    }

    /// The model, with weights drawn at the scale PyTorch initialises with, 1/√H.
    ///
    /// # Errors
    /// Sizes of 0, or sizes that overflow.
    pub fn model(&self, rng: &mut fastrand::Rng) -> wgru::Result<Model> {
        let rows = wgru::dims::product("G·H", &[self.cell.gates(), self.hidden])?;
        let scale = 1.0 / (self.hidden as f32).sqrt();
        let mut layers = Vec::new();
        for index in 0..self.layers {
            let direction = self.direction(index);
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
        let dirs = self.direction(0).count();
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
        let name = self.cell.name();
        let Self { batch, steps, input, hidden, layers, .. } = self;
        if self.alternating {
            write!(f, "deep-b{batch}-t{steps}-h{hidden}")?;
            if input != hidden {
                write!(f, "-i{input}")?;
            }
        } else {
            write!(f, "{name}-b{batch}-t{steps}-i{input}-h{hidden}")?;
        }
        if *layers != if self.alternating { 5 } else { 1 } {
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
        let mut case = match words.next() {
            Some("gru") => Self::new(Cell::GRU, [0; 4]),
            Some("lstm") => Self::new(Cell::LSTM, [0; 4]),
            Some("rnn") => Self::new(Cell::Rnn, [0; 4]),
            Some("deep") => Self::deep([0; 3]),
            other => {
                let reason = format!("begins with gru, lstm, rnn or deep, not \"{}\"", other.unwrap_or(""));
                return Err(wrong(reason));
            }
        };
        for word in words {
            case.set(word).map_err(wrong)?;
        }
        if case.alternating && case.bidirectional {
            return Err(wrong("layers of deep have one direction each, so -bi does not apply".into()));
        }
        if case.alternating && case.input == 0 {
            case.input = case.hidden;
        }
        for (letter, size) in [("b", case.batch), ("t", case.steps), ("h", case.hidden), ("i", case.input)] {
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
            "deep-b4-t1667-h96",
            "deep-b4-t200-h384-i16-l2-f16",
        ] {
            assert_eq!(name.parse::<Case>().unwrap().to_string(), name);
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (name, word) in [
            ("conv-b1", "conv"),
            ("", "gru, lstm, rnn or deep"),
            ("deep-b1-t1-h4-bi", "-bi"),
            ("deep-b1-t1", "-h"),
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

    #[test]
    fn deep_stacks_alternate() {
        let case: Case = "deep-b2-t3-h4".parse().unwrap();
        let model = case.model(&mut fastrand::Rng::with_seed(1)).unwrap();
        let directions: Vec<Direction> = model.layers().iter().map(Layer::direction).collect();
        let (reverse, forward) = (Direction::Reverse, Direction::Forward);
        assert_eq!(directions, [reverse, forward, reverse, forward, reverse]);
        assert_eq!((model.input(), model.hidden(), case.is_step()), (4, 4, false));
    }
}
