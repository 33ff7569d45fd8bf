//! The planner.
//!
//! For each layer it lists the candidates and predicts the time of each by the cost model, corrected by measurements
//! nearby. It takes the fastest. Unless the request allows any reduction order, all candidates sum in the same order,
//! so no choice changes a bit of the result (see `shaders/shared/recurrence.wgsl`).

use super::budget::{MAX_CHUNK, PROJECTION_BUDGET};
use super::matmul::{activation_kernel, matmul_kernel, merge_kernel, output_columns, readout_kernel};
use super::strategy::{self, Strategy, size, width};
use super::{
    Candidate, Caps, Cost, LayerRecipe, Only, Plan, Recurrence, Request, Shape, Way, cost, exchange,
    pipelining, resets,
};
use crate::dims::{Dims, product};
use crate::error::{Error, Result};
use crate::io::RunShape;
use crate::kernels::{AddBias, Projection, Recurrent, Rows, matmul};
use crate::model::{Layer, Model};

/// Chooses kernels for `model` on a batch of `run_shape`, or `[B, T]` alone, within `caps`.
///
/// # Errors
/// [`Error::Zero`]; [`Error::TooLarge`] and [`Error::Overflow`] where not even one step fits the device;
/// [`Error::Unsupported`] for storage types that do not go together.
pub fn plan(
    model: &Model,
    run_shape: impl Into<RunShape>,
    request: impl Into<Request>,
    caps: &Caps,
) -> Result<Plan> {
    let (run_shape, request) = (run_shape.into(), request.into());
    let rows = rows_of(run_shape.dims);
    let asked = rows.iter().copied().filter(|rows| Some(*rows) == request.only.rows).collect::<Vec<_>>();
    let mut best: Option<Plan> = None;
    let mut refusal = none("tile of rows");
    // A pipelined stack that the request requires may exist with one tile of rows only.
    let rank = |plan: &Plan| (request.only.pipelining.is_some() && plan.pipelining.is_none(), plan.cost);
    for rows in if asked.is_empty() { rows } else { asked } {
        // A plan that exceeds the device by single rows may fit by fours.
        match of_rows(model, run_shape, request, rows, caps) {
            Ok(plan) if best.as_ref().is_none_or(|best| rank(&plan) < rank(best)) => best = Some(plan),
            Ok(_) => {}
            Err(error) => refusal = error,
        }
    }
    best.ok_or(refusal)
}

/// The fastest plan with so many rows side by side.
fn of_rows(model: &Model, run_shape: RunShape, request: Request, rows: Rows, caps: &Caps) -> Result<Plan> {
    let all = candidates(model, run_shape, request, rows, caps)?;
    pick(model, run_shape, request, rows, all, caps)
}

/// The error of a planner that found no candidate. No caller can cause it: steps can always be dispatched one by one.
fn none(what: &str) -> Error {
    Error::internal("plan", format!("no {what}"))
}

/// Every candidate for every layer, whatever the request prefers: what [`plan`] chooses from.
///
/// # Errors
/// As [`plan`].
pub fn alternatives(
    model: &Model,
    run_shape: impl Into<RunShape>,
    request: impl Into<Request>,
    caps: &Caps,
) -> Result<Vec<Vec<Candidate>>> {
    let (run_shape, request) = (run_shape.into(), request.into());
    let mut layers = vec![Vec::new(); model.layers().len()];
    let mut refusal = None;
    for rows in rows_of(run_shape.dims) {
        match candidates(model, run_shape, request, rows, caps) {
            Ok(all) => layers.iter_mut().zip(all).for_each(|(layer, found)| layer.extend(found)),
            Err(error) => refusal = Some(error),
        }
    }
    match refusal {
        Some(error) if layers.iter().all(Vec::is_empty) => Err(error),
        _ => Ok(layers),
    }
}

/// The tiles of batch rows to consider. A single row wastes nothing; from two rows on a weight may serve several.
fn rows_of(dims: Dims) -> Vec<Rows> {
    if dims.batch == 1 { vec![Rows::One] } else { vec![Rows::One, Rows::Four] }
}

