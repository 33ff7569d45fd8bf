//! Whether the layers of a stack are pipelined, and in chunks of how many steps: see `program/pipelining.rs`.

use super::budget::PROJECTION_BUDGET;
use super::exchange::{EXCHANGE_BUDGET, exchange_bytes};
use super::matmul::output_columns;
use super::{Caps, Cost, LayerRecipe, Only, Pipelining, Plan, Recurrence, cost};
use crate::kernels::Definition;
use crate::model::Model;

/// Chunk sizes to try.
const CHUNKS: [usize; 10] = [2, 3, 4, 6, 8, 12, 16, 24, 32, 64];

/// `plan`, as a pipelined stack where that is predicted to be faster or `only.pipelining` requires it; else with the
/// reason why not. The prediction for a pipelined stack is corrected as that of the layers one after the other, which
/// is `modelled`: the kernels are the same.
pub(super) fn improve(plan: Plan, modelled: Cost, model: &Model, only: Only, caps: &Caps) -> Plan {
    if model.layers().len() < 2 {
        return plan;
    }
    match cheapest(&plan, modelled, model, only, caps) {
        Ok(pipelining) if only.pipelining.is_some() || pipelining.cost < plan.cost => pipelining,
        Ok(pipelining) => {
            let times = pipelining.cost.seconds() / plan.cost.seconds();
            Plan {
                not_pipelined: Some(format!("pipelined they would take {times:.2} times as long")),
                ..plan
            }
        }
        Err(reason) => Plan { not_pipelined: Some(reason), ..plan },
    }
}

/// The cheapest pipelined stack of `plan`'s kernels, or the reason why there is none.
fn cheapest(plan: &Plan, modelled: Cost, model: &Model, only: Only, caps: &Caps) -> Result<Plan, String> {
    if only.pipelining == Some(0) {
        return Err("the option `pipelining` is 0".into());
    }
    if let Some(reason) = refusal(plan, model, caps) {
        return Err(reason);
    }
    let steps = plan.run_shape.dims.steps;
    if steps == 1 {
        return Err("a single step has no chunks".into());
    }
    let budget = PROJECTION_BUDGET.min(caps.max_array_bytes());
    let by_memory = budget / projected_bytes(plan, model, 1).max(1);
    let most = most_steps(plan, model).min(usize::try_from(by_memory).unwrap_or(usize::MAX));
    let chunks = match only.pipelining {
        Some(asked) => vec![asked],
        None => CHUNKS.iter().map(|count| steps.div_ceil(*count)).collect(),
    };
    let fewer = chunks.into_iter().map(|chunk| chunk.min(most)).filter(|chunk| (1..steps).contains(chunk));
    let pipelined = fewer.map(|chunk| {
        let mut pipelined = plan.clone();
        pipelined.pipelining = Some(Pipelining { steps: chunk, sequential: plan.cost });
        let recurrence = plan.layers[0].recurrence.clone();
        pipelined.layers.iter_mut().for_each(|layer| {
            // The fallback kernels have to be the same for all layers too.
            *layer = LayerRecipe { chunk, recurrence: recurrence.clone(), ..layer.clone() };
        });
        let (numerator, denominator) = (plan.cost.femtoseconds, modelled.femtoseconds);
        pipelined.cost = of_pipelined(&pipelined, chunk, caps).times(numerator.into(), denominator.into());
        pipelined
    });
    let none = || match most {
        0 => format!("one step projected for all of them takes more than {budget} bytes"),
        _ => format!("pipelined layers need chunks of fewer steps than {steps}"),
    };
    pipelined.min_by_key(|pipelining| pipelining.cost).ok_or_else(none)
}

/// Steps of a chunk within the limits of memory and the driver; of multi-workgroup kernels also of the exchange
/// buffer.
fn most_steps(plan: &Plan, model: &Model) -> usize {
    let most = plan.layers.iter().map(|layer| layer.chunk).min().unwrap_or(1);
    let Recurrence::MultiWorkgroup { kernel, .. } = &plan.layers[0].recurrence else { return most };
    let padded = plan.tiles() * plan.rows.count() as usize;
    let words = model
        .layers()
        .iter()
        .fold(0u64, |bytes, layer| bytes.saturating_add(exchange_bytes(kernel.cell, layer, padded)));
    most.min((EXCHANGE_BUDGET / words.max(1)) as usize).max(1)
}

