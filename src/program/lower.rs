//! From a plan to a program: buffers by name, dispatches with their parameters.

mod kept;
mod sequence;
mod shared;

use std::collections::HashMap;

pub(super) use self::sequence::Sequence;
pub(super) use self::shared::Shared;
use super::{Buffer, BufferId, Dispatch, Matrix, Op, Order, Program, Role, Slice, StateBuffers};
use crate::dims::product;
use crate::error::{Error, Result};
use crate::io::Padding;
use crate::kernels::{Binding, Definition, Projection, Recurrent, matmul, pipelining, recurrence};
use crate::model::{Cell, Constant, Layer, Model, Reset, has_enclosed_bias};
use crate::plan::{LayerRecipe, Plan, Recurrence};

/// Lowers `plan`, which was made for `model`.
///
/// # Errors
/// [`Error::Overflow`] where an array's size or a stride does not fit 32 bits of elements.
pub fn lower(model: &Model, plan: &Plan) -> Result<Program> {
    Ok(lowered(model, plan)?.program)
}

pub(super) fn lowered<'a>(model: &'a Model, plan: &'a Plan) -> Result<Lowering<'a>> {
    let mut lowering = Lowering::new(model, plan)?;
    match plan.pipelining {
        None => (0..model.layers().len()).try_for_each(|index| lowering.layer(index))?,
        Some(pipelining) => lowering.pipelining(pipelining.steps)?,
    }
    lowering.readout()?;
    Ok(lowering)
}

/// Which of the two orders in [`super::Order`] a matmul uses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Places {
    /// Falling length, as in the step kernels.
    Sorted,
    /// The caller's order.
    Own,
}

/// The slices of a matrix, each with its buffer.
pub(super) type Slices = Vec<(Slice, BufferId)>;

/// Some steps of a layer, and where it writes.
#[derive(Clone, Copy)]
pub(super) struct Chunk {
    /// Its first operation, of its projection.
    pub(super) op: usize,
    pub(super) first: usize,
    pub(super) count: usize,
    pub(super) output: Sequence,
    /// Layers that are pipelined, each a chunk behind the one below, as if they were directions.
    pub(super) layers: usize,
}

/// A layer, and all buffers that it reads and writes.
struct Stage {
    index: usize,
    input: Sequence,
    /// Where its directions write, and where the layer does.
    written: Sequence,
    output: Sequence,
    w_ih: Option<Slices>,
    bias: BufferId,
    /// w_hh and w_hr.
    matrices: [Slices; 2],
    state: StateBuffers,
    /// The buffers that its kernels bind, by their names in the shaders; xw first.
    named: Vec<(&'static str, BufferId)>,
}

pub(super) struct Lowering<'a> {
    pub(super) model: &'a Model,
    pub(super) plan: &'a Plan,
    pub(super) program: Program,
    /// The input of the next layer.
    pub(super) sequence: Sequence,
    /// Scratch of one chunk or step by its name in the shaders, which all layers share.
    scratch: Vec<(&'static str, BufferId)>,
    shared: HashMap<Shared, BufferId>,
    /// The first of the exchange words in the exchange buffer.
    pub(super) words_from: usize,
}

impl<'a> Lowering<'a> {
    fn new(model: &'a Model, plan: &'a Plan) -> Result<Self> {
        let program = Program {
            run_shape: plan.run_shape,
            precision: plan.precision,
            state: model.state_size(),
            hidden: model.hidden(),
            dirs: model.layers()[0].direction().count(),
            rows: plan.rows,
            buffers: Vec::new(),
            setup: Vec::new(),
            ops: Vec::new(),
            states: Vec::new(),
            x: 0,
            exchange_buffer: None,
            completions: Vec::new(),
            together: None,
            order: 0,
            resets: None,
            only_with_resets: 0,
            y: 0,
            out: None,
            readout: model.readout().map(|readout| readout.steps()),
            streams: None,
            ends: None,
        };
        let sequence = Sequence { buffer: 0, step: 0, row: 0, dir: 0 };
        let (scratch, shared) = Default::default();
        let mut this = Self { model, plan, program, sequence, scratch, shared, words_from: 0 };
        this.sequence =
            this.sequence("x", Role::Input, plan.run_shape.x, [1, plan.run_shape.features(model)])?;
        this.program.x = this.sequence.buffer;
        let features = [model.output() / model.state_size(), model.state_size()];
        let y = this.sequence("y", Role::Output, plan.run_shape.y, features)?;
        this.program.y = y.buffer;

        this.program.order =
            this.buffer("order", Role::Order, &[Order::arrays(this.program.readout), this.padded()?])?;
        if plan.run_shape.resets {
            this.resets_buffer()?;
        }
        this.exchange_buffer()?;
        Ok(this)
    }

