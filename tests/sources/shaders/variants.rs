//! Every kernel in every variant, and what its arrays hold.

use wgru::dtype::{Precision, Storage};
use wgru::kernels::grouped::Fault;
use wgru::kernels::matmul::Sizes;
use wgru::kernels::matrices::{self, Matrices};
use wgru::kernels::resident::Keep;
use wgru::kernels::streams::Way;
use wgru::kernels::{Functions, Kernel, Rows, StepCell, WholeCell, resident, step};
use wgru::model::{Activation, Activations, Function};
use wgru::{Cell, Direction, Layer, Merge, Weights};

/// Every kernel in every variant: each source, and sizes at and beside the edges of tiles and blocks.
pub fn kernels() -> Vec<Kernel> {
    let mut all = Vec::new();
    for (way, rows) in [Way::Take, Way::Put].into_iter().flat_map(|way| [(way, Rows::One), (way, Rows::Four)])
    {
        all.extend([(1, 1), (70, 64)].map(|(features, width)| Kernel::Streams {
            way,
            rows,
            features,
            width,
        }));
    }
    all.extend([1, 64].map(|width| Kernel::OrderRows { width }));
    for merge in [Merge::Sum, Merge::Mul, Merge::Average] {
        for activations in [Storage::F32, Storage::F16, Storage::Bf16] {
            all.extend([1, 64].map(|width| Kernel::Merge { merge, activations, width }));
        }
    }
    for precision in precisions() {
        for (k, n) in [(1, 1), (3, 5), (65, 129), (300, 2100)] {
            let sizes = Sizes { k, n };
            all.push(Kernel::MatmulTiled { sizes, precision });
            for rows in [Rows::One, Rows::Four] {
                all.extend([1, 16, 64].map(|width| Kernel::MatmulRows { sizes, precision, rows, width }));
            }
        }
        for n in [1, 5, 129, 2100] {
            for rows in [Rows::One, Rows::Four] {
                let activations = precision.activations;
                let taken = |width| Kernel::TakeProjected { n, activations, rows, width };
                all.extend([1, 16, 64].map(taken));
            }
        }
        let functions = functions(Activation::SIGMOID, Activation::TANH, None);
        for cell in step_cells() {
            for rows in [Rows::One, Rows::Four] {
                for (k, hidden, width) in [(1, 1, 1), (7, 7, 8), (64, 64, 64), (9, 700, 64)] {
                    let sizes = step::Sizes::all(k, hidden);
                    for (units, tiles) in [(1, 1), (1, 4), (2, 1), (2, 2), (2, 4)] {
                        let shape = step::Shape { width, units, tiles, in_blocks: tiles < 4 };
                        all.push(Kernel::Step { cell, functions, sizes, precision, rows, shape });
                    }
                }
            }
        }
        for cell in whole_cells() {
            for rows in [Rows::One, Rows::Four] {
                for (tiles, hidden, depth) in [(1, 1, 32), (5, 7, 32), (1, 64, 32), (2, 70, 64)] {
                    for keep in [Keep::Held, Keep::Packed, Keep::Streamed] {
                        if keep == Keep::Packed && !precision.weights.is_half() {
                            continue;
                        }
                        let shape = resident::Shape { tiles, ..resident::Shape::new(hidden, depth, keep) };
                        all.push(Kernel::Resident { cell, functions, hidden, precision, rows, shape });
                    }
                }
                // Those that keep some blocks, by one thread and by several, and of several workgroups.
                for (tiles, hidden, depth) in [(1, 70, 96), (2, 70, 64)] {
                    let keep = if precision.weights.is_half() { Keep::Packed } else { Keep::Held };
                    let shape = resident::Shape::new(hidden, depth, keep).of_held(1);
                    let shape = resident::Shape { tiles, ..shape };
                    all.push(Kernel::Resident { cell, functions, hidden, precision, rows, shape });
                    if tiles > 1 {
                        let (shape, fault) = (resident::Shape { tiles: 1, units: 16, ..shape }, Fault::None);
                        all.push(Kernel::Grouped { cell, functions, hidden, precision, rows, shape, fault });
                    }
                }
                for (hidden, units, depth) in [(9, 4, 32), (70, 64, 64), (256, 64, 64)] {
                    for keep in [Keep::Held, Keep::Packed] {
                        if keep == Keep::Packed && !precision.weights.is_half() {
                            continue;
                        }
                        let shape = resident::Shape { units, ..resident::Shape::new(hidden, depth, keep) };
                        let fault = Fault::None;
                        all.push(Kernel::Grouped { cell, functions, hidden, precision, rows, shape, fault });
                    }
                }
            }
        }
    }
    let usual = functions(Activation::SIGMOID, Activation::TANH, None);
    for (side, subgroup) in [(8, 8), (16, 32), (16, 64)] {
        let matrices = Matrices { side, subgroup };
        let sizes = [(1, 1), (3, 5), (65, 129), (300, 2100)].map(|(k, n)| Sizes { k, n });
        all.extend(sizes.map(|sizes| Kernel::MatmulMatrices { sizes, matrices }));
        for cell in step_cells() {
            for ((k, hidden), stack) in [((1, 1), 1), ((7, 7), 2), ((64, 64), 1), ((9, 700), 2)] {
                let (functions, sizes) = (usual, step::Sizes::all(k, hidden));
                let shape = matrices::Shape { matrices, stack };
                all.push(Kernel::StepMatrices { cell, functions, sizes, shape });
            }
        }
    }
    let (sizes, precision) = (step::Sizes::all(9, 7), Precision::default());
    for cell in step_cells() {
        for function in Function::ALL {
            let (alpha, beta) = function.parameters();
            let number = |takes| if takes { 0.3 } else { 0.0 };
            let activation = Activation::new(function, number(alpha), number(beta)).unwrap();
            let functions = functions(activation, activation, Some(2.5));
            for rows in [Rows::One, Rows::Four] {
                let shape = step::Shape { width: 8, units: 1, tiles: 1, in_blocks: true };
                all.push(Kernel::Step { cell, functions, sizes, precision, rows, shape });
            }
        }
    }
    all
}

