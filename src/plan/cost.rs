//! The cost model: the time of a kernel, from the counts of its parts and the [`Speed`] of a device.
//!
//! It counts the numbers that the shaders sum, load and share, however many go with one instruction. A core holds
//! several workgroups at once, see [`Occupancy`]. All that it holds take the longest of three times:
//!
//! ```text
//! arithmetic   r · operations at the rate of a busy core, or less where r workgroups have too few threads
//! bandwidth    bytes of a core from the last cache; those of a matrix that it cannot hold, of all cores from memory
//! chain        one thread's sums that wait for each other
//! ```
//!
//! with r the workgroups of the busiest core. The latency of one thread's loads comes on top: workgroups that a core
//! holds at once hide each other's. Workgroups beyond what all cores hold wait for their turn, in waves.

use super::occupancy::{Bound, Occupancy, Prediction};
use super::{Caps, Cost, Plan, Recurrence, Speed};
use crate::kernels::{Definition, Resources, Work};
use crate::model::Model;

/// Times of some work, in femtoseconds.
#[derive(Debug, Clone, Copy, Default)]
struct Times {
    arithmetic: u64,
    bandwidth: u64,
    latency: u64,
    chain: u64,
    exchange: u64,
}

impl Times {
    /// All of it.
    fn all(self) -> u64 {
        self.longest().1.saturating_add(self.latency).saturating_add(self.exchange)
    }

    /// The longest of those that pass at the same time.
    fn longest(self) -> (Bound, u64) {
        let all = [
            (Bound::Chain, self.chain),
            (Bound::Bandwidth, self.bandwidth),
            (Bound::Arithmetic, self.arithmetic),
        ];
        all.into_iter().max_by_key(|(_, time)| *time).unwrap_or((Bound::Arithmetic, 0))
    }
}

/// A kernel on a device, with one size of its grid.
struct Placed<'a> {
    speed: &'a Speed,
    threads: u64,
    resources: Resources,
    /// D
    dirs: u64,
    /// Workgroups.
    all: u64,
}

impl Placed<'_> {
    /// The times of `work` where the busiest core has so many workgroups.
    fn times(&self, work: Work, resident: u64) -> Times {
        let speed = self.speed;
        let busy = [
            (work.fma, speed.fma),
            (work.fma4, speed.fma4),
            (work.matrix, speed.matrix),
            (work.load, speed.load),
            (work.share, speed.share),
            (work.barrier, speed.barrier),
        ];
        let busy =
            busy.iter().fold(0u64, |sum, (count, time)| sum.saturating_add(count.saturating_mul(*time)));
        let threads = resident.saturating_mul(self.threads);
        let arithmetic = if threads >= speed.full {
            busy.saturating_mul(resident)
        } else {
            busy.saturating_mul(speed.full) / self.threads.max(1)
        };
        let is_cached = self.resources.matrix.saturating_mul(self.dirs) <= speed.cache;
        let of_core = work.bytes.saturating_mul(resident);
        let bytes = work.bytes.saturating_mul(self.all.min(resident.saturating_mul(speed.cores)));
        let read = self.resources.matrix.saturating_mul(self.dirs).min(bytes);
        let of_memory = if is_cached { 0 } else { read.saturating_mul(speed.uncached) };
        Times {
            arithmetic,
            bandwidth: of_core.saturating_mul(speed.cached).max(of_memory),
            latency: work.wait.saturating_mul(if is_cached {
                speed.latency
            } else {
                speed.far.max(speed.latency)
            }),
            chain: work.chain.saturating_mul(speed.chain),
            exchange: work.exchange.saturating_mul(speed.exchange),
        }
    }
}

