//! Waiting for a future on this thread.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// The result of `future`, on this thread. What needs no waiting, as on the CPU path, allocates no waker.
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => pollster::block_on(future),
    }
}
