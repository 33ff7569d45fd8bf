//! What holds a device: it can be closed, and is of one process.
//!
//! A forked child has the memory of its parent, without the parent's threads and without its connection to the driver. So objects of
//! the parent are neither used nor dropped there.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};

use pyo3::prelude::*;
use wgru::{Device, DeviceOptions};

use crate::error::{fail, raised, wrong};

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An open device, and what holds it.
pub struct Opened {
    pub selector: String,
    pub options: DeviceOptions,
    process: u32,
    closed: AtomicBool,
    device: Mutex<Option<Device>>,
    holders: Mutex<Vec<Weak<dyn Holder>>>,
}

/// Something that a closed device frees.
trait Holder: Send + Sync {
    fn release(&self);
}

impl Opened {
    pub fn new(selector: String, options: DeviceOptions, device: Device) -> Arc<Self> {
        Arc::new(Self {
            selector,
            options,
            process: std::process::id(),
            closed: AtomicBool::new(false),
            device: Mutex::new(Some(device)),
            holders: Mutex::default(),
        })
    }

    /// # Errors
    /// `WrongUse` in a process that has not opened the device, `LostDevice` where it is closed.
    pub fn check(&self) -> PyResult<()> {
        let own = std::process::id();
        if own != self.process {
            return Err(wrong(format!(
                "{}: it was opened in process {}, and this is process {own}, forked from it: open a device here, or start \
                 processes by multiprocessing's \"spawn\" and send them `engine.recipe()`",
                self.selector, self.process
            )));
        }
        if self.is_closed() { Err(self.closed()) } else { Ok(()) }
    }

    fn closed(&self) -> PyErr {
        let reason = "the device was closed: open it again, and load the model on it";
        raised("LostDevice", format!("{}: {reason}", self.selector))
    }

    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// The device.
    ///
    /// # Errors
    /// Those of [`Opened::check`].
    pub fn device(&self) -> PyResult<Device> {
        self.check()?;
        lock(&self.device).clone().ok_or_else(|| self.closed())
    }

    /// Frees the device, and what its engines hold. Calls in progress end first, and free what they use.
    pub fn close(&self, py: Python<'_>) -> PyResult<()> {
        if self.is_closed() {
            return Ok(());
        }
        self.check()?;
        self.closed.store(true, Ordering::SeqCst);
        crate::error::free(py, || {
            let holders = std::mem::take(&mut *lock(&self.holders));
            holders.iter().filter_map(Weak::upgrade).for_each(|holder| holder.release());
            lock(&self.device).take();
            Ok(())
        })
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        if std::process::id() != self.process {
            std::mem::forget(self.device.get_mut().unwrap_or_else(PoisonError::into_inner).take());
        }
    }
}

/// A value on a device.
pub struct Slot<T: Send + 'static> {
    pub opened: Arc<Opened>,
    value: Mutex<Option<T>>,
}

impl<T: Send + 'static> Slot<T> {
    pub fn new(opened: &Arc<Opened>, value: T) -> Arc<Self> {
        let slot = Arc::new(Self { opened: opened.clone(), value: Mutex::new(Some(value)) });
        let mut holders = lock(&opened.holders);
        if holders.len() == holders.capacity() {
            holders.retain(|holder| holder.strong_count() > 0);
        }
        let holder: Arc<dyn Holder> = slot.clone();
        holders.push(Arc::downgrade(&holder));
        drop(holders);
        // The device may have been closed meanwhile.
        if opened.is_closed() {
            slot.release();
        }
        slot
    }

    /// A clone of the value.
    ///
    /// # Errors
    /// Those of [`Opened::check`].
    pub fn get(&self) -> PyResult<T>
    where
        T: Clone,
    {
        self.opened.check()?;
        lock(&self.value).clone().ok_or_else(|| self.opened.closed())
    }

    /// The result of `call` on the value, which it has alone.
    ///
    /// # Errors
    /// Those of [`Opened::check`]; `WrongUse` where another call is in progress.
    pub fn with<R>(&self, name: &str, call: impl FnOnce(&mut T) -> PyResult<R>) -> PyResult<R> {
        self.opened.check()?;
        let mut value = match self.value.try_lock() {
            Ok(value) => value,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                return Err(wrong(format!(
                    "{name}: another thread's call is in progress, and there is one at a time: use a lock, or one of these for \
                     each thread"
                )));
            }
        };
        let result = call(value.as_mut().ok_or_else(|| self.opened.closed())?);
        if self.opened.is_closed() {
            value.take();
        }
        result
    }
}

impl<T: Send + 'static> Holder for Slot<T> {
    fn release(&self) {
        // A call in progress releases it at its end.
        match self.value.try_lock() {
            Ok(mut value) => drop(value.take()),
            Err(TryLockError::Poisoned(poisoned)) => drop(poisoned.into_inner().take()),
            Err(TryLockError::WouldBlock) => {}
        }
    }
}

impl<T: Send + 'static> Drop for Slot<T> {
    fn drop(&mut self) {
        if std::process::id() != self.opened.process {
            std::mem::forget(self.value.get_mut().unwrap_or_else(PoisonError::into_inner).take());
        }
    }
}

/// A call on a device by its selector, or on one that is open.
pub fn opened(py: Python<'_>, selector: &str, options: DeviceOptions) -> PyResult<Arc<Opened>> {
    let device = match py.detach(|| Device::open_with(selector, &options)) {
        Ok(device) => device,
        Err(error) => return Err(fail(error)),
    };
    Ok(Opened::new(selector.to_owned(), options, device))
}
