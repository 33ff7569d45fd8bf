//! The kernels that the planner chooses, for a list of cases on a given chip.

use std::collections::BTreeMap;
use std::fmt::Write;

use wgru::dims::Dims;
use wgru::dtype::{Precision, Storage};
use wgru::kernels::matrices;
use wgru::kernels::{Kernel, MatmulMatrices, Projection, Recurrent};
use wgru::model::{Cell, Direction, Layer, Model, Weights};
use wgru::plan::{self, Caps, Exchange, Fault, Recurrence, Request};

use crate::Result;
use crate::chips::{Chip, Vendor};

/// How many cases to compile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Those of the gate.
    Short,
    /// All of them.
    Whole,
}

/// A kernel with a unique name.
#[derive(Debug, Clone)]
pub struct Case {
    /// The name.
    pub name: String,
    /// The kernel.
    pub kernel: Kernel,
}

impl Case {
    /// Whether one dispatch walks over many steps.
    pub fn is_persistent(&self) -> bool {
        matches!(self.kernel, Kernel::Persistent(_) | Kernel::MultiWorkgroup(_))
    }

    /// How often in a step its workgroups exchange values.
    pub fn exchanges(&self) -> u64 {
        let (_, step) = self.kernel.work();
        step.exchange
    }
}

const CELLS: [Cell; 4] = [Cell::GRU, Cell::ORIGINAL_GRU, Cell::LSTM, Cell::Rnn];
const BATCHES: [usize; 5] = [1, 4, 16, 64, 256];
const HIDDEN: [usize; 8] = [8, 64, 128, 192, 256, 512, 1024, 1536];
/// A sequence, and a session's step.
const STEPS: [usize; 2] = [100, 1];
/// B and H of the cases of the gate.
const SHORT: [(&[usize], &[usize]); 2] = [(&[1], &[64, 128, 256, 1024]), (&[16], &[64, 128])];

/// B and H of all cases for NVIDIA's compilers, which are ten times as slow.
const FEWER: [(&[usize], &[usize]); 1] = [(&[1, 4, 64], &[64, 128, 256, 1024])];

/// Each kernel that the planner chooses for one of the cases on `chip`, whether or not its workgroups may exchange values.
///
/// # Errors
/// The errors of the planner; two kernels of one name.
pub fn all(chip: &Chip, caps: &Caps, extent: Extent) -> Result<Vec<Case>> {
    let mut found: BTreeMap<String, Kernel> = BTreeMap::new();
    let sizes: &[(&[usize], &[usize])] = match (extent, chip.vendor) {
        (Extent::Short, _) => &SHORT,
        (Extent::Whole, Vendor::Amd) => &[(&BATCHES, &HIDDEN)],
        (Extent::Whole, Vendor::Nvidia) => &FEWER,
    };
    for cell in CELLS {
        for (batches, hidden) in sizes {
            for &hidden in *hidden {
                let model = model(cell, hidden)?;
                let dims = batches.iter().flat_map(|batch| STEPS.map(|steps| Dims::new(*batch, steps)));
                for dims in dims {
                    of_dims(chip, &model, dims?, caps, &mut found)?;
                }
            }
        }
    }
    Ok(found.into_iter().map(|(name, kernel)| Case { name, kernel }).collect())
}

/// With each storage type of the weights, with exchange between workgroups and without; and by matrices.
fn of_dims(
    chip: &Chip,
    model: &Model,
    dims: Dims,
    caps: &Caps,
    found: &mut BTreeMap<String, Kernel>,
) -> Result<()> {
    let storages: &[Storage] = match chip.vendor {
        Vendor::Amd => &[Storage::F32, Storage::F16, Storage::Bf16],
        Vendor::Nvidia => &[Storage::F32, Storage::F16],
    };
    for &weights in storages {
        let precision = Precision { weights, ..Precision::default() };
        for exchange in [None, Some(exchange(chip))] {
            choose(model, dims, precision.into(), &Caps { exchange, ..caps.clone() }, found)?;
        }
    }
    if caps.matrices.is_some() {
        let request = Request { any_reduction_order: true, ..matrices::PRECISION.into() };
        choose(model, dims, request, caps, found)?;
    }
    Ok(())
}

