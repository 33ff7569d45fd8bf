//! The CPU path: f32, vectors of the machine's instruction sets, and the device's threads.
//!
//! A product is one chain of sums for each row and unit, k in order, whatever else is computed at the same time (`product.rs`).
//! So sequences and session steps, batches of any size and any number of threads give the same bits. So do all instruction sets
//! that round a · b + c once.

mod activation;
mod barrier;
#[cfg(not(target_arch = "wasm32"))]
mod calibrate;
mod caught;
mod contention;
mod direction;
mod gates;
mod given;
#[cfg(all(test, measure))]
mod measure;
#[cfg(all(test, wgru_loom))]
mod models;
mod panel;
mod pieces;
mod primitives;
mod product;
mod readout;
mod run;
mod shared;
mod simd;
mod split;
mod stop;
mod team;
mod tiles;
mod times;
mod walk;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use caught::{caught, failed};
use direction::Direction;
pub(crate) use given::{Given, Targets};
use panel::Lines;
use readout::Dense;
#[cfg(feature = "gpu")]
pub(crate) use readout::activate;
use run::{Barriers, Run, Sizes};

pub use simd::InstructionSet;
use simd::{Level, at_level};
use split::Split;
use stop::Stop;
use team::{Late, Lease, Team, cores};
use walk::Own;

use crate::dims::Dims;
use crate::dtype::Precision;
use crate::error::{Error, Result};
use crate::io::RunShape;
use crate::model::Model;
use crate::progress::{Progress, Tally};

/// The processor: the instruction set in use, and the threads.
#[derive(Debug)]
pub(crate) struct Processor {
    level: Level,
    /// Whether the caller has named the instruction set.
    is_named: bool,
    team: Team,
    /// The bits of an f64, see [`Processor::calibrate`].
    slowness: AtomicU64,
}

impl Default for Processor {
    /// All cores, with the machine's fastest instruction set.
    fn default() -> Self {
        Self::of(Level::best(), false, cores())
    }
}

impl Processor {
    fn of(level: Level, is_named: bool, threads: usize) -> Self {
        Self { level, is_named, team: Team::new(threads), slowness: AtomicU64::new(1f64.to_bits()) }
    }

    /// # Errors
    /// [`Error::Unsupported`] for a set that this machine does not have, [`Error::Zero`] for no thread.
    pub(crate) fn new(threads: Option<usize>, set: Option<InstructionSet>) -> Result<Self> {
        let level = match set {
            None => Level::best(),
            Some(set) => Level::of(set).ok_or_else(|| {
                let have: Vec<_> = InstructionSet::available().map(InstructionSet::name).collect();
                let what = format!("{set} instructions: this machine has {}", have.join(", "));
                Error::Unsupported { what }
            })?,
        };
        let threads = threads.unwrap_or_else(cores);
        crate::dims::at_least_one("threads", threads)?;
        if threads > team::MOST {
            return Err(Error::TooLarge {
                name: "threads of the CPU path".into(),
                needed: threads as u64,
                limit: team::MOST as u64,
                unit: "threads",
                device: "cpu".into(),
            });
        }
        Ok(Self::of(level, set.is_some(), threads))
    }

    /// The instruction set in use. Layers so narrow that shorter vectors are faster use those.
    pub(crate) fn set(&self) -> InstructionSet {
        self.level.set()
    }

    /// The most threads that a run takes.
    pub(crate) fn threads(&self) -> usize {
        self.team.size()
    }
}

/// A model's constants, packed for a processor.
#[derive(Debug)]
pub(crate) struct Network {
    level: Level,
    /// One per direction of each layer.
    layers: Vec<Vec<Direction>>,
    readout: Option<Dense>,
}

/// Memory that a run needs in addition to its outputs. It grows on demand and is kept.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// The arrays of the tracks, one after the other.
    arrays: Lines,
    /// The memory of each thread.
    own: Vec<Own>,
    /// Batch rows in the order of falling length.
    rows: Vec<usize>,
    /// Sizes of the arrays of a track.
    sizes: Sizes,
    /// Sequences between layers: two in turn, or one for each layer where layers run at once.
    between: Lines,
    /// How the last run was cut, and how it would be cut without a barrier after every step.
    splits: Option<((RunShape, usize), [Split; 2])>,
}

