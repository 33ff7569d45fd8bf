//! Whether the layers of a stack run at once, and in chunks of how many steps: see `program/wave.rs`.

use super::{Caps, Cost, LayerRecipe, Only, Plan, Recurrence, cost};
use crate::kernels::Kernel;
use crate::model::Model;

/// Chunks that are tried.
const CHUNKS: [usize; 10] = [2, 3, 4, 6, 8, 12, 16, 24, 32, 64];

/// `plan`, as a wavefront where that is predicted to take less time, or is asked for.
pub(super) fn improve(plan: Plan, model: &Model, only: Only, caps: &Caps) -> Plan {
    if !can_be(&plan, model) || only.wave == Some(0) {
        return plan;
    }
    let steps = plan.form.dims.steps;
    // What memory and the driver bear.
    let most = plan.layers.iter().map(|layer| layer.chunk).min().unwrap_or(1);
    let chunks = match only.wave {
        Some(asked) => vec![asked],
        None if caps.speed.overlap > 1 => CHUNKS.iter().map(|count| steps.div_ceil(*count)).collect(),
        None => Vec::new(),
    };
    let even = chunks.into_iter().map(|chunk| chunk.next_multiple_of(2)).filter(|chunk| *chunk < steps);
    let waves = even.map(|chunk| chunk.min(most / 2 * 2)).filter(|chunk| *chunk > 0).map(|chunk| {
        let mut wave = plan.clone();
        wave.wave = Some(chunk);
        wave.layers.iter_mut().for_each(|layer| layer.chunk = chunk);
        wave.cost = of_wave(&wave, chunk, caps);
        wave
    });
    match waves.min_by_key(|wave| wave.cost) {
        Some(wave) if only.wave.is_some() || wave.cost < plan.cost => wave,
        _ => plan,
    }
}

/// Whether a step of each layer needs no later step of the one below. Workgroups that wait for each other have to have the
/// device to themselves.
fn can_be(plan: &Plan, model: &Model) -> bool {
    let first = &model.layers()[0];
    let one_way = model.layers().iter().all(|layer| layer.direction() == first.direction());
    let is_grouped = |layer: &LayerRecipe| matches!(layer.recurrence, Recurrence::Grouped { .. });
    model.layers().len() > 1
        && one_way
        && first.direction().count() == 1
        && !plan.layers.iter().any(is_grouped)
}

/// Slots, in each of which all layers are projected and then walk over a chunk, as if all did in every one.
fn of_wave(plan: &Plan, chunk: usize, caps: &Caps) -> Cost {
    let narrow = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    let batch = narrow(plan.form.dims.batch);
    let rows = narrow(chunk.saturating_mul(plan.tiles() * plan.rows.count() as usize));
    let of = |kernel, rows, steps| Dispatch::of(kernel, rows, steps, caps);
    let projections = plan.layers.iter().map(|layer| of(layer.projection, rows, 1));
    let walks = plan.layers.iter().map(|layer| match &layer.recurrence {
        Recurrence::Resident(kernel) | Recurrence::Grouped { kernel, .. } => of(*kernel, batch, chunk as u64),
        Recurrence::Step(kernels) => {
            let all = kernels.iter().map(|&kernel| of(kernel, batch, 1));
            let (time, workgroups) =
                all.fold((0u64, 0u64), |(t, w), one| (t.saturating_add(one.time), w.max(one.workgroups)));
            Dispatch { time: time.saturating_mul(chunk as u64), workgroups }
        }
    });
    let slot = together(projections, caps).saturating_add(together(walks, caps));
    let slots = plan.form.dims.steps.div_ceil(chunk) + plan.layers.len() - 1;
    Cost { femtoseconds: slot.saturating_mul(slots as u64) }
}

/// What one dispatch, or some that follow each other, takes of a device.
struct Dispatch {
    time: u64,
    workgroups: u64,
}

impl Dispatch {
    fn of(kernel: Kernel, rows: u32, steps: u64, caps: &Caps) -> Self {
        let time = cost::dispatch(kernel, rows, steps, 1, &caps.speed).femtoseconds;
        let workgroups =
            kernel.grid(rows, 1).iter().fold(1u64, |all, &count| all.saturating_mul(count.into()));
        Self { time, workgroups }
    }
}

/// Dispatches side by side, as many as the device runs at once; one after the other where they fill it.
fn together(all: impl Iterator<Item = Dispatch>, caps: &Caps) -> u64 {
    let (mut longest, mut sum, mut workgroups) = (0u64, 0u64, 0u64);
    for one in all {
        longest = longest.max(one.time);
        sum = sum.saturating_add(one.time);
        workgroups = workgroups.saturating_add(one.workgroups);
    }
    if workgroups > caps.speed.cores { sum } else { longest.max(sum / caps.speed.overlap.max(1)) }
}
