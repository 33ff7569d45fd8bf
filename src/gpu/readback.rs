//! Bringing outputs and states back: one staging buffer per workspace, mapped once per run.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll, Waker};

use super::context::{Context, lock};
use crate::error::Result;
use crate::program::Program;

/// How a future waits for the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// The calling thread sleeps in the driver. Not in a browser.
    #[cfg(not(target_arch = "wasm32"))]
    Block,
    /// The future polls the device whenever it is polled itself, and yields between.
    Yield,
}

/// A staging buffer with room for every output and one copy of every state.
#[derive(Debug)]
pub(super) struct Staging {
    pub(super) buffer: wgpu::Buffer,
}

impl Staging {
    /// Bytes for all of `program`'s outputs and final states.
    pub(super) fn bytes(program: &Program) -> u64 {
        let arrays = program.output_arrays().chain(program.state_arrays(0));
        arrays.map(|id| program.buffers[id].bytes()).sum()
    }

    pub(super) fn new(device: &wgpu::Device, program: &Program) -> Self {
        let buffer = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("wgru.buffer.staging"),
            size: Self::bytes(program),
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        Self { buffer }
    }

    /// Waits until the first `bytes` can be read, hands them to `read`, and gives the buffer back.
    pub(super) async fn read(
        &self,
        context: &Context,
        bytes: u64,
        wait: Wait,
        read: impl FnOnce(&[f32]),
    ) -> Result<()> {
        let mapping = Mapping::default();
        let state = mapping.0.clone();
        let slice = self.buffer.slice(..bytes);
        slice.map_async(wgpu::MapMode::Read, move |result| {
            let mut state = lock(&state);
            state.result = Some(result.map_err(|error| error.to_string()));
            if let Some(waker) = state.waker.take() {
                waker.wake();
            }
        });
        let result = Mapped { context, mapping, wait }.await;
        context.check_fault()?;
        result.map_err(|reason| context.error(format!("read-back: {reason}")))?;
        let view = slice.get_mapped_range();
        let outcome = match &view {
            Ok(view) => {
                read(bytemuck::cast_slice(view));
                Ok(())
            }
            Err(error) => Err(context.error(format!("read-back: {error}"))),
        };
        drop(view);
        self.buffer.unmap();
        outcome
    }
}

#[derive(Default)]
struct MappingState {
    result: Option<Result<(), String>>,
    waker: Option<Waker>,
}

#[derive(Clone, Default)]
struct Mapping(Arc<Mutex<MappingState>>);

/// Ready once the mapping is.
struct Mapped<'a> {
    context: &'a Context,
    mapping: Mapping,
    wait: Wait,
}

impl Future for Mapped<'_> {
    type Output = Result<(), String>;

    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Self::Output> {
        lock(&self.mapping.0).waker = Some(task.waker().clone());
        let poll = match self.wait {
            #[cfg(not(target_arch = "wasm32"))]
            Wait::Block => wgpu::PollType::wait_indefinitely(),
            Wait::Yield => wgpu::PollType::Poll,
        };
        // In a browser this does nothing, and the event loop calls the waker.
        let polled = self.context.device.poll(poll);
        if let Some(result) = lock(&self.mapping.0).result.take() {
            return Poll::Ready(result);
        }
        if let Err(error) = polled {
            return Poll::Ready(Err(error.to_string()));
        }
        if cfg!(not(target_arch = "wasm32")) {
            task.waker().wake_by_ref();
        }
        Poll::Pending
    }
}
