//! The compilers, of whichever vendor.

use std::path::Path;

use wgru::kernels::matrices::Matrices;
use wgru::plan::Caps;

use crate::cases::{self, Case};
use crate::chips::{Chip, Vendor};
use crate::facts::Facts;
use crate::nvidia::Nvidia;
use crate::vulkan::Gpu;
use crate::{Result, amd};

/// The variable that names the folder of CUDA's wheels.
const WHEELS: &str = "CUDA_WHEELS";

/// A compiler.
pub enum Compiler {
    /// A Vulkan driver that starts without hardware.
    Amd(Box<Gpu>),
    /// CUDA's.
    Nvidia(Nvidia),
}

impl Compiler {
    /// The compiler for a chip.
    ///
    /// # Errors
    /// The reason why there is none.
    pub fn open(chip: &Chip) -> Result<Self> {
        Ok(match chip.vendor {
            Vendor::Amd => Self::Amd(Box::new(Gpu::open()?)),
            Vendor::Nvidia => {
                let wheels = std::env::var_os(WHEELS).ok_or_else(|| format!("{WHEELS} names no folder"))?;
                Self::Nvidia(Nvidia::open(Path::new(&wheels))?)
            }
        })
    }

    /// Its name and version.
    pub fn name(&self) -> String {
        match self {
            Self::Amd(gpu) => gpu.driver.clone(),
            Self::Nvidia(nvidia) => nvidia.name(),
        }
    }

    /// The limits of its devices, and the cost model's numbers for the chip.
    ///
    /// # Errors
    /// A chip that the library does not know.
    pub fn caps(&self, chip: &Chip) -> Result<Caps> {
        let caps = match self {
            Self::Amd(gpu) => {
                let limits = &gpu.limits;
                let [binding, threads, workgroup] = [
                    limits.max_storage_buffer_range,
                    limits.max_compute_work_group_invocations,
                    limits.max_compute_shared_memory_size,
                ];
                // Subgroups of RDNA have at most 64 threads.
                let matrices = gpu.has_matrices.then_some(Matrices { side: 16, subgroup: 64 });
                Caps { matrices, ..cases::caps(&gpu.name, binding, threads, workgroup) }
            }
            // The limits of its Vulkan driver; kernels of matrices cannot be translated by way of Metal.
            Self::Nvidia(_) => cases::caps("NVIDIA", u32::MAX, 1024, 48 << 10),
        };
        Ok(Caps { speed: chip.speed()?, ..caps })
    }

    /// Compiles a case, and counts its instructions.
    ///
    /// # Errors
    /// The errors of naga and the compiler.
    pub fn facts(&self, chip: &Chip, case: &Case) -> Result<Facts> {
        match self {
            Self::Amd(gpu) => amd::facts(gpu, case),
            Self::Nvidia(nvidia) => nvidia.facts(chip, case),
        }
    }
}
