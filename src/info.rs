//! What is said of an adapter, a device and a run, in plain data: there also in a crate built without GPUs.

use crate::kernels::matrices::Matrices;
use crate::plan::Caps;

/// What an adapter is, in words and numbers.
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
    /// The vendor's PCI number, 0 where there is none.
    pub vendor: u32,
    /// Whether it computes on the CPU.
    pub software: bool,
    /// What a plan depends on.
    #[cfg(feature = "unstable")]
    pub caps: Caps,
    #[cfg(not(feature = "unstable"))]
    pub(crate) caps: Caps,
    /// Whether shaders may use 16-bit floats.
    pub shader_f16: bool,
    /// Whether timestamps can be taken on the device.
    pub timestamps: bool,
    /// Subgroup sizes, smallest and largest, where there are subgroups.
    pub subgroup: Option<(u32, u32)>,
    /// What matrices subgroups can multiply together, as `M×N×K of the factors, the sums`; nothing of a device that was
    /// handed over.
    pub cooperative_matrices: Vec<String>,
    /// Those of them that kernels can be made of, on a device that is opened with
    /// [`DeviceOptions::matrices`](crate::DeviceOptions::matrices).
    #[cfg(feature = "unstable")]
    pub matrices: Option<Matrices>,
    #[cfg(not(feature = "unstable"))]
    pub(crate) matrices: Option<Matrices>,
}

/// How many wgpu objects the crate has created on a device, those that are gone again included.
///
/// A bind group layout and a pipeline layout come with each pipeline, and a query set with each staged batch. What a
/// submission is recorded in is made anew for it, as wgpu has it, and is not counted; nor is what wgpu creates for
/// itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResourceCounts {
    /// Shader modules: texts that were read. Pipelines of one text share one.
    pub shader_modules: usize,
    /// Compute pipelines: kernels that were compiled.
    pub pipelines: usize,
    /// Bind groups.
    pub bind_groups: usize,
    /// Buffers.
    pub buffers: usize,
}

/// The seconds of one run, where they could be taken.
#[derive(Debug, Clone, Copy)]
pub struct RunSeconds {
    /// On the device, by timestamps.
    pub device: Option<f64>,
    /// On the host: from the start of encoding until the last submission was handed over.
    pub recording: Option<f64>,
}
