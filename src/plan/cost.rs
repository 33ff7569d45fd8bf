//! The cost model: what a kernel takes, from the counts of its parts and the [`Speed`] of a device.
//!
//! It counts the numbers that the shaders sum, load and share, however many go with one instruction. A workgroup takes the longer of two: its operations at the rate of a busy core, or one
//! thread's chain of sums. Workgroups beyond the cores wait for their turn.

use super::{Cost, Recurrence, Speed};
use crate::kernels::{Kernel, Rows, resident};

/// Counts of one workgroup.
#[derive(Debug, Default, Clone, Copy)]
struct Work {
    fma: u64,
    /// Those of four rows side by side.
    fma4: u64,
    /// Those of cooperative matrices.
    matrix: u64,
    load: u64,
    share: u64,
    /// Barriers, times the threads that meet in each.
    barrier: u64,
    /// Sums of one thread that wait for each other.
    chain: u64,
    /// Times that it waits for other workgroups.
    exchange: u64,
}

impl Work {
    /// So many products and sums of rows that a thread has side by side.
    fn sums(rows: Rows, count: u64) -> Self {
        match rows {
            Rows::One => Self { fma: count, ..Self::default() },
            Rows::Four => Self { fma4: count, ..Self::default() },
        }
    }

    fn time(self, speed: &Speed) -> u64 {
        let busy = [
            (self.fma, speed.fma),
            (self.fma4, speed.fma4),
            (self.matrix, speed.matrix),
            (self.load, speed.load),
            (self.share, speed.share),
            (self.barrier, speed.barrier),
        ];
        let busy =
            busy.iter().fold(0u64, |sum, (count, time)| sum.saturating_add(count.saturating_mul(*time)));
        let alone = busy.max(self.chain.saturating_mul(speed.chain));
        alone.saturating_add(self.exchange.saturating_mul(speed.exchange))
    }
}

/// One dispatch of `kernel` that takes `steps` steps (1 but for a resident kernel) of `rows` batch rows, in D = `dirs`
/// directions.
pub(super) fn dispatch(kernel: Kernel, rows: u32, steps: u64, dirs: u32, speed: &Speed) -> Cost {
    let [x, y, z] = kernel.grid(rows, dirs).map(u64::from);
    let waves = x.saturating_mul(y).saturating_mul(z).div_ceil(speed.cores.max(1));
    let (once, each) = work(kernel);
    let a_step = each.time(speed).saturating_add(if steps > 1 { speed.step } else { 0 });
    let workgroup = once.time(speed).saturating_add(a_step.saturating_mul(steps));
    Cost { femtoseconds: speed.dispatch.saturating_add(workgroup.saturating_mul(waves)) }
}

/// So many steps of `rows` batch rows, in D = `dirs` directions.
pub(super) fn walk(recurrence: &Recurrence, rows: u32, steps: u64, dirs: u32, speed: &Speed) -> Cost {
    let of = |kernel: Kernel, steps: u64| dispatch(kernel, rows, steps, dirs, speed).femtoseconds;
    let femtoseconds = match recurrence {
        Recurrence::Resident(kernel) | Recurrence::Grouped { kernel, .. } => of(*kernel, steps),
        Recurrence::Step(kernels) => {
            let step = kernels.iter().fold(0u64, |sum, &kernel| sum.saturating_add(of(kernel, 1)));
            step.saturating_mul(steps)
        }
    };
    Cost { femtoseconds }
}

