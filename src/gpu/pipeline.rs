//! From a kernel's description to a compute pipeline.

use super::create::Creator;
use crate::kernels::{Access, Kernel};

/// A compiled kernel.
#[derive(Debug)]
pub(super) struct Pipeline {
    pub(super) pipeline: wgpu::ComputePipeline,
    pub(super) layout: wgpu::BindGroupLayout,
}

/// The module of `text`, named for the first kernel that uses it.
pub(super) fn module(create: &Creator, name: &str, text: &str) -> wgpu::ShaderModule {
    create.shader_module(wgpu::ShaderModuleDescriptor {
        label: Some(&format!("wgru.{name}.module")),
        source: wgpu::ShaderSource::Wgsl(text.into()),
    })
}

impl Pipeline {
    /// Compiles `kernel`, whose text is in `module`, or takes it from `cache`.
    pub(super) fn new(
        create: &Creator,
        kernel: Kernel,
        module: &wgpu::ShaderModule,
        cache: Option<&wgpu::PipelineCache>,
    ) -> Self {
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
        let layout = create.bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some(&label("layout")),
            entries: &entries,
        });
        let pipeline_layout = create.pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(&label("pipeline_layout")),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let pipeline = create.pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(&label("pipeline")),
            layout: Some(&pipeline_layout),
            module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &kernel.constants(),
                // Every kernel writes its workgroup memory before it reads it.
                zero_initialize_workgroup_memory: false,
            },
            cache,
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
