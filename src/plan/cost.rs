//! The cost model: the time of a kernel, from the counts of its parts and the [`Speed`] of a device.
//!
//! It counts the numbers that the shaders sum, load and share, however many go with one instruction. A workgroup
//! takes the longer of two times: its operations at the rate of a busy core, or one thread's chain of sums.
//! Workgroups beyond the number of cores wait for their turn. The latency of one thread's loads comes on top, once for
//! each [`AT_ONCE`] workgroups of a core: so many hide each other's latency.

use super::{Cost, Recurrence, Speed};
use crate::kernels::{Definition, Work};

/// Workgroups that a core runs side by side while they wait for memory: 64 threads of 128 registers each, on GPUs of today.
const AT_ONCE: u64 = 8;

/// The time of `work` in femtoseconds.
fn time(work: Work, speed: &Speed) -> u64 {
    let busy = [
        (work.fma, speed.fma),
        (work.fma4, speed.fma4),
        (work.matrix, speed.matrix),
        (work.load, speed.load),
        (work.share, speed.share),
        (work.barrier, speed.barrier),
    ];
    let busy = busy.iter().fold(0u64, |sum, (count, time)| sum.saturating_add(count.saturating_mul(*time)));
    let alone = busy.max(work.chain.saturating_mul(speed.chain));
    alone.saturating_add(work.exchange.saturating_mul(speed.exchange))
}

/// The parts of the time of a dispatch.
struct Parts {
    /// The operations of the busiest core.
    busy: u64,
    /// The latency of loads.
    waits: u64,
}

fn parts(kernel: &dyn Definition, rows: u32, steps: u64, dirs: u32, speed: &Speed) -> Parts {
    let [x, y, z] = kernel.grid(rows, dirs).map(u64::from);
    let waves = x.saturating_mul(y).saturating_mul(z).div_ceil(speed.cores.max(1));
    let (once, each) = kernel.work();
    let a_step = time(each, speed).saturating_add(if steps > 1 { speed.step } else { 0 });
    let workgroup = time(once, speed).saturating_add(a_step.saturating_mul(steps));
    let waits = once.wait.saturating_add(each.wait.saturating_mul(steps)).saturating_mul(speed.latency);
    Parts { busy: workgroup.saturating_mul(waves), waits: waits.saturating_mul(waves.div_ceil(AT_ONCE)) }
}

/// One dispatch of `kernel` that takes `steps` steps (1 except for a persistent kernel) of `rows` batch rows, in D = `dirs`
/// directions.
pub(super) fn dispatch(kernel: &dyn Definition, rows: u32, steps: u64, dirs: u32, speed: &Speed) -> Cost {
    let Parts { busy, waits } = parts(kernel, rows, steps, dirs, speed);
    Cost { femtoseconds: speed.dispatch.saturating_add(busy.saturating_add(waits)) }
}

/// The time of so many steps of `rows` batch rows, in D = `dirs` directions.
pub(super) fn walk(recurrence: &Recurrence, rows: u32, steps: u64, dirs: u32, speed: &Speed) -> Cost {
    let of = |kernel: &dyn Definition, steps| dispatch(kernel, rows, steps, dirs, speed).femtoseconds;
    sum(recurrence, steps, of)
}

/// The part of [`walk`] that is latency of loads.
pub(super) fn waits(recurrence: &Recurrence, rows: u32, steps: u64, dirs: u32, speed: &Speed) -> Cost {
    sum(recurrence, steps, |kernel, steps| parts(kernel, rows, steps, dirs, speed).waits)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dims::Dims;
    use crate::dtype::Precision;
    use crate::model::{Cell, Direction, Layer, Model, Weights};
    use crate::plan::{Caps, Strategy, alternatives};

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
            let all = alternatives(&model, dims, Precision::default(), &caps).unwrap().remove(0);
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
