//! What a device can do at best: one large matmul, and one large copy, each repeated and timed.

use std::sync::Arc;

use super::context::Context;
use super::readback::Submitted;
use super::staged::StagedWorkspace;
use super::workspace::{Constants, Workspace};
use crate::error::Result;
use crate::program::ceiling;
use crate::progress::Tally;
use crate::sync::Wait;

/// What one measurement computes or moves, and the seconds it took on the device where that takes timestamps.
#[derive(Debug, Clone, Copy)]
pub struct Once {
    /// Floating-point operations, or bytes read and written.
    pub amount: f64,
    /// Seconds on the device.
    pub seconds: Option<f64>,
}

/// A device's measurements, made ready.
#[derive(Debug)]
pub struct Ceilings {
    context: Arc<Context>,
    matmul: StagedWorkspace,
    size: u32,
    repeats: usize,
    from: wgpu::Buffer,
    to: wgpu::Buffer,
    copies: usize,
}

/// Bytes of one copy: more than any device's caches.
const COPY: u64 = 128 << 20;
const COPY_SOFTWARE: u64 = 32 << 20;

impl Ceilings {
    /// Makes buffers and pipelines.
    ///
    /// # Errors
    /// [`crate::Error::TooLarge`] and [`crate::Error::Device`] where they do not fit.
    pub async fn new(context: Arc<Context>) -> Result<Self> {
        let software = context.info().software;
        let (size, repeats, copies) = if software { (512, 2, 4) } else { (2048, 16, 16) };
        let constants = Constants::upload(&context, Vec::new()).await?;
        let workspace = Workspace::new(&context, ceiling(size, repeats), &constants, false).await?;
        // No zeros: a device may be faster on them.
        let mut state = 1u32;
        let values: Vec<f32> = (0..size * size)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / (1 << 24) as f32 - 0.5
            })
            .collect();
        let matmul = StagedWorkspace::of_ceiling(&context, workspace, &values).await?;
        let bytes = if software { COPY_SOFTWARE } else { COPY }.min(context.caps().max_buffer_bytes);
        let make = |label| {
            context.create.buffer(&wgpu::BufferDescriptor {
                label: Some(label),
                size: bytes,
                usage: wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            })
        };
        let make = || (make("wgru.buffer.copy.from"), make("wgru.buffer.copy.to"));
        let (from, to) = context.checked("ceilings", make).await?;
        Ok(Self { context, matmul, size, repeats, from, to, copies })
    }

    /// One measurement of the matmul.
    ///
    /// # Errors
    /// [`crate::Error::Device`].
    pub async fn matmul(&self, wait: Wait) -> Result<Once> {
        let tally = Arc::new(Tally::new(Arc::default(), 1));
        let seconds = self.matmul.run(&self.context, wait, &tally).await?.0.device;
        let size = f64::from(self.size);
        Ok(Once { amount: 2.0 * size * size * size * self.repeats as f64, seconds })
    }

    /// One measurement of the copy; copies carry no timestamps.
    ///
    /// # Errors
    /// [`crate::Error::Device`].
    pub async fn copy(&self, wait: Wait) -> Result<Once> {
        let Self { context, from, to, .. } = self;
        context.check_fault()?;
        let workspace = self.matmul.workspace();
        let submit = || {
            let mut encoder = workspace.encoder(context);
            for _ in 0..self.copies {
                encoder.copy_buffer_to_buffer(from, 0, to, 0, from.size());
            }
            // Something to wait for.
            encoder.copy_buffer_to_buffer(to, 0, &workspace.staging.buffer(&context.create), 0, 4);
            Submitted { index: context.queue.submit([encoder.finish()]), bytes: 4 }
        };
        let submitted = context.checked("copy", submit).await?;
        workspace.read(context, submitted, wait, |_| {}).await?;
        Ok(Once { amount: 2.0 * from.size() as f64 * self.copies as f64, seconds: None })
    }
}
