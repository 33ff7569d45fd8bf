//! Descriptions of an adapter, a device and a run, as plain data: available also in a crate built without GPUs.

use crate::kernels::matrices::Matrices;
use crate::plan::Caps;

/// The description of an adapter.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AdapterInfo {
    /// The adapter's own name.
    pub name: String,
    /// The API: `vulkan`, `metal`, `dx12`, `gl` or `webgpu`.
    pub backend: &'static str,
    /// The driver and its version.
    pub driver: String,
    /// `discrete`, `integrated`, `virtual`, `software` or `other`.
    pub kind: &'static str,
    /// The vendor's PCI number, 0 if unknown.
    pub vendor: u32,
    /// Whether it computes on the CPU.
    pub software: bool,
    /// The capabilities that a plan depends on.
    #[cfg(feature = "unstable")]
    pub caps: Caps,
    #[cfg(not(feature = "unstable"))]
    pub(crate) caps: Caps,
    /// Whether shaders may use 16-bit floats.
    pub shader_f16: bool,
    /// Whether the device has timestamps.
    pub timestamps: bool,
    /// Subgroup sizes, smallest and largest, if the device has subgroups.
    pub subgroup: Option<(u32, u32)>,
    /// The shapes of matrices that subgroups can multiply together, as `M×N×K of the factors, the sums`; empty for a device of
    /// the caller's.
    pub cooperative_matrices: Vec<String>,
    /// The one of them that kernels can use, on a device that is opened with
    /// [`DeviceOptions::matrices`](crate::DeviceOptions::matrices).
    #[cfg(feature = "unstable")]
    pub matrices: Option<Matrices>,
    #[cfg(not(feature = "unstable"))]
    pub(crate) matrices: Option<Matrices>,
}

/// How many wgpu objects the crate has created on a device, including those that were dropped again.
///
/// A bind group layout and a pipeline layout come with each pipeline, and a query set with each staged batch. Encoders and
/// command buffers, which wgpu needs anew for each submission, are not counted; nor are wgpu's internal objects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResourceCounts {
    /// Shader modules: parsed texts. Pipelines of one text share one.
    pub shader_modules: usize,
    /// Compute pipelines: compiled kernels.
    pub pipelines: usize,
    /// Bind groups.
    pub bind_groups: usize,
    /// Buffers.
    pub buffers: usize,
}

/// The times of one run in seconds, if they could be measured.
#[derive(Debug, Clone, Copy)]
pub struct RunSeconds {
    /// On the device, by timestamps.
    pub device: Option<f64>,
    /// On the host: from the start of encoding to the return of the last submission.
    pub recording: Option<f64>,
}