/// What a workgroup does once, and in each step.
fn work(kernel: Kernel) -> (Work, Work) {
    let threads = u64::from(kernel.threads());
    match kernel {
        Kernel::MatmulTiled { sizes, .. } => {
            let k = u64::from(sizes.k);
            // Its sums are of four rows, whatever reads them.
            let each = Work {
                load: 2 * 64 * k + 64 * 64,
                share: 16 * threads * k,
                barrier: 2 * threads * k.div_ceil(16),
                chain: k,
                ..Work::sums(Rows::Four, 64 * threads * k)
            };
            (Work::default(), each)
        }
        Kernel::MatmulRows { sizes, rows, .. } => {
            let (k, count) = (u64::from(sizes.k), u64::from(rows.count()));
            let each = Work {
                load: threads * k + k * count,
                share: threads * k * count,
                barrier: 2 * threads * k.div_ceil(64),
                chain: k,
                ..Work::sums(rows, threads * k * count)
            };
            (Work::default(), each)
        }
        Kernel::MatmulMatrices { sizes, matrices } => {
            let (k, side) = (u64::from(sizes.k), u64::from(matrices.side));
            let (tile, subgroups) = (4 * side, 4);
            let each = Work {
                matrix: tile * tile * k,
                load: 2 * tile * k + tile * tile,
                // Into workgroup memory, and out of it four matrices high or wide to a subgroup.
                share: 2 * tile * k + subgroups * 4 * side * k + 2 * tile * tile,
                barrier: 2 * threads * k.div_ceil(32),
                chain: k.div_ceil(side),
                ..Work::default()
            };
            (Work::default(), each)
        }
        Kernel::StepMatrices { cell, sizes, shape, .. } => {
            let (k, gates, side) =
                (u64::from(sizes.k), u64::from(cell.products()), u64::from(shape.matrices.side));
            let stack = u64::from(shape.stack);
            let (rows, units, subgroups) = (2 * side * stack, 2 * side, 4);
            let columns = gates * units;
            let each = Work {
                matrix: rows * columns * k,
                load: (rows + columns) * k + units * rows * (gates + 3),
                share: (rows + columns) * k + subgroups * (stack + gates) * side * k + 2 * rows * columns,
                barrier: 2 * threads * k.div_ceil(32),
                chain: k.div_ceil(side),
                ..Work::default()
            };
            (Work::default(), each)
        }
        Kernel::TakeProjected { rows, .. } => {
            // Of each number x, bias and its way out; where it lies, of each row.
            let numbers = threads * u64::from(rows.count());
            let each =
                Work { fma: numbers, load: 3 * numbers + 3 * u64::from(rows.count()), ..Work::default() };
            (Work::default(), each)
        }
        Kernel::Merge { .. } => {
            // Of each word both directions, and its way out.
            (Work::default(), Work { fma: threads, load: 3 * threads, ..Work::default() })
        }
        Kernel::Streams { rows, .. } => {
            // Of each number its way there and back; where it lies, of each row.
            let numbers = threads * u64::from(rows.count());
            (Work::default(), Work { load: 4 * numbers, ..Work::default() })
        }
        // The caller's rows are sorted beside the plan.
        Kernel::OrderRows { .. } => (Work::default(), Work { load: threads, ..Work::default() }),
        Kernel::Step { cell, sizes, rows, shape, .. } => {
            let (k, gates) = (u64::from(sizes.k), u64::from(cell.products()));
            let (units, count) = (u64::from(shape.units), u64::from(rows.count() * shape.tiles));
            let each = Work {
                load: threads * k * gates * units + k * count + threads * units * count * (gates + 3),
                share: threads * k * count,
                barrier: 2 * threads * k.div_ceil(64),
                chain: k,
                ..Work::sums(rows, threads * k * gates * units * count)
            };
            (Work::default(), each)
        }
        Kernel::Resident { cell, hidden, rows, shape, .. } => {
            resident_work(threads, cell.gates(), u64::from(cell.product_count()), hidden, rows, shape)
        }
        Kernel::Grouped { cell, hidden, rows, shape, .. } => {
            let products = u64::from(cell.product_count());
            let (once, mut each) = resident_work(threads, cell.gates(), products, hidden, rows, shape);
            // Each workgroup looks at the numbers of all others, twice or so.
            each.load += 2 * products * u64::from(hidden) * u64::from(rows.count());
            each.exchange = products;
            (once, each)
        }
    }
}

fn resident_work(
    threads: u64,
    gates: u32,
    products: u64,
    hidden: u32,
    rows: Rows,
    shape: resident::Shape,
) -> (Work, Work) {
    let (gates, count) = (u64::from(gates), u64::from(rows.count()));
    let depth = u64::from(shape.depth(hidden));
    let weights = threads * depth * gates;
    let owners = u64::from(shape.tiles * shape.units);
    let handed = u64::from((shape.split - 1) * shape.parts);
    let held = threads * u64::from(shape.held_depth(hidden)) * gates;
    let once = Work { load: held, ..Work::default() };
    let barriers = products * if shape.split > 1 { 2 } else { 1 };
    // Two weights are opened by an operation or two.
    let opened = if shape.keep == resident::Keep::Packed { held } else { 0 };
    let each = Work {
        load: owners * count * (gates + 1) + (weights - held),
        share: threads * depth * products * count + owners * handed * gates * count,
        barrier: threads * barriers,
        chain: depth * products,
        ..Work::sums(rows, weights * count + opened)
    };
    (once, each)
}