fn candidates(
    model: &Model,
    run_shape: RunShape,
    request: Request,
    rows: Rows,
    caps: &Caps,
) -> Result<Vec<Vec<Candidate>>> {
    let dims = Dims::new(run_shape.dims.batch, run_shape.dims.steps)?;
    run_shape.check(model)?;
    request.precision.check()?;
    caps.check("a kernel", 1, u64::from(caps.max_threads), "threads in a workgroup")?;
    // Directions lie side by side or one after the other, merged or not.
    let output = model.layers()[0].direction().count() * model.state_size();
    for (name, features) in [(run_shape.x_shape(), run_shape.features(model)), ("y [B, T, D·P]", output)] {
        let numbers = product(name, &[dims.batch, dims.steps, features])?;
        caps.check_array(name, request.precision.activations.words(numbers) as u64 * 4)?;
    }
    let layers = 0..model.layers().len();
    layers.map(|index| layer_candidates(model, index, run_shape, rows, request, caps)).collect()
}

/// The fastest candidate of each layer, among those of the requested strategy where there are any. Or the same kernel
/// for all layers, where only that allows pipelining, and it is faster or `only.pipelining` requires it.
fn pick(
    model: &Model,
    run_shape: RunShape,
    request: Request,
    rows: Rows,
    candidates: Vec<Vec<Candidate>>,
    caps: &Caps,
) -> Result<Plan> {
    let allowed: Vec<Vec<Choice<'_>>> = candidates.iter().map(|layer| allowed(layer, request.only)).collect();
    let readout =
        model.readout().map(|readout| readout_kernel(model, readout, run_shape.dims, request, caps));
    let most_words = usize::try_from(caps.max_array_bytes() / 4).unwrap_or(usize::MAX);
    let (precision, readout) = (request.precision, readout.transpose()?);
    let activation = model.readout().map(|readout| activation_kernel(readout, run_shape.dims, caps));
    let activation = activation.transpose()?.flatten();
    let of = |choices: Vec<&Choice<'_>>| {
        let layers = choices.iter().map(|choice| choice.recipe.clone()).collect();
        let cost = choices.iter().fold(Cost::ZERO, |sum, choice| sum.plus(choice.cost));
        let modelled = choices.iter().fold(Cost::ZERO, |sum, choice| sum.plus(choice.modelled));
        let (pipelining, not_pipelined) = (None, None);
        let plan = Plan {
            run_shape,
            precision,
            rows,
            layers,
            pipelining,
            not_pipelined,
            readout,
            activation,
            most_words,
            cost,
        };
        pipelining::improve(plan, modelled, model, request.only, caps)
    };
    let cheapest = allowed.iter().map(|layer| layer.iter().min_by_key(|choice| choice.cost));
    let cheapest: Option<Vec<_>> = cheapest.collect();
    let plan = of(cheapest.ok_or_else(|| none("way to compute a layer"))?);
    if request.only.pipelining == Some(0) {
        return Ok(plan);
    }
    // The fastest kernels layer by layer may not be the fastest pipelined.
    let pipelined = alike(&allowed).into_iter().map(of).filter(|alike| alike.pipelining.is_some());
    let is_better = |pipelining: &Plan| {
        pipelining.cost < plan.cost || (request.only.pipelining.is_some() && plan.pipelining.is_none())
    };
    Ok(pipelined.min_by_key(|pipelining| pipelining.cost).filter(is_better).unwrap_or(plan))
}

/// A candidate that the device allows.
struct Choice<'a> {
    recipe: &'a LayerRecipe,
    cost: Cost,
    modelled: Cost,
}

/// The candidates of a layer that the device allows, limited to the requested strategy where there are any.
fn allowed(candidates: &[Candidate], only: Only) -> Vec<Choice<'_>> {
    let asked = |c: &Candidate| only.has(c) && c.outcome.is_ok();
    let any = candidates.iter().any(asked);
    let allowed = candidates.iter().filter(|c| !any || asked(c)).filter_map(|c| {
        let (recipe, cost) = c.outcome.as_ref().ok()?;
        Some(Choice { recipe, cost: *cost, modelled: c.modelled()? })
    });
    allowed.collect()
}