/// One dispatch of `kernel` that takes `steps` steps (1 except for a persistent kernel) of `rows` batch rows, in D = `dirs`
/// directions, with what bounds it.
pub(super) fn predict(
    kernel: &dyn Definition,
    rows: u32,
    steps: u64,
    dirs: u32,
    speed: &Speed,
) -> Prediction {
    let [x, y, z] = kernel.grid(rows, dirs).map(u64::from);
    let all = x.saturating_mul(y).saturating_mul(z);
    let occupancy = Occupancy::of(kernel, speed);
    let of_core = all.div_ceil(speed.cores.max(1));
    let waves = of_core.div_ceil(occupancy.workgroups);
    let (threads, resources) = (u64::from(kernel.threads()), kernel.resources());
    let placed = Placed { speed, threads, resources, dirs: dirs.into(), all };
    let (once, each) = kernel.work();
    let a_step = if steps > 1 { speed.step } else { 0 };
    let wave = |resident: u64| {
        let each = placed.times(each, resident).all().saturating_add(a_step);
        placed.times(once, resident).all().saturating_add(each.saturating_mul(steps))
    };
    let (full, last) = (waves.saturating_sub(1), of_core - occupancy.workgroups * waves.saturating_sub(1));
    let of_waves = wave(occupancy.workgroups).saturating_mul(full).saturating_add(wave(last));
    let of_step = placed.times(each, of_core.min(occupancy.workgroups));
    let of_steps = |time: u64| time.saturating_mul(steps).saturating_mul(waves);
    let (bound, longest) = of_step.longest();
    let bounds = [
        (bound, of_steps(longest)),
        (Bound::Latency, of_steps(of_step.latency)),
        (Bound::Exchange, of_steps(of_step.exchange)),
        (Bound::Step, of_steps(a_step)),
        (Bound::Dispatch, speed.dispatch),
    ];
    let (bound, _) = bounds.into_iter().max_by_key(|(_, time)| *time).unwrap_or((bound, 0));
    let cost = Cost { femtoseconds: speed.dispatch.saturating_add(of_waves) };
    let waits = placed.times(once, 1).latency.saturating_add(of_step.latency.saturating_mul(steps));
    let waits = Cost { femtoseconds: waits.saturating_mul(waves) };
    Prediction { workgroups: all, waves, occupancy, bound, cost, waits }
}

/// The time of one dispatch, as [`predict`].
pub(super) fn dispatch(kernel: &dyn Definition, rows: u32, steps: u64, dirs: u32, speed: &Speed) -> Cost {
    predict(kernel, rows, steps, dirs, speed).cost
}

/// The time of so many steps of `rows` batch rows, in D = `dirs` directions.
pub(super) fn walk(recurrence: &Recurrence, rows: u32, steps: u64, dirs: u32, speed: &Speed) -> Cost {
    let of = |kernel: &dyn Definition, steps| dispatch(kernel, rows, steps, dirs, speed).femtoseconds;
    sum(recurrence, steps, of)
}

/// The part of [`walk`] that is latency of loads.
pub(super) fn waits(recurrence: &Recurrence, rows: u32, steps: u64, dirs: u32, speed: &Speed) -> Cost {
    sum(recurrence, steps, |kernel, steps| predict(kernel, rows, steps, dirs, speed).waits.femtoseconds)
}

/// The sum of `of` over the dispatches of so many steps.
fn sum(recurrence: &Recurrence, steps: u64, of: impl Fn(&dyn Definition, u64) -> u64) -> Cost {
    let femtoseconds = match recurrence {
        Recurrence::Persistent(kernel) => of(kernel, steps),
        Recurrence::MultiWorkgroup { kernel, .. } => of(kernel, steps),
        Recurrence::Step(kernels) => {
            let step = kernels.iter().fold(0u64, |sum, kernel| sum.saturating_add(of(&**kernel, 1)));
            step.saturating_mul(steps)
        }
    };
    Cost { femtoseconds }
}

