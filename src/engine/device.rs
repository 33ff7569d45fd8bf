//! A device: a GPU behind wgpu, the CPU path, or the reference.

use std::sync::Arc;

use super::options::{CpuOptions, DeviceOptions};
use super::select::{Selector, matching, rank};
use super::wait::{block_on, cannot_block};
use crate::cpu::{InstructionSet, Processor};
use crate::error::{Error, Result};
use crate::gpu::{Adapter, Context, adapters};
use crate::info::AdapterInfo;
use crate::kernels::MOST_STORAGE_BUFFERS;

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
    /// The instruction set in use.
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
    /// The CPU path: all cores, with the machine's fastest instruction set.
    pub fn cpu() -> Self {
        Self(Kind::Cpu(Arc::default()))
    }

    /// [`Device::cpu`] with options.
    ///
    /// # Errors
    /// [`Error::Zero`] for no thread, [`Error::Unsupported`] for an instruction set that this machine does not have.
    pub fn cpu_with(options: CpuOptions) -> Result<Self> {
        Ok(Self(Kind::Cpu(Arc::new(Processor::new(options.threads, options.instructions)?))))
    }

    /// The f64 reference, which is simple instead of fast.
    pub fn reference() -> Self {
        Self(Kind::Reference)
    }

    /// The caller's device and queue. The crate installs no callback on them and changes none of their settings; errors of the
    /// device go to the caller's handlers. Each call checks by itself whether the device is lost ([`Device::is_lost`]).
    #[cfg(feature = "gpu")]
    pub fn from_wgpu(device: wgpu::Device, queue: wgpu::Queue) -> Self {
        Self(Kind::Gpu(Arc::new(Context::from_wgpu(device, queue))))
    }

    /// The device that `selector` names:
    ///
    /// | selector | device |
    /// |---|---|
    /// | `auto` | the best GPU of the machine, never a software driver; where there is none, the CPU path |
    /// | `cpu`, `cpu:2`, `cpu:avx2:2` | the CPU path, with that many threads and those instructions |
    /// | `reference` | the f64 reference |
    /// | `vulkan`, `metal`, `dx12`, `gl`, `webgpu` | the best adapter of that API |
    /// | a name or a part of it, `vulkan:llvmpipe` | that adapter; where several match, the best of them |
    /// | `vulkan:#1` | the second adapter of that API, in the order of [`Device::list`] |
    ///
    /// A small model may be faster on the CPU than on a good GPU: [`Device::best`] weighs that.
    ///
    /// # Errors
    /// [`Error::NoDevice`], which lists what was found, and [`Error::Device`] where it cannot be opened.
    pub fn open(selector: &str) -> Result<Self> {
        block_on(Self::open_async(selector))
    }

    /// [`Device::open`], without blocking.
    ///
    /// # Errors
    /// Those of [`Device::open`].
    pub async fn open_async(selector: &str) -> Result<Self> {
        Self::open_with_async(selector, &DeviceOptions::default()).await
    }

    /// [`Device::open`] with options, which apply to GPUs.
    ///
    /// # Errors
    /// Those of [`Device::open`].
    pub fn open_with(selector: &str, options: &DeviceOptions) -> Result<Self> {
        block_on(Self::open_with_async(selector, options))
    }

    /// [`Device::open_with`], without blocking.
    ///
    /// # Errors
    /// Those of [`Device::open`].
    pub async fn open_with_async(selector: &str, options: &DeviceOptions) -> Result<Self> {
        let (backend, name) = match Selector::parse(selector) {
            Selector::Auto => return Self::best_gpu(options).await,
            Selector::Cpu(options) => return Self::cpu_with(options),
            Selector::Reference => return Ok(Self::reference()),
            Selector::Adapter { backend, name } => (backend, name),
        };
        let found = adapters(backend).await;
        let names: Vec<String> = found.iter().map(|(info, _)| info.name.clone()).collect();
        let wanted = matching(&names, &name);
        let found = found.into_iter().enumerate().filter(|(index, _)| wanted.contains(index));
        match best_of(found.map(|(_, adapter)| adapter).collect()) {
            Some(best) => {
                log::info!(target: "wgru::device", "{}: chosen for \"{selector}\"", best.0.caps.device);
                Self::open_adapter(best, options).await
            }
            None => {
                let all = adapters(None).await;
                let found = all.into_iter().map(|(info, _)| info.caps.device).collect();
                Err(Error::NoDevice { selector: selector.into(), found })
            }
        }
    }

    /// The best GPU that is not a software driver, else the CPU path.
    async fn best_gpu(options: &DeviceOptions) -> Result<Self> {
        // GL comes last: another API for the same GPU is better, and opening GL starts drivers that may
        // print.
        for backends in [&["vulkan", "metal", "dx12", "webgpu"][..], &["gl"]] {
            let mut found = Vec::new();
            for backend in backends {
                found.extend(adapters(Some(backend)).await);
            }
            found.retain(|(info, _)| !info.software && info.caps.max_storage_buffers >= MOST_STORAGE_BUFFERS);
            if let Some(best) = best_of(found) {
                log::info!(target: "wgru::device", "{}: chosen as the best GPU found", best.0.caps.device);
                return Self::open_adapter(best, options).await;
            }
        }
        log::info!(target: "wgru::device", "cpu: chosen since no GPU was found");
        Ok(Self::cpu())
    }

    /// Every adapter that can compute, the CPU path and the reference.
    ///
    /// # Errors
    /// [`Error::Unsupported`] in a browser, which has to wait for its adapters: use [`Device::list_async`]
    /// there.
    pub fn list() -> Result<Vec<DeviceInfo>> {
        block_on(async { Ok(Self::list_async().await) })
    }

    /// [`Device::list`], without blocking.
    pub async fn list_async() -> Vec<DeviceInfo> {
        let all = adapters(None).await.into_iter();
        all.map(|(info, _)| DeviceInfo::Gpu(Box::new(info)))
            .chain([Self::cpu().info(), DeviceInfo::Reference])
            .collect()
    }

    pub(super) async fn open_adapter(
        (mut info, adapter): (AdapterInfo, Adapter),
        options: &DeviceOptions,
    ) -> Result<Self> {
        info.caps.matrices = info.matrices.filter(|_| options.matrices);
        let context = Context::open(info, &adapter, options.pipeline_cache.as_deref()).await?;
        let device = Self(Kind::Gpu(Arc::new(context)));
        #[cfg(feature = "gpu")]
        if matches!(&device.0, Kind::Gpu(context) if context.caps().matrices.is_some()) {
            device.check_matrices().await?;
        }
        Ok(device)
    }

    /// Whether a thread may wait for this device: not for a GPU in a browser.
    ///
    /// # Errors
    /// [`Error::Unsupported`], before anything has begun.
    pub(super) fn may_block(&self) -> Result<()> {
        let is_gpu = matches!(self.0, Kind::Gpu(_));
        if cfg!(target_arch = "wasm32") && is_gpu { Err(cannot_block("a GPU")) } else { Ok(()) }
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

    /// Whether this device is lost: it was destroyed or taken away, or its driver gave up. It stays lost, and every call that
    /// needs the device returns [`Error::Lost`], for a device of the crate's or of the caller's. To go on, open a new device and
    /// load the model on it again. Never `true` on the CPU path and the reference.
    ///
    /// wgpu panics where it finds a device lost while it polls it. Natively the crate catches that panic, unless the program is
    /// built with `panic = "abort"`; the message still goes to the panic hook. In a browser the crate does not poll a device of
    /// the caller's: there this reports only devices that the crate opened.
    pub fn is_lost(&self) -> bool {
        match &self.0 {
            Kind::Gpu(context) => context.is_lost(),
            Kind::Cpu(_) | Kind::Reference => false,
        }
    }

    /// Whether this device keeps its pipelines on disk: the caller named a folder ([`DeviceOptions::pipeline_cache`]), and wgpu
    /// can read pipelines back from the device. [`Device::save_pipelines`] reports whether the folder can be used.
    pub fn has_pipeline_cache(&self) -> bool {
        match &self.0 {
            Kind::Gpu(context) => context.saved().is_some(),
            Kind::Cpu(_) | Kind::Reference => false,
        }
    }

    /// Writes the pipelines compiled so far to disk, if the device has a cache and there are new ones; returns whether it wrote.
    /// [`DeviceOptions::pipeline_cache`] says what happens without this call.
    ///
    /// # Errors
    /// [`Error::Io`] where the folder or the file cannot be written, and where others may write to the folder
    /// ([`DeviceOptions::pipeline_cache`]); such a folder is not read either.
    pub fn save_pipelines(&self) -> Result<bool> {
        match &self.0 {
            Kind::Gpu(context) => context.saved().map_or(Ok(false), |saved| saved.save()),
            Kind::Cpu(_) | Kind::Reference => Ok(false),
        }
    }
}

fn best_of(found: Vec<(AdapterInfo, Adapter)>) -> Option<(AdapterInfo, Adapter)> {
    // max_by_key returns the last of equals; reversed, the first in the system's order.
    found.into_iter().rev().max_by_key(|(info, _)| rank(info))
}