/// For each recurrence that all layers have: that one in every layer. The fastest may have too many workgroups to
/// pipeline all layers.
fn alike<'a, 'b>(layers: &'b [Vec<Choice<'a>>]) -> Vec<Vec<&'b Choice<'a>>> {
    let [first, ..] = layers else { return Vec::new() };
    let all = first.iter().filter_map(|first| {
        let like = |choice: &&Choice<'_>| choice.recipe.recurrence.is_like(&first.recipe.recurrence);
        layers.iter().map(|layer| layer.iter().find(like)).collect::<Option<Vec<_>>>()
    });
    all.collect()
}

fn layer_candidates(
    model: &Model,
    index: usize,
    run_shape: RunShape,
    rows: Rows,
    request: Request,
    caps: &Caps,
) -> Result<Vec<Candidate>> {
    let (layer, dims, precision) = (&model.layers()[index], run_shape.dims, request.precision);
    let state = size("P", layer.state_size())?;
    if precision.activations.is_half() && state > 1 {
        caps.check("y of 16-bit numbers", 2, u64::from(caps.max_threads), "threads in a workgroup")?;
    }
    let columns = product("G·H", &[layer.cell().gates(), layer.hidden()])?;
    let tile = rows.count() as usize;
    let padded = product("B rounded up to a tile of rows", &[dims.batch.div_ceil(tile), tile])?;
    let most = u64::from(caps.max_workgroups) * u64::from(rows.count());
    caps.check("B (batch)", padded as u64, most, "rows")?;
    let step_bytes = product("B·D·G·H", &[padded, layer.direction().count(), columns, 4])? as u64;
    caps.check_array("one step of the projected input, B·D·G·H", step_bytes)?;

    let below = index.checked_sub(1).map(|below| output_columns(&model.layers()[below], precision));
    let k = below.unwrap_or(layer.input());
    let n = size("G·H", columns)?;
    let projection = if index == 0 && run_shape.projected {
        let activations = precision.activations;
        AddBias { n, activations, rows, width: width(n, caps) }.into()
    } else {
        let sizes = matmul::Sizes { k: size("I", k)?, n };
        matmul_kernel(sizes, padded.saturating_mul(dims.steps), rows, request, caps)
    };
    let by_memory = PROJECTION_BUDGET.min(caps.max_array_bytes()) / step_bytes;
    let by_grid = projection.most_rows(caps.max_workgroups) as usize / padded;
    let chunk = (by_memory as usize).min(by_grid).clamp(1, MAX_CHUNK).min(dims.steps);

    let merge = merge_kernel(layer, dims, precision, caps)?;
    let of_merge =
        merge.map_or(Cost::ZERO, |(kernel, words)| cost::dispatch(&kernel, words, 1, 1, &caps.speed));
    // Where x is projected already, a measured time includes a projection too many; by cooperative matrices the
    // projection differs.
    let is_usual = !matches!(projection, Projection::MatmulMatrices(_));
    let is_whole = is_usual && (index > 0 || !run_shape.projected);
    let shape = Shape::new(layer, k, dims, precision).filter(|_| is_whole);
    let of_steps = resets::kernels(layer, run_shape, rows, caps)?;
    let mut candidates: Vec<Candidate> = Vec::new();
    for strategy in Strategy::ALL {
        let variants = strategy::variants(strategy, layer, run_shape, rows, request, caps)?;
        match variants {
            Err(reason) => {
                let (outcome, correction) = (Err(reason), None);
                let waits = Cost::ZERO;
                candidates.push(Candidate { rows, strategy, variant: 0, outcome, shape, waits, correction });
            }
            Ok(variants) => {
                // Per-step candidates come first among the strategies.
                let instead = cheapest_steps(&candidates);
                candidates.extend(variants.into_iter().enumerate().map(|(variant, recurrence)| {
                    let recipe = match recurrence {
                        Recurrence::MultiWorkgroup { kernel, .. } => {
                            let most = exchange::most_steps(kernel, layer, padded, caps).min(chunk);
                            exchange::recipe(projection, kernel, instead.clone(), most, caps)
                        }
                        recurrence => recipe(projection, recurrence, chunk, caps),
                    };
                    let merge = merge.map(|(kernel, _)| kernel);
                    let is_step = matches!(recipe.recurrence, Recurrence::Step(_));
                    let resets = if is_step { of_steps.clone() } else { Vec::new() };
                    let recipe = LayerRecipe { merge, resets, ..recipe };
                    let modelled = recipe_cost(&recipe, layer, dims, padded, caps).plus(of_merge);
                    let way = Way::of(&recipe.recurrence);
                    let corrected = match (&shape, &way) {
                        (Some(shape), Some(way)) => caps.measured.correct(shape, way, modelled),
                        _ => None,
                    };
                    let cost = corrected.map_or(modelled, |(cost, _)| cost);
                    let correction = corrected.map(|(_, correction)| correction);
                    let waits = waits(&recipe, layer, dims, caps);
                    let outcome = Ok((recipe, cost));
                    Candidate { rows, strategy, variant, outcome, shape, waits, correction }
                }));
            }
        }
    }
    Ok(candidates)
}