    /// The scratch of `layers` that are pipelined, made at its first use.
    pub(super) fn scratch(&mut self, layers: usize) -> Result<Vec<(&'static str, BufferId)>> {
        if !self.scratch.is_empty() {
            return Ok(self.scratch.clone());
        }
        let units = self.tiled(layers, self.model.hidden());
        let xw = [&[self.chunk(), self.model.cell().gates()], &units[..]].concat();
        let names: &[&str] = match self.model.cell() {
            Cell::Gru { reset: Reset::Before, .. } if self.plan.has_steps() => &["rh", "z"],
            Cell::Lstm { .. } if self.model.layers().iter().any(|layer| layer.projection().is_some()) => {
                &["unprojected"]
            }
            _ => &[],
        };
        let mut scratch = vec![("xw", self.buffer("xw", Role::Scratch, &xw)?)];
        for name in names {
            scratch.push((name, self.buffer(name, Role::Scratch, &units)?));
        }
        self.scratch.clone_from(&scratch);
        Ok(scratch)
    }

    /// D of every layer.
    pub(super) fn dirs(&self) -> usize {
        self.program.dirs
    }

    /// B rounded up to whole tiles of rows.
    pub(super) fn padded(&self) -> Result<usize> {
        product("B rounded up", &[self.plan.tiles(), self.plan.rows.count() as usize])
    }

    /// The longest chunk of any layer: steps that xw has room for.
    pub(super) fn chunk(&self) -> usize {
        self.plan.layers.iter().map(|recipe| recipe.chunk).max().unwrap_or(1)
    }

    /// `[L·D, ⌈B/R⌉, features, R]` of L layers.
    pub(super) fn tiled(&self, layers: usize, features: usize) -> [usize; 4] {
        [layers * self.dirs(), self.plan.tiles(), features, self.plan.rows.count() as usize]
    }

    pub(super) fn buffer(&mut self, name: &str, role: Role, shape: &[usize]) -> Result<BufferId> {
        let words = product(name, shape)?;
        index32(name, words)?;
        self.program.buffers.push(Buffer { name: name.into(), role, words });
        Ok(self.program.buffers.len() - 1)
    }

    /// The slices of a matrix: one, unless it exceeds what a binding holds.
    pub(super) fn matrix(&mut self, constant: Constant) -> Result<Slices> {
        let Some(matrix) = Matrix::of(self.model, constant, self.plan.precision) else {
            return Ok(Vec::new());
        };
        let slices = matrix.slices(self.plan.most_words).into_iter();
        slices
            .map(|slice| {
                let shape = [matrix.rows, matrix.gates, slice.count, matrix.words];
                Ok((slice, self.constant_from(constant, slice.first, &shape)?))
            })
            .collect()
    }

    pub(super) fn constant(&mut self, constant: Constant, shape: &[usize]) -> Result<BufferId> {
        self.constant_from(constant, 0, shape)
    }

    fn constant_from(&mut self, constant: Constant, first: usize, shape: &[usize]) -> Result<BufferId> {
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
        let name = if first > 0 { format!("{name}.from.{first}") } else { name };
        self.buffer(&name, Role::Constant(constant, first), shape)
    }

    /// All chunks of layer `index`, one after the other.
    fn layer(&mut self, index: usize) -> Result<()> {
        let stage = self.stage(index)?;
        let (steps, chunk) = (self.plan.run_shape.dims.steps, self.plan.layers[index].chunk);
        for first in (0..steps).step_by(chunk) {
            let count = chunk.min(steps - first);
            let op = self.program.ops.len();
            self.project_chunk(&stage, first, count)?;
            let chunk = Chunk { op, first, count, output: stage.written, layers: 1 };
            let ops = self.walk(stage.index, chunk, stage.state, (&stage.named, &stage.matrices))?;
            self.program.ops.extend(ops);
        }
        self.merge(index, stage.written, stage.output)
    }

