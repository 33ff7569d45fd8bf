//! The planner.
//!
//! There is little to choose yet: how many batch rows a thread carries, which matmul, and how many steps
//! are projected at a time. All choices keep the reduction order, so none of them changes a bit of the
//! result (see `shaders/shared/step.wgsl`).

use super::{Caps, LayerRecipe, Plan, Recurrence};
use crate::dims::{Dims, product};
use crate::dtype::Precision;
use crate::error::{Error, Result};
use crate::io::Form;
use crate::kernels::step::{Shape, Sizes};
use crate::kernels::{Functions, Kernel, Rows, StepCell, WholeCell, matmul, resident};
use crate::model::{Cell, Forget, Layer, Model, Readout, ReadoutSteps, Reset, Update};

/// Threads of a row-tiled workgroup: two warps or one wave, and within every device's limit.
const WIDTH: u32 = 64;
/// Rows from which the tiled matmul's 64-row tile is half full, and sharing its loads pays.
const TILED_FROM_ROWS: usize = 32;
/// Bytes of the projected input that are held at a time.
const PROJECTION_BUDGET: u64 = 64 << 20;
/// Steps of one chunk at the most: entries of the step index table.
pub(crate) const MAX_CHUNK: usize = 4096;

/// Chooses kernels for `model` on a batch of `form`, or of dims alone, within `caps`.
///
/// # Errors
/// [`Error::Zero`]; [`Error::TooLarge`] and [`Error::Overflow`] where not even one step fits the device;
/// [`Error::Unsupported`] for storage types that do not go together.
pub fn plan(model: &Model, form: impl Into<Form>, precision: Precision, caps: &Caps) -> Result<Plan> {
    let form = form.into();
    let dims = Dims::new(form.dims.batch, form.dims.steps)?;
    precision.check()?;
    caps.check("a kernel", 1, u64::from(caps.max_threads), "threads in a workgroup")?;
    let rows = rows_of(dims);
    let layers = model
        .layers()
        .iter()
        .enumerate()
        .map(|(index, layer)| layer_recipe(index, layer, dims, rows, precision, caps))
        .collect::<Result<Vec<_>>>()?;
    for (name, features) in [("x [B, T, I]", model.input()), ("y [B, T, D·P]", model.output())] {
        let numbers = product(name, &[dims.batch, dims.steps, features])?;
        caps.check_array(name, precision.activations.words(numbers) as u64 * 4)?;
    }
    let readout = model.readout().map(|readout| readout_kernel(model, readout, dims, precision, caps));
    Ok(Plan { form, precision, rows, layers, readout: readout.transpose()? })
}

/// The tile of batch rows: a single row wastes nothing, and from two on a weight serves several.
fn rows_of(dims: Dims) -> Rows {
    if dims.batch == 1 { Rows::One } else { Rows::Four }
}

/// K of a matmul over y of a layer: its directions one after the other, all but the last as they are padded.
pub(crate) fn output_columns(layer: &Layer, precision: Precision) -> usize {
    let state = layer.state();
    (layer.direction().count() - 1) * precision.activations.padded(state) + state
}

fn layer_recipe(
    index: usize,
    layer: &Layer,
    dims: Dims,
    rows: Rows,
    precision: Precision,
    caps: &Caps,
) -> Result<LayerRecipe> {
    let hidden = size("H", layer.hidden())?;
    let state = size("P", layer.state())?;
    if precision.activations.is_half() && state > 1 {
        caps.check("y of 16-bit numbers", 2, u64::from(caps.max_threads), "threads in a workgroup")?;
    }
    let columns = product("G·H", &[layer.cell().gates(), layer.hidden()])?;
    let functions = Functions::of(layer);
    let most: u32 = std::env::var("WGRU_TILES").map_or(2, |v| v.parse().unwrap());let tiles = most.min(dims.batch.div_ceil(rows.count() as usize) as u32);
    let step: Vec<Kernel> = step_cells(layer)
        .into_iter()
        .map(|cell| {
            let sizes = match cell {
                StepCell::Project => Sizes { k: hidden, hidden: state },
                _ => Sizes { k: state, hidden },
            };
            let shape = Shape { width: width(sizes.hidden, caps), tiles };
            Kernel::Step { cell, functions, sizes, precision, rows, shape }
        })
        .collect();

    let tile = rows.count() as usize;
    let padded = product("B rounded up to a tile of rows", &[dims.batch.div_ceil(tile), tile])?;
    caps.check("B (batch)", padded as u64, u64::from(step[0].most_rows(caps.max_workgroups)), "rows")?;
    let step_bytes = product("B·D·G·H", &[padded, layer.direction().count(), columns, 4])? as u64;
    caps.check_array("one step of the projected input, B·D·G·H", step_bytes)?;

    // All layers have one P, so what this one reads has as many columns as what it writes.
    let k = if index == 0 { layer.input() } else { output_columns(layer, precision) };
    let sizes = matmul::Sizes { k: size("I", k)?, n: size("G·H", columns)? };
    let projection = matmul_kernel(sizes, padded.saturating_mul(dims.steps), rows, precision, caps);
    let by_memory = PROJECTION_BUDGET.min(caps.max_array_bytes()) / step_bytes;
    let by_grid = projection.most_rows(caps.max_workgroups) as usize / padded;
    let chunk = (by_memory as usize).min(by_grid).clamp(1, MAX_CHUNK).min(dims.steps);
    Ok(match resident_kernel(layer, dims, rows, precision, caps)? {
        Some(kernel) => {
            let most = caps.max_iterations.map_or(u64::MAX, |most| kernel.most_steps(most));
            let chunk = chunk.min(usize::try_from(most).unwrap_or(usize::MAX));
            LayerRecipe { projection, recurrence: Recurrence::Resident(kernel), chunk }
        }
        None => LayerRecipe { projection, recurrence: Recurrence::Step(step), chunk },
    })
}

