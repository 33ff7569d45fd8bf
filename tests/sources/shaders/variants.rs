//! Every kernel in every variant, and the element types of its arrays.

use wgru::dtype::{Precision, Storage};
use wgru::kernels::exchange::{Fault, MultiWorkgroup};
use wgru::kernels::matmul::Sizes;
use wgru::kernels::matrices::{self, MatmulMatrices, Matrices, StepMatrices};
use wgru::kernels::persistent::Keep;
use wgru::kernels::recurrence::Sizes as StepSizes;
use wgru::kernels::streams::Way;
use wgru::kernels::{
    ActivateRows, AddBias, Functions, Kernel, MatmulRows, MatmulTiled, MergeDirections, MoveStates,
    OrderRows, Persistent, ResetOrder, ResetStates, Rows, Step, StepCell, WholeCell, persistent, step,
};
use wgru::model::{Activation, Activations, Function};
use wgru::{Cell, Direction, Layer, Merge, ReadoutActivation, Weights};

/// Every kernel in every variant: each source, and sizes at and next to the edges of tiles and blocks.
pub fn kernels() -> Vec<Kernel> {
    let mut all: Vec<Kernel> = Vec::new();
    let pipelined = false;
    for (way, rows) in [Way::Take, Way::Put].into_iter().flat_map(|way| [(way, Rows::One), (way, Rows::Four)])
    {
        let of = |(features, width)| Kernel::from(MoveStates { way, rows, features, width });
        all.extend([(1, 1), (70, 64)].map(of));
    }
    all.extend([1, 64].map(|width| Kernel::from(OrderRows { width })));
    for activation in ReadoutActivation::ALL {
        let of = |(columns, width)| Kernel::from(ActivateRows { activation, columns, width });
        all.extend([(1, 1), (1, 64), (5, 64), (40, 64), (41, 4), (2100, 64)].map(of));
    }
    for merge in [Merge::Sum, Merge::Mul, Merge::Average] {
        for activations in [Storage::F32, Storage::F16, Storage::Bf16] {
            all.extend([1, 64].map(|width| Kernel::from(MergeDirections { merge, activations, width })));
        }
    }
    for precision in precisions() {
        for (k, n) in [(1, 1), (3, 5), (65, 129), (300, 2100)] {
            let sizes = Sizes { k, n };
            let of = |depth| Kernel::from(MatmulTiled { sizes, precision, depth, pipelined });
            all.extend([MatmulTiled::DEEP, MatmulTiled::SHALLOW].map(of));
            for rows in [Rows::One, Rows::Four] {
                let of = |width| Kernel::from(MatmulRows { sizes, precision, rows, width, pipelined });
                all.extend([1, 16, 64].map(of));
            }
        }
        for n in [1, 5, 129, 2100] {
            for rows in [Rows::One, Rows::Four] {
                let activations = precision.activations;
                let taken = |width| Kernel::from(AddBias { n, activations, rows, width });
                all.extend([1, 16, 64].map(taken));
            }
        }
        let functions = functions(Activation::SIGMOID, Activation::TANH, None);
        for cell in step_cells() {
            for rows in [Rows::One, Rows::Four] {
                for (k, hidden, width) in [(1, 1, 1), (7, 7, 8), (64, 64, 64), (9, 700, 64)] {
                    let sizes = StepSizes::all(k, hidden);
                    for (units, tiles) in [(1, 1), (1, 4), (2, 1), (2, 2), (2, 4)] {
                        let shape = step::Shape::new(width, [units, tiles], tiles < 4);
                        all.push(Step { cell, functions, sizes, precision, rows, shape, pipelined }.into());
                    }
                }
                // Weights ahead, and several threads to a unit: of whole blocks, and of others, in one span and in several.
                let (gates, packed) = (cell.products(), precision.weights.is_half());
                for (k, hidden) in [(64, 64), (100, 9), (700, 7), (1536, 20)] {
                    let sizes = StepSizes::all(k, hidden);
                    let one = [[1, 1], [1, 2], [2, 4]].map(|each| step::Shape::new(64, each, true));
                    let several = [4, 8, 16].map(|split| step::Shape::divided(split, hidden, k, gates, rows));
                    for shape in one.into_iter().chain(several) {
                        let shape = shape.loading_ahead(k, gates, rows, packed);
                        all.push(Step { cell, functions, sizes, precision, rows, shape, pipelined }.into());
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
                        let whole =
                            persistent::Shape { tiles, ..persistent::Shape::new(hidden, depth, keep) };
                        for shape in [whole, whole.with_one_gate(cell.gates())] {
                            all.push(
                                Persistent {
                                    cell,
                                    functions,
                                    hidden,
                                    precision,
                                    rows,
                                    shape,
                                    pipelined,
                                    resets: None,
                                }
                                .into(),
                            );
                        }
                    }
                }
                // Kernels that keep some blocks, by one thread and by several, and of several workgroups.
                for (tiles, hidden, depth) in [(1, 70, 96), (2, 70, 64)] {
                    let keep = if precision.weights.is_half() { Keep::Packed } else { Keep::Held };
                    let shape = persistent::Shape::new(hidden, depth, keep).of_held(1);
                    let shape = persistent::Shape { tiles, ..shape };
                    all.push(
                        Persistent {
                            cell,
                            functions,
                            hidden,
                            precision,
                            rows,
                            shape,
                            pipelined,
                            resets: None,
                        }
                        .into(),
                    );
                    if tiles > 1 {
                        let shape = persistent::Shape { tiles: 1, units: 16, ..shape };
                        let fault = Fault::None;
                        all.push(
                            MultiWorkgroup {
                                cell,
                                functions,
                                hidden,
                                precision,
                                rows,
                                shape,
                                pipelined,
                                fault,
                            }
                            .into(),
                        );
                    }
                }
                for (hidden, units, depth) in [(9, 4, 32), (70, 64, 64), (256, 64, 64)] {
                    for keep in [Keep::Held, Keep::Packed] {
                        if keep == Keep::Packed && !precision.weights.is_half() {
                            continue;
                        }
                        let shape =
                            persistent::Shape { units, ..persistent::Shape::new(hidden, depth, keep) };
                        let fault = Fault::None;
                        all.push(
                            MultiWorkgroup {
                                cell,
                                functions,
                                hidden,
                                precision,
                                rows,
                                shape,
                                pipelined,
                                fault,
                            }
                            .into(),
                        );
                    }
                }
            }
        }
    }
    let usual = functions(Activation::SIGMOID, Activation::TANH, None);
    for (side, subgroup) in [(8, 8), (16, 32), (16, 64)] {
        let matrices = Matrices { side, subgroup };
        let sizes = [(1, 1), (3, 5), (64, 129), (300, 2100)].map(|(k, n)| Sizes { k, n });
        let products = matrices::STACKS.into_iter().flat_map(|stack| sizes.map(|sizes| (stack, sizes)));
        all.extend(products.map(|(stack, sizes)| {
            let in_octets = sizes.k % 8 == 0;
            Kernel::from(MatmulMatrices { sizes, matrices, stack, in_octets, pipelined })
        }));
        for cell in step_cells() {
            for ((k, hidden), stack) in [((1, 1), 1), ((7, 7), 2), ((64, 64), 4), ((9, 700), 8)] {
                let keeps = k > 1;
                let (functions, sizes) = (usual, StepSizes::all(k, hidden));
                let shape = matrices::Shape { matrices, stack };
                all.push(StepMatrices { cell, functions, sizes, shape, keeps, pipelined }.into());
            }
        }
    }
    let (sizes, precision) = (StepSizes::all(9, 7), Precision::default());
    for cell in step_cells() {
        for function in Function::ALL {
            let (alpha, beta) = function.parameters();
            let number = |takes| if takes { 0.3 } else { 0.0 };
            let activation = Activation::new(function, number(alpha), number(beta)).unwrap();
            let functions = functions(activation, activation, Some(2.5));
            for rows in [Rows::One, Rows::Four] {
                let shape = step::Shape::new(8, [1, 1], true);
                all.push(Step { cell, functions, sizes, precision, rows, shape, pipelined }.into());
            }
        }
    }
    // Faults that tests inject into a text.
    let functions = usual;
    for cell in whole_cells() {
        for fault in [Fault::Dies { group: 1, chunk: 2, step: 3 }, Fault::Late { polls: 4 }] {
            let shape = persistent::Shape { units: 4, ..persistent::Shape::new(9, 32, Keep::Held) };
            let rows = Rows::Four;
            all.push(
                MultiWorkgroup { cell, functions, hidden: 9, precision, rows, shape, pipelined, fault }
                    .into(),
            );
        }
    }
    // Kernels that reset states, before a step and in whole chunks.
    let orders = [ResetOrder::BatchMajor, ResetOrder::TimeMajor];
    for (order, rows) in orders.into_iter().flat_map(|order| [(order, Rows::One), (order, Rows::Four)]) {
        for (features, before, width) in [(1, None, 1), (70, Some(0), 64), (7, Some(9), 8)] {
            all.push(ResetStates { features, before, order, rows, width }.into());
        }
    }
    // Texts of several layers differ from those of one by the same lines, whatever the sizes.
    let of_layers: Vec<Kernel> = all.iter().copied().step_by(7).filter_map(pipelined_of).collect();
    all.extend(of_layers);
    let resets = Some(ResetOrder::TimeMajor);
    let with_resets = all.iter().filter_map(|kernel| match kernel {
        Kernel::Persistent(kernel) if !kernel.pipelined => {
            Some(Kernel::from(Persistent { resets, ..*kernel }))
        }
        _ => None,
    });
    let with_resets: Vec<Kernel> = with_resets.collect();
    all.extend(with_resets);
    all
}

