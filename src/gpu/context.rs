//! One device with its queue, its pipelines, and the errors it reported.

mod saved;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::convert::Infallible;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context as TaskContext, Poll, Waker};

pub use self::saved::Saved;
use super::adapter::open;
use super::create::Creator;
use super::once::Once;
use super::pipeline::{Pipeline, module};
use super::probe::Probe;
use crate::error::{Error, Result};
use crate::info::{AdapterInfo, ResourceCounts};
use crate::kernels::Kernel;
use crate::plan::Caps;
use crate::sync::{lock, panic_words};

/// A device, opened by the crate or passed in by the caller, shared by every engine on it.
#[derive(Debug)]
pub struct Context {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    pub(super) create: Creator,
    info: AdapterInfo,
    pipelines: Once<Kernel, Arc<Pipeline>>,
    /// By their text: kernels that differ in constants alone share a module.
    modules: Once<String, wgpu::ShaderModule>,
    /// The pipelines on disk, if the caller named a folder and the device can return its pipelines.
    saved: Option<Saved>,
    /// The workgroups that ran at the same time in the device's self-test, and the bytes of workgroup memory that each had.
    trusted: Mutex<Option<(u32, u32)>>,
    /// Errors that the device reported outside every error scope, which only a device of our own does; and its loss.
    fault: Arc<Mutex<Fault>>,
    /// Made at the first check whether the device is lost.
    probe: OnceLock<Probe>,
    unjudged: Mutex<Vec<Unjudged>>,
    /// How often results were read back to the host.
    pub(super) read_backs: AtomicUsize,
}

/// An object whose errors the device has not reported yet.
struct Unjudged {
    name: String,
    /// The kernel whose pipeline it is.
    kernel: Option<Kernel>,
    said: Said,
}

/// The error of the scopes, if there is one, and whether it is of memory.
#[cfg(not(target_arch = "wasm32"))]
type Said = Pin<Box<dyn Future<Output = Option<(bool, String)>> + Send>>;
#[cfg(target_arch = "wasm32")]
type Said = Pin<Box<dyn Future<Output = Option<(bool, String)>>>>;

impl std::fmt::Debug for Unjudged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

#[derive(Debug, Default)]
struct Fault {
    /// An error, for the next call to return: whether it is of memory, and its message.
    error: Option<(bool, String)>,
    /// The loss of the device, for every call from then on.
    lost: Option<String>,
}

/// The beginning of wgpu's panic where it finds a device lost while it polls.
const OF_POLL: &str = "Error in Device::poll";

/// The reason for a lost device that reports none.
const DESTROYED: &str = "it was destroyed, reset or taken away";

fn is_memory(error: &wgpu::Error) -> bool {
    matches!(error, wgpu::Error::OutOfMemory { .. })
}

impl Fault {
    /// Notes the loss of the device, unless it is known.
    fn lose(&mut self, why: &str) {
        self.lost.get_or_insert_with(|| why.trim().into());
    }
}

