//! Used by every suite: the devices to run on, random models and inputs, comparison.

#![allow(dead_code, reason = "each suite uses a part")]

pub mod life;
pub mod onnx_file;
#[path = "../../src/seed.rs"]
pub mod seed;
pub mod told;

use std::sync::LazyLock;

use seed::Random;
use wgru::dtype::Precision;
use wgru::engine::Exchange;
use wgru::model::{Activation, Activations, Function};
use wgru::plan::{self, Fault, Strategy};
use wgru::reference::{self, Tolerance, compare};
use wgru::{
    Batch, Cell, Device, Dims, Direction, Layer, Layout, Merge, Model, Options, Output, Padding, Readout,
    ReadoutActivation, ReadoutSteps, Weights,
};

static ADAPTERS: LazyLock<Vec<Device>> = LazyLock::new(own_adapters);
static CPU: LazyLock<Device> = LazyLock::new(Device::cpu);

/// Every adapter of the machine, opened once for all tests of a process, so that they share compiled pipelines.
pub fn adapters() -> Vec<Device> {
    ADAPTERS.clone()
}

/// Cases with their numbers, each on one adapter by turns, or on every one where `WGRU_EVERY` is set: for kernels that software
/// drivers compile for minutes.
pub fn in_turn<T: Clone>(cases: Vec<T>, seed: u64) -> Vec<(usize, Device, T)> {
    let (adapters, every) = (adapters(), std::env::var_os("WGRU_EVERY").is_some());
    let mut turns = Vec::new();
    for (number, case) in cases.into_iter().enumerate() {
        for (place, device) in adapters.iter().enumerate() {
            // Also one more after each round, so that cases of two kinds by turns meet every adapter.
            let turn = seed as usize + number + number / adapters.len();
            if every || place == turn % adapters.len() {
                turns.push((number, device.clone(), case.clone()));
            }
        }
    }
    turns
}

/// Every adapter, opened for the caller alone: for tests that count a device's objects, lose it, or change its
/// limits. Fails without any adapter, since a suite that runs on none tests nothing.
pub fn own_adapters() -> Vec<Device> {
    let adapters = Device::all_adapters().unwrap_or_else(|error| panic!("{error}"));
    assert!(!adapters.is_empty(), "no GPU adapter found; `cargo xtask test` installs software drivers");
    adapters
}

/// Every adapter, and the CPU path; or the one that `WGRU_DEVICE` names, so that a suite can be run once for each of the
/// CPU's instruction sets.
pub fn devices() -> Vec<Device> {
    devices_of(adapters)
}

/// [`devices`], opened for the caller alone.
pub fn own_devices() -> Vec<Device> {
    devices_of(own_adapters)
}

fn devices_of(adapters: impl Fn() -> Vec<Device>) -> Vec<Device> {
    static NAMED: LazyLock<Option<Device>> = LazyLock::new(|| {
        let selector = std::env::var("WGRU_DEVICE").ok()?;
        Some(Device::open(&selector).unwrap_or_else(|error| panic!("WGRU_DEVICE: {error}")))
    });
    match &*NAMED {
        Some(device) => vec![device.clone()],
        None => [adapters(), vec![CPU.clone()]].concat(),
    }
}

/// [`devices`], and the reference.
pub fn everywhere() -> Vec<Device> {
    [devices(), vec![Device::reference()]].concat()
}

/// Options of engines: the strategy that `WGRU_STRATEGY` names, so that a suite can be run once for each; else the
/// planner's choice.
pub fn options() -> Options {
    let Ok(name) = std::env::var("WGRU_STRATEGY") else { return Options::default() };
    let strategy = name.parse().expect("WGRU_STRATEGY");
    let options = Options::default().strategy(strategy);
    // With one step to a dispatch workgroups do not wait, whatever the device.
    let exchange =
        plan::Exchange { workgroups: 1 << 16, workgroup_bytes: 1 << 16, steps: 1, fault: Fault::None };
    if strategy == Strategy::MultiWorkgroup {
        return options.exchange(Exchange::Forced(exchange));
    }
    options
}

/// A layer's direction, and how it merges both.
pub type Kind = (Direction, Merge);

/// Random numbers by [`Random`], and models and inputs made of them.
pub struct Draw {
    rng: Random,
    pub seed: u64,
}