/// What the model says of each kernel of each layer of `plan`, a plan for `model`: its text and the prediction. A
/// kernel of one step is that of one dispatch, all others of one chunk.
pub fn predictions(model: &Model, plan: &Plan, caps: &Caps) -> Vec<Vec<(String, Prediction)>> {
    let narrow = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    let batch = narrow(plan.run_shape.dims.batch);
    let padded = plan.tiles() * plan.rows.count() as usize;
    let layers = model.layers().iter().zip(&plan.layers);
    layers
        .map(|(layer, recipe)| {
            let dirs = narrow(layer.direction().count());
            let of = |kernel: &dyn Definition, rows: u32, steps: u64| {
                (kernel.text(), predict(kernel, rows, steps, dirs, &caps.speed))
            };
            let mut all = vec![of(&*recipe.projection, narrow(recipe.chunk.saturating_mul(padded)), 1)];
            match &recipe.recurrence {
                Recurrence::Persistent(kernel) => all.push(of(kernel, batch, recipe.chunk as u64)),
                Recurrence::MultiWorkgroup { kernel, .. } => all.push(of(kernel, batch, recipe.chunk as u64)),
                Recurrence::Step(kernels) => all.extend(kernels.iter().map(|kernel| of(&**kernel, batch, 1))),
            }
            all
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dims::Dims;
    use crate::model::{Cell, Direction, Layer, Model, Weights};
    use crate::plan::{Caps, Chip, Limit, Only, Request, Strategy, alternatives, plan, predictions};

    fn model(cell: Cell, hidden: usize) -> Model {
        let matrix = vec![0.0; cell.gates() * hidden * hidden];
        let weights = Weights { w_ih: matrix.clone(), w_hh: matrix, ..Weights::default() };
        let layer = Layer::new(cell, Direction::Forward, hidden, hidden, vec![weights]);
        Model::new(vec![layer.unwrap()]).unwrap()
    }

    /// The time of a device whose cores run one workgroup at a time, at a full rate and with no other limits. The
    /// numbers of software drivers are fitted to it.
    fn one_at_a_time(kernel: &dyn Definition, rows: u32, steps: u64, speed: &Speed) -> u64 {
        let workgroups: u64 = kernel.grid(rows, 1).iter().map(|count| u64::from(*count)).product();
        let of = |work: Work| {
            let busy = work.fma * speed.fma
                + work.fma4 * speed.fma4
                + work.matrix * speed.matrix
                + work.load * speed.load
                + work.share * speed.share
                + work.barrier * speed.barrier;
            busy.max(work.chain * speed.chain) + work.exchange * speed.exchange
        };
        let (once, each) = kernel.work();
        let a_step = of(each) + if steps > 1 { speed.step } else { 0 };
        speed.dispatch + (of(once) + a_step * steps) * workgroups.div_ceil(speed.cores)
    }

    #[test]
    fn cores_of_software_drivers_run_one_workgroup_at_a_time() {
        let mut count = 0;
        for cell in [Cell::GRU, Cell::ORIGINAL_GRU, Cell::LSTM, Cell::Rnn] {
            for (hidden, batch) in [(3, 1), (64, 33), (192, 4), (384, 64)] {
                let (model, dims) = (model(cell, hidden), Dims::new(batch, 50).unwrap());
                for speed in [Speed::SOFTWARE, Speed { cores: 7, ..Speed::SOFTWARE }] {
                    let caps = Caps { speed, max_threads: 1024, ..Caps::webgpu_minimum() };
                    for candidate in &alternatives(&model, dims, Request::default(), &caps).unwrap()[0] {
                        let Ok((recipe, _)) = &candidate.outcome else { continue };
                        let kernels: Vec<(&dyn Definition, u64)> = match &recipe.recurrence {
                            Recurrence::Step(kernels) => {
                                kernels.iter().map(|kernel| (&**kernel as &dyn Definition, 1)).collect()
                            }
                            Recurrence::Persistent(kernel) => vec![(kernel, 50)],
                            Recurrence::MultiWorkgroup { kernel, .. } => vec![(kernel, 50)],
                        };
                        for (kernel, steps) in kernels {
                            let cost = dispatch(kernel, batch as u32, steps, 1, &speed).femtoseconds;
                            let expected = one_at_a_time(kernel, batch as u32, steps, &speed);
                            assert_eq!(cost, expected, "{}", kernel.text());
                            count += 1;
                        }
                    }
                }
            }
        }
        assert!(count > 200, "{count}");
    }

    /// The kernels that `strategy` has for a GRU on a chip.
    fn of(chip: &str, strategy: Strategy, hidden: usize, batch: usize) -> (String, Prediction) {
        let speed = Chip::named(chip).unwrap().speed();
        let (max_binding_bytes, max_buffer_bytes, max_workgroup_bytes) = (1 << 40, 1 << 40, 32 << 10);
        let caps = Caps {
            speed,
            max_binding_bytes,
            max_buffer_bytes,
            max_threads: 1024,
            max_workgroup_bytes,
            ..Caps::webgpu_minimum()
        };
        let (model, dims) = (model(Cell::GRU, hidden), Dims::new(batch, 100).unwrap());
        let only = Only { strategy: Some(strategy), ..Only::default() };
        let plan = plan(&model, dims, Request { only, ..Request::default() }, &caps).unwrap();
        predictions(&model, &plan, &caps).remove(0).pop().unwrap()
    }

    #[test]
    fn steps_of_one_row_do_not_compute_all_the_time_and_those_of_many_do_not_wait() {
        for chip in ["Radeon RX 7900 XTX", "GeForce RTX 4090", "H200"] {
            let (kernel, one) = of(chip, Strategy::Step, 1024, 1);
            assert_ne!(one.bound, Bound::Arithmetic, "{chip}: {kernel}: {one:?}");
            let (kernel, many) = of(chip, Strategy::Step, 1024, 4096);
            let is_busy = matches!(many.bound, Bound::Arithmetic | Bound::Bandwidth);
            assert!(is_busy, "{chip}: {kernel}: {many:?}");
        }
    }

    #[test]
    fn registers_of_persistent_kernels_bound_the_workgroups_of_a_core() {
        let (kernel, few) = of("H200", Strategy::Persistent, 128, 100);
        assert_eq!((few.occupancy.workgroups, few.occupancy.limit), (1, Limit::Registers), "{kernel}");
        let (kernel, many) = of("H200", Strategy::Persistent, 128, 1000);
        assert!(many.waves > few.waves, "{kernel}: {many:?}");
        assert!(many.cost > few.cost, "{kernel}: {many:?}");
    }

    /// Few rows of a large layer: one thread for each unit waits for memory most of the time.
    #[test]
    fn few_rows_are_divided_where_loads_wait() {
        let hidden = 1024;
        let w_hh = vec![0.0; 3 * hidden * hidden];
        let weights = Weights { w_ih: vec![0.0; 3 * hidden], w_hh, ..Weights::default() };
        let layer = Layer::new(Cell::GRU, Direction::Forward, 1, hidden, vec![weights]).unwrap();
        let model = Model::new(vec![layer]).unwrap();
        let of = |latency, batch| {
            let speed = Speed { latency, ..Speed::DISCRETE };
            let caps = Caps { speed, ..Caps::webgpu_minimum() };
            let dims = Dims::new(batch, 1).unwrap();
            let all = alternatives(&model, dims, Request::default(), &caps).unwrap().remove(0);
            let steps = all.into_iter().filter(|candidate| candidate.strategy == Strategy::Step);
            let cost = |c: &crate::plan::Candidate| c.outcome.as_ref().unwrap().1;
            steps.map(|c| (cost(&c), c.waits, c.outcome.unwrap().0.recurrence.to_string())).min().unwrap()
        };
        for batch in 1..=4 {
            let (cost, waits, kernel) = of(Speed::DISCRETE.latency, batch);
            assert!(kernel.contains("16 units × "), "{kernel}");
            assert!(waits < cost, "{kernel}");
            let (_, waits, kernel) = of(0, batch);
            assert!(kernel.contains("64 threads") && waits == Cost::ZERO, "{kernel}");
        }
        // What waits longer takes longer.
        assert!(of(3_000_000_000, 1).0 > of(300_000_000, 1).0);
    }
}
