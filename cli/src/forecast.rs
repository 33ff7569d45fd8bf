//! `wgru forecast`: computes every window of a series as one batch, and compares its forecasts with simple baselines.
//!
//! The model file's metadata describes its inputs. A window of W steps ends at row e of the series c:
//!
//! ```text
//! x[j] = (c[e − W + 1 + j] − c[e]) / scale        forecast of c[e + h] = c[e] + scale · out[h − 1]
//! ```

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;

use serde_json::{Value, json};
use wgru::import::Imported;
use wgru::{Batch, Model, ReadoutSteps};

use crate::args::{ForecastArgs, HeaderArg, ModelArgs};
use crate::arrays::{Source, check_not_empty, csv::Series, ending, write};
use crate::failure::{Outcome, error};
use crate::plot;
use crate::print::{is_standard, print_beside};
use crate::run::{read_model, read_pytorch};
use crate::table::Table;
use crate::work::Work;
use wgru_harness::number::count;

/// The task, from the metadata of the model's file.
struct Task {
    column: String,
    window: usize,
    horizon: usize,
    season: usize,
    scale: f64,
    /// Year and month of the first target that was held out of training.
    held_out_from: (u32, u32),
}

impl Task {
    fn of(metadata: &BTreeMap<String, String>, model: &str) -> Outcome<Self> {
        let text = |key: &str| {
            let missing = || error(model, format!("no metadata \"{key}\": not a forecaster"));
            metadata.get(key).ok_or_else(missing)
        };
        fn number<T: FromStr>(key: &str, text: &str) -> Outcome<T> {
            text.parse().map_err(|_| error(key, format!("\"{text}\" is not a number it can be")))
        }
        let from = text("wgru.held_out_from")?;
        let (year, month) = from.split_once('-').unwrap_or((from, ""));
        let task = Self {
            column: text("wgru.column")?.clone(),
            window: number("wgru.window", text("wgru.window")?)?,
            horizon: number("wgru.horizon", text("wgru.horizon")?)?,
            season: number("wgru.season", text("wgru.season")?)?,
            scale: number("wgru.scale", text("wgru.scale")?)?,
            held_out_from: (number("wgru.held_out_from", year)?, number("wgru.held_out_from", month)?),
        };
        let sensible = task.window > task.season && task.season >= task.horizon && task.horizon >= 1;
        if !sensible || !task.scale.is_normal() {
            let reason = format!(
                "window {} > season {} ≥ horizon {} ≥ 1 and a scale other than {} are needed",
                task.window, task.season, task.horizon, task.scale
            );
            return Err(error(model, reason));
        }
        Ok(task)
    }
}

/// The forecaster and the record that the program has: copies of models/co2_gru.safetensors and data/co2_mauna_loa.csv.
const FORECASTER: &[u8] = include_bytes!("../forecast/co2_gru.safetensors");
const RECORD: &[u8] = include_bytes!("../forecast/co2_mauna_loa.csv");

/// The model of a file or of the program, with its name.
fn forecaster(path: Option<&Path>) -> Outcome<(String, Imported)> {
    let args = ModelArgs::default();
    let Some(path) = path else {
        let name = "the forecaster in the program";
        return Ok((name.into(), read_pytorch(&args, |importer| importer.parse(name, FORECASTER))?));
    };
    check_not_empty(path)?;
    Ok((path.display().to_string(), read_model(path, &args)?))
}

/// A method of forecasting: its name and its value for step h after row e.
type Method<'a> = (&'static str, Box<dyn Fn(usize, usize) -> f64 + 'a>);

