//! `wgru explain`: the kernels that a run would use on a device, their predicted times, and why the others were not
//! chosen.

use std::path::Path;

use wgru::plan::{Candidate, LayerRecipe, Plan, Prediction, Table as PlanTable};
use wgru::{DeviceOptions, Dims, Engine, Model, Options};

use crate::args::ExplainArgs;
use crate::arrays::check_not_empty;
use crate::devices::{check_matrices, choose, say_matrices};
use crate::failure::{Outcome, error};
use crate::onnx;
use crate::print::print;
use crate::run::{is_onnx, read_model};
use crate::table::Table;
use crate::work::size;
use wgru_harness::case::Case;
use wgru_harness::number::{three, together};

/// Plans and prints; nothing is run.
pub fn explain(args: &ExplainArgs) -> Outcome {
    let (model, dims, options) = subject(args)?;
    check_matrices(args.matrices, &args.what, options.precision())?;
    let mut options = options.reproducible(!args.matrices);
    if let Some(path) = &args.speed {
        options = options.speed(read_table(path)?);
    }
    let opened = DeviceOptions::default().matrices(args.matrices);
    let (device, choice) =
        choose(&args.device, &opened, args.exchange, &model, dims.into(), options.clone())?;
    say_matrices(&device, args.matrices);
    let why = choice.map_or_else(String::new, |choice| format!("auto: {choice}\n"));
    let engine = device.load_with(&model, options)?;
    let head = format!("{}: {model}, {}\n", device.info(), size(dims));
    let body = match engine.plan(dims)? {
        None => of_host(&engine, dims)?,
        Some(plan) => of_pieces(&engine, dims)? + &of_plan(&engine, dims, &plan)?,
    };
    print(&format!("{why}{head}{body}"))
}

/// The subject of the first argument: a model file, or a case.
fn subject(args: &ExplainArgs) -> Outcome<(Model, Dims, Options)> {
    let path = Path::new(&args.what);
    if path.extension().is_none() && !path.exists() {
        if args.batch.is_some() || args.steps.is_some() {
            return Err(error("--batch, --steps", "are for models; a case names its own"));
        }
        if args.node.is_some() {
            return Err(error("--node", "is for .onnx models"));
        }
        let hint = "expected a case such as gru-b16-t100-i256-h256, or a model's file";
        let case: Case = args.what.parse().map_err(|reason: String| error(reason, hint))?;
        let model = case.model(&mut fastrand::Rng::with_seed(1))?;
        return Ok((model, Dims::new(case.batch, case.steps)?, case.options()));
    }
    check_not_empty(path)?;
    let model = if is_onnx(path) {
        onnx::import(path, args.node.as_deref(), &args.model_args)?.model
    } else if args.node.is_some() {
        return Err(error("--node", "is for .onnx models"));
    } else {
        read_model(path, &args.model_args)?.model
    };
    let dims = Dims::new(args.batch.unwrap_or(1), args.steps.unwrap_or(100))?;
    Ok((model, dims, Options::default()))
}

/// Reads a table written by `wgru tune`.
pub fn read_table(path: &Path) -> Outcome<PlanTable> {
    let text = std::fs::read_to_string(path)
        .map_err(|reason| error(path.display(), format!("not a readable table of `wgru tune`: {reason}")))?;
    PlanTable::parse(&text).map_err(|reason| error(path.display(), reason))
}

/// The CPU path and the reference, which have no alternatives to choose between.
fn of_host(engine: &Engine, dims: Dims) -> Outcome<String> {
    engine.device().calibrate();
    // There is no prediction for the reference.
    let time = engine
        .expected(dims)
        .map_or_else(|_| String::new(), |time| format!("predicted {}\n", seconds(time.as_secs_f64())));
    Ok(format!("{}\n{time}", engine.explain(dims)?))
}

/// How a batch is cut that does not fit the device in one piece.
fn of_pieces(engine: &Engine, dims: Dims) -> Outcome<String> {
    let Some(pieces) = engine.pieces(dims)? else { return Ok(String::new()) };
    let all = seconds(engine.expected(dims)?.as_secs_f64());
    Ok(format!(
        "run {pieces}, predicted {all} with the transfers to the device and back; of the first piece:\n"
    ))
}

