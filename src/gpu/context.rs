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
    /// The first error the device reported outside an error scope; only a device of our own fills it.
    fault: Arc<Mutex<Option<String>>>,
}

impl Context {
    /// Opens `adapter`.
    ///
    /// # Errors
    /// [`Error::Device`] with the driver's reason.
    pub async fn open(info: AdapterInfo, adapter: &wgpu::Adapter) -> Result<Self> {
        let (device, queue) = open(&info, adapter).await?;
        let fault = Arc::new(Mutex::new(None));
        let slot = fault.clone();
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            lock(&slot).get_or_insert(error.to_string());
        }));
        let slot = fault.clone();
        device.set_device_lost_callback(move |reason, message| {
            lock(&slot).get_or_insert(format!("device lost ({reason:?}): {message}"));
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
    /// [`Error::Device`] where the device has reported an error since it was opened.
    pub(super) fn check_fault(&self) -> Result<()> {
        match &*lock(&self.fault) {
            Some(reason) => Err(self.error(reason.clone())),
            None => Ok(()),
        }
    }

    pub(super) fn error(&self, reason: impl Into<String>) -> Error {
        Error::Device { device: self.info.caps.device.clone(), reason: reason.into() }
    }

    /// The pipeline of `kernel`, compiled on first use.
    pub(super) fn pipeline(&self, kernel: Kernel) -> Arc<Pipeline> {
        lock(&self.pipelines)
            .entry(kernel)
            .or_insert_with(|| Arc::new(Pipeline::new(&self.device, kernel)))
            .clone()
    }

    /// Runs `work`, which creates objects on the device, and turns what the device says about it into an
    /// error.
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
/// since every critical section is a single insertion or look-up.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