#[cfg(test)]
impl Scratch {
    /// Makes exactly these threads of the next run panic after `steps` steps.
    pub(crate) fn plant(&mut self, threads: std::ops::Range<usize>, steps: usize) {
        self.own.resize_with(self.own.len().max(threads.end), Own::default);
        self.own.iter_mut().for_each(|own| own.fault = None);
        self.own[threads].iter_mut().for_each(|own| own.fault = Some(steps));
    }
}

impl Network {
    /// Packs `model`. Weights are rounded to their storage type here.
    pub(crate) fn new(model: &Model, precision: Precision, processor: &Processor) -> Result<Self> {
        let level = match processor.is_named {
            true => processor.level,
            false => processor.level.for_units(model.hidden().max(model.state_size())),
        };
        let lanes = level.lanes();
        let readout =
            model.readout().map(|readout| Dense::new(model, readout, precision, lanes)).transpose()?;
        let layers = model.layers().iter().enumerate();
        let layers: Result<_> = layers
            .map(|at| {
                let of = |index| Direction::new(model, at, index, lanes, precision);
                (0..at.1.direction().count()).map(of).collect()
            })
            .collect();
        Ok(Self { level, layers: layers?, readout })
    }

    /// Advances the states by T steps, or by `lengths` steps for each row.
    ///
    /// # Errors
    /// [`Error::Memory`]; [`Error::Internal`] where a thread panicked: the numbers in `to` are then invalid.
    pub(crate) fn run(
        &self,
        processor: &Processor,
        given: Given<'_>,
        scratch: &mut Scratch,
        to: Targets<'_>,
        progress: &Progress,
    ) -> Result<()> {
        let split = self.split(given.run_shape, processor, scratch);
        if split.threads() > 1
            && let Some(mut lease) = processor.team.lease(split.threads())
        {
            return self.run_cut(split, Some(&mut lease), given, scratch, to, progress);
        }
        // A run that finds the threads busy runs on the caller's thread alone.
        let split = if split.threads() > 1 { Split::alone(self, given.run_shape) } else { split };
        self.run_cut(split, None, given, scratch, to, progress)
    }

    /// [`Network::run`] with this split; without a lease on one thread.
    fn run_cut(
        &self,
        split: Split,
        lease: Option<&mut Lease<'_>>,
        given: Given<'_>,
        scratch: &mut Scratch,
        to: Targets<'_>,
        progress: &Progress,
    ) -> Result<()> {
        scratch.make_room(self, given.run_shape, split)?;
        let barriers = Barriers::new(split, self.layers.len());
        let tally = Tally::new(progress, 1);
        tally.begin(self.row_steps(given));
        let stop = Stop::new(given.interrupt);
        let run = Run::new(self, given, split, scratch, to, (&barriers, &stop, &tally));
        let work = |index: usize| {
            let working = stop.working();
            at_level!(self.level, simd => run.thread(simd, index));
            drop(working);
            if index == 0 {
                stop.wait();
            }
        };
        let failed = |panicked| if stop.is_set() { Error::Interrupted } else { failed(panicked) };
        let Some(lease) = lease else {
            return caught(|| work(0)).map_err(failed);
        };
        let began = Instant::now();
        let late = if split.has_own_rows() { Late::LeftOut } else { Late::Awaited };
        lease.run(split.threads(), late, &work, &|| barriers.free()).map_err(failed)?;
        if split.units > 1 {
            let (rounds, sleeps) = barriers.tally();
            // Two kinds of sleep are no sign of contention. The first barriers may wait until the other threads have been woken.
            // And where the run was faster than one without barriers, threads slept because their parts were uneven.
            let excused = match scratch.splits {
                Some((_, [_, without])) if began.elapsed() < without.expected(self, given.run_shape) => {
                    sleeps
                }
                _ => split.tracks() * (split.units - 1),
            };
            lease.record(rounds, sleeps.saturating_sub(excused));
        }
        Ok(())
    }

