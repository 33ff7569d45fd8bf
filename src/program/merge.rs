//! Layers that merge their directions into one. Each direction writes a sequence of its own, and after all steps one
//! dispatch computes the layer's y from both.

use super::lower::{Lowering, Sequence, Shared, index32};
use super::{Dispatch, Op, Role};
use crate::dims::{Dims, product};
use crate::error::Result;
use crate::kernels::merge;

impl Lowering<'_> {
    /// Where the directions of layer `index` write: to the layer's output, unless they are merged. Then they lie one
    /// after the other, each in the layout of the layer's `output`, in an array that all such layers share.
    pub(super) fn written(&mut self, index: usize, output: Sequence) -> Result<Sequence> {
        if self.plan.layers[index].merge.is_none() {
            return Ok(output);
        }
        let Dims { batch, steps } = self.plan.run_shape.dims;
        let storage = self.plan.precision.activations;
        let sizes = [batch, steps, storage.padded(self.model.state_size())];
        let numbers = product("y of a direction", &sizes)?;
        index32("y of both directions", product("y of both directions", &[2, numbers])?)?;
        let buffer = self.shared(Shared::Apart, |this| {
            this.buffer("y.apart", Role::Scratch, &[2, storage.words(numbers)])
        })?;
        Ok(Sequence { buffer, dir: index32("y of a direction", numbers)?, ..output })
    }

    /// Computes `output` from the sequences of the directions of layer `index`.
    pub(super) fn merge(&mut self, index: usize, written: Sequence, output: Sequence) -> Result<()> {
        let Some(kernel) = self.plan.layers[index].merge else { return Ok(()) };
        let words = index32("words of y", self.program.buffers[written.buffer].words / 2)?;
        let params = merge::Params { words, unused: [0; 3] };
        let buffers = vec![written.buffer, output.buffer];
        self.program.ops.push(Op::Once(Dispatch::new(&kernel, &params, [words, 1], buffers)));
        Ok(())
    }
}
