//! A device: a GPU behind wgpu, the CPU path, or the reference.

use std::sync::Arc;

use super::options::{CpuOptions, DeviceOptions};
use super::select::{Selector, matching, rank};
use crate::cpu::{InstructionSet, Processor};
use crate::error::{Error, Result};
use crate::gpu::{Adapter, Context, adapters};
use crate::info::{AdapterInfo, Created};
use crate::kernels::MOST_STORAGE_BUFFERS;
use crate::kernels::matrices::Matrices;

/// Something that runs models. Cheap to clone; clones share pipelines.
#[derive(Debug, Clone)]
pub struct Device(pub(super) Kind);

#[derive(Debug, Clone)]
pub(super) enum Kind {
    Gpu(Arc<Context>),
    Cpu(Arc<Processor>),
    Reference,
}

/// The CPU path of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CpuInfo {
    /// The instructions in use.
    pub instructions: InstructionSet,
    /// The most threads that a run takes.
    pub threads: usize,
}

/// What a device is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceInfo {
    /// A GPU adapter, real or software.
    Gpu(Box<AdapterInfo>),
    /// The f32 path on the CPU.
    Cpu(CpuInfo),
    /// The f64 reference.
    Reference,
}

impl std::fmt::Display for DeviceInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Gpu(info) => f.write_str(&info.caps.device),
            Self::Cpu(_) => f.write_str("cpu"),
            Self::Reference => f.write_str("reference"),
        }
    }
}

impl Device {
    /// The CPU path: all cores, with the fastest instructions that they have.
    pub fn cpu() -> Self {
        Self(Kind::Cpu(Arc::default()))
    }

    /// [`Device::cpu`] with options.
    ///
    /// # Errors
    /// [`Error::Zero`] for no thread, [`Error::Unsupported`] for instructions that this machine does not have.
    pub fn cpu_with(options: CpuOptions) -> Result<Self> {
        Ok(Self(Kind::Cpu(Arc::new(Processor::new(options.threads, options.instructions)?))))
    }

    /// The f64 reference, slow on purpose.
    pub fn reference() -> Self {
        Self(Kind::Reference)
    }

    /// The caller's device and queue. The crate installs no callback on them and changes none of their
    /// settings; errors of the device's own go where the caller sends them. That the device is lost, each call finds out for itself
    /// ([`Device::is_lost`]).
    #[cfg(feature = "gpu")]
    pub fn from_wgpu(device: wgpu::Device, queue: wgpu::Queue) -> Self {
        Self(Kind::Gpu(Arc::new(Context::from_wgpu(device, queue))))
    }