fn of_plan(engine: &Engine, dims: Dims, plan: &Plan) -> Outcome<String> {
    let mut text = format!("{plan}\npredicted {}\n", seconds(plan.cost.seconds()));
    let predictions = engine.predictions(dims)?;
    for (index, (candidates, picked)) in engine.alternatives(dims)?.iter().zip(&plan.layers).enumerate() {
        let cost = |candidate: &Candidate| candidate.outcome.as_ref().ok().map(|(_, cost)| cost.seconds());
        let own = candidates.iter().find(|candidate| {
            let recipe = candidate.outcome.as_ref().ok().map(|(recipe, _)| recipe);
            candidate.rows == plan.rows && recipe.is_some_and(|recipe| same(recipe, picked))
        });
        let own = own.and_then(cost);
        let mut table =
            Table::new(&["strategy", "rows", "kernels", "predicted", "latency of loads", "by", ""]);
        for candidate in candidates {
            let verdict = match (&candidate.outcome, own) {
                (Err(reason), _) => reason.clone(),
                (Ok((recipe, _)), _) if candidate.rows == plan.rows && same(recipe, picked) => {
                    "chosen".into()
                }
                (Ok((_, cost)), Some(own)) => format!("{} times the chosen one", three(cost.seconds() / own)),
                (Ok(_), None) => String::new(),
            };
            table.row(vec![
                candidate.strategy.to_string(),
                candidate.rows.count().to_string(),
                candidate
                    .outcome
                    .as_ref()
                    .map_or_else(|_| "-".into(), |(recipe, _)| recipe.recurrence.to_string()),
                cost(candidate).map_or_else(|| "-".into(), seconds),
                match candidate.waits.seconds() {
                    0.0 => "-".into(),
                    waits => seconds(waits),
                },
                candidate.outcome.as_ref().map_or_else(|_| "-".into(), |_| basis(candidate)),
                verdict,
            ]);
        }
        text += &format!("\nlayer {index}\n{table}");
        if let Some(own) = predictions.get(index) {
            text += &format!("\nchosen kernels, predicted by the cost model\n{}", of_kernels(own));
        }
    }
    if plan.layers.len() > 1 {
        text += "\nAll layers compute the same number of rows at once, so the layers are chosen together.\n";
        text += &of_pipelined(plan);
    }
    Ok(text)
}

/// How the chosen kernels occupy the device, and what bounds them.
fn of_kernels(predictions: &[(String, Prediction)]) -> Table {
    let head = ["kernel", "a dispatch", "workgroups", "waves", "a core holds", "limited by", "bound by"];
    let mut table = Table::new(&head);
    for (kernel, prediction) in predictions {
        let Prediction { workgroups, waves, occupancy, bound, cost, .. } = prediction;
        let plural = if occupancy.workgroups == 1 { "" } else { "s" };
        table.row(vec![
            kernel.clone(),
            seconds(cost.seconds()),
            workgroups.to_string(),
            waves.to_string(),
            format!("{} workgroup{plural}, {} threads", occupancy.workgroups, occupancy.threads),
            occupancy.limit.to_string(),
            bound.to_string(),
        ]);
    }
    table
}

/// The terms of the predicted time.
fn basis(candidate: &Candidate) -> String {
    candidate.correction.map_or_else(|| "the model".into(), |correction| correction.basis.to_string())
}

/// Whether both have the same kernels, apart from the chunks of a pipelined stack.
fn same(one: &LayerRecipe, other: &LayerRecipe) -> bool {
    one.projection == other.projection && one.recurrence == other.recurrence
}

/// The predicted effect of pipelining the layers.
fn of_pipelined(plan: &Plan) -> String {
    match plan.pipelining {
        None => match &plan.not_pipelined {
            Some(reason) => format!("Layers run one after the other: {reason}.\n"),
            None => "Layers run one after the other.\n".into(),
        },
        Some(pipelining) => {
            let times = pipelining.sequential.seconds() / plan.cost.seconds();
            format!("One layer after the other would take {} times the chosen plan.\n", three(times))
        }
    }
}

pub(super) fn seconds(value: f64) -> String {
    together(&[value], "s")
}