    /// The steps of all rows, in every layer and direction: what the progress of a run counts.
    fn row_steps(&self, given: Given<'_>) -> u64 {
        let Dims { batch, steps } = given.run_shape.dims;
        let of_rows = match given.lengths {
            Some(lengths) => lengths.iter().map(|&length| u64::from(length)).sum(),
            None => (batch * steps) as u64,
        };
        of_rows * self.layers.iter().map(|layer| layer.len() as u64).sum::<u64>()
    }

    /// Prepares the threads and the memory of runs of this run shape.
    ///
    /// # Errors
    /// [`Error::Memory`].
    pub(crate) fn prepare(
        &self,
        run_shape: RunShape,
        processor: &Processor,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let split = self.split(run_shape, processor, scratch);
        if split.threads() > 1 {
            // Threads that are busy or cannot be started are no error here: the run handles both.
            let _ = processor.team.lease(split.threads());
        }
        scratch.make_room(self, run_shape, split)
    }

    /// How a run of this run shape is cut; the last split, if the run shape is the same.
    fn split(&self, run_shape: RunShape, processor: &Processor, scratch: &mut Scratch) -> Split {
        let threads = processor.threads();
        let [any, without] = match scratch.splits {
            Some((of, splits)) if of == (run_shape, threads) => splits,
            _ => {
                let any = Split::best(Split::all(self, run_shape, threads), self, run_shape);
                let without = match any.units {
                    1 => any,
                    _ => Split::best(
                        Split::all(self, run_shape, threads).filter(|split| split.units == 1),
                        self,
                        run_shape,
                    ),
                };
                scratch.splits = Some(((run_shape, threads), [any, without]));
                [any, without]
            }
        };
        let split = if any.units == 1 || processor.team.may_use_barriers() { any } else { without };
        split.in_pieces(self, run_shape)
    }

    /// The time that a run of this run shape is expected to take.
    pub(crate) fn expected(&self, run_shape: RunShape, processor: &Processor) -> Duration {
        let seconds = self.best(run_shape, processor).1.as_secs_f64();
        let slowness = f64::from_bits(processor.slowness.load(Ordering::Relaxed));
        Duration::try_from_secs_f64(seconds * slowness).unwrap_or(Duration::MAX)
    }

    /// In words, how a run of this run shape is computed.
    pub(crate) fn explain(&self, run_shape: RunShape, processor: &Processor) -> String {
        let (split, _) = self.best(run_shape, processor);
        format!("f32 in {} vectors, {split}", self.level.set())
    }

    fn best(&self, run_shape: RunShape, processor: &Processor) -> (Split, Duration) {
        let split = Split::best(Split::all(self, run_shape, processor.threads()), self, run_shape);
        (split, split.expected(self, run_shape))
    }
}