fn recipe(projection: Projection, recurrence: Recurrence, chunk: usize, caps: &Caps) -> LayerRecipe {
    let most = match (&recurrence, caps.max_iterations) {
        (Recurrence::Persistent(kernel), Some(most)) => kernel.most_steps(most),
        _ => u64::MAX,
    };
    let chunk = chunk.min(usize::try_from(most).unwrap_or(usize::MAX));
    LayerRecipe { projection, recurrence, resets: Vec::new(), chunk, merge: None }
}

/// The kernels of the fastest per-step candidate so far.
fn cheapest_steps(candidates: &[Candidate]) -> Vec<Recurrent> {
    let steps = candidates.iter().filter_map(|candidate| match &candidate.outcome {
        Ok((LayerRecipe { recurrence: Recurrence::Step(kernels), .. }, cost)) => Some((kernels, cost)),
        _ => None,
    });
    steps.min_by_key(|(_, cost)| *cost).map(|(kernels, _)| kernels.clone()).unwrap_or_default()
}

/// The latency of loads in all steps of a run: [`Candidate::waits`].
fn waits(recipe: &LayerRecipe, layer: &Layer, dims: Dims, caps: &Caps) -> Cost {
    let narrow = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    let (dirs, batch) = (narrow(layer.direction().count()), narrow(dims.batch));
    let chunks = dims.steps.div_ceil(recipe.chunk) as u64;
    let each = cost::waits(&recipe.recurrence, batch, recipe.chunk as u64, dirs, &caps.speed).femtoseconds;
    Cost { femtoseconds: chunks.saturating_mul(each) }
}