/// The kernel of several layers in one dispatch.
fn pipelined_of(kernel: Kernel) -> Option<Kernel> {
    let pipelined = true;
    Some(match kernel {
        Kernel::MatmulTiled(kernel) => MatmulTiled { pipelined, ..kernel }.into(),
        Kernel::MatmulRows(kernel) => MatmulRows { pipelined, ..kernel }.into(),
        Kernel::MatmulMatrices(kernel) => MatmulMatrices { pipelined, ..kernel }.into(),
        Kernel::Step(kernel) => Step { pipelined, ..kernel }.into(),
        Kernel::StepMatrices(kernel) => StepMatrices { pipelined, ..kernel }.into(),
        Kernel::Persistent(kernel) => Persistent { pipelined, ..kernel }.into(),
        Kernel::MultiWorkgroup(kernel) => MultiWorkgroup { pipelined, ..kernel }.into(),
        _ => return None,
    })
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
        Kernel::MatmulTiled(_)
        | Kernel::MatmulMatrices(_)
        | Kernel::ActivateRows(_)
        | Kernel::MergeDirections(_)
        | Kernel::OrderRows(_) => 1,
        Kernel::StepMatrices(_) => matrices::ROWS.count(),
        Kernel::MatmulRows(kernel) => kernel.rows.count(),
        Kernel::AddBias(kernel) => kernel.rows.count(),
        Kernel::Step(kernel) => kernel.rows.count(),
        Kernel::Persistent(kernel) => kernel.rows.count(),
        Kernel::MultiWorkgroup(kernel) => kernel.rows.count(),
        Kernel::MoveStates(kernel) => kernel.rows.count(),
        Kernel::ResetStates(kernel) => kernel.rows.count(),
    }
}

