//! One device and what belongs to it: its queue, its pipelines, the errors it reported.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::adapter::{AdapterInfo, open};
use super::pipeline::Pipeline;
use crate::error::{Error, Result};
use crate::kernels::Kernel;
use crate::plan::Caps;

/// A device, opened by us or handed over by the caller, shared by every engine on it.
#[derive(Debug)]
pub struct Context {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    info: AdapterInfo,
    pipelines: Mutex<HashMap<Kernel, Arc<Pipeline>>>,
    /// What the device reported outside every error scope; only a device of our own fills it.
    fault: Arc<Mutex<Fault>>,
}

#[derive(Debug, Default)]
struct Fault {
    /// An error, for the next call to return.
    error: Option<String>,
    /// The loss of the device, for every call from then on.
    lost: Option<String>,
}

impl Context {
    /// Opens `adapter`.
    ///
    /// # Errors
    /// [`Error::Device`] with the driver's reason.
    pub async fn open(info: AdapterInfo, adapter: &wgpu::Adapter) -> Result<Self> {
        let (device, queue) = open(&info, adapter).await?;
        let fault = Arc::<Mutex<Fault>>::default();
        let slot = fault.clone();
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            lock(&slot).error.get_or_insert(error.to_string());
        }));
        let slot = fault.clone();
        device.set_device_lost_callback(move |reason, message| {
            lock(&slot).lost.get_or_insert(format!("device lost ({reason:?}): {message}"));
        });
        Ok(Self { device, queue, info, pipelines: Mutex::default(), fault })
    }

    /// Takes the caller's device and queue. Its error and device-lost callbacks stay the caller's.
    pub fn from_wgpu(device: wgpu::Device, queue: wgpu::Queue) -> Self {
        let info = AdapterInfo::new(&device.adapter_info(), &device.limits(), device.features());
        Self { device, queue, info, pipelines: Mutex::default(), fault: Arc::default() }
    }

    /// What the device is.
    pub fn info(&self) -> &AdapterInfo {
        &self.info
    }

    /// What the device allows.
    pub fn caps(&self) -> &Caps {
        &self.info.caps
    }

    /// The number of pipelines compiled so far.
    pub fn pipelines(&self) -> usize {
        lock(&self.pipelines).len()
    }

    /// # Errors
    /// [`Error::Device`] where the device is lost, or has reported an error since the last call.
    pub(super) fn check_fault(&self) -> Result<()> {
        let mut fault = lock(&self.fault);
        match fault.lost.clone().or_else(|| fault.error.take()) {
            Some(reason) => Err(self.error(reason)),
            None => Ok(()),
        }
    }

    pub(super) fn error(&self, reason: impl Into<String>) -> Error {
        Error::Device { device: self.info.caps.device.clone(), reason: reason.into() }
    }

    /// The pipelines of `kernels`, each compiled on first use. One that the device refuses is not kept.
    ///
    /// # Errors
    /// [`Error::Device`] with what the device says of the kernel.
    pub(super) async fn compile(
        &self,
        kernels: impl Iterator<Item = Kernel>,
    ) -> Result<HashMap<Kernel, Arc<Pipeline>>> {
        let mut pipelines = HashMap::new();
        for kernel in kernels {
            if pipelines.contains_key(&kernel) {
                continue;
            }
            let known = lock(&self.pipelines).get(&kernel).cloned();
            let pipeline = match known {
                Some(pipeline) => pipeline,
                None => {
                    let new = self.checked(kernel.name(), || Pipeline::new(&self.device, kernel)).await?;
                    // Another thread may have compiled the same one meanwhile; either will do.
                    lock(&self.pipelines).entry(kernel).or_insert(Arc::new(new)).clone()
                }
            };
            pipelines.insert(kernel, pipeline);
        }
        Ok(pipelines)
    }

    /// Runs `work` on the device, and turns what the device says about it into an error.
    pub(super) async fn checked<T>(&self, name: &str, work: impl FnOnce() -> T) -> Result<T> {
        let memory = self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let validation = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let internal = self.device.push_error_scope(wgpu::ErrorFilter::Internal);
        let result = work();
        let scopes = [internal.pop(), validation.pop(), memory.pop()];
        for scope in scopes {
            if let Some(error) = scope.await {
                return Err(self.error(format!("{name}: {error}")));
            }
        }
        Ok(result)
    }
}

/// Locks, also where another thread panicked while it held the lock: what is inside stays consistent,
/// since no critical section leaves anything half done.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
