//! Measured peaks of a device (its roofline), to compare figures with.

mod cpu;
mod gpu;

use wgru::{Device, DeviceInfo};
use wgru_harness::measure::Peak;

use crate::failure::Outcome;

/// Measurements of each, after one that is discarded.
const RUNS: usize = 6;

/// Measures `device`; `None` for the reference.
///
/// # Errors
/// The device's error.
pub fn of(device: &Device) -> Outcome<Option<Peak>> {
    match device.info() {
        DeviceInfo::Gpu(info) => gpu::peak(&info).map(Some),
        DeviceInfo::Cpu(info) => Ok(Some(cpu::peak(info))),
        _ => Ok(None),
    }
}