impl Draw {
    pub fn new() -> Self {
        let rng = Random::new();
        Self { seed: rng.seed, rng }
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

    /// A merge of both directions of a layer, or none.
    pub fn merge(&mut self) -> Merge {
        [Merge::Concat, Merge::Sum, Merge::Mul, Merge::Average][self.size(0..=3)]
    }

    /// Layers of one number of directions each, with random kinds.
    pub fn kinds(&mut self, layers: usize) -> Vec<Kind> {
        let both = self.chance();
        let kind = |_| match both {
            true => (Direction::Bidirectional, self.merge()),
            false => ([Direction::Forward, Direction::Reverse][self.size(0..=1)], Merge::Concat),
        };
        (0..layers).map(kind).collect()
    }

    /// A stack of layers of one direction, concatenated where it is both.
    pub fn model_of(
        &mut self,
        cell: Cell,
        direction: Direction,
        input: usize,
        hidden: usize,
        layers: usize,
    ) -> Model {
        self.stack(cell, &vec![(direction, Merge::Concat); layers], input, hidden)
    }

    /// A stack of random layers that fit each other.
    pub fn any_model(&mut self, cell: Cell, input: usize, hidden: usize, layers: usize) -> Model {
        let kinds = self.kinds(layers);
        self.stack(cell, &kinds, input, hidden)
    }

    /// A stack with weights of PyTorch's initial scale, 1/√H.
    pub fn stack(&mut self, cell: Cell, kinds: &[Kind], mut input: usize, hidden: usize) -> Model {
        let rows = cell.gates() * hidden;
        let scale = 1.0 / (hidden as f32).sqrt();
        let biased = self.chance();
        let mut stack = Vec::new();
        for &(direction, merge) in kinds {
            let weights = (0..direction.count())
                .map(|_| Weights {
                    w_ih: self.values(rows * input, scale),
                    w_hh: self.values(rows * hidden, scale),
                    b_ih: biased.then(|| self.values(rows, scale)),
                    b_hh: biased.then(|| self.values(rows, scale)),
                    ..Weights::default()
                })
                .collect();
            let layer = Layer::new(cell, direction, input, hidden, weights).expect("sizes fit");
            let layer = layer.with_merge(merge).expect("of both directions, where it is one");
            input = layer.output();
            stack.push(layer);
        }
        Model::new(stack).expect("layers fit")
    }

    /// `model` with random options of each layer: activations, clips, and for an LSTM peepholes and a projection.
    pub fn with_options(&mut self, model: Model) -> Model {
        let cell = model.cell();
        let project = cell.has_c() && self.chance();
        let state = if project { self.size(1..=model.hidden() + 2) } else { model.hidden() };
        let scale = 1.0 / (model.hidden() as f32).sqrt();
        let mut input = model.input();
        let mut layers = Vec::new();
        for layer in model.layers() {
            let (direction, hidden) = (layer.direction(), layer.hidden());
            let (rows, peeps) = (cell.gates() * hidden, cell.has_c() && self.chance());
            let dress = |weights: &Weights| Weights {
                w_ih: self.values(rows * input, scale),
                w_hh: self.values(rows * state, scale),
                peepholes: peeps.then(|| self.values(3 * hidden, 1.0)),
                w_hr: project.then(|| self.values(state * hidden, scale)),
                ..weights.clone()
            };
            let weights = layer.weights().iter().map(dress).collect();
            let new = Layer::new(cell, direction, input, hidden, weights).expect("sizes fit");
            let new = new.with_merge(layer.merge()).expect("as it was");
            input = new.output();
            layers.push(self.with_functions(new));
        }
        Model::new(layers).expect("layers fit")
    }

    fn with_functions(&mut self, mut layer: Layer) -> Layer {
        if self.chance() {
            let hard = Activation::hard_sigmoid(0.2, 0.5).expect("finite");
            let soft = Activation::new(Function::Softsign, 0.0, 0.0).expect("no parameters");
            let any = Activations { gate: hard, candidate: soft, output: soft };
            let sets = (0..layer.direction().count())
                .map(|_| if self.chance() { any } else { Activations::of(layer.cell()) });
            let sets = sets.collect();
            layer = layer.with_activations(sets).expect("one set per direction");
        }
        if self.chance() {
            layer = layer.with_clip(0.75).expect("positive");
        }
        if self.chance() {
            layer = layer.with_state_clip(0.25).expect("positive");
        }
        layer
    }

    /// A layout for x and one for y, of those that a readout can read.
    pub fn layouts(&mut self) -> (Layout, Layout) {
        let any = [Layout::BatchMajor, Layout::TimeMajor];
        (any[self.size(0..=1)], any[self.size(0..=1)])
    }

    /// `model` with a readout of any activation.
    pub fn with_readout(&mut self, model: Model, outputs: usize, steps: ReadoutSteps) -> Model {
        let input = model.output();
        let w = self.values(outputs * input, 1.0 / (input as f32).sqrt());
        let b = self.chance().then(|| self.values(outputs, 0.5));
        let readout = Readout::new(input, outputs, steps, w, b).expect("sizes fit");
        let activation = ReadoutActivation::ALL[self.size(0..=5)];
        model.with_readout(readout.with_activation(activation)).expect("the readout fits")
    }
}

/// A batch that owns its arrays.
#[derive(Clone, PartialEq)]
pub struct Inputs {
    pub dims: Dims,
    pub x: Vec<f32>,
    pub h0: Option<Vec<f32>>,
    pub c0: Option<Vec<f32>>,
    pub lengths: Option<Vec<u32>>,
    pub input: usize,
    pub layouts: (Layout, Layout),
    pub padding: Padding,
}

impl Inputs {
    /// Random x, and initial states half of the time.
    pub fn draw(draw: &mut Draw, model: &Model, batch: usize, steps: usize) -> Self {
        let dims = Dims::new(batch, steps).expect("not zero");
        let [h, c] =
            [model.state_size(), model.hidden()].map(|features| model.num_states() * batch * features);
        Self {
            dims,
            x: draw.values(batch * steps * model.input(), 1.5),
            h0: draw.chance().then(|| draw.values(h, 1.0)),
            c0: (model.cell().has_c() && draw.chance()).then(|| draw.values(c, 1.0)),
            lengths: None,
            input: model.input(),
            layouts: Default::default(),
            padding: Padding::Zero,
        }
    }

