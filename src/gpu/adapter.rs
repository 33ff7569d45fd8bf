//! Finding and describing adapters.

use crate::error::{Error, Result};
use crate::info::AdapterInfo;
use crate::kernels::matrices::Matrices;
use crate::plan::{Adapter, Caps, Measured, Speed};
use wgpu::CooperativeScalarType;

impl AdapterInfo {
    pub(super) fn new(info: &wgpu::AdapterInfo, limits: &wgpu::Limits, features: wgpu::Features) -> Self {
        let backend = backend_name(info.backend);
        let software = info.device_type == wgpu::DeviceType::Cpu;
        let device = format!("{backend}: {}", info.name);
        let driver = [info.driver.as_str(), info.driver_info.as_str()];
        Self {
            name: info.name.clone(),
            backend,
            driver: driver.iter().filter(|s| !s.is_empty()).copied().collect::<Vec<_>>().join(" "),
            kind: match info.device_type {
                wgpu::DeviceType::DiscreteGpu => "discrete",
                wgpu::DeviceType::IntegratedGpu => "integrated",
                wgpu::DeviceType::VirtualGpu => "virtual",
                wgpu::DeviceType::Cpu => "software",
                wgpu::DeviceType::Other => "other",
            },
            vendor: info.vendor,
            software,
            caps: Caps {
                device,
                max_binding_bytes: limits.max_storage_buffer_binding_size,
                max_buffer_bytes: limits.max_buffer_size,
                max_storage_buffers: limits.max_storage_buffers_per_shader_stage,
                max_workgroups: limits.max_compute_workgroups_per_dimension,
                max_threads: limits
                    .max_compute_invocations_per_workgroup
                    .min(limits.max_compute_workgroup_size_x),
                max_workgroup_bytes: limits.max_compute_workgroup_storage_size,
                max_iterations: software.then_some(Caps::SOFTWARE_ITERATIONS),
                exchange: None,
                matrices: None,
                speed: speed(info),
                measured: Measured::default(),
            },
            shader_f16: features.contains(wgpu::Features::SHADER_F16),
            timestamps: features.contains(wgpu::Features::TIMESTAMP_QUERY),
            subgroup: features
                .contains(wgpu::Features::SUBGROUP)
                .then_some((info.subgroup_min_size, info.subgroup_max_size)),
            cooperative_matrices: Vec::new(),
            matrices: None,
        }
    }
}

/// The cost model's numbers for this device, as far as it says what it is. A browser does not.
fn speed(info: &wgpu::AdapterInfo) -> Speed {
    if info.device_type == wgpu::DeviceType::Cpu {
        let cores = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
        return Speed { cores, ..Speed::SOFTWARE };
    }
    // Some APIs extend the vendors' numbers beyond those of PCI.
    let [vendor, device] = [info.vendor, info.device].map(|number| number & 0xffff);
    let integrated = info.device_type == wgpu::DeviceType::IntegratedGpu;
    let one_size = info.subgroup_min_size == info.subgroup_max_size;
    let subgroup = one_size.then_some(info.subgroup_max_size);
    Speed::of(Adapter { vendor, device, name: &info.name, integrated, subgroup })
}

fn matrix_words(matrix: &wgpu::CooperativeMatrixProperties) -> String {
    let wgpu::CooperativeMatrixProperties { m_size, n_size, k_size, ab_type, cr_type, .. } = matrix;
    format!("{m_size}×{n_size}×{k_size} of {ab_type:?}, {cr_type:?}")
}

/// The features that kernels of cooperative matrices need.
const MATRICES: wgpu::Features = wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX
    .union(wgpu::Features::SHADER_F16)
    .union(wgpu::Features::SUBGROUP);

