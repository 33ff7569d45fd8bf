//! The cost model: the time of a kernel, from the counts of its parts and the [`Speed`] of a device.
//!
//! It counts the numbers that the shaders sum, load and share, however many go with one instruction. A workgroup
//! takes the longer of two times: its operations at the rate of a busy core, or one thread's chain of sums.
//! Workgroups beyond the number of cores wait for their turn.

use super::{Cost, Recurrence, Speed};
use crate::kernels::{Definition, Work};

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

/// One dispatch of `kernel` that takes `steps` steps (1 except for a persistent kernel) of `rows` batch rows, in D = `dirs`
/// directions.
pub(super) fn dispatch(kernel: &dyn Definition, rows: u32, steps: u64, dirs: u32, speed: &Speed) -> Cost {
    let [x, y, z] = kernel.grid(rows, dirs).map(u64::from);
    let waves = x.saturating_mul(y).saturating_mul(z).div_ceil(speed.cores.max(1));
    let (once, each) = kernel.work();
    let a_step = time(each, speed).saturating_add(if steps > 1 { speed.step } else { 0 });
    let workgroup = time(once, speed).saturating_add(a_step.saturating_mul(steps));
    Cost { femtoseconds: speed.dispatch.saturating_add(workgroup.saturating_mul(waves)) }
}

/// The time of so many steps of `rows` batch rows, in D = `dirs` directions.
pub(super) fn walk(recurrence: &Recurrence, rows: u32, steps: u64, dirs: u32, speed: &Speed) -> Cost {
    let of = |kernel: &dyn Definition, steps: u64| dispatch(kernel, rows, steps, dirs, speed).femtoseconds;
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