/// The arrays that hold two 16-bit numbers in a word.
pub fn packed(kernel: Kernel) -> Vec<&'static str> {
    let (precision, sequence) = match kernel {
        Kernel::MergeDirections(MergeDirections { activations: Storage::F32, .. }) => return Vec::new(),
        Kernel::MergeDirections(_) => return vec!["both", "out"],
        Kernel::AddBias(kernel) => {
            (Precision { activations: kernel.activations, ..Precision::default() }, "x")
        }
        Kernel::ActivateRows(_) | Kernel::MoveStates(_) | Kernel::OrderRows(_) | Kernel::ResetStates(_) => {
            (Precision::default(), "x")
        }
        Kernel::MatmulMatrices(_) => (matrices::PRECISION, "x"),
        Kernel::StepMatrices(_) => (matrices::PRECISION, "y"),
        Kernel::MatmulTiled(kernel) => (kernel.precision, "x"),
        Kernel::MatmulRows(kernel) => (kernel.precision, "x"),
        Kernel::Step(kernel) => (kernel.precision, "y"),
        Kernel::Persistent(kernel) => (kernel.precision, "y"),
        Kernel::MultiWorkgroup(kernel) => (kernel.precision, "y"),
    };
    let weights = (precision.weights != Storage::F32).then_some("w");
    weights.into_iter().chain((precision.activations != Storage::F32).then_some(sequence)).collect()
}
