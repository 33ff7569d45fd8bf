//! What a device allows, as plain numbers.

use super::{Measured, Speed, Table};
use crate::error::{Error, Result};
use crate::kernels::Definition;
use crate::kernels::exchange::Fault;
use crate::kernels::matrices::Matrices;

/// The limits of a device that a plan depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caps {
    /// The device, as errors name it.
    pub device: String,
    /// Bytes of one storage binding.
    pub max_binding_bytes: u64,
    /// Bytes of one buffer.
    pub max_buffer_bytes: u64,
    /// Storage buffers of one kernel.
    pub max_storage_buffers: u32,
    /// Workgroups of one dispatch, per dimension.
    pub max_workgroups: u32,
    /// Threads of one workgroup.
    pub max_threads: u32,
    /// Bytes of workgroup memory.
    pub max_workgroup_bytes: u32,
    /// Loop iterations of one thread, where the driver ends a thread beyond some number without an error.
    pub max_iterations: Option<u64>,
    /// The measured limits of exchange between workgroups, where the device has passed the self-test.
    pub exchange: Option<Exchange>,
    /// The cooperative matrices that kernels may use.
    pub matrices: Option<Matrices>,
    /// Times of the parts of a kernel.
    pub speed: Speed,
    /// Corrections to those times, measured on whole kernels.
    pub measured: Measured,
}

/// What the self-test found of workgroups that exchange values within a dispatch. No API guarantees that this works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exchange {
    /// Workgroups that run side by side for certain.
    pub workgroups: u32,
    /// Bytes of workgroup memory of each workgroup of the self-test.
    pub workgroup_bytes: u32,
    /// Steps of one dispatch, at most.
    pub steps: usize,
    /// The fault to inject, in tests.
    pub fault: Fault,
}

impl Caps {
    /// [`Caps::max_iterations`] of software drivers: Mesa's llvmpipe ends a thread after 65,535 iterations, summed
    /// over all its loops, and reports nothing.
    pub const SOFTWARE_ITERATIONS: u64 = 60_000;

    /// The limits that every WebGPU implementation guarantees.
    pub fn webgpu_minimum() -> Self {
        Self {
            device: "a WebGPU device of the guaranteed limits".into(),
            max_binding_bytes: 128 << 20,
            max_buffer_bytes: 256 << 20,
            max_storage_buffers: 8,
            max_workgroups: 65_535,
            max_threads: 256,
            max_workgroup_bytes: 16_384,
            max_iterations: None,
            exchange: None,
            matrices: None,
            speed: Speed::DISCRETE,
            measured: Measured::default(),
        }
    }

    /// Whether the device is a software driver: they alone bound a thread's iterations.
    pub(super) fn is_software(&self) -> bool {
        self.max_iterations.is_some()
    }

    /// With the times of `table` in place of its own.
    pub fn with_table(self, table: Table) -> Self {
        let Table { speed, measured } = table;
        Self { speed, measured, ..self }
    }

    /// Whether a workgroup of `kernel` fits: its threads, its memory, and its loops where a driver bounds them.
    pub(super) fn supports(&self, kernel: &dyn Definition) -> bool {
        let by_driver = self.max_iterations.zip(kernel.iterations_of_sizes());
        kernel.threads() <= self.max_threads
            && kernel.workgroup_bytes() <= self.max_workgroup_bytes
            && by_driver.is_none_or(|(most, needed)| needed <= most)
    }

    /// Bytes that one storage array may have: a binding, a buffer, and 32-bit element indices all bound it.
    pub fn max_array_bytes(&self) -> u64 {
        let indexable = u64::from(u32::MAX) * 4;
        self.max_binding_bytes.min(self.max_buffer_bytes).min(indexable)
    }

    /// # Errors
    /// [`Error::TooLarge`], naming `name` and both numbers, where an array of `bytes` does not fit.
    pub(crate) fn check_array(&self, name: &str, bytes: u64) -> Result<()> {
        self.check(name, bytes, self.max_array_bytes(), "bytes in one binding")
    }

    /// # Errors
    /// [`Error::TooLarge`] where `needed` exceeds `limit`.
    pub(crate) fn check(&self, name: &str, needed: u64, limit: u64, unit: &'static str) -> Result<()> {
        if needed <= limit {
            return Ok(());
        }
        Err(Error::TooLarge { name: name.into(), needed, limit, unit, device: self.device.clone() })
    }
}