/// The kernel that walks a whole chunk, where the layer's weights fit a workgroup.
fn resident_kernel(layer: &Layer, dims: Dims, rows: Rows, precision: Precision, caps: &Caps) -> Result<Option<Kernel>> {
    if dims.steps == 1 || layer.projection().is_some() {
        return Ok(None);
    }
    let hidden = size("H", layer.hidden())?;
    let cell = whole_cell(layer);
    let depth = 192 / cell.gates();
    let one = resident::Shape::new(1, hidden, depth);
    let tiles = (64 / one.threads(hidden).max(1)).max(1).min(dims.batch.div_ceil(rows.count() as usize) as u32);
    let shape = resident::Shape { tiles, ..one };
    let kernel = Kernel::Resident { cell, functions: Functions::of(layer), hidden, precision, rows, shape };
    let fits = kernel.threads() <= caps.max_threads && kernel.workgroup_bytes() <= caps.max_workgroup_bytes;
    Ok(fits.then_some(kernel))
}

fn whole_cell(layer: &Layer) -> WholeCell {
    match layer.cell() {
        Cell::Gru { reset: Reset::After, update } => WholeCell::GruAfter { takes: update == Update::Takes },
        Cell::Gru { reset: Reset::Before, update } => WholeCell::GruBefore { takes: update == Update::Takes },
        Cell::Lstm { forget } => WholeCell::Lstm {
            coupled: forget == Forget::Coupled,
            peepholes: layer.has_peepholes(),
        },
        Cell::Rnn => WholeCell::Rnn,
    }
}

/// The dispatches of one step.
fn step_cells(layer: &Layer) -> Vec<StepCell> {
    match layer.cell() {
        Cell::Gru { reset: Reset::After, update } => {
            vec![StepCell::GruAfter { takes: update == Update::Takes }]
        }
        Cell::Gru { reset: Reset::Before, update } => {
            let takes = update == Update::Takes;
            vec![StepCell::GruBeforeGates, StepCell::GruBeforeCandidate { takes }]
        }
        Cell::Lstm { forget } => {
            let (coupled, peepholes) = (forget == Forget::Coupled, layer.has_peepholes());
            match layer.projection() {
                None => vec![StepCell::Lstm { coupled, peepholes }],
                Some(_) => vec![StepCell::LstmCell { coupled, peepholes }, StepCell::Project],
            }
        }
        Cell::Rnn => vec![StepCell::Rnn],
    }
}

fn readout_kernel(
    model: &Model,
    readout: &Readout,
    dims: Dims,
    precision: Precision,
    caps: &Caps,
) -> Result<Kernel> {
    let k = output_columns(&model.layers()[0], precision);
    let sizes = matmul::Sizes { k: size("D·P", k)?, n: size("O", readout.outputs())? };
    let steps = match readout.steps() {
        ReadoutSteps::Every => dims.steps,
        ReadoutSteps::Last => 1,
    };
    let rows = product("rows of the readout, B·T", &[dims.batch, steps])?;
    let kernel = matmul_kernel(sizes, rows, rows_of(dims), precision, caps);
    let most = u64::from(kernel.most_rows(caps.max_workgroups));
    caps.check("rows of the readout, B·T", rows as u64, most, "rows")?;
    Ok(kernel)
}

