//! Reading outputs and states back: one staging buffer per workspace, mapped once per run.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll, Waker};

use super::context::Context;
use super::create::Creator;
use crate::error::{Error, Result};
use crate::program::Program;
use crate::sync::{Interrupt, Wait, lock};

/// The longest single wait for the driver.
pub(super) const TURN: std::time::Duration = std::time::Duration::from_millis(100);

/// A staging buffer with room for every output and one copy of every state.
#[derive(Debug)]
pub(super) struct Staging {
    buffer: Mutex<wgpu::Buffer>,
    /// Whether a mapping of it was cancelled before it completed. wgpu keeps such a mapping in the list of its submission. When
    /// that submission is done, wgpu completes the next mapping of the buffer, whose own submission may still be in progress. So
    /// the buffer is not used again.
    abandoned: AtomicBool,
}

impl Staging {
    /// Bytes for all of `program`'s outputs and final states, or for a timer and completion counts if these need more.
    pub(super) fn bytes(program: &Program) -> u64 {
        // Streams have staging buffers of their own.
        let read_back = if program.streams.is_some() { 0 } else { program.read_back_bytes() };
        read_back.max(super::timer::BYTES + program.completion_words() as u64 * 4)
    }

    pub(super) fn new(create: &Creator, program: &Program) -> Self {
        Self::of(create, Self::bytes(program))
    }

    /// A staging buffer of `bytes` bytes.
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

    /// Its size in bytes.
    pub(super) fn size(&self) -> u64 {
        lock(&self.buffer).size()
    }

    /// The buffer to copy to, inside a scope.
    pub(super) fn buffer(&self, create: &Creator) -> wgpu::Buffer {
        let mut buffer = lock(&self.buffer);
        // The flag stays set until a read succeeds, since creating the new buffer may have failed.
        if self.abandoned.load(Ordering::Relaxed) {
            *buffer = Self::make(create, buffer.size());
        }
        buffer.clone()
    }

    /// Waits until the copies of `submitted` can be read, passes them to `read`, and unmaps the buffer, also
    /// where the future is dropped or the device fails.
    pub(super) async fn read(
        &self,
        context: &Context,
        submitted: Submitted,
        wait: Wait<'_>,
        read: impl FnOnce(&[u32]),
    ) -> Result<()> {
        let buffer = lock(&self.buffer).clone();
        let slice = buffer.slice(..submitted.bytes);
        let mut unmap = Unmap { context, buffer: &buffer, abandoned: Some(&self.abandoned) };
        // A refusal is the mapping's result. What else the device says of it follows from an earlier error.
        let mapping = context.quietly(|| map(&slice, wgpu::MapMode::Read));
        let result = Mapped { context, mapping, submission: submitted.index, wait }.await;
        // Also where all that was submitted is done: the rest of the run was not.
        if wait.interrupt().is_some_and(Interrupt::is_set) {
            return Err(Error::Interrupted);
        }
        if result.is_ok() {
            unmap.abandoned = None;
            self.abandoned.store(false, Ordering::Relaxed);
        }
        context.judged().await?;
        context.check_fault()?;
        let failed = |reason: String| context.failed(&format!("read-back: {reason}"));
        result.map_err(failed)?;
        let view = slice.get_mapped_range().map_err(|error| failed(error.to_string()))?;
        context.read_backs.fetch_add(1, Ordering::Relaxed);
        read(bytemuck::cast_slice(&view));
        Ok(())
    }
}

/// A submission whose copies are in the staging buffer.
#[derive(Debug)]
pub struct Submitted {
    pub(super) index: wgpu::SubmissionIndex,
    pub(super) bytes: u64,
}

/// Unmaps a buffer on drop. A mapping that is still pending is cancelled, and recorded as such.
struct Unmap<'a> {
    context: &'a Context,
    buffer: &'a wgpu::Buffer,
    /// Set until the mapping has completed.
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

/// Requests a mapping of `slice`.
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

/// The result of a requested mapping.
#[derive(Debug, Clone, Default)]
pub(super) struct Mapping(Arc<Mutex<MappingState>>);

/// Ready once the mapping is complete.
pub(super) struct Mapped<'a> {
    pub(super) context: &'a Context,
    pub(super) mapping: Mapping,
    #[cfg_attr(target_arch = "wasm32", allow(dead_code, reason = "a browser's event loop waits, not we"))]
    pub(super) submission: wgpu::SubmissionIndex,
    pub(super) wait: Wait<'a>,
}

impl Future for Mapped<'_> {
    type Output = Result<(), String>;

    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Self::Output> {
        lock(&self.mapping.0).waker = Some(task.waker().clone());
        loop {
            let poll = match self.wait {
                // In short waits, so that the end of earlier submissions is reported while the last is in progress.
                #[cfg(not(target_arch = "wasm32"))]
                Wait::Block | Wait::Interruptible(_) => wgpu::PollType::Wait {
                    submission_index: Some(self.submission.clone()),
                    timeout: Some(TURN),
                },
                _ => wgpu::PollType::Poll,
            };
            // In a browser this does nothing, and the event loop calls the waker.
            let polled = self.context.poll(poll);
            if let Some(result) = lock(&self.mapping.0).result.take() {
                return Poll::Ready(result);
            }
            if self.wait.interrupt().is_some_and(Interrupt::poll) {
                return Poll::Ready(Err("interrupted".into()));
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
