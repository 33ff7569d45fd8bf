//! A GPU's peaks, on a device opened for this: one large matmul, and one large copy.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use wgru::{AdapterInfo, wgpu};

use super::RUNS;
use crate::failure::{Failure, Outcome, error};
use wgru_harness::measure::Peak;

/// Bytes of a copy: more than any device's caches.
const COPY: u64 = 128 << 20;
const COPY_SOFTWARE: u64 = 32 << 20;

/// The column of the product that is verified.
const COLUMN: u64 = 37;

/// Bytes of two timestamps.
const STAMPS: u64 = 16;

/// Measures both.
///
/// # Errors
/// The device's error; a wrong product.
pub fn peak(info: &AdapterInfo) -> Outcome<Peak> {
    let gpu = pollster::block_on(Gpu::open(info))?;
    // Each repeat is submitted by itself: a slow GPU takes a tenth of a second for it.
    let (size, repeats, copies, bytes) =
        if info.software { (512, 2, 4, COPY_SOFTWARE) } else { (2048, 16, 16, COPY) };
    let matmul = Matmul::new(&gpu, size, repeats);
    matmul.verify(&gpu)?;
    let operations = 2.0 * f64::from(size).powi(3) * f64::from(repeats);
    let bytes = bytes.min(info.caps.max_buffer_bytes);
    let [from, to] = ["from", "to"].map(|name| gpu.buffer(name, bytes));
    let copy = || {
        let mut encoder = gpu.encoder();
        for _ in 0..copies {
            encoder.copy_buffer_to_buffer(&from, 0, &to, 0, bytes);
        }
        // A buffer to wait for.
        encoder.copy_buffer_to_buffer(&to, 0, &gpu.staging, 0, 4);
        gpu.finish(encoder).map(|_| None)
    };
    let copied = 2.0 * bytes as f64 * f64::from(copies);
    Ok(Peak {
        gflops: best(operations, || matmul.run(&gpu).map(|(seconds, _)| seconds))?,
        gbs: best(copied, copy)?,
    })
}

/// The highest rate, in 10⁹ a second, by the device's clock if `once` gives its seconds.
fn best(amount: f64, mut once: impl FnMut() -> Outcome<Option<f64>>) -> Outcome<f64> {
    once()?;
    let mut best = 0.0f64;
    for _ in 0..RUNS {
        let start = Instant::now();
        let seconds = once()?.unwrap_or_else(|| start.elapsed().as_secs_f64());
        best = best.max(amount / seconds * 1e-9);
    }
    Ok(best)
}

struct Gpu {
    name: String,
    device: wgpu::Device,
    queue: wgpu::Queue,
    /// The staging buffer for read-back.
    staging: wgpu::Buffer,
    /// The first error that the device has reported.
    fault: Arc<Mutex<Option<String>>>,
}

impl Gpu {
    /// Opens the adapter that `info` describes; the first of several equal ones.
    async fn open(info: &AdapterInfo) -> Outcome<Self> {
        let name = info.caps.device.clone();
        let backends = match info.backend {
            "vulkan" => wgpu::Backends::VULKAN,
            "metal" => wgpu::Backends::METAL,
            "dx12" => wgpu::Backends::DX12,
            "gl" => wgpu::Backends::GL,
            _ => wgpu::Backends::all(),
        };
        let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
        descriptor.backends = backends;
        descriptor.flags = wgpu::InstanceFlags::empty().with_env();
        let adapters = wgpu::Instance::new(descriptor).enumerate_adapters(backends).await;
        let is_it = |adapter: &wgpu::Adapter| {
            let own = adapter.get_info();
            own.name == info.name
                && info.driver.starts_with(&own.driver)
                && info.driver.ends_with(&own.driver_info)
        };
        let adapter = adapters.into_iter().find(is_it);
        let adapter = adapter.ok_or_else(|| error(&name, "not found again, to measure its peaks"))?;
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("wgru.peak.device"),
            required_features: adapter.features() & wgpu::Features::TIMESTAMP_QUERY,
            required_limits: adapter.limits(),
            ..Default::default()
        };
        let (device, queue) = adapter
            .request_device(&descriptor)
            .await
            .map_err(|reason| error(&name, format!("cannot be opened: {reason}")))?;
        let fault = Arc::<Mutex<Option<String>>>::default();
        let slot = fault.clone();
        device.on_uncaptured_error(Arc::new(move |reason: wgpu::Error| {
            slot.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason.to_string());
        }));
        let staging = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("wgru.peak.staging"),
            size: 1 << 16,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        Ok(Self { name, device, queue, staging, fault })
    }

    fn buffer(&self, role: &str, size: u64) -> wgpu::Buffer {
        use wgpu::BufferUsages as Usages;
        self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(&format!("wgru.peak.{role}")),
            size,
            usage: Usages::STORAGE | Usages::COPY_SRC | Usages::COPY_DST,
            mapped_at_creation: false,
        })
    }

    fn encoder(&self) -> wgpu::CommandEncoder {
        self.device
            .create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("wgru.peak.encoder") })
    }

    /// Submits, waits, and returns the contents of the staging buffer.
    fn finish(&self, encoder: wgpu::CommandEncoder) -> Outcome<Vec<u8>> {
        self.queue.submit([encoder.finish()]);
        let slice = self.staging.slice(..);
        slice.map_async(wgpu::MapMode::Read, |_| {});
        self.device.poll(wgpu::PollType::wait_indefinitely()).map_err(|reason| error(&self.name, reason))?;
        let fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(reason) = fault {
            return Err(error(&self.name, reason));
        }
        let view = slice.get_mapped_range().map_err(|reason| error(&self.name, reason))?;
        let bytes = view.to_vec();
        drop(view);
        self.staging.unmap();
        Ok(bytes)
    }
}

