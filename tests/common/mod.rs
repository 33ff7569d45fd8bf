//! What every suite needs: the devices to run on, models and inputs drawn at random, comparison.

#![allow(dead_code, reason = "each suite uses a part")]

use wgru::model::{Reset, Update};
use wgru::reference::{self, Tolerance, compare};
use wgru::{Batch, Cell, Device, Dims, Direction, Layer, Model, Output, Readout, ReadoutSteps, Weights};

/// Every adapter of the machine. Fails where there is none, for a suite that runs on nothing proves nothing.
pub fn adapters() -> Vec<Device> {
    let adapters = Device::all_adapters().unwrap_or_else(|error| panic!("{error}"));
    assert!(!adapters.is_empty(), "no GPU adapter found; `cargo xtask test` installs software drivers");
    adapters
}

/// Every adapter, and the CPU path.
pub fn devices() -> Vec<Device> {
    let mut all = adapters();
    all.push(Device::cpu());
    all
}

/// Every cell in every convention.
pub fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for reset in [Reset::Before, Reset::After] {
        for update in [Update::Keeps, Update::Takes] {
            cells.push(Cell::Gru { reset, update });
        }
    }
    cells.push(Cell::LSTM);
    cells.push(Cell::Rnn);
    cells
}

/// Numbers drawn afresh each time; `WGRU_SEED` repeats a run, whose seed is in every failure's message.
pub struct Draw {
    rng: fastrand::Rng,
    pub seed: u64,
}

impl Draw {
    pub fn new() -> Self {
        let seed = std::env::var("WGRU_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| fastrand::u64(..));
        Self { rng: fastrand::Rng::with_seed(seed), seed }
    }

    /// `len` values in −scale .. scale.
    pub fn values(&mut self, len: usize, scale: f32) -> Vec<f32> {
        (0..len).map(|_| (self.rng.f32() * 2.0 - 1.0) * scale).collect()
    }

    pub fn size(&mut self, range: std::ops::RangeInclusive<usize>) -> usize {
        self.rng.usize(range)
    }

    pub fn chance(&mut self) -> bool {
        self.rng.bool()
    }

    /// A stack of forward layers.
    pub fn model(&mut self, cell: Cell, input: usize, hidden: usize, layers: usize) -> Model {
        self.model_of(cell, Direction::Forward, input, hidden, layers)
    }

    /// Any of the three directions.
    pub fn direction(&mut self) -> Direction {
        [Direction::Forward, Direction::Reverse, Direction::Bidirectional][self.size(0..=2)]
    }

    /// A stack with weights of the scale that PyTorch initialises with, 1/√H.
    pub fn model_of(
        &mut self,
        cell: Cell,
        direction: Direction,
        input: usize,
        hidden: usize,
        layers: usize,
    ) -> Model {
        let rows = cell.gates() * hidden;
        let scale = 1.0 / (hidden as f32).sqrt();
        let biased = self.chance();
        let mut stack = Vec::new();
        for index in 0..layers {
            let input = if index == 0 { input } else { direction.count() * hidden };
            let weights = (0..direction.count())
                .map(|_| Weights {
                    w_ih: self.values(rows * input, scale),
                    w_hh: self.values(rows * hidden, scale),
                    b_ih: biased.then(|| self.values(rows, scale)),
                    b_hh: biased.then(|| self.values(rows, scale)),
                    ..Weights::default()
                })
                .collect();
            let layer = Layer::new(cell, direction, input, hidden, weights);
            stack.push(layer.expect("sizes fit"));
        }
        Model::new(stack).expect("layers fit")
    }

    /// `model` with a readout.
    pub fn with_readout(&mut self, model: Model, outputs: usize, steps: ReadoutSteps) -> Model {
        let input = model.output();
        let w = self.values(outputs * input, 1.0 / (input as f32).sqrt());
        let b = self.chance().then(|| self.values(outputs, 0.5));
        let readout = Readout::new(input, outputs, steps, w, b).expect("sizes fit");
        model.with_readout(readout).expect("the readout fits")
    }
}

/// A batch that owns its arrays.
pub struct Inputs {
    pub dims: Dims,
    pub x: Vec<f32>,
    pub h0: Option<Vec<f32>>,
    pub c0: Option<Vec<f32>>,
    pub lengths: Option<Vec<u32>>,
    pub input: usize,
}

impl Inputs {
    /// Random x, and initial states half of the time.
    pub fn draw(draw: &mut Draw, model: &Model, batch: usize, steps: usize) -> Self {
        let dims = Dims::new(batch, steps).expect("not zero");
        let states = model.states() * batch * model.hidden();
        Self {
            dims,
            x: draw.values(batch * steps * model.input(), 1.5),
            h0: draw.chance().then(|| draw.values(states, 1.0)),
            c0: (model.cell().has_c() && draw.chance()).then(|| draw.values(states, 1.0)),
            lengths: None,
            input: model.input(),
        }
    }

    /// The same with lengths from 0 to T, and NaN in x past each end: nothing may read it.
    pub fn ragged(mut self, draw: &mut Draw) -> Self {
        let Dims { batch, steps } = self.dims;
        let lengths: Vec<u32> = (0..batch).map(|_| draw.size(0..=steps) as u32).collect();
        for (b, &length) in lengths.iter().enumerate() {
            self.x[(b * steps + length as usize) * self.input..(b + 1) * steps * self.input].fill(f32::NAN);
        }
        self.lengths = Some(lengths);
        self
    }

    pub fn batch(&self) -> Batch<'_> {
        let shape = [self.dims.batch, self.dims.steps, self.input];
        let mut batch = Batch::new(&self.x, shape).expect("x fits");
        if let Some(h0) = &self.h0 {
            batch = batch.h0(h0);
        }
        if let Some(c0) = &self.c0 {
            batch = batch.c0(c0);
        }
        if let Some(lengths) = &self.lengths {
            batch = batch.lengths(lengths);
        }
        batch
    }
}

/// Holds `got` against the reference, every array within the derived tolerance.
pub fn assert_close(model: &Model, batch: &Batch<'_>, got: &Output, context: &str) {
    let truth = reference::run(model, batch).expect("the reference runs what an engine runs");
    for comparison in compare(&truth, got, Tolerance::of(model, batch)) {
        assert!(
            comparison.passes(),
            "{context}: {} is off by {:e}, allowed {:e}",
            comparison.array,
            comparison.error,
            comparison.tolerance
        );
    }
}

/// The bits of every value.
pub fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}
