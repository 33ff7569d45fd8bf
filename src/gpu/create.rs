//! The one place that creates shader modules, pipelines, bind groups and buffers on a device, and counts them.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::info::ResourceCounts;

/// Creates and counts.
#[derive(Debug)]
pub(super) struct Creator {
    device: wgpu::Device,
    shader_modules: AtomicUsize,
    pipelines: AtomicUsize,
    bind_groups: AtomicUsize,
    buffers: AtomicUsize,
}

impl Creator {
    pub(super) fn new(device: wgpu::Device) -> Self {
        let [shader_modules, pipelines, bind_groups, buffers] = [const { AtomicUsize::new(0) }; 4];
        Self { device, shader_modules, pipelines, bind_groups, buffers }
    }

    pub(super) fn shader_module(&self, descriptor: wgpu::ShaderModuleDescriptor<'_>) -> wgpu::ShaderModule {
        self.shader_modules.fetch_add(1, Ordering::Relaxed);
        self.device.create_shader_module(descriptor)
    }

    pub(super) fn bind_group_layout(
        &self,
        descriptor: &wgpu::BindGroupLayoutDescriptor<'_>,
    ) -> wgpu::BindGroupLayout {
        self.device.create_bind_group_layout(descriptor)
    }

    pub(super) fn pipeline_layout(
        &self,
        descriptor: &wgpu::PipelineLayoutDescriptor<'_>,
    ) -> wgpu::PipelineLayout {
        self.device.create_pipeline_layout(descriptor)
    }

    pub(super) fn pipeline(&self, descriptor: &wgpu::ComputePipelineDescriptor<'_>) -> wgpu::ComputePipeline {
        self.pipelines.fetch_add(1, Ordering::Relaxed);
        self.device.create_compute_pipeline(descriptor)
    }

    pub(super) fn bind_group(&self, descriptor: &wgpu::BindGroupDescriptor<'_>) -> wgpu::BindGroup {
        self.bind_groups.fetch_add(1, Ordering::Relaxed);
        self.device.create_bind_group(descriptor)
    }

    pub(super) fn buffer(&self, descriptor: &wgpu::BufferDescriptor<'_>) -> wgpu::Buffer {
        self.buffers.fetch_add(1, Ordering::Relaxed);
        self.device.create_buffer(descriptor)
    }

    /// A small mapped buffer that no run uses: not counted.
    pub(super) fn probe(&self) -> wgpu::Buffer {
        self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("wgru.buffer.probe"),
            size: 8,
            usage: wgpu::BufferUsages::MAP_WRITE | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: true,
        })
    }

    pub(super) fn query_set(&self, descriptor: &wgpu::QuerySetDescriptor<'_>) -> wgpu::QuerySet {
        self.device.create_query_set(descriptor)
    }

    /// The counts so far.
    pub(super) fn resource_counts(&self) -> ResourceCounts {
        let of = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        ResourceCounts {
            shader_modules: of(&self.shader_modules),
            pipelines: of(&self.pipelines),
            bind_groups: of(&self.bind_groups),
            buffers: of(&self.buffers),
        }
    }
}
