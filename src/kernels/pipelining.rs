//! Layers of a stack in one dispatch, as if they were directions: what a kernel is told beside its own parameters, which those of one
//! layer neither bind nor include.

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
    /// Fills the struct to a multiple of 16 bytes.
    pub unused: [u32; 1],
}

/// The parameters of a kernel, and those of pipelining where its dispatch has several layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Arguments<P> {
    /// Its own.
    pub own: P,
    /// Where there are several layers.
    pub pipelining: Option<Params>,
}

impl<P: Pod> Parameters for Arguments<P> {
    fn uniforms(&self) -> Vec<Vec<u8>> {
        [self.own.uniforms(), self.pipelining.iter().flat_map(Parameters::uniforms).collect()].concat()
    }
}

/// The file that a text has with and without.
pub(super) fn text(pipelined: bool) -> &'static str {
    if pipelined { wgsl!("shared/pipelined.wgsl") } else { wgsl!("shared/sequential.wgsl") }
}

/// `bindings`, and after them its own where there is one.
pub(super) fn bindings(bindings: &[Binding], pipelined: bool) -> Vec<Binding> {
    const BINDING: Binding = Binding::new(13, "pipelining", Access::Params(size_of::<Params>() as u32));
    bindings.iter().copied().chain(pipelined.then_some(BINDING)).collect()
}