/// Why layers cannot be walked as if they were directions. A step of one would need a later step of the one below; no
/// single kernel serves all; their arrays together exceed a binding; or workgroups that wait for each other are more
/// than the device runs side by side.
fn refusal(plan: &Plan, model: &Model, caps: &Caps) -> Option<String> {
    let [first, above @ ..] = model.layers() else { return Some("there is none".into()) };
    if first.direction().count() > 1 || above.iter().any(|layer| layer.direction() != first.direction()) {
        return Some("they are not all of one direction".into());
    }
    if plan.run_shape.resets {
        return Some("kernels that reset states serve one layer only".into());
    }
    let recurrence = &plan.layers[0].recurrence;
    if !plan.layers.iter().all(|layer| layer.recurrence.is_like(recurrence)) {
        return Some("no one kernel walks over all of them".into());
    }
    let mut projections = plan.layers[1..].iter().map(|layer| layer.projection);
    let above_first = projections.next();
    if projections.any(|projection| Some(projection) != above_first) {
        return Some("no one kernel projects all but the first".into());
    }
    let layers = model.layers().len() as u64;
    let columns = first.cell().gates() * first.hidden();
    let (weights, activations) = (plan.precision.weights, plan.precision.activations);
    let matrix = |k: usize, n: usize| weights.words(k.next_multiple_of(4)).saturating_mul(n) as u64;
    let rows = plan.run_shape.dims.batch.saturating_mul(plan.run_shape.dims.steps);
    let largest = [
        matrix(first.state_size(), columns),
        matrix(output_columns(first, plan.precision), columns),
        matrix(first.hidden(), first.state_size()),
        activations.words(rows.saturating_mul(activations.padded(first.state_size()))) as u64,
    ];
    let bytes = largest.iter().max().map_or(0, |words| words.saturating_mul(4 * layers));
    let most = caps.max_array_bytes();
    if bytes > most {
        return Some(format!("together they need {bytes} bytes in one binding, the device has {most}"));
    }
    let Recurrence::MultiWorkgroup { kernel, .. } = recurrence else { return None };
    let grid = kernel.grid(narrow(plan.run_shape.dims.batch), narrow(plan.layers.len())).map(u64::from);
    let all = grid.iter().fold(1u64, |all, count| all.saturating_mul(*count));
    let known = caps.exchange.map_or(0, |exchange| u64::from(exchange.workgroups));
    (all > known).then(|| {
        format!("together they need {all} workgroups side by side, the device is known to run {known}")
    })
}

fn narrow(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// Bytes of the projected input of all layers.
fn projected_bytes(plan: &Plan, model: &Model, chunk: usize) -> u64 {
    let padded = plan.tiles() * plan.rows.count() as usize;
    let columns = model.cell().gates() * model.hidden();
    let all = [model.layers().len(), chunk, padded, columns, 4];
    all.iter().fold(1u64, |bytes, &size| bytes.saturating_mul(size as u64))
}

/// Slots: in each the first layer is projected, then all others, and then all layers walk over a chunk.
fn of_pipelined(plan: &Plan, chunk: usize, caps: &Caps) -> Cost {
    let (batch, layers) = (narrow(plan.run_shape.dims.batch), narrow(plan.layers.len()));
    let rows = narrow(chunk.saturating_mul(plan.tiles() * plan.rows.count() as usize));
    let projection = |layer: usize, layers: u32| {
        cost::dispatch(&*plan.layers[layer].projection, rows, 1, layers, &caps.speed).femtoseconds
    };
    let walk = cost::walk(&plan.layers[0].recurrence, batch, chunk as u64, layers, &caps.speed);
    let slot = projection(0, 1).saturating_add(projection(1, layers - 1)).saturating_add(walk.femtoseconds);
    let slots = plan.run_shape.dims.steps.div_ceil(chunk) + plan.layers.len() - 1;
    Cost { femtoseconds: slot.saturating_mul(slots as u64) }
}
