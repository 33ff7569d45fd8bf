//! From a plan to a program: buffers by name, dispatches with their parameters.

use super::{Buffer, BufferId, Dispatch, Op, Program, Role, StateBuffers};
use crate::dims::{Dims, product};
use crate::error::{Error, Result};
use crate::kernels::{Kernel, Params, matmul, step};
use crate::model::{Cell, Constant, Layer, Model, ReadoutSteps, Reset, has_enclosed_bias};
use crate::plan::Plan;

/// Lowers `plan`, which was made for `model`.
///
/// # Errors
/// [`Error::Overflow`] where an array's size or a stride does not fit 32 bits of elements.
pub fn lower(model: &Model, plan: &Plan) -> Result<Program> {
    let mut lowering = Lowering::new(model, plan)?;
    for index in 0..model.layers().len() {
        lowering.layer(index)?;
    }
    lowering.readout()?;
    Ok(lowering.program)
}

/// A sequence array `[B, T, features]` in either order, as strides.
#[derive(Clone, Copy)]
struct Sequence {
    buffer: BufferId,
    step: u32,
    row: u32,
}

struct Lowering<'a> {
    model: &'a Model,
    plan: &'a Plan,
    program: Program,
    /// The input of the next layer.
    sequence: Sequence,
    /// One step's scratch: xw, shared by all layers.
    xw: BufferId,
    /// r ⊙ h and z, where the cell needs them.
    gates: Option<[BufferId; 2]>,
}

impl<'a> Lowering<'a> {
    fn new(model: &'a Model, plan: &'a Plan) -> Result<Self> {
        let Dims { batch, steps } = plan.dims;
        let program = Program {
            dims: plan.dims,
            hidden: model.hidden(),
            dirs: model.layers()[0].direction().count(),
            rows: plan.rows,
            buffers: Vec::new(),
            ops: Vec::new(),
            states: Vec::new(),
            x: 0,
            lengths: 0,
            y: 0,
            out: None,
        };
        let sequence = Sequence { buffer: 0, step: 0, row: 0 };
        let mut this = Self { model, plan, program, sequence, xw: 0, gates: None };
        this.program.x = this.buffer("x", Role::Input, &[batch, steps, model.input()])?;
        this.program.y = this.buffer("y", Role::Output, &[batch, steps, model.output()])?;
        this.sequence = this.batch_major(this.program.x, model.input())?;

        let rows = [plan.tiles(), plan.rows.count() as usize];
        this.program.lengths = this.buffer("lengths", Role::Lengths, &rows)?;
        let state = this.state_shape();
        let xw = [&[this.chunk(), model.cell().gates()], &state[..]].concat();
        this.xw = this.buffer("xw", Role::Scratch, &xw)?;
        if let Cell::Gru { reset: Reset::Before, .. } = model.cell() {
            let rh = this.buffer("rh", Role::Scratch, &state)?;
            let z = this.buffer("z", Role::Scratch, &state)?;
            this.gates = Some([rh, z]);
        }
        Ok(this)
    }

    /// D of every layer.
    fn dirs(&self) -> usize {
        self.model.layers()[0].direction().count()
    }

    /// The longest chunk of any layer: steps that xw has room for.
    fn chunk(&self) -> usize {
        self.plan.layers.iter().map(|recipe| recipe.chunk).max().unwrap_or(1)
    }

    /// `[D, ⌈B/R⌉, H, R]`.
    fn state_shape(&self) -> [usize; 4] {
        [self.dirs(), self.plan.tiles(), self.model.hidden(), self.plan.rows.count() as usize]
    }

    fn buffer(&mut self, name: &str, role: Role, shape: &[usize]) -> Result<BufferId> {
        let elements = product(name, shape)?;
        index32(name, elements)?;
        self.program.buffers.push(Buffer { name: name.into(), role, elements });
        Ok(self.program.buffers.len() - 1)
    }

    fn constant(&mut self, constant: Constant, shape: &[usize]) -> Result<BufferId> {
        let name = match constant {
            Constant::WIh(layer) => format!("w_ih.{layer}"),
            Constant::WHh(layer) => format!("w_hh.{layer}"),
            Constant::Bias(layer) => format!("bias.{layer}"),
            Constant::BHn(layer) => format!("b_hn.{layer}"),
            Constant::Peepholes(layer) => format!("peepholes.{layer}"),
            Constant::WHr(layer) => format!("w_hr.{layer}"),
            Constant::ReadoutW => "readout.w".into(),
            Constant::ReadoutB => "readout.b".into(),
        };
        self.buffer(&name, Role::Constant(constant), shape)
    }