/// The largest of an adapter's matrices that the kernels support: square, of f16, with sums in f32.
fn matrices(
    info: &AdapterInfo,
    features: wgpu::Features,
    properties: &[wgpu::CooperativeMatrixProperties],
) -> Option<Matrices> {
    let is_usable = |of: &&wgpu::CooperativeMatrixProperties| {
        let types = [of.ab_type, of.cr_type] == [CooperativeScalarType::F16, CooperativeScalarType::F32];
        types && [8, 16].contains(&of.m_size) && of.m_size == of.n_size && of.n_size == of.k_size
    };
    let (_, subgroup) = info.subgroup.filter(|(_, most)| *most > 0 && features.contains(MATRICES))?;
    let side = properties.iter().filter(is_usable).map(|of| of.m_size).max()?;
    Some(Matrices { side, subgroup })
}

fn backend_name(backend: wgpu::Backend) -> &'static str {
    match backend {
        wgpu::Backend::Vulkan => "vulkan",
        wgpu::Backend::Metal => "metal",
        wgpu::Backend::Dx12 => "dx12",
        wgpu::Backend::Gl => "gl",
        wgpu::Backend::BrowserWebGpu => "webgpu",
        wgpu::Backend::Noop => "noop",
    }
}

/// Every adapter of the named API, or of all where `backend` is `None`, that can run compute shaders.
pub async fn adapters(backend: Option<&str>) -> Vec<(AdapterInfo, wgpu::Adapter)> {
    let backends = match backend {
        None => wgpu::Backends::all(),
        Some("vulkan") => wgpu::Backends::VULKAN,
        Some("metal") => wgpu::Backends::METAL,
        Some("dx12") => wgpu::Backends::DX12,
        Some("gl") => wgpu::Backends::GL,
        Some("webgpu") => wgpu::Backends::BROWSER_WEBGPU,
        Some(_) => return Vec::new(),
    };
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = backends;
    descriptor.flags = wgpu::InstanceFlags::empty().with_env();
    let instance = wgpu::Instance::new(descriptor);
    let adapters = instance.enumerate_adapters(backends).await;
    let compute = wgpu::DownlevelFlags::COMPUTE_SHADERS;
    adapters
        .into_iter()
        .filter(|adapter| adapter.get_downlevel_capabilities().flags.contains(compute))
        .map(|adapter| {
            let mut info = AdapterInfo::new(&adapter.get_info(), &adapter.limits(), adapter.features());
            let properties = adapter.cooperative_matrix_properties();
            info.cooperative_matrices = properties.iter().map(matrix_words).collect();
            info.matrices = matrices(&info, adapter.features(), &properties);
            (info, adapter)
        })
        // A browser has one API and offers it whatever `backend` is.
        .filter(|(info, _)| backend.is_none_or(|backend| info.backend == backend))
        .collect()
}

/// Opens an adapter with all the limits it offers; with a readable pipeline cache if `save` and the adapter supports one, and
/// with cooperative matrices as the caps say.
///
/// # Errors
/// [`Error::Device`] with the driver's reason.
pub(super) async fn open(
    info: &AdapterInfo,
    adapter: &wgpu::Adapter,
    save: bool,
) -> Result<(wgpu::Device, wgpu::Queue)> {
    let mut wanted = wgpu::Features::TIMESTAMP_QUERY;
    wanted.set(wgpu::Features::PIPELINE_CACHE, save);
    let mut experimental_features = wgpu::ExperimentalFeatures::disabled();
    if info.caps.matrices.is_some() {
        wanted |= MATRICES;
        // SAFETY: the token acknowledges the risk of bugs in what wgpu considers experimental. The caller has enabled it by an
        // option, and no other experimental feature is turned on. Every load and store of a matrix in our kernels lies within
        // arrays of workgroup memory whose sizes follow from the same constants, in control flow that is uniform over the
        // workgroup. Whether wgpu's translation does the same on this device is checked: the engine compares its results with
        // exact numbers.
        experimental_features = unsafe { wgpu::ExperimentalFeatures::enabled() };
    }
    let descriptor = wgpu::DeviceDescriptor {
        label: Some("wgru.device"),
        experimental_features,
        required_features: adapter.features() & wanted,
        required_limits: adapter.limits(),
        ..Default::default()
    };
    adapter.request_device(&descriptor).await.map_err(|error| Error::Device {
        device: info.caps.device.clone(),
        reason: format!("cannot be opened: {error}"),
    })
}
