//! What threads need everywhere.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks, also where another thread panicked while it held the lock: what is inside stays consistent,
/// since no critical section leaves anything half done.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How a future waits for a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// The calling thread sleeps in the driver. Not in a browser.
    #[cfg(not(target_arch = "wasm32"))]
    Block,
    /// The future polls the device whenever it is polled itself and asks to be polled again at once, since
    /// wgpu has no thread that would wake it. In a browser the event loop wakes it.
    Yield,
}