struct Matmul {
    size: u32,
    repeats: u32,
    /// `[k, m]` and `[k, n]`.
    operands: [Vec<f32>; 2],
    out: wgpu::Buffer,
    pipeline: wgpu::ComputePipeline,
    bindings: wgpu::BindGroup,
    /// Two timestamps, the buffer they are resolved to, and the nanoseconds per tick.
    timer: Option<(wgpu::QuerySet, wgpu::Buffer, f64)>,
}

impl Matmul {
    fn new(gpu: &Gpu, size: u32, repeats: u32) -> Self {
        let device = &gpu.device;
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some("wgru.peak.module"),
            source: wgpu::ShaderSource::Wgsl(include_str!("matmul.wgsl").into()),
        });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some("wgru.peak.pipeline"),
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &[("SIZE", f64::from(size))],
                zero_initialize_workgroup_memory: false,
            },
            cache: None,
        });
        // No zeros: a device may be faster on them.
        let mut rng = fastrand::Rng::with_seed(1);
        let operands = [(); 2].map(|()| (0..size * size).map(|_| rng.f32() - 0.5).collect::<Vec<f32>>());
        let bytes = u64::from(size * size) * 4;
        let buffers = ["x", "w", "out"].map(|role| gpu.buffer(role, bytes));
        for (buffer, values) in buffers.iter().zip(&operands) {
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            gpu.queue.write_buffer(buffer, 0, &bytes);
        }
        let resources = (0..).zip(buffers.iter().map(wgpu::Buffer::as_entire_binding));
        let entries: Vec<_> =
            resources.map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource }).collect();
        let bindings = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("wgru.peak.bindings"),
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries,
        });
        let timer = device.features().contains(wgpu::Features::TIMESTAMP_QUERY).then(|| {
            let set = device.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("wgru.peak.timer"),
                ty: wgpu::QueryType::Timestamp,
                count: 2,
            });
            let resolved = device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("wgru.peak.stamps"),
                size: STAMPS,
                usage: wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
                mapped_at_creation: false,
            });
            (set, resolved, f64::from(gpu.queue.get_timestamp_period()))
        });
        let [_, _, out] = buffers;
        Self { size, repeats, operands, out, pipeline, bindings, timer }
    }

    /// All repeats. Returns the seconds by the device's clock, if it has one, and the column that is verified.
    fn run(&self, gpu: &Gpu) -> Outcome<(Option<f64>, Vec<f32>)> {
        let mut last = gpu.encoder();
        for index in 0..self.repeats {
            if index > 0 {
                gpu.queue.submit([std::mem::replace(&mut last, gpu.encoder()).finish()]);
            }
            let mut pass = last.begin_compute_pass(&wgpu::ComputePassDescriptor {
                label: Some("wgru.peak.pass"),
                timestamp_writes: self.timer.as_ref().map(|(set, ..)| wgpu::ComputePassTimestampWrites {
                    query_set: set,
                    beginning_of_pass_write_index: (index == 0).then_some(0),
                    end_of_pass_write_index: Some(1),
                }),
            });
            pass.set_pipeline(&self.pipeline);
            pass.set_bind_group(0, &self.bindings, &[]);
            pass.dispatch_workgroups(self.size / 64, self.size / 64, 1);
        }
        if let Some((set, resolved, _)) = &self.timer {
            last.resolve_query_set(set, 0..2, resolved, 0);
            last.copy_buffer_to_buffer(resolved, 0, &gpu.staging, 0, STAMPS);
        }
        let column = u64::from(self.size) * 4;
        last.copy_buffer_to_buffer(&self.out, COLUMN * column, &gpu.staging, STAMPS, column);
        let bytes = gpu.finish(last)?;
        let (stamps, rest) = bytes.split_at(STAMPS as usize);
        let ticks: Vec<u64> = stamps.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
        let ticks = ticks[1].checked_sub(ticks[0]).filter(|&ticks| ticks > 0);
        let seconds = self.timer.as_ref().and_then(|(.., period)| Some(ticks? as f64 * period * 1e-9));
        let column = rest[..column as usize].as_chunks().0.iter().map(|word| f32::from_le_bytes(*word));
        Ok((seconds, column.collect()))
    }

    /// Computes a column of the product on the host as well.
    fn verify(&self, gpu: &Gpu) -> Outcome {
        let (_, column) = self.run(gpu)?;
        let size = self.size as usize;
        // The device's f32 sums may be in any reduction order: each of SIZE products is at most 1/4.
        let tolerance = size as f64 * size as f64 * f64::from(f32::EPSILON) / 4.0;
        let [x, w] = &self.operands;
        for (m, got) in column.iter().enumerate() {
            let product = |k: usize| f64::from(x[k * size + m]) * f64::from(w[k * size + COLUMN as usize]);
            let expected: f64 = (0..size).map(product).sum();
            let off = (expected - f64::from(*got)).abs();
            if off.is_nan() || off > tolerance {
                let message =
                    format!("{}: the peak's matmul is wrong: {got} in place of {expected}", gpu.name);
                return Err(Failure::Verification(message));
            }
        }
        Ok(())
    }
}