/// Reads, forecasts every window, scores the held-out ones, plots.
pub fn forecast(args: &ForecastArgs) -> Outcome {
    check_plot(args)?;
    let (name, imported) = forecaster(args.model.as_deref())?;
    let task = Task::of(&imported.report.metadata, &name)?;
    check_model(&imported.model, &task).map_err(|reason| error(&name, reason))?;
    let wanted = ["year", "month", &task.column].map(str::to_owned);
    let source = match &args.data {
        Some(path) => Source::read(path)?,
        None => {
            Source { name: "the series in the program".into(), ending: "csv".into(), bytes: RECORD.into() }
        }
    };
    let series = Series::read(&source, Some(HeaderArg::Yes), &wanted)?;
    let c = series.column(&task.column)?;
    let months = months(&series)?;
    if task.window.checked_add(task.horizon).is_none_or(|needed| c.len() < needed) {
        let Task { window, horizon, .. } = task;
        let reason = format!(
            "{}, a window of {window} and its {} need more",
            count(c.len(), "row"),
            count(horizon, "target")
        );
        return Err(error(source.name, reason));
    }

    // Every window of the series, including the last ones, whose targets lie beyond its end.
    let ends: Vec<usize> = (task.window - 1..c.len()).collect();
    let x: Vec<f32> = ends
        .iter()
        .flat_map(|&e| c[e + 1 - task.window..=e].iter().map(move |v| ((v - c[e]) / task.scale) as f32))
        .collect();
    let work = Work::run(&args.work, &imported.model, &Batch::new(&x, [ends.len(), task.window, 1])?)?;
    let out = work.output.out.as_deref().unwrap_or_default();
    let model =
        |e: usize, h: usize| c[e] + task.scale * f64::from(out[(e + 1 - task.window) * task.horizon + h - 1]);

    let held_out: Vec<usize> = ends
        .iter()
        .copied()
        .filter(|&e| e + task.horizon < c.len() && months[e + 1] >= task.held_out_from)
        .collect();
    if held_out.is_empty() {
        return Err(error(source.name, "no window whose targets were held out of training"));
    }
    let methods: [Method<'_>; 4] = [
        ("model", Box::new(model)),
        ("persistence", Box::new(|e, _| c[e])),
        ("seasonal naive", Box::new(|e, h| c[e + h - task.season])),
        ("seasonal naive with drift", Box::new(|e, h| c[e + h - task.season] + c[e] - c[e - task.season])),
    ];
    let scores = score(&methods, c, &held_out, task.horizon);
    let last = c.len() - 1;
    let ahead: Vec<f64> = (1..=task.horizon).map(|h| model(last, h)).collect();

    let text;
    if args.work.json {
        let mut json = work.to_json();
        json["held_out_windows"] = held_out.len().into();
        json["held_out"] = scores_json(&scores);
        json["ahead"] = ahead.into();
        json["plot"] = args.plot.display().to_string().into();
        text = format!("{json:#}\n");
    } else {
        let scores = scores_table(&scores, &task, held_out.len(), &months);
        text = format!("{work}{scores}plot: {}\n", args.plot.display());
    }
    let picture = plot::forecast(&plot::Forecast {
        title: format!("{}: forecast against truth", task.column),
        subtitle: format!(
            "each line is {} months forecast from the {} before; held out of training from {}-{:02} on",
            task.horizon, task.window, task.held_out_from.0, task.held_out_from.1
        ),
        unit: &task.column,
        years: months
            .iter()
            .map(|&(year, month)| f64::from(year) + (f64::from(month) - 0.5) / 12.0)
            .collect(),
        truth: c,
        // Windows whose targets do not overlap, so that each forecast is visible.
        forecasts: held_out
            .iter()
            .copied()
            .step_by(task.horizon)
            .map(|e| (e, (1..=task.horizon).map(|h| model(e, h)).collect()))
            .collect(),
        from: held_out[0] + 1,
    });
    write::replace(&args.plot, picture.map_err(|reason| error(args.plot.display(), reason))?.as_bytes())?;
    print_beside(&text, Some(&args.plot))?;
    work.verdict()
}

/// Whether the model matches the task: one input feature, and the horizon as its outputs at the last step.
fn check_model(model: &Model, task: &Task) -> Result<(), String> {
    let readout = model.readout().ok_or("a forecaster needs a readout")?;
    if readout.steps() != ReadoutSteps::Last {
        return Err("a forecaster's readout is on the last step, this one is on every step".into());
    }
    if readout.outputs() != task.horizon {
        return Err(format!("a horizon of {} from {}", task.horizon, count(readout.outputs(), "output")));
    }
    if model.input() != 1 {
        return Err(format!("a forecaster reads 1 feature, this one {}", model.input()));
    }
    Ok(())
}