    /// `[B, T, features]`, as the caller has it.
    fn batch_major(&self, buffer: BufferId, features: usize) -> Result<Sequence> {
        let row = product("T·features", &[self.plan.dims.steps, features])?;
        Ok(Sequence { buffer, step: index32("features", features)?, row: index32("T·features", row)? })
    }

    /// Where layer `index` writes: y for the last, else an array of its own that two layers on takes again.
    fn layer_output(&mut self, index: usize) -> Result<Sequence> {
        let output = self.model.output();
        if index + 1 == self.model.layers().len() {
            return self.batch_major(self.program.y, output);
        }
        let Dims { batch, steps } = self.plan.dims;
        let name = format!("y.between.{}", index % 2);
        let buffer = match self.program.buffers.iter().position(|buffer| buffer.name == name) {
            Some(buffer) => buffer,
            None => self.buffer(&name, Role::Scratch, &[steps, batch, output])?,
        };
        let step = product("B·D·H", &[batch, output])?;
        Ok(Sequence { buffer, step: index32("B·D·H", step)?, row: index32("D·H", output)? })
    }

    fn layer(&mut self, index: usize) -> Result<()> {
        let layer = &self.model.layers()[index];
        let recipe = &self.plan.layers[index];
        let columns = layer.cell().gates() * layer.hidden();
        let w_ih = self.constant(Constant::WIh(index), &[self.dirs(), layer.input(), columns])?;
        let bias = self.constant(Constant::Bias(index), &[self.dirs(), columns])?;
        let (state, constants) = self.layer_buffers(index)?;
        let input = self.sequence;
        let output = self.layer_output(index)?;

        let steps = self.plan.dims.steps;
        for first in (0..steps).step_by(recipe.chunk) {
            let count = recipe.chunk.min(steps - first);
            let params = self.projection(layer, input, first, count)?;
            let buffers = vec![input.buffer, w_ih, bias, self.xw, self.program.lengths];
            self.matmul(recipe.projection, params, buffers, self.dirs())?;

            let mut phases = [Vec::new(), Vec::new()];
            for (phase, dispatches) in phases.iter_mut().enumerate() {
                let mut named = constants.clone();
                named.extend([("h_prev", state.h[phase]), ("h_next", state.h[1 - phase])]);
                named.extend([("xw", self.xw), ("y", output.buffer)]);
                for &kernel in &recipe.step {
                    dispatches.push(self.step(kernel, layer, first, output, &named)?);
                }
            }
            let count = index32("steps of a chunk", count)?;
            self.program.ops.push(Op::Steps { first, count, phases });
        }
        self.program.states.push(state);
        self.sequence = output;
        Ok(())
    }