    /// The same with lengths from 0 to T, and NaN in x past each end, which must not be read.
    pub fn ragged(mut self, draw: &mut Draw) -> Self {
        let Dims { batch, steps } = self.dims;
        let lengths: Vec<u32> = (0..batch).map(|_| draw.size(0..=steps) as u32).collect();
        for (b, &length) in lengths.iter().enumerate() {
            self.x[(b * steps + length as usize) * self.input..(b + 1) * steps * self.input].fill(f32::NAN);
        }
        self.lengths = Some(lengths);
        self
    }

    /// The same batch in other layouts, with x rearranged.
    pub fn laid_out(mut self, layouts: (Layout, Layout)) -> Self {
        let Dims { batch, steps } = self.dims;
        if layouts.0 != Layout::BatchMajor && self.layouts.0 == Layout::BatchMajor {
            let rows = (0..steps).flat_map(|t| (0..batch).map(move |b| b * steps + t));
            let moved = rows.flat_map(|row| self.x[row * self.input..][..self.input].to_vec()).collect();
            self.x = moved;
        }
        self.layouts = layouts;
        self
    }

    pub fn batch(&self) -> Batch<'_> {
        let Dims { batch, steps } = self.dims;
        let batch = match self.layouts.0 {
            Layout::BatchMajor => Batch::new(&self.x, [batch, steps, self.input]),
            _ => Batch::time_major(&self.x, [steps, batch, self.input]),
        };
        self.dressed(batch.expect("x fits"))
    }

    /// `batch` with every other array and option of this one.
    pub fn dressed<'a>(&'a self, batch: Batch<'a>) -> Batch<'a> {
        let mut batch = batch.output_layout(self.layouts.1).padding(self.padding);
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

/// Compares `got` with the reference, every array within the derived tolerance.
pub fn assert_close(model: &Model, batch: &Batch<'_>, got: &Output, context: &str) {
    assert_close_in(Precision::default(), model, batch, got, context);
}

/// [`assert_close`] for weights and activations of other storage types.
pub fn assert_close_in(precision: Precision, model: &Model, batch: &Batch<'_>, got: &Output, context: &str) {
    let truth = reference::run(model, batch).expect("the reference runs what an engine runs");
    for comparison in compare(&truth, got, Tolerance::stored(model, batch, precision)) {
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
