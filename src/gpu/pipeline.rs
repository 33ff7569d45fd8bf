//! From a kernel's description to a compute pipeline.

use crate::kernels::{Access, Kernel};

/// A compiled kernel.
#[derive(Debug)]
pub(super) struct Pipeline {
    pub(super) pipeline: wgpu::ComputePipeline,
    pub(super) layout: wgpu::BindGroupLayout,
}

impl Pipeline {
    pub(super) fn new(device: &wgpu::Device, kernel: Kernel) -> Self {
        let label = |role: &str| format!("wgru.{}.{role}", kernel.name());
        let entries: Vec<_> = kernel
            .bindings()
            .iter()
            .map(|binding| wgpu::BindGroupLayoutEntry {
                binding: binding.index,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: binding_type(binding.access),
                count: None,
            })
            .collect();
        let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some(&label("layout")),
            entries: &entries,
        });
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(&label("pipeline_layout")),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(&label("module")),
            source: wgpu::ShaderSource::Wgsl(kernel.source().into()),
        });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(&label("pipeline")),
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &kernel.constants(),
                // Every kernel writes its workgroup memory before it reads it.
                zero_initialize_workgroup_memory: false,
            },
            cache: None,
        });
        Self { pipeline, layout }
    }
}

fn binding_type(access: Access) -> wgpu::BindingType {
    let (ty, has_dynamic_offset, size) = match access {
        Access::Params(size) => (wgpu::BufferBindingType::Uniform, false, u64::from(size)),
        Access::StepIndex(size) => (wgpu::BufferBindingType::Uniform, true, u64::from(size)),
        Access::Read => (wgpu::BufferBindingType::Storage { read_only: true }, false, 0),
        Access::ReadWrite => (wgpu::BufferBindingType::Storage { read_only: false }, false, 0),
    };
    let min_binding_size = wgpu::BufferSize::new(size);
    wgpu::BindingType::Buffer { ty, has_dynamic_offset, min_binding_size }
}
