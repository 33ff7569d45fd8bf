//! Measured peaks of a device (its roofline), for figures to be held against.

mod cpu;
mod gpu;

use wgru::{Device, DeviceInfo};

use crate::failure::Outcome;

/// What a device does at best.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Peak {
    /// In 10⁹ operations a second: on a GPU of a large tiled matmul, on the CPU of products and sums in registers, on every
    /// thread of the device.
    pub gflops: f64,
    /// In 10⁹ bytes a second, read and written: of a large copy, on the CPU on every thread.
    pub gbs: f64,
}

/// Measurements of each, after one that does not count.
const RUNS: usize = 6;

impl Peak {
    /// Measures `device`; none for the reference.
    ///
    /// # Errors
    /// What the device says.
    pub fn of(device: &Device) -> Outcome<Option<Self>> {
        match device.info() {
            DeviceInfo::Gpu(info) => gpu::peak(&info).map(Some),
            DeviceInfo::Cpu(info) => Ok(Some(cpu::peak(info))),
            _ => Ok(None),
        }
    }
}
