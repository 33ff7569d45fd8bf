//! Layers of a stack in one dispatch, as if they were directions: the parameters beside the kernel's own. Kernels of
//! one layer neither bind nor include them.

use bytemuck::{Pod, Zeroable};

use super::source::wgsl;
use super::{Access, Binding, Parameters};

/// `PipeliningParams` of the shaders.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Pod, Zeroable)]
pub struct Params {
    /// Steps that each layer is behind the one below.
    pub lag: u32,
    /// Of a matmul: elements of x from a layer's to the next one's.
    pub x_dir: u32,
    /// Of a matmul: elements of out before the first.
    pub out_first: u32,
    /// Pads the struct to a multiple of 16 bytes.
    pub unused: [u32; 1],
}

/// The parameters of a kernel, and those of pipelining where its dispatch has several layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Arguments<P> {
    /// The kernel's parameters.
    pub own: P,
    /// Those of pipelining, of a dispatch with several layers.
    pub pipelining: Option<Params>,
}

impl<P: Pod> Parameters for Arguments<P> {
    fn uniforms(&self) -> Vec<Vec<u8>> {
        [self.own.uniforms(), self.pipelining.iter().flat_map(Parameters::uniforms).collect()].concat()
    }
}

/// The file of a text with and without pipelining.
pub(super) fn text(pipelined: bool) -> &'static str {
    if pipelined { wgsl!("shared/pipelined.wgsl") } else { wgsl!("shared/sequential.wgsl") }
}

/// `bindings`, and after them that of pipelining where the kernel is pipelined.
pub(super) fn bindings(bindings: &[Binding], pipelined: bool) -> Vec<Binding> {
    const BINDING: Binding = Binding::new(13, "pipelining", Access::Params(size_of::<Params>() as u32));
    bindings.iter().copied().chain(pipelined.then_some(BINDING)).collect()
}
