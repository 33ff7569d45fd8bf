//! Checks whether a device is lost, without a callback: a device of the caller's keeps the caller's.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll, Waker};

use super::create::Creator;
use crate::sync::lock;

/// A buffer that is mapped only to see whether the mapping is refused.
///
/// wgpu does not report errors that follow from the loss of a device: they bypass the error scopes, and the callback reports the
/// loss. Only a mapping gets a result, and on a lost device at once. The buffer stays empty, no command uses it, and the mapping
/// is cancelled before it takes place.
#[derive(Debug)]
pub(super) struct Probe(Option<Mutex<wgpu::Buffer>>);

impl Probe {
    /// `None` where it could not be created for a reason other than loss, such as lack of memory.
    pub(super) fn new(device: &wgpu::Device, create: &Creator) -> Option<Self> {
        let scopes = [wgpu::ErrorFilter::OutOfMemory, wgpu::ErrorFilter::Validation];
        let scopes = scopes.map(|filter| device.push_error_scope(filter));
        let buffer = create.probe();
        // It is not mapped if it could not be created.
        let is_there = buffer.get_mapped_range_mut(..).is_ok();
        let mut task = TaskContext::from_waker(Waker::noop());
        let told = scopes.into_iter().rev().map(|scope| pin!(scope.pop()).poll(&mut task));
        let is_refused = told.fold(false, |any, told| any | matches!(told, Poll::Ready(Some(_))));
        let _scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
        buffer.unmap();
        match (is_there, is_refused) {
            (true, _) => Some(Self(Some(Mutex::new(buffer)))),
            (false, true) => None,
            // The errors of a lost device bypass the scopes.
            (false, false) => Some(Self(None)),
        }
    }

    /// Whether the device is lost.
    pub(super) fn is_lost(&self, device: &wgpu::Device) -> bool {
        let Some(buffer) = &self.0 else { return true };
        let buffer = lock(buffer);
        let refused = Arc::new(AtomicBool::new(false));
        let told = refused.clone();
        let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
        buffer.map_async(wgpu::MapMode::Write, .., move |result| {
            told.store(result.is_err(), Ordering::Relaxed);
        });
        // Both are read before the mapping is cancelled, since a cancelled mapping also reports a refusal.
        let refused = refused.load(Ordering::Relaxed);
        let said = pin!(scope.pop()).poll(&mut TaskContext::from_waker(Waker::noop()));
        let _scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
        buffer.unmap();
        // Another thread that polls may have mapped the buffer after it was unmapped: then the refusal comes with an error.
        refused && matches!(said, Poll::Ready(None))
    }
}