fn check_plot(args: &ForecastArgs) -> Outcome {
    if is_standard(&args.plot) && args.work.json {
        return Err(error("--json", "and --plot - both print to standard output; name a file"));
    }
    if !is_standard(&args.plot) && ending(&args.plot) != "svg" {
        return Err(error(args.plot.display(), "expected a path ending in .svg, or - for standard output"));
    }
    let read = [&args.model, &args.data].into_iter().flatten();
    write::check_apart(&args.plot, read.map(|path| path.as_path()))?;
    write::check_target(&args.plot)
}

/// Year and month of every row, which must be consecutive.
fn months(series: &Series) -> Outcome<Vec<(u32, u32)>> {
    let years = series.column("year")?.iter();
    let months: Vec<(u32, u32)> = years
        .zip(series.column("month")?)
        .map(|(&year, &month)| {
            let whole = year.fract() == 0.0 && month.fract() == 0.0 && (0.0..1e6).contains(&year);
            if whole && (1.0..=12.0).contains(&month) {
                return Ok((year as u32, month as u32));
            }
            Err(error("year, month", format!("{year}, {month} is not a month")))
        })
        .collect::<Outcome<_>>()?;
    let next = |(year, month): (u32, u32)| if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    match months.windows(2).find(|pair| pair[1] != next(pair[0])) {
        Some(pair) => {
            let [(year, month), (found_year, found_month)] = [pair[0], pair[1]];
            let reason = format!("{year}-{month:02} is followed by {found_year}-{found_month:02}");
            Err(error("year, month", reason))
        }
        None => Ok(months),
    }
}

/// The errors of one method: mean absolute and root mean square error over all horizons, and by horizon.
struct Score {
    method: &'static str,
    mae: f64,
    rmse: f64,
    mae_by_horizon: Vec<f64>,
}

fn score(methods: &[Method<'_>], c: &[f64], ends: &[usize], horizon: usize) -> Vec<Score> {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    methods
        .iter()
        .map(|(method, value)| {
            let errors = |h: usize| ends.iter().map(move |&e| value(e, h) - c[e + h]);
            let absolute = |h: usize| errors(h).map(f64::abs).collect::<Vec<_>>();
            let squares: Vec<f64> = (1..=horizon).flat_map(|h| errors(h).map(|v| v * v)).collect();
            let mae_by_horizon: Vec<f64> = (1..=horizon).map(|h| mean(&absolute(h))).collect();
            Score { method, mae: mean(&mae_by_horizon), rmse: mean(&squares).sqrt(), mae_by_horizon }
        })
        .collect()
}

fn scores_table(scores: &[Score], task: &Task, windows: usize, months: &[(u32, u32)]) -> String {
    let (year, month) = task.held_out_from;
    let (last_year, last_month) = months[months.len() - 1];
    let head = format!(
        "error in {} over {} held out, targets {year}-{month:02} to {last_year}-{last_month:02}:",
        task.column,
        count(windows, "window")
    );
    let horizons = [1, task.horizon.div_ceil(2), task.horizon];
    let heads = horizons.map(|h| format!("MAE h={h}"));
    let mut table = Table::new(&["forecast", "MAE", "RMSE", &heads[0], &heads[1], &heads[2]]);
    for score in scores {
        let mut row =
            vec![score.method.to_owned(), format!("{:.3}", score.mae), format!("{:.3}", score.rmse)];
        row.extend(horizons.map(|h| format!("{:.3}", score.mae_by_horizon[h - 1])));
        table.row(row);
    }
    format!("{head}\n{table}")
}

fn scores_json(scores: &[Score]) -> Value {
    let rows = scores.iter().map(|score| {
        json!({
            "forecast": score.method,
            "mae": score.mae,
            "rmse": score.rmse,
            "mae_by_horizon": score.mae_by_horizon,
        })
    });
    rows.collect()
}
