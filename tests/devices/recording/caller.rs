//! An application with its own device, queue and buffers.

use crate::caller_device::{open, usual_limits, wgpu_adapters};
use wgru::Device;

pub struct Caller {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    pub ours: Device,
    pub name: String,
}

/// A pass of the application's own.
pub struct Pass {
    pipeline: wgpu::ComputePipeline,
    bindings: wgpu::BindGroup,
    groups: u32,
}

impl Pass {
    pub fn record(&self, encoder: &mut wgpu::CommandEncoder) {
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.bindings, &[]);
        pass.dispatch_workgroups(self.groups, 1, 1);
    }
}

impl Caller {
    /// One on every adapter.
    pub fn all() -> Vec<Self> {
        wgpu_adapters().iter().map(Self::on).collect()
    }

    pub fn on(adapter: &wgpu::Adapter) -> Self {
        let (device, queue) = open(adapter, usual_limits(adapter));
        let ours = Device::from_wgpu(device.clone(), queue.clone());
        let name = ours.info().to_string();
        Self { device, queue, ours, name }
    }

    pub fn buffer(&self, bytes: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
        let label = Some("the caller's");
        self.device.create_buffer(&wgpu::BufferDescriptor {
            label,
            size: bytes,
            usage,
            mapped_at_creation: false,
        })
    }

    /// A buffer with `words` from the byte `offset` on.
    pub fn with(&self, words: &[u32], offset: u64) -> wgpu::Buffer {
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
        let buffer = self.buffer(offset + words.len() as u64 * 4, usage);
        self.queue.write_buffer(&buffer, offset, bytemuck::cast_slice(words));
        buffer
    }

    /// The contents of a buffer from an offset on.
    pub fn read(&self, (buffer, offset): &(wgpu::Buffer, u64)) -> Vec<u32> {
        let bytes = buffer.size() - offset;
        let staging = self.buffer(bytes, wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST);
        self.submit(|encoder| encoder.copy_buffer_to_buffer(buffer, *offset, &staging, 0, bytes));
        staging.map_async(wgpu::MapMode::Read, .., |result| result.unwrap());
        self.device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
        let view = staging.get_mapped_range(..).unwrap();
        bytemuck::cast_slice(&view).to_vec()
    }

    /// Submissions to the queue so far, including this one: wgpu gives the number only in its debug text.
    pub fn submissions(&self) -> u64 {
        let words = format!("{:?}", self.queue.submit([]));
        let number: String = words.chars().filter(char::is_ascii_digit).collect();
        number.parse().unwrap_or_else(|_| panic!("no number in {words}"))
    }

    pub fn encoder(&self) -> wgpu::CommandEncoder {
        self.device.create_command_encoder(&Default::default())
    }

    pub fn submit(&self, record: impl FnOnce(&mut wgpu::CommandEncoder)) {
        let mut encoder = self.encoder();
        record(&mut encoder);
        self.queue.submit([encoder.finish()]);
    }

    /// A pass that negates every number of `buffer`.
    pub fn negate(&self, buffer: &wgpu::Buffer) -> Pass {
        let source = "@group(0) @binding(0) var<storage, read_write> all: array<f32>;
            @compute @workgroup_size(64)
            fn main(@builtin(global_invocation_id) id: vec3<u32>) {
                if (id.x < arrayLength(&all)) { all[id.x] = -all[id.x]; }
            }";
        let module = self.device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: None,
            source: wgpu::ShaderSource::Wgsl(source.into()),
        });
        let pipeline = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: None,
            layout: None,
            module: &module,
            entry_point: None,
            compilation_options: Default::default(),
            cache: None,
        });
        let bindings = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &pipeline.get_bind_group_layout(0),
            entries: &[wgpu::BindGroupEntry { binding: 0, resource: buffer.as_entire_binding() }],
        });
        Pass { pipeline, bindings, groups: (buffer.size() / 4).div_ceil(64) as u32 }
    }
}
