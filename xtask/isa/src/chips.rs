//! The chips for which kernels are compiled.

use wgru::plan::{self, Speed};

use crate::Result;

/// The maker of a chip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vendor {
    /// AMD.
    Amd,
    /// NVIDIA.
    Nvidia,
}

/// A chip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chip {
    /// Its maker.
    pub vendor: Vendor,
    /// Its name, for its compiler and of its record.
    pub name: &'static str,
    /// The architecture.
    pub architecture: &'static str,
    /// Compute units of the largest product with it (the makers' product pages): workgroups that run side by side for certain.
    pub cores: u32,
    /// Subgroups of a SIMD, at most.
    pub subgroups: u64,
    /// The product, as the library names it.
    pub product: &'static str,
}

const fn amd(
    name: &'static str,
    architecture: &'static str,
    [cores, subgroups]: [u32; 2],
    product: &'static str,
) -> Chip {
    Chip { vendor: Vendor::Amd, name, architecture, cores, subgroups: subgroups as u64, product }
}

const fn nvidia(
    name: &'static str,
    architecture: &'static str,
    sizes: [u32; 2],
    product: &'static str,
) -> Chip {
    Chip { vendor: Vendor::Nvidia, ..amd(name, architecture, sizes, product) }
}

/// All of them.
pub const ALL: [Chip; 9] = [
    amd("navi31", "RDNA 3", [96, 16], "Radeon RX 7900 XTX"),
    amd("navi21", "RDNA 2", [80, 16], "Radeon RX 6900 XT"),
    amd("gfx1201", "RDNA 4", [64, 16], "Radeon RX 9070 XT"),
    amd("vega10", "Vega", [64, 10], "Radeon RX Vega 64"),
    nvidia("sm_80", "Ampere, A100", [108, 16], "A100"),
    nvidia("sm_86", "Ampere", [84, 12], "A40"),
    nvidia("sm_89", "Ada", [128, 12], "GeForce RTX 4090"),
    nvidia("sm_90", "Hopper", [132, 16], "H200"),
    nvidia("sm_120", "Blackwell", [170, 12], "GeForce RTX 5090"),
];

impl Chip {
    /// The numbers of the cost model for it.
    ///
    /// # Errors
    /// A product that the library does not know.
    pub fn speed(&self) -> Result<Speed> {
        let known = plan::Chip::named(self.product).map(plan::Chip::speed);
        known.ok_or_else(|| format!("the library knows no {}", self.product).into())
    }

    /// Bytes of an instruction cache from which a loop runs as fast as instructions can be issued. For AMD from its
    /// ISA guides; for NVIDIA as Jia et al. 2018 measured it on Volta, which has the same instructions of 16 bytes.
    pub fn instruction_cache(&self) -> u64 {
        match self.vendor {
            Vendor::Amd => 32 << 10,
            Vendor::Nvidia => 128 << 10,
        }
    }
}
