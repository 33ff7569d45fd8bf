//! Time on the device, by timestamps at the first and the last pass of a run.

use super::context::Context;

/// Bytes of two timestamps.
pub(super) const BYTES: u64 = 16;

/// Two timestamps and the buffer that they are resolved to.
#[derive(Debug)]
pub(super) struct Timer {
    set: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    /// Nanoseconds of one tick of the device's clock.
    period: f64,
}

impl Timer {
    /// A timer, if the device has timestamps.
    pub(super) fn new(context: &Context) -> Option<Self> {
        if !context.device.features().contains(wgpu::Features::TIMESTAMP_QUERY) {
            return None;
        }
        let set = context.create.query_set(&wgpu::QuerySetDescriptor {
            label: Some("wgru.timer"),
            ty: wgpu::QueryType::Timestamp,
            count: 2,
        });
        let resolved = context.create.buffer(&wgpu::BufferDescriptor {
            label: Some("wgru.buffer.timer"),
            size: BYTES,
            usage: wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        });
        Some(Self { set, resolved, period: f64::from(context.queue.get_timestamp_period()) })
    }

    /// The timestamps of a pass: its beginning if it is the first, and its end, which the next pass overwrites.
    pub(super) fn writes(&self, first: bool) -> wgpu::ComputePassTimestampWrites<'_> {
        wgpu::ComputePassTimestampWrites {
            query_set: &self.set,
            beginning_of_pass_write_index: first.then_some(0),
            end_of_pass_write_index: Some(1),
        }
    }

    /// Copies both to the beginning of `staging`.
    pub(super) fn fetch(&self, encoder: &mut wgpu::CommandEncoder, staging: &wgpu::Buffer) {
        encoder.resolve_query_set(&self.set, 0..2, &self.resolved, 0);
        encoder.copy_buffer_to_buffer(&self.resolved, 0, staging, 0, BYTES);
    }

    /// Seconds between the two timestamps at the beginning of `data`; `None` if they are invalid.
    pub(super) fn seconds(&self, data: &[u32]) -> Option<f64> {
        let tick = |at: usize| Some(u64::from(*data.get(at)?) | (u64::from(*data.get(at + 1)?) << 32));
        let ticks = tick(2)?.checked_sub(tick(0)?).filter(|&ticks| ticks > 0)?;
        Some(ticks as f64 * self.period * 1e-9)
    }
}