    /// The best GPU of the machine, else the CPU path; never a software driver.
    ///
    /// # Errors
    /// [`Error::Device`] where the best GPU cannot be opened.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn best() -> Result<Self> {
        pollster::block_on(Self::best_async())
    }

    /// [`Device::best`], without blocking.
    ///
    /// # Errors
    /// As [`Device::best`].
    pub async fn best_async() -> Result<Self> {
        Self::best_with_async(&DeviceOptions::default()).await
    }

    /// [`Device::best`] with options.
    ///
    /// # Errors
    /// As [`Device::best`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn best_with(options: &DeviceOptions) -> Result<Self> {
        pollster::block_on(Self::best_with_async(options))
    }

    /// [`Device::best_with`], without blocking.
    ///
    /// # Errors
    /// As [`Device::best`].
    pub async fn best_with_async(options: &DeviceOptions) -> Result<Self> {
        // GL is asked last: where another API serves the same GPU it is the better one, and asking GL
        // starts drivers that may print.
        for backends in [&["vulkan", "metal", "dx12", "webgpu"][..], &["gl"]] {
            let mut found = Vec::new();
            for backend in backends {
                found.extend(adapters(Some(backend)).await);
            }
            found.retain(|(info, _)| !info.software && info.caps.max_storage_buffers >= MOST_STORAGE_BUFFERS);
            if let Some(best) = best_of(found) {
                return Self::open(best, options).await;
            }
        }
        Ok(Self::cpu())
    }

    /// The device that `selector` names: `auto` ([`Device::best`]), `cpu`, with threads and instructions where they
    /// are named as in `cpu:2` and `cpu:avx2:2`, `reference`, an API (`vulkan`, `gl`,
    /// `metal`, `dx12`), an adapter's name or a part of it, or both as `vulkan:llvmpipe`. Where several bear one
    /// name, `vulkan:#1` is the second of its API as [`Device::list`] has them.
    ///
    /// # Errors
    /// [`Error::NoDevice`], which lists what was found, and [`Error::Device`] where it cannot be opened.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn select(selector: &str) -> Result<Self> {
        pollster::block_on(Self::select_async(selector))
    }

    /// [`Device::select`], without blocking.
    ///
    /// # Errors
    /// As [`Device::select`].
    pub async fn select_async(selector: &str) -> Result<Self> {
        Self::select_with_async(selector, &DeviceOptions::default()).await
    }

    /// [`Device::select`] with options.
    ///
    /// # Errors
    /// As [`Device::select`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn select_with(selector: &str, options: &DeviceOptions) -> Result<Self> {
        pollster::block_on(Self::select_with_async(selector, options))
    }

    /// [`Device::select_with`], without blocking.
    ///
    /// # Errors
    /// As [`Device::select`].
    pub async fn select_with_async(selector: &str, options: &DeviceOptions) -> Result<Self> {
        let (backend, name) = match Selector::parse(selector) {
            Selector::Auto => return Self::best_with_async(options).await,
            Selector::Cpu(options) => return Self::cpu_with(options),
            Selector::Reference => return Ok(Self::reference()),
            Selector::Adapter { backend, name } => (backend, name),
        };
        let found = adapters(backend).await;
        let names: Vec<String> = found.iter().map(|(info, _)| info.name.clone()).collect();
        let wanted = matching(&names, &name);
        let found = found.into_iter().enumerate().filter(|(index, _)| wanted.contains(index));
        match best_of(found.map(|(_, adapter)| adapter).collect()) {
            Some(best) => Self::open(best, options).await,
            None => {
                let all = adapters(None).await;
                let found = all.into_iter().map(|(info, _)| info.caps.device).collect();
                Err(Error::NoDevice { selector: selector.into(), found })
            }
        }
    }

    /// Opens every adapter that can compute, for a harness that runs on all of them.
    ///
    /// # Errors
    /// [`Error::Device`] for the first that cannot be opened.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn all_adapters() -> Result<Vec<Self>> {
        pollster::block_on(Self::all_adapters_async())
    }

    /// [`Device::all_adapters`], without blocking.
    ///
    /// # Errors
    /// As [`Device::all_adapters`].
    pub async fn all_adapters_async() -> Result<Vec<Self>> {
        let mut opened = Vec::new();
        for adapter in adapters(None).await {
            opened.push(Self::open(adapter, &DeviceOptions::default()).await?);
        }
        Ok(opened)
    }

    /// Every adapter that can compute, the CPU path and the reference.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn list() -> Vec<DeviceInfo> {
        pollster::block_on(Self::list_async())
    }

    /// [`Device::list`], without blocking.
    pub async fn list_async() -> Vec<DeviceInfo> {
        let all = adapters(None).await.into_iter();
        all.map(|(info, _)| DeviceInfo::Gpu(Box::new(info)))
            .chain([Self::cpu().info(), DeviceInfo::Reference])
            .collect()
    }

    async fn open((mut info, adapter): (AdapterInfo, Adapter), options: &DeviceOptions) -> Result<Self> {
        info.caps.matrices = info.matrices.filter(|_| options.matrices);
        let context = Context::open(info, &adapter, options.pipeline_cache.as_deref()).await?;
        let device = Self(Kind::Gpu(Arc::new(context)));
        #[cfg(feature = "gpu")]
        if device.matrices().is_some() {
            device.check_matrices().await?;
        }
        Ok(device)
    }

    /// What this device is.
    pub fn info(&self) -> DeviceInfo {
        match &self.0 {
            Kind::Gpu(context) => DeviceInfo::Gpu(Box::new(context.info().clone())),
            Kind::Cpu(processor) => {
                DeviceInfo::Cpu(CpuInfo { instructions: processor.set(), threads: processor.threads() })
            }
            Kind::Reference => DeviceInfo::Reference,
        }
    }

    /// Whether this device is lost: it was destroyed or taken away, or its driver gave up. It stays so, and every call that needs
    /// the device is [`Error::Lost`], whoever owns it; a new device, with the model loaded on it again, goes on.
    /// Never on the CPU path and the reference.
    ///
    /// wgpu panics where it finds a device lost while it polls it. Natively that is caught, unless the program is built to end
    /// with a panic; its message still goes to the panic hook. In a browser a device of the caller's is not asked: there this tells
    /// of devices of our own alone.
    pub fn is_lost(&self) -> bool {
        match &self.0 {
            Kind::Gpu(context) => context.is_lost(),
            Kind::Cpu(_) | Kind::Reference => false,
        }
    }

    /// Has a GPU be lost, for tests of what comes then.
    #[doc(hidden)]
    pub fn destroy(&self) {
        match &self.0 {
            Kind::Gpu(context) => context.destroy(),
            Kind::Cpu(_) | Kind::Reference => {}
        }
    }

    /// How many wgpu objects were created on this device so far, for a caller to see that a run creates none; all 0 on
    /// the CPU path and the reference. The clones of a device count together.
    pub fn created(&self) -> Created {
        match &self.0 {
            Kind::Gpu(context) => context.created(),
            Kind::Cpu(_) | Kind::Reference => Created::default(),
        }
    }

    /// The cooperative matrices that plans on this device may make use of: it has usable ones, and was opened with
    /// [`DeviceOptions::matrices`]. None on a device of the caller's, which does not say what it has.
    pub fn matrices(&self) -> Option<Matrices> {
        match &self.0 {
            Kind::Gpu(context) => context.info().caps.matrices,
            Kind::Cpu(_) | Kind::Reference => None,
        }
    }

    /// Whether this device keeps its pipelines on disk: a folder was named ([`DeviceOptions::pipeline_cache`]), and wgpu
    /// can take pipelines out of the device. Whether the folder can be used, [`Device::save_pipelines`] tells.
    pub fn has_pipeline_cache(&self) -> bool {
        match &self.0 {
            Kind::Gpu(context) => context.saved().is_some(),
            Kind::Cpu(_) | Kind::Reference => false,
        }
    }

    /// Writes the pipelines compiled so far to disk, where they are kept there and there is something new; whether
    /// there was. [`DeviceOptions::pipeline_cache`] says what happens without this call.
    ///
    /// # Errors
    /// [`Error::Io`] where the folder or the file cannot be written, and where the folder may be written by others
    /// ([`DeviceOptions::pipeline_cache`]), which nothing was read from either.
    pub fn save_pipelines(&self) -> Result<bool> {
        match &self.0 {
            Kind::Gpu(context) => context.saved().map_or(Ok(false), |saved| saved.save()),
            Kind::Cpu(_) | Kind::Reference => Ok(false),
        }
    }
}

fn best_of(found: Vec<(AdapterInfo, Adapter)>) -> Option<(AdapterInfo, Adapter)> {
    // max_by_key returns the last of equals; reversed, the first that the system names.
    found.into_iter().rev().max_by_key(|(info, _)| rank(info))
}