fn whole_cells() -> Vec<WholeCell> {
    let mut all = vec![WholeCell::Rnn];
    for takes in [false, true] {
        all.extend([WholeCell::GruAfter { takes }, WholeCell::GruBefore { takes }]);
    }
    for (coupled, peepholes) in [(false, false), (false, true), (true, false), (true, true)] {
        all.push(WholeCell::Lstm { coupled, peepholes });
    }
    all
}

/// Every pair of storage types that goes together.
fn precisions() -> Vec<Precision> {
    let mut all = Vec::new();
    for half in [Storage::F16, Storage::Bf16] {
        for (weights, activations) in [(half, half), (half, Storage::F32), (Storage::F32, half)] {
            all.push(Precision { weights, activations });
        }
    }
    all.push(Precision::default());
    all
}

pub fn functions(gate: Activation, candidate: Activation, clip: Option<f32>) -> Functions {
    let weights = Weights { w_ih: vec![1.0; 4], w_hh: vec![1.0; 4], ..Weights::default() };
    let activations = Activations { gate, candidate, output: candidate };
    let layer = Layer::new(Cell::LSTM, Direction::Bidirectional, 1, 1, vec![weights; 2]).unwrap();
    let layer = layer.with_activations(vec![activations; 2]).unwrap();
    let clipped = |clip| layer.clone().with_clip(clip).unwrap().with_state_clip(clip / 2.0).unwrap();
    Functions::of(&clip.map_or(layer.clone(), clipped))
}

fn step_cells() -> Vec<StepCell> {
    let mut all = vec![
        StepCell::GruAfter { takes: false },
        StepCell::GruAfter { takes: true },
        StepCell::GruBeforeGates,
        StepCell::GruBeforeCandidate { takes: false },
        StepCell::GruBeforeCandidate { takes: true },
        StepCell::Project,
        StepCell::Rnn,
    ];
    for (coupled, peepholes) in [(false, false), (false, true), (true, false), (true, true)] {
        all.push(StepCell::Lstm { coupled, peepholes });
        all.push(StepCell::LstmCell { coupled, peepholes });
    }
    all
}

pub fn rows_of(kernel: Kernel) -> u32 {
    match kernel {
        Kernel::MatmulTiled { .. }
        | Kernel::MatmulMatrices { .. }
        | Kernel::Merge { .. }
        | Kernel::OrderRows { .. } => 1,
        Kernel::StepMatrices { .. } => matrices::ROWS.count(),
        Kernel::MatmulRows { rows, .. }
        | Kernel::TakeProjected { rows, .. }
        | Kernel::Step { rows, .. }
        | Kernel::Resident { rows, .. }
        | Kernel::Grouped { rows, .. }
        | Kernel::Streams { rows, .. } => rows.count(),
    }
}

/// The arrays that hold two 16-bit numbers in a word.
pub fn packed(kernel: Kernel) -> Vec<&'static str> {
    let precision = match kernel {
        Kernel::Merge { activations: Storage::F32, .. } => return Vec::new(),
        Kernel::Merge { .. } => return vec!["both", "out"],
        Kernel::TakeProjected { activations, .. } => Precision { activations, ..Precision::default() },
        Kernel::Streams { .. } | Kernel::OrderRows { .. } => Precision::default(),
        Kernel::MatmulMatrices { .. } | Kernel::StepMatrices { .. } => matrices::PRECISION,
        Kernel::MatmulTiled { precision, .. }
        | Kernel::MatmulRows { precision, .. }
        | Kernel::Step { precision, .. }
        | Kernel::Resident { precision, .. }
        | Kernel::Grouped { precision, .. } => precision,
    };
    let mut names = Vec::new();
    if precision.weights != Storage::F32 {
        names.push("w");
    }
    if precision.activations != Storage::F32 {
        let recurrent = matches!(
            kernel,
            Kernel::Step { .. }
                | Kernel::StepMatrices { .. }
                | Kernel::Resident { .. }
                | Kernel::Grouped { .. }
        );
        names.push(if recurrent { "y" } else { "x" });
    }
    names
}
