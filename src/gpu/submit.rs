//! Calls that submit themselves: the program of a recording with the bindings of the last call, so that a call on the same
//! buffers creates nothing. Arrays on the host are copied through arrays of the program's own.

use std::sync::Arc;

use super::context::Context;
use super::readback::{Staging, Submitted};
use super::recording::{Given, Recordable, Recorded};
use crate::error::Result;
use crate::program::BufferId;
use crate::sync::Wait;

/// A program for one call at a time.
#[derive(Debug)]
pub struct Submittable {
    recordable: Arc<Recordable>,
    last: Option<Recorded>,
    staging: Option<Staging>,
}

impl From<Arc<Recordable>> for Submittable {
    fn from(recordable: Arc<Recordable>) -> Self {
        Self { recordable, last: None, staging: None }
    }
}

impl Submittable {
    /// The program.
    pub fn recordable(&self) -> &Arc<Recordable> {
        &self.recordable
    }

    /// Binds what is `given`, see [`Recordable::bind`]; the bindings of the last call are reused if the buffers are the same.
    ///
    /// # Errors
    /// Those of [`Recordable::bind`].
    pub fn bind(&mut self, context: &Context, given: &[(BufferId, Given<'_>)]) -> Result<Call<'_>> {
        let Self { recordable, last, staging } = self;
        let placed = recordable.written(context, given)?;
        let recorded = match last.take().filter(|last| last.is_on(&placed)) {
            Some(same) => same,
            None => recordable.bound(context, placed)?,
        };
        Ok(Call { recorded: last.insert(recorded), staging })
    }
}

/// A call that is bound.
#[derive(Debug)]
pub struct Call<'a> {
    recorded: &'a Recorded,
    staging: &'a mut Option<Staging>,
}

impl Call<'_> {
    /// Its program.
    pub fn recordable(&self) -> &Arc<Recordable> {
        self.recorded.recordable()
    }

    /// Submits the run. Reads back copies of `arrays`, which are the program's own, one after the other in one slice; without
    /// any, the call does not wait.
    ///
    /// # Errors
    /// [`crate::Error::Lost`]; [`crate::Error::Device`] and [`crate::Error::DeviceMemory`] where the device refuses the work.
    pub async fn run(
        self,
        context: &Context,
        arrays: &[BufferId],
        wait: Wait<'_>,
        read: impl FnOnce(&[u32]),
    ) -> Result<()> {
        context.check_fault()?;
        let Self { recorded, staging } = self;
        let buffers = &recorded.recordable().program().buffers;
        let bytes: u64 = arrays.iter().map(|&id| buffers[id].bytes()).sum();
        let kept = staging.take().filter(|kept| kept.size() >= bytes);
        let submit = || {
            let label = Some("wgru.encoder.bound");
            let new = || context.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label });
            let mut encoder = new();
            recorded.record_in_parts(&mut encoder, context.submission_flops(), |encoder| {
                let full = std::mem::replace(encoder, new());
                context.queue.submit([full.finish()]);
            });
            let make = || (bytes > 0).then(|| Staging::of(&context.create, bytes));
            let staging = kept.or_else(make);
            if let Some(staging) = staging.as_ref().filter(|_| bytes > 0) {
                let (staging, mut to) = (staging.buffer(&context.create), 0);
                for &id in arrays {
                    let (place, bytes) = (recorded.place(id), buffers[id].bytes());
                    encoder.copy_buffer_to_buffer(&place.buffer, place.offset, &staging, to, bytes);
                    to += bytes;
                }
            }
            (Submitted { index: context.queue.submit([encoder.finish()]), bytes }, staging)
        };
        let (submitted, made) = context.checked("run", submit)?;
        *staging = made;
        context.check_fault()?;
        match staging {
            Some(staging) if bytes > 0 => staging.read(context, submitted, wait, read).await,
            _ => Ok(()),
        }
    }
}
