//! Measured peaks of a device (its roofline), to compare figures with.

mod cpu;
mod gpu;

use wgru::{Device, DeviceInfo};

use crate::failure::Outcome;

/// The peaks of a device.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Peak {
    /// Arithmetic in 10⁹ operations a second: of a large tiled matmul on a GPU; of products and additions in
    /// registers, on all threads of the device, on the CPU.
    pub gflops: f64,
    /// Bandwidth in 10⁹ bytes a second, read and written: of a large copy, on the CPU on every thread.
    pub gbs: f64,
}

/// Measurements of each, after one that is discarded.
const RUNS: usize = 6;

impl Peak {
    /// Measures `device`; `None` for the reference.
    ///
    /// # Errors
    /// The device's error.
    pub fn of(device: &Device) -> Outcome<Option<Self>> {
        match device.info() {
            DeviceInfo::Gpu(info) => gpu::peak(&info).map(Some),
            DeviceInfo::Cpu(info) => Ok(Some(cpu::peak(info))),
            _ => Ok(None),
        }
    }
}
