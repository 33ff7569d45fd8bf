//! Whether the layers of a stack are walked at once, and in chunks of how many steps: see `program/wave.rs`.

use super::planner::{PROJECTION_BUDGET, output_columns};
use super::{Caps, Cost, LayerRecipe, Only, Plan, Recurrence, Wave, cost};
use crate::model::Model;

/// Chunks that are tried.
const CHUNKS: [usize; 10] = [2, 3, 4, 6, 8, 12, 16, 24, 32, 64];

/// `plan`, as a wavefront where that is predicted to take less time, or is asked for. What the model says of one is corrected
/// as it is of the layers in turn, for which it says `modelled`: the kernels are the same.
pub(super) fn improve(plan: Plan, modelled: Cost, model: &Model, only: Only, caps: &Caps) -> Plan {
    if only.wave == Some(0) || !can_be(&plan, model, caps) {
        return plan;
    }
    let steps = plan.form.dims.steps;
    // What memory and the driver bear.
    let most = plan.layers.iter().map(|layer| layer.chunk).min().unwrap_or(1);
    let chunks = match only.wave {
        Some(asked) => vec![asked],
        None => CHUNKS.iter().map(|count| steps.div_ceil(*count)).collect(),
    };
    let even = chunks.into_iter().map(|chunk| chunk.saturating_add(chunk % 2)).filter(|chunk| *chunk < steps);
    let even = even.map(|chunk| chunk.min(most / 2 * 2)).filter(|chunk| *chunk > 0);
    let budget = PROJECTION_BUDGET.min(caps.max_array_bytes());
    let waves = even.filter(|chunk| projected_bytes(&plan, model, *chunk) <= budget).map(|chunk| {
        let mut wave = plan.clone();
        wave.wave = Some(Wave { steps: chunk, in_turn: plan.cost });
        wave.layers.iter_mut().for_each(|layer| layer.chunk = chunk);
        let (numerator, denominator) = (plan.cost.femtoseconds, modelled.femtoseconds);
        wave.cost = of_wave(&wave, chunk, caps).times(numerator.into(), denominator.into());
        wave
    });
    match waves.min_by_key(|wave| wave.cost) {
        Some(wave) if only.wave.is_some() || wave.cost < plan.cost => wave,
        _ => plan,
    }
}

/// Whether layers can be walked as if they were directions: a step of each needs no later step of the one below, one
/// kernel serves all, and their arrays fit a binding together. Workgroups that wait for each other have to have the
/// device to themselves.
fn can_be(plan: &Plan, model: &Model, caps: &Caps) -> bool {
    let [first, above @ ..] = model.layers() else { return false };
    let recurrence = &plan.layers[0].recurrence;
    let is_grouped = matches!(recurrence, Recurrence::Grouped { .. });
    let projections = plan.layers[1..].iter().map(|layer| layer.projection);
    let alike = |layer: &LayerRecipe| layer.recurrence == *recurrence;
    let layers = model.layers().len() as u64;
    let columns = first.cell().gates() * first.hidden();
    let (weights, activations) = (plan.precision.weights, plan.precision.activations);
    let matrix = |k: usize, n: usize| weights.words(k.next_multiple_of(4)).saturating_mul(n) as u64;
    let rows = plan.form.dims.batch.saturating_mul(plan.form.dims.steps);
    let largest = [
        matrix(first.state(), columns),
        matrix(output_columns(first, plan.precision), columns),
        matrix(first.hidden(), first.state()),
        activations.words(rows.saturating_mul(activations.padded(first.state()))) as u64,
    ];
    !above.is_empty()
        && first.direction().count() == 1
        && above.iter().all(|layer| layer.direction() == first.direction())
        && !is_grouped
        && plan.layers.iter().all(alike)
        && projections.clone().all(|projection| Some(projection) == projections.clone().next())
        && largest.iter().all(|words| words.saturating_mul(4 * layers) <= caps.max_array_bytes())
}

/// Bytes of the projected input of all layers.
fn projected_bytes(plan: &Plan, model: &Model, chunk: usize) -> u64 {
    let padded = plan.tiles() * plan.rows.count() as usize;
    let columns = model.cell().gates() * model.hidden();
    let all = [model.layers().len(), chunk, padded, columns, 4];
    all.iter().fold(1u64, |bytes, &size| bytes.saturating_mul(size as u64))
}

/// Slots, in each of which the first layer is projected, then all others, and then all walk over a chunk.
fn of_wave(plan: &Plan, chunk: usize, caps: &Caps) -> Cost {
    let narrow = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    let (batch, layers) = (narrow(plan.form.dims.batch), narrow(plan.layers.len()));
    let rows = narrow(chunk.saturating_mul(plan.tiles() * plan.rows.count() as usize));
    let projection = |layer: usize, layers: u32| {
        cost::dispatch(plan.layers[layer].projection, rows, 1, layers, &caps.speed).femtoseconds
    };
    let walk = cost::walk(&plan.layers[0].recurrence, batch, chunk as u64, layers, &caps.speed);
    let slot = projection(0, 1).saturating_add(projection(1, layers - 1)).saturating_add(walk.femtoseconds);
    let slots = plan.form.dims.steps.div_ceil(chunk) + plan.layers.len() - 1;
    Cost { femtoseconds: slot.saturating_mul(slots as u64) }
}