/// The assumed result of the chip's self-test: a workgroup on each of its cores.
fn exchange(chip: &Chip) -> Exchange {
    Exchange { workgroups: chip.cores, workgroup_bytes: 64 << 10, steps: 1024, fault: Fault::None }
}

/// A layer of as many inputs as units.
fn model(cell: Cell, hidden: usize) -> Result<Model> {
    let matrix = vec![0.0; cell.gates() * hidden * hidden];
    let weights = Weights { w_ih: matrix.clone(), w_hh: matrix, ..Weights::default() };
    Ok(Model::new(vec![Layer::new(cell, Direction::Forward, hidden, hidden, vec![weights])?])?)
}

fn choose(
    model: &Model,
    dims: Dims,
    request: Request,
    caps: &Caps,
    found: &mut BTreeMap<String, Kernel>,
) -> Result<()> {
    let plan = plan::plan(model, dims, request, caps)?;
    for layer in plan.layers {
        let mut kernels = vec![of_projection(layer.projection)];
        match layer.recurrence {
            Recurrence::Step(steps) => kernels.extend(steps.into_iter().map(of_step)),
            Recurrence::Persistent(kernel) => kernels.push(kernel.into()),
            Recurrence::MultiWorkgroup { kernel, instead, .. } => {
                kernels.push(kernel.into());
                kernels.extend(instead.into_iter().map(of_step));
            }
        }
        for kernel in kernels {
            let name = name(&kernel);
            let known = found.insert(name.clone(), kernel);
            if known.is_some_and(|known| known != kernel) {
                return Err(format!("two kernels are called `{name}`").into());
            }
        }
    }
    Ok(())
}

fn of_projection(kernel: Projection) -> Kernel {
    match kernel {
        Projection::MatmulTiled(kernel) => kernel.into(),
        Projection::MatmulRows(kernel) => kernel.into(),
        // As a dispatch of a dense x of so many inputs sets it.
        Projection::MatmulMatrices(kernel) => {
            MatmulMatrices { in_octets: kernel.sizes.k % 8 == 0, ..kernel }.into()
        }
        Projection::AddBias(kernel) => kernel.into(),
    }
}

fn of_step(kernel: Recurrent) -> Kernel {
    match kernel {
        Recurrent::Step(kernel) => kernel.into(),
        Recurrent::StepMatrices(kernel) => kernel.into(),
        Recurrent::Persistent(kernel) => kernel.into(),
    }
}

/// Its text, with the sizes and storage types that the text leaves out.
fn name(kernel: &Kernel) -> String {
    let mut name = kernel.text();
    let (sizes, precision) = match kernel {
        Kernel::Persistent(k) => (format!("H {}", k.hidden), k.precision),
        Kernel::MultiWorkgroup(k) => (format!("H {}", k.hidden), k.precision),
        Kernel::Step(k) => (format!("H {}", k.sizes.hidden), k.precision),
        Kernel::StepMatrices(k) => (format!("H {}", k.sizes.hidden), matrices::PRECISION),
        Kernel::MatmulTiled(k) => (format!("{} x {}", k.sizes.k, k.sizes.n), k.precision),
        Kernel::MatmulRows(k) => (format!("{} x {}", k.sizes.k, k.sizes.n), k.precision),
        Kernel::MatmulMatrices(k) => (format!("{} x {}", k.sizes.k, k.sizes.n), matrices::PRECISION),
        _ => (String::new(), Precision::default()),
    };
    // Writing to a string cannot fail.
    let _ = write!(name, " {sizes} {}", precision.weights);
    if precision.activations != Storage::F32 {
        let _ = write!(name, " y {}", precision.activations);
    }
    name
}

/// The caps of a device with these limits, as wgpu reports them.
pub fn caps(device: &str, binding_bytes: u32, threads: u32, workgroup_bytes: u32) -> Caps {
    Caps {
        device: device.to_owned(),
        max_binding_bytes: u64::from(binding_bytes),
        max_buffer_bytes: u64::from(binding_bytes),
        max_storage_buffers: 64,
        max_threads: threads,
        max_workgroup_bytes: workgroup_bytes,
        ..Caps::webgpu_minimum()
    }
}
