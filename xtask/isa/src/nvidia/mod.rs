//! NVIDIA's compilers, by way of CUDA: the structure of a kernel is the same, but the front end is not that of
//! NVIDIA's Vulkan driver.

mod cuda;
mod sass;
mod toolkit;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::Result;
use crate::cases::Case;
use crate::chips::Chip;
use crate::facts::Facts;
use crate::spirv::Shader;
use toolkit::Toolkit;

/// Threads of a warp.
const WARP: u64 = 32;
/// 32-bit registers of each of the four parts of a multiprocessor, and the number of threads whose registers are
/// allocated together.
const REGISTERS: u64 = 16 << 10;
const GRANULE: u64 = 8;

/// The compilers, and the folder of their files.
pub struct Nvidia {
    toolkit: Toolkit,
    folder: PathBuf,
    files: AtomicUsize,
}

impl Nvidia {
    /// The compilers in the folder into which the wheels were installed.
    ///
    /// # Errors
    /// Names what is missing.
    pub fn open(wheels: &Path) -> Result<Self> {
        let toolkit = Toolkit::open(wheels)?;
        let folder = std::env::temp_dir().join(format!("wgru-isa-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        Ok(Self { toolkit, folder, files: AtomicUsize::new(0) })
    }

    /// The compiler's name.
    pub fn name(&self) -> String {
        format!("CUDA {}", self.toolkit.version)
    }

    /// Compiles a case, and counts its instructions. These compilers estimate no cycles.
    ///
    /// # Errors
    /// The errors of naga and the compilers.
    pub fn facts(&self, chip: &Chip, case: &Case) -> Result<Facts> {
        let kernel = &case.kernel;
        let shader = Shader::new(&kernel.source(), &kernel.constants())?;
        let stem = self.folder.join(self.files.fetch_add(1, Ordering::Relaxed).to_string());
        let compile =
            |bounds: cuda::Bounds| self.toolkit.compile(&cuda::text(&shader, bounds)?, chip.name, &stem);
        let mut compiled = compile(cuda::Bounds { threads: kernel.threads(), least: None })?;
        if compiled.spilled > 0 {
            // ptxas spills to have more workgroups side by side, too. What spills for one alone spills for want of registers.
            compiled = compile(cuda::Bounds { threads: kernel.threads(), least: Some(1) })?;
        }
        let assembly = sass::parse(&compiled.assembly);
        let of_warp = WARP * compiled.registers.max(1).next_multiple_of(GRANULE);
        let facts = Facts {
            subgroup: WARP,
            registers: compiled.registers,
            spills: compiled.spilled.div_ceil(4),
            scratch: WARP * compiled.stack,
            lds: compiled.shared,
            occupancy: (REGISTERS / of_warp).min(chip.subgroups),
            code: u64::from(assembly.bytes(&(0..assembly.code.len()))),
            ..Facts::default()
        };
        facts.with_loop(case, &assembly)
    }
}

impl Drop for Nvidia {
    fn drop(&mut self) {
        // The files left there are small, and the system removes them.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