    /// All buffers that layer `index` reads and writes.
    fn stage(&mut self, index: usize) -> Result<Stage> {
        let layer = &self.model.layers()[index];
        let columns = layer.cell().gates() * layer.hidden();
        let is_projected = index == 0 && self.plan.run_shape.projected;
        let w_ih = if is_projected { None } else { Some(self.matrix(Constant::WIh(index))?) };
        let bias = self.constant(Constant::Bias(index), &[self.dirs(), columns])?;
        let mut named = self.scratch(1)?;
        let state = self.layer_buffers(index, &mut named)?;
        self.keep_initial(index, state, &mut named)?;
        self.kept(index, 1, &mut named)?;
        let matrices = [self.matrix(Constant::WHh(index))?, self.projection_matrix(index)?];
        let input = self.sequence;
        let output = self.layer_output(index)?;
        let written = self.written(index, output)?;
        named.push(("y", written.buffer));
        self.program.states.push(state);
        self.sequence = output;
        Ok(Stage { index, input, written, output, w_ih, bias, matrices, state, named })
    }

    /// The projection of some steps.
    fn project_chunk(&mut self, stage: &Stage, first: usize, count: usize) -> Result<()> {
        let (layer, kernel) = (&self.model.layers()[stage.index], self.plan.layers[stage.index].projection);
        let arguments = self.projection(layer, stage.input, first, count)?;
        // xw is the first of the scratch.
        let arrays = [stage.input.buffer, stage.bias, stage.named[0].1];
        self.project(kernel, arguments, arrays, stage.w_ih.as_ref(), self.dirs())
    }