/// How much a test does: `all`, or `little` in Miri, which takes some ten thousand times as long.
#[cfg(test)]
const fn size<T: Copy>(all: T, little: T) -> T {
    if cfg!(miri) { little } else { all }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dims::Dims;
    use crate::dtype::Storage;
    use crate::io::{Batch, Layout, Output, OutputShape, Padding};
    use crate::model::{Cell, Direction, Layer, Merge, Readout, ReadoutActivation, ReadoutSteps, Weights};

    /// A model of one direction a layer, or of two, merged or not.
    fn model(rng: &mut fastrand::Rng, cell: Cell, dirs: usize, hidden: usize, layers: usize) -> Model {
        let one = [Direction::Forward, Direction::Reverse];
        let merges = [Merge::Concat, Merge::Sum, Merge::Mul, Merge::Average];
        let kinds: Vec<_> = (0..layers)
            .map(|_| match dirs {
                1 => (one[rng.usize(0..2)], Merge::Concat),
                _ => (Direction::Bidirectional, merges[rng.usize(0..4)]),
            })
            .collect();
        let mut values = |len: usize| (0..len).map(|_| rng.f32() - 0.5).collect::<Vec<f32>>();
        let project = cell == Cell::LSTM && hidden > 16;
        let state = if project { hidden - 3 } else { hidden };
        let rows = cell.gates() * hidden;
        let (mut stack, mut input) = (Vec::new(), 5);
        for (direction, merge) in kinds {
            let mut set = || Weights {
                w_ih: values(rows * input),
                w_hh: values(rows * state),
                b_ih: Some(values(rows)),
                b_hh: Some(values(rows)),
                peepholes: (cell.has_c() && !project).then(|| values(3 * hidden)),
                w_hr: project.then(|| values(state * hidden)),
            };
            let weights = (0..direction.count()).map(|_| set()).collect();
            let layer = Layer::new(cell, direction, input, hidden, weights).unwrap();
            stack.push(layer.with_merge(merge).unwrap());
            input = stack[stack.len() - 1].output();
        }
        let outputs = input;
        let readout = Readout::new(outputs, 7, ReadoutSteps::Every, values(7 * outputs), None).unwrap();
        let readout = readout.with_activation(ReadoutActivation::Softmax);
        Model::new(stack).unwrap().with_readout(readout).unwrap()
    }

    fn walks(model: &Model, direction: Direction) -> bool {
        model.layers().iter().all(|layer| layer.direction() == direction)
    }

    /// A run with this split, from random states, into an output filled with NaN.
    fn run(network: &Network, model: &Model, split: Split, team: &Team, batch: &Batch<'_>) -> Output {
        run_in(&mut Scratch::default(), network, model, split, team, batch).unwrap()
    }

    fn run_in(
        scratch: &mut Scratch,
        network: &Network,
        model: &Model,
        split: Split,
        team: &Team,
        batch: &Batch<'_>,
    ) -> Result<Output> {
        let shape = OutputShape::new(model, batch.run_shape()).unwrap();
        let mut output = Output::zeros(&shape).unwrap();
        output.borrow().fill(f32::NAN);
        let to = Targets {
            h: &mut output.h_n,
            c: output.c_n.as_deref_mut().unwrap_or_default(),
            y: &mut output.y,
            out: output.out.as_deref_mut().unwrap_or_default(),
        };
        batch.initial_states(to.h, to.c);
        let given = Given::of(batch);
        let mut lease = (split.threads() > 1).then(|| team.lease(team.size())).flatten();
        let progress = Progress::default();
        let ended = network.run_cut(split, lease.as_mut(), given, scratch, to, &progress);
        assert_eq!(progress.fraction(), 0.0, "nothing is under way");
        ended.map(|()| output)
    }

    /// Any thread may panic, with any split: the run returns an error once all threads have ended, and the next run uses the same
    /// threads and memory.
    #[test]
    fn a_panic_in_any_thread_is_an_error_of_its_run() {
        let threads = size(6, 2);
        let (mut rng, team) = (crate::seed::Random::new(), Team::new(threads));
        for (cell, dirs) in [(Cell::GRU, 2), (Cell::ORIGINAL_GRU, 1), (Cell::LSTM, 1)] {
            // Layers of two directions are not run at once.
            let models = std::iter::repeat_with(|| model(&mut rng, cell, dirs, size(40, 6), size(3, 2)));
            let model = models
                .take(100)
                .find(|model| walks(model, model.layers()[0].direction()))
                .expect("every other or every fourth is");
            let (rows, steps) = size((4, 9), (2, 2));
            let x: Vec<f32> = (0..rows * steps * 5).map(|_| rng.f32() - 0.5).collect();
            let batch = Batch::new(&x, [rows, steps, 5]).unwrap();
            let processor = Processor::new(Some(1), None).unwrap();
            let network = Network::new(&model, Precision::default(), &processor).unwrap();
            let alone = Split::alone(&network, batch.run_shape());
            let expected = run(&network, &model, alone, &processor.team, &batch);
            let (mut most, scratch) = ([1; 4], &mut Scratch::default());
            for cut in Split::all(&network, batch.run_shape(), threads) {
                let (thread, steps) = (rng.usize(0..cut.threads()), rng.usize(0..steps));
                // Where threads take pieces, a late thread may find none.
                scratch.plant(if cut.has_own_rows() { 0..cut.threads() } else { thread..thread + 1 }, steps);
                let team = if cut.threads() > 1 { &team } else { &processor.team };
                let run = |scratch: &mut _| run_in(scratch, &network, &model, cut, team, &batch);
                let context = format!("{model}, {cut:?}, thread {thread} after {steps} steps");
                let error = run(scratch).expect_err(&context);
                assert!(matches!(error, Error::Internal { .. }), "{context}: {error}");
                assert!(error.to_string().contains("a planted fault"), "{context}: {error}");
                scratch.plant(0..0, 0);
                assert!(run(scratch).expect(&context) == expected, "{context}");
                let parts = [cut.rows, cut.directions, cut.layers, cut.units];
                most.iter_mut().zip(parts).for_each(|(most, parts)| *most = parts.max(*most));
            }
            let [rows, directions, layers, units] = most;
            assert!(rows > 1 && units > 1 && directions.max(layers) > 1, "{most:?}");
        }
    }

    /// Any split, any number of threads and any chunk give the bits of one thread.
    #[test]
    fn bits_do_not_depend_on_the_cut() {
        let threads = size(6, 3);
        let (mut rng, team) = (crate::seed::Random::new(), Team::new(threads));
        for (number, cell) in Cell::ALL.into_iter().enumerate() {
            for dirs in [1, 2] {
                let (least, most) = size((10, 50), (5, 10));
                let hidden = rng.usize(least..most);
                // Every other model has resets.
                let models = std::iter::repeat_with(|| model(&mut rng, cell, dirs, hidden, 1 + number % 3));
                let model =
                    models.take(100).find(|model| dirs + number % 2 > 1 || walks(model, Direction::Forward));
                let model = model.expect("an eighth of them is");
                let (rows, steps) = size((9, 12), (4, 4));
                let dims = Dims { batch: rng.usize(1..rows), steps: rng.usize(1..steps) };
                let x: Vec<f32> = (0..dims.batch * dims.steps * 5).map(|_| rng.f32() - 0.5).collect();
                let lengths: Vec<u32> = (0..dims.batch).map(|_| rng.u32(0..=dims.steps as u32)).collect();
                let batch = Batch::new(&x, [dims.batch, dims.steps, 5]).unwrap().padding(Padding::Last);
                let mut batch = batch.output_layout(Layout::TimeMajor);
                if rng.bool() {
                    batch = batch.lengths(&lengths);
                }
                let resets: Vec<u32> = (0..dims.batch * dims.steps).map(|_| rng.u32(0..3) / 2).collect();
                if walks(&model, Direction::Forward) {
                    batch = batch.resets(&resets);
                }
                let activations = if rng.bool() { Storage::F32 } else { Storage::Bf16 };
                let precision = Precision { weights: activations, activations };
                for set in InstructionSet::available() {
                    let processor = Processor::new(Some(1), Some(set)).unwrap();
                    let network = Network::new(&model, precision, &processor).unwrap();
                    let alone = Split::alone(&network, batch.run_shape());
                    let expected = run(&network, &model, alone, &processor.team, &batch);
                    assert!(!expected.y.iter().chain(&expected.h_n).any(|value| value.is_nan()));
                    for cut in Split::all(&network, batch.run_shape(), threads).step_by(size(1, 2)) {
                        let sizes = [(1, usize::MAX), (7, 2), (cut.chunk, cut.block)];
                        for (chunk, block) in sizes.into_iter().step_by(size(1, 2)) {
                            // With layers at once, a group takes all rows.
                            let block = if cut.layers > 1 { usize::MAX } else { block };
                            let cut = Split { chunk, block, ..cut };
                            let output = run(&network, &model, cut, &team, &batch);
                            assert!(output == expected, "{model}, {dims:?}, {set}, {cut:?}");
                        }
                    }
                }
            }
        }
    }
}
