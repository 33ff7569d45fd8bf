//! The readout and its activation, after the last layer.

use super::lower::{Lowering, Places, index32};
use super::{Dispatch, Op, Role};
use crate::dims::{Dims, product};
use crate::error::Result;
use crate::io::Strides;
use crate::kernels::{activate_rows, matmul};
use crate::model::{Constant, ReadoutSteps};

impl Lowering<'_> {
    pub(super) fn readout(&mut self) -> Result<()> {
        let (Some(readout), Some(kernel)) = (self.model.readout(), self.plan.readout) else {
            return Ok(());
        };
        let Dims { batch, steps } = self.plan.run_shape.dims;
        let outputs = readout.outputs();
        // Step 0 of a reverse direction is the last step of each sequence.
        let (reverse, count, strides) = match readout.steps() {
            ReadoutSteps::Every => {
                (1, steps, Strides::of(self.plan.run_shape.y, self.plan.run_shape.dims, 1, outputs))
            }
            ReadoutSteps::Last => (0, 1, Strides { step: 0, row: outputs, dir: 0 }),
        };
        let w = self.matrix(Constant::ReadoutW)?;
        let bias = self.constant(Constant::ReadoutB, &[outputs])?;
        let out = self.buffer("out", Role::Output, &[batch, count, outputs])?;
        let y = self.sequence;
        let (order, order_rows) = self.places(Places::Own)?;
        let params = matmul::Params {
            rows: index32("rows of the readout", product("rows of the readout", &[batch, count])?)?,
            batch: index32("B", batch)?,
            padded: index32("B", batch)?,
            first: 0,
            times: index32("T", steps)?,
            reverse,
            x_step: y.step,
            x_row: y.row,
            out_dir: 0,
            out_step: index32("out", strides.step)?,
            out_tile: index32("out", strides.row)?,
            tile: 1,
            out_column: 1,
            order,
            order_rows,
            skips: 0,
            first_column: 0,
            columns: index32("O", outputs)?,
            steps: index32("T", count)?,
            unused: [0],
        };
        let arguments = matmul::Arguments { own: params, pipelining: None };
        self.project(kernel, arguments, [y.buffer, bias, out], Some(&w), 1)?;
        self.program.out = Some(out);
        if let Some(kernel) = self.plan.activation {
            let params = activate_rows::Params { rows: params.rows, unused: [0; 3] };
            let dispatch = Dispatch::new(&kernel, &params, [params.rows, 1], vec![out]);
            self.program.ops.push(Op::Once(dispatch));
        }
        Ok(())
    }
}