fn matmul_kernel(sizes: matmul::Sizes, rows: usize, tile: Rows, precision: Precision, caps: &Caps) -> Kernel {
    let tiled = Kernel::MatmulTiled { sizes, precision };
    let fits = tiled.threads() <= caps.max_threads && tiled.workgroup_bytes() <= caps.max_workgroup_bytes;
    if fits && rows >= TILED_FROM_ROWS {
        tiled
    } else {
        Kernel::MatmulRows { sizes, precision, rows: tile, width: width(sizes.n, caps) }
    }
}

/// Threads of a row-tiled workgroup: a power of two, since two threads may share a word, and no more than there are
/// columns, rounded up to one.
fn width(columns: u32, caps: &Caps) -> u32 {
    let most = 1 << WIDTH.min(caps.max_threads).ilog2();
    columns.next_power_of_two().min(most)
}

/// A size as the shaders count it.
fn size(name: &str, value: usize) -> Result<u32> {
    // Half the range, so that rounding up to a power of two or a tile cannot overflow.
    match u32::try_from(value) {
        Ok(size) if size <= u32::MAX / 2 => Ok(size),
        _ => Err(Error::Overflow { name: format!("{name} as a 32-bit size"), factors: vec![value] }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Direction, Weights};

    fn gru(input: usize, hidden: usize, cell: Cell) -> Model {
        let rows = cell.gates() * hidden;
        let weights =
            Weights { w_ih: vec![0.5; rows * input], w_hh: vec![0.5; rows * hidden], ..Weights::default() };
        let layer = Layer::new(cell, Direction::Forward, input, hidden, vec![weights]).unwrap();
        Model::new(vec![layer]).unwrap()
    }

    #[test]
    fn a_sequence_of_one_row_and_of_many() {
        let caps = Caps::webgpu_minimum();
        let model = gru(8, 16, Cell::GRU);
        let one = plan(&model, Dims::new(1, 5).unwrap(), Precision::default(), &caps).unwrap();
        let sizes = matmul::Sizes { k: 8, n: 48 };
        let precision = Precision::default();
        let step = Sizes { k: 16, hidden: 16 };
        let cell = StepCell::GruAfter { takes: false };
        let functions = Functions::of(&model.layers()[0]);
        assert_eq!(
            one.layers,
            [LayerRecipe {
                projection: Kernel::MatmulRows { sizes, precision, rows: Rows::One, width: 64 },
                step: vec![Kernel::Step {
                    cell,
                    functions,
                    sizes: step,
                    precision,
                    rows: Rows::One,
                    width: 16
                }],
                chunk: 5,
            }]
        );
        let many = plan(&model, Dims::new(33, 5).unwrap(), Precision::default(), &caps).unwrap();
        assert_eq!(many.tiles(), 9);
        assert_eq!(
            many.layers,
            [LayerRecipe {
                projection: Kernel::MatmulTiled { sizes, precision },
                step: vec![Kernel::Step {
                    cell,
                    functions,
                    sizes: step,
                    precision,
                    rows: Rows::Four,
                    width: 16
                }],
                chunk: 5,
            }]
        );
        assert_eq!(many.to_string(), "layer 0: matmul_tiled, then 5 × step_gru_after (4 rows × 16 threads)");
    }

    #[test]
    fn reset_before_takes_two_dispatches() {
        let model = gru(3, 3, Cell::ORIGINAL_GRU);
        let plan =
            plan(&model, Dims::new(1, 1).unwrap(), Precision::default(), &Caps::webgpu_minimum()).unwrap();
        let cells: Vec<&str> = plan.layers[0].step.iter().map(|kernel| kernel.name()).collect();
        assert_eq!(cells, ["step_gru_before_gates", "step_gru_before_candidate"]);
    }

    #[test]
    fn long_sequences_are_projected_in_chunks_and_too_large_ones_refused() {
        let caps = Caps::webgpu_minimum();
        let model = gru(1, 64, Cell::GRU);
        let long = plan(&model, Dims::new(512, 1000).unwrap(), Precision::default(), &caps).unwrap();
        // 64 MiB / (512 rows · 192 columns · 4 bytes)
        assert_eq!(long.layers[0].chunk, 170);
        let narrow = plan(&model, Dims::new(1, 100_000).unwrap(), Precision::default(), &caps).unwrap();
        assert_eq!(narrow.layers[0].chunk, MAX_CHUNK);

        let error = plan(&model, Dims::new(300_000, 1).unwrap(), Precision::default(), &caps).unwrap_err();
        assert!(matches!(error, Error::TooLarge { needed: 300_000, limit: 262_140, .. }), "{error}");
        let error =
            plan(&model, Dims::new(usize::MAX / 2, 1).unwrap(), Precision::default(), &caps).unwrap_err();
        assert!(matches!(error, Error::TooLarge { .. } | Error::Overflow { .. }), "{error}");
    }
}