impl Context {
    /// Opens `adapter`; its pipelines are kept in the folder `saved`, if one is given and the adapter supports it.
    ///
    /// # Errors
    /// [`Error::Device`] with the driver's reason.
    pub async fn open(info: AdapterInfo, adapter: &wgpu::Adapter, saved: Option<&Path>) -> Result<Self> {
        let (device, queue) = open(&info, adapter, saved.is_some()).await?;
        let fault = Arc::<Mutex<Fault>>::default();
        let slot = fault.clone();
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            lock(&slot).error.get_or_insert_with(|| (is_memory(&error), error.to_string()));
        }));
        let slot = fault.clone();
        device.set_device_lost_callback(move |reason, message| {
            let why = match reason {
                wgpu::DeviceLostReason::Destroyed => DESTROYED.into(),
                wgpu::DeviceLostReason::Unknown => message,
            };
            lock(&slot).lose(&why);
        });
        let mut context = Self::new(device, queue, info, fault);
        if let Some(folder) = saved {
            context.saved = Saved::open(&context, folder);
        }
        Ok(context)
    }

    /// Takes the caller's device and queue. Its error and device-lost callbacks stay the caller's.
    pub fn from_wgpu(device: wgpu::Device, queue: wgpu::Queue) -> Self {
        let info = AdapterInfo::new(&device.adapter_info(), &device.limits(), device.features());
        Self::new(device, queue, info, Arc::default())
    }

    fn new(device: wgpu::Device, queue: wgpu::Queue, info: AdapterInfo, fault: Arc<Mutex<Fault>>) -> Self {
        let create = Creator::new(device.clone());
        let (pipelines, modules) = (Once::default(), Once::default());
        let trusted = Mutex::default();
        let (probe, unjudged, read_backs) = Default::default();
        Self {
            device,
            queue,
            create,
            info,
            pipelines,
            modules,
            saved: None,
            trusted,
            fault,
            probe,
            unjudged,
            read_backs,
        }
    }

    /// The description of the device.
    pub fn info(&self) -> &AdapterInfo {
        &self.info
    }

    /// The capabilities of the device.
    pub fn caps(&self) -> &Caps {
        &self.info.caps
    }

    /// The alignment of the offset of a storage binding.
    pub fn storage_alignment(&self) -> u32 {
        self.device.limits().min_storage_buffer_offset_alignment
    }

    /// Counts of the objects created on the device so far.
    pub fn resource_counts(&self) -> ResourceCounts {
        self.create.resource_counts()
    }

    /// How often results were read back to the host so far.
    pub fn read_backs(&self) -> usize {
        self.read_backs.load(Ordering::Relaxed)
    }

    /// The workgroups that ran at the same time in the device's self-test, and the bytes of workgroup memory that each had.
    pub fn trusted(&self) -> Option<(u32, u32)> {
        *lock(&self.trusted)
    }

    /// Sets [`Context::trusted`].
    pub fn trust(&self, shown: Option<(u32, u32)>) {
        *lock(&self.trusted) = shown;
    }

    /// The pipelines on disk, if they are kept there.
    pub fn saved(&self) -> Option<&Saved> {
        self.saved.as_ref()
    }

    /// # Errors
    /// [`Error::Lost`] where the device is known to be lost; an error that it has reported since the last
    /// call.
    pub(super) fn check_fault(&self) -> Result<()> {
        let mut fault = lock(&self.fault);
        match (fault.error.take(), &fault.lost) {
            (_, Some(why)) => Err(self.lost(why)),
            (Some((is_memory, words)), None) => Err(self.reported(is_memory, words)),
            (None, None) => Ok(()),
        }
    }

    /// # Errors
    /// [`Error::Lost`] where the device is lost, which this checks.
    pub fn check_lost(&self) -> Result<()> {
        if !self.is_lost() {
            return Ok(());
        }
        // The first call that finds it lost records the reason.
        Err(self.lost(lock(&self.fault).lost.as_deref().unwrap_or(DESTROYED)))
    }

    /// The error for `reason`: that the device is lost, if it is, which may have happened at any time.
    pub(super) fn failed(&self, reason: &str) -> Error {
        self.check_lost().err().unwrap_or_else(|| self.reported(false, reason.into()))
    }

    /// Whether the device is lost. In a browser a caller's device is not probed: only calls that wait for it fail there.
    pub fn is_lost(&self) -> bool {
        if lock(&self.fault).lost.is_some() {
            return true;
        }
        let made = || Probe::new(&self.device, &self.create).map(|new| self.probe.get_or_init(|| new));
        let probe = || self.probe.get().or_else(made);
        let is_lost =
            cfg!(not(target_arch = "wasm32")) && probe().is_some_and(|probe| probe.is_lost(&self.device));
        if is_lost {
            lock(&self.fault).lose(DESTROYED);
        }
        is_lost
    }

    /// Makes the device lost, for tests.
    pub fn destroy(&self) {
        self.device.destroy();
    }

    /// Polls the device; `Ok(false)` on a timeout.
    ///
    /// # Errors
    /// The reason, also where the device is lost. wgpu panics if it finds that while it polls. The panic is caught here, unless
    /// panics abort the process, as in a browser.
    pub(super) fn poll(&self, how: wgpu::PollType) -> Result<bool, String> {
        match self.noting_loss(|| self.device.poll(how))? {
            Ok(_) => Ok(true),
            Err(wgpu::PollError::Timeout) => Ok(false),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Runs `work`, in which wgpu panics only where the device is lost. Closures that the caller of a shared device has given to
    /// wgpu run in it too: their panics propagate to the caller.
    fn noting_loss<T>(&self, work: impl FnOnce() -> T) -> Result<T, String> {
        catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
            let words = panic_words(&*panic);
            if !words.starts_with(OF_POLL) && !self.is_lost() {
                resume_unwind(panic);
            }
            lock(&self.fault).lose(&words);
            words
        })
    }

    /// Runs `work` and ignores its errors: the objects that it frees may be gone already, with their device.
    pub(super) fn quietly<T>(&self, work: impl FnOnce() -> T) -> T {
        let _scope = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        work()
    }

    fn lost(&self, why: &str) -> Error {
        Error::Lost { device: self.info.caps.device.clone(), reason: why.into() }
    }

    fn reported(&self, is_memory: bool, reason: String) -> Error {
        let device = self.info.caps.device.clone();
        if is_memory { Error::DeviceMemory { device, reason } } else { Error::Device { device, reason } }
    }

    /// The pipelines of `kernels`, each compiled on first use. One that the device refuses is not kept.
    ///
    /// # Errors
    /// [`Error::Device`] with what the device says of the kernel.
    pub(super) fn compile(
        &self,
        kernels: impl Iterator<Item = Kernel>,
    ) -> Result<HashMap<Kernel, Arc<Pipeline>>> {
        let mut pipelines = HashMap::new();
        for kernel in kernels {
            if let Entry::Vacant(vacant) = pipelines.entry(kernel) {
                vacant.insert(self.pipeline(kernel)?);
            }
        }
        Ok(pipelines)
    }

    /// Compiles `kernel` and waits until the device has accepted it.
    ///
    /// # Errors
    /// Those of [`Context::compile`].
    pub async fn prepare(&self, kernel: Kernel) -> Result<()> {
        self.pipeline(kernel)?;
        self.judged().await
    }

    /// The pipeline of `kernel`. Pipelines are compiled once per key; concurrent callers wait for the first.
    ///
    /// Natively the device reports errors at once, before another caller can have the pipeline. A browser reports later: callers
    /// in between get the pipeline, and if it is refused, so is all work with it.
    fn pipeline(&self, kernel: Kernel) -> Result<Arc<Pipeline>> {
        let pipeline = self.pipelines.get_or_make(kernel, || {
            let scopes = self.begin_scopes();
            let new = self.new_pipeline(kernel);
            self.end_scopes(kernel.name(), Some(kernel), scopes)?;
            Ok(Arc::new(new))
        });
        if pipeline.is_err() {
            self.forget(kernel);
        }
        pipeline
    }

    fn forget(&self, kernel: Kernel) {
        self.pipelines.forget(&kernel);
        self.modules.forget(&kernel.source());
    }

    fn new_pipeline(&self, kernel: Kernel) -> Pipeline {
        let make = |text: &str| Ok(module(&self.create, kernel.name(), text));
        let source = kernel.source();
        let Ok::<_, Infallible>(module) = self.modules.get_or_make(source.clone(), || make(&source));
        let pipeline = Pipeline::new(&self.create, kernel, &module, self.saved.as_ref().map(Saved::cache));
        if let Some(saved) = &self.saved {
            saved.mark();
        }
        pipeline
    }

    /// Runs `work` on the device, and turns the device's errors into an [`Error`]: natively here, in a browser at the next call
    /// that waits ([`Context::judged`]).
    pub(super) fn checked<T>(&self, name: &str, work: impl FnOnce() -> T) -> Result<T> {
        let scopes = self.begin_scopes();
        let result = work();
        self.end_scopes(name, None, scopes)?;
        Ok(result)
    }

    /// Captures the errors of this thread's calls from here on.
    fn begin_scopes(&self) -> [wgpu::ErrorScopeGuard; 3] {
        let filters =
            [wgpu::ErrorFilter::OutOfMemory, wgpu::ErrorFilter::Validation, wgpu::ErrorFilter::Internal];
        filters.map(|filter| self.device.push_error_scope(filter))
    }

    /// Ends the scopes of `name`, and of a kernel's pipeline if one was created.
    fn end_scopes(
        &self,
        name: &str,
        kernel: Option<Kernel>,
        [memory, validation, internal]: [wgpu::ErrorScopeGuard; 3],
    ) -> Result<()> {
        let [internal, validation, memory] = [internal.pop(), validation.pop(), memory.pop()];
        let said = async move {
            // In a browser a buffer that found no memory is also invalid wherever it is used: the cause comes first.
            for scope in [memory, validation, internal] {
                if let Some(error) = scope.await {
                    return Some((is_memory(&error), error.to_string()));
                }
            }
            None
        };
        let mut said = Box::pin(said);
        match said.as_mut().poll(&mut TaskContext::from_waker(Waker::noop())) {
            Poll::Ready(said) => self.judge(name, said),
            Poll::Pending => {
                lock(&self.unjudged).push(Unjudged { name: name.into(), kernel, said });
                Ok(())
            }
        }
    }

    /// The result for `name`, from the device's errors.
    fn judge(&self, name: &str, said: Option<(bool, String)>) -> Result<()> {
        // A lost device reports nothing, or errors that follow from the loss.
        self.check_lost()?;
        match said {
            Some((is_memory, said)) => Err(self.reported(is_memory, format!("{name}: {said}"))),
            None => Ok(()),
        }
    }

    /// Waits for errors that the device has not reported yet, which happens in a browser alone.
    ///
    /// # Errors
    /// The first that it refused.
    pub(super) async fn judged(&self) -> Result<()> {
        let unjudged = std::mem::take(&mut *lock(&self.unjudged));
        let mut first = Ok(());
        for Unjudged { name, kernel, said } in unjudged {
            if let Err(error) = self.judge(&name, said.await) {
                kernel.into_iter().for_each(|kernel| self.forget(kernel));
                first = first.and(Err(error));
            }
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::gpu::adapters;

    /// A panic of wgpu's in a poll is caught, and the device counts as lost from then on.
    #[test]
    fn a_panic_under_a_poll_is_a_lost_device() {
        let found = pollster::block_on(adapters(None));
        assert!(!found.is_empty(), "no GPU adapter found; `cargo xtask test` installs software drivers");
        for (info, adapter) in found {
            let context = pollster::block_on(Context::open(info, &adapter, None)).unwrap();
            assert_eq!(context.poll(wgpu::PollType::Poll), Ok(true));
            context.check_fault().unwrap();
            let failed = context.noting_loss(|| panic!("Error in Device::poll: Parent device is lost"));
            assert_eq!(failed, Err::<(), _>("Error in Device::poll: Parent device is lost".into()));
            for _ in 0..2 {
                assert!(context.is_lost());
                let error = context.check_fault().unwrap_err();
                assert_eq!(error.kind(), ErrorKind::LostDevice, "{error}");
                let error = error.to_string();
                assert!(error.contains("the device is lost (Error in Device::poll"), "{error}");
                let error = context.checked("work", || ()).unwrap_err().to_string();
                assert!(error.contains("the device is lost"), "{error}");
            }
        }
    }

    /// wgpu's errors of memory are told apart from its other errors.
    #[test]
    fn errors_of_memory_are_told_apart() {
        let source = || Box::new(std::fmt::Error);
        let refused = wgpu::Error::Validation { source: source(), description: "too many".into() };
        let errors = [wgpu::Error::OutOfMemory { source: source() }, refused];
        for (info, adapter) in pollster::block_on(adapters(None)) {
            let context = pollster::block_on(Context::open(info, &adapter, None)).unwrap();
            let kinds = errors.each_ref().map(|error| {
                lock(&context.fault).error = Some((is_memory(error), error.to_string()));
                context.check_fault().unwrap_err().kind()
            });
            assert_eq!(kinds, [ErrorKind::Limit, ErrorKind::Driver]);
            context.check_fault().unwrap();
        }
    }

    /// Several threads check a device while another polls it: it is never reported as lost.
    #[test]
    fn a_working_device_is_never_reported_as_lost() {
        for (info, adapter) in pollster::block_on(adapters(None)) {
            let context = pollster::block_on(Context::open(info, &adapter, None)).unwrap();
            std::thread::scope(|scope| {
                scope.spawn(|| (0..2000).for_each(|_| _ = context.poll(wgpu::PollType::Poll)));
                for _ in 0..3 {
                    scope.spawn(|| (0..2000).for_each(|_| assert!(!context.is_lost())));
                }
            });
            context.check_fault().unwrap();
            context.destroy();
            assert!(context.is_lost());
        }
    }
}