    /// The states of layer `index`, and everything its step binds that does not change from step to step,
    /// by the name it has in the shaders.
    fn layer_buffers(&mut self, index: usize) -> Result<(StateBuffers, Vec<(&'static str, BufferId)>)> {
        let layer = &self.model.layers()[index];
        let (cell, hidden) = (layer.cell(), layer.hidden());
        let shape = self.state_shape();
        let w_hh = self.constant(Constant::WHh(index), &[self.dirs(), hidden, cell.gates() * hidden])?;
        let mut named = vec![("w_hh", w_hh), ("lengths", self.program.lengths)];
        if has_enclosed_bias(cell) {
            named.push(("b_hn", self.constant(Constant::BHn(index), &[self.dirs(), hidden])?));
        }
        if let Some([rh, z]) = self.gates {
            named.extend([("rh", rh), ("z", z)]);
        }
        let h = [
            self.buffer(&format!("h.{index}.even"), Role::State, &shape)?,
            self.buffer(&format!("h.{index}.odd"), Role::State, &shape)?,
        ];
        let mut c = None;
        if cell.has_c() {
            let buffer = self.buffer(&format!("c.{index}"), Role::State, &shape)?;
            named.push(("c", buffer));
            c = Some(buffer);
        }
        Ok((StateBuffers { h, c }, named))
    }

    fn step(
        &self,
        kernel: Kernel,
        layer: &Layer,
        first: usize,
        output: Sequence,
        named: &[(&str, BufferId)],
    ) -> Result<Dispatch> {
        let batch = index32("B", self.plan.dims.batch)?;
        let hidden = layer.hidden();
        let xw_dir = [self.chunk(), self.plan.tiles(), layer.cell().gates(), hidden];
        let params = step::Params {
            batch,
            tiles: index32("tiles of rows", self.plan.tiles())?,
            first: index32("T", first)?,
            times: index32("T", self.plan.dims.steps)?,
            reverse: index32("D", layer.direction().reverse_from())?,
            xw_dir: index32("xw", product("xw", &xw_dir)?)?,
            y_step: output.step,
            y_row: output.row,
            y_dir: index32("H", hidden)?,
            unused: [0; 3],
        };
        let dirs = index32("D", self.dirs())?;
        let storage = kernel.bindings().iter().filter(|binding| binding.access.is_storage());
        let buffers = storage
            .map(|binding| {
                let found = named.iter().find(|(name, _)| *name == binding.name);
                found.map(|&(_, buffer)| buffer).ok_or_else(|| Error::Mismatch {
                    name: format!("{} of {}", binding.name, kernel.name()),
                    reason: "no buffer of that name in the program".into(),
                })
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Dispatch { kernel, params: Params::Step(params), buffers, grid: kernel.grid(batch, dirs) })
    }

    /// Steps `first .. first + count` of the layer's input, into xw, tiled as the step kernels read it.
    fn projection(
        &self,
        layer: &Layer,
        input: Sequence,
        first: usize,
        count: usize,
    ) -> Result<matmul::Params> {
        let tile = self.plan.rows.count();
        let padded = product("B rounded up", &[self.plan.tiles(), tile as usize])?;
        let columns = layer.cell().gates() * layer.hidden();
        let out_tile = product("G·H·R", &[columns, tile as usize])?;
        Ok(matmul::Params {
            rows: index32("rows of a chunk", product("rows of a chunk", &[count, padded])?)?,
            batch: index32("B", self.plan.dims.batch)?,
            padded: index32("B", padded)?,
            first: index32("T", first)?,
            times: index32("T", self.plan.dims.steps)?,
            reverse: index32("D", layer.direction().reverse_from())?,
            x_step: input.step,
            x_row: input.row,
            out_dir: index32("xw", product("xw", &[self.chunk(), padded, columns])?)?,
            out_step: index32("B·G·H", product("B·G·H", &[padded, columns])?)?,
            out_tile: index32("G·H·R", out_tile)?,
            tile,
            out_column: tile,
            unused: [0; 3],
        })
    }

    fn matmul(
        &mut self,
        kernel: Kernel,
        params: matmul::Params,
        buffers: Vec<BufferId>,
        dirs: usize,
    ) -> Result<()> {
        let grid = kernel.grid(params.rows, index32("D", dirs)?);
        let params = Params::Matmul(params);
        self.program.ops.push(Op::Once(Dispatch { kernel, params, buffers, grid }));
        Ok(())
    }

    fn readout(&mut self) -> Result<()> {
        let (Some(readout), Some(kernel)) = (self.model.readout(), self.plan.readout) else {
            return Ok(());
        };
        let Dims { batch, steps } = self.plan.dims;
        let outputs = readout.outputs();
        // A reverse direction's step 0 is each sequence's own last.
        let (reverse, count) = match readout.steps() {
            ReadoutSteps::Every => (1, steps),
            ReadoutSteps::Last => (0, 1),
        };
        let w = self.constant(Constant::ReadoutW, &[readout.input(), outputs])?;
        let bias = self.constant(Constant::ReadoutB, &[outputs])?;
        let out = self.buffer("out", Role::Output, &[batch, count, outputs])?;
        let y = self.sequence;
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
            out_step: index32("O", outputs)?,
            out_tile: index32("T·O", product("T·O", &[count, outputs])?)?,
            tile: 1,
            out_column: 1,
            unused: [0; 3],
        };
        self.matmul(kernel, params, vec![y.buffer, w, bias, out, self.program.lengths], 1)?;
        self.program.out = Some(out);
        Ok(())
    }
}

/// A size or stride as the shaders count it.
fn index32(name: &str, value: usize) -> Result<u32> {
    u32::try_from(value)
        .map_err(|_| Error::Overflow { name: format!("{name} as a 32-bit index"), factors: vec![value] })
}
