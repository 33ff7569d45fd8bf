//! Whether a device is lost, found out without a callback: a device of the caller's keeps the caller's.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll, Waker};

use super::create::Creator;
use crate::sync::lock;

/// A buffer that is mapped for no other purpose than to see whether it can be.
///
/// wgpu says of nothing that it was refused since the device is lost: errors of that kind pass by the error scopes, for the
/// callback to tell. A mapping alone is answered, and of a lost device at once. Nothing is ever in the buffer, no command
/// uses it, and the mapping is called off before anything is mapped.
#[derive(Debug)]
pub(super) struct Probe(Option<Mutex<wgpu::Buffer>>);

impl Probe {
    /// `None` where it could not be made for another reason than that the device is lost, as for want of memory.
    pub(super) fn new(device: &wgpu::Device, create: &Creator) -> Option<Self> {
        let scopes = [wgpu::ErrorFilter::OutOfMemory, wgpu::ErrorFilter::Validation];
        let scopes = scopes.map(|filter| device.push_error_scope(filter));
        let buffer = create.probe();
        // It is not mapped where it could not be made.
        let is_there = buffer.get_mapped_range_mut(..).is_ok();
        let mut task = TaskContext::from_waker(Waker::noop());
        let told = scopes.into_iter().rev().map(|scope| pin!(scope.pop()).poll(&mut task));
        let is_refused = told.fold(false, |any, told| any | matches!(told, Poll::Ready(Some(_))));
        let _scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
        buffer.unmap();
        match (is_there, is_refused) {
            (true, _) => Some(Self(Some(Mutex::new(buffer)))),
            (false, true) => None,
            // What a lost device refuses passes by the scopes.
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
        // Both before it is called off, which is told as a refusal too, and refused where the buffer went with its device.
        let refused = refused.load(Ordering::Relaxed);
        let said = pin!(scope.pop()).poll(&mut TaskContext::from_waker(Waker::noop()));
        let _scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
        buffer.unmap();
        // Another thread that polls may have mapped it when it was unmapped already: that is refused with an error.
        refused && matches!(said, Poll::Ready(None))
    }
}
