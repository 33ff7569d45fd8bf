//! Waiting for a future on this thread.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use crate::error::{Error, Result};
use crate::sync::Wait;

/// How a blocking call waits for the device.
#[cfg(not(target_arch = "wasm32"))]
pub(super) const BLOCK: Wait = Wait::Block;
/// A browser's thread cannot wait, and `Device::may_block` says so; the remaining calls need no waiting.
#[cfg(target_arch = "wasm32")]
pub(super) const BLOCK: Wait = Wait::Yield;

/// The result of `future`, on this thread. A future that is ready at once, as on the CPU path, allocates no
/// waker.
///
/// # Errors
/// In a browser, where the future needs to wait.
pub(super) fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    let mut future = pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        #[cfg(not(target_arch = "wasm32"))]
        Poll::Pending => pollster::block_on(future),
        #[cfg(target_arch = "wasm32")]
        Poll::Pending => Err(cannot_block("this call")),
    }
}

/// The error for a thread that may not wait.
pub(super) fn cannot_block(what: &str) -> Error {
    Error::Unsupported {
        what: format!("waiting for {what} in a browser: call the variant whose name ends in _async"),
    }
}
