//! What the cost model predicts for GPUs, as a record: `benches/records/predicted-gpus.csv`, from which
//! `benches/pages/gpus.md` has its tables. Nothing in it was measured.

use std::fmt::Write as _;
use std::path::Path;

use wgru::dims::Dims;
use wgru::dtype::{Precision, Storage};
use wgru::model::{Cell, Direction, Layer, Model, Weights};
use wgru::plan::{Caps, Chip, Exchange, Fault, Plan, plan, predictions};
use wgru::{Device, Options};

const CHIPS: [&str; 6] =
    ["Radeon RX 7900 XTX", "GeForce RTX 4090", "H200", "Arc A770", "Apple M2", "Adreno 750"];
/// Those on which workgroups may exchange values, after a self-test.
const EXCHANGE: [&str; 4] = ["Radeon RX 7900 XTX", "GeForce RTX 4090", "H200", "Arc A770"];
/// B, T, H. I is H.
const CASES: [[usize; 3]; 7] = [
    [1, 100, 64],
    [1, 1000, 256],
    [1, 375, 1024],
    [16, 100, 256],
    [16, 100, 1024],
    [64, 50, 512],
    [256, 100, 128],
];
/// The variable with which the test writes the record.
const WRITE: &str = "WGRU_WRITE_PREDICTIONS";

pub fn model(cell: Cell, hidden: usize) -> Model {
    let matrix = vec![0.0; cell.gates() * hidden * hidden];
    let weights = Weights { w_ih: matrix.clone(), w_hh: matrix, ..Weights::default() };
    Model::new(vec![Layer::new(cell, Direction::Forward, hidden, hidden, vec![weights]).unwrap()]).unwrap()
}

/// The limits that the chip's drivers report, as far as kernels come near them; with exchange, one workgroup on each
/// core.
pub fn caps(chip: &Chip, exchange: bool) -> Caps {
    let max_workgroup_bytes = chip.architecture.memory.min(48) as u32 * 1024;
    let (workgroups, fault) = (chip.cores as u32, Fault::None);
    let exchange =
        exchange.then_some(Exchange { workgroups, workgroup_bytes: max_workgroup_bytes, steps: 1024, fault });
    let speed = chip.speed();
    Caps { max_threads: 1024, max_workgroup_bytes, speed, exchange, ..Caps::webgpu_minimum() }
}

/// A line of the record.
fn line(of: &str, model: &Model, plan: &Plan, caps: &Caps) -> String {
    let all = predictions(model, plan, caps);
    let (kernel, prediction) = all[0].last().unwrap();
    let step = plan.cost.seconds() * 1e6 / plan.run_shape.dims.steps as f64;
    let (occupancy, bound) = (prediction.occupancy, prediction.bound);
    let (workgroups, core, limit) = (prediction.workgroups, occupancy.workgroups, occupancy.limit);
    format!("{of},{step:.3},\"{kernel}\",{bound},{workgroups},{core},{limit}\n")
}

fn record() -> String {
    let mut text =
        "# predicted by the cost model, not measured: the test `predictions` of tests/sources writes it\n\
        chip,cell,b,t,h,weights,exchange,step_us,kernel,bound,workgroups,of_core,limit\n"
            .to_owned();
    for name in CHIPS {
        let chip = Chip::named(name).unwrap();
        for (cell, of_cell) in [(Cell::GRU, "gru"), (Cell::LSTM, "lstm")] {
            for [batch, steps, hidden] in CASES {
                let model = model(cell, hidden);
                for weights in [Storage::F32, Storage::F16] {
                    for exchange in [false, true] {
                        if exchange && !EXCHANGE.contains(&name) {
                            continue;
                        }
                        let (dims, caps) = (Dims::new(batch, steps).unwrap(), caps(chip, exchange));
                        let precision = Precision { weights, ..Precision::default() };
                        let plan = plan(&model, dims, precision, &caps).unwrap();
                        let of = format!("{name},{of_cell},{batch},{steps},{hidden},{weights},{exchange}");
                        let _ = write!(text, "{}", line(&of, &model, &plan, &caps));
                    }
                }
            }
        }
    }
    text
}

/// Those of the second record, where a GPU pays off.
const CROSSOVER: [&str; 3] = ["GeForce RTX 4090", "Arc A770", "Apple M2"];
const BATCHES: [usize; 5] = [1, 4, 16, 64, 256];
const UNITS: [usize; 6] = [32, 64, 128, 256, 512, 1024];
const STEPS: usize = 100;
const THREADS: usize = 8;

/// Runs of a GRU on three GPUs and on a processor of eight cores; `None` where this processor cannot stand for it.
fn crossover() -> Option<String> {
    let cpu = Device::open(&format!("cpu:avx2:{THREADS}")).ok()?;
    let mut text = "# predicted by the cost model, not measured, without transfers: the test `predictions` of tests/sources writes it\n\
        chip,b,t,h,gpu_us,cpu_us,cpu\n"
        .to_owned();
    for name in CROSSOVER {
        let caps = caps(Chip::named(name).unwrap(), false);
        for (batch, hidden) in BATCHES.into_iter().flat_map(|batch| UNITS.map(|hidden| (batch, hidden))) {
            let (model, dims) = (model(Cell::GRU, hidden), Dims::new(batch, STEPS).unwrap());
            let gpu = plan(&model, dims, Precision::default(), &caps).unwrap().cost.seconds() * 1e6;
            let cpu = cpu.expected(&model, dims, Options::default()).unwrap().as_secs_f64() * 1e6;
            let _ =
                writeln!(text, "{name},{batch},{STEPS},{hidden},{gpu:.0},{cpu:.0},AVX2 on {THREADS} threads");
        }
    }
    Some(text)
}

#[test]
fn the_record_of_predictions_is_what_the_model_predicts() {
    check("predicted-gpus.csv", &record());
}

#[test]
fn the_record_of_where_a_gpu_pays_off_is_what_the_model_predicts() {
    match crossover() {
        Some(predicted) => check("predicted-crossover.csv", &predicted),
        None => println!("not compared: this processor has no AVX2"),
    }
}

fn check(record: &str, predicted: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/records").join(record);
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, predicted).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap();
    let differs = kept.lines().zip(predicted.lines()).find(|(kept, predicted)| kept != predicted);
    assert!(
        kept == predicted,
        "the cost model predicts otherwise than {}, first {differs:?}: run this test with {WRITE}=1, then \
         `python3 benches/charts.py`",
        path.display()
    );
}
