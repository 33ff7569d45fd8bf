//! Bringing outputs and states back: one staging buffer per workspace, mapped once per run.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll, Waker};

use super::context::Context;
use super::create::Creator;
use crate::error::Result;
use crate::program::Program;
use crate::sync::{Wait, lock};

/// How long the driver is waited for at a time.
#[cfg(not(target_arch = "wasm32"))]
const TURN: std::time::Duration = std::time::Duration::from_millis(100);

/// A staging buffer with room for every output and one copy of every state.
#[derive(Debug)]
pub(super) struct Staging {
    buffer: Mutex<wgpu::Buffer>,
    /// Whether a mapping of it was called off before it was there. wgpu keeps such a mapping in its list of the submission
    /// that it waited for, and when that is done maps the buffer for whoever has asked since, whose own submission may
    /// still be under way. So the buffer is not used again.
    abandoned: AtomicBool,
}

impl Staging {
    /// Bytes for all of `program`'s outputs and final states, and no fewer than a timer and completions need.
    pub(super) fn bytes(program: &Program) -> u64 {
        // Streams have staging buffers of their own.
        let read_back = if program.streams.is_some() { 0 } else { program.read_back_bytes() };
        read_back.max(super::timer::BYTES + program.completion_words() as u64 * 4)
    }

    pub(super) fn new(create: &Creator, program: &Program) -> Self {
        Self::of(create, Self::bytes(program))
    }

    /// One of so many bytes.
    pub(super) fn of(create: &Creator, bytes: u64) -> Self {
        let buffer = Mutex::new(Self::make(create, bytes));
        Self { buffer, abandoned: AtomicBool::new(false) }
    }

    fn make(create: &Creator, size: u64) -> wgpu::Buffer {
        create.buffer(&wgpu::BufferDescriptor {
            label: Some("wgru.buffer.staging"),
            size,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        })
    }

    /// Its bytes.
    pub(super) fn size(&self) -> u64 {
        lock(&self.buffer).size()
    }

    /// The buffer to copy to, inside a scope.
    pub(super) fn buffer(&self, create: &Creator) -> wgpu::Buffer {
        let mut buffer = lock(&self.buffer);
        // It stays abandoned until something has been read, since the new one may not have been made.
        if self.abandoned.load(Ordering::Relaxed) {
            *buffer = Self::make(create, buffer.size());
        }
        buffer.clone()
    }

    /// Waits until what `submitted` copied can be read, hands it to `read`, and gives the buffer back, also
    /// where the future is dropped or the device fails.
    pub(super) async fn read(
        &self,
        context: &Context,
        submitted: Submitted,
        wait: Wait,
        read: impl FnOnce(&[u32]),
    ) -> Result<()> {
        let buffer = lock(&self.buffer).clone();
        let slice = buffer.slice(..submitted.bytes);
        let mut unmap = Unmap { context, buffer: &buffer, abandoned: Some(&self.abandoned) };
        let mapping = map(&slice, wgpu::MapMode::Read);
        let result = Mapped { context, mapping, submission: submitted.index, wait }.await;
        if result.is_ok() {
            unmap.abandoned = None;
            self.abandoned.store(false, Ordering::Relaxed);
        }
        context.judged().await?;
        context.check_fault()?;
        let failed = |reason: String| context.failed(&format!("read-back: {reason}"));
        result.map_err(failed)?;
        let view = slice.get_mapped_range().map_err(|error| failed(error.to_string()))?;
        read(bytemuck::cast_slice(&view));
        Ok(())
    }
}

/// A submission whose copies wait in the staging buffer.
#[derive(Debug)]
pub struct Submitted {
    pub(super) index: wgpu::SubmissionIndex,
    pub(super) bytes: u64,
}

/// Unmaps a buffer when it goes out of scope. A mapping that is still pending is called off, and told of.
struct Unmap<'a> {
    context: &'a Context,
    buffer: &'a wgpu::Buffer,
    /// Set unless the mapping is there.
    abandoned: Option<&'a AtomicBool>,
}

impl Drop for Unmap<'_> {
    fn drop(&mut self) {
        self.context.quietly(|| self.buffer.unmap());
        if let Some(abandoned) = self.abandoned {
            abandoned.store(true, Ordering::Relaxed);
        }
    }
}

/// Asks for a mapping of `slice`.
pub(super) fn map(slice: &wgpu::BufferSlice<'_>, mode: wgpu::MapMode) -> Mapping {
    let mapping = Mapping::default();
    let state = mapping.0.clone();
    slice.map_async(mode, move |result| {
        let mut state = lock(&state);
        state.result = Some(result.map_err(|error| error.to_string()));
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    });
    mapping
}

#[derive(Debug, Default)]
struct MappingState {
    result: Option<Result<(), String>>,
    waker: Option<Waker>,
}

/// What came of asking for a mapping.
#[derive(Debug, Clone, Default)]
pub(super) struct Mapping(Arc<Mutex<MappingState>>);

/// Ready once the mapping is.
pub(super) struct Mapped<'a> {
    pub(super) context: &'a Context,
    pub(super) mapping: Mapping,
    #[cfg_attr(target_arch = "wasm32", allow(dead_code, reason = "a browser's event loop waits, not we"))]
    pub(super) submission: wgpu::SubmissionIndex,
    pub(super) wait: Wait,
}

impl Future for Mapped<'_> {
    type Output = Result<(), String>;

    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Self::Output> {
        lock(&self.mapping.0).waker = Some(task.waker().clone());
        loop {
            let poll = match self.wait {
                // In turns, so that earlier submissions are seen to end while the last is waited for.
                #[cfg(not(target_arch = "wasm32"))]
                Wait::Block => wgpu::PollType::Wait {
                    submission_index: Some(self.submission.clone()),
                    timeout: Some(TURN),
                },
                Wait::Yield => wgpu::PollType::Poll,
            };
            // In a browser this does nothing, and the event loop calls the waker.
            let polled = self.context.poll(poll);
            if let Some(result) = lock(&self.mapping.0).result.take() {
                return Poll::Ready(result);
            }
            match (polled, self.wait) {
                (Err(reason), _) => return Poll::Ready(Err(reason)),
                (Ok(true), Wait::Yield) => break,
                (Ok(_), _) => {}
            }
        }
        if cfg!(not(target_arch = "wasm32")) {
            task.waker().wake_by_ref();
        }
        Poll::Pending
    }
}