    /// The steps of a chunk, of layer `index` or of the pipelined layers from it on.
    pub(super) fn walk(
        &mut self,
        index: usize,
        chunk: Chunk,
        state: StateBuffers,
        named: (&[(&'static str, BufferId)], &[Slices; 2]),
    ) -> Result<Vec<Op>> {
        let (model, plan) = (self.model, self.plan);
        match &plan.layers[index].recurrence {
            Recurrence::MultiWorkgroup { kernel, spin_limit, .. } => {
                Ok(vec![self.exchange(*kernel, index, chunk, *spin_limit, state, named)?])
            }
            Recurrence::Persistent(kernel) => {
                let named = ([named.0, &[("h_state", state.h[0])]].concat(), named.1);
                let layer = &model.layers()[index];
                let dispatches = self.step((*kernel).into(), layer, chunk, &named.0, named.1)?;
                Ok(dispatches.into_iter().map(Op::Once).collect())
            }
            Recurrence::Step(kernels) => {
                let (layer, resets) = (&model.layers()[index], &plan.layers[index].resets);
                let resets = self.resets(resets, layer, chunk, state, named.0)?;
                self.steps(resets, kernels, layer, chunk, state.h, named)
            }
        }
    }

    /// The steps of a chunk one by one. Each begins with the dispatches of `phases`; h before even and odd steps lies
    /// in `h`.
    fn steps(
        &self,
        mut phases: [Vec<Dispatch>; 2],
        kernels: &[Recurrent],
        layer: &Layer,
        chunk: Chunk,
        h: [BufferId; 2],
        (named, matrices): (&[(&'static str, BufferId)], &[Slices; 2]),
    ) -> Result<Vec<Op>> {
        for (phase, dispatches) in phases.iter_mut().enumerate() {
            let named = [named, &[("h_prev", h[phase]), ("h_next", h[1 - phase])]].concat();
            for &kernel in kernels {
                let named = [&named[..], &kept::of(kernel, phase, &named)].concat();
                dispatches.extend(self.step(kernel, layer, chunk, &named, matrices)?);
            }
        }
        let count = index32("steps of a chunk", chunk.count)?;
        Ok(vec![Op::Steps { first: chunk.first, count, phases }])
    }

    /// The states of layer `index`. Adds to `named` every other buffer of its step that does not change from step to
    /// step, by its name in the shaders.
    fn layer_buffers(
        &mut self,
        index: usize,
        named: &mut Vec<(&'static str, BufferId)>,
    ) -> Result<StateBuffers> {
        let layer = &self.model.layers()[index];
        let (cell, hidden) = (layer.cell(), layer.hidden());
        named.push(("order", self.program.order));
        if has_enclosed_bias(cell) {
            named.push(("b_hn", self.constant(Constant::BHn(index), &[self.dirs(), hidden])?));
        }
        if layer.has_peepholes() {
            let peepholes = self.constant(Constant::Peepholes(index), &[self.dirs(), 3 * hidden])?;
            named.push(("peepholes", peepholes));
        }
        let shape = self.tiled(1, layer.state_size());
        let h = match self.plan.layers[index].recurrence {
            Recurrence::Persistent(_) => [self.buffer(&format!("h.{index}"), Role::State, &shape)?; 2],
            Recurrence::Step(_) | Recurrence::MultiWorkgroup { .. } => [
                self.buffer(&format!("h.{index}.even"), Role::State, &shape)?,
                self.buffer(&format!("h.{index}.odd"), Role::State, &shape)?,
            ],
        };
        let LayerRecipe { recurrence, chunk, .. } = &self.plan.layers[index];
        let is_multi_workgroup = matches!(recurrence, Recurrence::MultiWorkgroup { .. });
        let mut c = None;
        if cell.has_c() && is_multi_workgroup {
            c = Some([
                self.buffer(&format!("c.{index}.even"), Role::State, &self.tiled(1, hidden))?,
                self.buffer(&format!("c.{index}.odd"), Role::State, &self.tiled(1, hidden))?,
            ]);
        } else if cell.has_c() {
            let buffer = self.buffer(&format!("c.{index}"), Role::State, &self.tiled(1, hidden))?;
            named.push(("c", buffer));
            c = Some([buffer; 2]);
        }
        let steps = self.plan.run_shape.dims.steps;
        let changes = if is_multi_workgroup { steps.div_ceil(*chunk) } else { steps };
        Ok(StateBuffers { h, c, changes })
    }

    /// `w_hr` of layer `index`; empty where the layer does not project.
    fn projection_matrix(&mut self, index: usize) -> Result<Slices> {
        match self.model.layers()[index].projection() {
            Some(_) => self.matrix(Constant::WHr(index)),
            None => Ok(Vec::new()),
        }
    }

    /// A dispatch for each slice of the matrix that `kernel` reads.
    fn step(
        &self,
        kernel: Recurrent,
        layer: &Layer,
        chunk: Chunk,
        named: &[(&str, BufferId)],
        [w_hh, w_hr]: &[Slices; 2],
    ) -> Result<Vec<Dispatch>> {
        let slices = if kernel.is_of_projection() { w_hr } else { w_hh };
        let dirs = index32("D", chunk.layers * self.dirs())?;
        let of_slice = |&(slice, w): &(Slice, BufferId)| {
            let kernel = kernel.of_columns(index32("units of a slice", slice.count)?);
            let buffers = self.bound(&*kernel, &[named, &[("w", w)]].concat())?;
            let arguments = self.arguments(layer, chunk, slice.first)?;
            Ok(Dispatch::new(&*kernel, &arguments, [arguments.own.batch, dirs], buffers))
        };
        slices.iter().map(of_slice).collect()
    }

    /// The parameters of a dispatch of a chunk, whose units begin with `first_unit`.
    pub(super) fn arguments(
        &self,
        layer: &Layer,
        Chunk { first, count, output, layers, .. }: Chunk,
        first_unit: usize,
    ) -> Result<recurrence::Arguments> {
        let xw_dir = [self.chunk(), self.plan.tiles(), layer.cell().gates(), layer.hidden()];
        let steps = index32("T", count)?;
        let own = recurrence::Params {
            batch: index32("B", self.plan.run_shape.dims.batch)?,
            tiles: index32("tiles of rows", self.plan.tiles())?,
            first: index32("T", first)?,
            steps,
            times: index32("T", self.plan.run_shape.dims.steps)?,
            reverse: index32("D", layers * layer.direction().reverse_from())?,
            xw_dir: index32("xw", product("xw", &xw_dir)?)?,
            y_step: output.step,
            y_row: output.row,
            y_dir: output.dir,
            repeats: u32::from(self.plan.run_shape.padding == Padding::Last),
            first_unit: index32("H", first_unit)?,
        };
        let pipelining = pipelining::Params { lag: steps, x_dir: 0, out_first: 0, unused: [0] };
        Ok(recurrence::Arguments { own, pipelining: (layers > 1).then_some(pipelining) })
    }

    /// The buffer of each storage binding of `kernel`, by its name in the shaders.
    pub(super) fn bound(&self, kernel: &dyn Definition, named: &[(&str, BufferId)]) -> Result<Vec<BufferId>> {
        let bindings = kernel.bindings().into_iter().filter(|binding| binding.access.is_storage());
        let buffer = |binding: Binding| {
            let found = named.iter().find(|(known, _)| *known == binding.name);
            found.map(|&(_, buffer)| buffer).ok_or_else(|| {
                Error::internal(
                    format!("{} of {}", binding.name, kernel.name()),
                    "no buffer of that name in the program",
                )
            })
        };
        bindings.map(buffer).collect()
    }

    /// Steps `first .. first + count` of the layer's input, into xw, tiled as the step kernels read it.
    pub(super) fn projection(
        &self,
        layer: &Layer,
        input: Sequence,
        first: usize,
        count: usize,
    ) -> Result<matmul::Arguments> {
        let tile = self.plan.rows.count();
        let padded = self.padded()?;
        let columns = layer.cell().gates() * layer.hidden();
        let out_tile = product("G·H·R", &[columns, tile as usize])?;
        let (order, order_rows) = self.places(Places::Sorted)?;
        let own = matmul::Params {
            rows: index32("rows of a chunk", product("rows of a chunk", &[count, padded])?)?,
            batch: index32("B", self.plan.run_shape.dims.batch)?,
            padded: index32("B", padded)?,
            first: index32("T", first)?,
            times: index32("T", self.plan.run_shape.dims.steps)?,
            reverse: index32("D", layer.direction().reverse_from())?,
            x_step: input.step,
            x_row: input.row,
            out_dir: index32("xw", product("xw", &[self.chunk(), padded, columns])?)?,
            out_step: index32("B·G·H", product("B·G·H", &[padded, columns])?)?,
            out_tile: index32("G·H·R", out_tile)?,
            tile,
            out_column: tile,
            order,
            order_rows,
            skips: 1,
            first_column: 0,
            columns: index32("G·H", columns)?,
            steps: index32("steps of a chunk", count)?,
            unused: [0],
        };
        Ok(matmul::Arguments { own, pipelining: None })
    }

    /// Where in the array of [`super::Order`] lengths and batch rows lie.
    pub(super) fn places(&self, places: Places) -> Result<(u32, u32)> {
        let padded = self.padded()?;
        let (lengths, rows) = if places == Places::Sorted { (0, 1) } else { (2, 3) };
        Ok((index32("order", lengths * padded)?, index32("order", rows * padded)?))
    }

    /// A dispatch for each slice of `w`, or a single one where x has been multiplied by it already.
    pub(super) fn project(
        &mut self,
        kernel: Projection,
        arguments: matmul::Arguments,
        [x, bias, out]: [BufferId; 3],
        w: Option<&Slices>,
        dirs: usize,
    ) -> Result<()> {
        let (size, order) = ([arguments.own.rows, index32("D", dirs)?], self.program.order);
        let mut push = |kernel: Projection, arguments, buffers| {
            self.program.ops.push(Op::Once(Dispatch::new(&*kernel, &arguments, size, buffers)));
        };
        let Some(w) = w else {
            push(kernel, arguments, vec![x, bias, out, order]);
            return Ok(());
        };
        for &(slice, w) in w {
            let kernel = kernel.of_columns(index32("columns of a slice", slice.count)?);
            let first_column = index32("columns", slice.first)?;
            let own = matmul::Params { first_column, ..arguments.own };
            push(kernel, matmul::Arguments { own, ..arguments }, vec![x, bias, w, out, order]);
        }
        Ok(())
    }
}

/// A size or stride as the shaders count it.
pub(super) fn index32(name: &str, value: usize) -> Result<u32> {
    u32::try_from(value)
        .map_err(|_| Error::Overflow { name: format!("{name} as a 32-bit index"), sizes: vec![value] })
}
