//! Sequences: x, y, and the arrays between layers.

use super::{Lowering, Shared, index32};
use crate::dims::{Dims, product};
use crate::error::Result;
use crate::io::{Layout, Strides};
use crate::model::Layer;
use crate::program::{BufferId, Role};

/// A sequence array in any layout, as strides in numbers.
#[derive(Clone, Copy)]
pub(in crate::program) struct Sequence {
    pub(in crate::program) buffer: BufferId,
    pub(in crate::program) step: u32,
    pub(in crate::program) row: u32,
    pub(in crate::program) dir: u32,
}

impl Lowering<'_> {
    /// A sequence array of D directions of so many features, in the storage type of activations.
    pub(in crate::program) fn sequence(
        &mut self,
        name: &str,
        role: Role,
        layout: Layout,
        [dirs, features]: [usize; 2],
    ) -> Result<Sequence> {
        let Dims { batch, steps } = self.plan.run_shape.dims;
        let storage = self.plan.precision.activations;
        let numbers = product(name, &[batch, steps, dirs, storage.padded(features)])?;
        index32(name, numbers)?;
        let buffer = self.buffer(name, role, &[storage.words(numbers)])?;
        self.placed(buffer, layout, [dirs, features])
    }

    /// `buffer` as a sequence array of D directions of so many features.
    pub(in crate::program) fn placed(
        &self,
        buffer: BufferId,
        layout: Layout,
        [dirs, features]: [usize; 2],
    ) -> Result<Sequence> {
        let padded = self.plan.precision.activations.padded(features);
        let Strides { step, row, dir } = Strides::of(layout, self.plan.run_shape.dims, dirs, padded);
        let stride = |value| index32("a stride of a sequence", value);
        Ok(Sequence { buffer, step: stride(step)?, row: stride(row)?, dir: stride(dir)? })
    }

    /// Where layer `index` writes: y for the last, else an array that every second layer shares.
    pub(in crate::program) fn layer_output(&mut self, index: usize) -> Result<Sequence> {
        let (layers, state) = (self.model.layers(), self.model.state_size());
        let features = [layers[index].output_dirs(), state];
        if index + 1 == layers.len() {
            return self.placed(self.program.y, self.plan.run_shape.y, features);
        }
        let buffer = self.shared(Shared::Between(index % 2), |this| {
            // Large enough for every layer that writes there.
            let sharing = layers[..layers.len() - 1].iter().skip(index % 2).step_by(2);
            let most = sharing.map(Layer::output_dirs).max().unwrap_or(1);
            let name = format!("y.between.{}", index % 2);
            Ok(this.sequence(&name, Role::Scratch, Layout::TimeMajor, [most, state])?.buffer)
        })?;
        self.placed(buffer, Layout::TimeMajor, features)
    }
}