fn recipe_cost(recipe: &LayerRecipe, layer: &Layer, dims: Dims, padded: usize, caps: &Caps) -> Cost {
    let narrow = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    let (dirs, batch) = (narrow(layer.direction().count()), narrow(dims.batch));
    let chunks = dims.steps.div_ceil(recipe.chunk) as u64;
    let rows = narrow(recipe.chunk.saturating_mul(padded));
    let projection = cost::dispatch(&*recipe.projection, rows, 1, dirs, &caps.speed).femtoseconds;
    let each = cost::walk(&recipe.recurrence, batch, recipe.chunk as u64, dirs, &caps.speed).femtoseconds;
    let resets = resets::cost(&recipe.resets, batch, caps).saturating_mul(dims.steps as u64);
    Cost { femtoseconds: chunks.saturating_mul(projection.saturating_add(each)).saturating_add(resets) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtype::Precision;
    use crate::dtype::Storage;
    use crate::model::{Cell, Direction, Weights};
    use crate::plan::{Exchange, Speed};

    fn gru(input: usize, hidden: usize, cell: Cell) -> Model {
        let rows = cell.gates() * hidden;
        let weights =
            Weights { w_ih: vec![0.5; rows * input], w_hh: vec![0.5; rows * hidden], ..Weights::default() };
        let layer = Layer::new(cell, Direction::Forward, input, hidden, vec![weights]).unwrap();
        Model::new(vec![layer]).unwrap()
    }

    fn planned(model: &Model, [batch, steps]: [usize; 2], strategy: Option<Strategy>, caps: &Caps) -> Plan {
        let only = Only { strategy, ..Only::default() };
        let request = Request { only, ..Request::default() };
        plan(model, Dims::new(batch, steps).unwrap(), request, caps).unwrap()
    }

    #[test]
    fn a_requested_strategy_is_taken_where_it_is_possible() {
        let caps = Caps::webgpu_minimum();
        let small = gru(8, 16, Cell::GRU);
        for (strategy, text) in [
            (
                Strategy::Step,
                "layer 0: matmul_rows (1 row × 64 threads), then 5 × step_gru_after (1 row × 16 threads)",
            ),
            (
                Strategy::Persistent,
                "layer 0: matmul_rows (1 row × 64 threads), then persistent_gru_after (1 row × 16 units) for 5 steps",
            ),
            (
                Strategy::Streamed,
                "layer 0: matmul_rows (1 row × 64 threads), then persistent_gru_after (1 row × 16 units, weights streamed) for 5 steps",
            ),
        ] {
            assert_eq!(planned(&small, [1, 5], Some(strategy), &caps).to_string(), text);
        }
        // The first layer takes an x that is projected already as it is.
        let run_shape = RunShape { projected: true, ..Dims::new(1, 5).unwrap().into() };
        let only = Only { strategy: Some(Strategy::Step), ..Only::default() };
        let taken = plan(&small, run_shape, Request { only, ..Request::default() }, &caps).unwrap();
        let text = "layer 0: add_bias (1 row × 64 threads), then 5 × step_gru_after (1 row × 16 threads)";
        assert_eq!(taken.to_string(), text);
        // 512 units do not fit a workgroup of 256 threads.
        let large = gru(8, 512, Cell::GRU);
        let step = planned(&large, [1, 5], Some(Strategy::Persistent), &caps);
        assert!(step.has_steps(), "{step}");
    }

    #[test]
    fn the_fastest_is_taken_and_the_rest_have_their_reasons() {
        let caps = Caps::webgpu_minimum();
        let model = gru(8, 512, Cell::GRU);
        let dims = Dims::new(4, 100).unwrap();
        let plan = plan(&model, dims, Precision::default(), &caps).unwrap();
        let all = alternatives(&model, dims, Precision::default(), &caps).unwrap();
        let costs = all[0].iter().filter_map(|c| c.outcome.as_ref().ok()).map(|(_, cost)| *cost);
        assert_eq!(Some(plan.cost), costs.min());
        let refused: Vec<&String> = all[0].iter().filter_map(|c| c.outcome.as_ref().err()).collect();
        assert!(refused.iter().any(|reason| reason.contains("512 threads in a workgroup")), "{refused:?}");
    }

    /// Long sequences of a small layer, and one step, on a device where a dispatch is slow.
    #[test]
    fn a_slow_dispatch_makes_persistent_kernels_pay() {
        let speed = Speed { dispatch: 100_000_000_000, ..Speed::DISCRETE };
        let caps = Caps { speed, ..Caps::webgpu_minimum() };
        let model = gru(8, 64, Cell::GRU);
        assert!(!planned(&model, [4, 1000], None, &caps).has_steps());
        // 768 · 256 weights are beyond the registers of a workgroup, and 256 threads of it.
        assert!(planned(&gru(8, 2048, Cell::GRU), [4, 1000], None, &caps).has_steps());
    }

    /// The kernels of `strategy` for a GRU.
    fn kernels(
        strategy: Strategy,
        hidden: usize,
        batch: usize,
        weights: Storage,
        caps: &Caps,
    ) -> Vec<String> {
        let (dims, precision) =
            (Dims::new(batch, 100).unwrap(), Precision { weights, ..Precision::default() });
        let all = alternatives(&gru(8, hidden, Cell::GRU), dims, precision, caps).unwrap();
        let all = all[0].iter().filter(|candidate| candidate.strategy == strategy);
        all.filter_map(|candidate| Some(candidate.outcome.as_ref().ok()?.0.recurrence.to_string())).collect()
    }

    #[test]
    fn weights_are_partially_register_resident_where_all_are_too_many() {
        let caps = Caps { max_threads: 1024, max_workgroup_bytes: 48 << 10, ..Caps::webgpu_minimum() };
        let of = |hidden, batch, weights| kernels(Strategy::Persistent, hidden, batch, weights, &caps);
        let has_part = |kernels: Vec<String>| kernels.iter().any(|kernel| kernel.contains("blocks held"));
        assert!(!has_part(of(128, 4, Storage::F32)) && !has_part(of(160, 4, Storage::F16)));
        // 49,152 registers for 76,800 weights: one kernel for each tile of rows, the one that keeps the most.
        let expected = ["1 row", "4 rows"]
            .map(|rows| format!("persistent_gru_after ({rows} × 160 units × 3 threads, 1 of 2 blocks held)"));
        assert_eq!(of(160, 4, Storage::F32), expected);
        let expected = "persistent_gru_after (1 row × 256 units, weights packed, 4 of 8 blocks held)";
        assert_eq!(of(256, 1, Storage::Bf16), [expected]);
        // Less than a third of the weights is not worth keeping.
        assert_eq!(
            of(192, 1, Storage::F32),
            ["persistent_gru_after (1 row × 192 units, 2 of 6 blocks held)"]
        );
        assert_eq!(of(224, 4, Storage::F32), [""; 0]);
        let plan = planned(&gru(8, 160, Cell::GRU), [1, 100], None, &caps);
        assert!(plan.to_string().contains("blocks held"), "{plan}");
    }

    #[test]
    fn multi_workgroup_kernels_hold_a_part_where_all_weights_are_too_many() {
        let fault = crate::kernels::exchange::Fault::None;
        let exchange = Exchange { workgroups: 132, workgroup_bytes: 48 << 10, steps: 1000, fault };
        let caps = Caps { max_workgroup_bytes: 48 << 10, exchange: Some(exchange), ..Caps::webgpu_minimum() };
        let of = |hidden| kernels(Strategy::MultiWorkgroup, hidden, 1, Storage::F32, &caps);
        let whole = [(16, 64), (8, 128)].map(|(units, groups)| {
            format!("multi_workgroup_gru_after (1 row × {units} units × 16 threads × {groups} workgroups)")
        });
        assert_eq!(of(1024), whole);
        let expected =
            "multi_workgroup_gru_after (1 row × 16 units × 16 threads × 128 workgroups, 2 of 4 blocks held)";
        assert_eq!(of(2048), [expected]);
        let plan = planned(&gru(8, 2048, Cell::GRU), [1, 100], None, &caps);
        assert!(plan.to_string().contains(expected), "{plan}");
    }

    #[test]
    fn reset_before_takes_two_dispatches() {
        let model = gru(3, 3, Cell::ORIGINAL_GRU);
        let plan = planned(&model, [1, 1], Some(Strategy::Step), &Caps::webgpu_minimum());
        let Recurrence::Step(kernels) = &plan.layers[0].recurrence else { panic!("{plan}") };
        let names: Vec<&str> = kernels.iter().map(|kernel| kernel.name()).collect();
        assert_eq!(names, ["step_gru_before_gates", "step_gru_before_candidate"]);
    }

    #[test]
    fn a_thread_stays_within_the_iterations_of_its_driver() {
        let caps = Caps { max_iterations: Some(Caps::SOFTWARE_ITERATIONS), ..Caps::webgpu_minimum() };
        // Of 192 units some of the weights are loaded in every step.
        for (strategy, hidden) in
            [(Strategy::Persistent, 64), (Strategy::Persistent, 192), (Strategy::Streamed, 64)]
        {
            let plan = planned(&gru(1, hidden, Cell::GRU), [1, 100_000], Some(strategy), &caps);
            let Recurrence::Persistent(kernel) = plan.layers[0].recurrence else { panic!("{plan}") };
            assert!(kernel.most_steps(Caps::SOFTWARE_ITERATIONS) >= plan.layers[0].chunk as u64, "{plan}");
        }
    }

    #[test]
    fn long_sequences_are_projected_in_chunks_and_too_large_ones_refused() {
        let caps = Caps::webgpu_minimum();
        let model = gru(1, 64, Cell::GRU);
        // 64 MiB / (512 rows · 192 columns · 4 bytes)
        assert_eq!(planned(&model, [512, 1000], None, &caps).layers[0].chunk, 170);
        assert_eq!(planned(&model, [1, 100_000], None, &caps).layers[0].chunk, MAX_CHUNK);

        let refused =
            |batch| plan(&model, Dims::new(batch, 1).unwrap(), Precision::default(), &caps).unwrap_err();
        let error = refused(300_000);
        assert!(matches!(error, Error::TooLarge { .. }), "{error}");
        let error = refused(usize::MAX / 2);
        assert!(matches!(error, Error::TooLarge { .. } | Error::Overflow { .. }), "{error}");
    }
}
