//! Helpers for threads.

mod interrupt;

use std::any::Any;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub use interrupt::Interrupt;

/// Locks, also where another thread panicked while it held the lock: the contents stay consistent, since no
/// critical section leaves a partial update.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The most characters of a panic's message that are kept.
const LONGEST_WORDS: usize = 500;

/// A panic's message.
pub(crate) fn panic_words(panic: &(dyn Any + Send)) -> String {
    let words = panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
    words.unwrap_or("it has no message").trim().chars().take(LONGEST_WORDS).collect()
}

/// How a future waits for a device.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wait<'a> {
    /// The calling thread sleeps in the driver. Not in a browser.
    #[cfg(not(target_arch = "wasm32"))]
    Block,
    /// The same, in turns, between which the caller may end the run. Not in a browser.
    Interruptible(
        #[cfg_attr(not(feature = "gpu"), allow(dead_code, reason = "only GPUs are waited for"))]
        &'a Interrupt<'a>,
    ),
    /// The future polls the device whenever it is polled itself and wakes itself at once, since wgpu has no
    /// thread that would wake it: busy-polls. In a browser the event loop wakes it.
    Yield,
}

#[cfg(feature = "gpu")]
impl<'a> Wait<'a> {
    /// What may end the run.
    pub(crate) fn interrupt(self) -> Option<&'a Interrupt<'a>> {
        match self {
            Self::Interruptible(interrupt) => Some(interrupt),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panics_message_is_cut_off() {
        assert_eq!(panic_words(&"a"), "a");
        assert_eq!(panic_words(&String::from("b\n")), "b");
        assert_eq!(panic_words(&7), "it has no message");
        assert_eq!(panic_words(&"ü".repeat(1000)), "ü".repeat(LONGEST_WORDS));
    }
}
